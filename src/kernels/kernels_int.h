/* kernels_int.h - shared by the files of src/kernels/ alone.
 *
 * Each topic (gemm; float: everything else) has one init per instruction set. It overwrites the
 * slots of the table that it has something better for and leaves the others. ew_kernels_select
 * (kernels.c) calls them from the lowest set upwards. */
#ifndef EW_KERNELS_INT_H
#define EW_KERNELS_INT_H

#include <string.h>

#include "kernels/kernels.h"
#include "kernels/probe.h"

void ew_gemm_init_c(struct ew_kernels *kernels);
void ew_float_init_c(struct ew_kernels *kernels);
#if defined(__x86_64__)
void ew_gemm_init_avx2(struct ew_kernels *kernels);
void ew_gemm_init_avx512vnni(struct ew_kernels *kernels);
void ew_gemm_floats_init_avx2(struct ew_kernels *kernels);       /* called by ew_gemm_init_avx2 */
void ew_gemm_floats_init_avx512vnni(struct ew_kernels *kernels); /* likewise */
void ew_float_init_avx2(struct ew_kernels *kernels);
void ew_float_init_avx512vnni(struct ew_kernels *kernels);
void ew_attn_init_avx2(struct ew_kernels *kernels);       /* called by ew_float_init_avx2 */
void ew_attn_init_avx512vnni(struct ew_kernels *kernels); /* likewise */
void ew_probe_init_avx2(struct ew_probe *probe);
void ew_probe_init_avx512vnni(struct ew_probe *probe);
#endif

/* The scalar reference, for ew_float_init_c. */
void ew_quantize_c(const float *x, int k, struct ew_xblock *blocks, int slot);
void ew_rmsnorm_c(float *y, const float *x, const float *w, int n, float eps);
void ew_add_c(float *y, const float *x, int n);
void ew_scale_c(float *y, float by, int n);
void ew_softcap_c(float *y, float cap, int n);
void ew_silu_mul_c(float *y, const float *gate, const float *up, int n);
void ew_gelu_mul_c(float *y, const float *gate, const float *up, int n);
void ew_rope_pairs_c(float *x, const float *cosines, const float *sines, int half);
void ew_rope_halves_c(float *x, const float *cosines, const float *sines, int half);
void ew_store_k_c(uint16_t *page, const float *k, int dim, int index);
void ew_store_v_c(uint16_t *page, const float *v, int dim, int index);
void ew_attend_scores_c(float *const *s, const float *const *q, int rows, int dim,
                        const uint16_t *const *pages, size_t offset, int page0, int page1);
void ew_softmax_c(float *s, int lo, int hi, int end, float scale, float softcap);
void ew_attend_mix_c(float *const *out, const float *const *s, int rows, int dim, int d0, int d1,
                     const uint16_t *const *pages, size_t offset, int page0, int page1);

/* Constants of ref_math.c that the vector forms repeat; where they come from is said there. */
#define EW_EXP_LOG2E  1.44269504f
#define EW_EXP_MAGIC  12582912.0f /* 1.5 * 2^23: adding it rounds to an integer in the low bits */
#define EW_EXP_LN2_HI 0.693147182f
#define EW_EXP_LN2_LO (-1.90465421e-9f)
#define EW_EXP_C2     0.49999994f
#define EW_EXP_C3     0.16666521f
#define EW_EXP_C4     0.04166839f
#define EW_EXP_C5     0.008368717f
#define EW_EXP_C6     0.0013814599f
#define EW_EXP_MIN    (-87.3f)
#define EW_EXP_MAX    88.7f
#define EW_EXP_HUGE   3.40282347e+38f
#define EW_TANH_SMALL 0.625f
#define EW_TANH_T0    (-0.3333328f)
#define EW_TANH_T1    0.13331431f
#define EW_TANH_T2    (-0.053738758f)
#define EW_TANH_T3    0.020635819f
#define EW_TANH_T4    (-0.0057011857f)
/* gelu(g) = g * sigmoid(2u), 2u = g * (A + B g^2): see ref_act.c */
#define EW_GELU_A 1.59576912f
#define EW_GELU_B 0.0713548163f
/* Limits of exp's argument inside the gates: beyond them sigmoid is 0 or 1 to a float. */
#define EW_GATE_MIN (-87.0f)
#define EW_GATE_MAX 88.0f
#define EW_HALF_MAX 65504.0f

static inline uint32_t ew_bits_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof(bits));
    return bits;
}

static inline float ew_float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof(f));
    return f;
}

#endif
