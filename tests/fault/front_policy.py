"""front_policy.py - what policy makes of places that can't, or mustn't, answer. Part of
front_faults.py."""
import contextlib
import json
import os
import sqlite3
import tempfile
import time

from front_world import (MODEL, NONE_STATUSES, SLACK, TIMEOUT_S, Front, again_until, broken, cloud,
                         device, fault, keys_of, told, whole, words)
from upstream import Behave, Nobody, Upstream

SELECTS = ("random", "weighted", "round-robin", "least-busy", "load-aware", "power-of-two",
           "fastest", "greenest", "best-pcr")


# ---- situations in which the cloud answers, and why ----

class Situation:
    """An edge that can't answer. reason: why the cloud does, then. ready(front, a) brings it about
    when the front runs; whatever it returns is held until the end; more: of each request;
    hopeless: asking again wouldn't help."""

    def __init__(self, name, reason, behave=None, keys=None, policy=None, ready=None, more=None,
                 headers=None, ctx=0, hopeless=False):
        self.name, self.reason, self.behave = name, reason, behave
        self.keys, self.policy, self.ready = keys or {}, policy or {}, ready
        self.more, self.headers, self.ctx = more or {}, headers or {}, ctx
        self.statuses = (400, 404) if hopeless else (504,) if reason == "deadline" else \
            NONE_STATUSES + (429,)

    def devices(self, a):
        return [device("a", a, **self.keys)]


def hold(front, a):
    """A request that keeps the device's only place."""
    a.behave = Behave(tokens=1000, gap_s=0.05)
    return front.begin(key=front.key).begin()


def spend(front, a):
    whole(front.ask(headers=EDGE_ONLY), by="a")


def learn_slow(front, a):
    """What it takes a device is learned from its answers."""
    a.behave = Behave(first_s=0.3)
    for _ in range(4):
        whole(front.ask(headers=EDGE_ONLY), by="a")


def trip(front, a):
    a.behave = Behave(fault="status", status=500)
    for _ in range(3):
        told(front.ask(headers=EDGE_ONLY))


def unplug(front, a):
    a.kill()


EDGE_ONLY = {"X-Edgewise-Edge-Only": "true"}
TOO_LONG = json.dumps({"error": {
    "message": "This model's maximum context length is 64 tokens.", "param": "messages",
    "type": "invalid_request_error", "code": "context_length_exceeded"}}).encode()
SITUATIONS = (
    Situation("no device answers", "down", ready=unplug),
    Situation("the device refuses connections since a moment", ("failover", "down"),
              policy={"probe": "1h"}, ready=unplug),
    Situation("the device answers 500", ("failover", "down"), Behave(fault="status", status=500)),
    Situation("the device is silent", ("failover", "down"), Behave(fault="silent"),
              more={"max_tokens": 2}),
    Situation("the device sends nonsense", ("failover", "down"), Behave(fault="garbage")),
    Situation("the device breaks off before its first token", ("failover", "down"),
              Behave(fault="cut")),
    Situation("the device says 429", ("failover", "capacity"),
              Behave(fault="status", status=429, headers={"Retry-After": "60"}),
              policy={"on_full": "cloud"}),
    Situation("the device rests after failures", ("down", "failover"), ready=trip),
    Situation("the device is full", "capacity", keys={"concurrency": 1},
              policy={"on_full": "cloud"}, ready=hold),
    Situation("the device is at its limit of requests", "capacity",
              keys={"limits": [{"requests": 1, "per": "60s"}]}, policy={"on_full": "cloud"},
              ready=spend),
    Situation("the prompt is too long for the device", "context", ctx=64,
              more={"prompt": "word " * 400}, hopeless=True),
    Situation("the device says that the prompt is too long", ("context", "failover"),
              Behave(fault="status", status=400, body=TOO_LONG), hopeless=True),
    Situation("the device would be too late", "deadline", ready=learn_slow,
              headers={"X-Deadline-Ms": "100"}),
    Situation("the device's model isn't good enough", "quality", keys={"quality": 0.4},
              headers={"X-Edgewise-Min-Quality": "0.8"}, hopeless=True),
    Situation("no device has the model", "capability", keys={"models": ["another"]},
              hopeless=True),
)
QUEUE = "700ms" # what waits in vain does so for that long here


