/* float.c - fills the scalar reference of everything but the matrix product into the table. */
#include "kernels/kernels_int.h"

void ew_float_init_c(struct ew_kernels *kernels)
{
    kernels->quantize = ew_quantize_c;
    kernels->rmsnorm = ew_rmsnorm_c;
    kernels->add = ew_add_c;
    kernels->scale = ew_scale_c;
    kernels->softcap = ew_softcap_c;
    kernels->silu_mul = ew_silu_mul_c;
    kernels->gelu_mul = ew_gelu_mul_c;
    kernels->rope_pairs = ew_rope_pairs_c;
    kernels->rope_halves = ew_rope_halves_c;
    kernels->store_k = ew_store_k_c;
    kernels->store_v = ew_store_v_c;
    kernels->attend_scores = ew_attend_scores_c;
    kernels->softmax = ew_softmax_c;
    kernels->attend_mix = ew_attend_mix_c;
}
