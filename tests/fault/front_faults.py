#!/usr/bin/env python3
"""front_faults.py - what goes wrong between clients, devices and clouds, done to a real front.

    tests/fault/front_faults.py EDGEWISE [--only WORD] [--table]

The front is `edgewise serve --config`; the devices and clouds are stand-ins that behave as badly as
each test wants (tests/support/upstream.py). Each fault is a function under its sentence: those of
devices and clouds in front_upstream.py, those of policy in front_policy.py, the others here."""
import contextlib
import itertools
import json
import os
import random
import signal
import socket
import sqlite3
import struct
import subprocess
import tempfile
import threading
import time

from front_world import (CHAT, FAULTS, GONE_S, HERE, MODEL, NONE_STATUSES, SLACK, Front, again_until, broken,
                         cloud, device, fault, keys_of, place, told, whole, words)
from fault_run import Skip
from served import Connection
from upstream import Behave, Nobody, Upstream

import front_policy # noqa: F401 pylint: disable=unused-import
import front_upstream # noqa: F401 pylint: disable=unused-import


# ---- clients ----

def hang_up(edgewise, behave, stream, reads_first):
    """A client that goes: its device notices, its row says so."""
    with Upstream(behave) as a, Front(edgewise, [device("a", a)]) as front:
        request = front.begin(stream=stream)
        if reads_first:
            request.begin().first()
        asked = a.until_asked(1)
        time.sleep(0.05)
        begin = time.monotonic()
        request.reset()
        gone = asked.wait_gone(GONE_S * SLACK)
        row = front.until_row(499)
        assert row["finish"] == "cancelled", f"the row has finish {row['finish']}"
        assert row["device"] == "a", f"the row has device {row['device']}"
        a.behave = Behave()
        whole(front.ask())
        return f"the device sees it after {1e3 * (gone - begin):.0f} ms; a row with 499"


PREFILL = ("before the first token", Behave(first_s=20), False)
SILENT = ("while the device is silent", Behave(fault="silent"), False)
for WHEN, BEHAVE, READS in (PREFILL, SILENT):
    for STREAM in (True, False):
        fault("clients", f"a client that is gone {WHEN}, {'' if STREAM else 'not '}streamed")(
            lambda edgewise, b=BEHAVE, s=STREAM, r=READS: hang_up(edgewise, b, s, r))
fault("clients", "a client that is gone in the midst, streamed")(
    lambda edgewise: hang_up(edgewise, Behave(tokens=1000, gap_s=0.02), True, True))
fault("clients", "a client that is gone in the midst, not streamed")(
    lambda edgewise: hang_up(edgewise, Behave(tokens=1000, gap_s=0.02), False, False))


@fault("clients", "a client that is gone while it waits in the queue: no device is asked for it")
def gone_in_queue(edgewise):
    with Upstream(Behave(first_s=20)) as a, \
            Front(edgewise, [device("a", a, concurrency=1)]) as front:
        first = front.begin(stream=False)
        a.until_asked(1)
        second = front.begin(stream=False)
        front.until("edgewise_queue_requests", 1, 5)
        second.reset()
        took = front.until("edgewise_queue_requests", 0, GONE_S * SLACK)
        first.reset()
        a.asked[0].wait_gone(GONE_S * SLACK)
        a.behave = Behave()
        whole(front.ask())
        assert len(a.asked) == 2, f"the device was asked {len(a.asked)} times"
        return f"out of the queue after {1e3 * took:.0f} ms"


@fault("clients", "a client that doesn't read: its device is slowed, memory bounded, others go on",
       release_only=True)
def slow_reader(edgewise):
    with Upstream(Behave(fault="endless")) as a, Front(edgewise, [device("a", a)]) as front:
        whole_before(front, a)
        before = front.rss()
        slow = [front.begin(receive_bytes=4096) for _ in range(4)]
        sent = stands_still(lambda: [asked.sent for asked in a.asked[1:]])
        a.behave = Behave()
        begin = time.monotonic()
        whole(front.ask(stream=True))
        took = time.monotonic() - begin
        grown = (front.rss() - before) / 1e6
        assert grown < 4 * 8, f"{grown:.0f} MB more"
        for request in slow:
            request.reset()
        for asked in a.asked[1:5]:
            asked.wait_gone(GONE_S * SLACK)
        return (f"{max(sent) / 1e6:.1f} MB taken of each device, {grown:.0f} MB more in all; "
                f"another client is answered after {1e3 * took:.0f} ms")


def stands_still(measure, seconds=20):
    """What it is once it hasn't changed for half a second."""
    begin, since, seen = time.monotonic(), time.monotonic(), None
    while time.monotonic() - since < 0.5:
        if (now := measure()) != seen:
            seen, since = now, time.monotonic()
        assert time.monotonic() - begin < seconds, f"it goes on and on: {seen}"
        time.sleep(0.02)
    return seen


