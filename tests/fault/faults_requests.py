"""faults_requests.py - requests that are wrong: their JSON, their fields, their HTTP."""
import socket

from faults import CHAT, fault, on_one_server, refused, well, words

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


@fault("requests", "a body of 64 MB is a 413 told before it is read")
def large_body(tried):
    with tried.serve() as server:
        well(server)
        before = server.rss()
        said = refuse_large_body(server)
        grown = (server.rss() - before) / 1e6
        assert tried.sanitized or grown < 40, f"{grown:.0f} MB more"
        well(server)
    return said


def refuse_large_body(server):
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
        c.socket.settimeout(60)
        return refused(c.reply(), {413})


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
    return refused(server.chat(words(30000), max_tokens=1), {400}, code="context_length_exceeded")


# ---- HTTP that is wrong ----

def raw(server, data, statuses):
    """Sends the bytes; the status must be one of these (0: the connection ends without one)."""
    with server.connect() as c:
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
