/* spares.c - a list through the first bytes of what isn't used. */
#include "base/spares.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

#ifdef EW_SANITIZED
enum { KEEPS_SOME = 0 };
#else
enum { KEEPS_SOME = 1 };
#endif

void ew_spares_init(struct ew_spares *spares, size_t bytes, unsigned max)
{
    EW_ASSERT(bytes >= sizeof(void *));
    *spares = (struct ew_spares){.bytes = bytes, .max = KEEPS_SOME ? max : 0};
}

void ew_spares_fini(struct ew_spares *spares)
{
    for (void *memory = spares->first, *next; memory; memory = next) {
        memcpy(&next, memory, sizeof next);
        free(memory);
    }
    spares->first = NULL;
    spares->count = 0;
}

void *ew_spares_take(struct ew_spares *spares)
{
    void *memory = spares->first;
    if (!memory)
        return calloc(1, spares->bytes);
    memcpy(&spares->first, memory, sizeof spares->first);
    spares->count--;
    return memset(memory, 0, spares->bytes);
}

void ew_spares_give(struct ew_spares *spares, void *memory)
{
    if (!memory || spares->count == spares->max) {
        free(memory);
        return;
    }
    EW_ASSERT(memory != spares->first); /* given twice, two would take it */
    memcpy(memory, &spares->first, sizeof spares->first);
    spares->first = memory;
    spares->count++;
}