def whole_before(front, upstream):
    """A first answer, so that what is allocated once doesn't count."""
    behave, upstream.behave = upstream.behave, Behave()
    whole(front.ask())
    upstream.behave = behave


@fault("clients", "a client that reads slowly gets all of it")
def slow_but_whole(edgewise):
    with Upstream(Behave(tokens=20000)) as a, Front(edgewise, [device("a", a)]) as front:
        request = front.begin(receive_bytes=4096)
        time.sleep(1.5)
        heard = whole(front.hear(request), 20000)
        assert front.row(heard)["output_tokens"] == 20000
        return "20000 words"


@fault("clients", "a browser's page that may ask may read every header of ours, whatever it is told")
def exposed(edgewise):
    more, keys = keys_of({"name": "page", "limits": [{"requests": 2, "per": "1h"},
                                                     {"tokens": 9999, "per": "1h"}]})
    more["cors"] = {"origins": ["https://app.example"]}
    origin = {"Origin": "https://app.example", "X-Edgewise-Session": "one"}
    with Upstream() as a, Front(edgewise, [device("a", a, watts=5)], policy={"sticky": "session"},
                                more=more, key=keys["page"]) as front:
        front.until_healthy("a")
        seen = set()
        for stream, status in ((False, 200), (True, 200), (False, 429)):
            heard = front.ask(stream=stream, headers=origin)
            assert heard.status == status, f"{heard}"
            may = {name.strip().lower() for name in
                   heard.headers["access-control-expose-headers"].split(",")}
            ours = {name for name in heard.headers if name.startswith(("x-", "retry-after"))}
            hidden = ours - may - {"x-accel-buffering"}
            assert not hidden, f"with {status} it may not read {', '.join(sorted(hidden))}"
            seen |= ours
        assert {"retry-after-ms", "x-ratelimit-reset-tokens", "x-edgewise-energy-j"} <= seen, f"{seen}"
        return f"{len(seen)} headers"


# ---- devices that come and go ----

class Load:
    """So many clients that ask one after the other, until stop(); every other one for streams,
    unless none is to."""

    def __init__(self, front, count, streams=True):
        self.front, self.streams, self.heard, self.wrong = front, streams, [], []
        self.ends = threading.Event()
        self.threads = [threading.Thread(target=self._client, args=(i,)) for i in range(count)]
        for thread in self.threads:
            thread.start()

    def _client(self, number):
        while not self.ends.is_set():
            try:
                heard = self.front.ask(stream=self.streams and number % 2 == 0)
                self.heard.append(whole(heard))
            except Exception as error: # told by stop()
                self.wrong.append(error)
                return

    def stop(self):
        self.ends.set()
        for thread in self.threads:
            thread.join()
        if self.wrong:
            raise self.wrong[0]
        return self.heard

    def by(self, name):
        return sum(heard.header("device") == name for heard in self.heard)


@fault("devices", "devices join and leave by a reload under load: not one request fails")
def join_and_leave(edgewise):
    behave = Behave(first_s=0.01, gap_s=0.005)
    with Upstream(behave) as a, Upstream(behave) as b, Front(edgewise, [device("a", a)]) as front:
        load = Load(front, 6)
        time.sleep(0.3)
        assert load.by("b") == 0
        for _ in range(3):
            front.reload([device("a", a), device("b", b)])
            seen = load.by("b")
            again_until(True, 5, lambda: load.by("b") > seen)
            front.reload([device("b", b)])
            seen = stands_still(lambda: len(a.asked)) # what was decided before has begun
            time.sleep(0.2)
            assert len(a.asked) == seen, "who left was asked"
            front.reload([device("a", a)])
            seen = load.by("a")
            again_until(True, 5, lambda: load.by("a") > seen)
        heard = load.stop()
        return f"{len(heard)} answers, {load.by('a')} of a and {load.by('b')} of b"


@fault("devices", "a device leaves by a reload in the midst of its answer: that goes on to its end")
def leaves_midst(edgewise):
    with Upstream(Behave(tokens=50, gap_s=0.02)) as a, Upstream() as b, \
            Front(edgewise, [device("a", a)]) as front:
        request = front.begin()
        a.until_asked(1)
        front.reload([device("b", b)])
        again_until("b", 5, lambda: front.ask().header("device"))
        heard = whole(front.hear(request), 50, by="a")
        assert front.row(heard)["device"] == "a"
        return "50 words"


def timer_of(port):
    """(kind, seconds) of the timer that the kernel has on a connection to that port of ours."""
    with open("/proc/net/tcp", encoding="ascii") as file:
        for line in file.read().splitlines()[1:]:
            fields = line.split()
            if fields[2].endswith(f":{port:04X}") and fields[3] == "01": # established
                kind, ticks = fields[5].split(":")
                return int(kind, 16), int(ticks, 16) / os.sysconf("SC_CLK_TCK")
    raise AssertionError(f"no connection to port {port}")


