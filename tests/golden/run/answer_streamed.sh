. "$REPO/tests/support/golden_model.sh"
edgewise run smollm2-135m "Name three colours." --temp 0 --max-tokens 16 --watts 5
