edgewise --help
