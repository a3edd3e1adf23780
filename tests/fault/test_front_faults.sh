#!/bin/sh
# test_front_faults.sh - the faults of front_faults.py, done to the program that was built. Options are
# passed on, as --only WORD.
cd "$(dirname "$0")/../.." || exit 1
exec python3 tests/fault/front_faults.py --jobs 4 "$PWD/build/${MODE:-release}/edgewise" "$@"
