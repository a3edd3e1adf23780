/* gemm_avx512vnni.c - products of quantised weights with 512-bit integer dot products.
 *
 * A vector lane is a row of the tile. For each 32 inputs and each token: 8 vpdpbusd (16 rows x 4
 * inputs each), one conversion, one product of scales, one fused multiply-add (and one more where
 * the type has a constant term), on a pipe that does one such instruction a cycle on Zen 4: so 51
 * multiply-accumulates a cycle is the most that one scale for 32 inputs allows, 46 with the
 * constant term. 12 tokens at once: 12 integer and 12 float sums leave 8 registers for weights.
 * Unpacking runs on other pipes and is shared by the tokens.
 *
 * The token count of a kernel is a compile-time constant, so that arrays below are registers. */
#include <immintrin.h>

#include "kernels/kernels_int.h"
#include "kernels/tile.h"

#define ALWAYS static inline __attribute__((always_inline))

enum {
    WIDE = 12,            /* tokens of the widest kernel */
    STRIP_BYTES = 131072, /* weights that stay in the second-level cache while tokens pass by */

    /* The processor's own prefetcher keeps up while a line of weights is quickly used, with few
     * tokens; else it looks too few lines ahead. How far, and into which cache, is measured (Zen 4,
     * weights from memory, 4864 columns, GB/s without and with): Q4_1, 4, 8, 12 tokens: 16, 8.6,
     * 6.9 -> 25, 12.9, 8.7, of 26, 13, 9 that the arithmetic takes; Q8_0, 12 tokens: 9 -> 16; Q6_K,
     * 8 and 12 tokens: 9, 7 -> 13.8, 9.5. With 1 token it costs a quarter instead. */
    AHEAD_BYTES = 8192,
    AHEAD_BYTES_K = 4096,
};

typedef uint16_t u16x32 __attribute__((vector_size(64)));

/* The intrinsic wants a literal, which a loop variable isn't until it is unrolled. */
ALWAYS __m512i shift_right(__m512i v, int by)
{
    return (__m512i)((u16x32)v >> (uint16_t)by);
}

ALWAYS __m512i bytes_of(int byte)
{
    return _mm512_set1_epi8((char)byte);
}

/* a | (b & c) */
ALWAYS __m512i or_and(__m512i a, __m512i b, __m512i c)
{
    return _mm512_ternarylogic_epi32(a, b, c, 0xf8);
}

/* The levels of group g of a block, one row a lane: tile.h says where their bits are. */
ALWAYS __m512i levels(const int bits, const uint8_t *data, const int g)
{
    const __m512i *b = (const __m512i *)data;

    if (bits == 8)
        return b[g];
    if (bits == 6) {
        const __m512i *c = b + 3 * (g / 4);
        if (g % 4 < 3)
            return _mm512_and_si512(c[g % 4], bytes_of(0x3f));
        __m512i v = _mm512_and_si512(shift_right(c[2], 2), bytes_of(0x30));
        v = or_and(v, shift_right(c[1], 4), bytes_of(0x0c));
        return or_and(v, shift_right(c[0], 6), bytes_of(0x03));
    }
    if (bits == 4 && g < 4)
        return _mm512_and_si512(b[g], bytes_of(0x0f));
    if (bits == 4)
        return _mm512_and_si512(shift_right(b[g - 4], 4), bytes_of(0x0f));
    if (g < 4)
        return _mm512_and_si512(b[1 + g], bytes_of(0x1f));
    return or_and(_mm512_and_si512(shift_right(b[g - 3], 3), bytes_of(0x1c)),
                  shift_right(b[0], 2 * (g - 4)), bytes_of(0x03));
}

/* acc += four products, inputs broadcast from memory. In assembly because the compiler otherwise
 * broadcasts into a register first. */
ALWAYS __m512i dot(__m512i acc, __m512i w, const int8_t *x)
{
    __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(w), "m"(*(const int8_t(*)[4])x));
    return acc;
}

ALWAYS __m512 half_row(const uint8_t *at)
{
    return _mm512_cvtph_ps(_mm256_load_si256((const __m256i *)at));
}

ALWAYS __m512 byte_row(const uint8_t *at)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_load_si128((const __m128i *)at)));
}

/* -zero * sum(q) in each lane. */
ALWAYS __m512i start(const int bits, const int zero, const int32_t *neg)
{
    return zero ? _mm512_slli_epi32(_mm512_set1_epi32(*neg), (unsigned)bits - 1)
                : _mm512_setzero_si512();
}

