edgewise serve smollm2-135m --host 0.0.0.0
