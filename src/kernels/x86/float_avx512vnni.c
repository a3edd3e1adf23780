/* float_avx512vnni.c - everything but products and attention, 16 floats at a time.
 *
 * Tails use masks, which also keep the loads inside the arrays. Bits as in ref_*.c. A head is too
 * short for rope to gain: measured, half the speed of AVX2's, which stays in the table. */
#include "kernels/x86/math_avx512vnni.h"

#include <math.h>

/* Inputs 4j..4j+3 of a token lie 16 bytes apart in an ew_xblock: every fourth 32-bit lane. */
static void store_quants(struct ew_xblock *block, int slot, __m256i q)
{
    __mmask16 mine = (__mmask16)(0x1111 << slot);
    __m512i wide = _mm512_castsi256_si512(q);
    __m512i low = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(4));

    _mm512_mask_storeu_epi32(block->q[0], mine, _mm512_permutexvar_epi32(low, wide));
    _mm512_mask_storeu_epi32(block->q[4], mine, _mm512_permutexvar_epi32(high, wide));
}

static __m128i quantize16(__m512 x, __m512 d, __mmask16 not_zero)
{
    __m512 v = _mm512_maskz_div_ps(not_zero, x, d);
    v = _mm512_max_ps(v, _mm512_set1_ps(-127.0f));
    v = _mm512_min_ps(v, _mm512_set1_ps(127.0f));
    return _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v));
}

static void quantize(const float *x, int k, struct ew_xblock *blocks, int slot)
{
    for (int b = 0; b < k / EW_BLOCK; b++) {
        struct ew_xblock *block = &blocks[b];
        __m512 x0 = _mm512_loadu_ps(x + (size_t)b * EW_BLOCK);
        __m512 x1 = _mm512_loadu_ps(x + (size_t)b * EW_BLOCK + 16);
        __m512 max = _mm512_max_ps(_mm512_abs_ps(x0), _mm512_setzero_ps());
        max = _mm512_max_ps(_mm512_abs_ps(x1), max);

        __m256 m8 = _mm256_max_ps(_mm512_castps512_ps256(max), _mm512_extractf32x8_ps(max, 1));
        __m128 m4 = _mm_max_ps(_mm256_castps256_ps128(m8), _mm256_extractf128_ps(m8, 1));
        m4 = _mm_max_ps(m4, _mm_movehl_ps(m4, m4));
        m4 = _mm_max_ss(m4, _mm_shuffle_ps(m4, m4, 1));
        __m128 d = _mm_div_ss(m4, _mm_set_ss(127.0f));
        __m512 d16 = _mm512_broadcastss_ps(d);
        __mmask16 not_zero = _mm512_cmp_ps_mask(d16, _mm512_setzero_ps(), _CMP_NEQ_UQ);

        __m256i q = _mm256_set_m128i(quantize16(x1, d16, not_zero), quantize16(x0, d16, not_zero));
        store_quants(block, slot, q);

        /* Sums of 4, then of 16 within each half. */
        __m256i s = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(1), q);
        s = _mm256_add_epi32(s, _mm256_shuffle_epi32(s, 0x4e));
        s = _mm256_add_epi32(s, _mm256_shuffle_epi32(s, 0xb1));
        int32_t first = _mm_cvtsi128_si32(_mm256_castsi256_si128(s));
        int32_t all = first + _mm_cvtsi128_si32(_mm256_extracti128_si256(s, 1));
        block->d[slot] = _mm_cvtss_f32(d);
        block->ds[slot] = _mm_cvtss_f32(d) * (float)all;
        block->neg[0][slot] = -all;
        block->neg[1][slot] = -first;
    }
}

static inline void norm16(float *y, const float *x, const float *w, __m512 by, __mmask16 m)
{
    __m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(m, x), by);
    _mm512_mask_storeu_ps(y, m, _mm512_mul_ps(v, _mm512_maskz_loadu_ps(m, w)));
}

/* A masked load of no lanes is avoided where the next page might not be ours: it doesn't fault, but
 * takes hundreds of cycles. */
