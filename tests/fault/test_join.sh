#!/bin/sh
# test_join.sh - devices that dial in to a front (join.py), with the program that was built.
cd "$(dirname "$0")/../.." || exit 1
edgewise=$PWD/build/${MODE:-release}/edgewise
models=$(tests/support/model.sh "$edgewise") || exit 77
exec python3 tests/fault/join.py "$edgewise" "$models/smollm2-135m.gguf"