def in_situation(edgewise, situation, with_cloud=True):
    """(front, device, cloud, what is held), to be closed by leave()."""
    a, sky = Upstream(ctx=situation.ctx), Upstream(Behave(tokens=7), models=["big"])
    more, keys = keys_of("plain", {"name": "kiosk", "edge_only": True})
    policy = {"queue": {"timeout": QUEUE}} | situation.policy
    if not with_cloud and policy.get("on_full") == "cloud":
        policy["on_full"] = "reject"
    clouds = [cloud("sky", sky, models={"*": "big"}, quality=0.9)] if with_cloud else []
    front = Front(edgewise, situation.devices(a), clouds, policy, more, key=keys["plain"])
    front.keys = keys
    front.until_healthy("a")
    held = situation.ready(front, a) if situation.ready else None
    if situation.behave:
        a.behave = situation.behave
    return front, a, sky, held


def leave(front, a, sky, held):
    if held:
        held.close()
    front.__exit__(None)
    a.kill()
    sky.kill()


def never_leaves(situation):
    def run(edgewise):
        world = in_situation(edgewise, situation)
        front, _, sky, _ = world
        try:
            seen = set()
            for stream in (True, False):
                for way in ({"headers": EDGE_ONLY}, {"headers": {"X-Edgewise-Edge-Only": "1"}},
                            {"model": f"{MODEL}@edge"}, {"key": front.keys["kiosk"]}):
                    headers = situation.headers | way.get("headers", {})
                    ask = situation.more | way | {"headers": headers, "stream": stream}
                    heard = told(front.ask(**ask), situation.statuses)
                    assert not sky.asked, f"the cloud was asked, though it said {way}"
                    seen.add(heard.status)
            heard = front.ask(headers=situation.headers, **situation.more)
            whole(heard, min(7, situation.more.get("max_tokens", 7)), by="sky")
            reasons = (situation.reason,) if isinstance(situation.reason, str) else situation.reason
            assert heard.header("reason") in reasons, \
                f"the cloud answered for the reason {heard.header('reason')}, not {reasons}"
            row = front.row(heard)
            assert row["reason"] == heard.header("reason"), f"the row has {row['reason']}"
            assert sky.asked[0].json()["model"] == "big", "it was asked for another name"
            return (f"told so ({', '.join(str(s) for s in sorted(seen))}); others are answered by "
                    f"the cloud: {row['reason']}")
        finally:
            leave(*world)
    return run


for SITUATION in SITUATIONS:
    fault("edge only", f"{SITUATION.name}: what is edge_only stays, others go to the cloud")(
        never_leaves(SITUATION))


@fault("edge only", "a device breaks off, with midstream: continue: no cloud goes on from there")
def edge_only_midst(edgewise):
    breaks = Behave(fault="cut", after=2)
    with Upstream(breaks) as a, Upstream(api="anthropic") as sky, \
            Front(edgewise, [device("a", a)], [cloud("sky", sky)],
                  policy={"midstream": "continue"}) as front:
        heard = broken(front.ask(stream=True, headers=EDGE_ONLY))
        assert not sky.asked, "the cloud was asked"
        assert heard.text == words(2)
        heard = front.ask(stream=True)
        assert len(sky.asked) == 1 and heard.text == words(7), f"others don't go on there: {heard}"
        return "told in the stream; another's answer the cloud continues"


@fault("edge only", "a conversation that a cloud answered stays at the edge once it says edge_only")
def edge_only_sticky(edgewise):
    with Upstream(Behave(fault="status", status=500)) as a, Upstream() as sky, \
            Front(edgewise, [device("a", a)], [cloud("sky", sky)],
                  policy={"sticky": "prefix"}) as front:
        messages = [{"role": "user", "content": "Where do I live? " * 20}]
        whole(front.ask(messages=messages), by="sky")
        messages += [{"role": "assistant", "content": words(5)},
                     {"role": "user", "content": "My address is 1 Main Street."}]
        told(front.ask(messages=messages, headers=EDGE_ONLY))
        a.behave = Behave()
        whole(front.ask(messages=messages, headers=EDGE_ONLY), by="a")
        assert len(sky.asked) == 1, "the cloud was asked"
        return "answered by the device, when it could"


