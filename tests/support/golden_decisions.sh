# golden_decisions.sh - sourced by golden tests behind golden_ledger.sh: requests of a front, with the
# decisions that were made.
python3 - <<'PY'
import json, sqlite3
db = sqlite3.connect("ledger.db")
def known(part):
    if isinstance(part, dict):
        return {key: known(value) for key, value in part.items() if value is not None}
    return [known(value) for value in part] if isinstance(part, list) else part
def put(minute, old=False, **values): # old: of a version that kept nulls
    values.update(request_id="req_%d" % minute, arrived_ms=1795430000000 + minute * 60000,
                  peer="10.0.0.9", route="/v1/chat/completions")
    if isinstance(values.get("decision"), list):
        values["decision"] = json.dumps(values["decision"] if old else known(values["decision"]),
                                        separators=(",", ":"))
    db.execute("INSERT INTO requests(%s) VALUES(%s)" % (", ".join(values), ", ".join("?" * len(values))),
               list(values.values()))
def candidate(name, refusal=None, wait_s=None, ttft_s=None, total_s=None, joules=None, cents=None, quality=None,
              cloud=False):
    return dict(name=name, cloud=cloud, refusal=refusal, wait_s=wait_s, score=total_s, ttft_s=ttft_s,
                total_s=total_s, joules=joules, cents=cents, quality=quality, pcr=None)
def decision(action, chosen, reason, candidates, wait_s=None, others=0):
    return dict(select="load-aware", action=action, chosen=chosen, reason=reason, wait_s=wait_s,
                edge_cents=0.00024, cloud_cents=0.12, candidates=candidates, others=others)
openai = dict(name="openai", ttft_s=0.6, total_s=2.1, cents=0.1234, quality=0.97, cloud=True)
agx = dict(name="agx", ttft_s=0.21, total_s=3.4, joules=35.0, cents=0.000243, quality=0.62)
here = dict(name="here", ttft_s=0.9, total_s=11.0, joules=90.5, cents=0.00063, quality=0.2)
# a device fails, another answers
put(1600, client="kiosk", model="qwen2.5-3b", device="here", place="engine", reason="failover", status=200,
    finish="stop", stream=1, choices=1, attempts=2, prompt_tokens=412, output_tokens=120, tokens_kind="counted",
    ttft_ms=950.0, total_ms=10321.0, energy_j=88.125, energy_kind="modelled", cost_cents=0.000612,
    edge_cents=0.000243, cloud_cents=0.1234, decision=[
        decision("go", "agx", "selected", [candidate(**agx), candidate(**here),
                 candidate(refusal="preferred", **openai), candidate("den", "full", 3.25)], others=2)
        | {"failed": "agx failed: 10.0.0.5:8080: it was silent for 3 s after the request.", "failed_j": 45.0},
        decision("go", "here", "failover", [candidate(**here), candidate(refusal="preferred", **openai),
                 candidate(refusal="tried", **agx), candidate("den", "full", 2.5)])])
# the devices are full, and the cloud answers after a wait
put(1601, old=True, client="kiosk", model="qwen2.5-3b", device="openai", place="cloud", reason="capacity", status=200,
    finish="length", stream=0, choices=2, attempts=1, prompt_tokens=40, output_tokens=64, tokens_kind="reported",
    ttft_ms=580.0, total_ms=1900.0, energy_kind="unknown", cost_cents=0.0318, cloud_cents=0.031, decision=[
        decision("queue", None, "capacity", [candidate("agx", "full"), candidate(refusal="limit", wait_s=9, **openai)],
                 wait_s=9),
        decision("go", "openai", "capacity", [candidate(**openai), candidate("agx", "full")])])
# nobody may answer; a name that isn't kind to terminals
put(1602, client="phone", model="qwen2.5-3b", reason="edge_only", status=503, finish="error", stream=1, choices=1,
    attempts=0, error="No device can answer, and the request must not leave the edge.", decision=[
        decision("reject", None, "edge_only", [candidate("agx\u001b[31m", "down", 1.5),
                 candidate(refusal="edge_only", **openai)], wait_s=1.5)])
# cut, and not even JSON
whole = json.dumps(known([decision("go", "agx", "selected", [candidate(**agx)] + [candidate("d%d" % i, "full")
                   for i in range(3)])]), separators=(",", ":"))
put(1603, client="kiosk", model="m", device="agx", place="device", reason="selected", status=200, attempts=1,
    decision=whole[:-20])
put(1604, client="kiosk", model="m", device="agx", place="device", reason="selected", status=200, attempts=1,
    decision=whole[:100])
db.commit()
PY
