"""front_upstream.py - faults of devices and clouds, and what a front makes of them. Part of
front_faults.py."""
import tempfile
import time

from front_world import (GONE_S, SLACK, TIMEOUT_S, Front, again_until, broken, cloud, device, fault,
                         told, whole, words)
from upstream import Behave, Unreachable, Upstream, certificate

# What a device does instead of a good answer, before its first token. For those that take a time,
# the time is TIMEOUT_S.
BEFORE = (
    ("accepts and is silent", Behave(fault="silent")),
    ("hangs up without a byte", Behave(fault="close")),
    ("says what isn't HTTP", Behave(fault="garbage")),
    ("sends a head and then nothing", Behave(fault="head_only")),
    ("answers 200 with an empty body", Behave(fault="empty")),
    ("answers 200 with a page for people", Behave(fault="page")),
    ("answers 200 with half a JSON text", Behave(fault="no_json")),
    ("answers 200 with JSON that is no answer", Behave(fault="other_json")),
    ("answers 500", Behave(fault="status", status=500)),
    ("answers 502 with a page", Behave(fault="status", status=502, body=b"<h1>Bad gateway</h1>")),
    ("answers 401, for our key is wrong", Behave(fault="status", status=401)),
    ("sends us elsewhere", Behave(fault="redirect")),
    ("sends headers without end", Behave(fault="many_headers")),
    ("is cut off behind its head", Behave(fault="cut")),
    ("says who speaks, and then nothing", Behave(fault="stall")),
    ("sends heartbeats and no token", Behave(fault="heartbeat")),
    ("sends malformed events", Behave(fault="malformed")),
    ("sends a line without end", Behave(fault="huge_line")),
    ("ends its stream without a word", Behave(fault="no_end")),
    ("says in its stream that it failed", Behave(fault="told")),
)
STREAM_ONLY = ("stall", "heartbeat", "malformed", "huge_line", "no_end", "told")
WHOLE_ONLY = (
    ("promises a body of 10 GB", Behave(fault="huge_body")),
    ("ends before its Content-Length", Behave(fault="short")),
    ("is cut off in the midst of a body", Behave(fault="cut", after=1)),
    ("stalls in the midst of a body", Behave(fault="stall", after=1)),
)


def forms(behave):
    """Streamed or not: which of them it can be done to."""
    if any(behave is one for _, one in WHOLE_ONLY):
        return (False,)
    return (True,) if behave.fault in STREAM_ONLY else (True, False)


def falls_over(behave):
    """Whoever is asked first fails; the other answers, and the client sees a good answer."""
    def run(edgewise):
        took = []
        for stream in forms(behave):
            script = [behave]
            with Upstream(script=script, keeps=False) as a, \
                    Upstream(script=script, keeps=False) as b, \
                    Front(edgewise, [device("a", a), device("b", b)]) as front:
                begin = time.monotonic()
                heard = whole(front.ask(stream=stream, max_tokens=5), 5, reason="failover",
                              attempts=2)
                took.append(time.monotonic() - begin)
                other = b if heard.header("device") == "b" else a
                assert len(a.asked) == len(b.asked) == 1 and other.asked, "who was asked how often?"
                row = front.row(heard)
                assert row["attempts"] == 2 and row["reason"] == "failover", \
                    f"the row has attempts {row['attempts']}, reason {row['reason']}"
                assert row["status"] == 200 and row["device"] == heard.header("device"), \
                    f"the row has status {row['status']}, device {row['device']}"
        return f"the other answers, after {1e3 * max(took):.0f} ms"
    return run


def alone(behave):
    """There is no other: an honest error, and a row."""
    def run(edgewise):
        seen = []
        for stream in forms(behave):
            with Upstream(script=[behave], keeps=False) as a, Front(edgewise, [device("a", a)]) as front:
                heard = told(front.ask(stream=stream, max_tokens=5))
                row = front.row(heard)
                assert row["status"] == heard.status, f"the row has {row['status']}"
                assert row["finish"] == "error", f"the row has finish {row['finish']}"
                whole(again_asked(front))
                seen.append(f"{heard.status}: {heard.error['message']}")
                if behave.fault == "redirect":
                    assert "302" in seen[-1], f"it isn't told what it said: {seen[-1]}"
        return seen[0]
    return run


