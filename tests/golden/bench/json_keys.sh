. "$REPO/tests/support/golden_model.sh"
# All keys and kinds of values; no figure is the same twice.
edgewise bench smollm2-135m --prompt 16 --gen 4 --runs 1 --threads 1 --watts 5 --streams 2 --json |
    sed 's/: -\{0,1\}[0-9][0-9.e+-]*/: N/; s/: \(true\|false\)/: BOOL/; s/"isa": ".*"/"isa": TEXT/'
