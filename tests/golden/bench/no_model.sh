edgewise bench
