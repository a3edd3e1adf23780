/* unicode.c - the class of a character: a table for ASCII, a binary search of runs above.
 *
 * There are some 1,400 runs, so a search is 11 steps: about 10 ns a character, against some 200 ns
 * that merging a character costs. A flat table would be 1 MiB for that. */
#include "model/unicode.h"

enum { ASCII = 128, CLASS_BITS = 3, CLASS_MASK = 7, LAST_POINT = 0x10FFFF };

static enum ew_unicode_class search(uint32_t point)
{
    size_t low = 0, high = ew_unicode_start_count; /* starts[low] <= point < starts[high] */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (ew_unicode_starts[middle] >> CLASS_BITS <= point)
            low = middle;
        else
            high = middle;
    }
    return (enum ew_unicode_class)(ew_unicode_starts[low] & CLASS_MASK);
}

/* Most text is ASCII, so these are worth a table of their own. */
#define O EW_UNICODE_OTHER
#define L EW_UNICODE_LETTER
#define N EW_UNICODE_NUMBER
#define P EW_UNICODE_PUNCTUATION
#define S EW_UNICODE_SPACE
static const uint8_t ascii[ASCII] = {
    O, O, O, O, O, O, O, O, O, S, S, S, S, S, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O,
    S, P, P, P, O, P, P, P, P, P, P, O, P, P, P, P, N, N, N, N, N, N, N, N, N, N, P, P, O, O, O, P,
    P, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, P, P, P, O, P,
    O, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, P, O, P, O, O,
};
#undef O
#undef L
#undef N
#undef P
#undef S

enum ew_unicode_class ew_unicode_class(uint32_t point)
{
    if (point < ASCII)
        return (enum ew_unicode_class)ascii[point];
    return point <= LAST_POINT ? search(point) : EW_UNICODE_OTHER;
}
