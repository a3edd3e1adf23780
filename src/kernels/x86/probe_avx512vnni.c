/* probe_avx512vnni.c - the loops of probe.h, 64 bytes at a time; vpdpbusd is the limit. */
#include <immintrin.h>

#include "kernels/kernels_int.h"

enum { CHAINS = 12, MACS = 64 };

static uint64_t read_avx512vnni(const void *data, size_t bytes)
{
    const __m512i *at = data;
    __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;

    for (size_t i = 0; i < bytes / sizeof(*at); i += 8) {
        /* 0x96 is the exclusive or of three. */
        a = _mm512_ternarylogic_epi64(a, at[i], at[i + 1], 0x96);
        b = _mm512_ternarylogic_epi64(b, at[i + 2], at[i + 3], 0x96);
        c = _mm512_ternarylogic_epi64(c, at[i + 4], at[i + 5], 0x96);
        d = _mm512_ternarylogic_epi64(d, at[i + 6], at[i + 7], 0x96);
    }
    a = _mm512_ternarylogic_epi64(_mm512_xor_si512(a, b), c, d, 0x96);
    __m256i half = _mm256_xor_si256(_mm512_castsi512_si256(a), _mm512_extracti64x4_epi64(a, 1));
    return (uint64_t)(_mm256_extract_epi64(half, 0) ^ _mm256_extract_epi64(half, 1) ^
                      _mm256_extract_epi64(half, 2) ^ _mm256_extract_epi64(half, 3));
}

static uint64_t int8_avx512vnni(int rounds)
{
    __m512i x = _mm512_set1_epi8(1), acc[CHAINS];

#pragma GCC unroll 12
    for (int j = 0; j < CHAINS; j++) {
        acc[j] = _mm512_setzero_si512();
        /* "Changed" each by itself: equal chains would be computed once, and the figure, three
         * times what the hardware can do, would be that of one chain's latency. */
        __asm__ volatile("" : "+v"(acc[j]));
    }
    for (int i = 0; i < rounds; i++) {
        __asm__ volatile("" : "+v"(x)); /* claims to change x: the loop isn't folded */
#pragma GCC unroll 12
        for (int j = 0; j < CHAINS; j++)
            acc[j] = _mm512_dpbusd_epi32(acc[j], x, x);
    }
#pragma GCC unroll 12
    for (int j = 0; j < CHAINS; j++)
        __asm__ volatile("" : : "v"(acc[j]));
    return (uint64_t)rounds * CHAINS * MACS;
}

void ew_probe_init_avx512vnni(struct ew_probe *probe)
{
    probe->read = read_avx512vnni;
    probe->int8 = int8_avx512vnni;
}
