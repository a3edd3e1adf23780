. "$REPO/tests/support/golden_model.sh"
edgewise run smollm2-135m "Name three colours." --max-tokens 16 --watts 5
