#!/bin/bash
# peers.sh - fetches and builds what edgewise is measured against, and measures both side by side.
#
#     tools/peers.sh EDGEWISE [OPTIONS OF peers.py]
#
# llama.cpp is the one inside the source package of llama-cpp-python, built for this machine
# (-march=native, OpenMP) in ${XDG_CACHE_HOME:-~/.cache}/edgewise/peers, once. There lie nginx, too,
# unpacked from Debian's package without being installed, and LiteLLM, in an environment of its own.
#     EDGEWISE_PEERS_LLAMA=DIR   a folder of built programs (…/llama.cpp/build/bin) instead
#     EDGEWISE_TEST_MODELS=DIR   a folder of the three models instead of what `edgewise pull` has
#     ONLY=engine, serve or front  one part: the programs beside llama.cpp (peers.py), the servers
#                                  (peers_serve.py), the front beside nginx and LiteLLM (peers_front.py)
#     SERVE='OPTIONS'              for peers_serve.py, such as '--rounds 5 --doc docs/PEERS.md'
#     FRONT='OPTIONS'              for peers_front.py, likewise
#     TOKENS=1     token ids, too: tools/compare_tokenizer.py
#     QUALITY=1    perplexity and divergence, too (needs numpy, takes long): tools/quality.py
set -eu
cd "$(dirname "$0")/.."
edgewise=$(realpath "${1:-build/release/edgewise}")
[ $# -gt 0 ] && shift
VERSION=0.3.36 # of llama-cpp-python; other versions may name their options otherwise
LITELLM=1.106.12
TARGETS=(llama-bench llama-completion llama-tokenize llama-perplexity llama-server)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/edgewise
peers=$cache/peers

say() {
    echo "peers: $*" >&2
}

need() { # COMMAND PACKAGE
    command -v "$1" >/dev/null && return
    say "installing $2"
    local as=
    [ "$(id -u)" = 0 ] || as=sudo
    DEBIAN_FRONTEND=noninteractive $as apt-get -qq install -y --no-install-recommends "$2" >&2
}

fetch_source() { # into $peers
    local tar=$peers/llama_cpp_python-$VERSION.tar.gz
    [ -d "$source" ] && return
    need pip3 python3-pip
    mkdir -p "$peers"
    if [ ! -f "$tar" ]; then
        say "downloading llama-cpp-python $VERSION"
        pip3 download -q --no-deps --no-binary llama-cpp-python -d "$peers/part" \
            "llama-cpp-python==$VERSION" >&2
        mv "$peers/part/"llama_cpp_python-*.tar.gz "$tar"
    fi
    mkdir -p "$peers/unpack"
    tar -xzf "$tar" -C "$peers/unpack"
    mv "$peers/unpack/llama_cpp_python-$VERSION" "$source"
}

build() {
    local missing=() target
    for target in "${TARGETS[@]}"; do
        [ -x "$llama/$target" ] || missing+=("$target")
    done
    [ ${#missing[@]} = 0 ] && return
    need cmake cmake
    need g++ g++
    say "building ${missing[*]} (minutes, once)"
    local root=$source/vendor/llama.cpp
    if ! cmake -S "$root" -B "$root/build" -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON \
        -DGGML_NATIVE=ON -DLLAMA_CURL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF \
        -DLLAMA_BUILD_SERVER=ON -DLLAMA_BUILD_UI=OFF >"$peers/build.log" 2>&1 ||
        ! cmake --build "$root/build" -j "$(nproc)" --target "${missing[@]}" \
            >>"$peers/build.log" 2>&1; then
        tail -n 20 "$peers/build.log" >&2
        exit 1
    fi
}

find_nginx() { # into $nginx; an installed one would want to serve port 80
    nginx=$(PATH=$PATH:/usr/sbin command -v nginx) && return
    nginx=$peers/nginx/usr/sbin/nginx
    [ -x "$nginx" ] && return
    say "downloading nginx"
    mkdir -p "$peers/nginx"
    (cd "$peers/nginx" && apt-get -qq download nginx && dpkg -x nginx_*.deb .) >&2
}

find_litellm() { # into $litellm
    local venv=$peers/litellm-$LITELLM
    litellm=$venv/bin/litellm
    [ -e "$venv/complete" ] && return
    say "installing LiteLLM $LITELLM (a minute, 600 MB, once)"
    python3 -c 'import ensurepip' 2>/dev/null || need ensurepip python3-venv
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q "litellm[proxy]==$LITELLM" >&2
    touch "$venv/complete"
}

measure_front() {
    need wrk wrk
    find_nginx
    find_litellm
    local options
    read -ra options <<<"${FRONT-}"
    tools/peers_front.py "${options[@]}" --nginx "$nginx" --litellm "$litellm" \
        "$edgewise" build/tools/peers_stub build/tools/peers_load
}

if [ "${ONLY-}" = front ]; then
    measure_front
    exit
fi

source=$peers/llama_cpp_python-$VERSION
llama=$source/vendor/llama.cpp/build/bin
if [ -n "${EDGEWISE_PEERS_LLAMA-}" ]; then
    llama=$(realpath "$EDGEWISE_PEERS_LLAMA")
else
    fetch_source
    build
fi

models=()
for name in smollm2-135m gemma3-270m qwen2.5-coder-0.5b; do
    if [ -n "${EDGEWISE_TEST_MODELS-}" ]; then
        models+=("$EDGEWISE_TEST_MODELS/$name.gguf")
    else
        "$edgewise" pull "$name" >&2
        models+=("${EDGEWISE_CACHE:-$cache}/models/$name.gguf")
    fi
done

[ "${ONLY-}" = serve ] || tools/peers.py "$@" "$edgewise" "$llama" "${models[@]}"
if [ "${ONLY-}" = engine ]; then
    :
elif ! "$edgewise" serve --help >/dev/null 2>&1; then
    say "this edgewise has no server: llama-server isn't measured"
else
    # Gemma has no target here: two models are enough of everybody's time.
    read -ra options <<<"${SERVE-}"
    tools/peers_serve.py "${options[@]}" "$edgewise" "$llama" "${models[0]}" "${models[2]}"
fi
[ -n "${ONLY-}" ] || measure_front

checkout=$(realpath "$llama/../..")
if [ "${TOKENS-}" = 1 ]; then
    echo
    LLAMA_CPP=$checkout tools/compare_tokenizer.py "$edgewise" "${models[@]}"
fi
if [ "${QUALITY-}" = 1 ]; then
    echo
    text=$(mktemp)
    trap 'rm -f "$text"' EXIT
    questions=${EDGEWISE_DATA:-../shared/data}/gsm8k/test.jsonl
    [ -r "$questions" ] || questions=data/questions.jsonl
    python3 -c '
import json, sys
for line in open(sys.argv[1], encoding="utf-8"):
    print(json.loads(line)["question"])' "$questions" | head -c 40000 >"$text" || true
    ${MAKE:-make} --no-print-directory build/release/tests/reference/logits_driver
    tools/quality.py --edgewise "$edgewise" --text "$text" --llama "$(realpath "$checkout/../..")" \
        "${models[@]}"
fi
