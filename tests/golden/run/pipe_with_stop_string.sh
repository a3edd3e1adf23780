. "$REPO/tests/support/golden_model.sh"
printf 'One, two, three,' | edgewise run smollm2-135m --raw --temp 0 --stop ' eight' --max-tokens 24 --quiet
