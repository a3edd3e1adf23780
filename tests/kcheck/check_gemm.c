/* check_gemm.c - the matrix products: all types, all small numbers of tokens, odd shapes, extremes.
 *
 * Weights are made as GGUF bytes and packed by ew_pack, so what is judged is what the engine runs.
 * The reference is judged against a product in double precision of the decoded weights. */
#include "kcheck.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TOKENS_MAX = 26, /* two wide kernels and a remainder */
    LDY_EXTRA = 3,   /* a row of y isn't a multiple of anything */
    LDX_EXTRA = 5,
};

enum fill { FILL_RANDOM, FILL_HIGH, FILL_LOW, FILL_ZERO_SCALE, FILL_DENORMAL, FILL_ONE_HOT, FILLS };

static const char *const fill_names[FILLS] = {"random",      "high",     "low",
                                              "zero scales", "denormal", "one-hot"};

struct problem {
    enum ew_type type;
    int rows, cols, n;
    enum fill fill;
    uint8_t *source; /* GGUF rows */
    size_t source_bytes;
    struct ew_packed w;
    struct ew_xblock *q;
    float *f;
    struct ew_input x;
};

/* ---- fills ---- */

static uint16_t half_for(struct kc *kc, enum fill fill)
{
    switch (fill) {
    case FILL_HIGH:
        return 0x7bff; /* 65504 */
    case FILL_LOW:
        return 0xfbff;
    case FILL_ZERO_SCALE:
        return 0;
    case FILL_DENORMAL:
        return (uint16_t)(1 + kc_below(kc, 0x3ff) + (kc_below(kc, 2) << 15));
    default: /* 2^-10 .. 2, both signs */
        return (uint16_t)(0x1400 + kc_below(kc, 0x2c00) + (kc_below(kc, 2) << 15));
    }
}

static void put_half(uint8_t *at, uint16_t half)
{
    memcpy(at, &half, 2);
}

/* One block of any quantised type: levels by byte, then its halves. */
static void fill_block(struct kc *kc, uint8_t *at, enum ew_type type, enum fill fill)
{
    const struct ew_type_info *info = ew_type_describe(type);
    bool second = type == EW_TYPE_Q4_1 || type == EW_TYPE_Q5_1 || type == EW_TYPE_Q4_K ||
                  type == EW_TYPE_Q5_K;
    size_t d = type == EW_TYPE_Q6_K ? offsetof(struct ew_block_q6_k, d) : 0;

    for (int i = 0; i < info->bytes; i++)
        at[i] = fill == FILL_HIGH  ? (type == EW_TYPE_Q8_0 ? 0x7f : 0xff)
                : fill == FILL_LOW ? (type == EW_TYPE_Q8_0 ? 0x80 : 0x00)
                : fill == FILL_ONE_HOT
                    ? (uint8_t)((kc_below(kc, info->bytes) == 0) << kc_below(kc, 8))
                    : (uint8_t)kc_below(kc, 256);
    if (type == EW_TYPE_Q6_K && (fill == FILL_HIGH || fill == FILL_LOW))
        memset(at + offsetof(struct ew_block_q6_k, scales), fill == FILL_HIGH ? 0x80 : 0x7f, 16);
    put_half(at + d, half_for(kc, fill));
    if (second)
        put_half(at + d + 2, half_for(kc, fill));
}

static void fill_weights(struct kc *kc, struct problem *p)
{
    const struct ew_type_info *info = ew_type_describe(p->type);

    for (size_t at = 0; at < p->source_bytes; at += (size_t)info->bytes) {
        float f = p->fill == FILL_DENORMAL ? kc_uniform(kc, 1e-39f) : kc_uniform(kc, 2);
        uint32_t bits;
        memcpy(&bits, &f, sizeof(bits));
        if (p->type == EW_TYPE_F32)
            memcpy(p->source + at, &f, sizeof(f));
        else if (p->type == EW_TYPE_BF16)
            put_half(p->source + at, (uint16_t)(bits >> 16));
        else if (p->type == EW_TYPE_F16)
            put_half(p->source + at, half_for(kc, p->fill));
        else
            fill_block(kc, p->source + at, p->type, p->fill);
    }
}

static int level_for(struct kc *kc, enum fill fill, int index)
{
    switch (fill) {
    case FILL_HIGH:
        return 127;
    case FILL_LOW:
        return index % 2 ? 127 : -127;
    case FILL_ONE_HOT:
        return index == 17 ? -127 : 0;
    default:
        return kc_below(kc, 255) - 127;
    }
}

