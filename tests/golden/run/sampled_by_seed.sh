. "$REPO/tests/support/golden_model.sh"
sample() { edgewise run smollm2-135m "Tell me a story." --temp 0.9 --top-k 40 -n 12 -q "$@"; }
[ "$(sample --seed 7)" = "$(sample --seed 7 --threads 1)" ] && echo "same seed, same answer"
[ "$(sample --seed 7)" = "$(sample --seed 8)" ] || echo "another seed, another answer"
