. $REPO/tests/support/golden_ledger.sh
. $REPO/tests/support/golden_decisions.sh
edgewise ledger why --db ledger.db | sed -E '1s/, [0-9]+ [a-z]+ ago,//' # it depends on the day
python3 -c "
import sqlite3, time
db = sqlite3.connect('ledger.db')
db.execute('UPDATE requests SET arrived_ms = arrived_ms - 1000000000000')
db.execute('UPDATE requests SET arrived_ms = ? WHERE request_id = ?', (time.time_ns() // 10**6 - 200000, 'req_1603'))
db.commit()"
edgewise ledger why --db ledger.db | sed -nE '1s/20.*:.., /WHEN, /p'
