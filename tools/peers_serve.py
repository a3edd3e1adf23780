#!/usr/bin/env python3
"""peers_serve.py - `edgewise serve` beside llama-server: same file, threads, prompts, turn by turn.

    tools/peers_serve.py [OPTIONS] EDGEWISE LLAMA_BIN MODEL.gguf...

Both servers are up; one is asked while the other rests, in an order that turns with the round. A
load is N clients, each asking anew as soon as it has its answer: questions of random length, the
same ones for both servers and never one twice, so that no prefix cache helps either. The end tokens
are forbidden by logit_bias, so both write the same number of tokens, and those are counted by what
`usage` says. A ratio is edgewise over llama-server within one round (for times the other way round,
so that above 1 is always better); shown are the median of the rounds and their range.

The load generator shares the cores with the server: it is one process that looks for a few bytes
in what it receives, and its own share of CPU time is told. docs/PEERS.md has the rules.
Needs only Python's own library."""
import argparse
import json
import os
import random
import re
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import time

from peers_common import (NOISY, doubts, free_port, machine, machine_line, note, noisy, now_text,
                          spread, stats, table, write_doc)

CTX, SLOTS = 4096, 16
LONG_PROMPT_TOKENS, IDLE_CONNECTIONS, IDLE_S = 2000, 1000, 10
# Tokens that would end an answer, by a part of the file's name.
ENDS = {"smollm2": (0, 2), "qwen2.5": (151643, 151645), "gemma3": (1, 106)}
# What edgewise set out to reach, by a part of the name and clients: times llama-server's tokens/s.
TARGETS = (("smollm2", 16, 3.0), ("smollm2", 1, 2.0), ("smollm2", 4, 2.0), ("qwen", 1, 1.5),
           ("qwen", 4, 1.5), ("qwen", 16, 1.5))
STALL_TARGET, IDLE_MB_TARGET = 2.0, 20
CONTENT = re.compile(rb'"content": ?"(?!")')
USAGE = re.compile(rb'"completion_tokens": ?(\d+)')
PROMPT_USAGE = re.compile(rb'"prompt_tokens": ?(\d+)')


# ---- servers ----

class Server:
    def __init__(self, name, command, port):
        self.name, self.port = name, port
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        for _ in range(1200):
            if self.process.poll() is not None:
                sys.exit(f"peers: {' '.join(command)}: ended with {self.process.returncode}")
            try:
                with socket.create_connection(("127.0.0.1", port), 5) as s:
                    s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    if b" 200 " in s.recv(100):
                        return
            except OSError:
                pass
            time.sleep(0.1)
        sys.exit(f"peers: {name} isn't ready after two minutes")

    def cpu_s(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1]) * 1024

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(args, name, model, threads):
    port = free_port()
    if name == "edgewise":
        command = [args.edgewise, "serve", model, "--port", str(port), "--threads", str(threads),
                   *args.edgewise_options]
    else:
        # --cache-ram 0: no copies of prompts that never come again. Slots and context as ours.
        command = [os.path.join(args.llama, "llama-server"), "-m", model, "--port", str(port),
                   "--host", "127.0.0.1", "-t", str(threads), "-tb", str(threads), "-np",
                   str(SLOTS), "-c", str(SLOTS * CTX), "--cache-ram", "0", "--no-webui"]
    return Server(name, command, port)


# ---- load ----

class Ask:
    """One streamed request: when it was sent, when text came, how many tokens it was."""

    def __init__(self, port, body):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = json.dumps(body).encode()
        self.sent = time.monotonic()
        self.socket.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: "
                            b"application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
                            % len(data) + data)
        self.socket.setblocking(False)
        self.times, self.tail, self.tokens, self.prompt_tokens = [], b"", None, None
        self.ended = None

    def read(self):
        """True when the answer is whole."""
        data = self.socket.recv(1 << 16)
        now = time.monotonic()
        if not data:
            sys.exit("peers: an answer broke off: " + self.tail.decode(errors="replace")[-500:])
        text = self.tail + data
        events = text.split(b"\n\n")
        self.tail = events.pop()
        for event in events:
            if CONTENT.search(event):
                self.times.append(now)
            if found := USAGE.search(event):
                self.tokens = int(found[1])
                self.prompt_tokens = int(PROMPT_USAGE.search(event)[1])
        if b"[DONE]" not in data and not any(b"[DONE]" in event for event in events):
            return False
        self.ended = now
        self.socket.close()
        if self.tokens is None or not self.times:
            sys.exit("peers: an answer without usage or text: " + text.decode(errors="replace")[-500:])
        return True

    def ttft(self):
        return self.times[0] - self.sent

    def gaps(self):
        return [b - a for a, b in zip(self.times, self.times[1:])]


