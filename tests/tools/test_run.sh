#!/bin/bash
# test_run.sh - the runner of all tests counts rightly: what passes, fails, is skipped, crashes,
# hangs, lies, or is lost.
run=$PWD/tests/run.sh
here=$(mktemp -d) && trap 'rm -rf "$here"' EXIT
passed=0 failed=0
mkdir -p "$here"/{build/tools,tests/reference,tests/unit,tests/golden/topic,b}
cd "$here" || exit 1
printf '#!/bin/sh\nexit 0\n' | tee build/tools/tidy tests/format.sh tests/headers.sh >b/edgewise
chmod +x build/tools/tidy tests/*.sh b/edgewise

expect() { # WHAT LAST_LINE STATUS [TEXT]: runs binaries b/test_* and scripts, then clears them away
    local said status
    said=$(EDGEWISE_TEST_MODELS=$here TEST_TIMEOUT=1 MODE=release "$run" b b/test_* 2>&1)
    status=$?
    if [ "$(tail -n 1 <<<"$said")" = "$2" ] && [ $status = "$3" ] && grep -qF "${4-}" <<<"$said"; then
        passed=$((passed + 1))
    else
        printf '%s: wanted "%s", status %s, "%s"; got status %s and:\n%s\n' "$1" "$2" "$3" "${4-}" $status "$said"
        failed=$((failed + 1))
    fi
    rm -rf b/test_* tests/reference/* tests/golden/topic/*
}

binary() { # NAME SHELL: stands in for a cmocka binary
    printf '#!/bin/bash\n%s\n' "$2" >"b/$1"
    chmod +x "b/$1"
}

ok='echo "[ RUN      ] t"; echo "[       OK ] t"'
bad='echo "[ RUN      ] t"; echo "[  FAILED  ] t"'
end='echo "[==========] 1 test(s) run."'

binary test_a "$ok; $ok; $end" && expect "two tests of one binary" "5 passed, 0 failed" 0
binary test_a "$ok; $bad; $end; echo '[  FAILED  ] 1 test(s), listed below:'; echo '[  FAILED  ] t'; exit 1" &&
    expect "a failure counts once" "4 passed, 1 failed" 1 "[  FAILED  ] t"
binary test_a "$ok; echo '[ RUN      ] u'; echo no model; echo '[  SKIPPED ] u'; $end" &&
    expect "a skip tells its reason" "4 passed, 0 failed, 1 skipped" 0 "u: no model"
binary test_a "$ok; echo '[ RUN      ] u'; kill -SEGV \$\$" &&
    expect "a crash" "4 passed, 1 failed" 1 "died of signal 11, last in u"
binary test_a "$ok; $end; exit 23" && expect "a bad end after good tests" "4 passed, 1 failed" 1 "ended with status 23"
binary test_a "$ok; sleep 5" && expect "a hang" "4 passed, 1 failed" 1 "ran longer than 1 s"
binary test_a "true" && expect "no test at all" "3 passed, 1 failed" 1 "ran no test"
binary test_a "$ok; $end" && binary test_b "$bad; $end; exit 1" && expect "two binaries" "4 passed, 1 failed" 1

script() { binary ../tests/reference/x.sh "$1" && binary test_a "$ok; $end"; }
script "true" && expect "a script is one test" "5 passed, 0 failed" 0
script "echo 7 passed, 0 failed" && expect "a script that counts" "11 passed, 0 failed" 0
script "echo 7 passed, 2 failed, 1 skipped; exit 1" && expect "its failures" "11 passed, 2 failed, 1 skipped" 1
script "echo 7 passed, 0 failed; exit 1" && expect "a script whose status tells otherwise" "11 passed, 1 failed" 1
script "echo; echo no numpy; exit 77" && expect "a script skipped" "4 passed, 0 failed, 1 skipped" 0 "no numpy"
script "echo oh; exit 3" && expect "a script that fails" "4 passed, 1 failed" 1 "oh"
script "echo ok 1 - a; echo not ok 2 - b; echo 'ok 3 - c # SKIP no CPU'; exit 1" &&
    expect "TAP" "5 passed, 1 failed, 1 skipped" 1 "no CPU"

golden() { # SHELL OUT ERR EXIT; "-" leaves the file out
    echo "$1" >tests/golden/topic/g.sh
    [ "$2" = - ] || echo "$2" >tests/golden/topic/g.out
    [ "$3" = - ] || echo "$3" >tests/golden/topic/g.err
    [ "$4" = - ] || echo "$4" >tests/golden/topic/g.exit
    binary test_a "$ok; $end"
}
golden "true" - - - && expect "golden: nothing" "5 passed, 0 failed" 0
golden "echo a; echo 12 ms >&2; exit 2" a "* ms" 2 && expect "golden: all three" "5 passed, 0 failed" 0
golden "echo a" b - - && expect "golden: other words" "4 passed, 1 failed" 1 "+a"
golden "echo a" - - - && expect "golden: words where none were" "4 passed, 1 failed" 1 "+a"
golden "echo a >&2" - - - && expect "golden: unexpected stderr" "4 passed, 1 failed" 1 "stderr was"
golden "exit 1" - - - && expect "golden: another status" "4 passed, 1 failed" 1 "exit status 1, wanted 0"
golden "echo no model >&2; exit 77" - - - && expect "golden: skipped" "4 passed, 0 failed, 1 skipped" 0 "no model"
golden "kill -9 \$\$" - - - && expect "golden: a crash" "4 passed, 1 failed" 1

git init -q . && golden "echo '[new]'; echo '[why] 3 ms' >&2; exit 3" old old 0 &&
    MODE=release "$run" --bless b >/dev/null && [ "$(cat tests/golden/topic/g.out)" = "[new]" ] &&
    expect "golden: blessed" "5 passed, 0 failed" 0
golden "echo a; echo 12 ms >&2" old "* ms" - && MODE=release "$run" --bless b >/dev/null &&
    [ "$(cat tests/golden/topic/g.err)" = "* ms" ] && expect "golden: a glob that fits stays" "5 passed, 0 failed" 0

[ $((passed + failed)) = 25 ] || { echo "a case was lost on the way" && failed=$((failed + 1)); }
echo "$passed passed, $failed failed"
[ $failed = 0 ]
