edgewise pull --list
