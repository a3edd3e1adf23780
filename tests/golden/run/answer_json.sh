. "$REPO/tests/support/golden_model.sh"
# What isn't the same on every machine is left out: times, speeds, and the instruction set.
edgewise run smollm2-135m "Why is the sky blue?" --temp 0 --max-tokens 12 --threads 1 --json |
    grep -v '_ms"\|_per_s"\|reading_speed\|"isa"'
