"""faults.py - what the faults around a server share: their list, prompts, configurations, checks.

A fault is a function under its sentence, `fault(group, sentence)`; it gets a Tried, raises
AssertionError when the server did otherwise, and returns what was seen. Nothing is judged by the
clock where it can be judged by what came before what; where a time is the promise, it's the best of
several, since the machine may be busy. Waits end with an error when they mean a hang."""
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from fault_run import Faults # noqa: E402
from served import RUNNING, WAITING, WAIT_S, Server # noqa: E402, F401 (the groups use them)

CHAT = "/v1/chat/completions"
FAULTS = Faults()
fault = FAULTS.add


class Tried:
    """What the faults are done to."""

    def __init__(self, edgewise, model, tiny):
        self.edgewise, self.model = edgewise, model
        self.tiny = tiny # a random model of a few hundred kB
        self.sanitized = "/release/" not in edgewise

    def serve(self, config=None, **how):
        return Server(self.edgewise, self.model, config, **how)

    def config(self, policy="", device="", more="", models=None):
        """policy: lines of that section; device: lines of the device; more: other sections."""
        return (f"listen: 127.0.0.1:0\ndevices:\n  - name: here\n"
                f"    models: [{', '.join(models or [self.model])}]\n{device}"
                f"policy:\n  {policy or 'on_full: queue'}\n{more}")

    def tokens(self, count):
        """So long an answer, or what takes about as long in a sanitizer's build."""
        return max(1, count // 4) if self.sanitized else count


def on_one_server(group, sentence):
    """A fault that needs nothing but a server, which is well afterwards."""
    def add(function):
        def run(tried):
            with tried.serve() as server:
                seen = function(server)
                well(server)
                return seen
        fault(group, sentence)(run)
        return function
    return add


def words(count, turn=0):
    """A prompt of a little more than so many tokens, another one each turn."""
    return f"{turn}. Tell me about this list. " + " ".join(f"item{i % 10}"
                                                          for i in range(count // 2))


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


def best_of(tries, limit, measure):
    """The least of measure(0), measure(1) …; the first within the limit is enough. A busy machine
    makes one late or the other; a server that is late is late each time."""
    seen = []
    for turn in range(tries):
        seen.append(measure(turn))
        if seen[-1] <= limit:
            return seen[-1]
    told = ", ".join(f"{1e3 * s:.0f}" for s in seen)
    raise AssertionError(f"after {told} ms, never within {1e3 * limit:.0f} ms")


def until(what, condition):
    """Waits for the condition; what: for the error."""
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < WAIT_S, f"{what} didn't happen in {WAIT_S} s"
        time.sleep(0.005)


def ended_s(row):
    """When a request was over and everything of it free, by the ledger: Unix time."""
    return (row["arrived_ms"] + row["total_ms"]) / 1e3


def well(server):
    """The server still does what it is for."""
    assert server.get("/health").status == 200, "/health isn't 200 any more"
    reply = server.chat("Hello", max_tokens=2)
    assert reply.status == 200, f"it answers {reply.status} afterwards: {reply.body[:200]}"


def refused(reply, statuses, code=None, param=None):
    assert reply.status in statuses, f"status {reply.status}: {reply.body[:200]}"
    error = reply.fault()
    assert code is None or error["code"] == code, f"code {error['code']}, not {code}"
    assert param is None or str(error["param"] or "").startswith(param), \
        f"param {error['param']}, not {param}: {error['message']}"
    return f"{reply.status}: {error['message']}"
