#!/bin/bash
# run.sh - runs every test there is, JOBS at a time, and counts.
#
#     tests/run.sh BUILD_DIR TEST_BINARY...    all; the last line is "N passed, N failed"
#     tests/run.sh --bless BUILD_DIR           rewrites the golden files from what the program says
#     tests/run.sh --one BUILD_DIR KIND PATH   one job: what the first form runs in parallel
#
# A job is a test binary of cmocka (each of its tests counts), a script, or a golden test. A script
# counts as one, or as what its last line "N passed, N failed" or its TAP lines say; exit status 77
# is a skip, and its last line the reason. What ends by a signal, runs out of time, or runs no test
# has failed.
# TEST_TIMEOUT and FETCH_TIMEOUT are in seconds; what takes longer than the first one hangs.
set -u
export LC_ALL=C.UTF-8
: "${JOBS:=2}" "${MODE:=release}" "${TEST_TIMEOUT:=900}" "${FETCH_TIMEOUT:=240}"
export MODE JOBS TEST_TIMEOUT

# What a log says of a failure: first the lines that tell of one, each with what stands around it,
# so that no length of what follows them hides them; then the end.
show_failed() { # LOG
    local log=$1.failed
    grep -av '^\[       OK \]\|^\[ RUN ' "$1" >"$log"
    if [ "$(wc -l <"$log")" -gt 60 ]; then
        grep -aE -B2 -A8 '^(FAIL|not ok|\[  FAILED)|^ *(FAIL|ERROR)\b|Sanitizer|runtime error:' "$log" |
            head -n 120
        echo "... and at the end:"
    fi
    tail -n 60 "$log"
}

# Writes "passed failed skipped" beside the log and shows the log of what wasn't a plain success.
finish() { # NAME LOG PASSED FAILED SKIPPED
    echo "$3 $4 $5" >"$2.count"
    local word=ok
    [ "$5" -gt 0 ] && word=skip
    [ "$4" -gt 0 ] && word=FAIL
    {
        printf '  %-5s %s (%d passed' $word "$1" "$3"
        [ "$4" -gt 0 ] && printf ', %d failed' "$4"
        [ "$5" -gt 0 ] && printf ', %d skipped' "$5"
        echo ")"
        if [ "$4" -gt 0 ]; then
            show_failed "$2" | sed 's/^/        /'
        elif [ "$5" -gt 0 ]; then
            cat "$2.skips"
        fi
    } >"$2.report"
    cat "$2.report" # one write, so that parallel jobs don't mix their lines
}

said_why() { # STATUS: a sentence for an exit status
    case $1 in
    124) echo "ran longer than $TEST_TIMEOUT s" ;;
    *) [ "$1" -gt 128 ] && echo "died of signal $(($1 - 128))" || echo "ended with status $1" ;;
    esac
}

run_cmocka() { # NAME BINARY LOG
    timeout "$TEST_TIMEOUT" "$2" >"$3" 2>&1 </dev/null
    local status=$?
    local passed failed skipped
    passed=$(grep -ac '^\[       OK \] ' "$3")
    failed=$(grep -a '^\[  FAILED  \] ' "$3" | grep -avc 'test(s)')
    skipped=$(grep -a '^\[  SKIPPED \] ' "$3" | grep -avc 'test(s)')
    # cmocka repeats failed and skipped names in its summary.
    local summary
    summary=$(grep -an '^\[==========\] .*test(s) run' "$3" | head -1 | cut -d: -f1)
    if [ -n "$summary" ]; then
        failed=$(head -n "$summary" "$3" | grep -ac '^\[  FAILED  \] ')
        skipped=$(head -n "$summary" "$3" | grep -ac '^\[  SKIPPED \] ')
    fi
    # The reason is what the test said between RUN and SKIPPED.
    awk '/^\[ RUN /{why=""; next} /test\(s\) run/{exit}
         /^\[  SKIPPED \] /{sub(/^\[  SKIPPED \] /,""); print "        " $0 ": " (why ? why : "no reason given"); next}
         {why=$0}' "$3" >"$3.skips"
    if [ $status != 0 ] && [ "$failed" = 0 ]; then
        local last
        last=$(grep -a '^\[ RUN ' "$3" | tail -1 | sed 's/.*\] //')
        echo "$(said_why $status), last in ${last:-no test}" >>"$3"
        failed=1
    elif [ $((passed + failed + skipped)) = 0 ]; then
        echo "ran no test" >>"$3"
        failed=1
    fi
    finish "$1" "$3" "$passed" "$failed" "$skipped"
}

