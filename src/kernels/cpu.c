/* cpu.c - which instruction sets this processor has and the operating system lets us use.
 *
 * CPUID alone isn't enough: the wide registers are lost at a context switch unless the system saves
 * them, which XGETBV tells. Bits: Intel SDM volume 2A, CPUID leaves 1 and 7. */
#include "kernels/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>

enum {
    LEAF1_ECX_NEED = 1 << 12 | 1 << 27 | 1 << 28 | 1 << 29, /* FMA, OSXSAVE, AVX, F16C */
    LEAF7_EBX_AVX2 = 1 << 5,
    LEAF7_EBX_AVX512 = 1 << 16 | 1 << 17 | 1 << 30, /* F, DQ, BW; VL is bit 31 */
    LEAF7_ECX_VNNI = 1 << 11,
    XCR0_AVX = 0x06,    /* xmm, ymm */
    XCR0_AVX512 = 0xe6, /* and mask registers, zmm */
};

static uint32_t xcr0(void)
{
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

enum ew_isa ew_isa_detect(void)
{
    unsigned a, b, c, d;

    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & LEAF1_ECX_NEED) != LEAF1_ECX_NEED)
        return EW_ISA_SCALAR;
    uint32_t saved = xcr0();
    if ((saved & XCR0_AVX) != XCR0_AVX || !__get_cpuid_count(7, 0, &a, &b, &c, &d) ||
        !(b & LEAF7_EBX_AVX2))
        return EW_ISA_SCALAR;
    if ((saved & XCR0_AVX512) != XCR0_AVX512 || (b & LEAF7_EBX_AVX512) != LEAF7_EBX_AVX512 ||
        !(b >> 31) || !(c & LEAF7_ECX_VNNI))
        return EW_ISA_AVX2;
    return EW_ISA_AVX512VNNI;
}
#else
enum ew_isa ew_isa_detect(void)
{
    return EW_ISA_SCALAR;
}
#endif

const char *ew_isa_name(enum ew_isa isa)
{
    static const char *const names[EW_ISA_COUNT] = {"scalar", "avx2", "avx512vnni"};

    return (unsigned)isa < EW_ISA_COUNT ? names[isa] : "unknown";
}
