#!/bin/sh
# template.sh - our chat templates beside Python's jinja2, whichever python3 has it.
driver=build/${MODE:-release}/tests/reference/template_driver
for python in python3 /usr/bin/python3; do
    if "$python" -c 'import jinja2' 2>/dev/null; then
        exec "$python" -B tests/reference/template_jinja2.py "$driver"
    fi
done
echo "no python3 with the module jinja2 (Debian: python3-jinja2)"
exit 77
