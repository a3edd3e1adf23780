edgewise eval --help
