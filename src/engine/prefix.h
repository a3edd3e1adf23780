/* prefix.h - which pages are whose, and which may be used again.
 *
 * A page of the cache is free, held by streams, or kept: once full and computed it enters a tree,
 * under the page before it and by its EW_PAGE tokens, and whoever's prompt goes that way holds it,
 * too. A page that is kept and held by nobody stays until memory is wanted; the one unused longest
 * goes first. All layers' keys and values are in a page, so reuse is exact for sliding windows,
 * too, and gives the same bits as computing again.
 *
 * One thread. All memory is taken at init. Who holds a page holds those before it, hence in the
 * list of unheld pages a child is always older than its parent, and the oldest is a leaf. */
#ifndef EW_PREFIX_H
#define EW_PREFIX_H

#include "base/err.h"
#include "kernels/kernels.h"

#define EW_PREFIX_NONE UINT32_MAX /* no page; as a parent: the start of all conversations */

struct ew_prefix_page {
    uint32_t holders;
    uint32_t parent, next; /* of a kept page; next in its bucket */
    uint32_t older, newer; /* of a kept page that nobody holds */
    bool kept;
    int32_t tokens[EW_PAGE]; /* of a kept page */
};

struct ew_prefix {
    struct ew_prefix_page *pages;
    uint32_t *free, *buckets;
    uint32_t count, free_count, idle_count; /* idle: kept and held by nobody */
    uint32_t bucket_mask, oldest, newest;
};

uint64_t ew_prefix_bytes(uint32_t pages);
int ew_prefix_init(struct ew_prefix *prefix, uint32_t pages, struct ew_err *err);
void ew_prefix_fini(struct ew_prefix *prefix);

/* A page to write into, held once: a free one, or the one kept idle longest. EW_PREFIX_NONE where
 * all are held. */
uint32_t ew_prefix_take(struct ew_prefix *prefix);
/* How many can be taken. */
uint32_t ew_prefix_available(const struct ew_prefix *prefix);
/* The kept page of those EW_PAGE tokens behind `parent`, or EW_PREFIX_NONE. */
uint32_t ew_prefix_find(const struct ew_prefix *prefix, uint32_t parent, const int32_t *tokens);
void ew_prefix_hold(struct ew_prefix *prefix, uint32_t page);
/* Ends one hold: the page becomes free, or idle. Later pages of a conversation go first. */
void ew_prefix_drop(struct ew_prefix *prefix, uint32_t page);
/* The page, taken and now full and computed, enters the tree. Where the same is there already, the
 * hold moves to that one. Returns the page that is held now. */
uint32_t ew_prefix_keep(struct ew_prefix *prefix, uint32_t page, uint32_t parent,
                        const int32_t *tokens);

#endif
