edgewise eval perplexity smollm2-135m
