/* kernels.c - fills the table of kernels for one processor: the reference first, then upwards. */
#include "kernels/kernels_int.h"

typedef void init_fn(struct ew_kernels *kernels);

static init_fn *const inits[EW_ISA_COUNT][2] = {
    [EW_ISA_SCALAR] = {ew_gemm_init_c, ew_float_init_c},
#if defined(__x86_64__)
    [EW_ISA_AVX2] = {ew_gemm_init_avx2, ew_float_init_avx2},
    [EW_ISA_AVX512VNNI] = {ew_gemm_init_avx512vnni, ew_float_init_avx512vnni},
#endif
};

void ew_kernels_select(struct ew_kernels *kernels, enum ew_isa isa_max)
{
    enum ew_isa has = ew_isa_detect();

    memset(kernels, 0, sizeof(*kernels));
    kernels->isa = isa_max < has ? isa_max : has;
    for (int isa = 0; isa <= (int)kernels->isa; isa++)
        for (int topic = 0; topic < 2; topic++)
            if (inits[isa][topic])
                inits[isa][topic](kernels);
}
