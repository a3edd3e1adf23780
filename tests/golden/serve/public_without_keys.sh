edgewise serve smollm2-135m --listen 0.0.0.0 --check
