edgewise pcr --quality .91 --responsiveness .28 --cost-cents .0041 --json
