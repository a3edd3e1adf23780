/* forward.h - tokens in, logits out: the whole transformer, readable in one sitting.
 *
 * A call computes segments, each some tokens of one conversation at the positions that follow its
 * past, on all threads of the pool. The rows of all segments are numbered through, so that weights
 * are read once for all of them; only attention knows whose row it is. The work is a fixed list of
 * phases with a barrier after each; inside a phase the threads take items (rows of weights x
 * tokens, or tokens, or heads) as they come. Each number is computed by one thread in one order, so
 * the result doesn't depend on threads, chunks, or on who else is computed. */
#ifndef EW_FORWARD_H
#define EW_FORWARD_H

#include <stdatomic.h>

#include "engine/kvcache.h"
#include "engine/pool.h"
#include "model/weights.h"

/* Rows of logits made at a time where a session wants many. */
enum { EW_LOGIT_ROWS = 8 };

/* What all sessions of a model share. */
struct ew_network {
    struct ew_arch arch;
    struct ew_weights weights;
    struct ew_kernels kernels;
    struct ew_pool *pool;
};

/* Some tokens of one conversation. */
struct ew_segment {
    const int32_t *tokens;    /* borrowed; ids checked by the caller */
    uint32_t count, position; /* tokens now, and before them */
    uint16_t *const *pages;   /* of all its positions; those of `count` are written */
};

struct ew_row {
    int32_t token;
    uint32_t position;
    uint16_t *const *pages;
};

/* Rows of one segment whose attention is computed at once. */
struct ew_rows {
    uint32_t row, count;
};

/* Buffers of one session or batch, sized once for its longest chunk and context. */
struct ew_scratch {
    uint32_t chunk, ctx; /* most rows of one call, most positions */
    uint32_t logit_rows; /* a multiple of EW_GROUP */
    uint32_t q_width, kv_width, ffn_width, dim_width, vocab_width; /* padded to a tile */
    uint32_t block_width;             /* xblocks of one group of tokens */
    uint32_t score_rows, score_width; /* of one thread's part of `scores` */
    void *memory;
    uint64_t bytes;
    float *x;                 /* [chunk][dim_width]: the residual stream */
    float *h;                 /* [chunk][dim_width]: normed input, or a layer half's output */
    float *q, *k, *v;         /* [chunk][q_width or kv_width] */
    float *mix;               /* [chunk][q_width]: what attention gives */
    float *gate, *up;         /* [chunk][ffn_width], in the memory of q, k, v and mix */
    float *rope;              /* [chunk][2 kinds][2: cos, sin][rope_dims / 2] */
    float *scores;            /* [threads][score_rows][score_width]; decoding: [heads][..] */
    float *logits;            /* [logit_rows][vocab_width] */
    struct ew_xblock *blocks; /* [ceil(chunk / 4)][block_width] */
    struct ew_row *rows;      /* [chunk] */
    struct ew_rows *attended; /* [chunk]: the items of attention, largest first */
    uint32_t attended_count;
    uint8_t *damaged; /* [chunk]: rows that met what isn't a number */
};

/* What a scratch is sized for. */
struct ew_scratch_size {
    int threads;
    uint32_t chunk, ctx;
    uint32_t logits; /* rows of logits made at a time; rounded up to a multiple of EW_GROUP */
};

uint64_t ew_scratch_bytes(const struct ew_arch *arch, const struct ew_scratch_size *size);
int ew_scratch_init(struct ew_scratch *scratch, const struct ew_arch *arch,
                    const struct ew_scratch_size *size, struct ew_err *err);
void ew_scratch_fini(struct ew_scratch *scratch);

struct ew_forward {
    const struct ew_network *net;
    struct ew_scratch *scratch;
    const struct ew_segment *segments; /* borrowed */
    uint32_t segment_count;
    uint32_t first_logits; /* rows from here on get logits; the number of rows: none do */
    ew_logits_fn *each;    /* called for each such row, on the caller's thread */
    void *user;
    size_t user_index; /* added to the row's index for `each` */
    atomic_bool *cancel;
};

/* Without `each`, leaves the logits in scratch->logits, which must have room for them.
 * EW_ECANCELED: the past is as it was. */
int ew_forward_run(const struct ew_forward *forward, struct ew_err *err);
/* EW_EFORMAT when one of those rows of the last call came out as no numbers. */
int ew_forward_check(const struct ew_scratch *scratch, uint32_t row, uint32_t count,
                     struct ew_err *err);

#endif