@fault("devices", "a device that loses power while it is waited for: its connection is watched")
def power_lost(edgewise):
    keepalive = 2 # as /proc/net/tcp has it
    with Upstream(Behave(first_s=20), keeps=False) as a, Front(edgewise, [device("a", a)]) as front:
        request = front.begin(stream=False) # streamed ones have their first token's time
        a.until_asked(1)
        again_until(keepalive, 5, lambda: timer_of(a.port)[0]) # what was sent is acknowledged
        kind, seconds = timer_of(a.port)
        assert kind == keepalive and seconds <= 10, f"timer {kind}, in {seconds:.0f} s"
        request.reset()
        return f"the network is asked every 10 s whether it is there ({seconds:.1f} s to go)"


@fault("devices", "a device that comes back under load is found again, and no request fails")
def comes_back(edgewise):
    with Upstream(Behave(first_s=0.01)) as a, Upstream(Behave(first_s=0.01)) as b, \
            Front(edgewise, [device("a", a), device("b", b)],
                  policy={"select": "least-busy"}) as front:
        load = Load(front, 4, streams=False) # what was begun can't be answered by another
        again_until(True, 5, lambda: load.by("a") > 0)
        a.kill()
        time.sleep(0.5)
        a.start()
        seen = load.by("a")
        took = again_until(True, 30, lambda: load.by("a") > seen)
        heard = load.stop()
        return f"{len(heard)} answers; asked again {1e3 * took:.0f} ms after it is back"


@fault("devices", "all devices down, then one is back: it is asked again soon")
def all_back(edgewise):
    with Upstream() as a, Front(edgewise, [device("a", a)]) as front:
        whole(front.ask())
        a.kill()
        told(front.ask())
        a.start()
        took = again_until(200, 30, lambda: front.ask().status)
        return f"answered {1e3 * took:.0f} ms after it is back"


@fault("devices", "the configuration is deleted while it runs: it says so, and serves on")
def config_deleted(edgewise):
    with Upstream() as a, Front(edgewise, [device("a", a)]) as front:
        whole(front.ask())
        os.unlink(front.config)
        front.signal(signal.SIGHUP)
        again_until(True, 5, lambda: any("edgewise.yaml" in line for line in front.log))
        for i in range(3):
            whole(front.ask(stream=i % 2 == 0))
        return next(line for line in front.log if "edgewise.yaml" in line).replace(
            os.path.dirname(front.config) + "/", "")


@fault("devices", "a device whose url isn't quite right: the log says what it may lack")
def no_v1(edgewise):
    with Upstream() as a, Front(edgewise, [place("a", a.url.removesuffix("/v1"))]) as front:
        said = front.until_said("mostly ends in /v1")
        told(front.ask(), (503,))
        return said


# ---- time ----

