/* float_avx2.c - everything but products and attention, 8 floats at a time.
 *
 * Tails go to the reference, whose bits these are. */
#include "kernels/x86/math_avx2.h"

#include <math.h>

static inline __m256 absolute(__m256 v)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v);
}

static inline __m256i quantize8(const float *x, __m256 d, __m256 not_zero)
{
    __m256 v = _mm256_and_ps(not_zero, _mm256_div_ps(_mm256_loadu_ps(x), d));
    v = _mm256_max_ps(v, _mm256_set1_ps(-127.0f));
    v = _mm256_min_ps(v, _mm256_set1_ps(127.0f));
    return _mm256_cvtps_epi32(v);
}

/* Inputs 4j..4j+3 of a token lie 16 bytes apart in an ew_xblock. */
static void store_quants(struct ew_xblock *block, int slot, __m256i q)
{
    int32_t fours[8];

    _mm256_storeu_si256((void *)fours, q);
    for (int j = 0; j < 8; j++)
        memcpy(block->q[j][slot], &fours[j], 4);
}

static void quantize_block(const float *x, struct ew_xblock *block, int slot)
{
    __m256 m = _mm256_setzero_ps();
    for (int i = 0; i < EW_BLOCK; i += 8)
        m = _mm256_max_ps(absolute(_mm256_loadu_ps(x + i)), m);

    float d = max8(m) / 127.0f;
    __m256 d8 = _mm256_set1_ps(d);
    __m256 not_zero = _mm256_cmp_ps(d8, _mm256_setzero_ps(), _CMP_NEQ_UQ);
    __m256i a = quantize8(x, d8, not_zero), b = quantize8(x + 8, d8, not_zero);
    __m256i c = quantize8(x + 16, d8, not_zero), e = quantize8(x + 24, d8, not_zero);
    /* Packing works within 128-bit halves; the permutation puts fours back in order. */
    __m256i q = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, e));
    q = _mm256_permutevar8x32_epi32(q, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    store_quants(block, slot, q);

    __m256i s = _mm256_maddubs_epi16(_mm256_set1_epi8(1), q);
    s = _mm256_madd_epi16(s, _mm256_set1_epi16(1));
    s = _mm256_add_epi32(s, _mm256_shuffle_epi32(s, 0x4e));
    s = _mm256_add_epi32(s, _mm256_shuffle_epi32(s, 0xb1));
    int32_t first = _mm_cvtsi128_si32(_mm256_castsi256_si128(s));
    int32_t all = first + _mm_cvtsi128_si32(_mm256_extracti128_si256(s, 1));
    block->d[slot] = d;
    block->ds[slot] = d * (float)all;
    block->neg[0][slot] = -all;
    block->neg[1][slot] = -first;
}

static void quantize(const float *x, int k, struct ew_xblock *blocks, int slot)
{
    for (int b = 0; b < k / EW_BLOCK; b++)
        quantize_block(x + (size_t)b * EW_BLOCK, &blocks[b], slot);
}

static float sum_of_squares(const float *x, int n)
{
    __m256 low = _mm256_setzero_ps(), high = _mm256_setzero_ps();
    float tail[16] = {0};
    int i = 0;

    for (; i + 16 <= n; i += 16) {
        __m256 a = _mm256_loadu_ps(x + i), b = _mm256_loadu_ps(x + i + 8);
        low = _mm256_fmadd_ps(a, a, low);
        high = _mm256_fmadd_ps(b, b, high);
    }
    for (int j = 0; i + j < n; j++) /* zeros add nothing to the other lanes */
        tail[j] = x[i + j];
    __m256 a = _mm256_loadu_ps(tail), b = _mm256_loadu_ps(tail + 8);
    return sum16_of(_mm256_fmadd_ps(a, a, low), _mm256_fmadd_ps(b, b, high));
}

static void rmsnorm(float *y, const float *x, const float *w, int n, float eps)
{
    float by = 1.0f / sqrtf(sum_of_squares(x, n) / (float)n + eps);
    __m256 by8 = _mm256_set1_ps(by);
    int i = 0;

    for (; i + 8 <= n; i += 8) {
        __m256 v = _mm256_mul_ps(_mm256_loadu_ps(x + i), by8);
        _mm256_storeu_ps(y + i, _mm256_mul_ps(v, _mm256_loadu_ps(w + i)));
    }
    for (; i < n; i++)
        y[i] = x[i] * by * w[i];
}

static void add(float *y, const float *x, int n)
{
    int i = 0;

    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_add_ps(_mm256_loadu_ps(y + i), _mm256_loadu_ps(x + i)));
    ew_add_c(y + i, x + i, n - i);
}

