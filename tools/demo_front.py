#!/usr/bin/env python3
"""demo_front.py - a front with three devices and a cloud: who answers what, why, at what cost.

    tools/demo_front.py EDGEWISE MODEL [--questions FILE] [--count N] [--price NAME]

Starts two `edgewise serve` processes of different speed and a front that has an engine of its own
and both of them, sends a burst of questions under each of three selections, and prints what the
ledger says of it: who answered and why, what it cost, and the paper's PCR.

The cloud is a STAND-IN on this machine: it speaks OpenAI's API and answers with words that say what
it is. Its price is a real one, so what the requests would have cost is real; its speed and its
network are not. Joules are modelled by the profiles of real devices, whose names are printed."""
import argparse
import http.server
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

STRATEGIES = ("random", "weighted", "load-aware")
TOKENS = 40            # of an answer, at most: enough to be busy, few enough for a demo
BURST_S = 2.5          # the questions arrive within
ANSWER_S = 120
CLOUD_FIRST_S, CLOUD_TOKEN_S = .35, .008
# Published of models that stand for the two ends; what isn't published stays unknown.
EDGE_QUALITY = {"smollm2-135m": .024, "qwen2.5-0.5b": .481}
WORDS = ("This answer comes from a stand-in for a cloud on this very machine . It knows nothing , "
         "and says so , but it counts its tokens as a cloud would .").split(" ")


class Cloud(http.server.BaseHTTPRequestHandler):
    """The stand-in: POST /v1/chat/completions, streamed and not."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = sum(len(str(m.get("content"))) for m in body["messages"]) // 4
        count = min(body.get("max_tokens") or TOKENS, TOKENS)
        words = [WORDS[i % len(WORDS)] + " " for i in range(count)]
        usage = {"prompt_tokens": prompt, "completion_tokens": count,
                 "total_tokens": prompt + count}
        time.sleep(CLOUD_FIRST_S)
        if not body.get("stream"):
            time.sleep(count * CLOUD_TOKEN_S)
            self.whole(body, "".join(words), usage)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for word in words:
            self.event(self.chunk(body, {"content": word}, None))
            time.sleep(CLOUD_TOKEN_S)
        self.event(self.chunk(body, {}, "stop"))
        self.event({**self.chunk(body, {}, None), "choices": [], "usage": usage})
        self.event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    @staticmethod
    def chunk(body, delta, finish):
        return {"id": "chatcmpl-standin", "object": "chat.completion.chunk", "created": 0,
                "model": body["model"],
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    def event(self, what):
        text = what if isinstance(what, str) else json.dumps(what)
        data = f"data: {text}\n\n".encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def whole(self, body, text, usage):
        data = json.dumps({
            "id": "chatcmpl-standin", "object": "chat.completion", "created": 0,
            "model": body["model"], "usage": usage,
            "choices": [{"index": 0, "finish_reason": "stop",
                         "message": {"role": "assistant", "content": text}}]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Program:
    """An `edgewise serve`, until it is stopped."""

    def __init__(self, words, log, nice=0):
        self.log_path = log
        self.log = open(log, "w", encoding="utf-8")
        self.process = subprocess.Popen(words, stderr=self.log, stdout=self.log,
                                        preexec_fn=(lambda: os.nice(nice)) if nice else None)
        self.url = None

    def wait(self):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            text = open(self.log_path, encoding="utf-8").read()
            if "listening on " in text:
                self.url = text.split("listening on ", 1)[1].split()[0]
                return self
            if self.process.poll() is not None:
                break
            time.sleep(.03)
        sys.exit(f"demo: {open(self.log_path, encoding='utf-8').read()}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.log.close()


def config(select, ledger, model, quick, slow, cloud, price):
    return f"""listen: 127.0.0.1:0
ledger: {ledger}
devices:
  - name: here
    model: {model}
    threads: 1
    concurrency: 2
    weight: 2
    profile: n150
  - name: quick
    url: {quick}/v1
    models: [{model}]
    concurrency: 4
    weight: 3
    profile: orin-nano-super-8gb
  - name: slow
    url: {slow}/v1
    models: [{model}]
    concurrency: 2
    weight: 1
    profile: raspberry-pi-5
    limits: [{{requests: 6, per: 60s}}]
clouds:
  - name: standin
    api: openai
    url: {cloud}/v1
    models: {{"*": {price.split("/")[1]}}}
    price: {price}
    budget: {{usd: 1, per: 24h}}
policy:
  select: {select}
  on_full: cloud
