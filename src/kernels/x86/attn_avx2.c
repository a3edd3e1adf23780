/* attn_avx2.c - the KV cache and attention, 8 positions or 8 dimensions at a time.
 *
 * As attn_avx512vnni.c, with blocks that fit 16 registers: up to 6 rows by two vectors. Bits as in
 * ref_attn.c. */
#include "kernels/x86/attn_ahead.h"
#include "kernels/x86/math_avx2.h"

enum { ROWS_MAX = 6 };

static inline __m128i to_halves(const float *x)
{
    __m256 v = _mm256_loadu_ps(x);
    v = _mm256_max_ps(v, _mm256_set1_ps(-EW_HALF_MAX)); /* this order turns NaN into a number */
    v = _mm256_min_ps(v, _mm256_set1_ps(EW_HALF_MAX));
    return _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline __m256 from_halves(const uint16_t *h)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const void *)h));
}

static void store_v(uint16_t *page, const float *v, int dim, int index)
{
    for (int d = 0; d < dim; d += 8)
        _mm_storeu_si128((void *)(page + (size_t)index * dim + d), to_halves(v + d));
}

static void store_k(uint16_t *page, const float *k, int dim, int index)
{
    uint16_t *tile = page + (size_t)(index / EW_KV_TILE) * dim * EW_KV_TILE + index % EW_KV_TILE;
    uint16_t half[8];

    for (int d = 0; d < dim; d += 8) {
        _mm_storeu_si128((void *)half, to_halves(k + d));
        for (int i = 0; i < 8; i++)
            tile[(size_t)(d + i) * EW_KV_TILE] = half[i];
    }
}

/* Scores of `rows` rows against one tile of 16 positions. */
static inline __attribute__((always_inline)) void score_tile(float *const *s, const float *const *q,
                                                             int rows, int dim,
                                                             const uint16_t *tile,
                                                             const uint16_t *ahead, int at)
{
    __m256 acc0[ROWS_MAX], acc1[ROWS_MAX];

#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
        acc0[i] = acc1[i] = _mm256_setzero_ps();
    for (int d = 0; d < dim; d++) {
        _mm_prefetch(ahead + d * EW_KV_TILE, _MM_HINT_T0);
        __m256 k0 = from_halves(tile + d * EW_KV_TILE);
        __m256 k1 = from_halves(tile + d * EW_KV_TILE + 8);
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++) {
            __m256 x = _mm256_set1_ps(q[i][d]);
            acc0[i] = _mm256_fmadd_ps(x, k0, acc0[i]);
            acc1[i] = _mm256_fmadd_ps(x, k1, acc1[i]);
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++) {
        _mm256_storeu_ps(s[i] + at, acc0[i]);
        _mm256_storeu_ps(s[i] + at + 8, acc1[i]);
    }
}

static void score_rows(float *const *s, const float *const *q, int rows, int dim,
                       const uint16_t *tile, const uint16_t *ahead, int at)
{
    switch (rows) {
    case 1:
        score_tile(s, q, 1, dim, tile, ahead, at);
        break;
    case 2:
        score_tile(s, q, 2, dim, tile, ahead, at);
        break;
    case 3:
        score_tile(s, q, 3, dim, tile, ahead, at);
        break;
    case 4:
        score_tile(s, q, 4, dim, tile, ahead, at);
        break;
    case 5:
        score_tile(s, q, 5, dim, tile, ahead, at);
        break;
    default:
        score_tile(s, q, 6, dim, tile, ahead, at);
    }
}

/* Rows are cut into blocks as equal as can be: 7 are 4 and 3, not 6 and 1. */
static int block_rows(int rows)
{
    int blocks = (rows + ROWS_MAX - 1) / ROWS_MAX;
    return (rows + blocks - 1) / blocks;
}

static void attend_scores(float *const *s, const float *const *q, int rows, int dim,
                          const uint16_t *const *pages, size_t offset, int page0, int page1)
{
    for (int page = page0; page < page1; page++) {
        const uint16_t *ahead = ew_attn_ahead_scores(pages, offset, dim, page, page0, page1);
        for (int p = 0; p < EW_PAGE; p += EW_KV_TILE)
            for (int i = 0, n; i < rows; i += n) {
                size_t at = (size_t)p * (size_t)dim;
                n = block_rows(rows - i);
                score_rows(s + i, q + i, n, dim, pages[page] + offset + at, ahead + at,
                           page * EW_PAGE + p);
            }
    }
}

/* Up to 16 positions at either end that aren't attended to: exp makes them 0. */
static void mark(float *s, int from, int to)
{
    for (int p = from; p < to; p++)
        s[p] = -__builtin_inff();
}

static void cap_positions(float *s, int from, int to, float scale, float softcap)
{
    const __m256 by = _mm256_set1_ps(scale), cap = _mm256_set1_ps(softcap);

    for (int p = from; p < to; p += 8) {
        __m256 v = _mm256_div_ps(_mm256_mul_ps(by, _mm256_loadu_ps(s + p)), cap);
        _mm256_storeu_ps(s + p, _mm256_mul_ps(cap, tanh8(v)));
    }
}

