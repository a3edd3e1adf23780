. "$REPO/tests/support/golden_model.sh"
edgewise pull smollm2-135m --json | sed 's/"seconds": [0-9.e-]*/"seconds": N/; s|'"$HOME"'|HOME|'