"""


def ask(url, model, question):
    body = json.dumps({"model": model, "stream": True, "max_tokens": TOKENS, "temperature": 0,
                       "stream_options": {"include_usage": True},
                       "messages": [{"role": "user", "content": question}]}).encode()
    request = urllib.request.Request(url + "/v1/chat/completions", body,
                                     {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S) as reply:
            reply.read()
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code


def burst(url, model, questions):
    """All of them, spread evenly over BURST_S, whatever the server does."""
    threads, statuses = [], [None] * len(questions)

    def one(i):
        time.sleep(BURST_S * i / len(questions))
        statuses[i] = ask(url, model, questions[i])
    for i in range(len(questions)):
        threads.append(threading.Thread(target=one, args=(i,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    return statuses


def median(values):
    known = [v for v in values if v is not None]
    return statistics.median(known) if known else None


def figure(value, form="{:.0f}"):
    return "unknown" if value is None else form.format(value)


def summarize(rows):
    for device in sorted({r["device"] or "-" for r in rows}):
        of = [r for r in rows if (r["device"] or "-") == device]
        reasons = {}
        for r in of:
            reasons[r["reason"]] = reasons.get(r["reason"], 0) + 1
        why = ", ".join(f"{n} {reason}" for reason, n in sorted(reasons.items()))
        joules = [r["energy_j"] for r in of if r["energy_j"] is not None]
        cents = [r["cost_cents"] for r in of if r["cost_cents"] is not None]
        print(f"  {device:8} {len(of):3} answers  first token {figure(median(r['ttft_ms'] for r in of)):>6} ms"
              f"  {figure(sum(joules) if joules else None, '{:.1f}'):>7} J"
              f"  {figure(sum(cents) if cents else None, '{:.5f}'):>8} cents   {why}")
    redirected = sum((r["prompt_tokens"] or 0) + (r["output_tokens"] or 0) for r in rows
                     if r["device"] == "standin")
    everything = sum(r["total_ms"] for r in rows if r["total_ms"] is not None)
    print(f"  to the cloud: {sum(r['device'] == 'standin' for r in rows)} of {len(rows)} requests, "
          f"{redirected} tokens; mean time {everything / max(1, len(rows)):.0f} ms")
    return redirected


def platforms(rows, model):
    """For `edgewise pcr`: a platform for each device that answered, of all bursts together."""
    words = []
    for device in sorted({r["device"] for r in rows if r["device"]}):
        of = [r for r in rows if r["device"] == device]
        ttft = median(r["ttft_ms"] for r in of)
        cents = [r["cost_cents"] for r in of if r["cost_cents"] is not None]
        quality = None if device == "standin" else EDGE_QUALITY.get(model)
        parts = [device, figure(quality, "{:.3f}"), figure(ttft and 1 / (1 + ttft / 1e3), "{:.3f}"),
                 figure(sum(cents) / len(cents) if cents else None, "{:.8f}")]
        words += ["-p", ":".join("?" if p == "unknown" else p for p in parts)]
    return words


def run_front(args, select, questions, urls, folder):
    ledger = os.path.join(folder, f"{select}.db")
    path = os.path.join(folder, f"{select}.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(config(select, ledger, args.model, *urls, args.price))
    front = Program([args.edgewise, "serve", "--config", path],
                    os.path.join(folder, f"{select}.log")).wait()
    time.sleep(.5) # the devices are looked at
    statuses = burst(front.url, args.model, questions)
    front.stop()
    text = subprocess.run([args.edgewise, "ledger", "--db", ledger, "--json"], check=True,
                          capture_output=True, text=True).stdout
    rows = json.loads(text)
    rows = rows["rows"] if isinstance(rows, dict) else rows
    print(f"\n{select}: {sum(s == 200 for s in statuses)} of {len(statuses)} answered")
    redirected = summarize(rows)
    return rows, ledger, redirected


def read_questions(path, count):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line)["question"] for line in file if line.strip()][:count]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("edgewise")
    parser.add_argument("model")
    parser.add_argument("--questions", default="data/questions.jsonl")
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--price", default="openai/gpt-5.4-mini")
    args = parser.parse_args()
    args.edgewise = os.path.abspath(args.edgewise)
    questions = read_questions(args.questions, args.count)
    cloud = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cloud)
    threading.Thread(target=cloud.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        serve = [args.edgewise, "serve", args.model, "--port", "0", "--ledger", "none"]
        quick = Program([*serve, "--threads", "2"], os.path.join(folder, "quick.log"))
        slow = Program([*serve, "--threads", "1", "--streams", "2"],
                       os.path.join(folder, "slow.log"), nice=12)
        urls = [quick.wait().url, slow.wait().url, f"http://127.0.0.1:{cloud.server_port}"]
        print(f"A front with its own engine and two devices, all with {args.model}, and a STAND-IN "
              f"for a cloud\non this machine at the price of {args.price}. {len(questions)} "
              f"questions within {BURST_S} s, {TOKENS} tokens each.\nJoules are modelled: here as "
              "n150, quick as orin-nano-super-8gb, slow as raspberry-pi-5.")
        everything, redirected, example = [], {}, None
        for select in STRATEGIES:
            rows, ledger, redirected[select] = run_front(args, select, questions, urls, folder)
            everything += rows
            example = next(((ledger, r["request_id"]) for r in rows if r["device"] == "standin"),
                           example)
        for device in (quick, slow):
            device.stop()
        print("\nTokens that left for the cloud: "
              + ", ".join(f"{s} {n}" for s, n in redirected.items()) + " (one run each).")
        if example:
            print("\nWhy one of them went there, as `edgewise ledger why` tells it:")
            sys.stdout.flush()
            subprocess.run([args.edgewise, "ledger", "--db", example[0], "why", example[1]],
                           check=True)
        print("\nPCR of who answered, quality as published for gsm8k (unknown of the stand-in), "
              "R = 1/(1 + TTFT):")
        sys.stdout.flush()
        table = subprocess.run([args.edgewise, "pcr", *platforms(everything, args.model), "--paper"],
                               check=True, capture_output=True, text=True).stdout
        print(table.split("\n\nbreak-even")[0]) # which is long: `edgewise pcr --help`


if __name__ == "__main__":
    main()
