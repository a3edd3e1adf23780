/* float_stub.c - stands in for the float kernels until they are there; goes with their arrival. */
#include "kernels/kernels_int.h"

static float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof(f));
    return f;
}

float ew_half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, magnitude = h & 0x7fff;

    if (magnitude >= 0x7c00)
        return float_of(sign | 0x7f800000 | magnitude << 13);
    if (magnitude < 0x400)
        return (sign ? -1.0f : 1.0f) * (float)magnitude * 0x1p-24f;
    return float_of(sign | ((magnitude << 13) + (112u << 23)));
}

float ew_bf16_to_float(uint16_t h)
{
    return float_of((uint32_t)h << 16);
}

void ew_float_init_c(struct ew_kernels *kernels)
{
    (void)kernels;
}

#if defined(__x86_64__)
void ew_float_init_avx2(struct ew_kernels *kernels)
{
    (void)kernels;
}

void ew_float_init_avx512vnni(struct ew_kernels *kernels)
{
    (void)kernels;
}
#endif
