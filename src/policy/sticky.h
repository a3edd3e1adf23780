/* sticky.h - which place answered this conversation before.
 *
 * A table of a fixed size: a key (a hash of the session's name, or of how the prompt begins; the
 * caller makes it, with a secret, so that nobody can choose keys that collide) to a place's number.
 * Remembered for so long after the last request; when the table is full, what was used least
 * recently goes. All but purge take the same time whatever the size. Pure: the memory of the slots
 * is the caller's. */
#ifndef EW_STICKY_H
#define EW_STICKY_H

#include <stdint.h>

#define EW_STICKY_NONE UINT32_MAX

/* X(NAME, word): what headers say of a request that was answered. */
#define EW_STICKY_OUTCOMES(X)                                                                      \
    X(HIT, "hit")     /* where the one before was */                                               \
    X(MISS, "miss")   /* nothing was remembered */                                                 \
    X(MOVED, "moved") /* elsewhere than the one before */

enum ew_sticky_outcome {
#define X(name, word) EW_STICKY_##name,
    EW_STICKY_OUTCOMES(X)
#undef X
};
const char *ew_sticky_outcome_name(enum ew_sticky_outcome outcome);

struct ew_sticky_slot {
    uint64_t key, at_ns;
    uint32_t place;        /* EW_STICKY_NONE: it was purged */
    uint32_t newer, older; /* slots, by their last use */
    uint32_t next;         /* slot of the same bucket */
    uint32_t bucket;       /* first slot of the bucket that has this slot's index */
};

struct ew_sticky {
    struct ew_sticky_slot *slots; /* borrowed */
    uint32_t capacity, count;
    uint32_t newest, oldest;
    uint64_t ttl_ns;
};

/* slots: [capacity], borrowed; capacity >= 1. */
void ew_sticky_init(struct ew_sticky *sticky, struct ew_sticky_slot *slots, uint32_t capacity,
                    uint64_t ttl_ns);
/* The place, or EW_STICKY_NONE. */
uint32_t ew_sticky_find(const struct ew_sticky *sticky, uint64_t key, uint64_t now_ns);
/* The request went there: remembers it, and says what that was. */
enum ew_sticky_outcome ew_sticky_put(struct ew_sticky *sticky, uint64_t key, uint32_t place,
                                     uint64_t now_ns);
/* That place is gone, and its number may become another's. Its conversations will have moved. */
void ew_sticky_purge(struct ew_sticky *sticky, uint32_t place);

#endif
