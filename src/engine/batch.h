/* batch.h - what struct ew_batch and struct ew_stream are, for batch.c, stream.c and step.c.
 *
 * A stream's tokens are its prompt and what has been chosen since. The first `computed` of them
 * are in its pages; a stream whose last token alone isn't decodes, any other is in its prompt, be
 * it the first time or because it was paused in between. */
#ifndef EW_BATCH_H
#define EW_BATCH_H

#include "engine/budget.h"
#include "engine/model.h"
#include "engine/prefix.h"
#include "engine/sampler.h"
#include "model/grammar.h"

enum {
    EW_STREAMS_DEFAULT = 16,
    EW_BATCH_CHUNK = 128, /* tokens of prompts in one step, as in a session's */
    EW_KV_STREAMS = 4,    /* whole contexts that the pages hold unless said otherwise */
};

enum ew_stream_place { EW_STREAM_APART, EW_STREAM_ADDED, EW_STREAM_OVER };

struct ew_stream {
    struct ew_batch *batch;
    void *user;
    enum ew_stream_place place;
    struct ew_sampler *sampler;
    bool logprobs;
    uint32_t top_logprobs;
    const struct ew_grammar *grammar; /* NULL: none, */
    struct ew_grammar_state *said;    /* and what it has read */

    int32_t *tokens; /* [limit] */
    uint32_t prompt, length, computed;
    uint32_t limit;      /* positions at most, */
    bool limit_is_asked; /* by max_tokens; else it is the context */

    uint32_t *page;   /* [pages of limit]: numbers, */
    uint16_t **table; /* and addresses */
    uint32_t pages;   /* held */
    uint32_t kept;    /* of them, in the tree */

    bool added_before;
    uint32_t cached, preemptions;
    atomic_bool cancel;
    atomic_bool exposed; /* prompt rows of this stream are being computed: a cancel aborts that */

    /* Of the step under way. */
    uint32_t rows;         /* of its prompt, decoding's one not counted */
    bool failed, complete; /* err says why; the grammar's text ends here */
    struct ew_err err;
    int32_t chosen;
    float logprob;
    struct ew_token_logprob top[EW_LOGPROBS_MAX];
};

struct ew_batch {
    struct ew_model *model;
    uint32_t places, ctx;
    struct ew_kvcache cache;
    struct ew_prefix prefix;
    struct ew_scratch scratch;
    struct ew_budget budget;
    struct ew_sampler_desk **desks; /* [threads] */
    uint32_t *masks;                /* [threads][mask_words]: what a grammar allows */
    uint32_t mask_words;
    uint32_t threads;
    struct ew_stream **streams; /* [places], in the order of adding */
    uint32_t running;
    uint64_t work_bytes;
    uint64_t steps, prompt_tokens, cached_tokens, output_tokens, preemptions;
    atomic_bool abort; /* the computation under way */
    atomic_bool never; /* false: what can't be aborted looks at this one */

    /* Of the step under way. */
    struct ew_segment *segments; /* [2 * places] */
    struct ew_stream **owners;   /* [2 * places], of the segments */
    struct ew_stream **choosing; /* [places]: get a token */
    uint32_t segment_count, choosing_count;
    struct ew_budget_load load; /* of this step */
    uint32_t prompt_rows;
};

static inline bool ew_stream_decodes(const struct ew_stream *stream)
{
    return stream->length - stream->computed == 1;
}

/* Takes the stream out of the batch; its full pages stay in the tree while there is memory. */
void ew_stream_leave(struct ew_stream *stream);
/* Full pages enter the tree. */
void ew_stream_keep(struct ew_stream *stream);
/* Uses what others computed since. */
void ew_stream_adopt(struct ew_stream *stream);
/* Makes room for the next token; false where all pages are held. */
bool ew_stream_grow(struct ew_stream *stream);

#endif
