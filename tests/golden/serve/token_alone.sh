edgewise serve smollm2-135m --token ewj1.pi.0.0.0 --check
