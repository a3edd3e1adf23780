/* hash.h - a sum of 64 bits by which texts are told apart: not to keep secrets, nor to stand up to
 * who chooses the texts; where strangers do, the start is mixed with a secret.
 *
 * FNV-1a (Fowler, Noll, Vo) by eight bytes at a time, folded after each, and its rest by bytes: a
 * conversation of 8 KB takes 2.7 us and not 12.8. Not for files: another version may sum
 * otherwise. */
#ifndef EW_HASH_H
#define EW_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define EW_HASH_START 0xcbf29ce484222325u

static inline uint64_t ew_hash_bytes(uint64_t sum, const char *data, size_t bytes)
{
    const uint64_t odd = 0x9e3779b97f4a7c15u;
    uint64_t eight;
    for (; bytes >= sizeof eight; data += sizeof eight, bytes -= sizeof eight) {
        memcpy(&eight, data, sizeof eight);
        sum = (sum ^ eight) * odd;
        sum ^= sum >> 32; /* a product's low bits know nothing of the high ones */
    }
    for (size_t i = 0; i < bytes; i++)
        sum = (sum ^ (unsigned char)data[i]) * 0x100000001b3u;
    return sum;
}

#endif
