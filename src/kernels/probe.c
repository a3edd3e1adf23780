/* probe.c - the loops of probe.h in plain C, and the choice among instruction sets. */
#include "kernels/probe.h"

#include "kernels/kernels_int.h"

static uint64_t read_c(const void *data, size_t bytes)
{
    const uint64_t *at = data;
    uint64_t a = 0, b = 0, c = 0, d = 0;

    for (size_t i = 0; i < bytes / sizeof(*at); i += 4) {
        a ^= at[i];
        b ^= at[i + 1];
        c ^= at[i + 2];
        d ^= at[i + 3];
    }
    return a ^ b ^ c ^ d;
}

static uint64_t int8_c(int rounds)
{
    int32_t acc[4] = {0};
    int8_t x = 3, y = 5;

    for (int i = 0; i < rounds; i++) {
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            /* An empty asm that claims to change x: else the compiler multiplies once for all. */
            __asm__ volatile("" : "+r"(x));
            acc[j] += x * y;
        }
    }
    __asm__ volatile("" : : "r"(acc[0] + acc[1] + acc[2] + acc[3]));
    return (uint64_t)rounds * 4;
}

static void init_c(struct ew_probe *probe)
{
    *probe = (struct ew_probe){read_c, int8_c};
}

typedef void init_fn(struct ew_probe *probe);

static init_fn *const inits[EW_ISA_COUNT] = {
    [EW_ISA_SCALAR] = init_c,
#if defined(__x86_64__)
    [EW_ISA_AVX2] = ew_probe_init_avx2,
    [EW_ISA_AVX512VNNI] = ew_probe_init_avx512vnni,
#endif
};

void ew_probe_select(struct ew_probe *probe, enum ew_isa isa_max)
{
    enum ew_isa has = ew_isa_detect();

    for (int isa = 0; isa <= (int)(isa_max < has ? isa_max : has); isa++)
        if (inits[isa])
            inits[isa](probe);
}
