/* ref_attn.c - the KV cache's pages and attention over them: the specification.
 *
 * A K page is turned so that 16 positions lie side by side for each dimension: a score is then a
 * lane, summed by itself in ascending dimension, and no vector is ever folded. A V page keeps
 * positions as rows: there the lane is a dimension. Masked positions have weight 0 and still take
 * part in the mix; that adds exactly nothing because stored halves are finite. */
#include "kernels/kernels_int.h"

#include <math.h>

void ew_store_k_c(uint16_t *page, const float *k, int dim, int index)
{
    uint16_t *tile = page + (size_t)(index / EW_KV_TILE) * dim * EW_KV_TILE + index % EW_KV_TILE;

    for (int d = 0; d < dim; d++)
        tile[(size_t)d * EW_KV_TILE] = ew_half_from_float(k[d]);
}

void ew_store_v_c(uint16_t *page, const float *v, int dim, int index)
{
    for (int d = 0; d < dim; d++)
        page[(size_t)index * dim + d] = ew_half_from_float(v[d]);
}

static void score_tile(float *s, const float *q, int dim, const uint16_t *tile)
{
    float acc[EW_KV_TILE] = {0};

    for (int d = 0; d < dim; d++)
        for (int p = 0; p < EW_KV_TILE; p++)
            acc[p] = fmaf(q[d], ew_half_to_float(tile[d * EW_KV_TILE + p]), acc[p]);
    memcpy(s, acc, sizeof(acc));
}

void ew_attend_scores_c(float *const *s, const float *const *q, int rows, int dim,
                        const uint16_t *const *pages, size_t offset, int page0, int page1)
{
    for (int page = page0; page < page1; page++)
        for (int p = 0; p < EW_PAGE; p += EW_KV_TILE)
            for (int i = 0; i < rows; i++)
                score_tile(s[i] + (size_t)page * EW_PAGE + p, q[i], dim,
                           pages[page] + offset + (size_t)p * dim);
}

void ew_softmax_c(float *s, int lo, int hi, int end, float scale, float softcap)
{
    float max = -INFINITY;
    float lane[16] = {0};

    for (int p = lo; p < hi; p++) {
        if (softcap > 0)
            s[p] = softcap * ew_tanhf(scale * s[p] / softcap);
        max = s[p] > max ? s[p] : max;
    }
    if (softcap > 0)
        scale = 1;
    float minus = -(scale * max); /* scaling keeps the order: the largest stays the largest */
    for (int p = lo; p < hi; p++) {
        s[p] = ew_expf(fmaf(scale, s[p], minus));
        lane[p % 16] += s[p];
    }
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            lane[i] += lane[i + half];

    float by = 1.0f / lane[0];
    for (int p = 0; p < end; p++)
        s[p] = p < lo || p >= hi ? 0.0f : s[p] * by;
}

void ew_attend_mix_c(float *const *out, const float *const *s, int rows, int dim, int d0, int d1,
                     const uint16_t *const *pages, size_t offset, int page0, int page1)
{
    for (int i = 0; i < rows; i++) {
        memset(out[i] + d0, 0, (size_t)(d1 - d0) * sizeof(float));
        for (int p = page0 * EW_PAGE; p < page1 * EW_PAGE; p++) {
            const uint16_t *v = pages[p / EW_PAGE] + offset + (size_t)(p % EW_PAGE) * dim;
            for (int d = d0; d < d1; d++)
                out[i][d] = fmaf(s[i][p], ew_half_to_float(v[d]), out[i][d]);
        }
    }
}
