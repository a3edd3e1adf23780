printf 'once upon a time there was a text' >story.gguf
edgewise run ./story.gguf "Hi"