def body_of(args, prompt, tokens):
    return {"model": args.name, "messages": [{"role": "user", "content": prompt}],
            "max_tokens": tokens, "temperature": 0, "stream": True,
            "stream_options": {"include_usage": True}, "logit_bias": args.bias}


def run_load(port, bodies, clients):
    """All bodies by so many clients at once; the finished asks and the generator's CPU share."""
    ready, waiting, done = selectors.DefaultSelector(), list(reversed(bodies)), []
    begin, cpu = time.monotonic(), time.process_time()
    for _ in range(min(clients, len(bodies))):
        ask = Ask(port, waiting.pop())
        ready.register(ask.socket, selectors.EVENT_READ, ask)
    while ready.get_map():
        for key, _ in ready.select():
            ask, sock = key.data, key.fileobj
            fd = sock.fileno()
            if not ask.read():
                continue
            ready.unregister(fd if sock.fileno() < 0 else sock)
            done.append(ask)
            if waiting:
                ask = Ask(port, waiting.pop())
                ready.register(ask.socket, selectors.EVENT_READ, ask)
    return done, (time.process_time() - cpu) / (time.monotonic() - begin)


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))]


def load(args, server, bodies, clients):
    asks, share = run_load(server.port, bodies, clients)
    for ask, body in zip(sorted(asks, key=lambda a: a.sent), bodies):
        if ask.tokens != body["max_tokens"]:
            args.short.append(f"{server.name}: {ask.tokens} tokens, not {body['max_tokens']}")
    tokens = sum(ask.tokens for ask in asks)
    seconds = max(ask.ended for ask in asks) - min(ask.sent for ask in asks)
    gaps = [gap for ask in asks for gap in ask.gaps()]
    ttfts = [ask.ttft() for ask in asks]
    return {"tokens_per_s": tokens / seconds, "tokens": tokens, "requests": len(asks),
            "prompt_tokens": sum(ask.prompt_tokens for ask in asks), "seconds": seconds,
            "ttft_p50_ms": 1e3 * quantile(ttfts, 0.5), "ttft_p95_ms": 1e3 * quantile(ttfts, 0.95),
            "gap_p50_ms": 1e3 * quantile(gaps, 0.5), "gap_p99_ms": 1e3 * quantile(gaps, 0.99),
            "tokens_per_event": tokens / sum(len(ask.times) for ask in asks),
            "generator_cpu": share}


def gaps_between(stream, since, until):
    """The gaps of a stream that lie in that span, or reach into it."""
    return [b - a for a, b in zip(stream.times, stream.times[1:]) if b > since and a < until]


def stall(args, server, rng, long_prompt):
    """The worst gap of one stream while another client's long prompt is read, over its usual; and
    of the same stream when nobody else asks: that is the machine's part."""
    lone = Ask(server.port, body_of(args, question(args, rng), 400))
    lone.socket.setblocking(True)
    while lone.ended is None:
        lone.read()
    lone_gaps = gaps_between(lone, lone.times[100], lone.times[-1])
    ready = selectors.DefaultSelector()
    stream = Ask(server.port, body_of(args, question(args, rng), 400))
    ready.register(stream.socket, selectors.EVENT_READ, stream)
    other, whole = None, False
    while not whole:
        for key, _ in ready.select():
            ask, fd = key.data, key.fileobj.fileno()
            if ask.read():
                ready.unregister(fd)
                whole |= ask is stream
        if other is None and len(stream.times) >= 100:
            other = Ask(server.port, body_of(args, long_prompt, 1))
            ready.register(other.socket, selectors.EVENT_READ, other)
    while other.ended is None:
        for _ in ready.select():
            other.read()
    usual = statistics.median(gaps_between(stream, stream.times[0], other.sent))
    worst = max(gaps_between(stream, other.sent, other.times[0]))
    return {"gap_ms": 1e3 * usual, "worst_ms": 1e3 * worst, "times_usual": worst / usual,
            "alone_times_usual": max(lone_gaps) / statistics.median(lone_gaps),
            "long_prompt_tokens": other.prompt_tokens, "long_ttft_ms": 1e3 * other.ttft()}


# ---- at rest ----

