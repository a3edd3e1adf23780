edgewise bench no-such-model
