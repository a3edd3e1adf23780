/* ref_norm.c - root-mean-square norm, addition, scaling: the specification.
 *
 * The one sum here runs in 16 lanes so that a 512-bit register, two 256-bit ones or four 128-bit
 * ones hold it, and is folded as a tree. */
#include "kernels/kernels_int.h"

#include <math.h>

void ew_rmsnorm_c(float *y, const float *x, const float *w, int n, float eps)
{
    float lane[16] = {0};

    for (int i = 0; i < n; i++)
        lane[i % 16] = fmaf(x[i], x[i], lane[i % 16]);
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            lane[i] += lane[i + half];

    float by = 1.0f / sqrtf(lane[0] / (float)n + eps);
    for (int i = 0; i < n; i++)
        y[i] = x[i] * by * w[i];
}

void ew_add_c(float *y, const float *x, int n)
{
    for (int i = 0; i < n; i++)
        y[i] += x[i];
}

void ew_scale_c(float *y, float by, int n)
{
    for (int i = 0; i < n; i++)
        y[i] *= by;
}
