edgewise tokenize --decode --ids x </dev/null
