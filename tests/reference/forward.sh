#!/bin/sh
# forward.sh - the engine's logits against numpy, on tiny models of every architecture.
# What is compared, and how closely, is told in forward_test.py.
build=build/${MODE:-release}
for python in python3 /usr/bin/python3; do
    "$python" -c 'import numpy' 2>/dev/null &&
        exec "$python" tests/reference/forward_test.py "$build/tests/reference/logits_driver" "$@"
done
echo "skip: no numpy for python3 (Debian: python3-numpy)"
exit 77
