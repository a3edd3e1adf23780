/* spares.h - memory of one size that is given back and taken again.
 *
 * What a server needs for each request is kilobytes: more than malloc keeps at hand, so that it
 * would cut them from a larger piece and join them again each time. One thread. Under a sanitizer
 * nothing is kept, so that a use after the end is found. */
#ifndef EW_SPARES_H
#define EW_SPARES_H

#include <stddef.h>

struct ew_spares {
    size_t bytes;        /* of each */
    unsigned count, max; /* that are kept */
    void *first;
};

void ew_spares_init(struct ew_spares *spares, size_t bytes, unsigned max);
void ew_spares_fini(struct ew_spares *spares);
void *ew_spares_take(struct ew_spares *spares); /* all zero; NULL: no memory */
void ew_spares_give(struct ew_spares *spares, void *memory);

#endif
