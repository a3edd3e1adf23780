"""faults_load.py - more requests than there is room for, fairness, and a crowd that does nothing."""
import hashlib
import os
import socket
import time

from faults import RUNNING, WAITING, fault, in_threads, refused, well

IDLE = 1000               # connections
IDLE_BYTES = 20e6         # promised for all of them together
IDLE_S = 3
IDLE_CPU = 0.01           # of one core: the loop looks at its clock once a second, and no more
CROWD, PLACES = 50, 4
PASSED_BY = 2 * PLACES    # of the crowd's that may begin between the single one's arrival and start
TRIES = 4


@fault("load", "two hundred at once, a queue of ten: each gets its answer or a 503 with Retry-After")
def two_hundred(tried):
    text = tried.config("queue: {max: 10, timeout: 1h}", f"    concurrency: {PLACES}\n")
    with tried.serve(text) as server:
        connections = [server.connect() for _ in range(200)]
        for c in connections:
            c.post("/v1/chat/completions", server.body("Tell a story.", max_tokens=40))
        counts = {200: 0, 503: 0}
        for c in connections:
            reply = c.reply()
            assert reply.status in counts, f"status {reply.status}: {reply.body[:200]}"
            counts[reply.status] += 1
            if reply.status == 503:
                reply.fault()
                assert int(reply.headers["retry-after"]) >= 1, "Retry-After isn't seconds"
            c.close()
        assert sum(counts.values()) == 200 and counts[200] >= 10 + PLACES, str(counts)
        assert counts[503] > 0, "all found room: nothing is shown"
        assert len(server.until_rows(200)) == 200
        well(server)
    return f"{counts[200]} answered, {counts[503]} told to come later, 200 rows"


@fault("load", "on_full: reject turns away at once what can't begin at once")
def on_full_reject(tried):
    with tried.serve(tried.config("on_full: reject", "    concurrency: 1\n")) as server:
        stream = server.open_chat("Tell a story.", max_tokens=tried.tokens(200)).begin()
        stream.first()
        begin = time.monotonic()
        reply = server.chat("Hello", max_tokens=2)
        took = time.monotonic() - begin
        assert server.gauge(RUNNING) == 1, "the other had ended: nothing is shown"
        refused(reply, {503})
        assert int(reply.headers["retry-after"]) >= 1
        stream.rest()
        assert stream.ended, "the running answer broke off"
        well(server)
    return f"503 after {1e3 * took:.0f} ms, Retry-After: {reply.headers['retry-after']}"


@fault("load", "who waits longer than the queue's timeout is told so with a 503")
def queue_timeout(tried):
    text = tried.config("queue: {max: 10, timeout: 1s}", "    concurrency: 1\n")
    with tried.serve(text) as server:
        stream = server.open_chat("Tell a story.", max_tokens=3000).begin()
        stream.first()
        begin = time.monotonic()
        reply = server.chat("Hello", max_tokens=2)
        took = time.monotonic() - begin
        refused(reply, {503})
        assert "retry-after" in reply.headers, "no Retry-After"
        assert took > 0.9, f"after {took:.1f} s already"
        assert server.gauge(RUNNING) == 1, "it was told only when the other had ended"
        stream.reset()
    return f"503 after {took:.1f} s"


def first_token_ms(row):
    return row["arrived_ms"] + row["ttft_ms"]


def passed_by(server, keys, tokens):
    """(how many of a crowd still waited when the single request came, how many of them began before
    it did, its time to the first token), by the ledger; the rows there before don't count."""
    before = {row["request_id"] for row in server.rows()}
    crowd = [server.open_chat(f"Story {i}.", keys["many"], max_tokens=tokens) for i in range(CROWD)]
    with server.open_chat("Hello", keys["one"], max_tokens=5).begin() as stream:
        stream.rest()
    in_threads(CROWD, lambda i: crowd[i].begin().rest())
    assert all(stream.ended for stream in crowd), "one of the crowd broke off"
    for stream in crowd:
        stream.close()
    rows = [r for r in server.until_rows(len(before) + CROWD + 1) if r["request_id"] not in before]
    one = next(r for r in rows if r["client"] == "one")
    waited = [r for r in rows if r["client"] == "many" and first_token_ms(r) > one["arrived_ms"]]
    passed = [r for r in waited if first_token_ms(r) < first_token_ms(one)]
    return len(waited), len(passed), one["ttft_ms"]


@fault("load", "a client with 50 requests doesn't starve one with a single request")
def fair(tried):
    keys = {"many": "key-of-many-0123456789abcdef", "one": "key-of-one-0123456789abcdef"}
    clients = "clients:\n" + "".join(
        f"  - name: {name}\n    key_hash: \"{hashlib.sha256(key.encode()).hexdigest()}\"\n"
        for name, key in keys.items())
    text = tried.config("queue: {max: 100, timeout: 1h}", f"    concurrency: {PLACES}\n", clients)
    with tried.serve(text, key=keys["one"]) as server:
        refused(server.chat("Hello", "wrong"), {401})
        for _ in range(TRIES):
            waited, passed, ttft_ms = passed_by(server, keys, tried.tokens(24))
            if waited >= CROWD / 2: # else this program had no time to ask them all at once
                break
        assert waited >= CROWD / 2, f"only {waited} waited: nothing is shown"
        assert passed <= PASSED_BY, f"{passed} of {waited} began before it"
        well(server)
    return f"of {waited} that waited, {passed} began before it; its first token after {ttft_ms:.0f} ms"


def cpu_s(server):
    with open(f"/proc/{server.process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@fault("load", "a thousand idle connections cost less than 20 MB, and no CPU", release_only=True)
def idle(tried):
    with tried.serve() as server:
        well(server)
        before = server.rss()
        many = [server.connect() for _ in range(IDLE)]
        for c in many: # each has asked something once, and is kept
            c.send("GET /health HTTP/1.1\r\nHost: test\r\n\r\n")
        for c in many:
            assert c.reply().status == 200
        grown = server.rss() - before
        assert server.gauge("edgewise_connections") >= IDLE, "they aren't open"
        assert grown < IDLE_BYTES, f"{grown / 1e6:.1f} MB more"
        begin = cpu_s(server)
        time.sleep(IDLE_S)
        share = (cpu_s(server) - begin) / IDLE_S
        assert share <= IDLE_CPU, f"{1e2 * share:.1f} % of a core"
        for c in many:
            c.socket.shutdown(socket.SHUT_RDWR)
            c.close()
        well(server)
    return f"{grown / 1e6:.1f} MB, {1e2 * share:.1f} % of a core"
