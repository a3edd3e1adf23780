"""served.py - starts a real `edgewise serve` for a test and speaks to it through plain sockets.

    with Server(edgewise, model, "queue: ...") as server:
        reply = server.chat("Hello", max_tokens=5)        # Reply: status, headers, body, json()
        stream = server.open_chat("Hello", stream=True)   # Stream: events as they arrive

Plain sockets because the tests are about what no client library would send: half a request, a
reader that doesn't read, a length that isn't so. Needs only Python's own library. The names of
metrics and keys that tests lean on stand here once."""
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time

RUNNING, WAITING = "edgewise_running_requests", "edgewise_queue_requests"
# <|im_end|> and <|endoftext|> of SmolLM2: without them an answer has exactly max_tokens tokens.
NO_END = {"0": -100, "2": -100}
# After these something hangs: a sanitizer's build on a busy machine needs much, and never all.
START_S, STOP_S, ANSWER_S, WAIT_S = 120, 120, 200, 60


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def text(self):
        choice = self.json()["choices"][0]
        return choice["message"]["content"] if "message" in choice else choice["text"]

    def fault(self):
        """The error object, which every answer but 2xx must have."""
        error = self.json()["error"]
        assert isinstance(error["message"], str) and error["message"], "an error without a message"
        assert {"type", "param", "code"} <= set(error), f"an error without its keys: {error}"
        return error


