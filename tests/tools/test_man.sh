#!/bin/bash
# test_man.sh - the manual page has every command, and under each exactly the options of its --help.
edgewise=build/${MODE:-release}/edgewise
page=$(sed 's/\\f[A-Z]//g; s/\\-/-/g' docs/edgewise.1)
passed=0 failed=0
check() { # NAME STATUS
    if [ "$2" = 0 ]; then
        passed=$((passed + 1))
    else
        echo "failed: $1" && failed=$((failed + 1))
    fi
}
# "--name" and "-n" of a text, in order of the alphabet, --help left out.
options() {
    grep -oE -- '(^|[ ,"|;])-(-[a-z][a-z0-9-]*|[A-Za-z])([ ,"=;]|$)' | tr -d ' ,"|;=' |
        grep -vx -- '--help\|-h' | sort -u
}

commands=$("$edgewise" --help | sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
[ "$(wc -w <<<"$commands")" -ge 7 ]
check "edgewise --help lists the commands" $?
[ "$(sort <<<"$commands")" = "$(sed -n 's/^\.SS //p' <<<"$page" | sort)" ]
check "the page's commands are those of edgewise --help" $?
for command in $commands; do
    # Only what is declared: the lines behind .TP, and of --help those of its options.
    there=$(sed -n "/^\.SS $command\$/,/^\.S[SH] /p" <<<"$page" | sed '1d;$d' |
        grep -A1 '^\.TP' | grep -v '^\.TP\|^--$' | sed 's/^\.[BIR]* //; s/, / /g; s/; / /g' | tr ' ' '\n' | options)
    here=$("$edgewise" "$command" --help | sed -n '/^options:/,/^$/p' |
        grep -oE '^ +(-[A-Za-z], )?--[a-z0-9-]+' | sed 's/, / /g' | tr ' ' '\n' | options)
    differ=$(diff <(echo "$here") <(echo "$there") | tr '\n' ' ')
    [ -n "$here" ] && [ -z "$differ" ]
    check "the options of $command in --help (<) and on the page (>): $differ" $?
done
for profile in data/devices/*.yaml; do
    name=$(basename "$profile" .yaml)
    grep -qF -- "$name" <<<"$page"
    check "the profile $name is listed" $?
done
if command -v man >/dev/null && man --version >/dev/null 2>&1; then
    warnings=$(LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z docs/edgewise.1 2>&1 >/dev/null)
    [ -z "$warnings" ]
    check "man formats the page without a warning: $warnings" $?
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
