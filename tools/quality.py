#!/usr/bin/env python3
"""quality.py - how much of a model's quality the engine keeps, beside llama.cpp.

    quality.py --text FILE [--llama SOURCE] [--json] MODEL.gguf...

The truth is the file's own weights, dequantised, through tests/reference/forward.py in float32: what
an engine that never rounds would say. Against it: perplexity by the convention of llama-perplexity
(chunks of 512 tokens, the first replaced by BOS where the model adds one, the second half scored)
and the mean Kullback-Leibler divergence KL(truth || engine) in nats, over the same positions. The
truth of a model and text takes minutes and is kept in --cache. --llama: see llama_logits.py."""
import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile

os.environ.setdefault("OPENBLAS_NUM_THREADS", str(os.cpu_count()))

import numpy as np # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.dirname(HERE)
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(REPO, "tests/reference"))
import forward # noqa: E402
import tinygguf # noqa: E402

CTX, SCORED_FROM = 512, 256
ROWS = 32 # positions whose probabilities are in memory at a time: 64 MB of a large vocabulary
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"),
                     "edgewise", "quality")


def note(text):
    print(text, file=sys.stderr, flush=True)


# ---- the truth ----

def tokenize(edgewise, model, text):
    done = subprocess.run([edgewise, "tokenize", "--ids", "--bos", model], stdin=open(text, "rb"),
                          capture_output=True, check=True)
    return json.loads(done.stdout)


