# Whoever stops reading ends the program without a word, also where the signal is ignored.
trap '' PIPE
edgewise pcr --paper --sweep | true
