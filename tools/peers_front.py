#!/usr/bin/env python3
"""peers_front.py - edgewise as a front beside nginx's proxy_pass and LiteLLM's proxy, turn by turn.

    tools/peers_front.py [OPTIONS] EDGEWISE STUB LOAD [--nginx FILE] [--litellm FILE]

All stand before the same stub (peers_stub.c), which computes nothing, and are asked the same by the
same programs: wrk for requests per second, peers_load.c for the rest. Each has one worker on a core
of its own; stub and load generator share the other core. Everything runs in a network namespace
that has loopback alone, where the machine allows that: nobody calls home in the middle of a run.

What is measured, and what for: docs/PEERS.md. An edgewise that can't be a front yet is left out,
and the page says so. Needs only Python's own library, wrk, and the programs named."""
import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import resource
import secrets
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

from peers_common import (doubts, free_port, machine, machine_line, note, noisy, now_text, spread,
                          stats, table, write_doc)

CLIENTS = 32                    # connections of wrk
REQUESTS, SLOW_REQUESTS = 3000, 300   # for a median at one connection; of LiteLLM
CHUNKS, CHUNK_RATE = 600, 200   # of the one stream whose chunks are timed
STREAMS, STREAM_RATE = 2000, 20
RAMP_MS = 2000                  # in which those are begun
IDLE = 10000
READERS, READER_CHUNKS = 50, 100000 # slow ones, and what each is offered: 20 MB
# What edgewise set out to reach.
OF_NGINX, OF_LITELLM, ADDED_US, CHUNK_US = 0.6, 100, 100, 30
LATE_MS, STREAMS_MB, IDLE_MB, READER_MB = 50, 100, 150, 1
LUA = """wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer KEY"
wrk.body = '{"model": "stub", "messages": [{"role": "system", "content": "You answer briefly."}, ' ..
    '{"role": "user", "content": "What did the keeper of the lighthouse do every evening?"}], ' ..
    '"temperature": 0.5, "max_tokens": 64}'
function done(summary, latency, requests)
    local e = summary.errors
    io.write(string.format('JSON {"requests": %d, "us": %d, "errors": %d, "p50_us": %d, ' ..
        '"p99_us": %d}\\n', summary.requests, summary.duration, e.connect + e.read + e.write +
        e.status + e.timeout, latency:percentile(50), latency:percentile(99)))
end
"""


# ---- those that are measured ----

class Program:
    """A process, pinned to cores, whose port answers; with its children it is one program."""

    def __init__(self, name, command, port, cores, env=None, path="/"):
        self.name, self.port, self.log = name, port, tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, env=env,
            preexec_fn=lambda: os.sched_setaffinity(0, cores))
        for _ in range(1200):
            if self.process.poll() is not None:
                sys.exit(f"peers: {' '.join(command)}: ended with {self.process.returncode}\n"
                         + self.said())
            with contextlib.suppress(OSError), socket.create_connection(
                    ("127.0.0.1", port), 5) as s:
                s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
                if s.recv(100):
                    return
            time.sleep(0.1)
        sys.exit(f"peers: {name} isn't ready after two minutes\n{self.said()}")

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")[-1000:]

    def pids(self):
        found = [self.process.pid]
        for pid in found:
            with contextlib.suppress(OSError):
                for task in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                        found += [int(child) for child in file.read().split()]
        return found

    def cpu_s(self):
        ticks = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def rss(self):
        kilobytes = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/status", encoding="ascii") as file:
                kilobytes += sum(int(line.split()[1]) for line in file
                                 if line.startswith("VmRSS:"))
        return kilobytes * 1024

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


NGINX = """daemon off;
worker_processes 1;
worker_rlimit_nofile {files};
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections {files}; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    upstream stub {{
        server 127.0.0.1:{stub};
        keepalive 64;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://stub;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering {buffering};
        }}
    }}
}}
"""
LITELLM = """model_list:
  - model_name: stub
    litellm_params: {{model: openai/stub, api_base: "http://127.0.0.1:{stub}/v1", api_key: none}}
litellm_settings: {{telemetry: false}}
"""
# The account, a client with a key, and windows that never refuse: all of them are kept.
EDGEWISE = """listen: 127.0.0.1:{port}
ledger: {folder}/ledger.db
devices:
  - name: stub
    url: http://127.0.0.1:{stub}/v1
    models: [stub]
    limits: [{{requests: 1000000, per: 10s}}, {{tokens: 100000000, per: 10s}}]
clients:
  - name: peers
    key_hash: "{key_hash}"
    limits: [{{requests: 1000000, per: 10s}}]
policy:
  select: load-aware
  queue: {{max: 4096}}
limits: {{connections: {files}}}
"""


