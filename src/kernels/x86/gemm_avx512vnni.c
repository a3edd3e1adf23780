/* gemm_avx512vnni.c - the matrix product with 512-bit integer dot products. */
#include "kernels/kernels_int.h"

void ew_gemm_init_avx512vnni(struct ew_kernels *kernels)
{
    (void)kernels;
}
