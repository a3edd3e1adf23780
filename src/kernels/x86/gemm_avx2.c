/* gemm_avx2.c - products of quantised weights with 256-bit vectors.
 *
 * There is no 8-bit dot product here: vpmaddubsw multiplies unsigned by signed bytes and adds pairs
 * into 16 bits, with saturation. Sums stay exact because only so many are added before they are
 * widened: levels of 4, 5, 6 bits times 127 fill 16 bits after 8, 4, 2 groups (30480, 31496,
 * 32004). 8-bit weights go signed, as magnitude times input with the weight's sign: 2 x 128 x 127
 * = 32512 fits once; that an input is never -128 is the quantiser's promise. Integer sums being
 * exact, the bits are those of the reference.
 *
 * A vector is half a tile: 8 rows. 4 tokens at once, the token count a compile-time constant. */
#include <immintrin.h>

#include "kernels/kernels_int.h"
#include "kernels/tile.h"

#define ALWAYS static inline __attribute__((always_inline))

enum {
    HALVES = 2,           /* vectors of a tile's 16 rows */
    WIDE = EW_GROUP,      /* tokens of the widest kernel: 8 float sums, 4 or 8 integer ones */
    AHEAD = 2048,         /* bytes of weights that are asked of the memory before they are due */
    STRIP_BYTES = 131072, /* weights that stay in the second-level cache while tokens pass by */
};

typedef uint16_t u16x16 __attribute__((vector_size(32)));

/* The intrinsic wants a literal, which a loop variable isn't until it is unrolled. */
ALWAYS __m256i shift_right(__m256i v, int by)
{
    return (__m256i)((u16x16)v >> (uint16_t)by);
}

ALWAYS __m256i masked(__m256i v, int byte)
{
    return _mm256_and_si256(v, _mm256_set1_epi8((char)byte));
}

/* Vector i of a block, half h of the rows. */
ALWAYS __m256i vector(const uint8_t *data, int i, int h)
{
    return _mm256_load_si256((const __m256i *)(data + 64 * i + 32 * h));
}

/* The levels of group g of a block for 8 rows: tile.h says where their bits are. */
ALWAYS __m256i levels(const int bits, const uint8_t *data, const int g, const int h)
{
    if (bits == 8)
        return _mm256_xor_si256(vector(data, g, h), _mm256_set1_epi8((char)0x80)); /* signed */
    if (bits == 6) {
        const uint8_t *c = data + 64 * 3 * (g / 4);
        if (g % 4 < 3)
            return masked(vector(c, g % 4, h), 0x3f);
        __m256i high = masked(shift_right(vector(c, 2, h), 2), 0x30);
        __m256i middle = masked(shift_right(vector(c, 1, h), 4), 0x0c);
        __m256i low = masked(shift_right(vector(c, 0, h), 6), 0x03);
        return _mm256_or_si256(high, _mm256_or_si256(middle, low));
    }
    if (bits == 4 && g < 4)
        return masked(vector(data, g, h), 0x0f);
    if (bits == 4)
        return masked(shift_right(vector(data, g - 4, h), 4), 0x0f);
    if (g < 4)
        return masked(vector(data, 1 + g, h), 0x1f);
    return _mm256_or_si256(masked(shift_right(vector(data, g - 3, h), 3), 0x1c),
                           masked(shift_right(vector(data, 0, h), 2 * (g - 4)), 0x03));
}

/* Four inputs of a group of one token, in each lane. */
ALWAYS __m256i inputs(const int8_t *x)
{
    int32_t four;

    __builtin_memcpy(&four, x, sizeof(four));
    return _mm256_set1_epi32(four);
}

/* Pairs of products, 16 bits each. */
ALWAYS __m256i products16(const int bits, __m256i w, __m256i in)
{
    if (bits == 8)
        return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(in, w));
    return _mm256_maddubs_epi16(w, in);
}

/* The compiler takes integer sums for trees, whose leaves it then keeps on the stack: 24 stores and
 * loads a block. What it can't see through stays the running sum that it is, in its register. */
ALWAYS void in_order(__m256i *sum)
{
    __asm__("" : "+x"(*sum));
}

/* Adds the dot products of groups [g0, g1) of one block, 16 rows, to acc[.][0 .. n). An input is
 * loaded once for both halves of the rows: loads are what there are most of. */
