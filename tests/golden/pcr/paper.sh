edgewise pcr --paper --sweep
