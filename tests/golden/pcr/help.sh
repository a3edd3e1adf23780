edgewise pcr --help
