#!/bin/bash
# environment.sh - makes the virtual environment of the clients, once, and prints its Python.
#
# In $EDGEWISE_COMPAT, else in the cache; made anew when requirements.txt isn't what it was made
# from. Where PyPI can't be had it prints why instead, and the exit status is 77. Debian's
# python3-venv is installed if missing.
# It takes 1.1 GB, since lm-eval needs pandas, pyarrow and scipy (not torch), and a minute or two.
cd "$(dirname "$0")" || exit 1
env=${EDGEWISE_COMPAT:-${XDG_CACHE_HOME:-$HOME/.cache}/edgewise/compat}
wanted=$(sha256sum <requirements.txt)
up_to_date() { [ "$(cat "$env/made-from" 2>/dev/null)" = "$wanted" ]; }
say() { echo "$@" >&2; }

install_venv() {
    local as=
    [ "$(id -u)" = 0 ] || as=sudo
    say "installing python3-venv"
    $as apt-get -qq update >&2 && $as env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq install -y --no-install-recommends python3-venv >&2
}

make_it() {
    python3 -c 'import ensurepip, venv' 2>/dev/null || install_venv ||
        { echo "there is no python3-venv, and it can't be installed" && return 77; }
    say "installing the clients in $env: a minute or two, 1.1 GB"
    rm -f "$env/made-from"
    python3 -m venv --clear "$env" >&2 || return 1
    if ! "$env/bin/python" -m pip install -q --no-input --disable-pip-version-check \
        -r requirements.txt >"$env/pip.log" 2>&1; then
        cat "$env/pip.log" >&2
        # pip says "no matching version", too, when it reached nobody who could have one.
        if grep -qE 'connection broken by|Max retries exceeded|timed out' "$env/pip.log"; then
            echo "PyPI can't be had"
            return 77
        fi
        return 1
    fi
    echo "$wanted" >"$env/made-from"
}

mkdir -p "$env" || exit 1
if ! up_to_date; then
    exec 9>"$env.lock" && flock 9 # two at once would pull it from under each other
    up_to_date || make_it || exit
fi
echo "$env/bin/python"
