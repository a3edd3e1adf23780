edgewise run smollm2-135m "Hi" --temprature 1
