#!/bin/sh
# page.sh - docs/FAULTS.md, made of what the faults do to a server now: `make faults`.
set -eu
cat <<'TEXT'
# What goes wrong around a server

Made by `make faults`: each line is a test (`tests/fault/serve_faults.py`, part of `make check`) that does this to a real
`edgewise serve` with SmolLM2, and what was seen. Times are of a machine that does other things meanwhile.

TEXT
exec "$(dirname "$0")/test_serve_faults.sh" --table
