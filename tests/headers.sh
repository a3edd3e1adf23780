#!/bin/bash
# headers.sh - each header must compile alone, and twice: it names all it needs and guards itself.
# Headers of one instruction set are compiled with the flags of the widest.
passed=0 failed=0
for header in include/*.h src/*/*.h src/*/*/*.h; do
    [ -f "$header" ] || continue
    flags=
    case $header in
    */x86/*) [ "$(uname -m)" = x86_64 ] || continue
        flags="-mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni" ;;
    */arm/*) [ "$(uname -m)" = aarch64 ] || continue ;;
    esac
    path=${header#src/} path=${path#include/}
    if printf '#include "%s"\n#include "%s"\n' "$path" "$path" |
        ${CC:-gcc} -std=c17 -D_GNU_SOURCE -Iinclude -Isrc -Wall -Wextra -Werror $flags \
            -fsyntax-only -x c -; then
        passed=$((passed + 1))
    else
        echo "$header: doesn't compile alone"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
