/* sampler.h - logits to the next token.
 *
 * Order of the steps: what the grammar allows, bias, penalties, (temperature 0: arg-max, lowest id
 * on ties), top-k, temperature, top-p, min-p, draw. A sampler is what one answer keeps from token
 * to token: settings and random numbers. A desk is the working space of one thread, a few numbers
 * for each token of the vocabulary; it remembers nothing. All memory is taken at open, none per
 * token. Same seed, same logits, same tokens, on every machine. */
#ifndef EW_SAMPLER_H
#define EW_SAMPLER_H

#include "base/err.h"
#include "kernels/kernels.h"

struct ew_sampler;
struct ew_sampler_desk;

int ew_sampler_open(struct ew_sampler **gives, uint32_t vocab, struct ew_err *err);
void ew_sampler_close(struct ew_sampler **sampler);
/* Refuses values out of range by name; resets the random stream to how->seed. */
int ew_sampler_set(struct ew_sampler *sampler, const struct ew_sampling *how, struct ew_err *err);

uint64_t ew_sampler_desk_bytes(uint32_t vocab);
int ew_sampler_desk_open(struct ew_sampler_desk **gives, uint32_t vocab,
                         const struct ew_kernels *kernels, struct ew_err *err);
void ew_sampler_desk_close(struct ew_sampler_desk **desk);

/* allowed: a bit for each token, or NULL: all are. history: all tokens so far, oldest first; the
 * last penalty_last of them are looked at. logits aren't changed. */
int32_t ew_sampler_next(struct ew_sampler *sampler, struct ew_sampler_desk *desk,
                        const float *logits, const uint32_t *allowed, const int32_t *history,
                        size_t count);
/* Natural logarithms of the probabilities that the logits alone give: of `token`, and of the
 * `count` likeliest, lower id first among equals (-1 where the vocabulary has no more). */
void ew_sampler_logprobs(struct ew_sampler_desk *desk, const float *logits, int32_t token,
                         float *logprob, struct ew_token_logprob *top, uint32_t count);

#endif
