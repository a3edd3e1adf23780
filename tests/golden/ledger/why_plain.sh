. $REPO/tests/support/golden_ledger.sh
. $REPO/tests/support/golden_decisions.sh
edgewise ledger why req-5 --db ledger.db