class Clock:
    """A wall clock that the test sets: shifted_clock.c, built here. env: for the server."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="edgewise-clock-")
        self.file, library = f"{self.folder.name}/shift", f"{self.folder.name}/clock.so"
        self.shift(0)
        source = os.path.join(HERE, "shifted_clock.c")
        done = subprocess.run([os.environ.get("CC", "cc"), "-std=c17", "-D_GNU_SOURCE", "-O1",
                               "-shared", "-fPIC", "-o", library, source], capture_output=True,
                              check=False, timeout=60)
        if done.returncode:
            raise Skip(f"no shifted clock: {done.stderr.decode()}")
        self.env = {"LD_PRELOAD": library, "EDGEWISE_TEST_CLOCK": self.file}

    def shift(self, seconds):
        with open(self.file, "r+b" if os.path.exists(self.file) else "wb") as file:
            file.write(struct.pack("=q", seconds))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()


@fault("time", "the clock jumps a day ahead and two back: answers, limits and rests go on",
       release_only=True)
def clock_jump(edgewise):
    busy = Behave(fault="status", status=429, headers={"Retry-After": "2"})
    more, keys = keys_of({"name": "one", "limits": [{"requests": 6, "per": "1h"}]})
    with Clock() as clock, Upstream(Behave(tokens=30, gap_s=0.03)) as a, \
            Front(edgewise, [device("a", a)], more=more, env=clock.env, key=keys["one"]) as front:
        days = []
        for shift in (86400, -86400):
            count = len(a.asked)
            request = front.begin()
            a.until_asked(count + 1)
            clock.shift(shift)
            row = front.row(whole(front.hear(request), 30))
            assert 0 < row["total_ms"] < 1e3 * SLACK, f"it took {row['total_ms']} ms"
            days.append(front.row(whole(front.ask(), 30))["arrived_ms"] / 864e5)
        assert abs(days[0] - days[1] - 2) < 0.1, f"the clock didn't jump: {days}"
        a.script.append(busy)
        request = front.begin(stream=False)
        a.until_asked(5)
        clock.shift(86400)
        whole(front.hear(request, stream=False), 30)
        assert 1.9 < a.asked[5].at - a.asked[4].at < 2 * SLACK, "its Retry-After didn't hold"
        clock.shift(0)
        whole(front.ask(), 30)
        told(front.ask(), (429,)) # the seventh in an hour, whatever the clock says
        return "whole answers, the 2 s of a 429, and 6 requests an hour as they were"


# ---- secrets ----

KEY_CLOUD, KEY_FILE = "sk-standin-cloud-0123456789abcdef", "sk-standin-file-fedcba9876543210"


def show_keys(edgewise, cloud_keys, env, api):
    """A front whose device and cloud fail in many ways: (all that is written down, what the device
    was sent, what the cloud was)."""
    echo = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY_CLOUD}. {KEY_FILE}",
                                 "type": "invalid_request_error", "code": "invalid_api_key"}})
    fails = [Behave(fault="status", status=status, body=echo.encode())
             for status in (401, 403, 500, 400)]
    fails += [Behave(fault=name) for name in ("page", "garbage", "cut", "told", "close")]
    more, keys = keys_of("one")
    heads = []
    with Upstream(Behave(fault="close")) as a, Upstream(api=api) as sky:
        for i, behave in enumerate(fails): # a front for each: whoever fails often isn't asked
            sky.behave = behave
            with Front(edgewise, [device("a", a)], [cloud("sky", sky, **cloud_keys)],
                       {"queue": {"timeout": "10ms"}}, more, env=env, key=keys["one"],
                       options=("--log-level", "debug")) as front:
                for _ in range(2):
                    heard = front.ask(stream=i % 2 == 0, max_tokens=2)
                    heads.append(json.dumps(heard.headers).encode() + heard.raw)
                    front.row(heard)
                heads += [front.get(path, keys["one"]).body for path in
                          ("/v1/models", "/health", "/ready", "/v1/edgewise/fleet")]
                heads.append(front.everything())
        assert a.asked and len(sky.asked) >= len(fails), "one of them wasn't asked"
        return b"\n".join(heads), a.everything(), sky


@fault("secrets", "keys are in no log, ledger, metric, header or error, whatever fails")
def secrets(edgewise):
    searched = 0
    with tempfile.TemporaryDirectory(prefix="edgewise-keys-") as folder:
        path = os.path.join(folder, "key")
        with open(path, "w", encoding="ascii") as file:
            file.write(KEY_FILE + "\n")
        os.chmod(path, 0o600)
        for api, keys, env, key, header in (
                ("openai", {"key_env": "STANDIN_KEY"}, {"STANDIN_KEY": KEY_CLOUD},
                 f"Bearer {KEY_CLOUD}", "authorization"),
                ("anthropic", {"key_file": path}, {}, KEY_FILE, "x-api-key")):
            written, device_got, sky = show_keys(edgewise, keys, env, api)
            shown = {asked.headers.get(header) for asked in sky.asked}
            assert shown == {key}, f"the cloud was shown {shown}"
            for name, secret in (("the cloud's", KEY_CLOUD), ("the file's", KEY_FILE),
                                 ("the client's", "key-of-one")):
                at = written.find(secret.encode())
                assert at < 0, f"{name} key is told: {written[max(0, at - 80):at + 40]}"
                assert secret.encode() not in device_got, f"{name} key was shown to a device"
            assert b"key-of-one" not in sky.everything(), "the client's key was shown to a cloud"
            searched += len(written)
    return f"answers, logs, ledgers and metrics: {searched / 1e3:.0f} kB searched"


BAD_WORDS = json.dumps({"error": "Post \"http://127.0.0.1:40311/completion\": EOF"}).encode()
UNNAMED = {
    "refuses connections": Nobody,
    "is silent": lambda: Upstream(Behave(fault="silent")),
    "breaks off before its first token": lambda: Upstream(Behave(fault="cut")),
    "breaks off in the midst": lambda: Upstream(Behave(fault="cut", after=2)),
    "sends nonsense": lambda: Upstream(Behave(fault="garbage")),
    "tells where it runs": lambda: Upstream(Behave(fault="status", status=500, body=BAD_WORDS)),
}


def told_all(front, path, stream):
    """(its row's id, every byte that the client hears) of an error, on any wire."""
    body = front.body(stream=stream) if "chat" in path else \
        {"model": MODEL, "prompt": "Say something.", "stream": stream}
    body |= {"max_tokens": 2, "options": {"num_predict": 2}} # of each wire's own: for little patience
    with Connection(front.port) as c:
        c.post(path, body)
        status, headers = c.head()
        parts = []
        if headers.get("transfer-encoding") == "chunked":
            while part := c.chunk():
                parts.append(part)
        else:
            parts.append(c.file.read(int(headers["content-length"])))
    text = f"{status} {headers} {b''.join(parts).decode()}"
    assert "error" in text, f"{path}: no error in {text}"
    return headers["x-edgewise-request-id"], text


@fault("secrets", "clients hear the names of places, not their addresses; log and `ledger why` have those")
def addresses(edgewise):
    count, known = 0, ""
    for (what, make), path in itertools.product(UNNAMED.items(),
                                                (CHAT, "/v1/completions", "/api/chat", "/api/generate")):
        with make() as a, Front(edgewise, clouds=[cloud("a", a), cloud("host", "https://localhost:9/v1")],
                                policy={"timeouts": {"first_token": "100ms"}}) as front:
            for stream in (True, False):
                name, text = told_all(front, path, stream)
                for secret in ("127.0.0.1", "localhost", ":9:", f":{a.port}"):
                    assert secret not in text, f"a place {what}: the client hears {secret}: {text}"
                assert "127.0.0.1" not in front.row(name)["error"], "the row has it as told"
                known += subprocess.run([edgewise, "ledger", "--db", front.ledger, "why", name],
                                        capture_output=True, text=True, check=True).stdout
                count += 1
            known += "\n".join(front.log)
    for words_of_it in ("Then a failed: 127.0.0.1:", "Then host failed: localhost:9: ",
                        ": a failed: 127.0.0.1:", ": host failed: localhost:9: "):
        assert words_of_it in known, f"neither log nor ledger has '{words_of_it}'"
    return f"{count} errors"


@fault("secrets", "a key's file with an empty first line has no key: nothing is asked there")
def no_key(edgewise):
    with tempfile.TemporaryDirectory(prefix="edgewise-keys-") as folder:
        path = os.path.join(folder, "key")
        with open(path, "w", encoding="ascii") as file:
            file.write("\n" + KEY_FILE + "\n")
        with Upstream() as c, Front(edgewise, clouds=[cloud("c", c, key_file=path)]) as front:
            told(front.ask(), (503,))
            assert not c.asked, "it was asked without a key"
            return front.until_said("empty first line")


# ---- wires ----

@fault("wires", "a cloud that speaks Anthropic's Messages: asked and heard as OpenAI's")
def anthropic(edgewise):
    with Upstream(api="anthropic") as c, \
            Front(edgewise, clouds=[cloud("c", c, key_env="STANDIN_KEY",
                                          price="anthropic/claude-4.5-haiku",
                                          models={"*": "claude-haiku-4-5"})],
                  env={"STANDIN_KEY": KEY_CLOUD}) as front:
        messages = [{"role": "system", "content": "Be brief."},
                    {"role": "user", "content": "Hello to you."}]
        for stream in (True, False):
            options = {"stream_options": {"include_usage": True}} if stream else {}
            heard = whole(front.ask(messages=messages, stream=stream, max_tokens=50, **options))
            asked = c.asked[-1]
            body = asked.json()
            assert asked.path == "/v1/messages" and asked.headers["x-api-key"] == KEY_CLOUD
            assert "authorization" not in asked.headers and asked.headers["anthropic-version"]
            assert body["max_tokens"] == 50 and body["model"] == "claude-haiku-4-5"
            assert "Be brief." in json.dumps(body["system"]), f"system: {body.get('system')}"
            assert [m["role"] for m in body["messages"]] == ["user"]
            assert heard.finish == "stop" and heard.usage["completion_tokens"] == 5
            row = front.row(heard)
            due = 100 * (row["prompt_tokens"] * 1 + 5 * 5) / 1e6
            assert abs(row["cost_cents"] - due) < 1e-9, f"{row['cost_cents']} cents, not {due}"
        heard = front.ask(messages=messages, max_tokens=3)
        assert heard.finish == "length" and heard.text == words(3), f"{heard}"
        return "streamed and not, with its usage and its price"


@fault("wires", "Anthropic's errors, before and in the midst, are told as OpenAI's")
def anthropic_fails(edgewise):
    with Upstream(Behave(fault="status", status=529), api="anthropic") as c, \
            Front(edgewise, clouds=[cloud("c", c)], policy={"on_full": "reject"}) as front:
        seen = [told(front.ask(max_tokens=9, stream=stream), (429, 502, 503))
                for stream in (True, False)]
        c.behave = Behave(fault="told", after=2)
        heard = front.ask(max_tokens=9, stream=True)
        begin = time.monotonic()
        while heard.status != 200 and time.monotonic() - begin < 10: # until its rest is over
            time.sleep(0.1)
            heard = front.ask(max_tokens=9, stream=True)
        broken(heard)
        return f"{seen[0].status}: {seen[0].error['message']}; {heard.error['message']}"


@fault("wires", "a device that speaks Ollama's API: heard as OpenAI's, with its end")
def ollama_device(edgewise):
    with Upstream(api="ollama") as a, Front(edgewise, [device("a", a)]) as front:
        for stream in (True, False):
            options = {"stream_options": {"include_usage": True}} if stream else {}
            heard = whole(front.ask(stream=stream, **options))
            assert heard.finish == "stop", f"the reason of its end is {heard.finish}"
            assert heard.usage["completion_tokens"] == 5, f"{heard.usage}"
            heard = front.ask(stream=stream, max_tokens=3)
            assert heard.finish == "length" and heard.text == words(3), f"{heard}"
    return "streamed and not, with usage and the reason of its end"


@fault("wires", "a cloud is asked what its API documents, a device what servers have beyond it")
def documented(edgewise):
    beyond = {"top_k", "repeat_penalty", "repeat_last_n"}
    for name, places in (("device", lambda a: {"devices": [device("a", a)]}),
                         ("cloud", lambda a: {"clouds": [cloud("a", a)]})):
        with Upstream() as a, Front(edgewise, **places(a)) as front:
            ollama_ask(front, False)
            body = a.asked[-1].json()
            assert ("temperature" in body) and (name == "cloud" or beyond <= set(body)), f"{body}"
            assert name == "device" or not beyond & set(body), f"the {name} was asked {body}"
    return "a client of Ollama's has defaults that OpenAI's own service refuses"


def ollama_ask(front, stream):
    """(words, the last object) of an answer by Ollama's API."""
    with Connection(front.port) as c:
        c.post("/api/chat", {"model": MODEL, "stream": stream,
                             "messages": [{"role": "user", "content": "Hello"}]})
        reply = c.reply()
    assert reply.status == 200, f"status {reply.status}: {reply.body[:200]}"
    lines = [json.loads(line) for line in reply.body.splitlines() if line.strip()]
    assert not any("error" in line for line in lines), f"an error: {lines[-1]}"
    assert lines[-1]["done"] is True, f"it doesn't end: {lines[-1]}"
    return "".join(line["message"]["content"] for line in lines), lines[-1]


@fault("wires", "Ollama's clients are answered by devices and clouds of all three APIs")
def ollama_clients(edgewise):
    for api in ("openai", "anthropic", "ollama"):
        with Upstream(api=api) as a, Front(edgewise, [device("a", a)]) as front:
            for stream in (True, False):
                text, last = ollama_ask(front, stream)
                assert text == words(5), f"{api}: '{text}'"
                assert last["eval_count"] == 5 and last["done_reason"] == "stop", f"{api}: {last}"
            tags = json.loads(front.get("/api/tags").body)
            assert MODEL in [model["name"] for model in tags["models"]], f"{api}: {tags}"
    return "streamed and not; listed in /api/tags"


@fault("wires", "':latest' behind a model's name, here or there, is as good as nothing")
def latest(edgewise):
    with Upstream(models=["m:latest", "n"]) as a, \
            Front(edgewise, [device("a", a, models=["m:latest", "n"])]) as front:
        for asked, there in (("m", "m:latest"), ("m:latest", "m:latest"), ("n:latest", "n")):
            whole(front.ask(model=asked), by="a")
            got = a.asked[-1].json()["model"]
            assert got == there, f"{asked} was asked for as {got}"
            for reply in (front.post("/api/show", {"model": asked}),
                          front.get(f"/v1/models/{asked}")):
                assert reply.status == 200, f"{asked}: {reply.status} {reply.body[:200]}"
        told(front.ask(model="m:lates"), (404,))
        return "asked for by the device's own name"


@fault("wires", "Ollama's clients load and let go of models that devices have, which is no news there")
def load_only(edgewise):
    with Upstream() as a, Front(edgewise, [device("a", a)]) as front:
        for path in ("/api/generate", "/api/chat"):
            for more, reason in (({}, "load"), ({"keep_alive": 0}, "unload")):
                reply = front.post(path, {"model": MODEL} | more)
                assert reply.status == 200, f"{path}: {reply.status} {reply.body[:200]}"
                said = reply.json()
                assert (said["done"], said["done_reason"]) == (True, reason), f"{path}: {said}"
            assert front.post(path, {"model": "none"}).status == 404, "of a model that isn't there"
        assert not a.asked, "the device was asked"
        whole(front.ask())
        return "load, unload"


@fault("wires", "Ollama's clients hear of a device that breaks off, too")
def ollama_breaks(edgewise):
    with Upstream(Behave(fault="cut", after=2)) as a, Front(edgewise, [device("a", a)]) as front:
        with Connection(front.port) as c:
            c.post("/api/chat", {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]})
            status, _ = c.head()
            assert status == 200
            parts = []
            while part := c.chunk():
                parts.append(part)
        lines = [json.loads(line) for line in b"".join(parts).splitlines() if line.strip()]
        assert "error" in lines[-1], f"the last line is {lines[-1]}"
        assert not any(line.get("done") for line in lines), "it says that it is done"
        return f"{lines[-1]['error']}"


