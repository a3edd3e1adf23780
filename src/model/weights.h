/* weights.h - the tensors of a model, checked against its hyperparameters and packed for the
 * kernels.
 *
 * Two steps, so that memory is planned before it is taken: ew_weights_map finds every tensor,
 * checks its shape and type, and says how many bytes the packed form needs; ew_weights_pack takes
 * one block of memory (huge pages where they can be had) and packs each tensor into it slice by
 * slice, read from the file, so that the model is in memory once. Read-only afterwards. */
#ifndef EW_WEIGHTS_H
#define EW_WEIGHTS_H

#include "kernels/kernels.h"
#include "model/arch.h"

/* Norm weights and biases are floats of our own, padded to a whole tile; NULL: not in the file. */
struct ew_layer {
    bool local; /* attends within the window only */
    struct ew_packed q, k, v, o, gate, up, down;
    const float *attn_norm, *post_attn_norm, *ffn_norm, *post_ffn_norm;
    const float *q_norm, *k_norm; /* one head's width */
    const float *q_bias, *k_bias, *v_bias, *o_bias;
};

struct ew_weights {
    struct ew_layer *layers;
    struct ew_packed head;             /* [vocab] x [dim] */
    const struct ew_tensor *embedding; /* NULL: tied, rows come from `head` */
    const float *output_norm;
    uint64_t packed_bytes;    /* of `memory` */
    uint64_t bytes_per_token; /* read to decode one token */
    uint64_t parameters;
    enum ew_type main_type; /* that most linear weights have */
    void *memory;
    struct ew_weights_job *jobs; /* what to pack where; freed once packed */
    size_t job_count, job_capacity;
};

int ew_weights_map(struct ew_weights *weights, const struct ew_gguf *gguf,
                   const struct ew_arch *arch, struct ew_err *err);
/* run: calls work(arg, thread, threads) on every thread of the engine and waits for all. */
typedef void ew_weights_run_fn(void *user, void (*work)(void *arg, int thread, int threads),
                               void *arg);
int ew_weights_pack(struct ew_weights *weights, const struct ew_gguf *gguf, ew_weights_run_fn *run,
                    void *user, struct ew_err *err);
void ew_weights_fini(struct ew_weights *weights);

/* One token's embedding, not scaled. */
void ew_weights_embedding(const struct ew_weights *weights, int32_t token, float *out);

#endif
