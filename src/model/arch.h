/* arch.h - what kind of transformer a file holds: its hyperparameters, checked.
 *
 * Everything that differs between llama, qwen2, qwen3, gemma2, gemma3 and phi3 is a field here, so
 * that the forward pass has one path. After ew_arch_read succeeded every number is within the
 * limits below and consistent with the others; the shapes of tensors are weights.c's business. */
#ifndef EW_ARCH_H
#define EW_ARCH_H

#include "model/gguf.h"

enum {
    EW_LAYERS_MAX = 256,
    EW_DIM_MAX = 65536,
    EW_HEADS_MAX = 256,
    EW_HEAD_DIM_MAX = 512,
    EW_VOCAB_MAX = 1 << 20,
    EW_CTX_MAX = 1 << 20, /* positions */
    EW_CTX_DEFAULT = 4096,
};

enum ew_arch_kind {
    EW_ARCH_LLAMA,
    EW_ARCH_QWEN2,
    EW_ARCH_QWEN3,
    EW_ARCH_GEMMA2,
    EW_ARCH_GEMMA3,
    EW_ARCH_PHI3,
    EW_ARCH_COUNT
};

/* Angles per position for each rotated pair, scaling applied; cos and sin are multiplied by
 * `magnitude` (YaRN's and LongRoPE's attention factor). */
struct ew_rope {
    double per_position[EW_HEAD_DIM_MAX / 2];
    double magnitude;
};

struct ew_arch {
    enum ew_arch_kind kind;
    uint32_t layers, dim, ffn, heads, kv_heads, head_dim, rope_dims, vocab;
    uint32_t ctx_train, ctx; /* positions: trained for, planned */
    float eps;
    float embedding_scale;   /* gemma: sqrt(dim); else 1 */
    float attention_scale;   /* of q . k */
    float attention_softcap; /* 0: none */
    float final_softcap;     /* 0: none */
    uint32_t window;        /* positions a local layer sees, its own included; 0: no local layers */
    uint32_t window_period; /* every period-th layer is global, the others local */
    bool rope_pairs;        /* rotates (2i, 2i + 1); else (i, i + half) */
    bool gelu;              /* else silu */
    struct ew_rope rope, rope_local;
};

/* ctx: positions to plan for; 0: EW_CTX_DEFAULT, or what the model was trained for where that is
 * less. It decides between phi3's short and long factors. */
int ew_arch_read(struct ew_arch *arch, const struct ew_gguf *gguf, uint32_t ctx,
                 struct ew_err *err);
const char *ew_arch_name(enum ew_arch_kind kind);
bool ew_arch_is_local(const struct ew_arch *arch, uint32_t layer);

#endif
