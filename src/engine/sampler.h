/* sampler.h - logits to the next token.
 *
 * Order of the steps: bias, penalties, (temperature 0: arg-max, lowest id on ties), top-k,
 * temperature, top-p, min-p, draw. One sampler per session; all memory is taken at open, none per
 * token. Same seed, same logits, same tokens, on every machine. */
#ifndef EW_SAMPLER_H
#define EW_SAMPLER_H

#include "base/err.h"

struct ew_sampler;

int ew_sampler_open(struct ew_sampler **gives, uint32_t vocab, struct ew_err *err);
void ew_sampler_close(struct ew_sampler **sampler);
/* Refuses values out of range by name; resets the random stream to how->seed. */
int ew_sampler_set(struct ew_sampler *sampler, const struct ew_sampling *how, struct ew_err *err);
/* history: all tokens of the session, oldest first; the last penalty_last of them are looked at.
 * logits aren't changed. */
int32_t ew_sampler_next(struct ew_sampler *sampler, const float *logits, const int32_t *history,
                        size_t count);

#endif
