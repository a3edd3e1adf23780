edgewise run ./missing.gguf "Hi"