def again_asked(front):
    """A request when the place is well again (a place that failed may be left alone a moment)."""
    heard = front.ask()
    begin = time.monotonic()
    while heard.status != 200 and time.monotonic() - begin < 5:
        time.sleep(0.1)
        heard = front.ask()
    return heard


for WHAT, BEHAVE in BEFORE + WHOLE_ONLY:
    fault("before the first token", f"a device that {WHAT}: another one answers")(
        falls_over(BEHAVE))
for WHAT, BEHAVE in BEFORE + WHOLE_ONLY:
    fault("before the first token", f"the only device {WHAT}: the client is told")(alone(BEHAVE))


@fault("before the first token", "a kept connection is closed under a request: asked again, unseen")
def kept_closed(edgewise):
    with Upstream() as a, Front(edgewise, [device("a", a)]) as front:
        for i in range(4):
            whole(front.ask())
            a.script.append(Behave(fault="close"))
            whole(front.ask(stream=i % 2 == 0), by="a", attempts=1)
            assert a.asked[-1].connection != a.asked[-2].connection
        return "4 of 4, attempts 1"


@fault("before the first token", "a device that refuses connections: another one answers")
def refused(edgewise):
    with Upstream() as a, Upstream() as b, \
            Front(edgewise, [device("a", a), device("b", b)], policy={"probe": "1h"}) as front:
        whole(front.ask())
        whole(front.ask())
        assert a.asked and b.asked, "both should have been well"
        a.kill()
        heard = [whole(front.ask(stream=i % 2 == 0), 5, by="b") for i in range(4)]
        tries = [int(one.header("attempts")) for one in heard]
        assert 2 in tries, "nobody found out that it is gone"
        return f"attempts {tries}"


@fault("before the first token", "a device that is switched off: another one answers in time")
def unreachable(edgewise):
    with Unreachable() as a, Upstream() as b, \
            Front(edgewise, [device("a", a), device("b", b)]) as front:
        took = []
        for i in range(4):
            begin = time.monotonic()
            whole(front.ask(stream=i % 2 == 0), 5, by="b")
            took.append(time.monotonic() - begin)
        assert max(took) < TIMEOUT_S + 3, f"that took {max(took):.1f} s"
        return f"answered after at most {1e3 * max(took):.0f} ms"


@fault("before the first token", "a device whose name doesn't resolve: another one answers")
def no_name(edgewise):
    with Upstream() as b, \
            Front(edgewise, [device("a", "http://no-such-device.invalid:8080/v1"),
                             device("b", b)]) as front:
        for i in range(4):
            whole(front.ask(stream=i % 2 == 0), 5, by="b")
        return "4 of 4 answered"


@fault("before the first token", "no device's name resolves, nor the cloud's: the client is told")
def no_names(edgewise):
    with Front(edgewise, [device("a", "http://no-such-device.invalid:8080/v1")],
               [cloud("sky", "https://no-such-cloud.invalid/v1")]) as front:
        heard = told(front.ask())
        assert "retry-after" in heard.headers, "no Retry-After"
        assert front.row(heard)["finish"] == "error"
        return f"{heard.status}: {heard.error['message']}"


def distrusted(edgewise, which):
    """A cloud over TLS that isn't to be trusted is never sent a request; another one is."""
    with tempfile.TemporaryDirectory(prefix="edgewise-front-") as folder:
        good = certificate(folder, "good")
        bad = certificate(folder, "bad", **{"expired": {"days": -1}, "strange": {}, "other name": {
            "names": "DNS:elsewhere.example"}}[which])
        trusted = {"expired": bad, "strange": good, "other name": bad}[which]
        with Upstream(certificate=bad) as a, Upstream(certificate=good) as b:
            first = cloud("a", a, ca=trusted[0], weight=1000)
            with Front(edgewise, clouds=[first]) as front:
                heard = told(front.ask(stream=True))
                assert not a.asked, "it was sent a request all the same"
                said = heard.error["message"] + " ".join(front.log)
                assert "certificate" in said.lower(), f"nobody says why: {said}"
            with Front(edgewise, clouds=[first, cloud("b", b, ca=good[0])]) as front:
                for i in range(3):
                    whole(front.ask(stream=i % 2 == 0), 5, by="b")
            assert not a.asked, "it was sent a request all the same"
            return f"{heard.status}: {heard.error['message']}"


