. "$REPO/tests/support/golden_model.sh"
printf 'Zürich 👋\n' | edgewise tokenize smollm2-135m
printf 'Zürich 👋\n' | edgewise tokenize --ids smollm2-135m | edgewise tokenize --decode smollm2-135m