static void rmsnorm(float *y, const float *x, const float *w, int n, float eps)
{
    __m512 sum = _mm512_setzero_ps();
    int i = 0;

    for (; i + 16 <= n; i += 16) {
        __m512 v = _mm512_loadu_ps(x + i);
        sum = _mm512_fmadd_ps(v, v, sum);
    }
    if (i < n) {
        __m512 v = _mm512_maskz_loadu_ps(first_lanes(n - i), x + i);
        sum = _mm512_fmadd_ps(v, v, sum);
    }

    __m512 by = _mm512_set1_ps(1.0f / sqrtf(sum16(sum) / (float)n + eps));
    for (i = 0; i + 16 <= n; i += 16)
        norm16(y + i, x + i, w + i, by, 0xffff);
    if (i < n)
        norm16(y + i, x + i, w + i, by, first_lanes(n - i));
}

static void add(float *y, const float *x, int n)
{
    for (int i = 0; i < n; i += 16) {
        __mmask16 m = first_lanes(n - i);
        __m512 v = _mm512_maskz_loadu_ps(m, y + i);
        _mm512_mask_storeu_ps(y + i, m, _mm512_add_ps(v, _mm512_maskz_loadu_ps(m, x + i)));
    }
}

static void scale(float *y, float by, int n)
{
    for (int i = 0; i < n; i += 16) {
        __mmask16 m = first_lanes(n - i);
        __m512 v = _mm512_maskz_loadu_ps(m, y + i);
        _mm512_mask_storeu_ps(y + i, m, _mm512_mul_ps(v, _mm512_set1_ps(by)));
    }
}

static void softcap(float *y, float cap, int n)
{
    const __m512 c = _mm512_set1_ps(cap);

    for (int i = 0; i < n; i += 16) {
        __mmask16 m = first_lanes(n - i);
        __m512 v = _mm512_div_ps(_mm512_maskz_loadu_ps(m, y + i), c);
        _mm512_mask_storeu_ps(y + i, m, _mm512_mul_ps(c, tanh16(v)));
    }
}

/* gate / (1 + exp(minus)) * up */
static inline __m512 gated(__m512 gate, __m512 minus, __m512 up)
{
    minus = _mm512_min_ps(minus, _mm512_set1_ps(EW_GATE_MAX));
    minus = _mm512_max_ps(minus, _mm512_set1_ps(EW_GATE_MIN));
    __m512 e = _mm512_add_ps(_mm512_set1_ps(1.0f), exp16_inside(minus));
    return _mm512_mul_ps(_mm512_div_ps(gate, e), up);
}

static inline __m512 negate(__m512 v)
{
    return _mm512_xor_ps(v, _mm512_set1_ps(-0.0f));
}

static inline void silu16(float *y, const float *gate, const float *up, __mmask16 m)
{
    __m512 g = _mm512_maskz_loadu_ps(m, gate), u = _mm512_maskz_loadu_ps(m, up);
    _mm512_mask_storeu_ps(y, m, gated(g, negate(g), u));
}

static void silu_mul(float *y, const float *gate, const float *up, int n)
{
    int i = 0;

    for (; i + 16 <= n; i += 16)
        silu16(y + i, gate + i, up + i, 0xffff);
    if (i < n)
        silu16(y + i, gate + i, up + i, first_lanes(n - i));
}

static inline void gelu16(float *y, const float *gate, const float *up, __mmask16 m)
{
    const __m512 minus_a = _mm512_set1_ps(-EW_GELU_A), minus_b = _mm512_set1_ps(-EW_GELU_B);
    __m512 g = _mm512_maskz_loadu_ps(m, gate), u = _mm512_maskz_loadu_ps(m, up);
    __m512 inner = _mm512_fmadd_ps(_mm512_mul_ps(g, g), minus_b, minus_a);
    _mm512_mask_storeu_ps(y, m, gated(g, _mm512_mul_ps(g, inner), u));
}

static void gelu_mul(float *y, const float *gate, const float *up, int n)
{
    int i = 0;

    for (; i + 16 <= n; i += 16)
        gelu16(y + i, gate + i, up + i, 0xffff);
    if (i < n)
        gelu16(y + i, gate + i, up + i, first_lanes(n - i));
}

void ew_float_init_avx512vnni(struct ew_kernels *kernels)
{
    kernels->quantize = quantize;
    kernels->rmsnorm = rmsnorm;
    kernels->add = add;
    kernels->scale = scale;
    kernels->softcap = softcap;
    kernels->silu_mul = silu_mul;
    kernels->gelu_mul = gelu_mul;
    ew_attn_init_avx512vnni(kernels);
}
