#!/bin/bash
# test_usage_example.sh - the example in include/edgewise.h runs as it stands there, and the library
# needs nothing but libc, libm and pthread (the Makefile links all of it with no others).
build=build/${MODE:-release}
example=$build/tests/usage_example
passed=0 failed=0 skipped=0
check() { # NAME STATUS
    if [ "$2" = 0 ]; then
        passed=$((passed + 1))
    else
        echo "failed: $1" && failed=$((failed + 1))
    fi
}

lines=$(sed -n '/^ \*     struct ew_err err/,/^ \*$/p' include/edgewise.h | sed '$d' | wc -l)
[ "$lines" -ge 10 ] && [ "$lines" -le 20 ]
check "the example has at most 20 lines (it has $lines)" $?

needed=$(LC_ALL=C objdump -p "$example" | awk '/NEEDED/ { print $2 }' |
    grep -v '^lib\(c\|m\|pthread\|asan\|ubsan\|tsan\|gcc_s\)\.so\|^ld-linux')
[ -z "$needed" ]
check "the library needs libc, libm and pthread alone, not $needed" $?

"$example" /nonexistent.gguf Hello 2>"$build/tests/usage_example.err"
[ $? = 1 ] && grep -q /nonexistent.gguf "$build/tests/usage_example.err"
check "a file that isn't there is told by name, and the status is 1" $?

model=${EDGEWISE_TEST_MODELS:-${XDG_CACHE_HOME:-$HOME/.cache}/edgewise/models}/smollm2-135m.gguf
if [ -s "$model" ]; then
    # Eight tokens of an answer that would go on; then it meets a closed pipe.
    wanted=$("$build/edgewise" run "$model" --raw --temp 0 -n 8 -q "The capital of France is")
    got=$("$example" "$model" "The capital of France is" | head -c ${#wanted})
    [ -n "$wanted" ] && [ "$got" = "$wanted" ]
    check "it answers '$wanted', as edgewise run does, not '$got'" $?
else
    echo "skipped: no $model to run it on" && skipped=1
fi
printf '%d passed, %d failed' $passed $failed
[ $skipped -gt 0 ] && printf ', %d skipped' $skipped
echo
[ $failed = 0 ]
