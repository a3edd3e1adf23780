. $REPO/tests/support/golden_ledger.sh
edgewise ledger --db ledger.db --sum day --json