def write(args, name, text, **more):
    path = os.path.join(args.folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.format(stub=args.stub_port, folder=args.folder, files=args.files,
                               key_hash=hashlib.sha256(args.key.encode()).hexdigest(), **more))
    return path


def start(args, name):
    port = free_port()
    if name == "nginx":
        # One server for answers, as nginx does them by default, and one for streams.
        path = write(args, "nginx.conf", NGINX, port=port, buffering=args.buffering)
        return Program(name, [args.nginx, "-e", "stderr", "-p", args.folder, "-c", path], port,
                       args.front_cores)
    if name == "LiteLLM":
        env = os.environ | {"LITELLM_MASTER_KEY": args.key, "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                            "LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR"}
        return Program(name, [args.litellm, "--config", write(args, "litellm.yaml", LITELLM),
                              "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1",
                              "--telemetry", "False"], port, args.front_cores, env,
                       "/health/liveliness")
    return Program(name, [args.edgewise, "serve", "--config",
                          write(args, "edgewise.yaml", EDGEWISE, port=port)], port,
                   args.front_cores, path="/health")


class Direct:
    """The stub itself, so that it can stand in the table beside the others."""

    def __init__(self, stub):
        self.name, self.port = "direct", stub.port
        self.cpu_s, self.rss = stub.cpu_s, stub.rss

    def stop(self):
        pass


# ---- one measurement ----

def tool(args, command):
    done = subprocess.run(command, capture_output=True, check=False,
                          env=os.environ | {"PEERS_KEY": args.key},
                          preexec_fn=lambda: os.sched_setaffinity(0, args.load_cores))
    if done.returncode:
        sys.exit(f"peers: {' '.join(command)}: status {done.returncode}\n"
                 + done.stderr.decode(errors="replace")[-1000:])
    return done.stdout.decode()


def load(args, *words):
    return json.loads(tool(args, [args.load, *map(str, words)]))


def saturate(args, front, seconds):
    cpu, begin = front.cpu_s(), time.monotonic()
    out = tool(args, ["wrk", "-t1", f"-c{CLIENTS}", f"-d{seconds}s", "--timeout", "30s", "-s",
                      args.lua, f"http://127.0.0.1:{front.port}/v1/chat/completions"])
    busy = (front.cpu_s() - cpu) / (time.monotonic() - begin)
    found = json.loads(next(line for line in out.splitlines() if line.startswith("JSON"))[4:])
    return {"per_s": found["requests"] / found["us"] * 1e6, "errors": found["errors"],
            "p50_us": found["p50_us"], "p99_us": found["p99_us"], "busy": busy,
            "rss": front.rss()}


def latency(args, front, stub):
    """At one connection, request by request in turn with the stub itself."""
    count = SLOW_REQUESTS if front.name == "LiteLLM" else REQUESTS
    found = load(args, "latency", count, stub.port, front.port)
    there, here = found[str(stub.port)], found[str(front.port)]
    return {"p50_us": here["p50"] / 1e3, "p99_us": here["p99"] / 1e3, "errors": found["errors"],
            "added_p50_us": (here["p50"] - there["p50"]) / 1e3,
            "added_p99_us": (here["p99"] - there["p99"]) / 1e3}


def chunks(args, front):
    found = load(args, "streams", front.port, 1, CHUNKS, CHUNK_RATE, 0)
    return {"p50_us": found["delay"]["p50"] / 1e3, "p99_us": found["delay"]["p99"] / 1e3,
            "errors": found["errors"]}


def watch(args, front, words):
    """peers_load with these words, and the most memory that the front had meanwhile."""
    most = front.rss()
    with subprocess.Popen([args.load, *map(str, words)], stdout=subprocess.PIPE,
                          env=os.environ | {"PEERS_KEY": args.key},
                          preexec_fn=lambda: os.sched_setaffinity(0, args.load_cores)) as child:
        while child.poll() is None:
            time.sleep(0.25)
            most = max(most, front.rss())
        if child.returncode:
            sys.exit(f"peers: {args.load} {words}: status {child.returncode}")
        return json.loads(child.stdout.read()), most


def streams(args, front, count=STREAMS, seconds=None):
    total = STREAM_RATE * ((seconds or args.stream_seconds) + RAMP_MS // 1000)
    cpu = front.cpu_s()
    found, most = watch(args, front, ("streams", front.port, count, total, STREAM_RATE, RAMP_MS))
    return {"late_p99_ms": found["late"]["p99"] / 1e6, "late_max_ms": found["late"]["max"] / 1e6,
            "delay_p50_us": found["delay"]["p50"] / 1e3, "chunks": found["chunks"],
            "errors": found["errors"], "rss": most,
            "cpu_chunk_us": 1e6 * (front.cpu_s() - cpu) / (count * total)}


@contextlib.contextmanager
def held(args, *words):
    """Connections that stay as long as the block runs."""
    with subprocess.Popen([args.load, *map(str, words)], stdout=subprocess.PIPE,
                          stdin=subprocess.PIPE, env=os.environ | {"PEERS_KEY": args.key},
                          preexec_fn=lambda: os.sched_setaffinity(0, args.load_cores)) as child:
        line = child.stdout.readline()
        if not line:
            sys.exit(f"peers: {args.load} {words} ended")
        yield json.loads(line)
        child.stdin.close()


def rest(args, front):
    """Of a front just started: at rest, with idle connections, with slow readers."""
    time.sleep(1)
    cpu = front.cpu_s()
    time.sleep(5)
    made = {"idle_cpu_s": front.cpu_s() - cpu, "start_rss": front.rss()}
    # Not idle ones first: what they leave behind would be taken for the slow readers' part.
    before = front.rss()
    with held(args, "slow", front.port, READERS, READER_CHUNKS):
        time.sleep(2)
        made["slow_others"] = streams(args, front, 200, 4)
        made["reader_bytes"] = (front.rss() - before) / READERS
    time.sleep(1)
    with held(args, "idle", front.port, IDLE) as found:
        time.sleep(1)
        made["idle_rss"], made["idle_errors"] = front.rss(), found["errors"]
    return made


# ---- rounds ----

def run_round(args, fronts, streamers, number, row):
    stub = fronts[0]
    for i in range(len(fronts)):
        front = fronts[(i + number) % len(fronts)]
        note(f"round {number + 1}: {front.name}")
        run = {"saturated": saturate(args, front, args.seconds)}
        if front is not stub:
            run["latency"] = latency(args, front, stub)
        streamer = streamers.get(front.name, front)
        run["chunk"] = chunks(args, streamer)
        if front.name != "LiteLLM": # a hundredth of these would be too much for it
            run["streams"] = streams(args, streamer)
        row[front.name].append(run)


def measure(args, names):
    with contextlib.ExitStack() as stack:
        def keep(program):
            stack.callback(program.stop)
            return program
        stub = keep(Program("stub", [args.stub, str(args.stub_port)], args.stub_port,
                            args.load_cores))
        fronts = [Direct(stub)] + [keep(start(args, name)) for name in names]
        args.buffering = "off"
        streamers = {"nginx": keep(start(args, "nginx"))} if "nginx" in names else {}
        for front in fronts:
            note(f"warm-up: {front.name}")
            saturate(args, front, 2)
        row = {front.name: [] for front in fronts}
        for number in range(args.rounds):
            run_round(args, fronts, streamers, number, row)
    at_rest = {}
    for name in names:
        if name == "LiteLLM":
            continue
        note(f"idle connections and slow readers: {name}")
        with contextlib.ExitStack() as stack:
            for program in (Program("stub", [args.stub, str(args.stub_port)], args.stub_port,
                                    args.load_cores), start(args, name)):
                stack.callback(program.stop)
            at_rest[name] = rest(args, program)
    return row, at_rest


# ---- figures ----

def column(row, name, *keys):
    if name not in row:
        return None
    values = []
    for run in row[name]:
        for key in keys:
            run = None if run is None else run.get(key)
        values.append(run)
    return None if None in values else values


def line(report, test, pick, digits=1, target=None, better=None):
    """One line: what each has (a list of values by round, or None), and whether edgewise meets."""
    made = {"test": test, "values": {}, "target": target, "met": None, "digits": digits}
    for name in report["names"]:
        values = pick(name)
        made["values"][name] = stats(values) if values else None
    ours = made["values"].get("edgewise")
    if better and ours:
        made["met"] = better(ours["median"])
    return made


def summarise(report):
    row = report["runs"]

    def each(*keys, scale=1.0):
        def pick(name):
            values = column(row, name, *keys)
            return values and [value * scale for value in values]
        return pick

    def times(other):
        def pick(name):
            ours, theirs = (column(row, n, "saturated", "per_s") for n in (name, other))
            return ours and theirs and [a / b for a, b in zip(ours, theirs)]
        return pick

    def added(name):
        ours, theirs = column(row, name, "chunk", "p50_us"), column(row, "direct", "chunk",
                                                                    "p50_us")
        return ours and name != "direct" and [a - b for a, b in zip(ours, theirs)]

    lines = [
        line(report, f"requests/s, {CLIENTS} connections", each("saturated", "per_s"), 0),
        line(report, "  times nginx's", times("nginx"), 2, f">= {OF_NGINX}",
             lambda x: x >= OF_NGINX),
        line(report, "  times LiteLLM's", times("LiteLLM"), 0, f">= {OF_LITELLM}",
             lambda x: x >= OF_LITELLM),
        line(report, "  p99 then, ms", each("saturated", "p99_us", scale=1e-3), 2),
        line(report, "  memory then, MB", each("saturated", "rss", scale=1e-6)),
        line(report, "1 connection: added, us", each("latency", "added_p50_us"), 0,
             f"<= {ADDED_US}", lambda x: x <= ADDED_US),
        line(report, "  added to p99, us", each("latency", "added_p99_us"), 0),
        line(report, "chunk of 1 stream, us", each("chunk", "p50_us"), 0),
        line(report, "  added, us", added, 0, f"<= {CHUNK_US}", lambda x: x <= CHUNK_US),
        line(report, f"{STREAMS} streams: late p99, ms", each("streams", "late_p99_ms"), 1,
             f"<= {LATE_MS}", lambda x: x <= LATE_MS),
        line(report, "  latest, ms", each("streams", "late_max_ms"), 1),
        line(report, "  CPU a chunk, us", each("streams", "cpu_chunk_us"), 1, f"<= {CHUNK_US}",
             lambda x: x <= CHUNK_US),
        line(report, "  memory, MB", each("streams", "rss", scale=1e-6), 1, f"< {STREAMS_MB}",
             lambda x: x < STREAMS_MB),
    ]

    def resting(*keys, scale=1.0):
        def pick(name):
            found = report["rest"].get(name)
            for key in keys:
                found = found and found[key]
            return None if found is None else [found * scale]
        return pick

    lines += [
        line(report, f"{IDLE} idle connections, MB", resting("idle_rss", scale=1e-6), 1,
             f"< {IDLE_MB}", lambda x: x < IDLE_MB),
        line(report, "a slow reader of 20 MB, MB", resting("reader_bytes", scale=1e-6), 2,
             f"<= {READER_MB}", lambda x: x <= READER_MB),
        line(report, "  others late p99, ms", resting("slow_others", "late_p99_ms"), 1,
             f"<= {LATE_MS}", lambda x: x <= LATE_MS),
        line(report, "CPU seconds in 5 s at rest", resting("idle_cpu_s"), 2, "0",
             lambda x: x < 0.02),
    ]
    return lines


def cell(made, name):
    s = made["values"][name]
    if s is None:
        return "-"
    if s["n"] == 1:
        return f"{s['median']:.{made['digits']}f}"
    return spread(s, made["digits"]) + ("*" if noisy(s) and not made["test"].startswith(" ") else
                                        "")


def errors_of(report):
    found = {}
    for name, runs in report["runs"].items():
        total = sum(part["errors"] for run in runs for part in run.values())
        if total:
            found[name] = total
    for name, made in report["rest"].items():
        total = made["idle_errors"] + made["slow_others"]["errors"]
        if total:
            found[name] = found.get(name, 0) + total
    return found


def page(report):
    names = report["names"]
    rows = [(made["test"], *(cell(made, name) for name in names), made["target"] or "-",
             "-" if made["met"] is None else "yes" if made["met"] else "no")
            for made in report["results"]]
    busy = ", ".join(
        f"{name} {100 * statistics.median(column(report['runs'], name, 'saturated', 'busy')):.0f} %"
        for name in names)
    lines = [f"edgewise as a front beside nginx and LiteLLM, {report['date']}, n = "
             f"{report['rounds']} rounds, turn by turn", machine_line(report["machine"]),
             "; ".join(report["versions"]), "",
             table(("test", *names, "target", "met"), rows, 1), "",
             "Median (min-max) of the rounds; *: spread above 15 %, not a result to quote. Of a "
             "core, while saturated:", busy + ". " + report["network"]]
    lines += [f"NOT MEASURED: {why}" for why in report["missing"]]
    lines += [f"ERRORS: {name}: {count}" for name, count in errors_of(report).items()]
    return "\n".join(lines + doubts(report))


# ---- the beginning ----

def closed_network():
    """Goes into a network of loopback alone, by starting anew there; True: we are in it."""
    if os.environ.get("PEERS_NETWORK") == "closed":
        with socket.socket() as s: # up, as `ip link set lo up` would
            request = struct.pack("16sH22x", b"lo", 0x1 | 0x40)
            fcntl.ioctl(s.fileno(), 0x8914, request) # SIOCSIFFLAGS
        return True
    how = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    try:
        fine = subprocess.run([*how, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        fine = False
    if fine:
        os.environ["PEERS_NETWORK"] = "closed"
        os.execvp(how[0], [*how, sys.executable, *sys.argv])
    return False


def version(command):
    done = subprocess.run(command, capture_output=True, check=False)
    text = (done.stdout + done.stderr).decode(errors="replace").strip()
    line_one = text.splitlines()[0] if text else command[0]
    return line_one.removeprefix("nginx version: ").replace("Current Version = ", "")


def refusal(args):
    """Why this edgewise can't be a front, or None."""
    path = write(args, "edgewise.yaml", EDGEWISE, port=free_port())
    done = subprocess.run([args.edgewise, "serve", "--check", "--config", path],
                          capture_output=True, check=False)
    if done.returncode == 0:
        return None
    return "edgewise: " + done.stderr.decode(errors="replace").strip().splitlines()[-1]


def read_args():
    parser = argparse.ArgumentParser(description="edgewise as a front beside nginx and LiteLLM")
    parser.add_argument("edgewise")
    parser.add_argument("stub", help="built from peers_stub.c")
    parser.add_argument("load", help="built from peers_load.c")
    parser.add_argument("--nginx", metavar="FILE", help="left out: not measured")
    parser.add_argument("--litellm", metavar="FILE", help="left out: not measured")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of each saturation (5)")
    parser.add_argument("--stream-seconds", type=int, default=10, help="of the many streams (10)")
    parser.add_argument("--json", metavar="FILE", help="keep all figures of all rounds there")
    parser.add_argument("--doc", metavar="FILE", help="put the page into this document, too")
    return parser.parse_args()


def prepare(args):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    args.files = min(hard, 20000)
    if args.files < IDLE + 1000:
        sys.exit(f"peers: ulimit -Hn is {hard}: {IDLE} connections need more")
    cores = sorted(os.sched_getaffinity(0))
    args.front_cores = set(cores[:1])
    args.load_cores = set(cores[1:2]) or args.front_cores
    args.stub_port, args.buffering = free_port(), "on"
    args.key = "sk-" + secrets.token_hex(24)
    args.lua = os.path.join(args.folder, "post.lua")
    with open(args.lua, "w", encoding="utf-8") as file:
        file.write(LUA.replace("KEY", args.key))


def main():
    args = read_args()
    closed = closed_network()
    report = {"date": now_text(), "machine": machine(), "rounds": args.rounds, "missing": [],
              "network": "The network was closed." if closed else
              "THE NETWORK WASN'T CLOSED: unshare isn't allowed here."}
    with tempfile.TemporaryDirectory() as args.folder:
        prepare(args)
        names = ["nginx"] * bool(args.nginx)
        why = refusal(args)
        if why:
            report["missing"].append(why)
            note(f"left out: {why}")
        else:
            names.append("edgewise")
        names += ["LiteLLM"] * bool(args.litellm)
        report["names"] = ["direct", *names]
        report["versions"] = [version([args.edgewise, "--version"])]
        if args.nginx:
            report["versions"].append(version([args.nginx, "-v"]))
        if args.litellm:
            report["versions"].append(version([args.litellm, "--version"]))
        report["runs"], report["rest"] = measure(args, names)
    report["results"] = summarise(report)
    text = page(report)
    print(text)
    if args.doc:
        write_doc(args.doc, "peers_front", text)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
            file.write("\n")


main()
