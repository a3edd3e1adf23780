#!/bin/bash
# run.sh - real clients, of pinned versions, against a real server with real models.
#
#     tests/compat/run.sh EDGEWISE [ONLY]
#     tests/compat/run.sh --url http://127.0.0.1:8080 [--key KEY] [--limited-key KEY]
#                         [--model NAME] [--tools-model NAME] [ONLY]
#
# The first form starts `edgewise serve` on a free port, with smollm2-135m, qwen2.5-coder-0.5b and
# two clients: one without limits, one that may ask twice in five seconds. The second asks a server
# that runs, as a front, and has nothing else to do meanwhile. ONLY: clients whose name has this in
# it (openai, litellm, ollama, curl, lm_eval). Each client is a file here; a check that needs what
# the server hasn't (a second key, a model) is skipped, visibly.
#
# Answers are at temperature 0 or by a seed, and no id or time is printed: so the output of two
# runs, as at a device and through its front, must be equal, line by line. The last line is
# "N passed, N failed[, N skipped]".
cd "$(dirname "$0")/../.." || exit 1
export LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
clients="openai_chat openai_text openai_schema openai_tools openai_errors openai_async"
clients+=" litellm_client ollama_client curl lm_eval_client"
client_timeout=900 # seconds; a client that hangs has failed
here=$(mktemp -d) || exit 1
server=
stop() { # its exit status; a server that was told to end has its time to do so
    local pid=$server
    server=
    [ -z "$pid" ] || { kill "$pid" 2>/dev/null && wait "$pid"; }
}
trap 'stop; rm -rf "$here"' EXIT

usage() {
    sed -n '3,/^cd/ { /^cd/d; s/^# \{0,1\}//p }' "$0" >&2
    exit 2
}

hash_of() { printf %s "$1" | sha256sum | cut -d' ' -f1; }

skip() { # WHY
    echo "  skip  $1"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
}

# Sets url and server; the models are fetched where they aren't.
start() { # EDGEWISE
    local dir models
    dir=$(tests/support/model.sh "$1") || skip "smollm2-135m can't be had"
    models=$dir/smollm2-135m.gguf
    if [ -s "$dir/qwen2.5-coder-0.5b.gguf" ] ||
        "$1" pull qwen2.5-coder-0.5b --dir "$dir" --retries 1 --timeout 20 >/dev/null; then
        models+=", $dir/qwen2.5-coder-0.5b.gguf"
    else
        echo "  qwen2.5-coder-0.5b can't be had: what needs a model that calls tools is skipped"
    fi
    cat >"$here/edgewise.yaml" <<END
listen: 127.0.0.1:0
ledger: $here/ledger.db
devices:
  - models: [$models]
clients:
  - {name: compat, key_hash: "$(hash_of "$key")"}
  - name: limited
    key_hash: "$(hash_of "$limited_key")"
    limits: [{requests: 2, per: 5s}]
END
    "$1" serve --config "$here/edgewise.yaml" 2>"$here/log" &
    server=$!
    for _ in $(seq 600); do
        url=$(grep -oE 'https?://[0-9.]+:[0-9]+' "$here/log") && return
        kill -0 "$server" 2>/dev/null || break
        sleep .1
    done
    cat "$here/log"
    echo "the server didn't start"
    exit 1
}

url='' key='' limited_key='' more=() only=''
while [[ ${1-} == --* ]]; do
    [ $# -gt 1 ] || usage
    case $1 in
    --url) url=$2 ;;
    --key) key=$2 ;;
    --limited-key) limited_key=$2 ;;
    --model | --tools-model) more+=("$1" "$2") ;;
    *) usage ;;
    esac
    shift 2
done
if [ -z "$url" ]; then
    [ $# -ge 1 ] || usage
    edgewise=$(realpath "$1") key=key-of-compat limited_key=key-of-limited
    shift
fi
[ $# -le 1 ] || usage
only=${1-}

python=$(tests/compat/environment.sh)
status=$?
[ $status = 77 ] && skip "$python"
[ $status = 0 ] || exit 1
[ -n "$url" ] || start "$edgewise"
more+=(--url "$url")
[ -z "$key" ] || more+=(--key "$key")
[ -z "$limited_key" ] || more+=(--limited-key "$limited_key")

passed=0 failed=0 skipped=0
for client in $clients; do
    [[ $client == *$only* ]] || continue
    command=("$python" "tests/compat/$client.py")
    [ -f "tests/compat/$client.py" ] || command=("tests/compat/$client.sh")
    timeout "$client_timeout" "${command[@]}" "${more[@]}" 2>"$here/stderr" </dev/null |
        tee "$here/stdout" | grep -vE '^[0-9]+ passed, '
    counts=$(tail -n 1 "$here/stdout" |
        grep -oE '^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$')
    if [ -z "$counts" ]; then
        tail -n 40 "$here/stderr"
        echo "  FAIL  $client: it ended without a count"
        counts="0 passed, 1 failed"
    fi
    read -r p _ f _ s _ <<<"$counts"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + ${s:-0}))
done
if [ $((passed + failed + skipped)) = 0 ]; then
    echo "no client is called '$only'; there are: $clients"
    exit 2
fi
if ! stop; then # under asan, leaks are told here
    tail -n 60 "$here/log"
    echo "  FAIL  the server: it was gone, or didn't end well"
    failed=$((failed + 1))
fi
printf '%d passed, %d failed' $passed $failed
[ $skipped -gt 0 ] && printf ', %d skipped' $skipped
echo
[ $failed = 0 ]
