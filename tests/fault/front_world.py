"""front_world.py - a front for the tests of front_faults.py: its configuration, its start, and what
its clients hear.

    with Upstream() as a, Front(edgewise, [device("a", a)], policy={"on_full": "queue"}) as front:
        heard = front.ask(stream=True)       # Heard: status, headers, text, error, ended, usage
        row = front.row(heard)               # its row in the ledger

The devices and clouds behind it are stand-ins (upstream.py), so that no model is needed, and an
answer takes no longer than a test wants it to."""
import hashlib
import json
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from fault_run import Faults # noqa: E402
from served import Server, Stream # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
FAULTS = Faults()
fault = FAULTS.add

CHAT = "/v1/chat/completions"
MODEL = "stand-in"
GONE_S = 0.1       # a device must notice so soon that nobody listens any more
SLACK = 20         # times, on a machine that does something else meanwhile
TIMEOUT_S = 1      # of connections, first tokens and stalls here: short, and long for a stand-in
NONE_STATUSES = (502, 503, 504) # what is told when no place could answer
PROBE = "200ms"


def place(name, upstream, **keys):
    """An entry of devices or clouds. upstream: a stand-in, or a URL."""
    url = upstream if isinstance(upstream, str) else upstream.url
    api = "openai" if isinstance(upstream, str) or not hasattr(upstream, "wire") else \
        upstream.wire.name
    return {"name": name, "url": url, "api": api} | keys


def device(name, upstream, **keys):
    return place(name, upstream, **({"models": [MODEL]} | keys))


cloud = place


def words(count, first=0):
    """What a stand-in says in so many tokens."""
    return " ".join(f"w{i}" for i in range(first, first + count))


class Heard:
    """An answer as a client heard it. ended: by the end that its wire has, with all of it there."""

    def __init__(self, status, headers):
        self.status, self.headers = status, headers
        self.error, self.ended, self.finish, self.usage = None, False, None, None
        self.extra = [] # events that have no choices, and no error
        self.pieces, self.raws = [], []

    @property
    def text(self):
        return "".join(self.pieces)

    @property
    def raw(self):
        return b"".join(self.raws)

    def header(self, name):
        return self.headers.get(f"x-edgewise-{name}")

    def take(self, event):
        """One event of OpenAI's stream, or all of an answer that isn't streamed."""
        self.raws.append(json.dumps(event).encode())
        self.error = event.get("error") or self.error
        self.usage = event.get("usage") or self.usage
        if not event.get("choices") and not event.get("error"):
            self.extra.append(event)
        for choice in event.get("choices") or ():
            said = choice.get("delta") or choice.get("message") or choice
            self.pieces.append(said.get("content") or said.get("text") or "")
            self.finish = choice.get("finish_reason") or self.finish

    def __str__(self):
        return (f"status {self.status}, text '{self.text[:80]}', error {self.error}, "
                f"{'ended' if self.ended else 'not ended'}")


