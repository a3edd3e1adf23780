/* attn_avx512vnni.c - attention, 16 positions or 16 dimensions at a time.
 *
 * Both products share what they load: a block of up to 8 rows (tokens x query heads of one KV head)
 * walks the pages once, so each vector of halves is converted once for all of them. The rows of a
 * block are a compile-time constant: accumulators live in registers. 16 of them cover the latency
 * of fused multiply-add (4 cycles, one 512-bit a cycle on Zen 4). Bits as in ref_attn.c. Storing
 * stays AVX2's: single halves gain nothing from the width. */
#include "kernels/x86/attn_ahead.h"
#include "kernels/x86/math_avx512vnni.h"

enum { ROWS_MAX = 8 };

static inline __m512 from_halves(const uint16_t *h)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)h));
}

/* Scores of `rows` rows against one page: both its tiles at once. */
static inline __attribute__((always_inline)) void score_page(float *const *s, const float *const *q,
                                                             int rows, int dim,
                                                             const uint16_t *page,
                                                             const uint16_t *ahead, int at)
{
    __m512 acc0[ROWS_MAX], acc1[ROWS_MAX];
    const uint16_t *second = page + (size_t)dim * EW_KV_TILE;

#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
        acc0[i] = acc1[i] = _mm512_setzero_ps();
    for (int d = 0; d < dim; d++) {
        _mm_prefetch(ahead + d * EW_PAGE, _MM_HINT_T0);
        __m512 k0 = from_halves(page + d * EW_KV_TILE);
        __m512 k1 = from_halves(second + d * EW_KV_TILE);
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            __m512 x = _mm512_set1_ps(q[i][d]);
            acc0[i] = _mm512_fmadd_ps(x, k0, acc0[i]);
            acc1[i] = _mm512_fmadd_ps(x, k1, acc1[i]);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
        _mm512_storeu_ps(s[i] + at, acc0[i]);
        _mm512_storeu_ps(s[i] + at + EW_KV_TILE, acc1[i]);
    }
}

static void score_rows(float *const *s, const float *const *q, int rows, int dim,
                       const uint16_t *page, const uint16_t *ahead, int at)
{
    switch (rows) {
    case 1:
        score_page(s, q, 1, dim, page, ahead, at);
        break;
    case 2:
        score_page(s, q, 2, dim, page, ahead, at);
        break;
    case 3:
        score_page(s, q, 3, dim, page, ahead, at);
        break;
    case 4:
        score_page(s, q, 4, dim, page, ahead, at);
        break;
    case 5:
        score_page(s, q, 5, dim, page, ahead, at);
        break;
    case 6:
        score_page(s, q, 6, dim, page, ahead, at);
        break;
    case 7:
        score_page(s, q, 7, dim, page, ahead, at);
        break;
    default:
        score_page(s, q, 8, dim, page, ahead, at);
    }
}

/* Rows are cut into blocks as equal as can be: 9 are 5 and 4, not 8 and 1. */
static int block_rows(int rows)
{
    int blocks = (rows + ROWS_MAX - 1) / ROWS_MAX;
    return (rows + blocks - 1) / blocks;
}

static void attend_scores(float *const *s, const float *const *q, int rows, int dim,
                          const uint16_t *const *pages, size_t offset, int page0, int page1)
{
    /* Pages outside, blocks of rows inside: a page (4 KB at dim 64) stays in L1 for all rows. */
    for (int page = page0; page < page1; page++) {
        const uint16_t *ahead = ew_attn_ahead_scores(pages, offset, dim, page, page0, page1);
        for (int i = 0, n; i < rows; i += n) {
            n = block_rows(rows - i);
            score_rows(s + i, q + i, n, dim, pages[page] + offset, ahead, page * EW_PAGE);
        }
    }
}

/* Lanes of the 16 positions from p that lie in [lo, hi). */
static inline __mmask16 lanes_between(int p, int lo, int hi)
{
    __mmask16 from = lo > p ? first_lanes(lo - p) : 0;
    return (__mmask16)(first_lanes(hi - p) & ~from);
}

static void cap_positions(float *s, int lo, int hi, float scale, float softcap)
{
    const __m512 by = _mm512_set1_ps(scale), cap = _mm512_set1_ps(softcap);

    for (int p = lo & ~15; p < hi; p += 16) {
        __mmask16 m = lanes_between(p, lo, hi);
        __m512 v = _mm512_mul_ps(by, _mm512_maskz_loadu_ps(m, s + p));
        v = _mm512_mul_ps(cap, tanh16(_mm512_div_ps(v, cap)));
        _mm512_mask_storeu_ps(s + p, m, v);
    }
}

static float max_position(const float *s, int lo, int hi)
{
    __m512 max = _mm512_set1_ps(-__builtin_inff());
    int p = lo & ~15, full = (lo + 15) & ~15;

    if (p < full) {
        __mmask16 m = lanes_between(p, lo, hi);
        max = _mm512_mask_max_ps(max, m, _mm512_maskz_loadu_ps(m, s + p), max);
    }
    for (p = full; p + 16 <= hi; p += 16)
        max = _mm512_max_ps(_mm512_loadu_ps(s + p), max);
    if (p < hi) {
        __mmask16 m = first_lanes(hi - p);
        max = _mm512_mask_max_ps(max, m, _mm512_maskz_loadu_ps(m, s + p), max);
    }
    return _mm512_reduce_max_ps(max);
}

