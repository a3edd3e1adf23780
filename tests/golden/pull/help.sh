edgewise pull --help
