edgewise --help | head -n 6
