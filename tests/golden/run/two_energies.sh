edgewise run smollm2-135m "Hi" --profile n150 --watts 5
