/* ref_quant.c - one token's inputs as 8-bit integers with a scale for each 32: the specification.
 *
 * Division, not multiplication by a reciprocal: each step is one IEEE operation that any machine
 * rounds alike. The clamp matters only where d is subnormal and has few bits left. */
#include "kernels/kernels_int.h"

#include <math.h>

static int32_t round_even(float v)
{
    v = v > -127.0f ? v : -127.0f; /* NaN too */
    v = v < 127.0f ? v : 127.0f;
    return (int32_t)(ew_bits_of(v + EW_EXP_MAGIC) - ew_bits_of(EW_EXP_MAGIC));
}

static void quantize_block(const float *x, struct ew_xblock *block, int slot)
{
    float max = 0;
    int32_t sum[2] = {0, 0};

    for (int i = 0; i < EW_BLOCK; i++)
        max = fabsf(x[i]) > max ? fabsf(x[i]) : max;

    float d = max / 127.0f;
    for (int i = 0; i < EW_BLOCK; i++) {
        int32_t q = d == 0 ? 0 : round_even(x[i] / d);
        block->q[i / 4][slot][i % 4] = (int8_t)q;
        sum[i / 16] += q;
    }
    block->d[slot] = d;
    block->ds[slot] = d * (float)(sum[0] + sum[1]);
    block->neg[0][slot] = -(sum[0] + sum[1]);
    block->neg[1][slot] = -sum[0];
}

void ew_quantize_c(const float *x, int k, struct ew_xblock *blocks, int slot)
{
    for (int b = 0; b < k / EW_BLOCK; b++)
        quantize_block(x + (size_t)b * EW_BLOCK, &blocks[b], slot);
}