def find_truth(args, path):
    """tokens [chunks][CTX], the sequences that are scored, and hidden [chunks][CTX / 2][dim]."""
    digest = hashlib.sha256()
    for name in (path, args.text):
        with open(name, "rb") as f:
            while block := f.read(1 << 20):
                digest.update(block)
    kept = os.path.join(args.cache, f"{digest.hexdigest()[:24]}-{args.chunks}.npz")
    if os.path.exists(kept):
        with np.load(kept) as truth:
            return truth["tokens"], truth["hidden"]
    gguf = tinygguf.File(path)
    tokens = tokenize(args.edgewise, path, args.text)
    chunks = min(args.chunks, len(tokens) // CTX)
    tokens = np.array(tokens[:chunks * CTX], dtype=np.int32).reshape(chunks, CTX)
    model = forward.Model(gguf, CTX, dtype=np.float32)
    hidden = []
    for i, chunk in enumerate(tokens):
        note(f"{os.path.basename(path)}: float32 reference, chunk {i + 1} of {chunks}")
        hidden.append(model.hidden(fed(gguf, chunk))[SCORED_FROM:])
    os.makedirs(args.cache, exist_ok=True)
    np.savez(kept + ".part.npz", tokens=tokens, hidden=np.array(hidden, dtype=np.float32))
    os.replace(kept + ".part.npz", kept)
    return tokens, np.array(hidden)


def adds_bos(gguf):
    spm = gguf.kv.get("tokenizer.ggml.model") == "llama"
    return gguf.kv.get("tokenizer.ggml.add_bos_token", spm)


def fed(gguf, chunk):
    chunk = chunk.copy()
    if adds_bos(gguf):
        chunk[0] = gguf.kv["tokenizer.ggml.bos_token_id"]
    return chunk


# ---- the engines ----

def drive(command, sequences):
    """Yields the logits of each sequence from SCORED_FROM on."""
    with tempfile.TemporaryFile("w+") as ids:
        for sequence in sequences:
            print(*sequence, file=ids)
        ids.seek(0)
        with subprocess.Popen(command, stdin=ids, stdout=subprocess.PIPE) as child:
            for _ in sequences:
                yield child.stdout
    if child.returncode:
        sys.exit(f"quality: {command[0]} ended with status {child.returncode}")


def rows_of(stream, rows, vocab):
    raw = stream.read(rows * vocab * 4)
    if len(raw) != rows * vocab * 4:
        sys.exit("quality: an engine gave too few logits")
    return np.frombuffer(raw, dtype=np.float32).reshape(rows, vocab)


def log_softmax(z):
    z = z - z.max(1, keepdims=True)
    return z - np.log(np.exp(z).sum(1, keepdims=True, dtype=np.float64)).astype(np.float32)


class Score:
    """Sums over positions of one engine."""

    def __init__(self):
        self.nll, self.kl, self.same = [], [], []

    def add(self, logp, truth, targets):
        self.nll += (-logp[np.arange(len(targets)), targets]).tolist()
        self.kl += (np.exp(truth) * (truth - logp)).sum(1, dtype=np.float64).tolist()
        self.same += (truth.argmax(1) == logp.argmax(1)).tolist()

    def row(self):
        n = len(self.nll)
        return {"perplexity": float(np.exp(np.mean(self.nll))),
                "kl_mean": float(np.mean(self.kl)), "kl_stderr": float(np.std(self.kl) / n ** 0.5),
                "kl_p99": float(np.quantile(self.kl, 0.99)), "same_top": float(np.mean(self.same))}


def compare(args, path):
    tokens, hidden = find_truth(args, path)
    gguf = tinygguf.File(path)
    model = forward.Model(gguf, CTX, dtype=np.float32)
    common = ["--threads", str(args.threads), "--ctx", str(CTX), "--from", str(SCORED_FROM)]
    commands = {"edgewise": [args.driver, path, *common]}
    if args.isa:
        commands["edgewise"] += ["--isa", args.isa]
    if args.llama:
        commands["llama.cpp"] = [sys.executable, os.path.join(HERE, "llama_logits.py"), args.llama,
                                 path, *common]
    scores = {name: Score() for name in ("float32", *commands)}
    sequences = [fed(gguf, chunk) for chunk in tokens]
    streams = {name: drive(command, sequences) for name, command in commands.items()}
    for i, chunk in enumerate(tokens):
        note(f"{os.path.basename(path)}: chunk {i + 1} of {len(tokens)}")
        heads = {name: next(stream) for name, stream in streams.items()}
        for at in range(0, CTX - SCORED_FROM, ROWS):
            z = model.head(hidden[i, at:at + ROWS])
            # The last position of a chunk predicts nothing that is in it.
            targets = chunk[SCORED_FROM + 1 + at:][:ROWS]
            truth = log_softmax(z)[:len(targets)]
            scores["float32"].add(truth, truth, targets)
            for name, stream in heads.items():
                logits = rows_of(stream, len(z), z.shape[1])
                scores[name].add(log_softmax(logits)[:len(targets)], truth, targets)
    for stream in streams.values():
        next(stream, None)
    n = len(scores["float32"].nll)
    return {"model": os.path.basename(path), "positions": n} | \
        {name: score.row() for name, score in scores.items()}


def show(rows):
    print(f"{'model':26s} {'engine':10s} {'perplexity':>10s} {'of float32':>10s} "
          f"{'mean KL':>10s} {'+-':>8s} {'99 %':>8s} {'same top':>8s}   n")
    for row in rows:
        base = row["float32"]["perplexity"]
        for name in ("float32", "edgewise", "llama.cpp"):
            if name in row:
                r = row[name]
                print(f"{row['model'][:26]:26s} {name:10s} {r['perplexity']:10.4f} "
                      f"{100 * (r['perplexity'] / base - 1):+9.3f}% {r['kl_mean']:10.6f} "
                      f"{r['kl_stderr']:8.6f} {r['kl_p99']:8.5f} {100 * r['same_top']:7.2f}% "
                      f"{row['positions']}")


def main():
    args = argparse.ArgumentParser()
    args.add_argument("models", nargs="+")
    args.add_argument("--text", required=True)
    args.add_argument("--driver",
                      default=os.path.join(REPO, "build/release/tests/reference/logits_driver"))
    args.add_argument("--edgewise", default=os.path.join(REPO, "build/release/edgewise"))
    args.add_argument("--llama")
    args.add_argument("--isa")
    args.add_argument("--threads", type=int, default=os.cpu_count())
    args.add_argument("--chunks", type=int, default=14)
    args.add_argument("--cache", default=CACHE)
    args.add_argument("--json", action="store_true")
    args = args.parse_args()
    rows = [compare(args, path) for path in args.models]
    if args.json:
        print(json.dumps(rows))
    else:
        show(rows)


main()
