#!/usr/bin/env python3
"""serve_faults.py - what goes wrong around a server, done to a real one.

    tests/fault/serve_faults.py EDGEWISE MODEL.gguf [--only WORD] [--table]

Runs the faults of faults_*.py and prints a table; --table prints it as docs/FAULTS.md has it. The
last line is "N passed, N failed, N skipped". MODEL is SmolLM2: the tests need a model that takes a
moment to answer."""
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../reference"))
from faults import FAULTS, Tried # noqa: E402
import faults_clients # noqa: E402, F401 (each adds its own to FAULTS)
import faults_requests # noqa: E402, F401
import faults_signals # noqa: E402, F401
import faults_models # noqa: E402, F401
import faults_ledger # noqa: E402, F401
import faults_load # noqa: E402, F401
from models import Builder # noqa: E402


def main():
    args = FAULTS.parser("faults around a real server", "edgewise", "model").parse_args()
    with tempfile.TemporaryDirectory(prefix="edgewise-tiny-") as folder:
        tiny = os.path.join(folder, "tiny.gguf")
        Builder("llama").write(tiny)
        FAULTS.finish(args, Tried(args.edgewise, args.model, tiny))


main()
