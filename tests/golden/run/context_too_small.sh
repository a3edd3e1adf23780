. "$REPO/tests/support/golden_model.sh"
edgewise run smollm2-135m --ctx 16 "This question and the template around it are longer than that."
