#!/usr/bin/env python3
"""serve_faults.py - what goes wrong around a server, done to a real one.

    tests/fault/serve_faults.py EDGEWISE MODEL.gguf [--only WORD] [--table]

Each fault is a function under its sentence; it raises AssertionError when the server did otherwise
and returns what was seen. Prints a table; --table prints it as docs/FAULTS.md has it. The last line
is "N passed, N failed". MODEL is SmolLM2: the tests need a model that takes a moment to answer.
Times are printed as they are, and judged with slack, since the machine may be busy."""
import argparse
import hashlib
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from served import RUNNING, WAITING, Server # noqa: E402

FREE_S = 0.1      # a slot must be free so soon after its client is gone
SLACK = 20        # times, on a machine that does something else meanwhile
CHAT = "/v1/chat/completions"
FAULTS = []       # (group, sentence, function)
# Sentences that don't hold yet: tried all the same, told as skipped, and a failure once they hold.
NOT_YET = os.path.join(os.path.dirname(os.path.abspath(__file__)), "not_yet.txt")


def fault(group, sentence):
    def add(function):
        FAULTS.append((group, sentence, function))
        return function
    return add


def words(count):
    """A prompt of a little more than so many tokens."""
    return "Tell me about this list. " + " ".join(f"item{i % 10}" for i in range(count // 2))


def config(model, policy="", device="", more=""):
    return (f"listen: 127.0.0.1:0\ndevices:\n  - name: here\n    model: {model}\n{device}"
            f"policy:\n  {policy or 'on_full: queue'}\n{more}")


def in_threads(count, function):
    """function(0) … function(count - 1) at once; their results, or the first exception."""
    results = [None] * count

    def one(i):
        try:
            results[i] = function(i)
        except Exception as error: # told by the caller's thread
            results[i] = error
    threads = [threading.Thread(target=one, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results


def well(server):
    """The server still does what it is for."""
    assert server.get("/health").status == 200, "/health isn't 200 any more"
    reply = server.chat("Hello", max_tokens=2)
    assert reply.status == 200, f"it answers {reply.status} afterwards: {reply.body[:200]}"


# ---- clients that go ----

def freed(server, hang_up):
    assert server.gauge(RUNNING) > 0, "nothing runs that could be cancelled"
    begin = time.monotonic()
    hang_up()
    server.until(RUNNING, 0, FREE_S * SLACK)
    took = time.monotonic() - begin
    well(server)
    row = next((r for r in server.until_rows(2) if r["status"] == 499), None)
    assert row, "the ledger has no row with status 499"
    assert row["finish"] == "cancelled", f"finish is {row['finish']}"
    return f"place free after {1e3 * took:.0f} ms, a row with 499"


def leave(at, streamed, how):
    def run(edgewise, model):
        with Server(edgewise, model) as server:
            prompt = words(3000) if at == "prefill" else words(40)
            c = server.open_chat(prompt, stream=streamed, max_tokens=600)
            if at == "midst" and streamed:
                c.begin().first()
            else:
                server.until(RUNNING, 1, 5)
                time.sleep(0.3 if at == "midst" else 0.02 if at == "prefill" else 0)
            return freed(server, c.reset if how == "gone" else
                         lambda: c.socket.shutdown(socket.SHUT_WR))
    return run


for AT, WHEN in (("start", "before the first token"), ("prefill", "while its long prompt is read"),
                 ("midst", "in the midst of its answer")):
    for STREAMED, WHAT in ((True, "streamed"), (False, "not streamed")):
        fault("clients", f"a client that is gone {WHEN}, {WHAT}, frees its place")(
            leave(AT, STREAMED, "gone"))
fault("clients", "a client that shuts down its sending side has hung up")(
    leave("midst", True, "half closed"))


@fault("clients", "a client that is gone while it waits leaves the queue")
def gone_in_queue(edgewise, model):
    with Server(edgewise, model, config(model, device="    concurrency: 1\n")) as server:
        first = server.open_chat("Count.", max_tokens=150).begin()
        first.first()
        second = server.open_chat("Hello", max_tokens=10)
        server.until(WAITING, 1, 3)
        second.reset()
        took = server.until(WAITING, 0, FREE_S * SLACK)
        first.rest()
        assert first.ended, "the one that was running broke off"
    return f"queue empty after {1e3 * took:.0f} ms, the running answer went on"


@fault("clients", "a reader that stops reading is paused; others go on, memory is bounded")
def slow_reader(edgewise, model):
    with Server(edgewise, model) as server:
        well(server)
        before = server.rss()
        slow = server.open_chat("Tell a story.", receive_bytes=4096, max_tokens=500, n=8,
                                logprobs=True, top_logprobs=20)
        server.until(RUNNING, 1, 5)
        begin = time.monotonic()
        reply = server.chat("Hello", max_tokens=10)
        took = time.monotonic() - begin
        assert reply.status == 200 and took < 5, f"another's answer took {took:.1f} s"
        server.until(RUNNING, 0, 40)
        grown = (server.rss() - before) / 1e6
        slow.begin()
        slow.rest()
        assert slow.ended, "what it read at last wasn't whole"
        slow.close()
        assert grown < 100, f"{grown:.0f} MB more"
        well(server)
    return (f"paused, its 8 places free, {grown:.0f} MB more; the other took {took:.1f} s; whole "
            "once it was read")


# ---- requests that are wrong ----

WRONG_TYPES = {
    "model": 5, "messages": "hi", "max_tokens": "ten", "max_completion_tokens": [1], "n": "two",
    "temperature": "hot", "top_p": {}, "stop": 5, "seed": "x", "stream": "yes",
    "stream_options": 1, "logprobs": "yes", "top_logprobs": "x", "presence_penalty": "x",
    "frequency_penalty": [], "logit_bias": [1, "x"], "response_format": 7, "tools": "x",
    "tool_choice": 5, "user": 5,
}
OUT_OF_RANGE = {"temperature": -1, "top_p": 2, "n": 0, "max_tokens": -1, "top_logprobs": 1000,
                "presence_penalty": 9, "frequency_penalty": -9, "messages": []}


def refused(reply, statuses, code=None, param=None):
    assert reply.status in statuses, f"status {reply.status}: {reply.body[:200]}"
    error = reply.fault()
    assert code is None or error["code"] == code, f"code {error['code']}, not {code}"
    assert param is None or str(error["param"] or "").startswith(param), \
        f"param {error['param']}, not {param}: {error['message']}"
    return f"{reply.status}: {error['message']}"


def on_one_server(group, sentence):
    """A fault that needs nothing but a server, which is well afterwards."""
    def add(function):
        def run(edgewise, model):
            with Server(edgewise, model) as server:
                seen = function(server)
                well(server)
                return seen
        FAULTS.append((group, sentence, run))
        return function
    return add


@on_one_server("requests", "a field of a wrong type is a 400 that names the field")
def wrong_types(server):
    good = server.body("Hello", max_tokens=1)
    for field, value in WRONG_TYPES.items():
        try:
            refused(server.post(CHAT, good | {field: value}), {400}, param=field)
        except AssertionError as error:
            raise AssertionError(f"{field}: {error}") from None
    return f"{len(WRONG_TYPES)} fields"


@on_one_server("requests", "a value out of its range is a 400 that names the field")
def out_of_range(server):
    good = server.body("Hello", max_tokens=1)
    for field, value in OUT_OF_RANGE.items():
        more = {"logprobs": True} if field == "top_logprobs" else {}
        try:
            refused(server.post(CHAT, good | more | {field: value}), {400}, param=field)
        except AssertionError as error:
            raise AssertionError(f"{field}: {error}") from None
    return f"{len(OUT_OF_RANGE)} fields"


@on_one_server("requests", "a field that nobody knows is ignored")
def unknown_field(server):
    reply = server.chat("Hello", max_tokens=1, metadata={"a": "b"}, store=True, whatever=[1])
    assert reply.status == 200, f"status {reply.status}: {reply.body[:200]}"
    return "200"


@on_one_server("requests", "bad JSON is a 400 on a connection that goes on")
def bad_json(server):
    bodies = (b"", b"{", b"[]", b"null", b"{\"model\": \"a\",}", b"\xff\xfe", b"{\"a\": \"\xc0\"}",
              b"{\"model\": \"\\ud800\", \"messages\": 1}", b"hello", b"{}" * 2, b"\0" * 100)
    with server.connect() as c:
        for body in bodies:
            c.post(CHAT, body)
            refused(c.reply(), {400})
    return f"{len(bodies)} bodies, one connection"


@on_one_server("requests", "JSON 100,000 deep is a 400")
def deep_json(server):
    for body in (b"[" * 100000 + b"]" * 100000, b"{\"a\":" * 100000 + b"1" + b"}" * 100000):
        said = refused(server.post(CHAT, body), {400})
    return said


@on_one_server("requests", "a body of 64 MB is a 413 told before it is read")
def large_body(server):
    before = server.rss()
    with server.connect() as c:
        c.send(f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
               f"Content-Length: {64 << 20}\r\n\r\n")
        sent, block = 0, b" " * 65536
        c.socket.settimeout(0.5)
        try:
            while sent < 64 << 20:
                sent += c.socket.send(block)
        except OSError:
            pass # it doesn't take all of it: right so
        c.socket.settimeout(10)
        said = refused(c.reply(), {413})
    grown = (server.rss() - before) / 1e6
    assert grown < 40, f"{grown:.0f} MB more"
    return said


@on_one_server("requests", "an unknown model is a 404 with the code model_not_found")
def unknown_model(server):
    reply = server.chat("Hello", model="gpt-17")
    assert reply.fault()["param"] is None, "OpenAI's has no param" # /v1/models/NAME has
    refused(server.get("/v1/models/gpt-17"), {404}, code="model_not_found", param="model")
    return refused(reply, {404}, code="model_not_found")


@on_one_server("requests", "an unknown path is a 404, a wrong method a 405 that says which is right")
def unknown_path(server):
    refused(server.get("/v1/nonsense"), {404})
    reply = server.get(CHAT)
    refused(reply, {405})
    assert "POST" in reply.headers.get("allow", ""), f"Allow: {reply.headers.get('allow')}"
    return "404; 405, Allow: " + reply.headers["allow"]


@on_one_server("requests", "a prompt longer than the context is a 400 with the two numbers")
def long_prompt(server):
    return refused(server.chat(words(30000), max_tokens=1), {400},
                   code="context_length_exceeded")[:100]


# ---- HTTP that is wrong ----

def raw(server, data, statuses):
    """Sends the bytes; the status must be one of these (0: the connection ends without one)."""
    with server.connect(timeout_s=20) as c:
        try:
            c.send(data)
        except OSError:
            pass
        try:
            reply = c.reply()
        except (ConnectionError, AssertionError):
            reply = None
        status = reply.status if reply else 0
        assert status in statuses, f"status {status} for {data[:80]!r}"
        if status >= 400:
            reply.fault()
    return status


def head(*headers, method="POST", path=CHAT):
    return (f"{method} {path} HTTP/1.1\r\nHost: x\r\n" +
            "".join(h + "\r\n" for h in headers) + "\r\n").encode("latin-1")


MALFORMED = (
    ("a negative Content-Length", head("Content-Length: -5"), {400}),
    ("a Content-Length that is no number", head("Content-Length: five"), {400}),
    ("a Content-Length of 30 digits", head("Content-Length: " + "9" * 30), {400, 413}),
    ("two Content-Lengths", head("Content-Length: 2", "Content-Length: 3") + b"{}", {400}),
    ("no Content-Length", head(), {400, 411}),
    ("a length and chunks", head("Content-Length: 2", "Transfer-Encoding: chunked") +
     b"0\r\n\r\n", {400}),
    ("chunks of garbage", head("Transfer-Encoding: chunked") + b"zz\r\nhello\r\n", {400}),
    ("a chunk of 2^64 bytes", head("Transfer-Encoding: chunked") + b"f" * 17 + b"\r\n", {400, 413}),
    ("an unknown transfer coding", head("Transfer-Encoding: gzip"), {400, 501}),
    ("10,000 headers", head(*[f"X-{i}: 1" for i in range(10000)]), {431, 400}),
    ("a header of 1 MB", head("X: " + "a" * (1 << 20)), {431, 400}),
    ("a path of 1 MB", b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\n\r\n", {414, 431, 400}),
    ("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {400, 0}),
    ("HTTP/9", b"GET / HTTP/9.0\r\nHost: x\r\n\r\n", {400, 505}),
    ("a header without a colon", b"GET /health HTTP/1.1\r\nnonsense\r\n\r\n", {400}),
    ("a space before a header's colon", b"GET /health HTTP/1.1\r\nHost : x\r\n\r\n", {400}),
)


@on_one_server("HTTP", "what isn't HTTP is refused as a JSON error and the connection closed")
def malformed(server):
    seen = []
    for name, data, statuses in MALFORMED:
        try:
            seen.append(raw(server, data, statuses))
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from None
    return f"{len(seen)} kinds: " + ", ".join(str(s) for s in sorted(set(seen)))


@on_one_server("HTTP", "a body shorter than its Content-Length, then hung up, is dropped")
def short_body(server):
    with server.connect() as c:
        c.send(head("Content-Length: 1000") + b"{\"model\"")
        c.socket.shutdown(socket.SHUT_WR)
        status, _ = c.head()
        assert status in (0, 400, 408), f"status {status}"
    return f"status {status or 'none'}"


@on_one_server("HTTP", "a body longer than its Content-Length spoils nothing but its connection")
def long_body(server):
    with server.connect() as c:
        c.send(head("Content-Length: 2") + b"{}" + b"garbage\r\n\r\n")
        refused(c.reply(), {400})
        status, _ = c.head()
        assert status in (0, 400), f"status {status} for the garbage behind it"
    return "400, then closed"


@on_one_server("HTTP", "requests sent without waiting are answered in their order")
def pipelined(server):
    with server.connect() as c:
        for i in range(1, 6):
            c.post(CHAT, server.body("Count: 1 2 3", max_tokens=i, logit_bias={"2": -100}))
        counts = [c.reply().json()["usage"]["completion_tokens"] for _ in range(5)]
    assert counts == [1, 2, 3, 4, 5], f"answers came as {counts}"
    return "5 of 5"


# ---- signals ----

def steady(server, count, tokens):
    """So many streams begun, every second one not streamed; (waits, asks)."""
    streams = [server.open_chat(f"Tell story {i}.", max_tokens=tokens) for i in range(count)]
    wholes = [server.open_chat(f"Tell tale {i}.", max_tokens=tokens, stream=False)
              for i in range(count)]
    streams[0].begin().first()
    return streams, wholes


def all_end_well(streams, wholes):
    def one(i):
        if i < len(streams):
            stream = streams[i] if i == 0 else streams[i].begin()
            assert stream.status == 200, f"a stream got {stream.status}: {stream.body[:200]}"
            stream.rest()
            assert stream.ended, "a stream ended without [DONE]"
        else:
            reply = wholes[i - len(streams)].reply()
            assert reply.status == 200, f"an answer got {reply.status}: {reply.body[:200]}"
    in_threads(len(streams) + len(wholes), one)
    return len(streams) + len(wholes)


@fault("signals", "SIGTERM under load: every request is answered to its end, then it exits with 0")
def term_under_load(edgewise, model):
    # What may take longer than the drain's usual 30 s on a busy machine isn't what is tested here.
    with Server(edgewise, model, config(model, "timeouts: {drain: 1h}")) as server:
        load = steady(server, 6, 60)
        # All are in by then: only the server knows what has reached it.
        while server.gauge(RUNNING) + server.gauge(WAITING) + len(server.rows()) < 12:
            time.sleep(0.01)
        server.signal(signal.SIGTERM)
        count = all_end_well(*load)
        status = server.wait()
        assert status == 0, f"exit status {status}: {server.words()}"
        assert len(server.rows()) >= count, "rows are missing in the ledger"
    return f"{count} of {count} answered, all in the ledger"


@fault("signals", "SIGTERM while it drains: new connections are refused, not kept waiting")
def term_refuses(edgewise, model):
    with Server(edgewise, model, config(model, "timeouts: {drain: 1h}")) as server:
        stream = server.open_chat("Tell a story.", max_tokens=300).begin()
        stream.first()
        server.signal(signal.SIGTERM)
        time.sleep(0.3)
        try:
            status = server.get("/health").status
        except (ConnectionError, OSError):
            status = 0
        assert status in (0, 503), f"status {status} while draining"
        stream.rest()
        assert stream.ended, "the stream broke off"
        assert server.wait() == 0
    return "refused" if status == 0 else "503"


@fault("signals", "SIGHUP under load, with a good configuration and with a bad one: none fails")
def hup_under_load(edgewise, model):
    good = config(model, "queue: {max: 50, timeout: 30s}")
    with Server(edgewise, model, good) as server:
        load = steady(server, 4, 80)
        server.configure(config(model, "queue: {max: 60, timeout: 30s}"))
        server.signal(signal.SIGHUP)
        time.sleep(0.3)
        server.configure("listen: [nonsense\n")
        server.signal(signal.SIGHUP)
        time.sleep(0.3)
        server.configure(good)
        server.signal(signal.SIGHUP)
        count = all_end_well(*load)
        well(server)
        said = [line for line in server.log if "edgewise.yaml:" in line]
        assert said, "nobody was told what is wrong with the bad one:\n" + server.words()
    return f"{count} of {count} answered; {said[0].rsplit('/', 1)[-1]}"


@fault("signals", "a second server on the same port says so and fails")
def same_port(edgewise, model):
    with Server(edgewise, model) as server:
        done = subprocess.run([edgewise, "serve", model, "--port", str(server.port), "--ledger",
                               server.ledger + "2"], capture_output=True, timeout=20, check=False)
        said = done.stderr.decode().strip().splitlines()[-1]
        assert done.returncode == 1, f"exit status {done.returncode}: {said}"
        assert str(server.port) in said, f"the port isn't told: {said}"
        well(server)
    return said


# ---- the ledger ----

def asked(server, count, begin=0):
    for i in range(count):
        start = time.monotonic()
        reply = server.chat(f"Hello {begin + i}", max_tokens=3)
        assert reply.status == 200, f"status {reply.status}"
        assert time.monotonic() - start < 5, "an answer waited for the ledger"


@fault("ledger", "each outcome has its row: answered, refused, unknown, cancelled, turned away")
def row_each(edgewise, model):
    text = config(model, "on_full: reject", "    concurrency: 1\n")
    with Server(edgewise, model, text) as server:
        asked(server, 1)
        server.post(CHAT, b"{")
        server.chat("Hello", temperature="hot")
        server.chat("Hello", model="gpt-17")
        stream = server.open_chat("Tell a story.", max_tokens=500).begin()
        stream.first()
        server.chat("Hello")
        stream.reset()
        rows = server.until_rows(6)
        statuses = sorted(row["status"] for row in rows)
        assert statuses == [200, 400, 400, 404, 499, 503], f"rows with {statuses}"
        cut = next(row for row in rows if row["status"] == 499)
        assert cut["output_tokens"] > 0, "the cancelled answer's tokens aren't counted"
        assert len({row["request_id"] for row in rows}) == 6, "an id was given twice"
    return ", ".join(str(s) for s in statuses)


@fault("ledger", "a locked ledger: answers go on, the rows arrive when it is free")
def ledger_locked(edgewise, model):
    with Server(edgewise, model) as server:
        asked(server, 2)
        server.until_rows(2)
        lock = sqlite3.connect(server.ledger, isolation_level=None)
        lock.execute("begin immediate")
        asked(server, 10)
        time.sleep(1)
        lock.execute("rollback")
        lock.close()
        rows = server.until_rows(12, 15)
    return f"{len(rows)} of 12 rows"


@fault("ledger", "a full disk: answers go on, it says so, the rows arrive when there is room")
def ledger_full(edgewise, model):
    def little_room():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN) # so that writes fail with EFBIG
        resource.setrlimit(resource.RLIMIT_FSIZE, (90000, resource.RLIM_INFINITY))
    with Server(edgewise, model, before=little_room) as server:
        asked(server, 60)
        time.sleep(0.3)
        few = len(server.rows())
        assert few < 60, "the disk wasn't full"
        assert any("ledger" in line.lower() for line in server.log), "nobody was told"
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE,
                         (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        asked(server, 1, 60)
        rows = server.until_rows(61, 20)
    return f"{few} rows while full, {len(rows)} of 61 after"


@fault("ledger", "a corrupt ledger: answers go on, it says so, no row that came after is lost")
def ledger_corrupt(edgewise, model):
    with tempfile.TemporaryDirectory(prefix="edgewise-corrupt-") as folder:
        path = os.path.join(folder, "ledger.db")
        with open(path, "wb") as file:
            file.write(b"not a database at all" * 2000)
        with Server(edgewise, model, f"ledger: {path}\n" + config(model)) as server:
            asked(server, 10)
            time.sleep(1)
            said = [line for line in server.log if "ledger" in line.lower()]
            assert said, "nobody was told"
            assert server.stop() == 0, server.words()
            after = set()
            for name in os.listdir(folder):
                try:
                    after |= {r["request_id"] for r in server.rows(os.path.join(folder, name))}
                except sqlite3.Error:
                    pass
            assert len(after) >= 10, f"{len(after)} of 10 rows are in no file: {said}"
            kept = [name for name in os.listdir(folder) if name != "ledger.db"]
    return f"{len(after)} of 10 rows in a new file, the old one kept as {kept}"


def killed(edgewise, model, options, grace_s):
    ended = {}
    with Server(edgewise, model, options=options) as server:
        stop = time.monotonic() + 1.5
        while time.monotonic() < stop:
            reply = server.chat("Hello", max_tokens=2)
            ended[reply.headers["x-edgewise-request-id"]] = time.monotonic()
        at = time.monotonic()
        server.signal(signal.SIGKILL)
        server.wait()
        have = {row["request_id"] for row in server.rows()}
    due = [name for name, when in ended.items() if at - when >= grace_s]
    lost = [name for name in due if name not in have]
    assert due and not lost, f"{len(lost)} of {len(due)} rows are lost"
    return f"{len(due)} of {len(due)} rows due, {len(have)} of {len(ended)} in all"


@fault("ledger", "kill -9 loses no row whose answer ended 100 ms before")
def kill_nine(edgewise, model):
    return killed(edgewise, model, (), 0.1)


@fault("ledger", "kill -9 with --durable loses no row that a client saw the end of")
def kill_durable(edgewise, model):
    return killed(edgewise, model, ("--durable",), 0)


# ---- load ----

@fault("load", "two hundred at once, a queue of ten: each gets its answer or a 503 with Retry-After")
def two_hundred(edgewise, model):
    text = config(model, "queue: {max: 10, timeout: 60s}", "    concurrency: 4\n")
    with Server(edgewise, model, text) as server:
        connections = [server.connect() for _ in range(200)]
        for c in connections:
            c.post(CHAT, server.body("Tell a story.", max_tokens=40))
        counts = {200: 0, 503: 0}
        for c in connections:
            reply = c.reply()
            assert reply.status in counts, f"status {reply.status}: {reply.body[:200]}"
            counts[reply.status] += 1
            if reply.status == 503:
                reply.fault()
                assert int(reply.headers["retry-after"]) >= 1, "Retry-After isn't seconds"
            c.close()
        assert sum(counts.values()) == 200 and counts[200] >= 14, str(counts)
        assert len(server.until_rows(200)) == 200
        well(server)
    return f"{counts[200]} answered, {counts[503]} told to come later, 200 rows"


@fault("load", "on_full: reject turns away at once what can't begin at once")
def on_full_reject(edgewise, model):
    text = config(model, "on_full: reject", "    concurrency: 1\n")
    with Server(edgewise, model, text) as server:
        stream = server.open_chat("Tell a story.", max_tokens=300).begin()
        stream.first()
        begin = time.monotonic()
        reply = server.chat("Hello", max_tokens=2)
        took = time.monotonic() - begin
        refused(reply, {503})
        assert int(reply.headers["retry-after"]) >= 1
        assert took < 0.5, f"that took {took:.1f} s"
        stream.rest()
        assert stream.ended, "the running answer broke off"
        well(server)
    return f"503 after {1e3 * took:.0f} ms, Retry-After: {reply.headers['retry-after']}"


@fault("load", "who waits longer than the queue's timeout is told so with a 503")
def queue_timeout(edgewise, model):
    text = config(model, "queue: {max: 10, timeout: 1s}", "    concurrency: 1\n")
    with Server(edgewise, model, text) as server:
        stream = server.open_chat("Tell a story.", max_tokens=1500).begin()
        stream.first()
        begin = time.monotonic()
        reply = server.chat("Hello", max_tokens=2)
        took = time.monotonic() - begin
        refused(reply, {503})
        assert "retry-after" in reply.headers, "no Retry-After"
        assert 0.8 < took < 4, f"after {took:.1f} s"
        stream.reset()
    return f"503 after {took:.1f} s"


@fault("load", "a client with 50 requests doesn't starve one with a single request")
def fair(edgewise, model):
    keys = {"many": "key-of-many-0123456789abcdef", "one": "key-of-one-0123456789abcdef"}
    clients = "clients:\n" + "".join(
        f"  - name: {name}\n    key_hash: \"{hashlib.sha256(key.encode()).hexdigest()}\"\n"
        for name, key in keys.items())
    text = config(model, "queue: {max: 100, timeout: 60s}", "    concurrency: 4\n", clients)

    def ttft(server):
        begin = time.monotonic()
        with server.open_chat("Hello", keys["one"], max_tokens=5).begin() as stream:
            return stream.first() - begin
    with Server(edgewise, model, text, key=keys["one"]) as server:
        refused(server.chat("Hello", "wrong"), {401})
        alone = min(ttft(server) for _ in range(3))
        crowd = [server.open_chat(f"Story {i}.", keys["many"], max_tokens=24) for i in range(50)]
        server.until(WAITING, 46, 5)
        begin = time.monotonic()
        beside = ttft(server)
        in_threads(50, lambda i: crowd[i].begin().rest())
        whole = time.monotonic() - begin
        assert all(stream.ended for stream in crowd), "one of the 50 broke off"
        assert beside < whole / 4, f"it waited {beside:.1f} s of the others' {whole:.1f} s"
    return (f"first token after {1e3 * alone:.0f} ms alone, {1e3 * beside:.0f} ms beside 50, who "
            f"took {whole:.1f} s")


@fault("load", "the model's file is deleted while it serves: it goes on")
def model_deleted(edgewise, model):
    copy = os.path.join(os.path.dirname(model), f".deleted-{os.getpid()}.gguf")
    os.link(model, copy)
    try:
        with Server(edgewise, copy) as server:
            well(server)
            os.unlink(copy)
            well(server)
    finally:
        if os.path.exists(copy):
            os.unlink(copy)
    return "answers go on from what is mapped"


# ---- all of them ----

def read_not_yet():
    if not os.path.exists(NOT_YET):
        return set()
    with open(NOT_YET, encoding="utf-8") as file:
        return {line.strip() for line in file if line.strip() and not line.startswith("#")}


# What only a release build can be held to, by the beginning of its sentence: a sanitizer takes
# memory and time of its own.
RELEASE_ONLY = ("a reader that stops", "a body of 64 MB", "a client with 50", "a full disk",
                "SIGTERM while it drains", "on_full: reject", "who waits longer", "kill -9",
                "a locked ledger", "a client that is gone while it waits")


def run_all(args):
    results, not_yet = [], read_not_yet()
    sanitized = "/release/" not in args.edgewise
    unknown = not_yet - {sentence for _, sentence, _ in FAULTS}
    assert not unknown, f"not_yet.txt has what is no fault: {unknown}"
    for group, sentence, function in FAULTS:
        if args.only and args.only not in f"{group} {sentence}":
            continue
        if sanitized and sentence.startswith(RELEASE_ONLY) and not args.only:
            results.append((group, sentence, "skip", "needs a release build"))
            print(f"skip  {group}: {sentence}\n        skipped: needs a release build", flush=True)
            continue
        begin = time.monotonic()
        try:
            word, seen = "ok", function(args.edgewise, args.model)
        except Exception as error: # whatever it is, the fault's test has failed
            word, seen = "FAIL", f"{type(error).__name__}: {error}"
        if sentence in not_yet:
            word, seen = (("FAIL", "it holds now: take it out of not_yet.txt") if word == "ok" else
                          ("skip", f"skipped, doesn't hold yet: {seen}"))
        took = time.monotonic() - begin
        results.append((group, sentence, word, seen))
        if not args.table or word == "FAIL":
            print(f"{word:4}  {group}: {sentence} ({took:.1f} s)\n        {seen}",
                  file=sys.stderr if args.table else sys.stdout, flush=True)
    return results


def main():
    parser = argparse.ArgumentParser(description="faults around a real server")
    parser.add_argument("edgewise")
    parser.add_argument("model")
    parser.add_argument("--only", metavar="WORD", help="faults with this in group or sentence")
    parser.add_argument("--table", action="store_true", help="print what docs/FAULTS.md has")
    args = parser.parse_args()
    results = run_all(args)
    failed = sum(word == "FAIL" for _, _, word, _ in results)
    if args.table:
        print("| | fault | seen |\n|---|---|---|")
        for group, sentence, word, seen in results:
            seen = " ".join(seen.split()).replace("|", "/")
            print(f"| {group} | {sentence} | {'' if word == 'ok' else '**not so:** '}{seen} |")
    else:
        skipped = sum(word == "skip" for _, _, word, _ in results)
        print(f"{len(results) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    sys.exit(failed > 0 or not results)


main()
