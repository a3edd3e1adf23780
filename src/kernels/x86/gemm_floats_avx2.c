/* gemm_floats_avx2.c - products of F32, F16 and BF16 weights with 256-bit vectors.
 *
 * Each output is one chain of fused multiply-adds in ascending order of inputs, as the reference
 * has it, so speed comes from chains side by side: several tiles where there are few tokens. */
#include <immintrin.h>
#include <stdbool.h>

#include "kernels/kernels_int.h"
#include "kernels/tile.h"

#define ALWAYS static inline __attribute__((always_inline))

enum {
    WIDE = 4,             /* tokens of the widest kernel */
    CHAINS_MAX = 4,       /* tiles times tokens; each is two vectors */
    STRIP_BYTES = 131072, /* weights that stay in the second-level cache while tokens pass by */
};

/* 8 weights as floats. */
ALWAYS __m256 weights(const enum ew_type type, const uint8_t *at, int h)
{
    if (type == EW_TYPE_F32)
        return _mm256_load_ps((const float *)(const void *)(at + 32 * h));
    __m128i half = _mm_load_si128((const __m128i *)(at + 16 * h));
    if (type == EW_TYPE_F16)
        return _mm256_cvtph_ps(half);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

/* `tiles` neighbouring tiles, n tokens. */
ALWAYS void product(const enum ew_type type, const int tiles, const int n,
                    const struct ew_packed *w, int tile, const float *x, size_t ldf, float *y,
                    size_t ldy)
{
    const size_t step = type == EW_TYPE_F32 ? 64 : 32;
    const uint8_t *at = w->data + (size_t)tile * w->tile_bytes;
    __m256 sums[CHAINS_MAX][2];

#pragma GCC unroll 4
    for (int c = 0; c < tiles * n; c++)
        sums[c][0] = sums[c][1] = _mm256_setzero_ps();
    for (int k = 0; k < w->cols; k++, at += step) {
#pragma GCC unroll 4
        for (int c = 0; c < tiles * n; c++) {
            const uint8_t *from = at + (size_t)(c / n) * w->tile_bytes;
            __m256 in = _mm256_set1_ps(x[(size_t)(c % n) * ldf + (size_t)k]);
            sums[c][0] = _mm256_fmadd_ps(weights(type, from, 0), in, sums[c][0]);
            sums[c][1] = _mm256_fmadd_ps(weights(type, from, 1), in, sums[c][1]);
        }
    }
#pragma GCC unroll 4
    for (int c = 0; c < tiles * n; c++) {
        float *out = y + (size_t)(c % n) * ldy + (size_t)(tile + c / n) * EW_TILE_ROWS;
        _mm256_storeu_ps(out, sums[c][0]);
        _mm256_storeu_ps(out + 8, sums[c][1]);
    }
}

typedef void product_fn(const struct ew_packed *w, int tile, const float *x, size_t ldf, float *y,
                        size_t ldy);

#define PRODUCT(type, tiles, n)                                                                    \
    static void product_##type##_##tiles##x##n(const struct ew_packed *w, int tile,                \
                                               const float *x, size_t ldf, float *y, size_t ldy)   \
    {                                                                                              \
        product(EW_TYPE_##type, tiles, n, w, tile, x, ldf, y, ldy);                                \
    }
#define PRODUCTS(type)                                                                             \
    PRODUCT(type, 4, 1)                                                                            \
    PRODUCT(type, 2, 2)                                                                            \
    PRODUCT(type, 1, 1)                                                                            \
    PRODUCT(type, 1, 2)                                                                            \
    PRODUCT(type, 1, 3)                                                                            \
    PRODUCT(type, 1, 4)
#define FLOATS(X) X(F32) X(F16) X(BF16)

FLOATS(PRODUCTS)

/* [0]: one tile; [1]: as many as fill the chains, side_by_side[n]. */
static product_fn *const products[EW_TYPE_COUNT][2][WIDE + 1] = {
#define X(type)                                                                                    \
    [EW_TYPE_##type] = {{NULL, product_##type##_1x1, product_##type##_1x2, product_##type##_1x3,   \
                         product_##type##_1x4},                                                    \
                        {NULL, product_##type##_4x1, product_##type##_2x2, product_##type##_1x3,   \
                         product_##type##_1x4}},
    FLOATS(X)
#undef X
};
static const int side_by_side[WIDE + 1] = {0, 4, 2, 1, 1};

static void gemm(const struct ew_packed *w, int tile0, int tile1, const struct ew_input *x, int n,
                 float *y, size_t ldy)
{
    int strip = 4 * (1 + (int)(STRIP_BYTES / 4 / w->tile_bytes));

    for (int first = tile0; first < tile1; first += strip) {
        int last = first + strip < tile1 ? first + strip : tile1;
        for (int i = 0; i < n; i += WIDE) {
            int take = n - i < WIDE ? n - i : WIDE, side = side_by_side[take];
            for (int t = first; t < last;) {
                bool all = t + side <= last;
                products[w->type][all][take](w, t, x->f + (size_t)i * x->ldf, x->ldf,
                                             y + (size_t)i * ldy, ldy);
                t += all ? side : 1;
            }
        }
    }
}

void ew_gemm_floats_init_avx2(struct ew_kernels *kernels)
{
    for (int type = 0; type < EW_TYPE_COUNT; type++)
        if (products[type][0][1])
            kernels->gemm[type] = gemm;
}
