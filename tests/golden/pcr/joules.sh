edgewise pcr --quality .8 --ttft-ms 2000 --r-function target --target-ms 500 --joules 245
