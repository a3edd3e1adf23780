#!/bin/bash
# test_api_doc.sh - docs/API.md names every field that src/api reads and every code of an error, and
# no code that there isn't; what it shows works against a server.
edgewise=$PWD/build/${MODE:-release}/edgewise doc=docs/API.md
passed=0 failed=0 skipped=0
check() { # NAME STATUS
    if [ "$2" = 0 ]; then
        passed=$((passed + 1))
    else
        echo "failed: $1" && failed=$((failed + 1))
    fi
}

# The first two texts in a call are where the object is (often "") and the field; tables of fields
# begin their rows with it.
fields=$(cat src/api/o*_{fields,messages,tools,chat,completion,generate}.c src/api/ollama_models.c | tr '\n' ' ' |
    grep -oP '(ew_read_(get|need|text|object|array|flag|number|int)|read_whole|ew_ollama_refuse)\([^";]*("[a-z_.]*", )?"\K[a-z_]+(?=")|\{"\K[a-z_]+(?=", (\{|PEN|REP|TEMP|"(no|the|send)))' | sort -u)
[ "$(wc -l <<<"$fields")" -gt 40 ]
check "the sources have fields: $(tr '\n' ' ' <<<"$fields")" $?
for field in $fields; do
    grep -q "\`$field\`" $doc
    check "$doc doesn't name the field $field" $?
done

codes=$(cat src/{api,serve}/*.c | tr '\n' ' ' |
    grep -oP 'ew_read_fail\(\s*in, "\K[a-z_]+|ew_fault_set\([^;]*?, \d+, "\K[a-z_]+|\{"\K(integer|decimal)_[a-z_]+(?=", )|", "\K(integer|decimal)_[a-z_]+(?="})|\{\d+, "[a-z_]+", "\K[a-z_]+' | sort -u)
told=$(sed -n '/^### Errors/,/^## /p' $doc | grep '^| [45]' | cut -d'|' -f3 | grep -oE '[a-z_]{6,}' | sort -u)
differ=$(diff <(echo "$codes") <(echo "$told") | grep '^[<>]' | tr '\n' ' ')
[ -n "$codes" ] && [ -z "$differ" ]
check "codes of errors in the sources (<) and in $doc (>): $differ" $?

finish() {
    printf '%d passed, %d failed' $passed $failed
    [ $skipped -gt 0 ] && printf ', %d skipped' $skipped
    echo
    [ $failed = 0 ]
    exit
}
models=$(tests/support/model.sh "$edgewise") && command -v curl >/dev/null ||
    { echo "skipped: no smollm2-135m, or no curl" && skipped=1 && finish; }
here=$(mktemp -d)
trap 'kill $server 2>/dev/null; wait; rm -rf "$here"' EXIT
"$edgewise" serve "$models/smollm2-135m.gguf" --port 0 --ctx 1024 --ledger "$here/ledger.db" 2>"$here/log" &
server=$!
for _ in $(seq 600); do
    url=$(grep -oE 'http://[0-9.:]+' "$here/log") && break
    kill -0 $server 2>/dev/null || break
    sleep .1
done
shown() { sed -n "/^    $1/,/^\$/p" $doc | sed "s/^    //; s|http://127.0.0.1:8080|$url|"; }
bash -c "$(shown 'curl http')" 2>/dev/null | grep -q '"finish_reason":"[a-z]*"'
check "the curl line of OpenAI's wire is answered" $?
bash -c "$(shown 'curl -N')" 2>/dev/null | tail -1 | grep -q '"done":true.*"ttft_ms":[0-9]'
check "the curl line of Ollama's wire is answered" $?

python=${EDGEWISE_COMPAT:-${XDG_CACHE_HOME:-$HOME/.cache}/edgewise/compat}/bin/python
for name in openai ollama; do
    if ! "$python" -c "import $name" 2>/dev/null; then
        echo "skipped: the $name client isn't at $python" && skipped=$((skipped + 1))
        continue
    fi
    # Long answers are no better a test than short ones.
    shown "import $name" | sed 's/stream=True,/stream=True, max_tokens=5,/
        s/}\])\./}], options={"num_predict": 5})./' >"$here/$name.example"
    said=$("$python" - <"$here/$name.example" 2>&1)
    check "the example of the $name client fails: $said" $?
    [ -n "$said" ]
    check "the example of the $name client says something" $?
done
finish
