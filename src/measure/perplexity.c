/* perplexity.c - scores text chunk by chunk; log-probabilities in double. */
#include "measure/perplexity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum { CTX_MIN = 8 };

static double log_sum_exp(const float *logits, uint32_t vocab)
{
    float max = logits[0];
    for (uint32_t i = 1; i < vocab; i++)
        max = logits[i] > max ? logits[i] : max;
    double sum = 0.0;
    for (uint32_t i = 0; i < vocab; i++)
        sum += (double)expf(logits[i] - max);
    return (double)max + log(sum);
}

double ew_logprob_of(const float *logits, uint32_t vocab, int32_t token)
{
    return (double)logits[token] - log_sum_exp(logits, vocab);
}

void ew_logprob_top(const float *logits, uint32_t vocab, struct ew_logprob *top, int k)
{
    double norm = log_sum_exp(logits, vocab);
    int filled = 0;
    for (uint32_t i = 0; i < vocab; i++) {
        double logprob = (double)logits[i] - norm;
        if (filled == k && !(logprob > top[k - 1].logprob))
            continue;
        int at = filled < k ? filled++ : k - 1;
        for (; at > 0 && top[at - 1].logprob < logprob; at--)
            top[at] = top[at - 1];
        top[at] = (struct ew_logprob){.token = (int32_t)i, .logprob = logprob};
    }
}

struct score {
    const int32_t *targets; /* the token that follows each of the chunk */
    double sum, squares;
    uint64_t count;
};

static int score_row(void *user, size_t index, const float *logits, uint32_t vocab)
{
    struct score *s = user;
    double nll = -ew_logprob_of(logits, vocab, s->targets[index]);
    s->sum += nll;
    s->squares += nll * nll;
    s->count++;
    return 0;
}

static int32_t bos_of(const struct ew_model *model)
{
    int32_t bos;
    size_t count;
    struct ew_err ignored;
    int failed = ew_model_tokenize(model, "", 0, EW_TOKENIZE_BOS, &bos, 1, &count, &ignored);
    return !failed && count == 1 ? bos : -1;
}

int ew_perplexity_measure(struct ew_perplexity *out, struct ew_model *model, const int32_t *tokens,
                          size_t count, uint32_t ctx, uint64_t chunks_max,
                          void (*progress)(void *user, uint64_t done, uint64_t all), void *user,
                          struct ew_err *err)
{
    *out = (struct ew_perplexity){0};
    uint64_t chunks = ctx ? count / ctx : 0;
    if (ctx < CTX_MIN)
        return ew_fail(err, EW_EINVAL, "chunks of %u tokens, at least %d", ctx, CTX_MIN);
    if (!chunks)
        return ew_fail(err, EW_EINVAL, "%zu tokens of text, one chunk needs %u", count, ctx);
    chunks = chunks_max && chunks_max < chunks ? chunks_max : chunks;
    struct ew_model_info info;
    ew_model_describe(model, &info);
    int32_t bos = info.adds_bos ? bos_of(model) : -1;
    int32_t *chunk = malloc(ctx * sizeof *chunk);
    struct ew_session *session = NULL;
    struct ew_session_params params = {.ctx = ctx};
    struct score score = {0};
    int failed = chunk ? ew_session_open(&session, model, &params, err)
                       : ew_fail(err, EW_ENOMEM, "no memory for a chunk of %u tokens", ctx);
    for (uint64_t i = 0; i < chunks && !failed; i++) {
        /* The last token has no successor in its chunk; the first half is only context. */
        const int32_t *from = tokens + i * ctx;
        memcpy(chunk, from, ctx * sizeof *chunk);
        if (bos >= 0)
            chunk[0] = bos;
        score.targets = from + 1;
        ew_session_rewind(session, 0);
        failed = ew_session_score(session, chunk, ctx - 1, ctx / 2, score_row, &score, err);
        if (progress && !failed)
            progress(user, i + 1, chunks);
    }
    ew_session_close(&session);
    free(chunk);
    if (failed)
        return failed;
    double n = (double)score.count, mean = score.sum / n;
    out->perplexity = exp(mean);
    out->stderr_ =
        n > 1 ? out->perplexity * sqrt((score.squares / n - mean * mean) / (n - 1)) : NAN;
    out->tokens_scored = score.count;
    out->chunks = chunks;
    return 0;
}
