#!/usr/bin/env python3
"""upstream.py - a stand-in for a device or a cloud, which behaves as badly as a test wants.

    with Upstream(Behave(tokens=5)) as device:             # answers five words to everybody
        device.next(Behave(fault="cut", after=2))          # but the next request is cut off
        … device.url, device.asked[0].headers, device.asked[0].gone_at …
        device.kill(); device.start()                      # a reboot

It speaks OpenAI's, Anthropic's and Ollama's wire (upstream_wire.py) over plain sockets, a thread a
connection, and says in its answers that it is a stand-in. What it got is kept: heads, bodies, and
when its client went away. By hand, to look at it with curl:

    tests/support/upstream.py --port 9001 --models a,b --tokens 20 --gap-ms 50 [--fault stall]"""
import argparse
import contextlib
import json
import select
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

from upstream_wire import PATHS, STAND_IN, WIRES, Ask

HOLD_S = 30 # what is silent for ever is so for this long at most, so that a test ends
HEADERS_MAX, ENDLESS_MAX = 1 << 20, 64 << 20 # "endless" ends here, so that memory does, too


@dataclass
class Behave:
    """How a request is answered. fault: a key of FAULTS, which stand below with their meaning;
    after: so many tokens come before it."""
    tokens: int = 5
    first_s: float = 0       # before the first token: its prefill
    gap_s: float = 0         # between two tokens
    piece: int = 1           # tokens in each event of a stream; all of them are a multiple
    usage: str = "asked"     # in streams: when include_usage asks for it; always; never
    cached: int = 0          # tokens of the prompt that it says it knew
    fault: str = ""
    after: int = 0
    status: int = 500        # of the fault "status"
    headers: dict = field(default_factory=dict) # more of them, in any answer
    body: bytes = b""        # of the fault "status", where it isn't to be the wire's own
    bytewise: bool = False   # each byte by itself


class Gone(Exception):
    """The client went away."""


class Left(Exception):
    """We did, as we were told to."""


class Asked:
    """A request that came, and what became of it. Times are time.monotonic()."""

    def __init__(self, connection, raw_head, body):
        lines = raw_head.decode("latin-1").split("\r\n")
        self.method, self.path, _ = lines[0].split(" ", 2)
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()
        self.connection, self.raw, self.body = connection, raw_head + b"\r\n\r\n" + body, body
        self.at, self.gone_at, self.ended, self.sent = time.monotonic(), None, False, 0

    def json(self):
        return json.loads(self.body)

    def wait_gone(self, seconds):
        """When its client went away; an assertion if it doesn't."""
        begin = time.monotonic()
        while self.gone_at is None:
            assert time.monotonic() - begin < seconds, \
                f"its client is still there after {seconds:g} s"
            time.sleep(0.002)
        return self.gone_at


class Line:
    """The socket of one connection, which notices when the other side goes away."""

    def __init__(self, sock):
        self.socket, self.poll = sock, select.poll()
        self.poll.register(sock, select.POLLRDHUP)
        self.bytewise, self.asked = False, None

    def wait(self, seconds):
        if self.poll.poll(max(0, 1000 * seconds)):
            raise Gone

    def send(self, data):
        try:
            for piece in ([data] if not self.bytewise else
                          [data[i:i + 1] for i in range(len(data))]):
                while piece:
                    count = self.socket.send(piece)
                    self.asked.sent += count
                    piece = piece[count:]
        except OSError:
            raise Gone from None
        self.wait(0)

    def head(self, status, kind, length=None, more=None):
        lines = [f"HTTP/1.1 {status} Stand-In", f"Content-Type: {kind}", f"X-Stand-In: {STAND_IN}",
                 "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"]
        lines += [f"{name}: {value}" for name, value in (more or {}).items()]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode())

    def whole(self, status, thing, more=None):
        data = thing if isinstance(thing, bytes) else json.dumps(thing).encode()
        self.head(status, "application/json", len(data), more)
        self.send(data)

    def chunk(self, data):
        if data:
            self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def last_chunk(self):
        self.send(b"0\r\n\r\n")

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


# ---- faults: what happens instead of an answer (before a head), or in the midst of one ----

def silent(line, wire, ask): # accepts, reads the request, then nothing
    line.wait(HOLD_S)


def close(line, wire, ask): # closes without a byte
    raise Left


def garbage(line, wire, ask): # isn't HTTP
    line.send(b"\x00\x01\x02 this is no HTTP, it is a stand-in\r\n\r\n" * 10)
    raise Left