@fault("edge only", "a front behind a front, which has a cloud: what is edge_only doesn't leave there")
def edge_only_nested(edgewise):
    more, keys = keys_of("plain", {"name": "kiosk", "edge_only": True})
    with Upstream() as sky, Front(edgewise, clouds=[cloud("sky", sky)]) as inner, \
            Front(edgewise, [device("inner", inner.url)], more=more, key=keys["plain"]) as outer:
        for stream in (True, False):
            for way in ({"headers": EDGE_ONLY}, {"model": f"{MODEL}@edge"}, {"key": keys["kiosk"]}):
                heard = told(outer.ask(stream=stream, **way), (400,))
                assert not sky.asked, f"the cloud was asked, though it said {way}"
        whole(outer.ask(), by="inner")
        assert len(sky.asked) == 1
        told(outer.ask(headers={"X-Edgewise-Min-Quality": "0.9"}), (400,))
        return f"{heard.status}: {heard.error['message']}"


@fault("edge only", "edge_only where the only places are clouds: it is told so, at once")
def edge_only_clouds(edgewise):
    with Upstream() as sky, Front(edgewise, clouds=[cloud("sky", sky)]) as front:
        begin = time.monotonic()
        heard = told(front.ask(headers=EDGE_ONLY), (400,))
        took = time.monotonic() - begin
        assert not sky.asked and took < SLACK * 0.1, f"after {took:.1f} s"
        row = front.row(heard)
        assert row["reason"] == "edge_only", f"the row has reason {row['reason']}"
        return f"{heard.status}: {heard.error['message']}"


# ---- the same, and no cloud ----

def no_cloud(situation):
    def run(edgewise):
        world = in_situation(edgewise, situation, with_cloud=False)
        front = world[0]
        try:
            seen = []
            for stream in (True, False):
                heard = told(front.ask(headers=situation.headers, stream=stream, **situation.more),
                             situation.statuses)
                if heard.status == 503:
                    assert int(heard.headers["retry-after"]) >= 1, "no Retry-After"
                row = front.row(heard)
                assert row["status"] == heard.status and row["finish"] == "error", \
                    f"the row has status {row['status']}, finish {row['finish']}"
                seen.append(f"{heard.status}: {heard.error['message']}")
            return seen[0]
        finally:
            leave(*world)
    return run


for SITUATION in SITUATIONS:
    fault("no cloud", f"{SITUATION.name}, and there is no cloud: the client is told")(
        no_cloud(SITUATION))


@fault("no cloud", "a prompt that may be too long, by its bytes, is for the device to judge")
def may_be_too_long(edgewise):
    with Upstream(ctx=64) as a, Front(edgewise, [device("a", a)]) as front:
        front.until_healthy("a")
        whole(front.ask("word " * 150), by="a")
        heard = told(front.ask("word " * 400), (400,))
        assert len(a.asked) == 1, "it was asked what certainly is too long"
        assert heard.error["code"] == "context_length_exceeded" and \
            heard.error["param"] == "messages", f"{heard.error}"
        return f"answered; 400: {heard.error['message']}"


# ---- deadlines ----

@fault("policy", "a deadline passes while a device is silent: 504, and the device is freed")
def deadline_passes(edgewise):
    with Upstream(Behave(fault="silent")) as a, \
            Front(edgewise, [device("a", a)],
                  policy={"timeouts": {"first_token": "20s"}}) as front:
        seen = []
        for stream in (True, False):
            begin = time.monotonic()
            heard = told(front.ask(stream=stream, headers={"X-Deadline-Ms": "400"}), (504,))
            took = time.monotonic() - begin
            assert took < 0.4 * SLACK, f"after {took:.1f} s"
            a.asked[-1].wait_gone(2)
            assert front.row(heard)["status"] == 504
            seen.append(took)
        return f"504 after {1e3 * max(seen):.0f} ms"


@fault("policy", "a deadline that is no number is a 400")
def deadline_nonsense(edgewise):
    with Upstream() as a, Front(edgewise, [device("a", a)]) as front:
        for value in ("soon", "-1", "1e3x", "nan", ""):
            told(front.ask(headers={"X-Deadline-Ms": value}), (400,))
        for value in ("best", "2", "-1", "nan"):
            told(front.ask(headers={"X-Edgewise-Min-Quality": value}), (400,))
        assert not a.asked, "it was asked all the same"
        whole(front.ask(headers={"X-Deadline-Ms": "60000", "X-Edgewise-Min-Quality": "0"}))
        return "9 values"


