#!/bin/bash
# demo.sh - from nothing to an answered question, with what it cost here and would cost in a cloud.
#
#     tools/demo.sh EDGEWISE
#
# The question is of gsm8k's test set where $EDGEWISE_DATA (or ../shared/data) has it, else one of
# twenty of our own in data/questions.jsonl. These choose otherwise:
#     DEMO_QUESTION=N   the Nth of them            DEMO_MODEL=NAME    another model of the catalog
#     DEMO_CLOUD=NAME   another row of data/prices.csv
#     DEMO_PROFILE=NAME the device whose watts are taken for this one's, or "none"
# It ends with a front: three devices, and a stand-in for a cloud, under three selections.
set -eu
cd "$(dirname "$0")/.."
edgewise=${1:-build/release/edgewise}
model=${DEMO_MODEL:-smollm2-135m}
cloud=${DEMO_CLOUD:-openai/gpt-5.4-mini}
number=${DEMO_QUESTION:-2}

if [ -n "${EDGEWISE_DATA-}" ] && [ -r "$EDGEWISE_DATA/gsm8k/test.jsonl" ]; then
    questions=$EDGEWISE_DATA/gsm8k/test.jsonl
elif [ -r ../shared/data/gsm8k/test.jsonl ]; then
    questions=../shared/data/gsm8k/test.jsonl
else
    questions=data/questions.jsonl
fi

# Prints one part of the Nth question: its text, or the number behind "####".
part() { # question | answer
    python3 -c '
import json, sys
lines = [line for line in open(sys.argv[1], encoding="utf-8") if line.strip()]
row = json.loads(lines[int(sys.argv[2]) - 1])
text = row[sys.argv[3]]
print(text if sys.argv[3] == "question" else text.rsplit("####", 1)[1].strip())' \
        "$questions" "$number" "$1"
}

count=$(grep -c . "$questions")
case $number in
'' | *[!0-9]*) number=0 ;;
esac
if [ "$number" -lt 1 ] || [ "$number" -gt "$count" ]; then
    echo "demo: DEMO_QUESTION is a number from 1 to $count" >&2
    exit 2
fi

# No sensor is read yet. So that the table has joules, the watts of a profile stand in for this
# machine's; the table says whose they are. Two shared vCPUs where this is a virtual machine, a
# small PC where it isn't.
if grep -q '^flags.* hypervisor' /proc/cpuinfo 2>/dev/null; then
    profile="cloud-vm-2core"
else
    profile=n150
fi
profile=${DEMO_PROFILE:-$profile}
energy=(--profile "$profile")
[ "$profile" = none ] && energy=()

"$edgewise" pull "$model"
question=$(part question)
printf '\nQuestion %s of %s:\n%s\n\n%s says:\n' "$number" "$questions" "$question" "$model"
"$edgewise" run "$model" "$question" --max-tokens 400 "${energy[@]}" --compare "$cloud"
printf '\nThe right answer is %s; a model this small seldom finds it.\n' "$(part answer)"

# The server as a client meets it: started, asked once by curl, its account shown, stopped. The
# request is the text that is shown, so that it works where the reader pastes it, too.
request() { # URL
    cat <<END
  curl $1/v1/chat/completions -H 'Content-Type: application/json' \\
    -d '{"model": "$model", "max_tokens": 60,
         "messages": [{"role": "user", "content": "Say hello."}]}'
END
}

serve() {
    local log=$work/log url
    : >"$log"
    "$edgewise" serve "$model" --port 0 --ledger "$work/ledger.db" "${energy[@]}" 2>"$log" &
    server=$!
    until url=$(grep -o 'http://[^ ]*:[0-9]*' "$log"); do
        if ! kill -0 $server 2>/dev/null; then
            cat "$log" >&2
            return 1
        fi
        sleep 0.05
    done
    printf '\nThe same model behind `edgewise serve`, asked by\n'
    request "$url"
    eval "$(request "$url") -sS --fail-with-body --max-time 120" >"$work/body"
    python3 -c '
import json, sys, textwrap
answer = json.load(open(sys.argv[1], encoding="utf-8"))
account = ", ".join(f"{k} {json.dumps(v)}" for k, v in answer["usage"].items()
                    if not isinstance(v, dict))
print("It says:", answer["choices"][0]["message"]["content"].strip())
print(textwrap.fill("Its account, which comes with it: " + account, 100))' "$work/body"
    kill -TERM $server
    wait $server
    server=
    printf 'Its row in the ledger, as `edgewise ledger` shows it:\n'
    "$edgewise" ledger --db "$work/ledger.db"
}

work=$(mktemp -d) server=
trap '[ -z "$server" ] || kill $server; rm -rf "$work"' EXIT
serve

printf '\nNow a front with three devices and a cloud, under a burst of questions.\n\n'
tools/demo_front.py "$edgewise" "$model" --questions "$questions" --price "$cloud"
cat <<END

What to try next (edgewise is $edgewise until you \`make install\`):
  make demo DEMO_QUESTION=7                     another question
  edgewise run $model                     a conversation; ^C stops an answer, ^D ends it
  edgewise bench $model                   how fast this device is, and which share of its limit
  edgewise pull qwen2.5-coder-0.5b              a model that is right more often (491 MB)
  edgewise pcr --paper --sweep                  the metric behind the last row
  make check                                    all tests;  make peers: beside llama.cpp
  edgewise ledger                               what was served, to whom, at which cost
  edgewise serve --config edgewise.yaml         a front; docs/SERVE.md has an example
And the server, at http://127.0.0.1:8080 until ^C:
  $edgewise serve $model
which this asks:
$(request http://127.0.0.1:8080)
END