def status(line, wire, ask): # a status with the wire's error, or another body
    why = wire.error(ask.behave.status, f"the stand-in was told to answer {ask.behave.status}")
    line.whole(ask.behave.status, ask.behave.body or why, ask.behave.headers)


def empty(line, wire, ask): # 200, and a body of no bytes
    line.head(200, wire.stream_type if ask.body.get("stream") else "application/json", 0)


def page(line, wire, ask): # 200, and a page for people instead of an answer
    data = b"<!DOCTYPE html><title>Sign in</title><p>Welcome to the stand-in's network!"
    line.head(200, "text/html", len(data))
    line.send(data)


def no_json(line, wire, ask): # 200 and JSON's type, but no JSON
    line.whole(200, b"{\"choices\": [{\"message\": {\"role\": \"assis")


def other_json(line, wire, ask): # 200 and JSON, but no answer
    line.whole(200, {"hello": STAND_IN})


def short(line, wire, ask): # ends before the Content-Length that it promised
    data = json.dumps(wire.whole(ask)).encode()
    line.head(200, "application/json", len(data) + 100)
    line.send(data[:-10])
    raise Left


def huge_body(line, wire, ask): # promises a body of 10 GB, and sends as much as is taken
    line.head(200, "application/json", 10 << 30)
    while line.asked.sent < ENDLESS_MAX * 2:
        line.send(b" " * 65536)
    line.wait(HOLD_S)


def redirect(line, wire, ask): # sends us elsewhere
    line.head(302, "text/html", 0, {"Location": "http://127.0.0.1:9/v1/chat/completions"})


def to_the_end(line, wire, ask): # a good answer as of HTTP/1.0, which ends with the connection
    streams = ask.body.get("stream", wire.name == "ollama")
    kind = wire.stream_type if streams else "application/json"
    line.send(f"HTTP/1.0 200 Stand-In\r\nContent-Type: {kind}\r\n\r\n".encode())
    tokens = b"".join(wire.token(ask, i) for i in range(ask.tokens))
    line.send(wire.start(ask) + tokens + wire.end(ask) if streams else
              json.dumps(wire.whole(ask)).encode())
    raise Left


