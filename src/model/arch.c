/* arch.c - hyperparameters of the architectures we run, read from GGUF keys and checked.
 *
 * Key names and defaults are those of the GGUF convention (ggml's docs/gguf.md and the writers of
 * the published files). Every number is range-checked here, because the engine divides by them,
 * sizes memory with them and trusts them afterwards. */
#include "model/arch.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { KEY_MAX = 128 };

/* gemma's largest models scale attention by the width of the residual, not of a head. */
enum { GEMMA2_27B_LAYERS = 46, GEMMA3_27B_LAYERS = 62 };
enum { GEMMA2_WINDOW = 4096, GEMMA2_PERIOD = 2, GEMMA3_PERIOD = 6 };
static const float gemma3_local_base = 10000.0f;
static const float yarn_beta_fast = 32.0f, yarn_beta_slow = 1.0f; /* arXiv 2309.00071, 3.2 */

static const char *const names[EW_ARCH_COUNT] = {
    [EW_ARCH_LLAMA] = "llama",   [EW_ARCH_QWEN2] = "qwen2",   [EW_ARCH_QWEN3] = "qwen3",
    [EW_ARCH_GEMMA2] = "gemma2", [EW_ARCH_GEMMA3] = "gemma3", [EW_ARCH_PHI3] = "phi3",
};

const char *ew_arch_name(enum ew_arch_kind kind)
{
    return names[kind];
}

bool ew_arch_is_local(const struct ew_arch *arch, uint32_t layer)
{
    return arch->window && layer % arch->window_period != arch->window_period - 1;
}

static const char *key_of(const struct ew_arch *arch, const char *suffix, char key[KEY_MAX])
{
    snprintf(key, KEY_MAX, "%s.%s", names[arch->kind], suffix);
    return key;
}

/* A required whole number within [1, max]; optional where *out starts as non-zero. */
static int read_count(const struct ew_arch *arch, const struct ew_gguf *gguf, const char *suffix,
                      uint32_t max, uint32_t *out, struct ew_err *err)
{
    char key[KEY_MAX];
    key_of(arch, suffix, key);
    if (ew_gguf_is_array(gguf, key))
        return ew_fail(err, EW_EUNSUPPORTED, "%s: %s differs by layer: not supported",
                       ew_gguf_path(gguf), key);
    int got = ew_gguf_u32(gguf, key, out, err);
    if (got < 0)
        return got;
    if (!got && !*out)
        return ew_fail(err, EW_EFORMAT, "%s: key %s is missing", ew_gguf_path(gguf), key);
    if (*out < 1 || *out > max)
        return ew_fail(err, EW_EFORMAT, "%s: %s is %u, allowed 1 to %u", ew_gguf_path(gguf), key,
                       *out, max);
    return 0;
}

/* An optional real number within [min, max]. */
static int read_real(const struct ew_arch *arch, const struct ew_gguf *gguf, const char *suffix,
                     float min, float max, float *out, struct ew_err *err)
{
    char key[KEY_MAX];
    int got = ew_gguf_f32(gguf, key_of(arch, suffix, key), out, err);
    if (got < 0)
        return got;
    if (!(*out >= min && *out <= max))
        return ew_fail(err, EW_EFORMAT, "%s: %s is %g, allowed %g to %g", ew_gguf_path(gguf), key,
                       (double)*out, (double)min, (double)max);
    return 0;
}

static int read_kind(struct ew_arch *arch, const struct ew_gguf *gguf, struct ew_err *err)
{
    struct ew_str name;
    int got = ew_gguf_string(gguf, "general.architecture", &name, err);
    if (got < 0)
        return got;
    if (!got)
        return ew_fail(err, EW_EFORMAT, "%s: key general.architecture is missing",
                       ew_gguf_path(gguf));
    for (int i = 0; i < EW_ARCH_COUNT; i++)
        if (ew_str_is(name, names[i])) {
            arch->kind = (enum ew_arch_kind)i;
            return 0;
        }
    return ew_fail(err, EW_EUNSUPPORTED,
                   "%s: architecture %s is not supported; llama, qwen2, qwen3, gemma2, "
                   "gemma3 and phi3 are",
                   ew_gguf_path(gguf), ew_gguf_show(name).text);
}

static int read_vocab(struct ew_arch *arch, const struct ew_gguf *gguf, struct ew_err *err)
{
    struct ew_gguf_array tokens;
    int got = ew_gguf_array(gguf, "tokenizer.ggml.tokens", EW_GGUF_STRING, &tokens, err);
    if (got < 0)
        return got;
    if (!got)
        return ew_fail(err, EW_EFORMAT, "%s: key tokenizer.ggml.tokens is missing",
                       ew_gguf_path(gguf));
    if (tokens.count < 1 || tokens.count > EW_VOCAB_MAX)
        return ew_fail(err, EW_EFORMAT, "%s: %llu tokens in the vocabulary, allowed 1 to %d",
                       ew_gguf_path(gguf), (unsigned long long)tokens.count, EW_VOCAB_MAX);
    arch->vocab = (uint32_t)tokens.count;
    return 0;
}

