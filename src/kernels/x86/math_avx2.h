/* math_avx2.h - exp and tanh of 8 floats at once, the operations of ref_math.c one by one, and the
 * fold of 16 lanes that the float kernels share. Only for files of that suffix. */
#ifndef EW_MATH_AVX2_H
#define EW_MATH_AVX2_H

#include <immintrin.h>

#include "kernels/kernels_int.h"

/* exp where the result is a normal number. */
static inline __m256 exp8_inside(__m256 x)
{
    const __m256 one = _mm256_set1_ps(1.0f), magic = _mm256_set1_ps(EW_EXP_MAGIC);
    __m256 shifted = _mm256_fmadd_ps(x, _mm256_set1_ps(EW_EXP_LOG2E), magic);
    __m256 n = _mm256_sub_ps(shifted, magic);
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(EW_EXP_LN2_HI), x);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(EW_EXP_LN2_LO), r);
    __m256 p = _mm256_fmadd_ps(_mm256_set1_ps(EW_EXP_C6), r, _mm256_set1_ps(EW_EXP_C5));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EW_EXP_C4));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EW_EXP_C3));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EW_EXP_C2));
    p = _mm256_fmadd_ps(p, r, one);
    p = _mm256_fmadd_ps(p, r, one);
    __m256i power = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), power));
}

/* exp of what isn't above EW_EXP_MAX. */
static inline __m256 exp8_low(__m256 x)
{
    __m256 not_low = _mm256_cmp_ps(x, _mm256_set1_ps(EW_EXP_MIN), _CMP_NLT_UQ);
    return _mm256_and_ps(not_low, exp8_inside(x));
}

static inline __m256 exp8(__m256 x)
{
    __m256 high = _mm256_cmp_ps(x, _mm256_set1_ps(EW_EXP_MAX), _CMP_GT_OQ);
    return _mm256_blendv_ps(exp8_low(x), _mm256_set1_ps(EW_EXP_HUGE), high);
}

static inline __m256 tanh8(__m256 x)
{
    const __m256 one = _mm256_set1_ps(1.0f), sign = _mm256_set1_ps(-0.0f);
    __m256 a = _mm256_andnot_ps(sign, x);
    __m256 s = _mm256_mul_ps(a, a);
    __m256 p = _mm256_fmadd_ps(_mm256_set1_ps(EW_TANH_T4), s, _mm256_set1_ps(EW_TANH_T3));
    p = _mm256_fmadd_ps(p, s, _mm256_set1_ps(EW_TANH_T2));
    p = _mm256_fmadd_ps(p, s, _mm256_set1_ps(EW_TANH_T1));
    p = _mm256_fmadd_ps(p, s, _mm256_set1_ps(EW_TANH_T0));
    __m256 small = _mm256_fmadd_ps(_mm256_mul_ps(p, s), a, a);

    __m256 e = _mm256_add_ps(exp8(_mm256_add_ps(a, a)), one);
    __m256 y = _mm256_sub_ps(one, _mm256_div_ps(_mm256_set1_ps(2.0f), e));
    __m256 is_small = _mm256_cmp_ps(a, _mm256_set1_ps(EW_TANH_SMALL), _CMP_LT_OQ);
    y = _mm256_blendv_ps(y, small, is_small);
    return _mm256_or_ps(_mm256_andnot_ps(sign, y), _mm256_and_ps(sign, x));
}

/* Lanes 0..7 and 8..15 as a tree 16 -> 8 -> 4 -> 2 -> 1: i with i + half. */
static inline float sum16_of(__m256 low, __m256 high)
{
    __m256 a = _mm256_add_ps(low, high);
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_shuffle_ps(b, b, 1)));
}

static inline float max8(__m256 v)
{
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_shuffle_ps(m, m, 1)));
}

#endif
