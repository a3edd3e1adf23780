edgewise serve --check
