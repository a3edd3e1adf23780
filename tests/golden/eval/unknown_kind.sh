edgewise eval gsm9k smollm2-135m
