/* session.c - one conversation: its tokens, their attention state, and the choice of the next.
 *
 * Prompts are computed in chunks; a chunk that is cancelled or fails leaves the tokens before it
 * appended and none of its own. The last token's logits stay in scratch, so that choosing costs
 * no computation; each choice is computed by the next call, together with whatever comes then. */
#include <stdlib.h>
#include <string.h>

#include "engine/model.h"
#include "engine/sampler.h"

struct ew_session {
    struct ew_model *model;
    struct ew_kvcache cache;
    struct ew_scratch scratch;
    struct ew_sampler *sampler;
    struct ew_sampler_desk *desk;
    int32_t *tokens; /* [ctx] */
    uint32_t ctx;
    uint32_t length;   /* tokens appended */
    uint32_t computed; /* of them, in the cache; the last may still be owed */
    bool has_logits;   /* of token length - 1 */
    atomic_bool cancel;
};

struct ew_sampling ew_sampling_default(void)
{
    return (struct ew_sampling){.top_p = 1.0f, .repeat_penalty = 1.0f, .penalty_last = -1};
}

int ew_session_open(struct ew_session **gives, struct ew_model *model,
                    const struct ew_session_params *params, struct ew_err *err)
{
    static const struct ew_session_params defaults = {0};
    params = params ? params : &defaults;
    *gives = NULL;
    if (model->vocab_only)
        return ew_fail(err, EW_EINVAL, "%s was opened without its weights", model->name);
    const struct ew_arch *arch = &model->net.arch;
    uint32_t ctx = params->ctx ? params->ctx : arch->ctx;
    if (ctx > arch->ctx)
        return ew_fail(err, EW_EINVAL, "%s was opened for %u positions, a session asks for %u",
                       model->name, arch->ctx, ctx);
    uint32_t chunk = params->chunk ? params->chunk : EW_CHUNK_DEFAULT;
    chunk = chunk < ctx ? chunk : ctx;
    struct ew_session *s = calloc(1, sizeof *s);
    if (!s)
        return ew_fail(err, EW_ENOMEM, "no memory for a session");
    s->model = model;
    s->ctx = ctx;
    s->tokens = malloc(ctx * sizeof *s->tokens);
    int failed = s->tokens ? 0 : ew_fail(err, EW_ENOMEM, "no memory for %u tokens", ctx);
    struct ew_scratch_size size = {ew_pool_threads(model->net.pool), chunk, ctx, EW_LOGIT_ROWS};
    struct ew_sampling greedy = ew_sampling_default();
    if (failed ||
        (failed =
             ew_kvcache_init(&s->cache, arch, ew_kvcache_pages(ctx), EW_KVCACHE_LITTLE, err)) ||
        (failed = ew_scratch_init(&s->scratch, arch, &size, err)) ||
        (failed = ew_sampler_open(&s->sampler, arch->vocab, err)) ||
        (failed = ew_sampler_desk_open(&s->desk, arch->vocab, &model->net.kernels, err)) ||
        (failed = ew_sampler_set(s->sampler, &greedy, err))) {
        ew_session_close(&s);
        return failed;
    }
    *gives = s;
    return 0;
}

void ew_session_close(struct ew_session **session)
{
    struct ew_session *s = *session;
    if (!s)
        return;
    ew_sampler_close(&s->sampler);
    ew_sampler_desk_close(&s->desk);
    ew_scratch_fini(&s->scratch);
    ew_kvcache_fini(&s->cache);
    free(s->tokens);
    free(s);
    *session = NULL;
}

int ew_session_sampling(struct ew_session *session, const struct ew_sampling *how,
                        struct ew_err *err)
{
    return ew_sampler_set(session->sampler, how, err);
}

/* Computes tokens [computed, end) chunk by chunk; logits from index `first` on go to `each`, or
 * those of the last token alone stay in scratch. */