class Connection:
    """One socket, and what has come in on it."""

    def __init__(self, port, timeout_s=ANSWER_S, receive_bytes=0):
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(timeout_s)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def post(self, path, body, key=None, headers=None):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        more = {"Authorization": f"Bearer {key}"} if key else {}
        lines = "".join(f"{name}: {value}\r\n" for name, value in (more | (headers or {})).items())
        self.send(f"POST {path} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
                  f"{lines}Content-Length: {len(data)}\r\n\r\n".encode() + data)

    def head(self):
        """(status, headers) of the next answer; (0, {}) where the connection ends instead."""
        line = self.file.readline()
        if not line:
            return 0, {}
        match = re.match(rb"HTTP/1\.[01] (\d{3}) ", line)
        assert match, f"not a status line: {line!r}"
        headers = {}
        while True:
            line = self.file.readline().rstrip(b"\r\n")
            if not line:
                return int(match[1]), headers
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()

    def chunk(self):
        """The next chunk of a chunked body; b"" at its end, None where the connection broke."""
        size = self.file.readline()
        if not size.endswith(b"\n"):
            return None
        data = self.file.read(int(size.split(b";")[0], 16) + 2)
        return data[:-2]

    def reply(self):
        status, headers = self.head()
        if headers.get("transfer-encoding") == "chunked":
            parts = []
            while part := self.chunk():
                parts.append(part)
            assert part is not None, "the connection broke in the midst of an answer"
            body = b"".join(parts)
        elif "content-length" in headers:
            body = self.file.read(int(headers["content-length"]))
        else:
            body = self.file.read()
        return Reply(status, headers, body)

    def reset(self):
        """Closes as a client does that was killed: with RST, unread data or not."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Stream(Connection):
    """A streamed answer: its events, each with the time at which it came."""

    def begin(self):
        self.status, self.headers = self.head()
        self.left = b""
        self.ended = False # by "[DONE]"
        if self.status != 200:
            self.body = self.file.read(int(self.headers.get("content-length", 0)))
        return self

    def events(self):
        """Yields (seconds, object) until [DONE] or the end of the connection."""
        while True:
            try:
                data = self.chunk()
            except ConnectionError:
                return
            if not data:
                return
            self.left += data
            while b"\n\n" in self.left:
                event, self.left = self.left.split(b"\n\n", 1)
                if not event.startswith(b"data: "):
                    continue
                if event == b"data: [DONE]":
                    self.ended = True
                    continue
                yield time.monotonic(), json.loads(event[6:])

    def first(self):
        """Waits for the first text."""
        for at, event in self.events():
            if text_of(event):
                return at
        raise AssertionError("the stream ended without any text")

    def rest(self):
        return "".join(text_of(event) for _, event in self.events())


def text_of(event):
    assert "error" not in event, f"an error in a stream: {event['error']}"
    return "".join(c.get("delta", {}).get("content") or c.get("text") or ""
                   for c in event.get("choices", ()))


class Server:
    """`edgewise serve` on a port of its own. config: text of an edgewise.yaml; its ledger is a
    file of ours, unless the text names another one. before: what the child does before it becomes
    the server (limits). env: more of its environment."""

    def __init__(self, edgewise, model, config=None, options=(), before=None, under=(), port=0,
                 key=None, env=None):
        self.key = key # for requests that name none
        self.folder = tempfile.TemporaryDirectory(prefix="edgewise-served-")
        self.ledger = os.path.join(self.folder.name, "ledger.db")
        self.config = os.path.join(self.folder.name, "edgewise.yaml")
        self.model = os.path.basename(model).removesuffix(".gguf")
        command = [*under, edgewise, "serve"]
        if config is None:
            command += [model, "--ledger", self.ledger]
        else:
            self.configure(config)
            command += ["--config", self.config]
        self.log = [] # lines of stderr
        self.process = subprocess.Popen([*command, "--port", str(port), *options],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, preexec_fn=before,
                                        env=os.environ | {"XDG_DATA_HOME": self.folder.name} |
                                        (env or {}))
        self.port, self.listens = None, threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        if not self.listens.wait(START_S) or self.port is None:
            self.process.kill()
            self.reader.join()
            raise AssertionError(f"the server didn't start, status {self.process.wait()}:\n" +
                                 self.words())

    def _read(self):
        for line in self.process.stderr:
            text = line.decode(errors="replace").rstrip()
            self.log.append(text)
            match = re.search(r"listening on https?://[^ ]*:(\d+)", text)
            if match and self.port is None:
                self.port = int(match[1])
                self.listens.set()
        self.listens.set()

    def configure(self, text):
        """Writes the configuration as an editor does: a new file in the old one's place."""
        new = self.config + ".new"
        with open(new, "w", encoding="utf-8") as file:
            file.write(text if re.search("^ledger:", text, re.M) else
                       f"ledger: {self.ledger}\n{text}")
        os.replace(new, self.config)

    def words(self):
        return "\n".join(self.log[-20:])

    # ---- requests ----

    def connect(self, **how):
        return Connection(self.port, **how)

    def get(self, path, key=None):
        key = key or self.key
        with self.connect() as c:
            bearer = f"Authorization: Bearer {key}\r\n" if key else ""
            c.send(f"GET {path} HTTP/1.1\r\nHost: test\r\n{bearer}\r\n")
            return c.reply()

    def post(self, path, body, key=None):
        with self.connect() as c:
            c.post(path, body, key or self.key)
            return c.reply()

    def body(self, prompt, **more):
        return {"model": self.model, "messages": [{"role": "user", "content": prompt}],
                "temperature": 0} | more

    def chat(self, prompt, key=None, **more):
        return self.post("/v1/chat/completions", self.body(prompt, **more), key)

    def open_chat(self, prompt, key=None, receive_bytes=0, **more):
        """A streamed answer of exactly max_tokens tokens, its head not yet read."""
        stream = Stream(self.port, receive_bytes=receive_bytes)
        stream.post("/v1/chat/completions",
                    self.body(prompt, **({"stream": True, "logit_bias": NO_END} | more)),
                    key or self.key)
        return stream

    # ---- what it says of itself ----

    def metrics(self):
        values = {}
        for line in self.get("/metrics").body.decode().splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                values[name] = float(value)
        return values

    def gauge(self, name):
        """Of all labels together."""
        found = [value for key, value in self.metrics().items() if key.split("{")[0] == name]
        assert found, f"/metrics has no {name}"
        return sum(found)

    def until(self, name, wanted, seconds=WAIT_S):
        """Seconds until the gauge has the value; an assertion if that takes too long."""
        begin = time.monotonic()
        while True:
            value = self.gauge(name)
            took = time.monotonic() - begin
            if value == wanted:
                return took
            assert took < seconds, f"{name} is still {value:g} after {took:.1f} s, not {wanted}"
            time.sleep(0.005)

    def rss(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"^VmRSS:\s+(\d+) kB", file.read(), re.M)[1]) * 1024

    def rows(self, path=None):
        """The ledger's rows, as dictionaries; [] where there is no table yet."""
        if not os.path.exists(path or self.ledger):
            return []
        db = sqlite3.connect(f"file:{path or self.ledger}?mode=ro", uri=True, timeout=5)
        try:
            db.row_factory = sqlite3.Row
            for (table,) in db.execute("select name from sqlite_master where type = 'table'"):
                if "request_id" in [c[1] for c in db.execute(f"pragma table_info({table})")]:
                    return [dict(row) for row in db.execute(f"select * from {table}")]
            return []
        finally:
            db.close()

    def until_rows(self, count, status=None):
        """The rows (of this status) once they are so many."""
        begin = time.monotonic()
        while True:
            rows = [r for r in self.rows() if status in (None, r["status"])]
            if len(rows) >= count:
                return rows
            assert time.monotonic() - begin < WAIT_S, f"{len(rows)} rows, not {count}"
            time.sleep(0.02)

    def until_said(self, word, since=0):
        """The first line of its log with that word, from line `since` on."""
        begin = time.monotonic()
        while True:
            for line in self.log[since:]:
                if word.lower() in line.lower():
                    return line
            assert time.monotonic() - begin < WAIT_S, f"nothing said of '{word}':\n{self.words()}"
            time.sleep(0.02)

    # ---- its end ----

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=STOP_S):
        status = self.process.wait(seconds)
        self.reader.join(5)
        return status

    def kill(self):
        """kill -9, and gone: its end isn't taken for a bad one."""
        self.process.kill()
        return self.wait()

    def stop(self, seconds=STOP_S):
        """SIGTERM, and its exit status."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        """A server that is still there must end well: a sanitizer tells of leaks by the status."""
        status = 0
        if self.process.poll() is None:
            self.signal(signal.SIGKILL if kind else signal.SIGTERM)
            try:
                status = self.wait()
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGKILL)
                self.wait()
                status = "none: it had to be killed"
        self.process.stderr.close()
        self.folder.cleanup()
        bad = [i for i, line in enumerate(self.log) if "Sanitizer" in line or "runtime error" in line]
        said = self.log[bad[0]:bad[0] + 30] if bad else self.log[-20:]
        assert kind or (status == 0 and not bad), f"exit status {status}:\n" + "\n".join(said)
