. "$REPO/tests/support/golden_model.sh"
edgewise bench smollm2-135m --prompt 16 --gen 2 --runs 1 --threads 1 | grep '^energy'
