edgewise run smollm2-135m "Hi"
