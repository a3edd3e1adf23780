/* gemm_floats_avx512vnni.c - products of F32, F16 and BF16 weights with 512-bit vectors.
 *
 * Each output is one chain of fused multiply-adds in ascending order of inputs, as the reference
 * has it, so speed comes from chains side by side: several tiles where there are few tokens. */
#include <immintrin.h>
#include <stdbool.h>

#include "kernels/kernels_int.h"
#include "kernels/tile.h"

#define ALWAYS static inline __attribute__((always_inline))

enum {
    WIDE = 12,            /* tokens of the widest kernel */
    CHAINS_MAX = 12,      /* tiles times tokens */
    STRIP_BYTES = 131072, /* weights that stay in the second-level cache while tokens pass by */
};

/* 16 weights as floats. */
ALWAYS __m512 weights(const enum ew_type type, const uint8_t *at)
{
    if (type == EW_TYPE_F32)
        return _mm512_load_ps(at);
    __m256i half = _mm256_load_si256((const __m256i *)at);
    if (type == EW_TYPE_F16)
        return _mm512_cvtph_ps(half);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

/* `tiles` neighbouring tiles, n tokens. */
ALWAYS void product(const enum ew_type type, const int tiles, const int n,
                    const struct ew_packed *w, int tile, const float *x, size_t ldf, float *y,
                    size_t ldy)
{
    const size_t step = type == EW_TYPE_F32 ? 64 : 32;
    const uint8_t *at = w->data + (size_t)tile * w->tile_bytes;
    __m512 sums[CHAINS_MAX];

#pragma GCC unroll 12
    for (int c = 0; c < tiles * n; c++)
        sums[c] = _mm512_setzero_ps();
    for (int k = 0; k < w->cols; k++, at += step) {
#pragma GCC unroll 12
        for (int c = 0; c < tiles * n; c++)
            sums[c] =
                _mm512_fmadd_ps(weights(type, at + (size_t)(c / n) * w->tile_bytes),
                                _mm512_set1_ps(x[(size_t)(c % n) * ldf + (size_t)k]), sums[c]);
    }
#pragma GCC unroll 12
    for (int c = 0; c < tiles * n; c++)
        _mm512_storeu_ps(y + (size_t)(c % n) * ldy + (size_t)(tile + c / n) * EW_TILE_ROWS,
                         sums[c]);
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
    PRODUCT(type, 4, 2)                                                                            \
    PRODUCT(type, 4, 3)                                                                            \
    PRODUCT(type, 1, 1)                                                                            \
    PRODUCT(type, 1, 2)                                                                            \
    PRODUCT(type, 1, 3)                                                                            \
    PRODUCT(type, 1, 4)                                                                            \
    PRODUCT(type, 1, 8)                                                                            \
    PRODUCT(type, 1, 12)
#define FLOATS(X) X(F32) X(F16) X(BF16)

FLOATS(PRODUCTS)

/* [0]: one tile; [1]: side_by_side[n] tiles. */
static product_fn *const products[EW_TYPE_COUNT][2][WIDE + 1] = {
#define X(type)                                                                                    \
    [EW_TYPE_##type] = {                                                                           \
        {[1] = product_##type##_1x1, [2] = product_##type##_1x2, [3] = product_##type##_1x3},      \
        {[1] = product_##type##_4x1,                                                               \
         [2] = product_##type##_4x2,                                                               \
         [3] = product_##type##_4x3,                                                               \
         [4] = product_##type##_1x4,                                                               \
         [8] = product_##type##_1x8,                                                               \
         [12] = product_##type##_1x12}},
    FLOATS(X)
#undef X
};
static const int side_by_side[WIDE + 1] = {[1] = 4, 4, 4, 1, [8] = 1, [12] = 1};

/* How many of n tokens the next kernel takes. */
static int piece(int n)
{
    return n >= 12 ? 12 : n >= 8 ? 8 : n >= 4 ? 4 : n;
}

static void gemm(const struct ew_packed *w, int tile0, int tile1, const struct ew_input *x, int n,
                 float *y, size_t ldy)
{
    int strip = 4 * (1 + (int)(STRIP_BYTES / 4 / w->tile_bytes));

    for (int first = tile0; first < tile1; first += strip) {
        int last = first + strip < tile1 ? first + strip : tile1;
        for (int i = 0, take; i < n; i += take) {
            take = piece(n - i);
            int side = side_by_side[take];
            for (int t = first; t < last;) {
                bool all = t + side <= last;
                products[w->type][all][take](w, t, x->f + (size_t)i * x->ldf, x->ldf,
                                             y + (size_t)i * ldy, ldy);
                t += all ? side : 1;
            }
        }
    }
}

void ew_gemm_floats_init_avx512vnni(struct ew_kernels *kernels)
{
    for (int type = 0; type < EW_TYPE_COUNT; type++)
        if (products[type][0][1])
            kernels->gemm[type] = gemm;
}
