#!/usr/bin/env python3
"""soak.py - a mixed load on a real server for as long as one likes: `make soak`.

    tests/fault/soak.py EDGEWISE MODEL.gguf [--seconds 120] [--clients 8]
    tests/fault/soak.py EDGEWISE MODEL.gguf --short 20000     short requests, and the RSS curve

Streams, whole answers, clients that hang up or don't read, wrong requests, schema answers, models
that come and go, and reloads, chosen by a seed. There are more clients than places, so that some wait
and some are paused. Most requests of a sanitizer's build go to a tiny random model: it is the server
that is tried here, and a hundred times more happens in the same time. Every answer must be what that
kind of request gets; in the end the server must drain, exit with 0, and have told of no fault (a
sanitizer's words count as one; asan looks for leaks at the exit). A release build must not have grown
either: resident memory of the last quarter against that of the second, since the first one fills
caches; sanitizers keep memory of their own."""
import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../support"), os.path.join(HERE, "../reference")]
from models import Builder # noqa: E402
from served import RUNNING, WAITING, Server # noqa: E402

CHAT = "/v1/chat/completions"
GROWTH = 1.05 # times: a page more of a queue or a log isn't a leak
GROWTH_BYTES = 4 << 20
SCHEMA = {"type": "object", "properties": {"a": {"enum": ["x", "y"]}, "n": {"type": "integer",
          "minimum": 0, "maximum": 99}}, "required": ["a", "n"], "additionalProperties": False}


class Soaked:
    """What is asked, and of which models."""

    def __init__(self, args, folder):
        self.sanitized = "/release/" not in os.path.abspath(args.edgewise)
        self.model = args.model
        self.tiny = [os.path.join(folder, f"tiny{i}.gguf") for i in (1, 2)]
        for path in self.tiny:
            Builder("llama-longer-than-a-chunk").write(path) # trained for 1024 positions
        self.tiny_share = 0.97 if self.sanitized else 0.2

    def config(self, queue):
        """The second tiny model is asked for seldom, and unloaded each time."""
        models = ", ".join([self.model, *self.tiny])
        return (f"listen: 127.0.0.1:0\ndevices:\n  - name: here\n    models: [{models}]\n"
                "    concurrency: 4\n    ctx: 1024\n    idle_unload: 1s\n"
                "policy:\n  on_full: queue\n"
                f"  queue: {{max: {queue}, timeout: 1h}}\n  timeouts: {{request: 1h, drain: 1h}}\n")

    def ask(self, rng, more):
        """(prompt, fields): of one of the models."""
        tiny = rng.random() < self.tiny_share
        name = "tiny2" if tiny and rng.random() < 0.02 else "tiny1" if tiny else None
        prompt = f"Number {rng.randrange(50)}. " + "Tell me more. " * rng.choice((0, 0, 3, 20))
        fields = {"user": f"user{rng.randrange(4)}"} | more | ({"model": name} if name else {})
        return prompt, fields


def whole(server, rng):
    prompt, fields = server.soaked.ask(rng, {"max_tokens": rng.randint(1, 30)})
    reply = server.chat(prompt, temperature=rng.random(), **fields)
    assert reply.status == 200, f"{reply.status}: {reply.body[:200]}"


def streamed(server, rng):
    prompt, fields = server.soaked.ask(rng, {"max_tokens": rng.randint(1, 40)})
    with server.open_chat(prompt, **fields).begin() as stream:
        assert stream.status == 200, stream.status
        stream.rest()
        assert stream.ended, "no [DONE]"


def hangs_up(server, rng):
    prompt, fields = server.soaked.ask(rng, {"max_tokens": 200, "stream": rng.random() < 0.7})
    stream = server.open_chat(prompt, **fields)
    time.sleep(rng.random() * 0.3)
    stream.reset()


def reads_late(server, rng):
    """Enough to fill what buffers there are: it is paused, goes on, and sometimes hangs up instead."""
    more = {"max_tokens": 60, "n": 4, "logprobs": True, "top_logprobs": 20, "model": "tiny1"}
    with server.open_chat("Tell me more.", receive_bytes=4096, **more) as stream:
        time.sleep(rng.random())
        if rng.random() < 0.5:
            stream.reset()
            return
        assert stream.begin().status == 200
        stream.rest()
        assert stream.ended, "no [DONE]"


def wrong(server, rng):
    body = rng.choice((b"{", b"[" * 5000, b"{}", b"null"))
    assert server.post(CHAT, body).status == 400
    assert server.chat("Hello", model="nobody").status == 404
    assert server.chat("Hello", n="two").status == 400


def looks(server, rng):
    path = rng.choice(("/metrics", "/v1/models", "/health", "/ready", "/api/tags", "/api/ps"))
    reply = server.get(path)
    assert reply.status == 200, f"{path}: {reply.status}"


def schema(server, rng):
    form = {"type": "json_schema", "json_schema": {"name": "t", "schema": SCHEMA}}
    prompt, fields = server.soaked.ask(rng, {"max_tokens": 200, "response_format": form})
    reply = server.chat(prompt, temperature=1, seed=rng.randrange(1000), **fields)
    assert reply.status == 200, f"{reply.status}: {reply.body[:200]}"
    if reply.json()["choices"][0]["finish_reason"] == "stop":
        assert set(json.loads(reply.text())) == {"a", "n"}, reply.text()


