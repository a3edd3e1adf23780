. $REPO/tests/support/golden_ledger.sh
edgewise ledger --db ledger.db --delete-before 2026-11-24
