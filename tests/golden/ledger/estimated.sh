. $REPO/tests/support/golden_ledger.sh
python3 -c "
import sqlite3
db = sqlite3.connect('ledger.db')
db.execute('UPDATE requests SET tokens_kind = \"estimated\" WHERE client = \"anonymous\"')
db.commit()"
edgewise ledger --db ledger.db -n 2
edgewise ledger --db ledger.db --sum client
edgewise ledger --db ledger.db --sum client --json | grep -o '"client":"[^"]*"\|"tokens_estimated":[0-9]*'
edgewise ledger why req-1501 --db ledger.db
