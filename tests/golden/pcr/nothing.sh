edgewise pcr