/* Everything of a token's slot, as the quantiser would leave it. */
static void fill_slot(struct kc *kc, struct ew_xblock *block, int slot, enum fill fill)
{
    int sum[2] = {0, 0};

    for (int i = 0; i < EW_BLOCK; i++) {
        int q = level_for(kc, fill, i);
        block->q[i / 4][slot][i % 4] = (int8_t)q;
        sum[i / 16] += q;
    }
    /* Odd slots: the product of two scales is denormal or nothing. Even ones: a normal number. */
    bool tiny = fill == FILL_DENORMAL && slot % 2;
    float d = fabsf(kc_uniform(kc, tiny ? 1e-40f : 0.1f));
    block->d[slot] = d;
    block->ds[slot] = d * (float)(sum[0] + sum[1]);
    block->neg[0][slot] = -(sum[0] + sum[1]);
    block->neg[1][slot] = -sum[0];
}

static void fill_inputs(struct kc *kc, struct problem *p)
{
    size_t blocks = (size_t)p->cols / EW_BLOCK, groups = (size_t)(p->n + 3) / EW_GROUP;

    if (ew_type_describe(p->type)->weights == 1) {
        p->x.ldf = (size_t)p->cols + LDX_EXTRA;
        /* The last token ends at the guard page. */
        size_t count = (size_t)(p->n - 1) * p->x.ldf + (size_t)p->cols;
        p->f = kc_input(count * sizeof(float));
        for (size_t i = 0; i < count; i++)
            p->f[i] = kc_uniform(kc, 3);
        p->x.f = p->f;
        return;
    }
    p->q = kc_input(groups * blocks * sizeof(*p->q));
    memset(p->q, 0xff, groups * blocks * sizeof(*p->q)); /* unused slots: NaN, and -1 */
    for (int i = 0; i < p->n; i++)
        for (size_t b = 0; b < blocks; b++)
            fill_slot(kc, &p->q[(size_t)(i / EW_GROUP) * blocks + b], i % EW_GROUP, p->fill);
    p->x.q = p->q;
}

static void make_problem(struct kc *kc, struct problem *p)
{
    const struct ew_type_info *info = ew_type_describe(p->type);
    size_t tile_bytes = ew_pack_tile_bytes(p->type, p->cols);
    int tiles = (p->rows + EW_TILE_ROWS - 1) / EW_TILE_ROWS;
    uint8_t *packed = kc_input((size_t)tiles * tile_bytes);

    p->source_bytes = (size_t)p->rows * (size_t)(p->cols / info->weights) * (size_t)info->bytes;
    p->source = kc_input(p->source_bytes);
    fill_weights(kc, p);
    ew_pack(packed, p->source, p->type, p->rows, p->cols, 0, tiles);
    p->w = (struct ew_packed){p->type, p->rows, p->cols, tiles, tile_bytes, packed};
    fill_inputs(kc, p);
}

/* ---- the variants against the reference ---- */

static void compare(struct kc *kc, struct problem *p, int tile0, int tile1)
{
    size_t ldy = (size_t)p->w.tiles * EW_TILE_ROWS + LDY_EXTRA;
    size_t bytes = ((size_t)(p->n - 1) * ldy + (size_t)tile1 * EW_TILE_ROWS) * sizeof(float);
    float *expected = kc_output(bytes), *got = kc_output(bytes);
    char what[96];

    snprintf(what, sizeof(what), "%d x %d, %d tokens, tiles %d..%d, %s", p->rows, p->cols, p->n,
             tile0, tile1, fill_names[p->fill]);
    kc->ref->gemm[p->type](&p->w, tile0, tile1, &p->x, p->n, expected, ldy);
    kc->got->gemm[p->type](&p->w, tile0, tile1, &p->x, p->n, got, ldy);
    kc_same(kc, expected, got, bytes, what);
}

static void check_variant(struct kc *kc, enum ew_type type)
{
    static const int blocks[] = {1, 2, 3, 5, 18};
    int unit = ew_type_describe(type)->weights == 256 ? 256 : EW_BLOCK;
    int shapes = unit == 256 ? 3 : 5;

    for (int n = 1; n <= TOKENS_MAX; n++) {
        for (int fill = 0; fill < FILLS; fill++) {
            int cols = blocks[(n + fill) % shapes] * unit;
            if (unit != 256 && ew_type_describe(type)->weights == 1)
                cols -= kc_below(kc, 8); /* floats have no blocks */
            struct problem p = {.type = type, .cols = cols, .n = n, .fill = (enum fill)fill};
            p.rows = 1 + kc_below(kc, 80);
            make_problem(kc, &p);
            int tile0 = kc_below(kc, p.w.tiles), tile1 = tile0 + kc_below(kc, p.w.tiles - tile0);
            compare(kc, &p, 0, p.w.tiles);
            compare(kc, &p, tile0, tile1 + 1);
            kc_release();
        }
    }
}

