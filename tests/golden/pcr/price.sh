edgewise pcr --quality .9 --ttft-ms 600 --price openai/gpt-5.4-mini --prompt-tokens 150 --output-tokens 200 -p "pi:.1:?:.001" --json --sweep