@fault("wires", "completions without a chat go to devices that have them")
def completions(edgewise):
    with Upstream() as a, Front(edgewise, [device("a", a)]) as front:
        reply = front.post("/v1/completions", {"model": MODEL, "prompt": "Once"})
        assert reply.status == 200, f"status {reply.status}: {reply.body[:200]}"
        assert reply.text() == words(5), f"'{reply.text()}'"
        with Upstream(api="anthropic") as c:
            front.reload([device("c", c)])
            reply = front.post("/v1/completions", {"model": MODEL, "prompt": "Once"})
            assert reply.status in (400, 404, 503), f"status {reply.status}"
            reply.fault()
            assert not c.asked
        return f"answered; where nobody has them, {reply.status}: {reply.fault()['message']}"


# ---- the rest ----

@fault("front", "a front needs no model, and is ready though no device answers")
def starts_alone(edgewise):
    with Front(edgewise, [device("a", "http://127.0.0.1:9/v1")]) as front:
        assert front.get("/health").status == 200
        heard = told(front.ask())
        assert "retry-after" in heard.headers, "no Retry-After"
        heard = told(front.ask(model="gpt-17"), (404,))
        assert heard.error["code"] == "model_not_found"
        return "/health 200; 503 for its model, 404 for others"


@fault("front", "SIGTERM under load: what was begun ends well, then it exits with 0")
def term(edgewise):
    with Upstream(Behave(tokens=20, gap_s=0.03)) as a, \
            Front(edgewise, [device("a", a)]) as front:
        requests = [front.begin(stream=i % 2 == 0) for i in range(8)]
        a.until_asked(8)
        front.signal(signal.SIGTERM)
        for i, request in enumerate(requests):
            whole(front.hear(request, i % 2 == 0), 20)
        assert front.wait() == 0, front.words()
        assert len(front.rows()) == 8, f"{len(front.rows())} rows"
        return "8 of 8 answered, 8 rows"


