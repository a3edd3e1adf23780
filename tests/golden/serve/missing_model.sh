edgewise serve no-such-model --check