class Front(Server):
    """`edgewise serve` with a configuration of stand-ins. more: other sections of it."""

    def __init__(self, edgewise, devices=(), clouds=(), policy=None, more=None, **how):
        self.sections = self.make(devices, clouds, policy, more)
        super().__init__(edgewise, MODEL, self.text(), **how)

    @staticmethod
    def make(devices=(), clouds=(), policy=None, more=None):
        timeout = f"{1000 * TIMEOUT_S:g}ms"
        preset = {"select": "round-robin", "on_full": "queue", "probe": PROBE, "sticky": "off"}
        policy = preset | (policy or {})
        policy["timeouts"] = {"connect": timeout, "first_token": timeout, "stall": timeout} | \
            policy.get("timeouts", {})
        sections = {"listen": "127.0.0.1:0", "policy": policy} | (more or {})
        sections |= {"devices": list(devices)} if devices else {}
        return sections | ({"clouds": list(clouds)} if clouds else {})

    def text(self):
        """JSON is YAML, too."""
        return "".join(f"{key}: {json.dumps(value)}\n" for key, value in self.sections.items())

    def reload(self, devices=(), clouds=(), policy=None, more=None):
        """Another configuration, until it holds."""
        self.sections = self.make(devices, clouds, policy, more)
        self.configure(self.text())
        self.signal(signal.SIGHUP)
        wanted = sorted(one["name"] for one in [*devices, *clouds])
        again_until(wanted, 10, lambda: sorted(one["name"] for one in self.places()))

    def places(self):
        return self.get("/v1/edgewise/fleet").json()["places"]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    def until_healthy(self, name):
        """Until it has looked at that device, and knows its models."""
        def health():
            return next(one["health"] for one in self.places() if one["name"] == name)
        again_until("healthy", 10, health)

    def body(self, prompt="Say something.", **more):
        return {"model": MODEL, "messages": [{"role": "user", "content": prompt}]} | more

    def begin(self, prompt="Say something.", stream=True, headers=None, key=None, receive_bytes=0,
              **more):
        """A request that was sent, and nothing of its answer read."""
        request = Stream(self.port, receive_bytes=receive_bytes)
        request.post(CHAT, self.body(prompt, stream=stream, **more), key or self.key, headers)
        return request

    def hear(self, request, stream=True):
        """The answer of begin(), to its end."""
        if not stream:
            reply = request.reply()
            heard = Heard(reply.status, reply.headers)
            heard.take(reply.json())
            heard.ended = reply.status == 200
        else:
            request.begin()
            heard = Heard(request.status, request.headers)
            if request.status == 200:
                for _, event in request.events():
                    heard.take(event)
                heard.ended = request.ended
            else:
                heard.take(json.loads(request.body))
        request.close()
        return heard

    def ask(self, prompt="Say something.", stream=False, headers=None, key=None, **more):
        return self.hear(self.begin(prompt, stream, headers, key, **more), stream)

    def row(self, heard, seconds=5):
        """Its row; an assertion where none comes."""
        name = heard if isinstance(heard, str) else heard.header("request-id")
        begin = time.monotonic()
        while True:
            for row in self.rows():
                if row["request_id"] == name:
                    return row
            assert time.monotonic() - begin < seconds, f"no row for {name}"
            time.sleep(0.01)

    def until_row(self, status, seconds=5):
        """The first row with that status."""
        begin = time.monotonic()
        while True:
            for row in self.rows():
                if row["status"] == status:
                    return row
            assert time.monotonic() - begin < seconds, f"no row with {status}"
            time.sleep(0.01)

    def __exit__(self, kind, *rest):
        """It must end well, too: so leaks are told under a sanitizer."""
        status = self.stop() if kind is None else 0
        said = self.words()
        super().__exit__(kind, *rest)
        assert status == 0, f"it ended with status {status}:\n{said}"

    def everything(self):
        """All that is written down anywhere: log, ledger with its journal, metrics."""
        parts = ["\n".join(self.log).encode(), self.get("/metrics").body]
        folder = os.path.dirname(self.ledger)
        for name in os.listdir(folder):
            with open(os.path.join(folder, name), "rb") as file:
                parts.append(file.read())
        return b"\n".join(parts)


# ---- what is to be heard ----

def whole(heard, count=5, by=None, reason=None, attempts=None):
    """A good answer of so many words. by: the name of who answered, or several names."""
    assert heard.status == 200, f"{heard}"
    assert heard.error is None, f"an error in it: {heard.error}"
    assert heard.text == words(count), f"not the whole answer: {heard}"
    assert heard.ended, f"without its end: {heard}"
    names = (by,) if isinstance(by, str) else by
    assert not names or heard.header("device") in names, \
        f"{heard.header('device')} answered, not {by} (reason {heard.header('reason')})"
    assert not reason or heard.header("reason") == reason, \
        f"reason {heard.header('reason')}, not {reason}"
    assert not attempts or heard.header("attempts") == str(attempts), \
        f"attempts {heard.header('attempts')}, not {attempts}"
    return heard


def told(heard, statuses=NONE_STATUSES):
    """An honest error, and nothing else."""
    assert heard.status in statuses, f"{heard}"
    assert heard.error and heard.error.get("message"), f"no error object: {heard.raw[:200]}"
    assert not heard.text, f"text beside an error: {heard}"
    return heard


def broken(heard):
    """An answer that was begun and broke off: told in the stream, and not ended as if it were
    whole."""
    assert heard.status == 200, f"{heard}"
    assert heard.error and heard.error.get("message"), f"nobody was told: {heard}"
    assert not heard.ended, "it ends with [DONE], as if it were whole"
    return heard


def again_until(wanted, seconds, function):
    """Calls it until it returns what is wanted; the seconds that took."""
    begin = time.monotonic()
    while (got := function()) != wanted:
        assert time.monotonic() - begin < seconds, f"still {got} after {seconds:g} s, not {wanted}"
        time.sleep(0.02)
    return time.monotonic() - begin


def keys_of(*names):
    """(more of the configuration, {name: key}) for clients with keys; a name may be a mapping
    instead, with further rules."""
    clients, keys = [], {}
    for entry in names:
        entry = {"name": entry} if isinstance(entry, str) else entry
        keys[entry["name"]] = f"key-of-{entry['name']}-0123456789abcdef"
        digest = hashlib.sha256(keys[entry["name"]].encode()).hexdigest()
        clients.append(entry | {"key_hash": digest})
    return {"clients": clients}, keys
