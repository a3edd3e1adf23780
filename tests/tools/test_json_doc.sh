#!/bin/bash
# test_json_doc.sh - docs/JSON.md names every key that a golden test has seen in a --json output.
passed=0 failed=0
for topic in run bench eval pcr pull ledger doctor; do
    # Of doctor the golden file has the keys alone, one a line.
    keys=$(cat tests/golden/$topic/*.out | grep -oE '(^ +|[{,] ?)"[a-z_0-9]+"(:|$)' | grep -oE '[a-z_0-9]+' | sort -u)
    missing=
    for key in $keys; do
        grep -q "[\`\"]$key[\`\"]" docs/JSON.md || missing="$missing $key"
    done
    if [ -n "$keys" ] && [ -z "$missing" ]; then
        passed=$((passed + 1))
    else
        echo "failed: docs/JSON.md doesn't name of $topic:${missing:- (no keys were found)}"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
