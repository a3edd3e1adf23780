#!/bin/sh
# model.sh - makes sure that the default model is where tests look for it, and prints the folder.
#
# EDGEWISE_TEST_MODELS where it is set, else the cache; fetched by `edgewise pull` (the first
# argument is the program). Exit status 77, and why, when it can't be had: tests that need it skip.
edgewise=${1:-build/${MODE:-release}/edgewise}
dir=${EDGEWISE_TEST_MODELS:-${XDG_CACHE_HOME:-$HOME/.cache}/edgewise/models}
if [ ! -s "$dir/smollm2-135m.gguf" ]; then
    if ! "$edgewise" pull smollm2-135m --dir "$dir" --retries 1 --timeout 20 >/dev/null; then
        echo "skipped: smollm2-135m isn't in $dir and can't be fetched" >&2
        exit 77
    fi
fi
echo "$dir"
