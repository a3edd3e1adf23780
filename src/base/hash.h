/* hash.h - a sum of 64 bits by which texts are told apart: not to keep secrets, nor to stand up to
 * who chooses the texts; where strangers do, the start is mixed with a secret.
 *
 * Eight bytes at a time: both halves of a product of 128 bits are folded together, so that each bit
 * of a text reaches the low bits, too (wyhash, Wang Yi, does its steps so). The rest is FNV-1a,
 * Fowler, Noll, Vo. Not for files: another version may sum otherwise. */
#ifndef EW_HASH_H
#define EW_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define EW_HASH_START 0xcbf29ce484222325u

static inline uint64_t ew_hash_bytes(uint64_t sum, const char *data, size_t bytes)
{
    const uint64_t odd = 0x9e3779b97f4a7c15u; /* 2^64 / golden ratio, as splitmix64 has it */
    uint64_t eight;
    for (; bytes >= sizeof eight; data += sizeof eight, bytes -= sizeof eight) {
        memcpy(&eight, data, sizeof eight);
        unsigned __int128 product = (unsigned __int128)(sum ^ eight) * odd;
        sum = (uint64_t)product ^ (uint64_t)(product >> 64);
    }
    for (size_t i = 0; i < bytes; i++)
        sum = (sum ^ (unsigned char)data[i]) * 0x100000001b3u;
    return sum;
}

#endif