ALWAYS void dots(__m256i (*acc)[WIDE], const int bits, const int n, const uint8_t *data,
                 const struct ew_xblock *x, const int g0, const int g1)
{
    const int span = bits == 4 ? 8 : bits == 5 ? 4 : bits == 6 ? 2 : 1; /* groups in 16 bits */
    __m256i sum[HALVES][WIDE];

#pragma GCC unroll 8
    for (int from = g0; from < g1; from += span) {
#pragma GCC unroll 8
        for (int g = from; g < from + span; g++) {
            const __m256i w[HALVES] = {levels(bits, data, g, 0), levels(bits, data, g, 1)};
#pragma GCC unroll 4
            for (int i = 0; i < n; i++) {
                const __m256i in = inputs(x->q[g][i]);
#pragma GCC unroll 2
                for (int h = 0; h < HALVES; h++) {
                    __m256i p = products16(bits, w[h], in);
                    sum[h][i] = g == from ? p : _mm256_add_epi16(sum[h][i], p);
                    in_order(&sum[h][i]);
                }
            }
        }
#pragma GCC unroll 2
        for (int h = 0; h < HALVES; h++)
#pragma GCC unroll 4
            for (int i = 0; i < n; i++)
                acc[h][i] =
                    _mm256_add_epi32(acc[h][i], _mm256_madd_epi16(sum[h][i], _mm256_set1_epi16(1)));
    }
}

ALWAYS __m256 half_row(const uint8_t *at, int h)
{
    return _mm256_cvtph_ps(_mm_load_si128((const __m128i *)(at + 16 * h)));
}

ALWAYS __m256 byte_row(const uint8_t *at, int h)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)(at + 8 * h))));
}

/* -zero * sum(q) in each lane; the 8-bit weights are signed already. */
ALWAYS __m256i start(const int bits, const int zero, const int32_t neg)
{
    return zero && bits != 8 ? _mm256_slli_epi32(_mm256_set1_epi32(neg), bits - 1)
                             : _mm256_setzero_si256();
}

ALWAYS void add_scaled(__m256 *sums, const int n, const __m256i *acc, __m256 d,
                       const struct ew_xblock *x)
{
#pragma GCC unroll 4
    for (int i = 0; i < n; i++)
        sums[i] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc[i]),
                                  _mm256_mul_ps(d, _mm256_set1_ps(x->d[i])), sums[i]);
}

/* The constant term that 8 rows have. */
ALWAYS void add_constant(__m256 *sums, const int n, __m256 add, const struct ew_xblock *x)
{
#pragma GCC unroll 4
    for (int i = 0; i < n; i++)
        sums[i] = _mm256_fmadd_ps(add, _mm256_set1_ps(x->ds[i]), sums[i]);
}

ALWAYS __m256i scale_row(const uint8_t *scales, int half, int h)
{
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)(scales + 16 * half + 8 * h)));
}

/* Integer sums of the block. */
ALWAYS void sum_block(__m256i (*acc)[WIDE], const struct ew_tile_shape shape, const int n,
                      const uint8_t *data, const struct ew_xblock *x)
{
#pragma GCC unroll 4
    for (int i = 0; i < n; i++)
        acc[0][i] = acc[1][i] = start(shape.bits, shape.zero, x->neg[0][i]);
    dots(acc, shape.bits, n, data, x, 0, 8);
}

/* The same for Q6_K, whose inputs 0..15 and 16..31 have integer scales of their own. */
ALWAYS void sum_scaled(__m256i (*acc)[WIDE], const int n, const uint8_t *data,
                       const uint8_t *scales, const struct ew_xblock *x)
{
    __m256i first[HALVES][WIDE];

#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        first[0][i] = first[1][i] = start(6, 32, x->neg[1][i]);
        acc[0][i] = acc[1][i] = start(6, 32, x->neg[0][i] - x->neg[1][i]);
    }
    dots(first, 6, n, data, x, 0, 4);
    dots(acc, 6, n, data, x, 4, 8);
#pragma GCC unroll 2
    for (int h = 0; h < HALVES; h++)
#pragma GCC unroll 4
        for (int i = 0; i < n; i++)
            acc[h][i] = _mm256_add_epi32(_mm256_mullo_epi32(first[h][i], scale_row(scales, 0, h)),
                                         _mm256_mullo_epi32(acc[h][i], scale_row(scales, 1, h)));
}

/* sums[h][0 .. n) += one block of half h of the rows, whose integer sums are acc. */
ALWAYS void add_half(__m256 *sums, const enum ew_type type, const int n, const uint8_t *super,
                     const uint8_t *scales, const __m256i *acc, const struct ew_xblock *x,
                     const int h)
{
    const struct ew_tile_shape shape = ew_tile_shape(type);
    __m256 d = half_row(shape.super_bytes ? super : scales, h), add = d;

    if (type != EW_TYPE_Q6_K && shape.super_bytes) {
        d = _mm256_mul_ps(d, byte_row(scales, h));
        add = _mm256_mul_ps(half_row(super + 32, h), byte_row(scales + 16, h));
        add = _mm256_xor_ps(add, _mm256_set1_ps(-0.0f));
    } else if (shape.scale_bytes == 64) {
        add = half_row(scales + 32, h);
    }
    add_scaled(sums, n, acc, d, x);
    if (!shape.zero)
        add_constant(sums, n, add, x);
}

