/* ref_math.c - half floats, exp, tanh, sine and cosine: the same bits on every machine.
 *
 * libm's functions differ between versions and machines, and a model's answer must not. So these
 * are our own: a reduction, a polynomial, and nothing but additions, multiplications and fused
 * multiply-adds that IEEE 754 defines exactly. The vector kernels do the same operations in the
 * same order. Not a number in: something out, no trap.
 *
 * Coefficients: our own weighted minimax fits (Lawson's iteration on 4000 Chebyshev nodes, relative
 * error), rounded to float. */
#include "kernels/kernels_int.h"

#include <math.h>

float ew_half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t magnitude = h & 0x7fff;

    if (magnitude >= 0x7c00) { /* infinity; a NaN is made quiet as the hardware does */
        uint32_t quiet = magnitude > 0x7c00 ? 0x400000 : 0;
        return ew_float_of(sign | 0x7f800000 | (magnitude & 0x3ff) << 13 | quiet);
    }
    if (magnitude >= 0x400)
        return ew_float_of(sign | ((magnitude << 13) + (112u << 23)));
    /* Subnormal halves count units of 2^-24; the product is exact. */
    return ew_float_of(sign | ew_bits_of((float)magnitude * 5.9604644775390625e-8f));
}

uint16_t ew_half_from_float(float f)
{
    /* Written so that NaN becomes the lowest number, as vector maximum does with this order. */
    f = f > -EW_HALF_MAX ? f : -EW_HALF_MAX;
    f = f < EW_HALF_MAX ? f : EW_HALF_MAX;

    uint32_t bits = ew_bits_of(f);
    uint32_t sign = bits >> 16 & 0x8000;
    uint32_t magnitude = bits & 0x7fffffff;

    if (magnitude < 113u << 23) /* below 2^-14: one ulp of 0.5 is 2^-24, so the sum rounds for us */
        return (uint16_t)(sign | (ew_bits_of(ew_float_of(magnitude) + 0.5f) - (126u << 23)));
    magnitude += 0xfff + (magnitude >> 13 & 1);
    return (uint16_t)(sign | ((magnitude - (112u << 23)) >> 13));
}

float ew_bf16_to_float(uint16_t h)
{
    return ew_float_of((uint32_t)h << 16);
}

float ew_expf(float x)
{
    /* x = n ln 2 + r, |r| <= ln 2 / 2; exp(x) = 2^n exp(r). */
    float shifted = fmaf(x, EW_EXP_LOG2E, EW_EXP_MAGIC);
    float n = shifted - EW_EXP_MAGIC;
    float r = fmaf(n, -EW_EXP_LN2_LO, fmaf(n, -EW_EXP_LN2_HI, x));
    /* exp(r) = 1 + r + r^2 (...): fit error 3.1e-9 before rounding. */
    float p = fmaf(EW_EXP_C6, r, EW_EXP_C5);
    p = fmaf(p, r, EW_EXP_C4);
    p = fmaf(p, r, EW_EXP_C3);
    p = fmaf(p, r, EW_EXP_C2);
    p = fmaf(p, r, 1.0f);
    p = fmaf(p, r, 1.0f);
    /* The low bits of `shifted` are n; the rest leaves by the shift. Within the limits the result
     * is a normal number, so adding to the exponent multiplies exactly. */
    float y = ew_float_of(ew_bits_of(p) + (ew_bits_of(shifted) << 23));

    if (x < EW_EXP_MIN)
        return 0.0f;
    return x > EW_EXP_MAX ? EW_EXP_HUGE : y;
}

float ew_tanhf(float x)
{
    float a = fabsf(x);
    float y;

    if (a < EW_TANH_SMALL) { /* x + x^3 T(x^2): 1 - 2 / (...) would lose all digits near 0 */
        float s = a * a;
        float p = fmaf(EW_TANH_T4, s, EW_TANH_T3);
        p = fmaf(p, s, EW_TANH_T2);
        p = fmaf(p, s, EW_TANH_T1);
        p = fmaf(p, s, EW_TANH_T0);
        y = fmaf(p * s, a, a);
    } else {
        y = 1.0f - 2.0f / (ew_expf(a + a) + 1.0f);
    }
    return copysignf(y, x);
}

/* Taylor series on |r| <= pi / 4: the first term left out is below 3e-17 for both. */
static double sine_near_zero(double r)
{
    static const double c[] = {
        -1.0 / 6,        1.0 / 120,          -1.0 / 5040,           1.0 / 362880,
        -1.0 / 39916800, 1.0 / 6227020800.0, -1.0 / 1307674368000.0};
    double s = r * r, p = c[6];

    for (int i = 5; i >= 0; i--)
        p = fma(p, s, c[i]);
    return fma(p * s, r, r);
}

static double cosine_near_zero(double r)
{
    static const double c[] = {
        -0.5,           1.0 / 24,        -1.0 / 720,           1.0 / 40320,
        -1.0 / 3628800, 1.0 / 479001600, -1.0 / 87178291200.0, 1.0 / 20922789888000.0};
    double s = r * r, p = c[7];

    for (int i = 6; i >= 0; i--)
        p = fma(p, s, c[i]);
    return fma(p, s, 1.0);
}

void ew_sincos(double x, double *sin, double *cos)
{
    /* x = n pi/2 + r. pi/2 in two doubles (106 bits); the first fma is exact by cancellation. */
    static const double two_over_pi = 0.63661977236758134308;
    static const double half_pi_hi = 1.57079632679489661923;
    static const double half_pi_lo = 6.12323399573676603587e-17;
    static const double magic = 6755399441055744.0; /* 1.5 * 2^52 */
    double shifted = fma(x, two_over_pi, magic);
    double n = shifted - magic;
    double r = fma(n, -half_pi_lo, fma(n, -half_pi_hi, x));
    double s = sine_near_zero(r), c = cosine_near_zero(r);
    uint64_t quadrant;

    memcpy(&quadrant, &shifted, sizeof(quadrant));
    switch (quadrant & 3) {
    case 0:
        *sin = s, *cos = c;
        break;
    case 1:
        *sin = c, *cos = -s;
        break;
    case 2:
        *sin = -s, *cos = -c;
        break;
    default:
        *sin = -c, *cos = s;
    }
}