static int read_sizes(struct ew_arch *arch, const struct ew_gguf *gguf, struct ew_err *err)
{
    int failed;
    if ((failed = read_count(arch, gguf, "block_count", EW_LAYERS_MAX, &arch->layers, err)) ||
        (failed = read_count(arch, gguf, "embedding_length", EW_DIM_MAX, &arch->dim, err)) ||
        (failed = read_count(arch, gguf, "feed_forward_length", 8 * EW_DIM_MAX, &arch->ffn, err)) ||
        (failed =
             read_count(arch, gguf, "attention.head_count", EW_HEADS_MAX, &arch->heads, err)) ||
        (failed = read_count(arch, gguf, "context_length", 1u << 30, &arch->ctx_train, err)))
        return failed;
    if (arch->ctx_train > EW_CTX_MAX)
        arch->ctx_train = EW_CTX_MAX;
    arch->kv_heads = arch->heads;
    if ((failed =
             read_count(arch, gguf, "attention.head_count_kv", EW_HEADS_MAX, &arch->kv_heads, err)))
        return failed;
    const char *path = ew_gguf_path(gguf), *name = names[arch->kind];
    if (arch->heads % arch->kv_heads)
        return ew_fail(err, EW_EFORMAT,
                       "%s: %s.attention.head_count %u is no multiple of head_count_kv %u", path,
                       name, arch->heads, arch->kv_heads);
    uint32_t value_dim = 0;
    char key[KEY_MAX];
    int got = ew_gguf_u32(gguf, key_of(arch, "attention.key_length", key), &arch->head_dim, err);
    if (got < 0)
        return got;
    if (!got && arch->dim % arch->heads)
        return ew_fail(err, EW_EFORMAT,
                       "%s: %s.embedding_length %u is no multiple of attention.head_count %u", path,
                       name, arch->dim, arch->heads);
    if (!got)
        arch->head_dim = arch->dim / arch->heads;
    value_dim = arch->head_dim;
    if ((got = ew_gguf_u32(gguf, key_of(arch, "attention.value_length", key), &value_dim, err)) < 0)
        return got;
    if (arch->head_dim < 8 || arch->head_dim > EW_HEAD_DIM_MAX || arch->head_dim % 8)
        return ew_fail(err, EW_EFORMAT, "%s: heads of %u numbers, allowed multiples of 8 to %d",
                       path, arch->head_dim, EW_HEAD_DIM_MAX);
    if (value_dim != arch->head_dim)
        return ew_fail(err, EW_EUNSUPPORTED, "%s: value_length %u differs from key_length %u", path,
                       value_dim, arch->head_dim);
    arch->rope_dims = arch->head_dim;
    if ((failed =
             read_count(arch, gguf, "rope.dimension_count", arch->head_dim, &arch->rope_dims, err)))
        return failed;
    if (arch->rope_dims % 2)
        return ew_fail(err, EW_EFORMAT, "%s: %s.rope.dimension_count %u is odd", path, name,
                       arch->rope_dims);
    return 0;
}

/* Sliding windows of gemma: how long, and which layers have none. */
static int read_window(struct ew_arch *arch, const struct ew_gguf *gguf, struct ew_err *err)
{
    char key[KEY_MAX];
    bool gemma2 = arch->kind == EW_ARCH_GEMMA2;
    arch->window = gemma2 ? GEMMA2_WINDOW : 0;
    arch->window_period = gemma2 ? GEMMA2_PERIOD : GEMMA3_PERIOD;
    int got = ew_gguf_u32(gguf, key_of(arch, "attention.sliding_window", key), &arch->window, err);
    if (got < 0)
        return got;
    key_of(arch, "attention.sliding_window_pattern", key);
    if (ew_gguf_is_array(gguf, key)) {
        struct ew_gguf_array local;
        if ((got = ew_gguf_array(gguf, key, EW_GGUF_BOOL, &local, err)) < 0)
            return got;
        for (uint32_t i = 0; arch->window && i < arch->layers; i++)
            if (i >= local.count || (local.data[i] != 0) != ew_arch_is_local(arch, i))
                return ew_fail(err, EW_EUNSUPPORTED,
                               "%s: %s: layer %u isn't in a period of %u: not supported",
                               ew_gguf_path(gguf), key, i, arch->window_period);
        return 0;
    }
    if ((got = ew_gguf_u32(gguf, key, &arch->window_period, err)) < 0)
        return got;
    if (arch->window_period < 1 || arch->window_period > EW_LAYERS_MAX)
        return ew_fail(err, EW_EFORMAT, "%s: %s is %u, allowed 1 to %d", ew_gguf_path(gguf), key,
                       arch->window_period, EW_LAYERS_MAX);
    return 0;
}

