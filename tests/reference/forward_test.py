"""forward_test.py - is what the engine computes what the architecture says?

    forward_test.py DRIVER [NAME...]     models of models.py; all when none is named

For each tiny model: the engine's logits against forward.py, and against themselves with another
number of threads, another chunk and other instruction sets: those must be the same bits. The
reference makes the two roundings that are part of the engine's contract (half floats in the KV
cache, 8-bit inputs of quantised matrices), so what is left is float32 arithmetic, and now and then
a number that falls on the other side of a rounding. That is little for half floats: TOLERANCE, in
units of the logits' standard deviation. For 8 bits one such number is a step of 1/127, and what
follows differs by a few percent; but until the first of them float32 is all there is, so one of the
first positions has to be within TIGHT. Measured: 1e-6, then up to 0.05; without these roundings in
the reference 0.1, from the first position on. A wrong window, frequency or norm shows as 0.1 to 4.

Prints a line for each check, then "N passed, N failed, N skipped"; exit status 1 when one failed."""
import os
import subprocess
import sys
import tempfile

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1") # before numpy: the matrices are tiny

import numpy as np # noqa: E402

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import forward # noqa: E402
import models # noqa: E402
import tinygguf # noqa: E402

TOLERANCE = {False: 5e-3, True: 0.1} # by: are the matrices quantised
TIGHT, FIRST = 1e-4, 3
TIMEOUT_S = 60
ISAS = {"scalar": (), "avx2": ("avx2", "fma", "f16c"),
        "avx512vnni": ("avx512f", "avx512bw", "avx512vl", "avx512_vnni")}
counts = {"ok": 0, "not ok": 0, "skip": 0}


def say(word, name, why=""):
    counts[word] += 1
    print(f"{word} {name}{': ' if why else ''}{why}", flush=True)


def flags():
    try:
        with open("/proc/cpuinfo") as f:
            return set(next((line for line in f if line.startswith("flags")), "").split())
    except OSError:
        return set()


def drive(driver, path, tokens, *options):
    done = subprocess.run([driver, path, *options], input=" ".join(map(str, tokens)).encode(),
                          capture_output=True, timeout=TIMEOUT_S)
    if done.returncode:
        why = done.stderr.decode(errors="replace").splitlines()
        raise RuntimeError(why[-1] if why else f"ended with status {done.returncode}")
    return np.frombuffer(done.stdout, dtype=np.float32).reshape(len(tokens), -1)


def judge(got, want, tolerance):
    """What is wrong, or nothing."""
    if got.shape != want.shape:
        return f"{got.shape[1]} logits, wanted {want.shape[1]}"
    if not np.isfinite(got).all():
        return "not all finite"
    spread = want.std()
    error = np.abs(got - want) / spread
    at = np.unravel_index(error.argmax(), error.shape)
    if error.max() > tolerance:
        first = int((error.max(1) > tolerance).argmax())
        return (f"off by {error.max():.2g} of the spread at position {at[0]}, at most {tolerance}; "
                f"first at position {first}")
    if error[:FIRST].max(1).min() > TIGHT:
        return f"off by {error[:FIRST].max(1).min():.2g} at each of the first {FIRST} positions"
    chosen = np.take_along_axis(want, got.argmax(1)[:, None], 1)[:, 0]
    if ((want.max(1) - chosen) / spread > tolerance).any():
        return "another token is likeliest"
    return ""


def variants():
    yield "1 thread, chunk 1", ("--threads", "1", "--chunk", "1")
    yield "2 threads, chunk 3", ("--threads", "2", "--chunk", "3")
    yield "3 threads, chunk 33", ("--threads", "3", "--chunk", "33")
    have = flags()
    for isa, needs in ISAS.items():
        yield isa, ("--isa", isa) if have.issuperset(needs) else None


def check(driver, name, folder):
    build = models.Builder(name)
    path = os.path.join(folder, name + ".gguf")
    build.write(path)
    tokens, ctx = build.sequence(), ("--ctx", str(build.ctx))
    gguf = tinygguf.File(path)
    quantized = gguf.is_quantized("blk.0.ffn_down.weight")
    want = forward.Model(gguf, build.ctx, kv_half=True, inputs_q8=True).logits(tokens)
    try:
        got = drive(driver, path, tokens, *ctx)
        wrong = judge(got, want, TOLERANCE[quantized])
    except (RuntimeError, subprocess.TimeoutExpired) as e:
        say("not ok", name, str(e))
        return
    error = np.abs(got - want).max() / want.std() if got.shape == want.shape else np.inf
    say("not ok" if wrong else "ok", name, wrong or f"{error:.1e} of the spread")
    for what, options in variants():
        if options is None:
            say("skip", f"{name}, {what}", "this CPU doesn't have it")
            continue
        try:
            other = drive(driver, path, tokens, *ctx, *options)
            differ = int((other.view(np.uint32) != got.view(np.uint32)).sum())
            wrong = f"{differ} of {got.size} logits have other bits" if differ else ""
        except (RuntimeError, subprocess.TimeoutExpired) as e:
            wrong = str(e)
        say("not ok" if wrong else "ok", f"{name}, {what}", wrong)
    os.remove(path)


def main():
    driver, names = sys.argv[1], sys.argv[2:] or list(models.MODELS)
    if not os.access(driver, os.X_OK):
        print(f"no {driver}: make it first")
        return 1
    with tempfile.TemporaryDirectory(prefix="edgewise-") as folder:
        for name in names:
            check(driver, name, folder)
    last = f"{counts['ok']} passed, {counts['not ok']} failed"
    print(last + (f", {counts['skip']} skipped" if counts["skip"] else ""))
    return 1 if counts["not ok"] else 0


sys.exit(main())
