printf 'GGUF\003\000\000\000' >cut.gguf
edgewise run ./cut.gguf "Hi"
