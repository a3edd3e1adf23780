. "$REPO/tests/support/golden_model.sh"
# The label says whose watts, and that the prefill's were assumed.
edgewise run smollm2-135m "Hi" -n 4 --profile orin-nano-super-8gb --json |
    sed -n '/"energy": {/,/}/p' | sed 's/"energy_j": [0-9][0-9.]*/"energy_j": N/'
