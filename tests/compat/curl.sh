#!/bin/bash
# curl.sh - what curl gets: streams as they come on the wire (curl -N), heads, statuses, framing.
#
#     tests/compat/curl.sh --url URL [--device URL] [--key KEY] [--limited-key KEY] [--model NAME] …
#
# A line for each check and last "N passed, N failed[, N skipped]", as checks.py prints them; so are
# the arguments.
url='' device='' key=any limited_key='' model=smollm2-135m
while [ $# -gt 1 ]; do
    case $1 in
    --url) url=${2%/} ;;
    --device) device=${2%/} ;;
    --key) key=$2 ;;
    --limited-key) limited_key=$2 ;;
    --model) model=$2 ;;
    esac
    shift 2
done
here=$(mktemp -d) || exit 1
trap 'rm -rf "$here"' EXIT
passed=0 failed=0 skipped=0
bearer="Authorization: Bearer $key"
free_s=3 # as in checks.py

# What the function prints is what it said, or why it failed (status 1) or is skipped (77).
check() { # NAME FUNCTION
    local said word=ok
    said=$("$2" 2>&1)
    case $? in
    0) passed=$((passed + 1)) ;;
    77) skipped=$((skipped + 1)) word=skip ;;
    *) failed=$((failed + 1)) word=FAIL ;;
    esac
    printf '  %-5s curl: %s%s\n' $word "$1" "${said:+: $said}"
}

same() { # GOT WANTED WHAT
    [ "$1" = "$2" ] || { echo "$3 is '$1', not '$2'" && exit 1; }
}

has() { # TEXT REGEX WHAT
    grep -qiE "$2" <<<"$1" || { echo "$3 has no '$2': ${1:0:500}" && exit 1; }
}

# The answers' texts, whatever their form: by Python's JSON, since curl has none.
json() { # EXPRESSION of d, on each object of stdin
    python3 -c 'import json, sys
for line in sys.stdin:
    line = line.removeprefix("data: ").strip()
    if line and line != "[DONE]":
        d = json.loads(line)
        print(eval(sys.argv[1]), end="")' "$1"
}

ask() { # PATH BODY CURL_OPTION…
    local path=$1 body=$2
    shift 2
    curl -sS -m 120 -H "$bearer" -H 'Content-Type: application/json' -d "$body" "$@" "$url$path"
}

chat_body() { # MORE
    echo "{\"model\": \"$model\", \"temperature\": 0, \"max_tokens\": 16, \"messages\": [{\"role\":
        \"user\", \"content\": \"What is the capital of France?\"}]${1:+, $1}}"
}
ollama_body() { # MORE
    echo "{\"model\": \"$model\", \"options\": {\"temperature\": 0, \"num_predict\": 16},
        \"messages\": [{\"role\": \"user\", \"content\": \"What is the capital of France?\"}],
        \"prompt\": \"Once upon a time\"${1:+, $1}}"
}
# 3000 tokens, and none that ends a turn of SmolLM2.
endless='"stream": true, "max_tokens": 3000, "logit_bias": {"0": -100, "2": -100}'

running() { # URL
    curl -sS -m 10 -H "$bearer" "$1/metrics" |
        awk '/^edgewise_running_requests/ { n += $2; seen = 1 } END { print seen ? n : "unknown" }'
}
until_running() { # COUNT
    local now at
    for at in "$url" $device; do
        for _ in $(seq $((free_s * 20))); do
            now=$(running "$at")
            [ "$now" = unknown ] && echo "no gauge of running requests at /metrics" && exit 77
            [ "$now" = "$1" ] && continue 2
            sleep .05
        done
        echo "after $free_s s $now are running at $at" && exit 1
    done
}

# ---- streams ----

chat_stream() {
    ask /v1/chat/completions "$(chat_body '"stream": true')" -N -D "$here/head" >"$here/body"
    has "$(cat "$here/head")" '^HTTP/1.1 200' 'the head'
    has "$(cat "$here/head")" '^content-type: text/event-stream' 'the head'
    has "$(cat "$here/head")" '^x-edgewise-request-id: .' 'the head'
    same "$(tail -n 2 "$here/body")" 'data: [DONE]' 'the last event'
    same "$(grep -cvE '^(data: .*)?$' "$here/body")" 0 'the number of lines that are no event'
    same "$(json 'd["choices"][0]["delta"].get("content", "")' <"$here/body")" \
        "$(ask /v1/chat/completions "$(chat_body)" |
            json 'd["choices"][0]["message"]["content"]')" "the stream's text"
    [ "$(grep -c '^data: {' "$here/body")" -gt 8 ] || { cat "$here/body" && exit 1; }
    json 'd["choices"][0]["delta"].get("content", "")' <"$here/body"
}

