edgewise bench smollm2-135m --prompt 0
