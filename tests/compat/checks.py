"""checks.py - what the clients' scripts have in common: checks by name, and the server they ask.

    @check("a chat is answered")
    def chat():
        ...                     # an AssertionError: it failed; skip(why): it can't be tried here
        return answer           # what it said, printed behind the name
    main()

A script is run as `openai_chat.py --url http://127.0.0.1:8080 --key K …` (run.sh does). It prints
a line for each check and last "N passed, N failed[, N skipped]". What a check returns must be the
same each time it is asked of the same model: no ids, no times. So the output of two runs, as at a
device and through a front before it, can be compared line by line. Sampling is at temperature 0 or
with a seed; edgewise promises the same answer then, whoever else is being served.

The gauge of running requests is edgewise's own; at another server what needs it is skipped."""
import argparse
import asyncio
import hashlib
import inspect
import json
import os
import re
import sys
import time
import traceback
import urllib.error
import urllib.request

FREE_S = 3       # a place must be free so soon after its client went; promised are 0.1 s, if idle
SAID_MAX = 100   # characters of what a check returns that are printed
CHECKS = []      # (name, function)


class Skip(Exception):
    """A check that can't be tried here, and why."""


def skip(why):
    raise Skip(why)


def check(name):
    def add(function):
        CHECKS.append((name, function))
        return function
    return add


def same(got, wanted, what="it"):
    assert got == wanted, f"{what} is {got!r}, not {wanted!r}"


def raises(kind, function, *args, **more):
    """The exception of exactly this class that the call must end with."""
    try:
        result = function(*args, **more)
    except Exception as error:
        assert type(error) is kind, f"raised {type(error).__name__}, not {kind.__name__}: {error}"
        return error
    raise AssertionError(f"no {kind.__name__}, but {str(result)[:200]}")


class Server:
    """Where it is, what it has, and how busy it is."""

    def __init__(self, url, device, key, limited_key, model, tools_model):
        self.url = url.rstrip("/")
        self.computing = [self.url] + ([device.rstrip("/")] if device else [])
        self.key, self.limited_key = key, limited_key
        self.model, self.tools_model = model, tools_model

    @property
    def v1(self):
        return self.url + "/v1"

    def bearer(self):
        return {"Authorization": f"Bearer {self.key}"}

    def get(self, path, url=None):
        request = urllib.request.Request((url or self.url) + path, headers=self.bearer())
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.read().decode()

    def need_tools_model(self):
        names = [model["id"] for model in json.loads(self.get("/v1/models"))["data"]]
        return self.tools_model if self.tools_model in names else \
            skip(f"the server has no {self.tools_model}")

    def need_limited_key(self):
        return self.limited_key or skip("no --limited-key of a client with a limit of requests")

    def need_keys(self):
        """Only where keys are needed can one be wrong."""
        try:
            urllib.request.urlopen(self.v1 + "/models", timeout=30).close()
        except urllib.error.HTTPError as error:
            if error.code == 401:
                return
        skip("the server takes requests without a key")

    def running(self, url):
        try:
            text = self.get("/metrics", url)
        except urllib.error.HTTPError:
            text = ""
        found = re.findall(r"^edgewise_running_requests(?:\{.*\})? ([0-9.]+)$", text, re.M)
        return sum(map(float, found)) if found else skip("no gauge of running requests at /metrics")

    def until_running(self, count):
        """At a front, and at the device behind it, if that is told."""
        begin = time.monotonic()
        for url in self.computing:
            while (now := self.running(url)) != count:
                assert time.monotonic() - begin < FREE_S, \
                    f"after {FREE_S} s {now:g} are running at {url}"
                time.sleep(0.01)


def user(text):
    return [{"role": "user", "content": text}]


# Many seconds of work: who hangs up, and isn't noticed, leaves it running longer than FREE_S.
LONG = {"max_tokens": 3000, "logit_bias": {"0": -100, "2": -100}} # SmolLM2's ends of a turn


def read_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--device", help="the device behind it, if it is a front for one only")
    parser.add_argument("--key", default="any")
    parser.add_argument("--limited-key")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--tools-model", default="qwen2.5-coder-0.5b")
    parser.add_argument("--only", default="", help="checks with this word in their name")
    return vars(parser.parse_args())


def run(function):
    result = function()
    return asyncio.run(result) if inspect.iscoroutine(result) else result


def one_line(text):
    """What is cut off is still compared: by its digest."""
    text = json.dumps(text, ensure_ascii=False) if text is not None else ""
    if len(text) <= SAID_MAX:
        return text
    return f"{text[:SAID_MAX]}… ({hashlib.sha256(text.encode()).hexdigest()[:8]})"


arguments = read_arguments()
only = arguments.pop("only")
server = Server(**arguments)


def main():
    client = os.path.basename(sys.argv[0]).removesuffix(".py")
    counts = {"ok": 0, "FAIL": 0, "skip": 0}
    for name, function in CHECKS:
        if only not in name:
            continue
        try:
            word, said = "ok", one_line(run(function))
        except Skip as why:
            word, said = "skip", str(why)
        except Exception as error:
            word = "FAIL"
            said = str(error) if isinstance(error, AssertionError) and str(error) else \
                "".join(traceback.format_exception(error)).strip()
        counts[word] += 1
        print(f"  {word:5} {client}: {name}{': ' if said else ''}{said}", flush=True)
    print(f"{counts['ok']} passed, {counts['FAIL']} failed"
          f"{', %d skipped' % counts['skip'] if counts['skip'] else ''}")
    sys.exit(counts["FAIL"] > 0)
