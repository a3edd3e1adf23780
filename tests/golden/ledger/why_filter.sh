. $REPO/tests/support/golden_ledger.sh
. $REPO/tests/support/golden_decisions.sh
edgewise ledger why --reason failover --json --db ledger.db
edgewise ledger why --reason nonsense --db ledger.db
