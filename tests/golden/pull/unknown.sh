edgewise pull nobody
