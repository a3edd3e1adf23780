edgewise run no-such-model Hello --profile no-such-device