def many_headers(line, wire, ask): # a head that doesn't end
    line.send(b"HTTP/1.1 200 Stand-In\r\n")
    for i in range(HEADERS_MAX // 64):
        line.send(f"X-Stand-In-{i:08}: {'a' * 40}\r\n".encode())
    line.wait(HOLD_S)


def head_only(line, wire, ask): # the head, then nothing
    line.wait(HOLD_S)


def stall(line, wire, ask): # tokens, then nothing
    line.wait(HOLD_S)


def cut(line, wire, ask): # tokens, then the connection is reset
    line.reset()
    raise Left


def heartbeat(line, wire, ask): # comments that say that it is busy, and nothing else
    for _ in range(HOLD_S * 20):
        line.chunk(b": STAND-IN PROCESSING\n\n")
        line.wait(0.05)


def no_end(line, wire, ask): # tokens, then a body that ends properly, but no end of the answer
    line.last_chunk()


def malformed(line, wire, ask): # tokens, then what isn't JSON, then it would go on
    line.chunk(b"{\"not\": json\n" if wire.name == "ollama" else b"data: {\"not\": json\n\n")
    for i in range(ask.behave.after, ask.tokens):
        line.chunk(wire.token(ask, i))
    line.chunk(wire.end(ask))
    line.last_chunk()


def huge_line(line, wire, ask): # tokens, then an event that doesn't end
    line.chunk(b"data: {\"choices\": [{\"delta\": {\"content\": \"")
    for _ in range(ENDLESS_MAX >> 16):
        line.chunk(b"a" * 65536)
    line.wait(HOLD_S)


def endless(line, wire, ask): # tokens without an end, as fast as they are taken
    i = ask.behave.after
    while line.asked.sent < ENDLESS_MAX:
        line.chunk(b"".join(wire.token(ask, i + j) for j in range(100)))
        i += 100
    line.wait(HOLD_S)


def told(line, wire, ask): # tokens, then an error in the stream, as the wire has it
    error = wire.error(500, "the stand-in was told to fail in the midst")
    name = b"event: error\n" if wire.name == "anthropic" else b""
    data = json.dumps(error).encode()
    line.chunk(data + b"\n" if wire.name == "ollama" else name + b"data: " + data + b"\n\n")
    line.last_chunk()


BEFORE = {f.__name__: f for f in (silent, close, garbage, status, empty, page, no_json, other_json,
                                  short, huge_body, redirect, to_the_end, many_headers)}
MIDST = {f.__name__: f for f in (head_only, stall, cut, heartbeat, no_end, malformed, huge_line,
                                 endless, told)}


class Upstream:
    """The stand-in; listens from its birth. script: a list that several of them may share: its
    first entry is taken by whoever is asked next. ctx: the context that its models say they have.
    keeps: connections are kept for the next request. certificate: (certificate file, key file) for TLS."""

    def __init__(self, behave=None, api="openai", models=("stand-in",), ctx=0, script=None,
                 keeps=True, certificate=None, port=0):
        self.behave, self.wire, self.models = behave or Behave(), WIRES[api], list(models)
        self.ctx, self.keeps = ctx, keeps
        self.asked, self.looks = [], []  # requests for answers; others, as for /v1/models
        self.by_model = {}               # how requests for a model are answered
        self.look = None                 # how the others are; None: well
        self.script = [] if script is None else script
        self.lines, self.port = set(), port
        self.connections = 0
        self.now, self.most = 0, 0       # requests under way: now, and the most ever
        self.lock, self.listener = threading.Lock(), None
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*certificate)
        self.start()

    @property
    def url(self):
        """The base URL, as that API documents it."""
        scheme = "https" if self.context else "http"
        end = "" if self.wire.name == "ollama" else "/v1"
        return f"{scheme}://127.0.0.1:{self.port}{end}"

    def next(self, *behaves):
        """The next requests are answered so, each by one; then as before."""
        self.script += behaves

    def until_asked(self, count, seconds=5):
        """The latest request, when so many have come."""
        begin = time.monotonic()
        while len(self.asked) < count:
            assert time.monotonic() - begin < seconds, \
                f"the stand-in got {len(self.asked)} requests, not {count}"
            time.sleep(0.002)
        return self.asked[count - 1]

    def everything(self):
        """All bytes that ever came."""
        return b"".join(asked.raw for asked in self.asked + self.looks)

    # ---- its life ----

    def start(self):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(1024)
        self.port, self.listener = listener.getsockname()[1], listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def drain(self):
        """As when it is told to end: what is under way is answered, nothing new is let in."""
        self.keeps = False
        self._close_listener()

    def _close_listener(self):
        listener, self.listener = self.listener, None
        if listener:
            listener.shutdown(socket.SHUT_RDWR) # wakes accept
            listener.close()

    def kill(self):
        """As when the plug is pulled, but that the network says so: all connections are reset."""
        self._close_listener()
        with self.lock:
            lines, self.lines = self.lines, set()
        for line in lines:
            try:
                line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                line.socket.shutdown(socket.SHUT_RDWR)
                line.socket.close()
            except OSError:
                pass # gone already

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    # ---- requests ----

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connection, args=(sock,), daemon=True).start()

    def _connection(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self.context:
                sock = self.context.wrap_socket(sock, server_side=True)
        except OSError: # a client that doesn't like the certificate
            sock.close()
            return
        line = Line(sock)
        with self.lock:
            self.lines.add(line)
            self.connections += 1
            number = self.connections
        try:
            with sock.makefile("rb") as file:
                while self._request(line, file, number):
                    pass
        except (OSError, ValueError):
            pass # reset, by them or by kill()
        finally:
            with self.lock:
                self.lines.discard(line)
            sock.close()

    def _request(self, line, file, number):
        """Reads one request and answers it; False: the connection has ended."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            more = file.readline(1 << 16)
            if not more:
                return False
            head += more
        asked = Asked(number, head[:-4], b"")
        asked.body = file.read(int(asked.headers.get("content-length", 0)))
        asked.raw += asked.body
        line.asked = asked
        wire = PATHS.get(asked.path.split("?")[0])
        try:
            if asked.method == "POST" and wire:
                with self._under_way():
                    self._answer(line, asked, wire)
            else:
                self._tell(line, asked)
            asked.ended = True
            return self.keeps
        except Left:
            return False
        except Gone:
            asked.gone_at = time.monotonic()
            return False

    @contextlib.contextmanager
    def _under_way(self):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            yield
        finally:
            with self.lock:
                self.now -= 1

    def _choose(self, model):
        try:
            return self.script.pop(0)
        except IndexError:
            return self.by_model.get(model, self.behave)

    def _answer(self, line, asked, wire):
        body = asked.json()
        ask = Ask(body, self._choose(body.get("model")))
        behave = ask.behave
        line.bytewise = behave.bytewise
        self.asked.append(asked)
        if behave.fault in BEFORE:
            BEFORE[behave.fault](line, wire, ask)
            return
        line.wait(behave.first_s)
        if not body.get("stream", wire.name == "ollama"):
            self._whole(line, wire, ask)
            return
        line.head(200, wire.stream_type, more=behave.headers)
        if behave.fault == "head_only":
            head_only(line, wire, ask)
        line.chunk(wire.start(ask))
        for i in range(0, behave.after if behave.fault else ask.tokens, behave.piece):
            line.wait(behave.gap_s if i else 0)
            line.chunk(wire.token(ask, i))
        if behave.fault:
            MIDST[behave.fault](line, wire, ask)
            return
        line.chunk(wire.end(ask))
        line.last_chunk()

    @staticmethod
    def _whole(line, wire, ask):
        """Not streamed: the faults of the midst happen in the midst of the body."""
        behave = ask.behave
        line.wait(behave.gap_s * ask.tokens)
        data = json.dumps(wire.whole(ask)).encode()
        line.head(200, "application/json", len(data), behave.headers)
        if behave.fault:
            if behave.after:
                line.send(data[:len(data) // 2])
            if behave.fault == "cut":
                cut(line, wire, ask)
            line.wait(HOLD_S)
        line.send(data)

    def _tell(self, line, asked):
        """What isn't a request for an answer."""
        self.looks.append(asked)
        if self.look:
            ask = Ask({}, self.look)
            BEFORE[self.look.fault](line, self.wire, ask)
            return
        path = asked.path.split("?")[0]
        if path == "/api/tags":
            line.whole(200, WIRES["ollama"].models(self.models))
        elif path == "/v1/models":
            wire = self.wire if self.wire.name == "anthropic" else WIRES["openai"]
            listed = wire.models(self.models)
            for model in listed["data"] if self.ctx else ():
                model["max_model_len"] = self.ctx # as vLLM says it
            line.whole(200, listed)
        elif path in ("/health", "/v1/health", "/"):
            line.whole(200, {"status": "ok", "note": STAND_IN})
        else:
            line.whole(404, self.wire.error(404, f"the stand-in has no {path}"))


class Nobody:
    """A port that is taken, but where nobody listens: connections are refused."""

    def __init__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


class Unreachable(Nobody):
    """A port that doesn't answer at all, as a device that is switched off: its queue of
    connections is full, so that Linux drops what more come."""

    def __init__(self):
        super().__init__()
        self.socket.listen(0)
        self.fill = []
        for _ in range(4):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", self.port))
            self.fill.append(sock)

    def __exit__(self, *_):
        for sock in self.fill:
            sock.close()
        super().__exit__()


def certificate(folder, name, days=30, names="DNS:localhost,IP:127.0.0.1"):
    """(certificate, key) of these names, signed by itself; days < 0: it has expired."""
    paths = f"{folder}/{name}.pem", f"{folder}/{name}.key"
    request = f"{folder}/{name}.csr"
    subject = ["-subj", "/CN=stand-in"]
    more = f"{folder}/{name}.ext"
    with open(more, "w", encoding="ascii") as file:
        file.write(f"subjectAltName={names}\nbasicConstraints=CA:TRUE\n")
    for command in (["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                     "-nodes", "-keyout", paths[1], "-out", request, *subject],
                    ["x509", "-req", "-in", request, "-signkey", paths[1], "-out", paths[0],
                     "-days", str(days), "-extfile", more]):
        done = subprocess.run(["openssl", *command], capture_output=True, check=False, timeout=20)
        assert done.returncode == 0, f"openssl {command[0]}: {done.stderr.decode()}"
    return paths


def main():
    parser = argparse.ArgumentParser(description=f"{STAND_IN}: an upstream to look at")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--api", choices=sorted(WIRES), default="openai")
    parser.add_argument("--models", default="stand-in", help="names, with commas")
    parser.add_argument("--tokens", type=int, default=20)
    parser.add_argument("--gap-ms", type=float, default=0)
    parser.add_argument("--first-ms", type=float, default=0)
    parser.add_argument("--fault", choices=sorted(BEFORE | MIDST), default="")
    parser.add_argument("--after", type=int, default=0, help="tokens before the fault")
    args = parser.parse_args()
    behave = Behave(tokens=args.tokens, gap_s=args.gap_ms / 1e3, first_s=args.first_ms / 1e3,
                    fault=args.fault, after=args.after)
    with Upstream(behave, args.api, args.models.split(","), port=args.port) as upstream:
        print(f"{STAND_IN}, at {upstream.url}", file=sys.stderr, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
