/* json_plain.h - how much of a text stands in a JSON string as it is: nearly all of nearly every
 * one, so eight bytes at a time. */
#ifndef EW_JSON_PLAIN_H
#define EW_JSON_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline bool ew_json_is_plain(char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first byte is the lowest");

/* The bytes before the first that isn't printable ASCII, or is a quote or a backslash. */
static inline size_t ew_json_plain(const char *data, size_t bytes)
{
    const uint64_t ones = 0x0101010101010101u, highs = ones << 7;
    size_t i = 0;
    while (bytes >= 8 && i < bytes) {
        size_t at = i + 8 <= bytes ? i : bytes - 8; /* the last eight may have been seen in part */
        uint64_t eight;
        memcpy(&eight, data + at, 8);
        /* A byte's high bit is set where it is below 0x20, above 0x7e, or one of the two. A borrow
         * or carry comes from such a byte alone, so that the lowest is always a true one. */
        uint64_t odd = eight | (eight - 0x20 * ones) | (eight + ones) |
                       ((eight ^ '"' * ones) - ones) | ((eight ^ '\\' * ones) - ones);
        if (odd & highs)
            return at + (size_t)__builtin_ctzll(odd & highs) / 8;
        i = at + 8;
    }
    while (i < bytes && ew_json_is_plain(data[i]))
        i++;
    return i;
}

#endif