@fault("front", "a device that ends well ends its last stream; that doesn't make it healthy again")
def drains(edgewise):
    with Upstream(Behave(tokens=60, gap_s=0.1)) as a, \
            Front(edgewise, [device("a", a)]) as front:
        front.until_healthy("a")
        request = front.begin(stream=True)
        a.until_asked(1)
        a.drain()
        again_until("offline", 5, lambda: front.places()[0]["health"])
        whole(front.hear(request, True), 60)
        assert front.words().count("a is healthy") == 1, front.words()
        return "offline, and its stream whole"


@fault("front", "SIGTERM while a device is silent: the drain has an end, the client is told")
def term_silent(edgewise):
    with Upstream(Behave(first_s=20)) as a, \
            Front(edgewise, [device("a", a)],
                  policy={"timeouts": {"first_token": "20s", "drain": "500ms"}}) as front:
        requests = [front.begin(stream=i % 2 == 0) for i in range(2)]
        a.until_asked(2)
        begin = time.monotonic()
        front.signal(signal.SIGTERM)
        heard = [told(front.hear(request, i % 2 == 0)) for i, request in enumerate(requests)]
        assert front.wait() == 0, front.words()
        took = time.monotonic() - begin
        for asked in a.asked:
            asked.wait_gone(GONE_S * SLACK)
        assert len(front.rows()) == 2, f"{len(front.rows())} rows"
        return f"{heard[0].status} after {took:.1f} s: {heard[0].error['message']}; 2 rows"


