#!/usr/bin/env python3
"""soak.py - a mixed load on a real server for as long as one likes: `make soak`.

    tests/fault/soak.py EDGEWISE MODEL.gguf [--seconds 120] [--clients 6]
    tests/fault/soak.py EDGEWISE MODEL.gguf --short 20000     short requests, and the RSS curve

Streams, whole answers, clients that hang up, wrong requests, schema answers and reloads, chosen by
a seed. Every answer must be what that kind of request gets; in the end the server must drain, exit
with 0, have told of no fault (a sanitizer's words count as one) and not have grown: resident memory
of the last quarter against that of the second, since the first one fills caches."""
import argparse
import json
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from served import RUNNING, WAITING, Server # noqa: E402

CHAT = "/v1/chat/completions"
GROWTH = 1.05 # times: a page more of a queue or a log isn't a leak
GROWTH_BYTES = 4 << 20
SCHEMA = {"type": "object", "properties": {"a": {"enum": ["x", "y"]}, "n": {"type": "integer",
          "minimum": 0, "maximum": 99}}, "required": ["a", "n"], "additionalProperties": False}


def prompt(rng):
    return f"Number {rng.randrange(50)}. " + "Tell me more. " * rng.choice((0, 0, 3, 100))


def whole(server, rng):
    reply = server.chat(prompt(rng), max_tokens=rng.randint(1, 30), temperature=rng.random())
    assert reply.status == 200, f"{reply.status}: {reply.body[:200]}"


def streamed(server, rng):
    with server.open_chat(prompt(rng), max_tokens=rng.randint(1, 40)).begin() as stream:
        assert stream.status == 200, stream.status
        stream.rest()
        assert stream.ended, "no [DONE]"


def hangs_up(server, rng):
    stream = server.open_chat(prompt(rng), max_tokens=400, stream=rng.random() < 0.7)
    time.sleep(rng.random() * 0.3)
    stream.reset()


def wrong(server, rng):
    body = rng.choice((b"{", b"[" * 5000, b"{}", b"null"))
    assert server.post(CHAT, body).status == 400
    assert server.chat("Hello", model="nobody").status == 404
    assert server.chat("Hello", n="two").status == 400


def schema(server, rng):
    form = {"type": "json_schema", "json_schema": {"name": "t", "schema": SCHEMA}}
    reply = server.chat(prompt(rng), max_tokens=200, response_format=form, temperature=1,
                        seed=rng.randrange(1000))
    assert reply.status == 200, f"{reply.status}: {reply.body[:200]}"
    if reply.json()["choices"][0]["finish_reason"] == "stop":
        assert set(json.loads(reply.text())) == {"a", "n"}, reply.text()


def choices(server, rng):
    reply = server.chat(prompt(rng), max_tokens=10, n=3, temperature=1)
    assert len(reply.json()["choices"]) == 3


def reload(server, rng):
    server.configure(text_of_config(server.source, rng.randint(50, 60)))
    server.signal(signal.SIGHUP)


KINDS = ((whole, 6), (streamed, 8), (hangs_up, 5), (wrong, 2), (schema, 3), (choices, 2),
         (reload, 1))


def text_of_config(model, queue):
    return (f"listen: 127.0.0.1:0\ndevices:\n  - name: here\n    model: {model}\n"
            f"policy:\n  on_full: queue\n  queue: {{max: {queue}, timeout: 120s}}\n")


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
        status = server.stop(120)
        if status:
            faults.append(f"exit status {status}")
    early, late = grown(curve)
    print(f"RSS {curve[0] / 1e6:.1f} MB at the start, {early / 1e6:.1f} in the second quarter, "
          f"{late / 1e6:.1f} in the last")
    if late > early * GROWTH + GROWTH_BYTES:
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
        print("\n".join(server.log[-30:]))
    return not faults


def main():
    parser = argparse.ArgumentParser(description="a mixed load for as long as one likes")
    parser.add_argument("edgewise")
    parser.add_argument("model")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--short", type=int, metavar="N", help="N short requests instead")
    args = parser.parse_args()
    with Server(args.edgewise, args.model, text_of_config(args.model, 64)) as server:
        server.source = args.model
        until = time.monotonic() + args.seconds
        kinds, weights = zip(*KINDS)
        if args.short:
            load = Load(server, lambda rng: one_short, None)
            load.more = lambda: sum(load.counts.values()) < args.short
        else:
            load = Load(server, lambda rng: rng.choices(kinds, weights)[0],
                        lambda: time.monotonic() < until)
        well = judge(server, load, load.run(args.clients))
    print("1 passed, 0 failed" if well else "0 passed, 1 failed")
    sys.exit(not well)


def one_short(server, rng):
    reply = server.chat(f"Hi {rng.randrange(10)}", max_tokens=1)
    assert reply.status == 200, f"{reply.status}: {reply.body[:200]}"


main()
