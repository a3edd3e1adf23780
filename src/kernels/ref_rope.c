/* ref_rope.c - rotary position embedding (Su et al. 2021, arXiv 2104.09864): the specification.
 *
 * Both numbers of a pair use the same form: own part fused onto the other's rounded product. The
 * tables of cosines and sines are made by whoever knows the model's frequencies. */
#include "kernels/kernels_int.h"

#include <math.h>

static void rotate(float *a, float *b, float c, float s)
{
    float x = *a, y = *b;

    *a = fmaf(x, c, -(y * s));
    *b = fmaf(y, c, x * s);
}

void ew_rope_pairs_c(float *x, const float *cosines, const float *sines, int half)
{
    for (int i = 0; i < half; i++)
        rotate(&x[2 * i], &x[2 * i + 1], cosines[i], sines[i]);
}

void ew_rope_halves_c(float *x, const float *cosines, const float *sines, int half)
{
    for (int i = 0; i < half; i++)
        rotate(&x[i], &x[i + half], cosines[i], sines[i]);
}