def choices(server, rng):
    prompt, fields = server.soaked.ask(rng, {"max_tokens": 10, "n": 3})
    reply = server.chat(prompt, temperature=1, **fields)
    assert len(reply.json()["choices"]) == 3


def ollama(server, rng):
    prompt, fields = server.soaked.ask(rng, {})
    body = {"model": fields.get("model", server.model), "prompt": prompt,
            "options": {"num_predict": 10}}
    reply = server.post("/api/generate", body)
    last = json.loads(reply.body.splitlines()[-1])
    assert reply.status == 200 and last["done"], f"{reply.status}: {reply.body[-200:]}"


def reload(server, rng):
    server.configure(server.soaked.config(rng.randint(50, 60)))
    server.signal(signal.SIGHUP)


KINDS = ((whole, 6), (streamed, 8), (hangs_up, 5), (reads_late, 1), (wrong, 2), (looks, 2),
         (schema, 2), (choices, 2), (ollama, 2), (reload, 1))


class Load:
    """Clients, each a thread that asks until the time is over."""

    def __init__(self, server, pick, more):
        self.server, self.pick, self.more = server, pick, more
        self.counts, self.faults, self.lock = {}, [], threading.Lock()

    def client(self, number):
        rng = random.Random(number)
        while self.more() and not self.faults:
            kind = self.pick(rng)
            try:
                kind(self.server, rng)
            except Exception as error: # whatever it is, the soak has failed
                self.faults.append(f"{kind.__name__}: {type(error).__name__}: {error}")
            with self.lock:
                self.counts[kind.__name__] = self.counts.get(kind.__name__, 0) + 1

    def run(self, clients):
        threads = [threading.Thread(target=self.client, args=(i,)) for i in range(clients)]
        for thread in threads:
            thread.start()
        curve, shown = [], time.monotonic()
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.2)
            if self.server.process.poll() is not None:
                self.faults.append(f"the server ended with {self.server.process.returncode}")
                break
            curve.append(self.server.rss())
            if time.monotonic() - shown > 10:
                shown = time.monotonic()
                print(f"  {sum(self.counts.values()):6} requests, RSS {curve[-1] / 1e6:.1f} MB",
                      flush=True)
        for thread in threads:
            thread.join()
        return curve


def grown(curve):
    """(bytes in the second quarter at most, in the last at most)."""
    quarter = max(1, len(curve) // 4)
    return max(curve[quarter:2 * quarter] or curve), max(curve[-quarter:])


def judge(server, load, curve):
    faults = list(load.faults)
    if server.process.poll() is None:
        try:
            server.until(RUNNING, 0)
            server.until(WAITING, 0)
        except AssertionError as error:
            faults.append(str(error))
        status = server.stop(300)
        if status:
            faults.append(f"exit status {status}")
    early, late = grown(curve)
    print(f"RSS {curve[0] / 1e6:.1f} MB at the start, {early / 1e6:.1f} in the second quarter, "
          f"{late / 1e6:.1f} in the last")
    if not server.soaked.sanitized and late > early * GROWTH + GROWTH_BYTES:
        faults.append("resident memory grew")
    said = [line for line in server.log if "Sanitizer" in line or "runtime error" in line
            or "EW_ASSERT" in line or "assertion" in line.lower()]
    faults += said[:3]
    rows, asked = len(server.rows()), sum(load.counts.values())
    print(f"{asked} requests: " + ", ".join(f"{v} {k}" for k, v in sorted(load.counts.items()))
          + f"; {rows} rows in the ledger")
    for text in faults:
        print("FAIL  " + text)
    if faults:
        first = next((i for i, line in enumerate(server.log) if line in said), len(server.log))
        print("\n".join(server.log[max(0, first - 5):first + 60][:90] if said else server.log[-30:]))
    return not faults


def main():
    parser = argparse.ArgumentParser(description="a mixed load for as long as one likes")
    parser.add_argument("edgewise")
    parser.add_argument("model")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--short", type=int, metavar="N", help="N short requests instead")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgewise-soak-") as folder:
        soaked = Soaked(args, folder)
        with Server(args.edgewise, args.model, soaked.config(64)) as server:
            server.soaked = soaked
            well = soak(server, args)
    print("1 passed, 0 failed" if well else "0 passed, 1 failed")
    sys.exit(not well)


def soak(server, args):
    until = time.monotonic() + args.seconds
    kinds, weights = zip(*KINDS)
    if args.short:
        load = Load(server, lambda rng: one_short, None)
        load.more = lambda: sum(load.counts.values()) < args.short
    else:
        load = Load(server, lambda rng: rng.choices(kinds, weights)[0],
                    lambda: time.monotonic() < until)
    return judge(server, load, load.run(args.clients))


def one_short(server, rng):
    reply = server.chat(f"Hi {rng.randrange(10)}", max_tokens=1)
    assert reply.status == 200, f"{reply.status}: {reply.body[:200]}"


main()
