edgewise run smollm2-135m "Hi" --max-tokens many