@fault("policy", "a client's min_quality is the operator's word: its requests may raise it, not lower it")
def quality_floor(edgewise):
    more, keys = keys_of({"name": "kiosk", "min_quality": 0.5}, "plain")
    with Upstream() as bad, Upstream() as good, \
            Front(edgewise, [device("bad", bad, quality=0.3), device("good", good, quality=0.7)],
                  policy={"min_quality": 0.1}, more=more, key=keys["kiosk"]) as front:
        for asks in (None, "0", "0.2", "0.5", "0.6"):
            headers = {"X-Edgewise-Min-Quality": asks} if asks else {}
            for _ in range(2):
                whole(front.ask(headers=headers), by="good")
        told(front.ask(headers={"X-Edgewise-Min-Quality": "0.8"}), (400,))
        seen = {front.ask(key=keys["plain"]).header("device") for _ in range(2)}
        assert "bad" in seen, f"others are answered by {seen}"
        return "at least 0.5 whatever it says; 400 for 0.8"


# ---- full ----

def full(edgewise, on_full, clouds=True):
    """A front whose only device is full: (front, device, cloud, what keeps it)."""
    world = in_situation(edgewise, Situation("", "", keys={"concurrency": 1}, ready=hold,
                                             policy={"on_full": on_full, "queue": {}}), clouds)
    world[1].behave = Behave()
    return world


@fault("policy", "on_full: queue: the request waits for the device, cloud or not")
def on_full_queue(edgewise):
    world = full(edgewise, "queue")
    front, a, sky, held = world
    try:
        waits = front.begin(stream=False, key=front.keys["plain"])
        front.until("edgewise_queue_requests", 1, 5)
        assert len(a.asked) == 1 and not sky.asked
        held.reset()
        heard = whole(front.hear(waits, stream=False), 5, by="a")
        row = front.row(heard)
        assert row["queue_ms"] > 0, f"the row has queue_ms {row['queue_ms']}"
        assert not sky.asked
        return f"answered by the device after {row['queue_ms']:.0f} ms in the queue"
    finally:
        leave(front, a, sky, None)


@fault("policy", "on_full: reject: 503 with Retry-After at once")
def on_full_reject(edgewise):
    world = full(edgewise, "reject")
    try:
        begin = time.monotonic()
        heard = told(world[0].ask(), (503,))
        took = time.monotonic() - begin
        assert took < 0.1 * SLACK, f"after {took:.1f} s"
        assert int(heard.headers["retry-after"]) >= 1
        assert not world[2].asked
        return f"{heard.status} after {1e3 * took:.0f} ms: {heard.error['message']}"
    finally:
        leave(*world)


@fault("policy", "on_full: cloud: the cloud answers at once, the reason is capacity")
def on_full_cloud(edgewise):
    world = full(edgewise, "cloud")
    try:
        heard = whole(world[0].ask(), 7, by="sky", reason="capacity")
        return f"reason {heard.header('reason')}"
    finally:
        leave(*world)


# ---- money ----

PRICE = "openai/gpt-4.1" # 2 dollars for a million tokens of prompts, 8 for those of answers


@fault("money", "a cloud's budget is spent: it isn't asked any more, and the reason says so")
def budget(edgewise):
    with Upstream(Behave(tokens=100)) as sky:
        # 100 tokens for 8 $/M are 0.0008 dollars.
        sections = cloud("sky", sky, price=PRICE, budget={"usd": 0.002, "per": "1h"})
        with Front(edgewise, clouds=[sections], policy={"on_full": "reject"}) as front:
            count = 0
            while (heard := front.ask(max_tokens=100)).status == 200:
                whole(heard, 100)
                count += 1
                assert count < 10, "nothing stops it"
            told(heard, (429, 503))
            assert int(heard.headers["retry-after"]) >= 1
            assert "isn't enough" in heard.error["message"], f"0.0004 dollars are left: {heard}"
            row = front.row(heard)
            assert row["reason"] == "budget", f"the row has reason {row['reason']}"
            assert len(sky.asked) == count == 2, f"{count} answers of 0.0008 for 0.002 dollars"
            with Upstream() as a:
                front.reload([device("a", a)], [sections], {"on_full": "reject"})
                whole(front.ask(), by="a")
            return f"{count} answers, then {heard.status}: {heard.error['message']}"


