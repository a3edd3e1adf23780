edgewise doctor --threads 0
