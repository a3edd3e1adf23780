#!/bin/sh
# page.sh - docs/FAULTS.md, made of what the faults do to a server now: `make faults`.
set -eu
here=$(dirname "$0")
cat <<'TEXT'
# What goes wrong around a server

Made by `make faults`: each line is a test, part of `make check`, that does this to a real `edgewise serve`, and what was
seen. Times are of a machine that does other things meanwhile.

## A device by itself

`tests/fault/serve_faults.py`, with SmolLM2.

TEXT
"$here/test_serve_faults.sh" --table
cat <<'TEXT'

## A front, its devices and clouds

`tests/fault/front_faults.py`. The devices and clouds are stand-ins that behave so (`tests/support/upstream.py`); 1 s is
the front's patience here with a connection, a first token and a stall.

TEXT
exec "$here/test_front_faults.sh" --table
