#!/bin/bash
# test_serve_doc.sh - what README.md and docs/SERVE.md show works: the configuration is taken, the
# curl lines are answered, the paths are there, the metrics are those of the page, and the front that
# can be tried on one machine answers.
edgewise=$PWD/build/${MODE:-release}/edgewise
models=$(tests/support/model.sh "$edgewise") || { echo "smollm2-135m isn't here"; exit 77; }
command -v curl >/dev/null || { echo "curl isn't here"; exit 77; }
here=$(mktemp -d)
trap 'kill $server $(cat "$here/pids" 2>/dev/null) 2>/dev/null; wait; rm -rf "$here"' EXIT
passed=0 failed=0
check() { # NAME STATUS
    if [ "$2" = 0 ]; then
        passed=$((passed + 1))
    else
        echo "failed: $1" && failed=$((failed + 1))
    fi
}
# The indented block of a file that has a line which begins so, without its indentation.
block() { # FILE START
    awk -v start="$2" '
        /^    / { text = text substr($0, 5) "\n"; if (index(substr($0, 5), start) == 1) wanted = 1; next }
        /^$/ && text { if (wanted) exit; text = ""; next }
        { if (wanted) exit; text = "" }
        END { if (wanted) printf "%s", text }' "$1"
}

hash=$("$edgewise" serve --new-key kiosk 2>&1 >/dev/null | grep -oE '[0-9a-f]{64}')
block docs/SERVE.md "listen: " | sed "s/…/$hash/; s|smollm2-135m, qwen[^]]*|$models/smollm2-135m.gguf|" >"$here/edgewise.yaml"
said=$("$edgewise" serve --config "$here/edgewise.yaml" --check 2>&1)
[ -s "$here/edgewise.yaml" ] && grep -q ': fine: http://0.0.0.0:8080' <<<"$said"
check "the configuration of SERVE.md is fine: $said" $?

mkdir "$here/house" && touch "$here/house/agx.key"
block docs/SERVE.md "clouds:" | sed "s/…\"/$hash\"/; s|smollm2-135m|$models/smollm2-135m.gguf|" >"$here/house/front.yaml"
said=$(OPENAI_API_KEY=any "$edgewise" serve --config "$here/house/front.yaml" --check 2>&1)
grep -q '^[^:]*: fine: .*asks 2 devices; 1 cloud; 1 client' <<<"$said"
check "the house's front of SERVE.md is fine: $said" $?

"$edgewise" serve "$models/smollm2-135m.gguf" --port 0 --ctx 1024 --ledger "$here/ledger.db" 2>"$here/log" &
server=$!
for _ in $(seq 600); do
    url=$(grep -oE 'http://[0-9.:]+' "$here/log") && break
    kill -0 $server 2>/dev/null || break
    sleep .1
done
[ -n "$url" ]
check "it says where it listens: $(cat "$here/log")" $?

for file in README.md docs/SERVE.md; do
    line=$(block $file "curl -N " | sed "s|http://127.0.0.1:8080|$url|")
    [ -n "$line" ] || line=$(block $file "\$ curl -N " | sed "s|^\$ ||; s|http://127.0.0.1:8080|$url|")
    # A long answer is no better a test than a short one.
    said=$(bash -c "${line/\"stream\": true,/\"stream\": true, \"max_tokens\": 5,}" 2>/dev/null)
    grep -q '"finish_reason":"length"' <<<"$said" && grep -q '^data: \[DONE\]' <<<"$said"
    check "the curl line of $file is answered: $said" $?
done

while read -r method path; do
    status=$(curl -s -o /dev/null -w '%{http_code}' -X "$method" -d '{' "$url${path/NAME/smollm2-135m}")
    # A POST of half an object is told so; anything but 404 and 405 means that the path is there.
    [ "$method $status" = "GET 200" ] || [ "$method $status" = "POST 400" ]
    check "$method $path: $status" $?
done < <(grep -oE '`(GET|POST) /[^`]*`' docs/SERVE.md | tr -d '`')

page=$(curl -s "$url/metrics" | sed -n 's/^# TYPE \([a-z_]*\) .*/\1/p' | sort)
told=$(sed -n '/^## Metrics/,/^## /p' docs/SERVE.md | grep '^|' | tail -n +3 | cut -d'|' -f2 | grep -oE '[a-z_]+' | sort)
differ=$(diff <(echo "$page") <(echo "$told") | grep '^[<>]' | tr '\n' ' ')
[ -n "$page" ] && [ -z "$differ" ]
check "the metrics of the page (<) and of SERVE.md (>): $differ" $?

kill -TERM $server
wait $server
check "it ends by SIGTERM with status 0" $?
server=
"$edgewise" ledger --db "$here/ledger.db" --csv | grep -q chat/completions
check "the answers are in the ledger" $?

# The front of one machine: its ports become free ones, and what it begins is ended.
mkdir "$here/front" && cd "$here/front" || exit 1
ports=$(python3 -c '
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*(s.getsockname()[1] for s in sockets))')
read -r one two three <<<"$ports"
as_here() { sed "s/8081/$one/; s/8082/$two/; s/8080/$three/; s/ &$/ \& echo \$! >>pids/
    s|edgewise serve smollm2-135m|$edgewise serve $models/smollm2-135m.gguf --ctx 512|
    s|^edgewise serve --config front.yaml|$edgewise serve --config front.yaml --port $three 2>log|"; }
block "$OLDPWD/docs/SERVE.md" "cat >front.yaml" | as_here >begin
bash begin >/dev/null 2>&1
cp pids "$here/pids"
for _ in $(seq 600); do
    [ "$(grep -c 'is healthy' log)" = 2 ] && break
    sleep .1
done
grep -q 'left is healthy' log && grep -q 'right is healthy' log
check "the front finds its devices healthy: $(cat log)" $?
block "$OLDPWD/docs/SERVE.md" "curl -i " | sed 's/"max_tokens": 40/"max_tokens": 5/' | as_here >ask
said=$(bash ask 2>/dev/null)
id=$(grep -oE 'req_[0-9a-f]+' <<<"$said" | head -1)
grep -qiE '^x-edgewise-device: (left|right)' <<<"$said" && grep -q '"finish_reason":"length"' <<<"$said"
check "the front's curl line is answered by a device: $said" $?
for _ in $(seq 100); do
    why=$("$edgewise" ledger --db front.db why "${id:-none}" 2>&1) && break
    sleep .1
done
grep -q "policy's selection among several" <<<"$why"
check "the ledger says why: $why" $?
cd "$OLDPWD" || exit 1
begin() { block "$1" "cat >front.yaml" | sed -n '/^cat/,$p'; }
[ "$(begin README.md)" = "$(begin docs/SERVE.md)" ]
check "README.md begins the same front" $?
echo "$passed passed, $failed failed"
[ $failed = 0 ]