/* s = exp(scale * s + minus) in the lanes of m, 0 in the others. */
static inline __m512 exp_positions(float *s, __mmask16 m, __m512 scale, __m512 minus)
{
    __m512 v = _mm512_fmadd_ps(scale, _mm512_maskz_loadu_ps(m, s), minus);
    v = _mm512_maskz_mov_ps(m, exp16_low(v));
    _mm512_storeu_ps(s, v);
    return v;
}

static void softmax(float *s, int lo, int hi, int end, float scale, float softcap)
{
    int start = lo & ~15, p = start;

    if (softcap > 0) {
        cap_positions(s, lo, hi, scale, softcap);
        scale = 1;
    }
    __m512 by = _mm512_set1_ps(scale);
    __m512 minus = _mm512_set1_ps(-(scale * max_position(s, lo, hi)));
    __m512 sum = _mm512_setzero_ps();
    if (p < lo) {
        sum = exp_positions(s + p, lanes_between(p, lo, hi), by, minus);
        p += 16;
    }
    for (; p + 16 <= hi; p += 16)
        sum = _mm512_add_ps(sum, exp_positions(s + p, 0xffff, by, minus));
    if (p < hi)
        sum = _mm512_add_ps(sum, exp_positions(s + p, first_lanes(hi - p), by, minus));

    by = _mm512_set1_ps(1.0f / sum16(sum));
    for (p = 0; p < start; p += 16)
        _mm512_storeu_ps(s + p, _mm512_setzero_ps());
    for (; p < hi; p += 16)
        _mm512_storeu_ps(s + p, _mm512_mul_ps(_mm512_loadu_ps(s + p), by));
    for (; p < end; p += 16)
        _mm512_storeu_ps(s + p, _mm512_setzero_ps());
}

struct mix {
    float *const *out;
    const float *const *s;
    const uint16_t *const *pages;
    size_t offset;
    int dim, page0, page1;
};

/* `rows` rows by `vectors` times 16 dimensions from d; `last` masks the last vector. */
static inline __attribute__((always_inline)) void mix_block(const struct mix *mix, int rows,
                                                            int vectors, int d, __mmask16 last)
{
    __m512 acc[ROWS_MAX][4], v[4];
    const float *s[ROWS_MAX];

#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
        s[i] = mix->s[i] + (size_t)mix->page0 * EW_PAGE;
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++)
            acc[i][j] = _mm512_setzero_ps();
    }
    for (int page = mix->page0; page < mix->page1; page++) {
        const uint16_t *from = mix->pages[page] + mix->offset + d;
        const uint16_t *ahead =
            ew_attn_ahead_mix(mix->pages, mix->offset + (size_t)d, page, mix->page1);
        for (int p = 0; p < EW_PAGE; p++, from += mix->dim, ahead += mix->dim) {
#pragma GCC unroll 2
            for (int j = 0; j < vectors; j += 2)
                _mm_prefetch(ahead + 16 * j, _MM_HINT_T0);
#pragma GCC unroll 4
            for (int j = 0; j < vectors; j++)
                v[j] = j < vectors - 1
                           ? from_halves(from + 16 * j)
                           : _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(last, from + 16 * j));
#pragma GCC unroll 8
            for (int i = 0; i < rows; i++) {
                __m512 weight = _mm512_set1_ps(s[i][p]);
#pragma GCC unroll 4
                for (int j = 0; j < vectors; j++)
                    acc[i][j] = _mm512_fmadd_ps(weight, v[j], acc[i][j]);
            }
        }
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++)
            s[i] += EW_PAGE;
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++)
            _mm512_mask_storeu_ps(mix->out[i] + d + 16 * j, j < vectors - 1 ? 0xffff : last,
                                  acc[i][j]);
}

/* Up to 4 rows take 64 dimensions at once, more take 32: at most 16 accumulators. */
static inline __attribute__((always_inline)) void mix_columns(const struct mix *mix, int rows,
                                                              int d0, int d1)
{
    int d = d0;

    if (rows <= 4)
        for (; d1 - d >= 64; d += 64)
            mix_block(mix, rows, 4, d, 0xffff);
    for (; d1 - d >= 32; d += 32)
        mix_block(mix, rows, 2, d, 0xffff);
    for (; d < d1; d += 16)
        mix_block(mix, rows, 1, d, first_lanes(d1 - d));
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
    case 6:
        mix_columns(mix, 6, d0, d1);
        break;
    case 7:
        mix_columns(mix, 7, d0, d1);
        break;
    default:
        mix_columns(mix, 8, d0, d1);
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

void ew_attn_init_avx512vnni(struct ew_kernels *kernels)
{
    kernels->attend_scores = attend_scores;
    kernels->softmax = softmax;
    kernels->attend_mix = attend_mix;
}
