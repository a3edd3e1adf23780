. $REPO/tests/support/golden_ledger.sh
edgewise ledger --db ledger.db --client nobody
edgewise ledger --db ledger.db --client nobody --json
