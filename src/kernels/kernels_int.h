/* kernels_int.h - shared by the files of src/kernels/ alone.
 *
 * Each topic (gemm; float: everything else) has one init per instruction set. It overwrites the
 * slots of the table that it has something better for and leaves the others. ew_kernels_select
 * (kernels.c) calls them from the lowest set upwards. */
#ifndef EW_KERNELS_INT_H
#define EW_KERNELS_INT_H

#include <string.h>

#include "kernels/kernels.h"

void ew_gemm_init_c(struct ew_kernels *kernels);
void ew_float_init_c(struct ew_kernels *kernels);
#if defined(__x86_64__)
void ew_gemm_init_avx2(struct ew_kernels *kernels);
void ew_gemm_init_avx512vnni(struct ew_kernels *kernels);
void ew_float_init_avx2(struct ew_kernels *kernels);
void ew_float_init_avx512vnni(struct ew_kernels *kernels);
#endif

#endif
