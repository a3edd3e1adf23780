/* sticky.c - hashed by chains of slots, ordered by use. */
#include "policy/sticky.h"

#include <stdbool.h>

#include "base/err.h"

#define NONE EW_STICKY_NONE

const char *ew_sticky_outcome_name(enum ew_sticky_outcome outcome)
{
    static const char *const names[] = {
#define X(name, word) word,
        EW_STICKY_OUTCOMES(X)
#undef X
    };
    return names[outcome];
}

void ew_sticky_init(struct ew_sticky *sticky, struct ew_sticky_slot *slots, uint32_t capacity,
                    uint64_t ttl_ns)
{
    EW_ASSERT(capacity >= 1 && capacity < NONE);
    *sticky = (struct ew_sticky){
        .slots = slots, .capacity = capacity, .newest = NONE, .oldest = NONE, .ttl_ns = ttl_ns};
    for (uint32_t i = 0; i < capacity; i++)
        slots[i] = (struct ew_sticky_slot){.bucket = NONE};
}

/* The head of the key's chain. The multiplication is Fibonacci's (Knuth 6.4): keys that differ in
 * a few bits only still spread. */
static uint32_t *bucket_of(const struct ew_sticky *s, uint64_t key)
{
    uint64_t high = key * 0x9e3779b97f4a7c15u >> 32;
    return &s->slots[high * s->capacity >> 32].bucket;
}

static uint32_t slot_of(const struct ew_sticky *s, uint64_t key)
{
    uint32_t i = *bucket_of(s, key);
    while (i != NONE && s->slots[i].key != key)
        i = s->slots[i].next;
    return i;
}

static bool is_old(const struct ew_sticky *s, uint32_t slot, uint64_t now_ns)
{
    uint64_t at_ns = s->slots[slot].at_ns;
    return now_ns > at_ns && now_ns - at_ns >= s->ttl_ns;
}

uint32_t ew_sticky_find(const struct ew_sticky *sticky, uint64_t key, uint64_t now_ns)
{
    uint32_t i = slot_of(sticky, key);
    return i == NONE || is_old(sticky, i, now_ns) ? NONE : sticky->slots[i].place;
}

/* ---- the order of use ---- */

static void unlink_use(struct ew_sticky *s, uint32_t slot)
{
    const struct ew_sticky_slot *it = &s->slots[slot];
    *(it->newer == NONE ? &s->newest : &s->slots[it->newer].older) = it->older;
    *(it->older == NONE ? &s->oldest : &s->slots[it->older].newer) = it->newer;
}

static void link_newest(struct ew_sticky *s, uint32_t slot)
{
    s->slots[slot].newer = NONE;
    s->slots[slot].older = s->newest;
    *(s->newest == NONE ? &s->oldest : &s->slots[s->newest].newer) = slot;
    s->newest = slot;
}

/* A slot for a new key: one that was never used, else the one that is used least. */
static uint32_t take_slot(struct ew_sticky *s)
{
    if (s->count < s->capacity)
        return s->count++;
    uint32_t slot = s->oldest;
    unlink_use(s, slot);
    uint32_t *at = bucket_of(s, s->slots[slot].key);
    while (*at != slot)
        at = &s->slots[*at].next;
    *at = s->slots[slot].next;
    return slot;
}

enum ew_sticky_outcome ew_sticky_put(struct ew_sticky *sticky, uint64_t key, uint32_t place,
                                     uint64_t now_ns)
{
    struct ew_sticky *s = sticky;
    uint32_t slot = slot_of(s, key);
    enum ew_sticky_outcome outcome = EW_STICKY_MISS;
    if (slot == NONE) {
        uint32_t *bucket = bucket_of(s, key);
        slot = take_slot(s);
        s->slots[slot].key = key;
        s->slots[slot].next = *bucket;
        *bucket = slot;
    } else {
        if (!is_old(s, slot, now_ns))
            outcome = s->slots[slot].place == place ? EW_STICKY_HIT : EW_STICKY_MOVED;
        unlink_use(s, slot);
    }
    link_newest(s, slot);
    s->slots[slot].place = place;
    s->slots[slot].at_ns = now_ns;
    return outcome;
}

void ew_sticky_purge(struct ew_sticky *sticky, uint32_t place)
{
    for (uint32_t i = 0; i < sticky->count; i++)
        if (sticky->slots[i].place == place)
            sticky->slots[i].place = NONE;
}
