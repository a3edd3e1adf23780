#!/bin/sh
# test_serve_faults.sh - the faults of serve_faults.py, done to the program that was built.
cd "$(dirname "$0")/../.." || exit 1
edgewise=$PWD/build/${MODE:-release}/edgewise
if ! "$edgewise" serve --help >/dev/null 2>&1; then
    echo "skipped: this edgewise has no server yet"
    exit 77
fi
models=$(tests/support/model.sh "$edgewise") || exit 77
exec python3 tests/fault/serve_faults.py "$edgewise" "$models/smollm2-135m.gguf"