def rest(server):
    cpu = server.cpu_s()
    time.sleep(IDLE_S)
    cpu = server.cpu_s() - cpu
    before, held, answered = server.rss(), [], 0
    for _ in range(IDLE_CONNECTIONS):
        s = socket.create_connection(("127.0.0.1", server.port), 5)
        s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        held.append(s)
    until = time.monotonic() + 5 # all together: a server may answer no more than it has threads
    for s in held:
        s.settimeout(max(0.001, until - time.monotonic()))
        try:
            answered += s.recv(1000).startswith(b"HTTP/1.1 200")
        except OSError:
            pass
    grown = server.rss() - before
    for s in held:
        s.close()
    return {"idle_cpu_s": cpu, "connections_bytes": grown, "connections_answered": answered}


# ---- prompts ----

def read_questions():
    for path in (os.path.join(os.environ.get("EDGEWISE_DATA", "../shared/data"),
                              "gsm8k/test.jsonl"), "data/questions.jsonl"):
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                return [json.loads(line)["question"] for line in file if line.strip()]
    sys.exit("peers: no questions")


def question(args, rng, parts=None):
    """One to three questions behind a number, so that no two prompts begin alike."""
    chosen = [rng.choice(args.questions) for _ in range(parts or rng.choice((1, 1, 2, 3)))]
    return f"{rng.randrange(10**9)}. " + "\n\n".join(chosen)


def long_question(args, rng):
    """About LONG_PROMPT_TOKENS tokens; how many they are is what the servers tell."""
    text = question(args, rng)
    while len(text) < 3.6 * LONG_PROMPT_TOKENS:
        text += "\n\n" + rng.choice(args.questions)
    return text[:int(3.6 * LONG_PROMPT_TOKENS)]


# ---- rounds ----

def run_rounds(args, model, threads):
    args.name = os.path.basename(model).removesuffix(".gguf")
    args.bias = {str(t): -100 for part, ids in ENDS.items() if part in args.name for t in ids}
    servers = [start(args, name, model, threads) for name in ("edgewise", "llama-server")]
    row = {"model": args.name, "threads": threads,
           "runs": {server.name: [] for server in servers}}
    try:
        for server in servers: # the same warm-up for both, then rest, before anything else
            rng = random.Random(0)
            load(args, server, [body_of(args, question(args, rng), 32) for _ in range(8)], 4)
            row["runs"][server.name].append({})
        for number in range(args.rounds):
            for server in servers if number % 2 == 0 else servers[::-1]:
                note(f"{args.name}, {threads} threads, round {number + 1}: {server.name}")
                rng, run = random.Random(1000 * threads + number), {"load": {}}
                for clients in args.clients:
                    bodies = [body_of(args, question(args, rng), rng.randint(32, 128))
                              for _ in range(max(6, args.requests * clients))]
                    run["load"][clients] = load(args, server, bodies, clients)
                run["stall"] = stall(args, server, rng, long_question(args, rng))
                if number:
                    row["runs"][server.name].append(run)
                else:
                    row["runs"][server.name][0] = run
    finally:
        for server in servers:
            server.stop()
    row["rest"] = {}
    for name in ("edgewise", "llama-server"):
        server = start(args, name, model, threads)
        try:
            rng = random.Random(0)
            load(args, server, [body_of(args, question(args, rng), 16) for _ in range(4)], 2)
            row["rest"][name] = rest(server)
        finally:
            server.stop()
    return row


# ---- figures ----

def compare(row, what, pick, lower):
    ours, theirs = ([pick(run) for run in row["runs"][name]]
                    for name in ("edgewise", "llama-server"))
    ratios = [b / a if lower else a / b for a, b in zip(ours, theirs)]
    made = {"model": row["model"], "threads": row["threads"], "test": what,
            "edgewise": stats(ours), "llama-server": stats(theirs), "ratio": stats(ratios)}
    made["noisy"] = noisy(made["edgewise"]) or noisy(made["llama-server"])
    return made


def summarise(args, row):
    made = []
    for clients in args.clients:
        for key, unit in (("tokens_per_s", "tokens/s"), ("ttft_p50_ms", "TTFT p50 ms"),
                          ("ttft_p95_ms", "TTFT p95 ms"), ("gap_p50_ms", "gap p50 ms"),
                          ("gap_p99_ms", "gap p99 ms")):
            r = compare(row, f"{clients} clients: {unit}",
                        lambda run, c=clients, k=key: run["load"][c][k], key != "tokens_per_s")
            r["target"] = None
            if key == "tokens_per_s":
                r["target"] = next((t for part, n, t in TARGETS
                                    if part in row["model"] and n == clients), None)
            elif key.startswith("ttft"):
                r["target"] = 1.0
            r["met"] = r["target"] is None or r["ratio"]["median"] >= r["target"]
            made.append(r)
    r = compare(row, "worst gap beside a long prompt, x usual",
                lambda run: run["stall"]["times_usual"], True)
    r["target"], r["met"] = STALL_TARGET, r["edgewise"]["max"] <= STALL_TARGET
    made.append(r)
    r = compare(row, "the same stream alone, x usual",
                lambda run: run["stall"]["alone_times_usual"], True)
    r["target"], r["met"] = None, True
    made.append(r)
    return made


