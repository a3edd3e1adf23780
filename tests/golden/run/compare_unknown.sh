edgewise run no-such-model Hello --compare openai/none
