#!/bin/sh
# pull.sh - `edgewise pull` against a server of ours that misbehaves in every way we know.
exec python3 tests/support/pull_test.py "build/${MODE:-release}/edgewise"