/* ---- the reference against double precision ---- */

static double exact_input(const struct problem *p, int token, int k)
{
    size_t blocks = (size_t)p->cols / EW_BLOCK;

    if (!p->q)
        return (double)p->f[(size_t)token * p->x.ldf + (size_t)k];
    const struct ew_xblock *b = &p->q[(size_t)(token / EW_GROUP) * blocks + (size_t)(k / EW_BLOCK)];
    int slot = token % EW_GROUP;
    return (double)b->d[slot] * b->q[k % EW_BLOCK / 4][slot][k % 4];
}

static void check_row(struct kc *kc, const struct problem *p, const float *weights, int row,
                      const float *y, size_t ldy)
{
    for (int i = 0; i < p->n; i++) {
        double sum = 0, size = 0;
        for (int k = 0; k < p->cols; k++) {
            double term = (double)weights[k] * exact_input(p, i, k);
            sum += term;
            size += fabs(term);
        }
        double got = (double)y[(size_t)i * ldy + (size_t)row];
        /* Rounding of each partial sum; constant and scaled terms may each be larger than their
         * sum, by at most the ratio of levels. A product of scales may lose 2^-150, and then meets
         * an integer sum below 2^24. */
        if (fabs(got - sum) > 1e-4 * size + p->cols * 0x1p-126)
            kc_fail(kc, "row %d, token %d, %s: %g, in double precision %g", row, i,
                    fill_names[p->fill], got, sum);
    }
}

static void check_reference(struct kc *kc, enum ew_type type)
{
    int cols = ew_type_describe(type)->weights == 256 ? 512 : 96;

    for (int fill = 0; fill < FILLS; fill++) {
        struct problem p = {
            .type = type, .rows = 37, .cols = cols, .n = 6, .fill = (enum fill)fill};
        make_problem(kc, &p);
        size_t ldy = (size_t)p.w.tiles * EW_TILE_ROWS;
        float *y = kc_output(ldy * (size_t)p.n * sizeof(float));
        float *weights = kc_output((size_t)cols * sizeof(float));
        size_t row_bytes = p.source_bytes / (size_t)p.rows;
        kc->ref->gemm[type](&p.w, 0, p.w.tiles, &p.x, p.n, y, ldy);
        for (int row = 0; row < p.rows; row++) {
            ew_row_decode(type, p.source + (size_t)row * row_bytes, weights, cols);
            check_row(kc, &p, weights, row, y, ldy);
        }
        kc_release();
    }
}

static void check(struct kc *kc, int type)
{
    if (kc->isa == EW_ISA_SCALAR)
        check_reference(kc, (enum ew_type)type);
    else
        check_variant(kc, (enum ew_type)type);
}

/* ---- bench ---- */

struct bench {
    struct kc *kc;
    struct problem p;
    float *y;
};

static void run_once(void *arg)
{
    struct bench *b = arg;

    b->kc->got->gemm[b->p.type](&b->p.w, 0, b->p.w.tiles, &b->p.x, b->p.n, b->y,
                                (size_t)b->p.w.tiles * EW_TILE_ROWS);
}

/* A matrix that stays in the second-level cache, as one strip of a layer does in the engine. */
static void bench(struct kc *kc, int type)
{
    static const int counts[] = {1, 2, 3, 4, 6, 8, 12, 24, 120};
    char name[40];

    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct bench b = {.kc = kc};
        b.p = (struct problem){.type = (enum ew_type)type, .rows = 192, .cols = 768};
        b.p.n = counts[i];
        if (kc->isa == EW_ISA_SCALAR && b.p.n > 12)
            continue;
        make_problem(kc, &b.p);
        b.y = kc_output((size_t)b.p.rows * (size_t)b.p.n * sizeof(float));
        snprintf(name, sizeof(name), "gemm %s n=%d", ew_type_describe((uint32_t)type)->name, b.p.n);
        struct kc_work work = {name, (double)b.p.rows * b.p.cols * b.p.n,
                               (double)b.p.w.tile_bytes * b.p.w.tiles};
        kc_bench(kc, &work, run_once, &b);
        kc_release();
    }
}

static const struct kc_test tests[] = {
#define X(name, id, weights, bytes)                                                                \
    {"gemm_" #name, offsetof(struct ew_kernels, gemm) + (id) * sizeof(ew_gemm_fn *), check, bench, \
     id},
    EW_TYPES(X)
#undef X
};

const struct kc_suite kc_suite_gemm = {tests, sizeof(tests) / sizeof(tests[0])};
