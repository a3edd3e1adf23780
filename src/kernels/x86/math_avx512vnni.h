/* math_avx512vnni.h - exp and tanh of 16 floats at once, the operations of ref_math.c one by one,
 * and the masks and folds that the float kernels share. Only for files of that suffix. */
#ifndef EW_MATH_AVX512VNNI_H
#define EW_MATH_AVX512VNNI_H

#include <immintrin.h>

#include "kernels/kernels_int.h"

/* The first n lanes, n in 0..16 (more counts as 16). */
static inline __mmask16 first_lanes(int n)
{
    return n >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << n) - 1);
}

/* exp where the result is a normal number. */
static inline __m512 exp16_inside(__m512 x)
{
    const __m512 one = _mm512_set1_ps(1.0f), magic = _mm512_set1_ps(EW_EXP_MAGIC);
    __m512 shifted = _mm512_fmadd_ps(x, _mm512_set1_ps(EW_EXP_LOG2E), magic);
    __m512 n = _mm512_sub_ps(shifted, magic);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(EW_EXP_LN2_HI), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(EW_EXP_LN2_LO), r);
    __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(EW_EXP_C6), r, _mm512_set1_ps(EW_EXP_C5));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EW_EXP_C4));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EW_EXP_C3));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EW_EXP_C2));
    p = _mm512_fmadd_ps(p, r, one);
    p = _mm512_fmadd_ps(p, r, one);
    __m512i power = _mm512_slli_epi32(_mm512_castps_si512(shifted), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p), power));
}

/* exp of what isn't above EW_EXP_MAX. */
static inline __m512 exp16_low(__m512 x)
{
    __mmask16 low = _mm512_cmp_ps_mask(x, _mm512_set1_ps(EW_EXP_MIN), _CMP_NLT_UQ);
    return _mm512_maskz_mov_ps(low, exp16_inside(x));
}

static inline __m512 exp16(__m512 x)
{
    __mmask16 high = _mm512_cmp_ps_mask(x, _mm512_set1_ps(EW_EXP_MAX), _CMP_GT_OQ);
    return _mm512_mask_mov_ps(exp16_low(x), high, _mm512_set1_ps(EW_EXP_HUGE));
}

static inline __m512 tanh16(__m512 x)
{
    const __m512 one = _mm512_set1_ps(1.0f);
    __m512 a = _mm512_abs_ps(x);
    __m512 s = _mm512_mul_ps(a, a);
    __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(EW_TANH_T4), s, _mm512_set1_ps(EW_TANH_T3));
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(EW_TANH_T2));
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(EW_TANH_T1));
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(EW_TANH_T0));
    __m512 small = _mm512_fmadd_ps(_mm512_mul_ps(p, s), a, a);

    __m512 e = _mm512_add_ps(exp16(_mm512_add_ps(a, a)), one);
    __m512 y = _mm512_sub_ps(one, _mm512_div_ps(_mm512_set1_ps(2.0f), e));
    __mmask16 is_small = _mm512_cmp_ps_mask(a, _mm512_set1_ps(EW_TANH_SMALL), _CMP_LT_OQ);
    y = _mm512_mask_mov_ps(y, is_small, small);

    const __m512 sign = _mm512_set1_ps(-0.0f);
    return _mm512_or_ps(_mm512_andnot_ps(sign, y), _mm512_and_ps(sign, x));
}

/* Lanes as a tree 16 -> 8 -> 4 -> 2 -> 1: i with i + half. */
static inline float sum16(__m512 v)
{
    __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_shuffle_ps(b, b, 1)));
}

#endif