text_stream() {
    local body="{\"model\": \"$model\", \"prompt\": \"Once upon a time\", \"temperature\": 0"
    ask /v1/completions "$body, \"stream\": true}" -N >"$here/body"
    same "$(tail -n 2 "$here/body")" 'data: [DONE]' 'the last event'
    same "$(json 'd["choices"][0]["text"]' <"$here/body")" \
        "$(ask /v1/completions "$body}" | json 'd["choices"][0]["text"]')" "the stream's text"
}

ollama_stream() { # PATH EXPRESSION: streams are the default
    ask "$1" "$(ollama_body)" -N -D "$here/head" >"$here/body"
    has "$(cat "$here/head")" '^content-type: application/x-ndjson' 'the head'
    same "$(head -n -1 "$here/body" | json 'int(d["done"])' | tr -d 0)" '' 'a line before the last'
    same "$(tail -n 1 "$here/body" | json '(d["done"], d["eval_count"])')" '(True, 16)' \
        'the last line'
    same "$(json "$2" <"$here/body")" \
        "$(ask "$1" "$(ollama_body '"stream": false')" | json "$2")" "the stream's text"
    json "$2" <"$here/body"
}
ollama_chat_stream() { ollama_stream /api/chat 'd["message"]["content"]'; }
ollama_generate_stream() { ollama_stream /api/generate 'd["response"]'; }

# The reader takes nine lines, waits for a word, and goes; a closed pipe ends curl, too.
broken_off() {
    rm -f "$here/go"
    ask /v1/chat/completions "$(chat_body "$endless")" -N 2>/dev/null | {
        head -n 9 >"$here/body"
        for _ in $(seq 200); do
            [ -e "$here/go" ] && break
            sleep .05
        done
    } >/dev/null &
    local reader=$!
    until_running 1
    for _ in $(seq 200); do
        [ "$(wc -l <"$here/body")" = 9 ] && break
        sleep .05
    done
    same "$(grep -c '^data: {"id"' "$here/body")" 5 'the number of events that came'
    until_running 1
    touch "$here/go"
    wait $reader
    until_running 0
}

# ---- heads ----

whole_head() {
    ask /v1/chat/completions "$(chat_body)" -D - -o /dev/null >"$here/head"
    for name in content-length x-request-id x-edgewise-request-id x-edgewise-device \
        x-edgewise-energy-kind x-edgewise-ttft-ms x-edgewise-tokens-per-s; do
        has "$(cat "$here/head")" "^$name: ." 'the head'
    done
    has "$(cat "$here/head")" '^content-type: application/json' 'the head'
}

kept_open() {
    same "$(curl -sS -m 30 -H "$bearer" -o /dev/null -o /dev/null -o /dev/null \
        -w '%{http_code} %{num_connects} ' "$url/v1/models" "$url/api/tags" "$url/api/version")" \
        '200 1 200 0 200 0 ' 'statuses and new connections'
}

old_http() {
    ask /v1/chat/completions "$(chat_body '"stream": true')" -N --http1.0 -D "$here/head" \
        >"$here/body"
    grep -qi '^transfer-encoding' "$here/head" && echo 'chunks for HTTP/1.0' && exit 1
    same "$(tail -n 2 "$here/body")" 'data: [DONE]' 'the last event'
}

upgrade_to_2() {
    same "$(ask /v1/chat/completions "$(chat_body)" --http2 -o /dev/null -w '%{http_code}')" 200 \
        'the status'
}

awaited_body() { # curl sends "Expect: 100-continue" and waits for the word
    same "$(ask /v1/chat/completions "$(chat_body)" -H 'Expect: 100-continue' \
        --expect100-timeout 60 -o /dev/null -w '%{http_code}')" 200 'the status'
}

chunked_body() {
    same "$(ask /v1/chat/completions "$(chat_body)" -H 'Transfer-Encoding: chunked' -o /dev/null \
        -w '%{http_code}')" 200 'the status'
}

