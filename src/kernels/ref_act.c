/* ref_act.c - activations and the soft cap: the specification.
 *
 * silu(g) = g * sigmoid(g) (Elfwing et al. 2017, arXiv 1702.03118). gelu in the tanh form
 * (Hendrycks and Gimpel 2016, arXiv 1606.08415), which gemma is trained with:
 * 0.5 g (1 + tanh(u)), u = sqrt(2 / pi) (g + 0.044715 g^3). Since (1 + tanh(u)) / 2 = sigmoid(2u),
 * it is g / (1 + exp(-2u)): one exp, one division, and no cancellation for negative g. The argument
 * of exp is limited instead of its result corrected, which takes fewer vector instructions. */
#include "kernels/kernels_int.h"

#include <math.h>

void ew_softcap_c(float *y, float cap, int n)
{
    for (int i = 0; i < n; i++)
        y[i] = cap * ew_tanhf(y[i] / cap);
}

/* gate / (1 + exp(minus)) * up */
static float gated(float gate, float minus, float up)
{
    minus = minus < EW_GATE_MAX ? minus : EW_GATE_MAX; /* NaN too */
    minus = minus > EW_GATE_MIN ? minus : EW_GATE_MIN;
    return gate / (1.0f + ew_expf(minus)) * up;
}

void ew_silu_mul_c(float *y, const float *gate, const float *up, int n)
{
    for (int i = 0; i < n; i++)
        y[i] = gated(gate[i], -gate[i], up[i]);
}

void ew_gelu_mul_c(float *y, const float *gate, const float *up, int n)
{
    for (int i = 0; i < n; i++)
        y[i] = gated(gate[i], -gate[i] * fmaf(gate[i] * gate[i], EW_GELU_B, EW_GELU_A), up[i]);
}