@fault("front", "two hundred clients at once, four devices of which two fail: all are answered")
def crowd(edgewise):
    slow = Behave(first_s=0.02, gap_s=0.01)
    with Upstream(slow) as a, Upstream(slow) as b, Upstream(Behave(fault="close")) as c, \
            Upstream(Behave(fault="status", status=500)) as d, \
            Front(edgewise, [device(name, one, concurrency=16) for name, one in
                             (("a", a), ("b", b), ("c", c), ("d", d))],
                  policy={"select": "load-aware",
                          "queue": {"max": 200, "timeout": "60s"}}) as front:
        requests = [front.begin(stream=i % 2 == 0) for i in range(200)]
        for i, request in enumerate(requests):
            whole(front.hear(request, i % 2 == 0), 5, by=("a", "b"))
        rows = front.until_rows(200)
        assert len({row["request_id"] for row in rows}) == 200
        tries = max(row["attempts"] for row in rows)
        return f"200 of 200, {len(a.asked)} and {len(b.asked)}; at most {tries} attempts"


@fault("front", "two fronts that name each other: a request doesn't go round and round")
def loop(edgewise):
    with socket.socket() as taken: # a port for the first, so that the second can be told of it
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with Front(edgewise, [device("one", f"http://127.0.0.1:{port}/v1")]) as two, \
            Front(edgewise, [device("two", two.url)], port=port) as one:
        begin = time.monotonic()
        again_until(508, 10, lambda: one.ask().status) # once each knows that the other is there
        took = time.monotonic() - begin
        told(one.ask(stream=True), (508,))
        with Upstream() as a:
            two.reload([device("one", one.url), device("a", a)])
            again_until(200, 10, lambda: one.ask().status)
            for i in range(6):
                whole(one.ask(stream=i % 2 == 0), by="two")
        again_until(0, 5, lambda: one.gauge("edgewise_place_running") +
                    two.gauge("edgewise_place_running"))
        return f"508 after {1e3 * took:.0f} ms; where one of them has a device, that answers"


