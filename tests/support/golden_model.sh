# golden_model.sh - sourced by golden tests: smollm2-135m is where `edgewise` looks for it, or the
# test is skipped. $MODELS is where tests/run.sh found it.
if [ ! -s "$MODELS/smollm2-135m.gguf" ]; then
    echo "smollm2-135m isn't in $MODELS" >&2
    exit 77
fi
mkdir -p "$HOME/.cache/edgewise/models"
ln -s "$MODELS/smollm2-135m.gguf" "$HOME/.cache/edgewise/models/"