# ---- the page ----

def target_words(r):
    if r["target"] is None:
        return "-", "-"
    text = f"<= {STALL_TARGET:g} x" if "worst gap" in r["test"] else f"{r['target']:g}"
    return text, "yes" if r["met"] else "no"


def page(report):
    shares = [load["generator_cpu"] for row in report["rows"] for runs in row["runs"].values()
              for run in runs for load in run["load"].values()]
    per_event = {name: statistics.median(load["tokens_per_event"] for row in report["rows"]
                                         for run in row["runs"][name]
                                         for load in run["load"].values())
                 for name in ("edgewise", "llama-server")}
    rows = [(r["model"], r["threads"], r["test"], spread(r["edgewise"]),
             spread(r["llama-server"]), spread(r["ratio"], 2), *target_words(r),
             "noisy" if r["noisy"] else "") for r in report["results"]]
    lines = [f"edgewise serve beside llama-server, {report['date']}, n = {report['rounds']} "
             "rounds, turn by turn",
             machine_line(report["machine"]), "",
             table(("model", "threads", "test", "edgewise", "llama-server", "ratio", "target",
                    "met", ""), rows), "",
             table(("model", "threads", "at rest", "edgewise", "llama-server", "target"),
                   [line for row in report["rows"] for line in rest_lines(row)]), "",
             "Median (min-max) of the rounds; ratio: of the same round, above 1 is better for "
             "edgewise; noisy: spread above",
             f"{100 * NOISY:.0f} %. Tokens counted by usage; tokens per event: "
             + ", ".join(f"{name} {value:.2f}" for name, value in per_event.items())
             + f". The load generator took {100 * statistics.median(shares):.0f} % "
             f"({100 * min(shares):.0f}-{100 * max(shares):.0f}) of one core."]
    if report["short"]:
        lines.append(f"ANSWERS OF ANOTHER LENGTH: {len(report['short'])}, the first: "
                     + report["short"][0])
    return "\n".join(lines + doubts(report))


def rest_lines(row):
    ours, theirs = row["rest"]["edgewise"], row["rest"]["llama-server"]
    yield (row["model"], row["threads"], f"CPU seconds in {IDLE_S} s", f"{ours['idle_cpu_s']:.2f}",
           f"{theirs['idle_cpu_s']:.2f}", "0")
    yield (row["model"], row["threads"], f"MB more for {IDLE_CONNECTIONS} idle connections",
           *(f"{r['connections_bytes'] / 1e6:.1f} ({r['connections_answered']} answered)"
             for r in (ours, theirs)), f"< {IDLE_MB_TARGET}")


def read_args():
    parser = argparse.ArgumentParser(description="edgewise serve beside llama-server")
    parser.add_argument("edgewise")
    parser.add_argument("llama", help="folder of llama-server")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--threads", default="2", help="comma-separated (2)")
    parser.add_argument("--clients", default="1,4,16", help="comma-separated (1,4,16)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=3, help="of each client in a round (3)")
    parser.add_argument("--edgewise-options", default="", help="for `edgewise serve`")
    parser.add_argument("--json", metavar="FILE", help="keep all figures of all rounds there")
    parser.add_argument("--doc", metavar="FILE", help="put the page into this document, too")
    args = parser.parse_args()
    args.threads = [int(t) for t in args.threads.split(",")]
    args.clients = [int(c) for c in args.clients.split(",")]
    args.edgewise_options = args.edgewise_options.split()
    args.questions, args.short = read_questions(), []
    return args


def main():
    args = read_args()
    report = {"date": now_text(),
              "machine": machine(), "rounds": args.rounds, "rows": []}
    for path in args.models:
        with open(path, "rb") as file: # into the page cache
            while file.read(1 << 24):
                pass
        report["rows"] += [run_rounds(args, path, threads) for threads in args.threads]
    report["results"] = [r for row in report["rows"] for r in summarise(args, row)]
    report["short"] = args.short
    text = page(report)
    print(text)
    if args.doc:
        write_doc(args.doc, "peers_serve", text)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
            file.write("\n")


main()
