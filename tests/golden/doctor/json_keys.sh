# What a machine has differs; that it is said, doesn't.
edgewise doctor --quick --json | grep -o '^  "[a-z_0-9]*"'
