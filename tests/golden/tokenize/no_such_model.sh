edgewise tokenize no-such-model </dev/null
