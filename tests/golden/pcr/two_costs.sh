edgewise pcr --quality .8 --joules 5 --cost-cents 1