@contextlib.contextmanager
def dies(front):
    """A front that is killed, whatever it is at."""
    try:
        yield front
    finally:
        front.__exit__(SystemExit)


def row_of(path, heard):
    """Until the ledger has it: a kill loses what is younger than 100 ms."""
    db = sqlite3.connect(path)
    again_until(1, 5, lambda: db.execute("select count(*) from requests where request_id = ?",
                                         [heard.header("request-id")]).fetchone()[0])
    db.close()


@fault("money", "a budget that is spent stays spent when the front is restarted, ended well or killed")
def budget_restart(edgewise):
    with tempfile.TemporaryDirectory() as folder, Upstream(Behave(tokens=100)) as sky:
        ledger = os.path.join(folder, "ledger.db")
        clouds = [cloud("sky", sky, price=PRICE, budget={"usd": 0.002, "per": "1h"})]
        how = {"policy": {"on_full": "reject"}, "more": {"ledger": ledger}}
        with Front(edgewise, clouds=clouds, **how) as front:
            whole(front.ask(max_tokens=100), 100)
        with dies(Front(edgewise, clouds=clouds, **how)) as front:
            heard = whole(front.ask(max_tokens=100), 100)
            row_of(ledger, heard)
        with Front(edgewise, clouds=clouds, **how) as front:
            heard = told(front.ask(max_tokens=100), (429, 503))
            assert len(sky.asked) == 2 and heard.error["code"] == "budget", f"{heard}"
            assert 3000 < int(heard.headers["retry-after"]) <= 3600, f"{heard.headers}"
            return f"2 answers, then {heard.status} after two restarts: again in an hour"


@fault("money", "limits of clients and devices go on after a restart")
def limits_restart(edgewise):
    more, keys = keys_of({"name": "kiosk", "limits": [{"requests": 2, "per": "1h"}]}, "desk")
    with tempfile.TemporaryDirectory() as folder, Upstream() as a, Upstream() as b:
        more["ledger"] = os.path.join(folder, "ledger.db")
        devices = [device("a", a, limits=[{"requests": 1, "per": "1h"}]), device("b", b)]
        for key, statuses in (("kiosk", (200, 200)), ("kiosk", (429, 429)), ("desk", (200, 200))):
            with Front(edgewise, devices, more=more, key=keys[key]) as front:
                heard = [front.ask() for _ in statuses]
                assert [h.status for h in heard] == list(statuses), f"{[str(h) for h in heard]}"
        assert len(a.asked) == 1, f"{len(a.asked)} requests at a device that takes one an hour"
        return "2 of 2 requests, then 429; 1 of 1 at a device, then the other answers"


NO_LEDGERS = {
    "there is none": (None, None),
    "it is empty": (b"", None),
    "it is damaged": (b"SQLite format 3\0" + b"and then nonsense " * 5000, "begin empty"),
    "it is another program's": ("create table other(x)", "begin empty"),
    "another process has it for itself": ("create table other(x); pragma locking_mode = exclusive; "
                                          "begin exclusive", "begin empty"),
}


@fault("money", "a ledger that is no use at the start: it serves, limits begin empty, it says so")
def no_ledger(edgewise):
    seen = []
    for what, (content, said) in NO_LEDGERS.items():
        with tempfile.TemporaryDirectory() as folder, Upstream(Behave(tokens=100)) as sky:
            ledger, held = os.path.join(folder, "ledger.db"), None
            if isinstance(content, bytes):
                with open(ledger, "wb") as file:
                    file.write(content)
            elif content:
                held = sqlite3.connect(ledger, isolation_level=None)
                held.executescript(content)
            clouds = [cloud("sky", sky, price=PRICE, budget={"usd": 0.002, "per": "1h"})]
            with Front(edgewise, clouds=clouds, more={"ledger": ledger}) as front:
                whole(front.ask(max_tokens=100), 100)
                lines = [line for line in front.log if "limits and budgets" in line]
                assert any(said in line for line in lines) if said else not lines, \
                    f"{what}: it says {lines}"
            if held:
                held.close()
            seen += [what] if said else []
    return f"said where {', where '.join(seen)}"


