. $REPO/tests/support/golden_ledger.sh
edgewise ledger --db ledger.db --sum client
edgewise ledger --db ledger.db --sum all --status 2xx
