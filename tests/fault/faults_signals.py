"""faults_signals.py - signals, reloads and what systemd is told, under load."""
import json
import os
import signal
import socket
import subprocess
import time

from faults import CHAT, RUNNING, fault, in_threads, until, well

RELOADS = "edgewise_config_reloads_total"
# What takes longer than the drain's usual 30 s on a busy machine isn't what is tested here.
PATIENT = "timeouts: {drain: 1h}"


def all_at_once(server, count, tokens):
    """So many streams and so many whole answers, asked and not waited for."""
    return ([server.open_chat(f"Tell story {i}.", max_tokens=tokens) for i in range(count)],
            [server.open_chat(f"Tell tale {i}.", max_tokens=tokens, stream=False)
             for i in range(count)])


def all_end_well(streams, wholes):
    def one(i):
        if i < len(streams):
            stream = streams[i].begin()
            assert stream.status == 200, f"a stream got {stream.status}: {stream.body[:200]}"
            stream.rest()
            assert stream.ended, "a stream ended without [DONE]"
        else:
            reply = wholes[i - len(streams)].reply()
            assert reply.status == 200, f"an answer got {reply.status}: {reply.body[:200]}"
    in_threads(len(streams) + len(wholes), one)
    return len(streams) + len(wholes)


def term(tried, held):
    """held: the server stands still until all are asked, and finds them together with the signal."""
    with tried.serve(tried.config(PATIENT)) as server:
        if held:
            server.signal(signal.SIGSTOP)
        load = all_at_once(server, 6, tried.tokens(60))
        if not held:
            until("the first token", lambda: server.gauge(RUNNING) > 0)
        server.signal(signal.SIGTERM)
        if held:
            server.signal(signal.SIGCONT)
        count = all_end_well(*load)
        status = server.wait()
        assert status == 0, f"exit status {status}: {server.words()}"
        assert len(server.rows()) == count, "rows are missing in the ledger"
    return f"{count} of {count} answered, all in the ledger"


@fault("signals", "SIGTERM under load: every request is answered to its end, then it exits with 0")
def term_under_load(tried):
    return term(tried, held=False)


@fault("signals", "SIGTERM behind requests that no one has read yet: they are answered, too")
def term_at_once(tried):
    return term(tried, held=True)


@fault("signals", "SIGTERM in the midst of a request's body: the rest is read, and answered")
def term_in_body(tried):
    with tried.serve(tried.config(PATIENT)) as server, server.connect() as c:
        body = json.dumps(server.body("Hello", max_tokens=3)).encode()
        c.send(f"POST {CHAT} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n\r\n"
               .encode() + body[:20])
        until("its connection", lambda: server.gauge("edgewise_connections") > 1)
        server.signal(signal.SIGTERM)
        server.until_said("ending")
        c.send(body[20:])
        reply = c.reply()
        assert reply.status == 200, f"status {reply.status}: {reply.body[:200]}"
        assert server.wait() == 0
    return "200, then it ended"


@fault("signals", "SIGTERM while it drains: new connections are refused, not kept waiting")
def term_refuses(tried):
    with tried.serve(tried.config(PATIENT)) as server:
        stream = server.open_chat("Tell a story.", max_tokens=tried.tokens(300)).begin()
        stream.first()
        server.signal(signal.SIGTERM)

        def refuses():
            try:
                server.connect().close()
            except ConnectionError:
                return True
            return False
        until("a refusal", refuses)
        assert server.process.poll() is None, "it had ended already: nothing is shown"
        stream.rest()
        assert stream.ended, "the stream broke off"
        assert server.wait() == 0
    return "refused, while the running answer ended"


@fault("signals", "a second SIGTERM ends it at once, and whoever is left is told so")
def term_twice(tried):
    with tried.serve(tried.config(PATIENT)) as server:
        stream = server.open_chat("Tell a story.", max_tokens=3000).begin()
        stream.first()
        server.signal(signal.SIGTERM)
        server.until_said("ending")
        server.signal(signal.SIGTERM)
        try:
            stream.rest()
            raise AssertionError("the stream ended as if nothing had been")
        except AssertionError as error:
            assert "shutting down" in str(error), error
        status = server.wait()
        assert status == 0, f"exit status {status}: {server.words()}"
        assert server.rows()[0]["status"] == 503
    return "an error in its stream, a row with 503, exit status 0"


def reloaded(server, result, count):
    until(f"reload {count} ({result})",
          lambda: server.metrics()[f'{RELOADS}{{result="{result}"}}'] == count)


@fault("signals", "SIGHUP under load, with a good configuration and with a bad one: none fails")
def hup_under_load(tried):
    good = tried.config("queue: {max: 50, timeout: 1h}")
    with tried.serve(good) as server:
        load = all_at_once(server, 4, tried.tokens(80))
        until("the first token", lambda: server.gauge(RUNNING) > 0)
        server.configure(tried.config("queue: {max: 60, timeout: 1h}"))
        server.signal(signal.SIGHUP)
        reloaded(server, "taken", 1)
        server.configure("listen: [nonsense\n")
        server.signal(signal.SIGHUP)
        reloaded(server, "refused", 1)
        server.configure(good)
        server.signal(signal.SIGHUP)
        reloaded(server, "taken", 2)
        count = all_end_well(*load)
        well(server)
        said = server.until_said("edgewise.yaml:")
    return f"{count} of {count} answered; {said.rsplit('/', 1)[-1]}"


@fault("signals", "a changed file is read without a signal; one that is bad leaves the old in force")
def file_changed(tried):
    with tried.serve(tried.config()) as server:
        server.configure(tried.config(more="limits: {connections: nonsense}\n"))
        reloaded(server, "refused", 1)
        well(server)
        server.configure(tried.config(models=[tried.model, tried.tiny]))
        reloaded(server, "taken", 1)
        names = [model["id"] for model in server.get("/v1/models").json()["data"]]
        assert names == [server.model, "tiny"], f"/v1/models has {names}"
        said = server.until_said("stays as it was")
    return said.rsplit("/", 1)[-1]


@fault("signals", "systemd is told when it serves, reloads and ends (Type=notify)")
def notify(tried):
    with tried.serve(tried.config()) as server: # for its folder
        at = os.path.join(server.folder.name, "notify")
        told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        told.bind(at)
        told.settimeout(60)

        def wait_for(word):
            begin = time.monotonic()
            while time.monotonic() - begin < 60:
                if (text := told.recv(4096).decode()).startswith(word):
                    return text
            raise AssertionError(f"no {word}")
        os.environ["NOTIFY_SOCKET"] = at
        try:
            other = tried.serve(tried.config())
        finally:
            del os.environ["NOTIFY_SOCKET"]
        with other:
            wait_for("READY=1")
            other.signal(signal.SIGHUP)
            assert "MONOTONIC_USEC=" in wait_for("RELOADING=1"), "not when the reload began"
            wait_for("READY=1")
            other.signal(signal.SIGTERM)
            wait_for("STOPPING=1")
            assert other.wait() == 0
        told.close()
    return "READY, RELOADING, READY, STOPPING"


@fault("signals", "a second server on the same port says so and fails")
def same_port(tried):
    with tried.serve() as server:
        done = subprocess.run([tried.edgewise, "serve", tried.model, "--port", str(server.port),
                               "--ledger", server.ledger + "2"],
                              capture_output=True, timeout=120, check=False)
        said = done.stderr.decode().strip().splitlines()[-1]
        assert done.returncode == 1, f"exit status {done.returncode}: {said}"
        assert str(server.port) in said, f"the port isn't told: {said}"
        well(server)
    return said.replace(str(server.port), "PORT")
