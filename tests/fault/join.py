#!/usr/bin/env python3
"""join.py - devices that dial in to a front: let in, asked, killed, back again, gone for good.

    tests/fault/join.py EDGEWISE MODEL.gguf

Real processes: a front without a model, and devices behind what might as well be a NAT, since nobody
connects to them. Prints a line for each step; the last one is "N passed, N failed"."""
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from served import Server # noqa: E402

WAIT_S = 40
RESULTS = []
OTHER = 'edgewise_http_requests_total{route="other",status="%s"}'


def step(sentence, holds, seen=""):
    RESULTS.append(bool(holds))
    print(f"{'ok   ' if holds else 'FAIL '} {sentence}" + (f"\n        {seen}" if seen else ""))
    return holds


def members(front):
    return {p["name"]: p for p in json.loads(front.get("/v1/edgewise/fleet").body)["places"]}


def until(what, seconds=WAIT_S):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        time.sleep(.05)
    return None


def health(front, name, wanted):
    return until(lambda: members(front).get(name, {}).get("health") == wanted)


def token(edgewise, front, name):
    return subprocess.run([edgewise, "serve", "--config", front.config, "--new-token", name],
                          check=True, capture_output=True, text=True).stdout.strip()


def device(edgewise, model, front, *more, env=None):
    return Server(edgewise, model, env=env,
                  options=("--ctx", "512", "--streams", "2", "--join",
                           f"http://127.0.0.1:{front.port}", *more))


def run(edgewise, model):
    config = "listen: 127.0.0.1:0\njoin: {secret: join.secret}\npolicy: {probe: 200ms}\n"
    with Server(edgewise, model, config) as front:
        first = token(edgewise, front, "pi")
        with device(edgewise, model, front, "--token", first) as pi:
            step("a device with a new token joins, and is looked at", health(front, "pi", "healthy"))
            reply = front.chat("Say hello.", max_tokens=5)
            step("it answers what is asked of the front",
                 reply.status == 200 and reply.headers.get("x-edgewise-device") == "pi",
                 f"{reply.status}, {reply.headers.get('x-edgewise-device')}")
            stream = front.open_chat("Say hello.", max_tokens=5)
            stream.begin()
            step("streamed, too", stream.rest() and stream.ended)
            stream.close()
            step("the requests are the front's, in the device's ledger",
                 {r["client"] for r in pi.until_rows(2)} == {"front"})
            with device(edgewise, model, front, "--token", first, "--name", "other") as other:
                said = other.until_said("used already")
                step("the same token doesn't let in a second device", said, said)
                step("who isn't let in serves on by itself", other.get("/health").status == 200)
            kept = [f for f in os.listdir(os.path.join(pi.folder.name, "edgewise"))
                    if f.endswith(".member")]
            step("its membership is kept", len(kept) == 1, str(kept))
            member = os.path.join(pi.folder.name, "edgewise", kept[0])
            with open(member, encoding="ascii") as file:
                membership = file.read()
            step("for nobody else to read", os.stat(member).st_mode & 0o777 == 0o600)
            slow = front.open_chat("Count.", max_tokens=400)
            slow.begin().first()
            pi.kill()
            step("a device that dies in the midst: its client hears an error",
                 any("error" in event for _, event in slow.events()) and not slow.ended)
            slow.close()
            step("and the front knows that it is gone", health(front, "pi", "offline"))
            reply = front.chat("Say hello.", max_tokens=5)
            step("with nobody else, clients are told when to come again",
                 reply.status == 503 and "retry-after" in reply.headers, reply.body[:120].decode())
        with device(edgewise, model, front, "--token", membership) as pi:
            step("it comes back with its membership", health(front, "pi", "healthy"))
            answered = until(lambda: front.chat("Say hello.", max_tokens=5).status == 200)
            step("and answers again, the same member",
                 answered and members(front)["pi"]["requests"] >= 3)
            secret = "\n".join(front.log)
            step("no token is in the front's log", first not in secret and membership not in secret)
            step("it leaves cleanly: SIGTERM, status 0", pi.stop() == 0)
            step("and is offline at the front at once", health(front, "pi", "offline"))
        home = os.path.join(front.folder.name, "home")
        os.makedirs(os.path.join(home, "edgewise"))
        with open(os.path.join(home, "edgewise", kept[0]), "w", encoding="ascii") as file:
            file.write(membership)
        with device(edgewise, model, front, env={"XDG_DATA_HOME": home,
                                                 "EDGEWISE_JOIN_TOKEN": first}) as pi:
            step("a used token that a service still finds at its start does no harm",
                 health(front, "pi", "healthy"), pi.until_said("membership of before"))
        step("nonsense for a token is a 401 of the front",
             front.get("/v1/edgewise/join", key="ewj1.x.1.2.3").status in (401, 426))


class Knock:
    """One connection that shows a token: 101, or what it is refused with."""

    def __init__(self, front, token, name="nameless", connection="Upgrade"):
        self.connection = front.connect()
        self.connection.send("GET /v1/edgewise/join HTTP/1.1\r\nHost: front\r\n"
                             f"Connection: {connection}\r\n"
                             f"Upgrade: edgewise/1\r\nX-Edgewise-Name: {name}\r\n"
                             f"Authorization: Bearer {token}\r\n\r\n")

    def status(self):
        self.heard = getattr(self, "heard", None) or self.connection.head()[0]
        return self.heard


def refused(edgewise):
    """What becomes of a token whose device isn't let in, or not alone."""
    config = "listen: 127.0.0.1:0\njoin: {secret: join.secret}\n"
    with Server(edgewise, "", config) as front:
        first, second, third = (token(edgewise, front, name) for name in ("pi", "pi", ""))
        closing = Knock(front, first, connection="close").status()
        step("who wants the connection closed isn't, and keeps its token", closing == 426, closing)
        pi = Knock(front, first)
        step("a device is let in", pi.status() == 101)
        again = [Knock(front, second).status() for _ in range(3)]
        step("another one of that name isn't, as often as it shows its token", again == [409] * 3,
             str(again))
        pi.connection.close()
        step("when the name is free, that token lets it in",
             until(lambda: Knock(front, second).status() == 101))
        step("and is used then", Knock(front, second).status() == 401)
        crowd = [Knock(front, third, f"device-{i}") for i in range(8)]
        heard = sorted(one.status() for one in crowd)
        step("of eight at once that show one token, one is let in", heard == [101] + [401] * 7,
             str(heard))


def asked_as_ollama(edgewise, model):
    """A front that speaks Ollama's API to an edgewise asks for its state, too, and for no more."""
    with Server(edgewise, model, options=("--ctx", "512")) as pi:
        config = ("listen: 127.0.0.1:0\npolicy: {probe: 100ms}\ndevices:\n  - name: pi\n    api: ollama\n"
                  f"    url: http://127.0.0.1:{pi.port}\n")
        with Server(edgewise, model, config) as front:
            step("an edgewise asked in Ollama's API is found", health(front, "pi", "healthy"))
            asked = until(lambda: pi.metrics().get(OTHER % "2xx", 0) > 5)
            step("and tells its state: no look of many is in vain",
                 asked and OTHER % "4xx" not in pi.metrics())


def main():
    refused(sys.argv[1])
    asked_as_ollama(*sys.argv[1:3])
    run(*sys.argv[1:3])
    print(f"{sum(RESULTS)} passed, {len(RESULTS) - sum(RESULTS)} failed")
    return sum(RESULTS) != len(RESULTS)


if __name__ == "__main__":
    sys.exit(main())
