. $REPO/tests/support/golden_model.sh
python3 - <<'PY'
import os, sys
sys.path.insert(0, os.environ["REPO"] + "/tests/support")
from served import Server
key_hash = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"  # of "a"
config = """
devices:
  - models: [smollm2-135m]
    watts: 1000
clients:
  - name: kiosk
    key_hash: %s
    limits: [{joules: 0.5, per: 1h}, {tokens: 100000, per: 1h}]
""" % key_hash
with Server("edgewise", "smollm2-135m", config, key="a") as server:
    first = server.chat("Why is the sky blue?", max_tokens=8)
    second = server.chat("And at night?", max_tokens=8)
    print(first.status, "then", second.status, second.json()["error"]["type"])
    print("it may try again in an hour:", 3500 < int(second.headers["retry-after"]) <= 3600)
    rows = server.until_rows(2)
    print([(r["status"], r["place"], r["attempts"], r["tokens_kind"], r["energy_j"] is None) for r in rows])
PY
