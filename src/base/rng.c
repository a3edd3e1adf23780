/* rng.c - xoshiro256**, seeded by splitmix64 so that small seeds give unrelated streams. */
#include "base/rng.h"

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

void ew_rng_init(struct ew_rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        rng->state[i] = splitmix(&seed);
}

uint64_t ew_rng_next(struct ew_rng *rng)
{
    uint64_t *s = rng->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

double ew_rng_uniform(struct ew_rng *rng)
{
    return (double)(ew_rng_next(rng) >> 11) * 0x1p-53;
}

uint64_t ew_rng_below(struct ew_rng *rng, uint64_t bound)
{
    uint64_t reject_below = -bound % bound, x;
    do
        x = ew_rng_next(rng);
    while (x < reject_below);
    return x % bound;
}
