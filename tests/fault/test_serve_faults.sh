#!/bin/sh
# test_serve_faults.sh - the faults of serve_faults.py, done to the program that was built. Options are
# passed on, as --only WORD.
cd "$(dirname "$0")/../.." || exit 1
edgewise=$PWD/build/${MODE:-release}/edgewise
models=$(tests/support/model.sh "$edgewise") || exit 77
python=$(tests/support/python.sh) || exit 77
exec "$python" tests/fault/serve_faults.py "$edgewise" "$models/smollm2-135m.gguf" "$@"
