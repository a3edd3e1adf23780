/* perplexity.h - how surprised a model is by a text, and what it expects to come next.
 *
 * Perplexity in the convention of llama.cpp's llama-perplexity, so that figures compare: the text
 * is tokenised whole, cut into chunks of ctx tokens (the rest is left out), each chunk starts
 * afresh, with BOS in place of its first token where the model adds one, and the tokens of its
 * second half are scored: exp(mean of -ln p). */
#ifndef EW_PERPLEXITY_H
#define EW_PERPLEXITY_H

#include "edgewise.h"

struct ew_perplexity {
    double perplexity, stderr_; /* stderr_: perplexity x standard error of the mean of -ln p */
    uint64_t tokens_scored, chunks;
};

/* progress: called after each chunk with chunks done and in all; may be NULL. */
int ew_perplexity_measure(struct ew_perplexity *out, struct ew_model *model, const int32_t *tokens,
                          size_t count, uint32_t ctx, uint64_t chunks_max,
                          void (*progress)(void *user, uint64_t done, uint64_t all), void *user,
                          struct ew_err *err);

struct ew_logprob {
    int32_t token;
    double logprob; /* natural */
};
/* The k likeliest tokens of logits[vocab], likeliest first, ties by id. */
void ew_logprob_top(const float *logits, uint32_t vocab, struct ew_logprob *top, int k);
/* ln p of one token. */
double ew_logprob_of(const float *logits, uint32_t vocab, int32_t token);

#endif
