edgewise run --help
