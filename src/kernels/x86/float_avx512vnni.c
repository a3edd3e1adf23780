/* float_avx512vnni.c - not yet: the reference stays in the table. */
#include "kernels/kernels_int.h"

void ew_float_init_avx512vnni(struct ew_kernels *kernels)
{
    (void)kernels;
}
