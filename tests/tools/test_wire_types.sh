#!/bin/bash
# test_wire_types.sh - what src/api writes is read by the official openai and ollama clients, whose
# own types must accept it (wire_types.py). The clients are those that `make compat` installs.
python=${EDGEWISE_COMPAT:-${XDG_CACHE_HOME:-$HOME/.cache}/edgewise/compat}/bin/python
if ! "$python" -c 'import httpx, ollama, openai' 2>/dev/null; then
    echo "skipped: the openai and ollama clients aren't at $python"
    exit 77
fi
samples=$(mktemp -d) || exit 1
trap 'rm -rf "$samples"' EXIT
"build/${MODE:-release}/tests/unit/test_wire_samples" --write "$samples" || exit 1
"$python" tests/tools/wire_types.py "$samples"