@fault("money", "an answer whose price isn't known costs null, never 0")
def no_price(edgewise):
    with Upstream() as sky, Front(edgewise, clouds=[cloud("sky", sky)]) as front:
        for stream in (True, False):
            options = {"stream_options": {"include_usage": True}} if stream else {}
            heard = whole(front.ask(stream=stream, **options))
            assert heard.usage["cost_cents"] is None, f"usage says {heard.usage['cost_cents']}"
            row = front.row(heard)
            assert row["cost_cents"] is None, f"the row says {row['cost_cents']}"
            assert row["energy_j"] is None, f"the row says {row['energy_j']} J of a cloud"
        return "null in the answer and in the row"


@fault("money", "an answer of known price costs what its tokens do, cached ones less where known")
def price(edgewise):
    with Upstream(Behave(tokens=50)) as sky, \
            Front(edgewise, clouds=[cloud("sky", sky, price=PRICE)]) as front:
        heard = whole(front.ask("word " * 100, stream=True), 50)
        row = front.row(heard)
        due = 100 * (row["prompt_tokens"] * 2 + 50 * 8) / 1e6
        assert abs(row["cost_cents"] - due) < 1e-9, f"{row['cost_cents']} cents, not {due}"
        assert row["prompt_tokens"] == 100, f"{row['prompt_tokens']} tokens"
        return f"{row['cost_cents']:.4f} cents"


@fault("money", "a price that the table doesn't have is an error of the configuration")
def price_missing(edgewise):
    with Upstream() as sky:
        try:
            with Front(edgewise, clouds=[cloud("sky", sky, price="openai/gpt-0")]):
                pass
        except AssertionError as error:
            said = str(error).splitlines()[-1]
            assert "gpt-0" in said, said
            return said[said.index("edgewise.yaml"):] if "edgewise.yaml" in said else said
    raise AssertionError("it serves")


WATTS = 20


def lost(row, least_s, most_s):
    """A row whose joules are those of a device that failed: so many seconds of its watts."""
    assert row["energy_j"] is not None, f"the row has no joules: {row['energy_kind']}"
    assert least_s * WATTS <= row["energy_j"] < most_s * WATTS, f"the row has {row['energy_j']} J"
    assert row["energy_kind"] == "modelled" and row["cost_cents"] > 0, f"{row}"
    return row


@fault("money", "a device that takes a request and fails without a word: its joules are in the row")
def joules_of_failed(edgewise):
    script = [Behave(fault="head_only")] # for whoever is asked first
    with Upstream(script=script) as a, Upstream(script=script) as b, \
            Front(edgewise, [device("a", a, watts=WATTS), device("b", b, watts=WATTS)]) as front:
        row = lost(front.row(whole(front.ask(stream=True), attempts=2)), TIMEOUT_S, 3 * TIMEOUT_S)
        failed = json.loads(row["decision"])[0]
        assert WATTS * TIMEOUT_S <= failed["failed_j"] <= row["energy_j"], f"{failed['failed_j']} J"
        parts = front.gauge("edgewise_place_energy_joules_total")
        assert abs(parts - row["energy_j"]) < 1e-3, f"the places have {parts} J, the row {row}"
        return f"{row['energy_j']:.1f} J, of them {failed['failed_j']:.1f} for nothing"


@fault("money", "nobody answers, or the client goes before the first token: the joules are in the row")
def joules_of_nobody(edgewise):
    with Upstream(Behave(fault="head_only")) as a, \
            Front(edgewise, [device("a", a, watts=WATTS)]) as front:
        none = lost(front.row(told(front.ask(stream=True))), TIMEOUT_S, 3 * TIMEOUT_S)
        request = front.begin(stream=True)
        a.until_asked(2)
        time.sleep(TIMEOUT_S / 2)
        request.reset()
        gone = lost(front.until_row(499), TIMEOUT_S / 2, 3 * TIMEOUT_S)
        return f"{none['energy_j']:.1f} and {gone['energy_j']:.1f} J"


