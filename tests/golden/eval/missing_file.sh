. "$REPO/tests/support/golden_model.sh"
edgewise eval perplexity smollm2-135m --file missing.txt