@fault("before the first token", "a cloud's certificate has expired: it is sent nothing")
def expired(edgewise):
    return distrusted(edgewise, "expired")


@fault("before the first token", "a cloud's certificate is a stranger's: it is sent nothing")
def strange(edgewise):
    return distrusted(edgewise, "strange")


@fault("before the first token", "a cloud's certificate is another name's: it is sent nothing")
def other_name(edgewise):
    return distrusted(edgewise, "other name")


@fault("before the first token", "a device says that the request is wrong: that is told as it is")
def wrong_request(edgewise):
    with Upstream(Behave(fault="status", status=400)) as a, \
            Upstream(Behave(fault="status", status=400)) as b, \
            Front(edgewise, [device("a", a), device("b", b)]) as front:
        for i in range(4): # more than the breaker's failures
            heard = told(front.ask(stream=i % 2 == 0), (400,))
        assert len(a.asked) + len(b.asked) == 4, "others were asked the same wrong thing"
        assert heard.header("attempts") in (None, "1")
        a.behave = b.behave = Behave()
        whole(front.ask())
        return f"400: {heard.error['message']}; asked once each"


@fault("before the first token", "devices fail in turn: each is asked once, and no more than all")
def all_fail(edgewise):
    fails = Behave(fault="status", status=500)
    with Upstream(fails) as a, Upstream(fails) as b, Upstream(fails) as c, \
            Front(edgewise, [device("a", a), device("b", b), device("c", c)]) as front:
        heard = told(front.ask())
        counts = [len(one.asked) for one in (a, b, c)]
        assert counts == [1, 1, 1], f"asked {counts} times"
        row = front.row(heard)
        assert row["attempts"] == 3, f"the row has attempts {row['attempts']}"
        return f"asked {counts} times; {heard.status}: {heard.error['message']}"


# ---- in the midst of a streamed answer ----

MIDST = (
    ("is cut off", "cut"), ("stalls", "stall"), ("ends without its end", "no_end"),
    ("sends a malformed event", "malformed"), ("sends a line without end", "huge_line"),
    ("says that it failed", "told"),
)


def breaks(name, **more):
    return Behave(fault=name, after=2, tokens=6, **more)


def in_the_midst(name):
    def run(edgewise):
        script = [breaks(name)]
        with Upstream(script=script) as a, Upstream(script=script) as b, \
                Front(edgewise, [device("a", a), device("b", b)]) as front:
            heard = broken(front.ask(stream=True))
            assert heard.text.startswith(words(2)), f"its words are lost: {heard}"
            assert len(a.asked) + len(b.asked) == 1, \
                "another one was asked, though its answer can't be used any more"
            row = front.row(heard)
            assert row["finish"] == "error" and row["status"] >= 500, \
                f"the row has status {row['status']}, finish {row['finish']}"
            assert row["attempts"] == 1, f"the row has attempts {row['attempts']}"
            assert row["output_tokens"] and row["output_tokens"] >= 2, \
                f"the row has {row['output_tokens']} tokens of the two or more that came"
            return f"in the stream: {heard.error['message']}"
    return run


def goes_on(name):
    def run(edgewise):
        script = [breaks(name)]
        well = Behave(tokens=6)
        with Upstream(well, script=script) as a, Upstream(well, script=script) as b, \
                Front(edgewise, [device("a", a), device("b", b)],
                      policy={"midstream": "continue"}) as front:
            heard = whole(front.ask(stream=True), 2 + 6)
            first, second = (a, b) if heard.header("device") == "a" else (b, a)
            assert len(first.asked) == len(second.asked) == 1
            last = second.asked[0].json()["messages"][-1]
            assert last["role"] == "assistant" and last["content"].startswith(words(2)), \
                f"it was told to go on from {last}"
            row = front.row(heard)
            assert row["attempts"] == 2 and row["status"] == 200, \
                f"the row has attempts {row['attempts']}, status {row['status']}"
            assert row["reason"] == "failover", f"the row has reason {row['reason']}"
            assert row["output_tokens"] == 8 and row["tokens_kind"] == "estimated", \
                f"{row['output_tokens']} tokens, {row['tokens_kind']}: the first part told no usage"
            return f"goes on where it broke off; attempts {row['attempts']}"
    return run


