. "$REPO/tests/support/golden_model.sh"
edgewise eval perplexity smollm2-135m --file "$REPO/LICENSE" --ctx 64 --chunks 4 --json |
    sed 's/\("perplexity": [0-9]*\.[0-9]\)[0-9]*/\1/; s/\("stderr": [0-9]*\.[0-9]\)[0-9]*/\1/'
