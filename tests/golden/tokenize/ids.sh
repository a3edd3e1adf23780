. "$REPO/tests/support/golden_model.sh"
printf 'Hello, world! 1234 <|im_end|>' | edgewise tokenize --ids --special smollm2-135m
