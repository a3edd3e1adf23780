edgewise serve --help
