. $REPO/tests/support/golden_ledger.sh
. $REPO/tests/support/golden_decisions.sh
edgewise ledger --db ledger.db --sum place
edgewise ledger --db ledger.db --sum reason --since 2026-11-24T13:00
edgewise ledger --db ledger.db --reason capacity
edgewise ledger --db ledger.db --sum place --json --reason failover
