#!/bin/bash
# run.sh - real clients, of pinned versions, against a real server with real models.
#
#     tests/compat/run.sh [--front] EDGEWISE [ONLY]
#     tests/compat/run.sh --url http://127.0.0.1:8080 [--key KEY] [--limited-key KEY]
#                         [--device URL] [--model NAME] [--tools-model NAME] [ONLY]
#
# The first form starts `edgewise serve` on a free port, with smollm2-135m, qwen2.5-coder-0.5b and
# two clients: one without limits, one that may ask twice in five seconds. With --front it starts
# another one, whose only device is the first, and asks both. The second form asks a server that
# runs, and has nothing else to do meanwhile. ONLY: clients whose name has this in it (openai,
# litellm, ollama, curl, lm_eval). Each client is a file here; a check that needs what the server
# hasn't (a second key, a model) is skipped, visibly.
#
# Answers are at temperature 0 or by a seed, and no id or time is printed: so the output of two
# runs must be equal, line by line, and --front compares them. The last line is "N passed, N
# failed[, N skipped]".
cd "$(dirname "$0")/../.." || exit 1
export LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
clients="openai_chat openai_text openai_schema openai_tools openai_errors openai_async"
clients+=" litellm_client ollama_client curl lm_eval_client"
client_timeout=900 # seconds; a client that hangs has failed
here=$(mktemp -d) || exit 1
servers=() # the device, and the front
stop() { # the status of who ended badly; a server that was told to end has its time to do so
    local pid status=0
    for pid in "${servers[@]}"; do
        kill "$pid" 2>/dev/null && wait "$pid" || status=1
    done
    servers=()
    return $status
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

# Sets url to where the server of that configuration listens.
serve() { # EDGEWISE NAME
    "$1" serve --config "$here/$2.yaml" 2>"$here/$2.log" &
    servers=($! "${servers[@]}")
    for _ in $(seq 600); do
        url=$(grep -oE 'https?://[0-9.]+:[0-9]+' "$here/$2.log") && return
        kill -0 "${servers[0]}" 2>/dev/null || break
        sleep .1
    done
    cat "$here/$2.log"
    echo "the $2 didn't start"
    exit 1
}

clients_of() { # both servers have the same
    cat <<END
listen: 127.0.0.1:0
ledger: $here/$1.db
clients:
  - {name: compat, key_hash: "$(hash_of "$key")"}
  - name: limited
    key_hash: "$(hash_of "$limited_key")"
    limits: [{requests: 2, per: 5s}]
devices:
END
}

# The models are fetched where they aren't.
start_device() { # EDGEWISE
    local dir models
    dir=$(tests/support/model.sh "$1") || skip "smollm2-135m can't be had"
    models=$dir/smollm2-135m.gguf
    if [ -s "$dir/qwen2.5-coder-0.5b.gguf" ] ||
        "$1" pull qwen2.5-coder-0.5b --dir "$dir" --retries 1 --timeout 20 >/dev/null; then
        models+=", $dir/qwen2.5-coder-0.5b.gguf"
    else
        echo "  qwen2.5-coder-0.5b can't be had: what needs a model that calls tools is skipped"
    fi
    clients_of device >"$here/device.yaml"
    echo "  - models: [$models]" >>"$here/device.yaml"
    serve "$1" device
}

# A front that knows the models of its device, from its first look at it.
start_front() { # EDGEWISE DEVICE_URL
    printf %s "$key" >"$here/key"
    clients_of front >"$here/front.yaml"
    echo "  - {name: device, url: $2/v1, key_file: $here/key}" >>"$here/front.yaml"
    serve "$1" front
    for _ in $(seq 100); do
        curl -sf -H "Authorization: Bearer $key" "$url/v1/models/smollm2-135m" >/dev/null && return
        sleep .1
    done
    cat "$here/front.log"
    echo "the front doesn't know its device"
    exit 1
}

# All clients, or some; their lines, and in tally how many passed, failed and were skipped.
tally=(0 0 0)
ask() { # URL OPTION…
    local client command counts p f s how=("${more[@]}" --url "$@")
    [ -z "$key" ] || how+=(--key "$key")
    [ -z "$limited_key" ] || how+=(--limited-key "$limited_key")
    for client in $clients; do
        [[ $client == *$only* ]] || continue
        command=("$python" "tests/compat/$client.py")
        [ -f "tests/compat/$client.py" ] || command=("tests/compat/$client.sh")
        timeout "$client_timeout" "${command[@]}" "${how[@]}" 2>"$here/stderr" </dev/null |
            tee "$here/stdout" | grep -vE '^[0-9]+ passed, '
        counts=$(tail -n 1 "$here/stdout" |
            grep -oE '^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$')
        if [ -z "$counts" ]; then
            tail -n 40 "$here/stderr"
            echo "  FAIL  $client: it ended without a count"
            counts="0 passed, 1 failed"
        fi
        read -r p _ f _ s _ <<<"$counts"
        tally=($((tally[0] + p)) $((tally[1] + f)) $((tally[2] + ${s:-0})))
    done
}

# What a front can't do is skipped there, and isn't compared.
compare() { # LINES_OF_THE_DEVICE LINES_OF_THE_FRONT
    local name='s/^  \(ok\|skip\|FAIL\) *\([^:]*: [^:]*\).*/\2/p' skips
    skips=$(sed -n "/^  skip/$name" "$2")
    diff <(grep -E '^  (ok|FAIL)' "$1" | grep -vFf <(printf %s "$skips")) \
        <(grep -E '^  (ok|FAIL)' "$2") >"$here/differ" && grep -q '^  ok' "$2"
}

url='' key='' limited_key='' more=() front=''
while [[ ${1-} == --* ]]; do
    [ "$1" = --front ] && front=yes && shift && continue
    [ $# -gt 1 ] || usage
    case $1 in
    --url) url=$2 ;;
    --key) key=$2 ;;
    --limited-key) limited_key=$2 ;;
    --device | --model | --tools-model) more+=("$1" "$2") ;;
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
[ -n "$url" ] || start_device "$edgewise"
if [ -z "$front" ]; then
    ask "$url"
else
    device=$url
    start_front "$edgewise" "$device"
    echo "through the front:"
    ask "$url" --device "$device" > >(tee "$here/through")
    wait $!
    echo "at the device:"
    ask "$device" > >(tee "$here/at")
    wait $!
    if compare "$here/at" "$here/through"; then
        echo "  ok    front: it answers what its device answers"
        tally[0]=$((tally[0] + 1))
    else
        cat "$here/differ"
        echo "  FAIL  front: it answers otherwise (>) than its device (<)"
        tally[1]=$((tally[1] + 1))
    fi
fi
if [ $((tally[0] + tally[1] + tally[2])) = 0 ]; then
    echo "no client is called '$only'; there are: $clients"
    exit 2
fi
if ! stop; then # under asan, leaks are told here
    tail -n 60 "$here"/*.log
    echo "  FAIL  the server: it was gone, or didn't end well"
    tally[1]=$((tally[1] + 1))
fi
printf '%d passed, %d failed' "${tally[0]}" "${tally[1]}"
[ "${tally[2]}" -gt 0 ] && printf ', %d skipped' "${tally[2]}"
echo
[ "${tally[1]}" = 0 ]
