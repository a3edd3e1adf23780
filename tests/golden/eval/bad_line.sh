. "$REPO/tests/support/golden_model.sh"
printf '{"text": "Hi"}\n{"txet": "Hi"}\n' >prompts.jsonl
edgewise eval perplexity smollm2-135m --logprobs 1 prompts.jsonl >/dev/null
