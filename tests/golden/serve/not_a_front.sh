edgewise serve smollm2-135m --join front.example --token ewj1.pi.0.0.0