static int read_family(struct ew_arch *arch, const struct ew_gguf *gguf, struct ew_err *err)
{
    bool gemma2 = arch->kind == EW_ARCH_GEMMA2, gemma3 = arch->kind == EW_ARCH_GEMMA3;
    arch->rope_pairs = arch->kind == EW_ARCH_LLAMA;
    arch->gelu = gemma2 || gemma3;
    arch->embedding_scale = gemma2 || gemma3 ? sqrtf((float)arch->dim) : 1.0f;
    arch->attention_scale = 1.0f / sqrtf((float)arch->head_dim);
    if ((gemma2 && arch->layers == GEMMA2_27B_LAYERS) ||
        (gemma3 && arch->layers == GEMMA3_27B_LAYERS))
        arch->attention_scale = 1.0f / sqrtf((float)(arch->dim / arch->heads));
    if (gemma2) {
        arch->attention_softcap = 50.0f;
        arch->final_softcap = 30.0f;
    }
    int failed;
    if ((failed = read_real(arch, gguf, "attention.layer_norm_rms_epsilon", 0.0f, 0.1f, &arch->eps,
                            err)))
        return failed;
    if (!(arch->eps > 0.0f))
        return ew_fail(err, EW_EFORMAT, "%s: %s.attention.layer_norm_rms_epsilon is missing or 0",
                       ew_gguf_path(gguf), names[arch->kind]);
    if (!gemma2 && !gemma3)
        return 0;
    if ((gemma2 && (failed = read_real(arch, gguf, "attn_logit_softcapping", 0.0f, 1e6f,
                                       &arch->attention_softcap, err))) ||
        (failed = read_real(arch, gguf, "final_logit_softcapping", 0.0f, 1e6f, &arch->final_softcap,
                            err)))
        return failed;
    return read_window(arch, gguf, err);
}

/* Divisors of the angles, one for each pair: llama 3's rope_freqs, phi 3's long or short ones. */
static int read_factors(const struct ew_arch *arch, const struct ew_gguf *gguf, uint32_t ctx,
                        uint32_t ctx_original, const float **factors, struct ew_err *err)
{
    const char *name = "rope_freqs.weight";
    const struct ew_tensor *tensor = ew_gguf_tensor(gguf, name);
    if (!tensor) {
        name = ctx > ctx_original ? "rope_factors_long.weight" : "rope_factors_short.weight";
        tensor = ew_gguf_tensor(gguf, name);
    }
    *factors = NULL;
    if (!tensor)
        return 0;
    if (tensor->type != EW_TYPE_F32 || tensor->dims != 1 || tensor->shape[0] != arch->rope_dims / 2)
        return ew_fail(err, EW_EFORMAT, "%s: tensor %s must be F32 of %u numbers",
                       ew_gguf_path(gguf), name, arch->rope_dims / 2);
    const float *f = tensor->data;
    for (uint32_t i = 0; i < arch->rope_dims / 2; i++) {
        float value;
        memcpy(&value, f + i, sizeof value);
        if (!(value > 0.0f && value < 1e9f))
            return ew_fail(err, EW_EFORMAT, "%s: tensor %s: factor %u is %g, must be positive",
                           ew_gguf_path(gguf), name, i, (double)value);
    }
    *factors = f;
    return 0;
}

struct scaling {
    float factor, attn_factor, beta_fast, beta_slow;
    uint32_t ctx_original;
    bool yarn;
};

static int read_scaling(const struct ew_arch *arch, const struct ew_gguf *gguf, struct scaling *s,
                        struct ew_err *err)
{
    *s = (struct scaling){.factor = 1.0f,
                          .attn_factor = 1.0f,
                          .beta_fast = yarn_beta_fast,
                          .beta_slow = yarn_beta_slow,
                          .ctx_original = arch->ctx_train};
    char key[KEY_MAX];
    struct ew_str type = {"linear", 6};
    int failed = ew_gguf_string(gguf, key_of(arch, "rope.scaling.type", key), &type, err);
    if (failed < 0)
        return failed;
    if ((failed = read_real(arch, gguf, "rope.scale_linear", 0.0f, 1e6f, &s->factor, err)) ||
        (failed = read_real(arch, gguf, "rope.scaling.factor", 0.0f, 1e6f, &s->factor, err)) ||
        (failed =
             read_real(arch, gguf, "rope.scaling.attn_factor", 0.0f, 1e3f, &s->attn_factor, err)) ||
        (failed = read_real(arch, gguf, "rope.scaling.yarn_beta_fast", 0.0f, 1e4f, &s->beta_fast,
                            err)) ||
        (failed = read_real(arch, gguf, "rope.scaling.yarn_beta_slow", 0.0f, 1e4f, &s->beta_slow,
                            err)) ||
        (failed = read_count(arch, gguf, "rope.scaling.original_context_length", 1u << 30,
                             &s->ctx_original, err)))
        return failed;
    if (s->factor == 0.0f)
        s->factor = 1.0f;
    s->yarn = ew_str_is(type, "yarn");
    if (ew_str_is(type, "none"))
        s->factor = 1.0f;
    else if (!s->yarn && !ew_str_is(type, "linear") && !ew_str_is(type, "longrope"))
        return ew_fail(err, EW_EUNSUPPORTED,
                       "%s: %s %s is not supported; none, linear, yarn and longrope are",
                       ew_gguf_path(gguf), key, ew_gguf_show(type).text);
    return 0;
}