static void scale(float *y, float by, int n)
{
    int i = 0;

    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_mul_ps(_mm256_loadu_ps(y + i), _mm256_set1_ps(by)));
    ew_scale_c(y + i, by, n - i);
}

static void softcap(float *y, float cap, int n)
{
    const __m256 c = _mm256_set1_ps(cap);
    int i = 0;

    for (; i + 8 <= n; i += 8) {
        __m256 v = _mm256_div_ps(_mm256_loadu_ps(y + i), c);
        _mm256_storeu_ps(y + i, _mm256_mul_ps(c, tanh8(v)));
    }
    ew_softcap_c(y + i, cap, n - i);
}

/* gate / (1 + exp(minus)) * up */
static inline __m256 gated(__m256 gate, __m256 minus, __m256 up)
{
    minus = _mm256_min_ps(minus, _mm256_set1_ps(EW_GATE_MAX));
    minus = _mm256_max_ps(minus, _mm256_set1_ps(EW_GATE_MIN));
    __m256 e = _mm256_add_ps(_mm256_set1_ps(1.0f), exp8_inside(minus));
    return _mm256_mul_ps(_mm256_div_ps(gate, e), up);
}

static void silu_mul(float *y, const float *gate, const float *up, int n)
{
    int i = 0;

    for (; i + 8 <= n; i += 8) {
        __m256 g = _mm256_loadu_ps(gate + i), u = _mm256_loadu_ps(up + i);
        _mm256_storeu_ps(y + i, gated(g, _mm256_xor_ps(g, _mm256_set1_ps(-0.0f)), u));
    }
    ew_silu_mul_c(y + i, gate + i, up + i, n - i);
}

static void gelu_mul(float *y, const float *gate, const float *up, int n)
{
    const __m256 minus_a = _mm256_set1_ps(-EW_GELU_A), minus_b = _mm256_set1_ps(-EW_GELU_B);
    int i = 0;

    for (; i + 8 <= n; i += 8) {
        __m256 g = _mm256_loadu_ps(gate + i), u = _mm256_loadu_ps(up + i);
        __m256 inner = _mm256_fmadd_ps(_mm256_mul_ps(g, g), minus_b, minus_a);
        _mm256_storeu_ps(y + i, gated(g, _mm256_mul_ps(g, inner), u));
    }
    ew_gelu_mul_c(y + i, gate + i, up + i, n - i);
}

/* Four numbers, each twice: the factors of four pairs. */
static inline __m256 twice(const float *four)
{
    const __m256i index = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
    return _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(four)), index);
}

static void rope_pairs(float *x, const float *cosines, const float *sines, int half)
{
    int i = 0;

    for (; i + 4 <= half; i += 4) {
        __m256 v = _mm256_loadu_ps(x + 2 * i);
        __m256 other = _mm256_mul_ps(_mm256_permute_ps(v, 0xb1), twice(sines + i));
        _mm256_storeu_ps(x + 2 * i, _mm256_fmaddsub_ps(v, twice(cosines + i), other));
    }
    ew_rope_pairs_c(x + 2 * i, cosines + i, sines + i, half - i);
}

static void rope_halves(float *x, const float *cosines, const float *sines, int half)
{
    int i = 0;

    for (; i + 8 <= half; i += 8) {
        __m256 c = _mm256_loadu_ps(cosines + i), s = _mm256_loadu_ps(sines + i);
        __m256 a = _mm256_loadu_ps(x + i), b = _mm256_loadu_ps(x + half + i);
        _mm256_storeu_ps(x + i, _mm256_fmsub_ps(a, c, _mm256_mul_ps(b, s)));
        _mm256_storeu_ps(x + half + i, _mm256_fmadd_ps(b, c, _mm256_mul_ps(a, s)));
    }
    for (; i < half; i++) {
        float a = x[i], b = x[i + half];
        x[i] = fmaf(a, cosines[i], -(b * sines[i]));
        x[i + half] = fmaf(b, cosines[i], a * sines[i]);
    }
}

void ew_float_init_avx2(struct ew_kernels *kernels)
{
    kernels->quantize = quantize;
    kernels->rmsnorm = rmsnorm;
    kernels->add = add;
    kernels->scale = scale;
    kernels->softcap = softcap;
    kernels->silu_mul = silu_mul;
    kernels->gelu_mul = gelu_mul;
    kernels->rope_pairs = rope_pairs;
    kernels->rope_halves = rope_halves;
    ew_attn_init_avx2(kernels);
}