run_script() { # NAME COMMAND LOG
    timeout "$TEST_TIMEOUT" $2 >"$3" 2>&1 </dev/null
    local status=$? counts passed failed skipped
    counts=$(tail -n 1 "$3" | grep -aoE '^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$')
    if [ $status = 77 ]; then
        passed=0 failed=0 skipped=1
        echo "        $1: $(tail -n 1 "$3")" >"$3.skips"
    elif [ -n "$counts" ]; then
        read -r passed _ failed _ skipped _ <<<"$counts"
        skipped=${skipped:-0}
        grep -ai 'skip' "$3" | sed 's/^/        /' >"$3.skips"
        [ $status != 0 ] && [ "$failed" = 0 ] && failed=1 && said_why $status >>"$3"
    elif grep -aqE '^(not )?ok [0-9]' "$3"; then # the Test Anything Protocol
        skipped=$(grep -acE '^ok [0-9].*# SKIP' "$3")
        passed=$(($(grep -acE '^ok [0-9]' "$3") - skipped))
        failed=$(grep -acE '^not ok [0-9]' "$3")
        grep -aE '^ok [0-9].*# SKIP' "$3" | sed 's/^/        /' >"$3.skips"
        [ $status != 0 ] && [ "$failed" = 0 ] && failed=1 && said_why $status >>"$3"
    elif [ $status = 0 ]; then
        passed=1 failed=0 skipped=0
    else
        passed=0 failed=1 skipped=0
        said_why $status >>"$3"
    fi
    finish "$1" "$3" "$passed" "$failed" "$skipped"
}

# A golden test is a shell script run in an empty folder; beside it lie .out (exact; none: nothing
# may be printed), .err (a glob over all of stderr; none: nothing) and .exit (none: 0). It sees
# `edgewise` in PATH and the repository in $REPO; its caches are in the empty folder, too, and models
# for tests in $MODELS (tests/support/golden_model.sh).
golden_run() { # SCRIPT OUT_PREFIX BUILD_DIR
    local here
    here=$(mktemp -d) || return 1
    (
        cd "$here" || exit 1
        export REPO PATH="$REPO/$3:$PATH" HOME="$here" NO_COLOR=1 COLUMNS=80 TERM=dumb
        unset XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME EDGEWISE_CACHE
        timeout "$TEST_TIMEOUT" sh "$REPO/$1" >"$REPO/$2.got.out" 2>"$REPO/$2.got.err" </dev/null
        echo $? >"$REPO/$2.got.exit"
    )
    rm -rf "$here"
}

run_golden() { # NAME SCRIPT LOG BUILD_DIR
    local base=${2%.sh} wanted
    golden_run "$2" "$3" "$4"
    : >"$3"
    if [ "$(cat "$3.got.exit")" = 77 ]; then
        echo "        $1: $(tail -n 1 "$3.got.err")" >"$3.skips"
        finish "$1" "$3" 0 0 1
        return
    fi
    [ -f "$base.out" ] || : >"$3.none"
    diff -u "$([ -f "$base.out" ] && echo "$base.out" || echo "$3.none")" "$3.got.out" >>"$3"
    wanted=$([ -f "$base.err" ] && cat "$base.err")
    # shellcheck disable=SC2053 # the right side is a glob on purpose
    [[ $(cat "$3.got.err") == $wanted ]] ||
        printf 'stderr was:\n%s\nwanted:\n%s\n' "$(cat "$3.got.err")" "$wanted" >>"$3"
    wanted=$([ -f "$base.exit" ] && cat "$base.exit" || echo 0)
    [ "$(cat "$3.got.exit")" = "$wanted" ] ||
        echo "exit status $(cat "$3.got.exit"), wanted $wanted" >>"$3"
    [ -s "$3" ] && finish "$1" "$3" 0 1 0 || finish "$1" "$3" 1 0 0
}

