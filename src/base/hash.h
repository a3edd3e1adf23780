/* hash.h - FNV-1a, 64 bits (Fowler, Noll, Vo): to tell texts apart, not to keep secrets or to stand
 * up to who chooses them; where strangers do, the start is mixed with a secret. */
#ifndef EW_HASH_H
#define EW_HASH_H

#include <stddef.h>
#include <stdint.h>

#define EW_HASH_START 0xcbf29ce484222325u

static inline uint64_t ew_hash_bytes(uint64_t sum, const char *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        sum = (sum ^ (unsigned char)data[i]) * 0x100000001b3u;
    return sum;
}

#endif
