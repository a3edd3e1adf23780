edgewise pull
