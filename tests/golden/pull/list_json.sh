edgewise pull --list --json