@fault("money", "a device that never had the request, or whose watts aren't known, adds no joules")
def joules_of_nothing(edgewise):
    with Nobody() as nobody, Front(edgewise, [device("a", nobody, watts=WATTS)]) as front:
        refused = front.row(told(front.ask()))
    with Upstream(Behave(fault="head_only")) as a, Front(edgewise, [device("a", a)]) as front:
        unknown = front.row(told(front.ask(stream=True)))
    for row in (refused, unknown):
        assert row["energy_j"] is None and row["cost_cents"] is None, f"{row}"
    return "null in both rows, never 0"


# ---- tokens ----

@fault("tokens", "an upstream that tells no usage: tokens are counted here, marked as estimated")
def no_usage(edgewise):
    with Upstream(Behave(usage="never")) as a, Front(edgewise, [device("a", a)]) as front:
        for stream in (True, False):
            options = {"stream_options": {"include_usage": True}} if stream else {}
            heard = whole(front.ask("one two three", stream=stream, **options))
            row = front.row(heard)
            assert row["tokens_kind"] == "estimated", f"tokens_kind {row['tokens_kind']}"
            assert row["output_tokens"] and 2 <= row["output_tokens"] <= 20, \
                f"{row['output_tokens']} tokens"
            assert row["prompt_tokens"] and 1 <= row["prompt_tokens"] <= 60, \
                f"{row['prompt_tokens']} tokens of a prompt"
            assert heard.usage["completion_tokens"] == row["output_tokens"]
        return f"{row['prompt_tokens']} and {row['output_tokens']} tokens, estimated"


@fault("tokens", "what was estimated teaches nothing: the same prompt is estimated the same again")
def no_drift(edgewise):
    with Upstream(Behave(usage="never")) as a, Front(edgewise, [device("a", a)]) as front:
        rows = [front.row(whole(front.ask("Hi", stream=i % 2 == 0))) for i in range(30)]
        counts = {(row["prompt_tokens"], row["stream"], row["output_tokens"]) for row in rows}
        assert len(counts) <= 2, f"estimates wander: {counts}"
        return f"{rows[0]['prompt_tokens']} tokens, 30 times"


@fault("tokens", "usage is asked of the upstream always, and told to those who asked alone")
def usage_asked(edgewise):
    with Upstream() as a, Front(edgewise, [device("a", a)]) as front:
        heard = whole(front.ask(stream=True))
        assert a.asked[0].json()["stream_options"]["include_usage"] is True, "it wasn't asked"
        assert heard.usage is None and not heard.extra, f"it was told: {heard.usage}{heard.extra}"
        row = front.row(heard)
        assert row["output_tokens"] == 5 and row["tokens_kind"] in ("counted", "reported"), \
            f"the row has {row['output_tokens']}, {row['tokens_kind']}"
        heard = whole(front.ask(stream=True, stream_options={"include_usage": True}))
        assert heard.usage["completion_tokens"] == 5, f"{heard.usage}"
        return "5 tokens in both rows, one usage"


@fault("tokens", "a client that goes in the midst: what came until then is in its row")
def tokens_of_gone(edgewise):
    with Upstream(Behave(tokens=500, gap_s=0.01)) as a, \
            Front(edgewise, [device("a", a)]) as front:
        request = front.begin("one two three").begin()
        for _ in range(3):
            request.first()
        request.reset()
        row = front.until_row(499)
        assert row["output_tokens"] and 3 <= row["output_tokens"] < 500, \
            f"{row['output_tokens']} tokens"
        assert row["tokens_kind"] == "estimated" and row["finish"] == "cancelled"
        return f"{row['output_tokens']} tokens, estimated"


def tokens_of_broken(front, place, **behave):
    """What the row says of a stream without its end."""
    place.next(Behave(fault="no_end", **behave))
    row = front.row(broken(front.ask(stream=True)))
    assert row["tokens_kind"] == "estimated", f"tokens_kind {row['tokens_kind']}"
    return row["output_tokens"]


@fault("tokens", "a stream that broke off is counted by its pieces, however short the prompts' words are")
def tokens_of_pieces(edgewise):
    with Upstream() as a, Front(edgewise, [device("a", a)]) as front:
        first = tokens_of_broken(front, a, tokens=200, after=100)
        for _ in range(20):
            whole(front.ask("a " * 200)) # a token for each two bytes
        later = tokens_of_broken(front, a, tokens=200, after=100)
        assert first == later == 100, f"{first}, then {later} tokens, not 100"
        return "100 pieces came, 100 tokens, estimated"


