edgewise --version
