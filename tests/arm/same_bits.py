"""same_bits.py - does another processor compute what this one does?

    same_bits.py HERE OTHER [WORD...]    HERE: logits_driver; WORD... OTHER runs the other's

For each tiny model of tests/reference/models.py: the logits of the scalar kernels here, against
those of the other machine's driver (under an emulator, say) with one thread and with two. They must
be the same bits. Prints a line for each, then "N passed, N failed"; exit status 1 when one
failed."""
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "reference"))
import models # noqa: E402

TIMEOUT_S = 300


def drive(command, path, tokens, *options):
    done = subprocess.run([*command, path, *options], input=" ".join(map(str, tokens)).encode(),
                          capture_output=True, timeout=TIMEOUT_S)
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace").strip() or
                           f"ended with status {done.returncode}")
    return done.stdout


def check(here, other, name, folder):
    build = models.Builder(name)
    path = os.path.join(folder, name + ".gguf")
    build.write(path)
    tokens, ctx = build.sequence(), ("--ctx", str(build.ctx))
    failed = 0
    want = drive([here], path, tokens, *ctx, "--isa", "scalar", "--threads", "1")
    for threads in "12":
        try:
            got = drive(other, path, tokens, *ctx, "--isa", "scalar", "--threads", threads)
            wrong = "" if got == want and want else "other bits"
        except (RuntimeError, subprocess.TimeoutExpired) as e:
            wrong = str(e)
        print(f"{'not ok' if wrong else 'ok'} {name}, threads {threads}{': ' * bool(wrong)}{wrong}",
              flush=True)
        failed += bool(wrong)
    os.remove(path)
    return failed, 2


def main():
    here, other = sys.argv[1], [*sys.argv[3:], sys.argv[2]]
    failed = total = 0
    with tempfile.TemporaryDirectory(prefix="edgewise-") as folder:
        for name in models.MODELS:
            bad, count = check(here, other, name, folder)
            failed, total = failed + bad, total + count
    print(f"{total - failed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