for WHAT, NAME in MIDST:
    fault("in the midst", f"a device {WHAT}: the client is told, its answer doesn't seem whole")(
        in_the_midst(NAME))
for WHAT, NAME in MIDST:
    fault("in the midst", f"a device {WHAT}, with midstream: continue: another one goes on")(
        goes_on(NAME))


@fault("in the midst", "midstream: continue, and the next device breaks off, too: once is enough")
def goes_on_once(edgewise):
    script = [breaks("cut"), breaks("cut")]
    with Upstream(script=script) as a, Upstream(script=script) as b, Upstream() as c, \
            Front(edgewise, [device("a", a), device("b", b), device("c", c)],
                  policy={"midstream": "continue"}) as front:
        c.script = script
        heard = broken(front.ask(stream=True))
        count = len(a.asked) + len(b.asked) + len(c.asked)
        assert count == 2, f"{count} devices were asked"
        assert heard.text == words(4), f"{heard}"
        row = front.row(heard)
        assert row["finish"] == "error" and row["attempts"] == 2, \
            f"the row has finish {row['finish']}, attempts {row['attempts']}"
        return f"in the stream: {heard.error['message']}"


@fault("in the midst", "midstream: continue, with max_tokens: the next one has what is left of them")
def goes_on_within(edgewise):
    script = [breaks("cut")]
    with Upstream(Behave(tokens=20), script=script) as a, \
            Upstream(Behave(tokens=20), script=script) as b, \
            Front(edgewise, [device("a", a), device("b", b)],
                  policy={"midstream": "continue"}) as front:
        heard = whole(front.ask(stream=True, max_tokens=6), 6)
        asked = sorted(up.asked[0].json()["max_tokens"] for up in (a, b))
        assert asked == [4, 6] and heard.finish == "length", f"asked for {asked}; {heard}"
        return "two tokens came, four more were asked for"


@fault("in the midst", "midstream: continue: each place has its own part, the row the whole")
def goes_on_accounted(edgewise):
    script, slow_s = [breaks("cut")], TIMEOUT_S / 4
    well = Behave(tokens=6, first_s=slow_s)
    with Upstream(well, script=script) as a, Upstream(well, script=script) as b, \
            Front(edgewise, [device("a", a, watts=10), device("b", b, watts=10)],
                  policy={"midstream": "continue"}) as front:
        heard = whole(front.ask(stream=True), 8)
        row = front.row(heard)
        assert row["ttft_ms"] < row["total_ms"] - 1000 * slow_s, \
            f"first token {row['ttft_ms']} of {row['total_ms']} ms: that is the second place's"
        assert row["energy_j"] > 10 * slow_s and row["energy_kind"] == "modelled", f"{row}"
        parts = [front.gauge("edgewise_place_output_tokens_total"),
                 front.gauge("edgewise_place_energy_joules_total")]
        assert parts[0] == 8 and abs(parts[1] - row["energy_j"]) < 1e-3, \
            f"the places have {parts} together, the row 8 tokens and {row['energy_j']} J"
        return f"first token after {row['ttft_ms']:.0f} of {row['total_ms']:.0f} ms"


@fault("in the midst", "midstream: continue, but a cloud of OpenAI's API can't go on: the client is told")
def no_going_on(edgewise):
    with Upstream(breaks("cut")) as a, Upstream() as sky, \
            Front(edgewise, [device("a", a)], [cloud("sky", sky)],
                  policy={"midstream": "continue"}) as front:
        heard = broken(front.ask(stream=True))
        assert heard.text == words(2) and not sky.asked, f"{heard}"
        assert heard.error["message"].startswith("a failed"), f"{heard}"
        return f"it would begin anew; in the stream: {heard.error['message']}"


@fault("in the midst", "a device answers without end: max_tokens or the time ends it, not memory",
       release_only=True)