/* Adds the dot products of groups [g0, g1) of one block to acc[0 .. n). */
ALWAYS void dots(__m512i *acc, const int bits, const int n, const uint8_t *data,
                 const struct ew_xblock *const *x, const int g0, const int g1)
{
    const int pair = bits < 6 ? 4 : 0; /* groups g and g + 4 share a vector: take both at once */

#pragma GCC unroll 8
    for (int g = g0; g < g1 - pair; g++) {
        __m512i w = levels(bits, data, g);
#pragma GCC unroll 12
        for (int i = 0; i < n; i++)
            acc[i] = dot(acc[i], w, x[i / 4]->q[g][i % 4]);
        if (pair) {
            w = levels(bits, data, g + pair);
#pragma GCC unroll 12
            for (int i = 0; i < n; i++)
                acc[i] = dot(acc[i], w, x[i / 4]->q[g + pair][i % 4]);
        }
    }
}

/* sums[0 .. n) += one block of 32 inputs, all of which have the scale d and the constant add. */
ALWAYS void add_block(__m512 *sums, const int bits, const int zero, const int n,
                      const uint8_t *data, __m512 d, __m512 add, const struct ew_xblock *const *x)
{
    __m512i acc[WIDE];

#pragma GCC unroll 12
    for (int i = 0; i < n; i++)
        acc[i] = start(bits, zero, &x[i / 4]->neg[0][i % 4]);
    dots(acc, bits, n, data, x, 0, 8);
#pragma GCC unroll 12
    for (int i = 0; i < n; i++) {
        __m512 scale = _mm512_mul_ps(d, _mm512_set1_ps(x[i / 4]->d[i % 4]));
        sums[i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[i]), scale, sums[i]);
    }
    if (zero)
        return;
#pragma GCC unroll 12
    for (int i = 0; i < n; i++)
        sums[i] = _mm512_fmadd_ps(add, _mm512_set1_ps(x[i / 4]->ds[i % 4]), sums[i]);
}

/* The same for Q6_K, whose halves have integer scales of their own. */
ALWAYS void add_halves(__m512 *sums, const int n, const uint8_t *data, __m512 d,
                       const uint8_t *scales, const struct ew_xblock *const *x)
{
    __m512i first[WIDE], second[WIDE];
    __m512i scale0 = _mm512_cvtepi8_epi32(_mm_load_si128((const __m128i *)scales));
    __m512i scale1 = _mm512_cvtepi8_epi32(_mm_load_si128((const __m128i *)scales + 1));

#pragma GCC unroll 12
    for (int i = 0; i < n; i++)
        first[i] = start(6, 32, &x[i / 4]->neg[1][i % 4]);
    dots(first, 6, n, data, x, 0, 4);
#pragma GCC unroll 12
    for (int i = 0; i < n; i++) {
        __m512i whole = start(6, 32, &x[i / 4]->neg[0][i % 4]);
        second[i] = _mm512_sub_epi32(whole, start(6, 32, &x[i / 4]->neg[1][i % 4]));
    }
    dots(second, 6, n, data, x, 4, 8);
#pragma GCC unroll 12
    for (int i = 0; i < n; i++) {
        __m512i sum = _mm512_add_epi32(_mm512_mullo_epi32(first[i], scale0),
                                       _mm512_mullo_epi32(second[i], scale1));
        __m512 scale = _mm512_mul_ps(d, _mm512_set1_ps(x[i / 4]->d[i % 4]));
        sums[i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scale, sums[i]);
    }
}

/* One block: finds its scales and adds it; d and dmin are the K types'. */
ALWAYS void add_typed(__m512 *sums, const enum ew_type type, const int n, __m512 d, __m512 dmin,
                      const uint8_t *scales, const uint8_t *data, const struct ew_xblock *const *x)
{
    const struct ew_tile_shape shape = ew_tile_shape(type);
    __m512 add = dmin;

    if (type == EW_TYPE_Q6_K) {
        add_halves(sums, n, data, d, scales, x);
        return;
    }
    if (shape.super_bytes) {
        d = _mm512_mul_ps(d, byte_row(scales));
        add = _mm512_mul_ps(dmin, byte_row(scales + 16));
        add = _mm512_xor_ps(add, _mm512_set1_ps(-0.0f));
    } else {
        d = half_row(scales);
        add = shape.scale_bytes == 64 ? half_row(scales + 32) : d;
    }
    add_block(sums, shape.bits, shape.zero, n, data, d, add, x);
}

/* Asks for the weights that come some blocks later, where n tokens are enough work for that. The
 * end of the matrix doesn't matter: a prefetch of an address that isn't there does nothing. */
ALWAYS void fetch_ahead(const struct ew_tile_shape shape, const int n, const uint8_t *data)
{
    if (n + 1 < shape.bits)
        return;
#pragma GCC unroll 9
    for (int i = 0; i < shape.bits + 1; i++) {
        const char *at = (const char *)data + (size_t)EW_TILE_LINE * (size_t)i;
        if (shape.super_bytes)
            _mm_prefetch(at + AHEAD_BYTES_K, _MM_HINT_T0);
        else
            _mm_prefetch(at + AHEAD_BYTES, _MM_HINT_T1);
    }
}