@fault("tokens", "a place with several tokens a piece: what broke off is counted as its whole streams were")
def tokens_of_long_pieces(edgewise):
    with Upstream(Behave(tokens=50, piece=10)) as a, Front(edgewise, [device("a", a)]) as front:
        first = tokens_of_broken(front, a, tokens=200, after=100, piece=10)
        assert 50 <= first <= 200, f"{first} tokens, where bytes alone say it"
        whole(front.ask(stream=True), 50)
        later = tokens_of_broken(front, a, tokens=200, after=100, piece=10)
        assert later == 100, f"{later} tokens in 10 pieces of 10"
        return f"10 pieces: {first} tokens, and {later} once a whole stream of 10 a piece came"


# ---- selections, stickiness ----

@fault("policy", "each of the nine selections serves, with broken devices among all")
def selections(edgewise):
    with Upstream() as a, Upstream() as b, Nobody() as nobody, \
            Upstream(Behave(fault="status", status=500)) as broke:
        devices = [device("a", a), device("b", b, weight=3), device("nobody", nobody),
                   device("broke", broke)]
        spread = []
        for select in SELECTS:
            with Front(edgewise, devices, policy={"select": select}) as front:
                before = len(a.asked), len(b.asked)
                for _ in range(3):
                    requests = [front.begin(stream=i % 2 == 0) for i in range(8)]
                    for i, request in enumerate(requests):
                        whole(front.hear(request, i % 2 == 0), 5, by=("a", "b"))
                spread.append(f"{select} {len(a.asked) - before[0]}:{len(b.asked) - before[1]}")
        return ", ".join(spread)


@fault("policy", "a conversation stays where it is known, and moves when that device is gone")
def sticky(edgewise):
    with Upstream() as a, Upstream() as b, \
            Front(edgewise, [device("a", a), device("b", b)],
                  policy={"sticky": "prefix"}) as front:
        messages = [{"role": "system", "content": "You are terse. " * 40},
                    {"role": "user", "content": "Hello."}]
        heard = whole(front.ask(messages=messages))
        assert heard.header("sticky") is None, f"sticky {heard.header('sticky')} at its beginning"
        home = heard.header("device")
        for _ in range(4):
            messages += [{"role": "assistant", "content": words(5)},
                         {"role": "user", "content": "Go on."}]
            heard = whole(front.ask(messages=messages), by=home)
            assert heard.header("sticky") == "hit", f"sticky {heard.header('sticky')}"
        (a if home == "a" else b).kill()
        messages += [{"role": "assistant", "content": words(5)}, {"role": "user", "content": "So?"}]
        heard = whole(front.ask(messages=messages), by="b" if home == "a" else "a")
        assert heard.header("sticky") == "moved", f"sticky {heard.header('sticky')}"
        heard = whole(front.ask(messages=messages), by="b" if home == "a" else "a")
        assert heard.header("sticky") == "hit", f"sticky {heard.header('sticky')} after it moved"
        return "miss, 4 hits, moved, hit"


@fault("policy", "a device gets no more at once, and in no second more, than its limits say")
def limits(edgewise):
    with Upstream(Behave(first_s=0.02)) as a, Upstream(Behave(first_s=0.03)) as b, \
            Front(edgewise, [device("a", a, limits=[{"requests": 10, "per": "1s"}], concurrency=3),
                             device("b", b, concurrency=1)],
                  policy={"queue": {"max": 200, "timeout": "60s"}, "select": "least-busy"}) as front:
        requests = [front.begin(stream=i % 2 == 0) for i in range(100)]
        for i, request in enumerate(requests):
            whole(front.hear(request, i % 2 == 0))
        assert a.most <= 3 and b.most <= 1, f"{a.most} and {b.most} at once"
        times = sorted(asked.at for asked in a.asked)
        gaps = [times[i + 10] - times[i] for i in range(len(times) - 10)]
        # The front counts when it begins; on the way to the stand-in the gap may shrink a little.
        assert all(gap > 0.9 for gap in gaps), f"11 requests in {min(gaps):.2f} s"
        return f"{len(a.asked)} and {len(b.asked)} answers, at most {a.most} and {b.most} at once"