static int compute(struct ew_session *s, uint32_t end, uint32_t first, ew_logits_fn *each,
                   void *user, size_t user_base, struct ew_err *err)
{
    /* An embedding that isn't packed is read from the file, which must still be whole. */
    int failed = s->model->net.weights.embedding ? ew_gguf_intact(s->model->gguf, err) : 0;
    pthread_mutex_lock(&s->model->computing);
    while (s->computed < end && !failed) {
        uint32_t left = end - s->computed;
        const struct ew_segment part = {
            .tokens = s->tokens + s->computed,
            .count = left < s->scratch.chunk ? left : s->scratch.chunk,
            .position = s->computed,
            .pages = s->cache.page,
        };
        struct ew_forward f = {
            .net = &s->model->net,
            .scratch = &s->scratch,
            .segments = &part,
            .segment_count = 1,
            .each = each,
            .user = user,
            .cancel = &s->cancel,
        };
        uint32_t last = end - 1 - s->computed;
        f.first_logits = last < part.count ? last : part.count;
        if (each) {
            f.first_logits = first <= s->computed               ? 0
                             : first < s->computed + part.count ? first - s->computed
                                                                : part.count;
            f.user_index = s->computed - user_base;
        }
        failed = ew_forward_run(&f, err);
        if (!failed)
            failed = ew_forward_check(&s->scratch, 0, part.count, err);
        if (!failed)
            s->computed += part.count;
        else if (failed == EW_EFORMAT)
            ew_fail_in(err, failed, "%s", ew_gguf_path(s->model->gguf));
    }
    pthread_mutex_unlock(&s->model->computing);
    if (failed == EW_ECANCELED) /* otherwise it came too late for this call, and ends the next */
        atomic_store(&s->cancel, false);
    return failed;
}

static int append(struct ew_session *s, const int32_t *tokens, size_t count, struct ew_err *err)
{
    if (!count)
        return ew_fail(err, EW_EINVAL, "no tokens");
    if (count > s->ctx && !s->length)
        return ew_fail(err, EW_ECONTEXT, "%zu tokens don't fit the context of %u", count, s->ctx);
    if (count > s->ctx - s->length)
        return ew_fail(err, EW_ECONTEXT,
                       "%zu tokens after %u of before don't fit the context of %u", count,
                       s->length, s->ctx);
    for (size_t i = 0; i < count; i++)
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= s->model->net.arch.vocab)
            return ew_fail(err, EW_EINVAL, "token %zu is %d, the vocabulary has 0 to %u", i,
                           tokens[i], s->model->net.arch.vocab - 1);
    memcpy(s->tokens + s->length, tokens, count * sizeof *tokens);
    return 0;
}

static int extend(struct ew_session *s, const int32_t *tokens, size_t count, size_t first,
                  ew_logits_fn *each, void *user, struct ew_err *err)
{
    int failed = append(s, tokens, count, err);
    if (failed)
        return failed;
    uint32_t base = s->length;
    s->has_logits = false;
    failed = compute(s, base + (uint32_t)count, base + (uint32_t)first, each, user, base, err);
    s->length = s->computed > base ? s->computed : base;
    s->has_logits = !failed && !each;
    return failed;
}

int ew_session_prompt(struct ew_session *session, const int32_t *tokens, size_t count,
                      struct ew_err *err)
{
    return extend(session, tokens, count, 0, NULL, NULL, err);
}

int ew_session_score(struct ew_session *session, const int32_t *tokens, size_t count, size_t first,
                     ew_logits_fn *each, void *user, struct ew_err *err)
{
    if (first >= count)
        return ew_fail(err, EW_EINVAL, "scores from token %zu on of %zu", first, count);
    return extend(session, tokens, count, first, each, user, err);
}

/* The token chosen last is computed only when the next one is asked for. */
static int settle(struct ew_session *s, struct ew_err *err)
{
    if (s->has_logits)
        return 0;
    if (!s->length)
        return ew_fail(err, EW_EINVAL, "a session needs a prompt first");
    if (s->computed == s->length)
        s->computed--; /* after a rewind or a score: the last token again, for its logits */
    int failed = compute(s, s->length, 0, NULL, NULL, 0, err);
    s->has_logits = !failed;
    return failed;
}

int ew_session_next(struct ew_session *session, int32_t *token, struct ew_err *err)
{
    struct ew_session *s = session;
    if (atomic_exchange(&s->cancel, false))
        return ew_fail(err, EW_ECANCELED, "cancelled");
    if (s->length == s->ctx)
        return ew_fail(err, EW_ECONTEXT, "the context of %u tokens is full", s->ctx);
    int failed = settle(s, err);
    if (failed)
        return failed;
    *token = ew_sampler_next(s->sampler, s->desk, s->scratch.logits, NULL, s->tokens, s->length);
    s->tokens[s->length++] = *token;
    s->has_logits = false;
    return 0;
}

const float *ew_session_logits(struct ew_session *session)
{
    struct ew_err ignored;
    return settle(session, &ignored) ? NULL : session->scratch.logits;
}

size_t ew_session_length(const struct ew_session *session)
{
    return session->length;
}

void ew_session_rewind(struct ew_session *session, size_t length)
{
    if (length >= session->length)
        return;
    session->length = (uint32_t)length;
    if (session->computed > session->length)
        session->computed = session->length;
    session->has_logits = false;
}

void ew_session_cancel(struct ew_session *session)
{
    atomic_store(&session->cancel, true);
}
