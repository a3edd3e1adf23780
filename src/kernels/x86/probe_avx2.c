/* probe_avx2.c - the loops of probe.h, 32 bytes at a time.
 *
 * This set has no instruction that multiplies and sums four pairs; the three that do it together
 * (vpmaddubsw, vpmaddwd, vpaddd) are what its limit is made of. */
#include <immintrin.h>

#include "kernels/kernels_int.h"

enum { CHAINS = 8, MACS = 32 };

static uint64_t read_avx2(const void *data, size_t bytes)
{
    const __m256i *at = data;
    __m256i a[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
                    _mm256_setzero_si256()};

    for (size_t i = 0; i < bytes / sizeof(*at); i += 8) {
        a[0] = _mm256_xor_si256(_mm256_xor_si256(a[0], at[i]), at[i + 1]);
        a[1] = _mm256_xor_si256(_mm256_xor_si256(a[1], at[i + 2]), at[i + 3]);
        a[2] = _mm256_xor_si256(_mm256_xor_si256(a[2], at[i + 4]), at[i + 5]);
        a[3] = _mm256_xor_si256(_mm256_xor_si256(a[3], at[i + 6]), at[i + 7]);
    }
    __m256i all = _mm256_xor_si256(_mm256_xor_si256(a[0], a[1]), _mm256_xor_si256(a[2], a[3]));
    return (uint64_t)(_mm256_extract_epi64(all, 0) ^ _mm256_extract_epi64(all, 1) ^
                      _mm256_extract_epi64(all, 2) ^ _mm256_extract_epi64(all, 3));
}

static uint64_t int8_avx2(int rounds)
{
    const __m256i y = _mm256_set1_epi8(1), ones = _mm256_set1_epi16(1);
    __m256i x = _mm256_set1_epi8(1), acc[CHAINS];

#pragma GCC unroll 8
    for (int j = 0; j < CHAINS; j++)
        acc[j] = _mm256_setzero_si256();
    for (int i = 0; i < rounds; i++) {
#pragma GCC unroll 8
        for (int j = 0; j < CHAINS; j++) {
            /* An empty asm that claims to change x: else one product serves for all. */
            __asm__ volatile("" : "+x"(x));
            __m256i pairs = _mm256_maddubs_epi16(x, y);
            acc[j] = _mm256_add_epi32(acc[j], _mm256_madd_epi16(pairs, ones));
        }
    }
#pragma GCC unroll 8
    for (int j = 0; j < CHAINS; j++)
        __asm__ volatile("" : : "x"(acc[j]));
    return (uint64_t)rounds * CHAINS * MACS;
}

void ew_probe_init_avx2(struct ew_probe *probe)
{
    probe->read = read_avx2;
    probe->int8 = int8_avx2;
}
