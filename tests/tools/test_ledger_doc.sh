#!/bin/bash
# test_ledger_doc.sh - docs/LEDGER.md and the program tell the same columns.
edgewise=build/${MODE:-release}/edgewise
wanted=$("$edgewise" ledger --columns --json | python3 -c '
import json, sys
for c in json.load(sys.stdin): print("| `%s` | %s | %s |" % (c["column"], c["type"], c["is"]))')
[ "$(wc -l <<<"$wanted")" -ge 20 ] || { echo "the program tells too few columns"; exit 1; }
differ=$(diff <(grep '^| `' docs/LEDGER.md) <(echo "$wanted")) && exit 0
echo "docs/LEDGER.md (<) and 'edgewise ledger --columns' (>) differ:"
echo "$differ"
exit 1
