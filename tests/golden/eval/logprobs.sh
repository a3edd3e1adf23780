. "$REPO/tests/support/golden_model.sh"
echo '{"text": "The capital of France is"}' >prompts.jsonl
edgewise eval perplexity smollm2-135m --logprobs 2 prompts.jsonl |
    sed 's/\("logprob":-[0-9]*\.[0-9]\)[0-9]*/\1/g'
