. $REPO/tests/support/golden_ledger.sh
edgewise ledger --db ledger.db --since 2026-11-24 --json
