# golden_ledger.sh - sourced by golden tests: writes ledger.db here, with rows that never change.
# Its columns are those that the program tells.
export TZ=UTC
edgewise ledger --columns --json >columns.json && python3 - <<'PY' || exit 77
import json, sqlite3
columns = [(c["column"], c["type"]) for c in json.load(open("columns.json"))]
db = sqlite3.connect("ledger.db")
db.execute("PRAGMA application_id = %d" % 0x4557414C)
db.execute("PRAGMA user_version = 1")
db.execute("CREATE TABLE requests(id INTEGER PRIMARY KEY, %s)" % ", ".join(c + " " + t for c, t in columns))
def put(minute, **values):
    values.update(request_id="req-%d" % minute, arrived_ms=1795430000000 + minute * 60000)
    db.execute("INSERT INTO requests(%s) VALUES(%s)" % (", ".join(values), ", ".join("?" * len(values))),
               list(values.values()))
for i in range(30):
    put(i, client="kiosk" if i % 3 else "phone in the hall", peer="127.0.0.1", route="/v1/chat/completions",
        model="smollm2-135m", device="here", reason="the only one", status=200, finish="stop", stream=i % 2,
        choices=1, prompt_tokens=20 + i, cached_tokens=i, output_tokens=50, queue_ms=0.25, ttft_ms=10.0 + i,
        decode_ms=900.5, total_ms=950.0 + i, energy_j=None if i % 10 == 0 else 12.5,
        energy_kind="unknown" if i % 10 == 0 else "modelled", cost_cents=None if i % 10 == 0 else 0.0001)
put(1500, client="kiosk", model="=cmd|' /C calc'!A0", status=404, error='there is no model "x", really')
put(1501, client="anonymous", model="smollm2-135m", status=499, finish="cancelled", prompt_tokens=2000,
    output_tokens=3, ttft_ms=1800.0, total_ms=2100.0)
db.commit()
PY
