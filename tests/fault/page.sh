#!/bin/sh
# page.sh - docs/FAULTS.md, made of what the faults do to a server now: `make faults`.
set -eu
cd "$(dirname "$0")/../.."
edgewise=$1
models=$(tests/support/model.sh "$edgewise")
cat <<'TEXT'
# What goes wrong around a server

Made by `make faults`: each line is a test (`tests/fault/serve_faults.py`, part of `make check`) that does this to a real
`edgewise serve` with SmolLM2, and what was seen. Times are of a machine that does other things meanwhile.

TEXT
exec tests/fault/serve_faults.py "$(realpath "$edgewise")" "$models/smollm2-135m.gguf" --table
