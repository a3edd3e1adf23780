. $REPO/tests/support/golden_ledger.sh
python3 -c "
import sqlite3
db = sqlite3.connect('ledger.db')
db.execute('DELETE FROM requests')
db.commit()"
edgewise ledger why --db ledger.db