/* Asks for as many bytes as a block has. The processor's own prefetcher stops at each page, and a
 * step of one token, which waits for memory, takes a sixth longer without this. Addresses beyond a
 * matrix are never read. */
ALWAYS void ask_ahead(const struct ew_tile_shape shape, const uint8_t *data)
{
    const size_t bytes = ew_tile_levels(shape) + (size_t)shape.scale_bytes;

#pragma GCC unroll 9
    for (size_t at = 0; at < bytes; at += EW_TILE_LINE)
        __builtin_prefetch(data + at + AHEAD);
}

/* One tile, the first n tokens of a group of `blocks` blocks. */
ALWAYS void product(const enum ew_type type, const int n, const uint8_t *tile, int blocks,
                    const struct ew_xblock *x, float *y, size_t ldy)
{
    const struct ew_tile_shape shape = ew_tile_shape(type);
    __m256 sums[HALVES][WIDE];

#pragma GCC unroll 4
    for (int i = 0; i < n; i++)
        sums[0][i] = sums[1][i] = _mm256_setzero_ps();
    for (int b = 0; b < blocks; b++, x++) {
        const uint8_t *super = tile + ew_tile_super(shape, (size_t)b);
        const uint8_t *scales = tile + ew_tile_scales(shape, (size_t)b);
        const uint8_t *data = tile + ew_tile_data(shape, (size_t)b);
        __m256i acc[HALVES][WIDE];
        ask_ahead(shape, data);
        if (type == EW_TYPE_Q6_K)
            sum_scaled(acc, n, data, scales, x);
        else
            sum_block(acc, shape, n, data, x);
        add_half(sums[0], type, n, super, scales, acc[0], x, 0);
        add_half(sums[1], type, n, super, scales, acc[1], x, 1);
    }
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        _mm256_storeu_ps(y + (size_t)i * ldy, sums[0][i]);
        _mm256_storeu_ps(y + (size_t)i * ldy + 8, sums[1][i]);
    }
}

typedef void product_fn(const uint8_t *tile, int blocks, const struct ew_xblock *x, float *y,
                        size_t ldy);

#define PRODUCT(type, n)                                                                           \
    static void product_##type##_##n(const uint8_t *tile, int blocks, const struct ew_xblock *x,   \
                                     float *y, size_t ldy)                                         \
    {                                                                                              \
        product(EW_TYPE_##type, n, tile, blocks, x, y, ldy);                                       \
    }
#define PRODUCTS(type) PRODUCT(type, 1) PRODUCT(type, 2) PRODUCT(type, 3) PRODUCT(type, 4)
#define QUANTISED(X)   X(Q4_0) X(Q4_1) X(Q5_0) X(Q5_1) X(Q8_0) X(Q4_K) X(Q5_K) X(Q6_K)

QUANTISED(PRODUCTS)

static product_fn *const products[EW_TYPE_COUNT][WIDE + 1] = {
#define X(type)                                                                                    \
    [EW_TYPE_##type] = {NULL, product_##type##_1, product_##type##_2, product_##type##_3,          \
                        product_##type##_4},
    QUANTISED(X)
#undef X
};

static void gemm(const struct ew_packed *w, int tile0, int tile1, const struct ew_input *x, int n,
                 float *y, size_t ldy)
{
    int blocks = w->cols / EW_BLOCK;
    int strip = 1 + (int)(STRIP_BYTES / w->tile_bytes);

    for (int first = tile0; first < tile1; first += strip) {
        int last = first + strip < tile1 ? first + strip : tile1;
        for (int i = 0; i < n; i += WIDE) {
            int take = n - i < WIDE ? n - i : WIDE;
            for (int t = first; t < last; t++)
                products[w->type][take](w->data + (size_t)t * w->tile_bytes, blocks,
                                        x->q + (size_t)(i / EW_GROUP) * (size_t)blocks,
                                        y + (size_t)i * ldy + (size_t)t * EW_TILE_ROWS, ldy);
        }
    }
}

void ew_gemm_init_avx2(struct ew_kernels *kernels)
{
    for (int type = 0; type < EW_TYPE_COUNT; type++)
        if (products[type][1])
            kernels->gemm[type] = gemm;
    ew_gemm_floats_init_avx2(kernels);
}