def endless(edgewise):
    with Upstream(Behave(fault="endless")) as a, \
            Front(edgewise, [device("a", a)], policy={"timeouts": {"request": "2s"}}) as front:
        before = front.rss()
        begin = time.monotonic()
        heard = front.ask(stream=True)
        took = time.monotonic() - begin
        assert took < 2 * SLACK, f"that took {took:.1f} s"
        assert not heard.ended, "it ends with [DONE], as if it were whole"
        grown = (front.rss() - before) / 1e6
        assert grown < 40, f"{grown:.0f} MB more"
        a.asked[0].wait_gone(GONE_S * SLACK)
        a.behave = Behave()
        whole(again_asked(front))
        said = heard.error["message"] if heard.error else "cut, for its client is far behind"
        return f"after {took:.1f} s, {grown:.0f} MB more: {said}"


@fault("in the midst", "a device reboots: its answer breaks off, it is asked again when it is back")
def reboot(edgewise):
    with Upstream(Behave(tokens=200, gap_s=0.02)) as a, Upstream() as sky, \
            Front(edgewise, [device("a", a)], [cloud("sky", sky)]) as front:
        request = front.begin().begin()
        request.first()
        a.kill()
        a.behave = Behave()
        try:
            request.rest()
            raise AssertionError("nobody was told")
        except AssertionError as error:
            assert "an error in a stream" in str(error), str(error)
        assert not request.ended, "it ends with [DONE], as if it were whole"
        request.close()
        whole(front.ask(), 5, by="sky")
        a.start()
        took = again_until("a", 30, lambda: whole(front.ask()).header("device"))
        return f"the cloud answers meanwhile; asked again {1e3 * took:.0f} ms after it is back"


# ---- slow, small, busy ----

@fault("busy", "answers that come one byte at a time are whole, in all three APIs")
def bytewise(edgewise):
    for api in ("openai", "anthropic", "ollama"):
        with Upstream(Behave(bytewise=True), api=api) as a, \
                Front(edgewise, [device("a", a)]) as front:
            for stream in (True, False):
                heard = whole(front.ask(stream=stream, max_tokens=50))
                assert front.row(heard)["output_tokens"] == 5
    return "streamed and not"


@fault("busy", "answers of HTTP/1.0, which end with their connection, are whole")
def old_http(edgewise):
    for api in ("openai", "anthropic", "ollama"):
        with Upstream(Behave(fault="to_the_end"), api=api) as a, \
                Front(edgewise, [device("a", a)]) as front:
            for stream in (True, False):
                whole(front.ask(stream=stream, max_tokens=50))
    return "streamed and not, in all three APIs"


@fault("busy", "an answer without a word is an answer, and no failure")
def no_words(edgewise):
    for api in ("openai", "anthropic", "ollama"):
        with Upstream(Behave(tokens=0), api=api) as a, Front(edgewise, [device("a", a)]) as front:
            for i in range(4):
                heard = whole(front.ask(stream=i % 2 == 0, max_tokens=50), 0, attempts=1)
                row = front.row(heard)
                assert row["status"] == 200 and row["output_tokens"] == 0, \
                    f"{api}: the row has {row['status']}, {row['output_tokens']} tokens"
                assert heard.finish == "stop", f"{api}: it ended by {heard.finish}"
    return "streamed and not, in all three APIs"


@fault("busy", "429 with Retry-After: others answer until then, and the breaker stays closed")
def told_to_wait(edgewise):
    busy = Behave(fault="status", status=429, headers={"Retry-After": "2"})
    with Upstream() as a, Upstream() as b, \
            Front(edgewise, [device("a", a), device("b", b)]) as front:
        a.behave = busy
        begin = time.monotonic()
        while not a.asked:
            whole(front.ask())
        told_at = a.asked[0].at
        while time.monotonic() - told_at < 1.5:
            whole(front.ask(), by="b")
        assert len(a.asked) == 1, f"asked {len(a.asked)} times before its Retry-After"
        a.behave = Behave()
        again_until("a", 10, lambda: whole(front.ask()).header("device"))
        waited = a.asked[1].at - told_at
        assert waited >= 1.9, f"asked again after {waited:.2f} s"
        return f"asked again after {waited:.1f} s; {time.monotonic() - begin:.1f} s in all"


