edgewise doctor --help
