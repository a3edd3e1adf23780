. $REPO/tests/support/golden_ledger.sh
. $REPO/tests/support/golden_decisions.sh
edgewise ledger why --db ledger.db