@fault("busy", "429 from the only device, with queue: the request waits so long, and is answered")
def waits_it_out(edgewise):
    busy = Behave(fault="status", status=429, headers={"Retry-After-Ms": "300"})
    with Upstream(script=[busy] * 4) as a, Front(edgewise, [device("a", a)]) as front:
        begin = time.monotonic()
        heard = whole(front.ask())
        took = time.monotonic() - begin
        gaps = [y.at - x.at for x, y in zip(a.asked, a.asked[1:])]
        assert len(a.asked) == 5, f"asked {len(a.asked)} times"
        assert min(gaps) >= 0.29, f"asked again after {min(gaps):.3f} s"
        return f"4 times 429, then answered after {took:.1f} s; attempts {heard.header('attempts')}"


@fault("busy", "429 from all, with reject: a 429 or 503 with the shortest Retry-After")
def all_wait(edgewise):
    with Upstream(Behave(fault="status", status=429, headers={"Retry-After": "7"})) as a, \
            Upstream(Behave(fault="status", status=429, headers={"Retry-After": "70"})) as b, \
            Front(edgewise, [device("a", a), device("b", b)],
                  policy={"on_full": "reject"}) as front:
        told(front.ask(), (429, 503))
        heard = told(front.ask(), (429, 503))
        wait = int(heard.headers["retry-after"])
        assert 1 <= wait <= 7, f"Retry-After: {wait}"
        assert len(a.asked) == len(b.asked) == 1, "they were asked again at once"
        return f"{heard.status}, Retry-After: {wait}: {heard.error['message']}"


@fault("busy", "a Retry-After that makes no sense keeps a device away for an hour at most")
def senseless_wait(edgewise):
    values = ("-5", "soon", "1e999", "", "99999999999999999999", "nan")
    script = []
    with Upstream(script=script) as b:
        for value in values:
            with Front(edgewise, [device("b", b)], policy={"on_full": "reject"}) as front:
                script.append(Behave(fault="status", status=429, headers={"Retry-After": value}))
                heard = told(front.ask(), (429, 503))
                wait = int(heard.headers.get("retry-after", 0))
                assert 1 <= wait <= 3600, f"'{value}' becomes {wait}"
                if "9" not in value:
                    again_until(200, 2 * SLACK, lambda: front.ask().status)
        return ", ".join(f"'{value}'" for value in values)


@fault("busy", "503 with Retry-After is a busy device, not a broken one")
def busy_503(edgewise):
    busy = Behave(fault="status", status=503, headers={"Retry-After-Ms": "100"})
    with Upstream(script=[busy] * 5) as a, Front(edgewise, [device("a", a)]) as front:
        begin = time.monotonic()
        whole(front.ask())
        took = time.monotonic() - begin
        assert took < 4, f"that took {took:.1f} s: the breaker is open"
        return f"5 times 503, answered after {1e3 * took:.0f} ms"


@fault("busy", "three failures open the breaker; after its rest one request tries it again")
def breaker(edgewise):
    fails = Behave(fault="status", status=500)
    with Upstream(fails) as a, Upstream() as sky, \
            Front(edgewise, [device("a", a)], [cloud("sky", sky)]) as front:
        begin = time.monotonic()
        for _ in range(20):
            whole(front.ask(), by="sky")
        assert len(a.asked) == 3, f"it was asked {len(a.asked)} times"
        assert whole(front.ask()).header("reason") in ("down", "failover")
        a.behave = Behave()
        again_until("a", 20, lambda: (time.sleep(0.1), whole(front.ask()).header("device"))[1])
        rest = a.asked[3].at - begin
        whole(front.ask(), by="a")
        assert len(front.rows()) > 20
        return f"asked 3 times of 21, then again after {rest:.1f} s"


@fault("busy", "a trial that fails rests the device for longer")
def breaker_again(edgewise):
    fails = Behave(fault="status", status=500)
    with Upstream(fails) as a, Upstream() as sky, \
            Front(edgewise, [device("a", a)], [cloud("sky", sky)]) as front:
        for _ in range(5):
            whole(front.ask(), by="sky")
        last = a.asked[-1].at
        while len(a.asked) == 3 and time.monotonic() - last < 10:
            whole(front.ask(), by="sky")
            time.sleep(0.1)
        rest = a.asked[3].at - last
        begin = time.monotonic()
        while time.monotonic() - begin < 5.5:
            whole(front.ask(), by="sky")
            time.sleep(0.2)
        assert len(a.asked) == 4, f"it was asked {len(a.asked)} times"
        return f"a trial after {rest:.1f} s, none in the next 5.5 s"