/* The pair at which a full turn takes ctx / turns positions (YaRN, arXiv 2309.00071, eq. 17). */
static double yarn_pair(double dims, double ctx, double turns, double base)
{
    return dims * log(ctx / (turns * 2.0 * 3.14159265358979323846)) / (2.0 * log(base));
}

/* Angle per position of pair i: base^(-2i/d), divided by the factors and scaled. YaRN mixes the
 * scaled angle (slow pairs) and the unscaled one (fast pairs) by a ramp. */
static void rope_fill(struct ew_rope *rope, uint32_t dims, double base, const float *factors,
                      const struct scaling *s)
{
    double low = 0.0, high = 0.0;
    if (s->yarn) {
        low = fmax(0.0, floor(yarn_pair(dims, s->ctx_original, (double)s->beta_fast, base)));
        high = fmin(dims - 1.0, ceil(yarn_pair(dims, s->ctx_original, (double)s->beta_slow, base)));
    }
    for (uint32_t i = 0; i < dims / 2; i++) {
        float factor = 1.0f;
        if (factors)
            memcpy(&factor, factors + i, sizeof factor);
        double angle = pow(base, -2.0 * i / dims) / (double)factor;
        double scaled = angle / (double)s->factor, keep = 0.0;
        if (s->yarn)
            keep = 1.0 - fmin(1.0, fmax(0.0, (i - low) / fmax(0.001, high - low)));
        rope->per_position[i] = scaled * (1.0 - keep) + angle * keep;
    }
    rope->magnitude = (double)s->attn_factor;
    if (s->yarn && s->factor > 1.0f)
        rope->magnitude *= 1.0 + 0.1 * log((double)s->factor);
}

static int read_rope(struct ew_arch *arch, const struct ew_gguf *gguf, uint32_t ctx,
                     struct ew_err *err)
{
    struct scaling scaling;
    const float *factors;
    float base = 10000.0f, base_local = gemma3_local_base;
    int failed;
    if ((failed = read_scaling(arch, gguf, &scaling, err)) ||
        (failed = read_real(arch, gguf, "rope.freq_base", 1.001f, 1e12f, &base, err)) ||
        (failed = read_factors(arch, gguf, ctx, scaling.ctx_original, &factors, err)))
        return failed;
    if (arch->kind == EW_ARCH_GEMMA2)
        base_local = base;
    if ((failed = read_real(arch, gguf, "rope.freq_base_swa", 1.001f, 1e12f, &base_local, err)))
        return failed;
    struct scaling unscaled = {.factor = 1.0f, .attn_factor = 1.0f};
    rope_fill(&arch->rope, arch->rope_dims, (double)base, factors, &scaling);
    rope_fill(&arch->rope_local, arch->rope_dims, (double)base_local, NULL,
              arch->kind == EW_ARCH_GEMMA2 ? &scaling : &unscaled);
    return 0;
}

static int choose_ctx(struct ew_arch *arch, const struct ew_gguf *gguf, uint32_t ctx,
                      struct ew_err *err)
{
    uint32_t trained = arch->ctx_train;
    arch->ctx = ctx ? ctx : trained < EW_CTX_DEFAULT ? trained : EW_CTX_DEFAULT;
    if (arch->ctx > trained)
        return ew_fail(err, EW_EINVAL, "%s was trained for %u positions, %u asked for",
                       ew_gguf_path(gguf), trained, ctx);
    return 0;
}

int ew_arch_read(struct ew_arch *arch, const struct ew_gguf *gguf, uint32_t ctx, struct ew_err *err)
{
    *arch = (struct ew_arch){0};
    int failed;
    if ((failed = read_kind(arch, gguf, err)) || (failed = read_sizes(arch, gguf, err)) ||
        (failed = choose_ctx(arch, gguf, ctx, err)) || (failed = read_vocab(arch, gguf, err)) ||
        (failed = read_family(arch, gguf, err)) || (failed = read_rope(arch, gguf, arch->ctx, err)))
        return failed;
    return 0;
}
