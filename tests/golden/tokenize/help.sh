edgewise tokenize --help
