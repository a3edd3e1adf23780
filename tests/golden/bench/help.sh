edgewise bench --help