only_head() {
    same "$(curl -sS -m 30 -I -H "$bearer" -o "$here/head" -w '%{http_code} %{size_download}' \
        "$url/v1/models")" '200 0' 'status and length'
}

# ---- the other paths ----

lists() {
    has "$(curl -sS -H "$bearer" "$url/v1/models")" "\"id\":\"$model\"" '/v1/models'
    has "$(curl -sS -H "$bearer" "$url/v1/models/$model")" '"object":"model"' "/v1/models/$model"
    has "$(curl -sS -H "$bearer" "$url/api/tags")" "\"name\":\"$model(:latest)?\"" '/api/tags'
    has "$(ask /api/show "{\"model\": \"$model\"}")" '"capabilities":\[' '/api/show'
    has "$(curl -sS -H "$bearer" "$url/api/version")" '"version":"[0-9]+\.[0-9]+\.[0-9]+' \
        '/api/version'
}

healthy() {
    for path in /health /ready /; do
        same "$(curl -sS -o /dev/null -w '%{http_code}' "$url$path")" 200 \
            "the status of $path without a key"
    done
}

statuses() {
    status() { # WANTED CURL_OPTION…
        local wanted=$1 got
        shift
        got=$(curl -sS -m 60 -H "$bearer" -o "$here/body" -w '%{http_code}' "$@")
        same "$got" "$wanted" "the status of $*"
        has "$(cat "$here/body")" '"error":' "the answer to $*"
    }
    status 400 -d '{"model": ' "$url/v1/chat/completions"
    status 400 -d '[]' "$url/v1/chat/completions"
    status 400 -d '{}' "$url/api/chat"
    status 404 "$url/v1/nothing"
    status 404 "$url/api/nothing"
    status 404 -d "$(model=gpt-99 chat_body)" "$url/v1/chat/completions"
    status 405 "$url/v1/chat/completions"
    status 405 -X DELETE "$url/v1/models"
    head -c 17000000 /dev/zero | tr '\0' ' ' >"$here/large"
    status 413 --data-binary "@$here/large" "$url/v1/chat/completions"
}

no_key() {
    local got
    got=$(curl -sS -o "$here/body" -D "$here/head" -w '%{http_code}' "$url/v1/models")
    [ "$got" = 200 ] && echo 'the server takes requests without a key' && exit 77
    same "$got" 401 'the status'
    has "$(cat "$here/head")" '^www-authenticate: bearer' 'the head'
    has "$(cat "$here/body")" '"code":"invalid_api_key"' 'the answer'
}

limited() {
    [ -n "$limited_key" ] || {
        echo 'no --limited-key of a client with a limit of requests'
        exit 77
    }
    for _ in $(seq 50); do
        status=$(bearer="Authorization: Bearer $limited_key" ask /v1/chat/completions \
            "$(chat_body)" -D "$here/head" -o "$here/body" -w '%{http_code}')
        [ "$status" = 200 ] || break
    done
    same "$status" 429 'the status'
    has "$(cat "$here/head")" '^retry-after: [1-9]' 'the head'
    has "$(cat "$here/body")" '"code":"rate_limit_exceeded"' 'the answer'
}

check 'curl -N shows a chat as it comes, in events' chat_stream
check 'curl -N shows a text as it comes' text_stream
check 'curl -N shows /api/chat as it comes, in lines' ollama_chat_stream
check 'curl -N shows /api/generate as it comes' ollama_generate_stream
check 'a stream comes while it is made, and ends when its reader goes' broken_off
check 'an answer that is whole has its figures in its head' whole_head
check 'a connection is kept for the next request' kept_open
check 'HTTP/1.0 gets a stream without chunks' old_http
check 'an offer of HTTP/2 is passed over' upgrade_to_2
check 'a body that waits for 100 Continue is asked for' awaited_body
check 'a body in chunks is read' chunked_body
check 'HEAD is a head only' only_head
check 'models, tags, show and version answer' lists
check 'health, ready and the first page need no key' healthy
check 'what is wrong has its status and an error in JSON' statuses
check 'without a key it is 401' no_key
check 'above a limit it is 429, with the time to wait' limited
printf '%d passed, %d failed' $passed $failed
[ $skipped -gt 0 ] && printf ', %d skipped' $skipped
echo
[ $failed = 0 ]
