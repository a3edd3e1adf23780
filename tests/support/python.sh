#!/bin/sh
# python.sh - prints a python3 that has numpy, which makes the tests' tiny models. Exit status 77, and
# why, where there is none.
for python in python3 /usr/bin/python3; do
    "$python" -c 'import numpy' 2>/dev/null && echo "$python" && exit
done
echo "skipped: no numpy for python3 (Debian: python3-numpy)" >&2
exit 77
