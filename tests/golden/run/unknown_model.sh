edgewise run no-such-model "Hi"