STORM_S, STORM_CLIENTS = 3, 24
SPARE = 3 # what was cancelled is counted by the stand-in until it has noticed
WEATHER = ("silent", "close", "garbage", "status", "empty", "page", "no_json", "short", "head_only",
           "stall", "cut", "no_end", "malformed", "told")
FAIR = 0.93 # of the weather


def storm_client(front, number, until, seen):
    """Asks all sorts of things, and leaves now and then in the midst."""
    rng = random.Random(number)
    while time.monotonic() < until:
        stream = rng.random() < 0.6
        headers = rng.choice(({}, {}, front_policy.EDGE_ONLY, {"X-Deadline-Ms": "150"}))
        request = front.begin(stream=stream, headers=headers, max_tokens=rng.choice((1, 5, 20)))
        if rng.random() < 0.2:
            time.sleep(rng.random() * 0.1)
            request.reset()
            seen.append(499)
            continue
        heard = front.hear(request, stream)
        assert heard.status in (200, 429) + NONE_STATUSES, str(heard)
        assert heard.ended != bool(heard.error), f"neither whole nor told: {heard}"
        seen.append(heard.status)
        time.sleep(0 if heard.status == 200 else 0.02)


@fault("front", "a storm: devices and clouds fail at random, clients leave, reloads: it adds up")
def storm(edgewise):
    rng, names, seen, wrong = random.Random(5), "abcdefgh", [], []
    policy = {"select": "load-aware", "midstream": "continue", "sticky": "prefix",
              "queue": {"timeout": "300ms"}, "timeouts": {"first_token": "200ms", "stall": "200ms"}}
    with contextlib.ExitStack() as stack:
        ups = {name: stack.enter_context(Upstream(api=rng.choice(("openai", "openai", "ollama"))))
               for name in names}
        ups["h"] = stack.enter_context(Upstream(api="anthropic"))
        script = [Behave(fault="" if rng.random() < FAIR else rng.choice(WEATHER), after=rng.choice((0, 2)), first_s=0.005,
                         gap_s=0.002, tokens=20, status=rng.choice((500, 503, 429)))
                  for _ in range(20000)]
        for up in ups.values():
            up.script = script
        devices = [device(name, ups[name], concurrency=3) for name in "abcdef"]
        clouds = [cloud(name, ups[name], price=front_policy.PRICE) for name in "gh"]
        front = stack.enter_context(Front(edgewise, devices, clouds, policy))

        def client(number):
            try:
                storm_client(front, number, until, seen)
            except Exception as error: # told below
                wrong.append(error)
        until = time.monotonic() + STORM_S
        threads = [threading.Thread(target=client, args=(i,)) for i in range(STORM_CLIENTS)]
        for thread in threads:
            thread.start()
        for turn in range(4):
            time.sleep(STORM_S / 5)
            front.reload(devices[turn % 3:], clouds=clouds, policy=policy)
        for thread in threads:
            thread.join()
        if wrong:
            raise wrong[0]
        again_until([0, 0], 5, lambda: [front.gauge(name) for name in
                                        ("edgewise_queue_requests", "edgewise_place_running")])
        again_until(0, 5, lambda: sum(up.now for up in ups.values()))
        rows = front.until_rows(len(seen))
        assert len(rows) == len(seen), f"{len(rows)} rows of {len(seen)} requests"
        most = max(ups[name].most for name in "abcdef")
        assert most <= 3 + SPARE, f"{most} requests at once where 3 are allowed"
        counts = {status: seen.count(status) for status in sorted(set(seen))}
        return f"{len(seen)} requests, as many rows; by status {counts}"


@fault("front", "a locked ledger: answers go on, the rows arrive when it is free")
def ledger_locked(edgewise):
    with Upstream() as a, Front(edgewise, [device("a", a)]) as front:
        whole(front.ask())
        front.until_rows(1)
        lock = sqlite3.connect(front.ledger, isolation_level=None)
        lock.execute("begin immediate")
        for i in range(10):
            whole(front.ask(stream=i % 2 == 0))
        lock.execute("rollback")
        lock.close()
        return f"{len(front.until_rows(11))} of 11 rows"


if __name__ == "__main__":
    ARGS = FAULTS.parser("faults around a real front", "edgewise").parse_args()
    FAULTS.finish(ARGS, ARGS.edgewise)
