/* forward.h - tokens in, logits out: the whole transformer, readable in one sitting.
 *
 * A call computes a chunk of one session's tokens at the positions that follow its past, on all
 * threads of the pool. The work is a fixed list of phases with a barrier after each; inside a phase
 * the threads take items (rows of weights x tokens, or tokens, or heads) as they come. Each number
 * is computed by one thread in one order, so the result doesn't depend on threads or chunks. */
#ifndef EW_FORWARD_H
#define EW_FORWARD_H

#include <stdatomic.h>

#include "engine/kvcache.h"
#include "engine/pool.h"
#include "model/weights.h"

/* Rows of logits made at a time where many are wanted; a multiple of EW_GROUP. */
enum { EW_LOGIT_ROWS = 8 };

/* What all sessions of a model share. */
struct ew_network {
    struct ew_arch arch;
    struct ew_weights weights;
    struct ew_kernels kernels;
    struct ew_pool *pool;
};

/* Buffers of one session, sized once for its longest chunk and context. */
struct ew_scratch {
    uint32_t chunk, ctx; /* most tokens of one call, most positions */
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
    float *logits;            /* [EW_LOGIT_ROWS][vocab_width]; decoding uses the first row */
    struct ew_xblock *blocks; /* [ceil(chunk / 4)][block_width] */
};

uint64_t ew_scratch_bytes(const struct ew_arch *arch, int threads, uint32_t chunk, uint32_t ctx);
int ew_scratch_init(struct ew_scratch *scratch, const struct ew_arch *arch, int threads,
                    uint32_t chunk, uint32_t ctx, struct ew_err *err);
void ew_scratch_fini(struct ew_scratch *scratch);

struct ew_forward {
    const struct ew_network *net;
    struct ew_scratch *scratch;
    struct ew_kvcache *cache;
    const int32_t *tokens;    /* borrowed; ids checked by the caller */
    uint32_t count, position; /* tokens now, and before them */
    uint32_t first_logits;    /* rows from here on get logits; count: none do */
    ew_logits_fn *each;       /* called for each such row, on the caller's thread */
    void *user;
    size_t user_index; /* added to the row's index for `each` */
    atomic_bool *cancel;
};

/* With first_logits = count - 1 and no `each`, leaves the last row's logits in scratch->logits.
 * EW_ECANCELED: the past is as it was. */
int ew_forward_run(const struct ew_forward *forward, struct ew_err *err);

#endif