static inline __m256 exp_positions(float *s, __m256 scale, __m256 minus)
{
    __m256 v = exp8_low(_mm256_fmadd_ps(scale, _mm256_loadu_ps(s), minus));
    _mm256_storeu_ps(s, v);
    return v;
}

static void softmax(float *s, int lo, int hi, int end, float scale, float softcap)
{
    int from = lo & ~15, to = (hi + 15) & ~15;
    __m256 max = _mm256_set1_ps(-__builtin_inff());
    __m256 low = _mm256_setzero_ps(), high = _mm256_setzero_ps();

    if (softcap > 0) {
        cap_positions(s, from, to, scale, softcap);
        scale = 1;
    }
    mark(s, from, lo);
    mark(s, hi, to);
    for (int p = from; p < to; p += 8)
        max = _mm256_max_ps(_mm256_loadu_ps(s + p), max);

    __m256 by = _mm256_set1_ps(scale), minus = _mm256_set1_ps(-(scale * max8(max)));
    for (int p = from; p < to; p += 16) {
        low = _mm256_add_ps(low, exp_positions(s + p, by, minus));
        high = _mm256_add_ps(high, exp_positions(s + p + 8, by, minus));
    }
    by = _mm256_set1_ps(1.0f / sum16_of(low, high));
    for (int p = from; p < to; p += 8)
        _mm256_storeu_ps(s + p, _mm256_mul_ps(_mm256_loadu_ps(s + p), by));
    memset(s, 0, (size_t)from * sizeof(*s));
    memset(s + to, 0, (size_t)(end - to) * sizeof(*s));
}

struct mix {
    float *const *out;
    const float *const *s;
    const uint16_t *const *pages;
    size_t offset;
    int dim, page0, page1;
};

/* `rows` rows by `vectors` times 8 dimensions from d. */
static inline __attribute__((always_inline)) void mix_block(const struct mix *mix, int rows,
                                                            int vectors, int d)
{
    __m256 acc[ROWS_MAX][4], v[4];
    const float *s[ROWS_MAX];

#pragma GCC unroll 6
    for (int i = 0; i < rows; i++) {
        s[i] = mix->s[i] + (size_t)mix->page0 * EW_PAGE;
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++)
            acc[i][j] = _mm256_setzero_ps();
    }
    for (int page = mix->page0; page < mix->page1; page++) {
        const uint16_t *from = mix->pages[page] + mix->offset + d;
        const uint16_t *ahead =
            ew_attn_ahead_mix(mix->pages, mix->offset + (size_t)d, page, mix->page1);
        for (int p = 0; p < EW_PAGE; p++, from += mix->dim, ahead += mix->dim) {
            _mm_prefetch(ahead, _MM_HINT_T0);
#pragma GCC unroll 4
            for (int j = 0; j < vectors; j++)
                v[j] = from_halves(from + 8 * j);
#pragma GCC unroll 6
            for (int i = 0; i < rows; i++) {
                __m256 weight = _mm256_set1_ps(s[i][p]);
#pragma GCC unroll 4
                for (int j = 0; j < vectors; j++)
                    acc[i][j] = _mm256_fmadd_ps(weight, v[j], acc[i][j]);
            }
        }
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++)
            s[i] += EW_PAGE;
    }
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++)
            _mm256_storeu_ps(mix->out[i] + d + 8 * j, acc[i][j]);
}

/* One or two rows take 32 dimensions at once, more take 16: at most 12 accumulators. */
static inline __attribute__((always_inline)) void mix_columns(const struct mix *mix, int rows,
                                                              int d0, int d1)
{
    int d = d0;

    if (rows <= 2)
        for (; d1 - d >= 32; d += 32)
            mix_block(mix, rows, 4, d);
    for (; d1 - d >= 16; d += 16)
        mix_block(mix, rows, 2, d);
    for (; d < d1; d += 8)
        mix_block(mix, rows, 1, d);
}

static void mix_rows(const struct mix *mix, int rows, int d0, int d1)
{
    switch (rows) {
    case 1:
        mix_columns(mix, 1, d0, d1);
        break;
    case 2:
        mix_columns(mix, 2, d0, d1);
        break;
    case 3:
        mix_columns(mix, 3, d0, d1);
        break;
    case 4:
        mix_columns(mix, 4, d0, d1);
        break;
    case 5:
        mix_columns(mix, 5, d0, d1);
        break;
    default:
        mix_columns(mix, 6, d0, d1);
    }
}

static void attend_mix(float *const *out, const float *const *s, int rows, int dim, int d0, int d1,
                       const uint16_t *const *pages, size_t offset, int page0, int page1)
{
    for (int i = 0, n; i < rows; i += n) {
        const struct mix mix = {out + i, s + i, pages, offset, dim, page0, page1};
        n = block_rows(rows - i);
        mix_rows(&mix, n, d0, d1);
    }
}

void ew_attn_init_avx2(struct ew_kernels *kernels)
{
    kernels->store_k = store_k;
    kernels->store_v = store_v;
    kernels->attend_scores = attend_scores;
    kernels->softmax = softmax;
    kernels->attend_mix = attend_mix;
}
