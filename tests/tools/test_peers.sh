#!/bin/bash
# test_peers.sh - tools/peers.py on programs of ours whose speeds are known beforehand.
cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0

expect() { # SENTENCE COMMAND...
    local sentence=$1
    shift
    if "$@" >/dev/null; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "not so: $sentence"
    fi
}

# edgewise: prefill 300, decode 50, 150 MB. tokenize: as many ids as there are words.
cat >"$dir/edgewise" <<'END'
#!/bin/sh
stats() { echo "\"$1\": {\"median\": $2}"; }
point() { echo "{$(stats prefill_tokens_per_s "$1"), $(stats decode_tokens_per_s "$2"),
    \"prefill_of_int8_peak\": 0.6, \"decode_of_read_bandwidth\": 0.5}"; }
case $1 in
tokenize) wc -w | awk '{ for (i = 1; i <= $1; i++) s = s (i > 1 ? "," : "[") i; print s "]" }' ;;
bench) echo "{\"isa\": \"fake\", \"peak_rss_bytes\": 150000000, \"int8_macs_per_s\": 1e11,
    \"kv_bytes_per_position\": 100000, \"read_bandwidth_bytes_per_s\": 1e10,
    \"sweep\": [$(point 7 50), $(point 300 9)]}" ;;
run) echo token ;;
--version) echo "edgewise 9" ;;
esac
END
# llama.cpp: prefill 100 repacked and 80 not, decode 20 and 60.
cat >"$dir/llama-bench" <<'END'
#!/bin/sh
case "$*" in *"--repack 1"*) p=100 d=20 ;; *) p=80 d=60 ;; esac
echo "[{\"n_prompt\": 512, \"avg_ts\": $p, \"build_number\": 1, \"build_commit\": \"c\"},
       {\"n_prompt\": 0, \"avg_ts\": $d, \"build_number\": 1, \"build_commit\": \"c\"}]"
END
printf '#!/bin/sh\nsleep 0.2\n' >"$dir/llama-completion"
printf '#!/bin/sh\necho no such option >&2\nexit 3\n' >"$dir/broken"
chmod +x "$dir"/*
head -c 100000 /dev/zero >"$dir/smollm2-135m.gguf"
measure() { # EDGEWISE
    tools/peers.py "$1" "$dir" "$dir/smollm2-135m.gguf" --rounds 2 --threads 2 \
        --json "$dir/out.json"
}

measure "$dir/edgewise" >"$dir/out" 2>"$dir/err"
expect "it ends well" test $? = 0
row() { # TEST PATTERN
    grep -Eq "^smollm2-135m +2 +$1 .*$2" "$dir/out"
}
expect "llama.cpp's better mode of each test counts" row prefill \
    '300.0 \(300.0-300.0\) +100.0 \(100.0-100.0\) +repacked +3.00 \(3.00-3.00\)'
expect "the better mode of decoding is another one" row decode \
    '50.0 \(50.0-50.0\) +60.0 \(60.0-60.0\) +not repacked +0.83'
expect "shares of the limit go as the speeds do" row prefill '60 / 20 '
expect "a target that is reached says yes" row prefill ' 2.5 +yes$'
expect "a target that is missed says no" row decode ' 1.2 +no$'
expect "the faster start wins" row start ' 1.0 +yes'
expect "memory above the bound says no" row '512 \+ 128' ' 150.0 .* 64.1 +73.7 +no$'
expect "two rounds are told to be too few" grep -q '^TOO FEW ROUNDS' "$dir/out"
expect "the JSON has every round" python3 -c '
import json, sys
report = json.load(open(sys.argv[1]))
assert report["rounds"] == 2 and len(report["results"]) == 3
assert [len(r) for r in report["runs"][0]["runs"].values()] == [2, 2, 2]' "$dir/out.json"

cp "$dir/broken" "$dir/llama-bench"
measure "$dir/edgewise" >"$dir/out" 2>"$dir/err"
expect "a program that fails ends it with a failure" test $? = 1
expect "its words are shown" grep -q 'no such option' "$dir/err"

echo "$passed passed, $failed failed"
[ $failed = 0 ]
