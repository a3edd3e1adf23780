#!/usr/bin/env python3
"""serve_faults.py - what goes wrong around a server, done to a real one.

    tests/fault/serve_faults.py EDGEWISE MODEL.gguf [--only WORD] [--table]

Runs the faults of faults_*.py and prints a table; --table prints it as docs/FAULTS.md has it. The
last line is "N passed, N failed, N skipped". MODEL is SmolLM2: the tests need a model that takes a
moment to answer."""
import argparse
import os
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../reference"))
from faults import FAULTS, RELEASE_ONLY, Tried # noqa: E402
import faults_clients # noqa: E402, F401 (each adds its own to FAULTS)
import faults_requests # noqa: E402, F401
import faults_signals # noqa: E402, F401
import faults_models # noqa: E402, F401
import faults_ledger # noqa: E402, F401
import faults_load # noqa: E402, F401
from models import Builder # noqa: E402


def run_one(tried, sentence, function, only):
    """("ok", "FAIL" or "skip", what was seen)"""
    if tried.sanitized and sentence in RELEASE_ONLY and not only:
        return "skip", "skipped: a sanitizer's own memory and time would be measured"
    try:
        return "ok", function(tried)
    except Exception as error: # whatever it is, the fault's test has failed
        return "FAIL", f"{type(error).__name__}: {error}"


def run_all(tried, args):
    results = []
    for group, sentence, function in FAULTS:
        if args.only and args.only not in f"{group} {sentence}":
            continue
        begin = time.monotonic()
        word, seen = run_one(tried, sentence, function, args.only)
        results.append((group, sentence, word, seen))
        if not args.table or word == "FAIL":
            print(f"{word:4}  {group}: {sentence} ({time.monotonic() - begin:.1f} s)\n"
                  f"        {seen}", file=sys.stderr if args.table else sys.stdout, flush=True)
    return results


def main():
    parser = argparse.ArgumentParser(description="faults around a real server")
    parser.add_argument("edgewise")
    parser.add_argument("model")
    parser.add_argument("--only", metavar="WORD", help="faults with this in group or sentence")
    parser.add_argument("--table", action="store_true", help="print what docs/FAULTS.md has")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgewise-tiny-") as folder:
        tiny = os.path.join(folder, "tiny.gguf")
        Builder("llama").write(tiny)
        results = run_all(Tried(args.edgewise, args.model, tiny), args)
    failed = sum(word == "FAIL" for _, _, word, _ in results)
    if args.table:
        print("| | fault | seen |\n|---|---|---|")
        for group, sentence, word, seen in results:
            seen = " ".join(seen.split()).replace("|", "/")
            print(f"| {group} | {sentence} | {'' if word == 'ok' else '**not so:** '}{seen} |")
    else:
        skipped = sum(word == "skip" for _, _, word, _ in results)
        print(f"{len(results) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    sys.exit(failed > 0 or not results)


main()