/* One tile, n tokens from the first slot of group x[0]; a group has `blocks` blocks. */
ALWAYS void product(const enum ew_type type, const int n, const uint8_t *tile, int blocks,
                    const struct ew_xblock *x, float *y, size_t ldy)
{
    const struct ew_tile_shape shape = ew_tile_shape(type);
    const int unit = (int)ew_tile_unit(shape);
    const int run = shape.super_bytes ? 8 : blocks; /* blocks that share d and dmin */
    const struct ew_xblock *at[3] = {x, x + blocks, x + 2 * (size_t)blocks};
    __m512 sums[WIDE], d = _mm512_setzero_ps(), dmin = d;

#pragma GCC unroll 12
    for (int i = 0; i < n; i++)
        sums[i] = _mm512_setzero_ps();
    for (int left = blocks; left > 0; left -= run) {
        if (shape.super_bytes) {
            d = half_row(tile);
            dmin = shape.super_bytes == 64 ? half_row(tile + 32) : d;
            tile += EW_TILE_LINE;
        }
#pragma GCC unroll 1
        for (int b = 0; b < run; b++) {
            const int half = unit == 2 ? b & 1 : 0;
            const uint8_t *scales = tile + 32 * half;
            const uint8_t *data = tile + EW_TILE_LINE + (size_t)half * ew_tile_levels(shape);
            fetch_ahead(shape, n, data);
            add_typed(sums, type, n, d, dmin, scales, data, at);
            if (half == unit - 1)
                tile += EW_TILE_LINE + (size_t)unit * ew_tile_levels(shape);
#pragma GCC unroll 3
            for (int g = 0; g < (n + 3) / 4; g++)
                at[g]++;
        }
    }
#pragma GCC unroll 12
    for (int i = 0; i < n; i++)
        _mm512_storeu_ps(y + (size_t)i * ldy, sums[i]);
}

typedef void product_fn(const uint8_t *tile, int blocks, const struct ew_xblock *x, float *y,
                        size_t ldy);

#define PRODUCT(type, n)                                                                           \
    static void product_##type##_##n(const uint8_t *tile, int blocks, const struct ew_xblock *x,   \
                                     float *y, size_t ldy)                                         \
    {                                                                                              \
        product(EW_TYPE_##type, n, tile, blocks, x, y, ldy);                                       \
    }
#define PRODUCTS(type)                                                                             \
    PRODUCT(type, 1)                                                                               \
    PRODUCT(type, 2)                                                                               \
    PRODUCT(type, 3)                                                                               \
    PRODUCT(type, 4)                                                                               \
    PRODUCT(type, 5)                                                                               \
    PRODUCT(type, 6)                                                                               \
    PRODUCT(type, 7)                                                                               \
    PRODUCT(type, 8)                                                                               \
    PRODUCT(type, 12)
#define QUANTISED(X) X(Q4_0) X(Q4_1) X(Q5_0) X(Q5_1) X(Q8_0) X(Q4_K) X(Q5_K) X(Q6_K)

QUANTISED(PRODUCTS)

static product_fn *const products[EW_TYPE_COUNT][WIDE + 1] = {
#define X(type)                                                                                    \
    [EW_TYPE_##                                                                                    \
        type] = {[1] = product_##type##_1, [2] = product_##type##_2, [3] = product_##type##_3,     \
                 [4] = product_##type##_4, [5] = product_##type##_5, [6] = product_##type##_6,     \
                 [7] = product_##type##_7, [8] = product_##type##_8, [12] = product_##type##_12},
    QUANTISED(X)
#undef X
};

/* How many of n tokens the next kernel takes; all but the last a multiple of a group. Q6_K needs
 * two integer sums a token: 12 tokens don't fit the registers. */
static int piece(enum ew_type type, int n)
{
    return n >= WIDE && type != EW_TYPE_Q6_K ? WIDE : n > 8 ? 8 : n;
}

static void gemm(const struct ew_packed *w, int tile0, int tile1, const struct ew_input *x, int n,
                 float *y, size_t ldy)
{
    int blocks = w->cols / EW_BLOCK;
    int strip = 1 + (int)(STRIP_BYTES / w->tile_bytes);

    for (int first = tile0; first < tile1; first += strip) {
        int last = first + strip < tile1 ? first + strip : tile1;
        for (int i = 0, take; i < n; i += take) {
            take = piece(w->type, n - i);
            for (int t = first; t < last; t++)
                products[w->type][take](w->data + (size_t)t * w->tile_bytes, blocks,
                                        x->q + (size_t)(i / EW_GROUP) * (size_t)blocks,
                                        y + (size_t)i * ldy + (size_t)t * EW_TILE_ROWS, ldy);
        }
    }
}

void ew_gemm_init_avx512vnni(struct ew_kernels *kernels)
{
    for (int type = 0; type < EW_TYPE_COUNT; type++)
        if (products[type][1])
            kernels->gemm[type] = gemm;
    ew_gemm_floats_init_avx512vnni(kernels);
}