bless() { # BUILD_DIR
    local log=$1/check/bless script base
    mkdir -p "$1/check"
    for script in tests/golden/*/*.sh; do
        base=${script%.sh}
        golden_run "$script" "$log" "$1"
        [ "$(cat "$log.got.exit")" = 77 ] && echo "  skip  $script" && continue
        rm -f "$base.exit"
        [ -s "$log.got.out" ] && cp "$log.got.out" "$base.out" || rm -f "$base.out"
        [ "$(cat "$log.got.exit")" = 0 ] || cp "$log.got.exit" "$base.exit"
        # shellcheck disable=SC2053
        if [ ! -s "$log.got.err" ]; then
            rm -f "$base.err"
        elif ! [[ -f $base.err && $(cat "$log.got.err") == $(cat "$base.err") ]]; then
            sed 's/[][*?\\]/\\&/g' "$log.got.err" >"$base.err"
        fi
    done
    git status --short tests/golden
}

REPO=$(pwd)
MODELS=$(realpath -m "${EDGEWISE_TEST_MODELS:-${XDG_CACHE_HOME:-$HOME/.cache}/edgewise/models}")
export REPO MODELS
case ${1-} in
--bless)
    bless "$2"
    exit
    ;;
--one)
    name=${4#"$2"/}
    name=${name#tests/}
    log=$2/check/$(echo "$name" | tr '/ ' '__')
    case $3 in
    cmocka) run_cmocka "$name" "$4" "$log" ;;
    script) run_script "$name" "$4" "$log" ;;
    golden) run_golden "$name" "$4" "$log" "$2" ;;
    esac
    exit 0
    ;;
esac

# Tests of real models use the default one; it is fetched once. Without it they are skipped.
fetch_model() {
    local models=${EDGEWISE_TEST_MODELS:-${XDG_CACHE_HOME:-$HOME/.cache}/edgewise/models}
    [ -f "$models/smollm2-135m.gguf" ] && return
    [ -n "${EDGEWISE_TEST_MODELS-}" ] || timeout "$FETCH_TIMEOUT" "$1/edgewise" pull smollm2-135m ||
        echo "  no model could be fetched: what needs smollm2-135m is skipped"
}

build=$1
shift
fetch_model "$build"
rm -rf "$build/check"
mkdir -p "$build/check"
{
    for script in tests/reference/*.sh; do
        [ -f "$script" ] && echo "script $script"
    done
    echo "script build/tools/tidy"
    echo "script tests/format.sh"
    echo "script tests/headers.sh"
    for script in tests/*/test_*.sh; do
        [ -f "$script" ] && echo "script $script"
    done
    for binary in "$@"; do
        case $binary in
        */kcheck) echo "script $binary" ;;
        *) echo "cmocka $binary" ;;
        esac
    done
    for script in tests/golden/*/*.sh; do
        [ -f "$script" ] && echo "golden $script"
    done
} >"$build/check/jobs"
start=$SECONDS
xargs -P "$JOBS" -L 1 "$0" --one "$build" <"$build/check/jobs"
# A job without a count was lost, and what is lost has failed.
cat "$build"/check/*.count | awk -v jobs="$(wc -l <"$build/check/jobs")" -v s=$((SECONDS - start)) '
    { passed += $1; failed += $2; skipped += $3 }
    END { failed += jobs - NR
          printf "%d jobs in %d s\n%d passed, %d failed", jobs, s, passed, failed
          if (skipped) printf ", %d skipped", skipped
          print ""
          exit failed > 0 }'
