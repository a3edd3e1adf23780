/* rng.h - the only source of randomness: same seed, same numbers, on every machine.
 *
 * xoshiro256** (Blackman and Vigna 2018, doi:10.1145/3460772), seeded through splitmix64. Not for
 * secrets. */
#ifndef EW_RNG_H
#define EW_RNG_H

#include <stdint.h>

struct ew_rng {
    uint64_t state[4];
};

void ew_rng_init(struct ew_rng *rng, uint64_t seed);
uint64_t ew_rng_next(struct ew_rng *rng);
double ew_rng_uniform(struct ew_rng *rng);                 /* [0, 1), 53 bits */
uint64_t ew_rng_below(struct ew_rng *rng, uint64_t bound); /* [0, bound), unbiased; bound > 0 */

#endif
