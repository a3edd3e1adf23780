/* prefix.c - a radix tree over pages as one hash table of (parent, tokens), and a list by use. */
#include "engine/prefix.h"

#include <stdlib.h>
#include <string.h>

static uint32_t buckets_for(uint32_t pages)
{
    uint32_t buckets = 1;
    while (buckets < pages && buckets < UINT32_MAX / 4)
        buckets *= 2;
    return buckets;
}

uint64_t ew_prefix_bytes(uint32_t pages)
{
    return pages * (uint64_t)(sizeof(struct ew_prefix_page) + sizeof(uint32_t)) +
           buckets_for(pages) * sizeof(uint32_t);
}

int ew_prefix_init(struct ew_prefix *prefix, uint32_t pages, struct ew_err *err)
{
    uint32_t buckets = buckets_for(pages);
    *prefix = (struct ew_prefix){
        .pages = calloc(pages, sizeof *prefix->pages),
        .free = malloc(pages * sizeof *prefix->free),
        .buckets = malloc(buckets * sizeof *prefix->buckets),
        .count = pages,
        .free_count = pages,
        .bucket_mask = buckets - 1,
        .oldest = EW_PREFIX_NONE,
        .newest = EW_PREFIX_NONE,
    };
    if (!prefix->pages || !prefix->free || !prefix->buckets) {
        ew_prefix_fini(prefix);
        return ew_fail(err, EW_ENOMEM, "no memory to keep track of %u pages", pages);
    }
    for (uint32_t i = 0; i < pages; i++)
        prefix->free[i] = pages - 1 - i; /* the first pages are taken first */
    for (uint32_t i = 0; i < buckets; i++)
        prefix->buckets[i] = EW_PREFIX_NONE;
    return 0;
}

void ew_prefix_fini(struct ew_prefix *prefix)
{
    free(prefix->pages);
    free(prefix->free);
    free(prefix->buckets);
    *prefix = (struct ew_prefix){0};
}

/* FNV-1a over words, folded. Whoever finds tokens that collide makes a chain longer, no more. */
static uint32_t *bucket_of(const struct ew_prefix *prefix, uint32_t parent, const int32_t *tokens)
{
    uint64_t hash = 14695981039346656037u ^ parent;
    for (int i = 0; i < EW_PAGE; i++)
        hash = (hash ^ (uint32_t)tokens[i]) * 1099511628211u;
    return &prefix->buckets[(hash ^ hash >> 32) & prefix->bucket_mask];
}

/* ---- the list of idle pages ---- */

static void join_idle(struct ew_prefix *prefix, uint32_t page)
{
    struct ew_prefix_page *p = &prefix->pages[page];
    p->newer = EW_PREFIX_NONE;
    p->older = prefix->newest;
    if (prefix->newest != EW_PREFIX_NONE)
        prefix->pages[prefix->newest].newer = page;
    else
        prefix->oldest = page;
    prefix->newest = page;
    prefix->idle_count++;
}

static void leave_idle(struct ew_prefix *prefix, uint32_t page)
{
    const struct ew_prefix_page *p = &prefix->pages[page];
    if (p->older != EW_PREFIX_NONE)
        prefix->pages[p->older].newer = p->newer;
    else
        prefix->oldest = p->newer;
    if (p->newer != EW_PREFIX_NONE)
        prefix->pages[p->newer].older = p->older;
    else
        prefix->newest = p->older;
    prefix->idle_count--;
}

static void forget(struct ew_prefix *prefix, uint32_t page)
{
    struct ew_prefix_page *p = &prefix->pages[page];
    uint32_t *at = bucket_of(prefix, p->parent, p->tokens);
    while (*at != page) {
        EW_ASSERT(*at != EW_PREFIX_NONE);
        at = &prefix->pages[*at].next;
    }
    *at = p->next;
    p->kept = false;
}

/* ---- the door ---- */

uint32_t ew_prefix_take(struct ew_prefix *prefix)
{
    uint32_t page;
    if (prefix->free_count) {
        page = prefix->free[--prefix->free_count];
    } else if (prefix->oldest != EW_PREFIX_NONE) {
        page = prefix->oldest;
        leave_idle(prefix, page);
        forget(prefix, page);
    } else {
        return EW_PREFIX_NONE;
    }
    prefix->pages[page].holders = 1;
    return page;
}

uint32_t ew_prefix_available(const struct ew_prefix *prefix)
{
    return prefix->free_count + prefix->idle_count;
}

uint32_t ew_prefix_find(const struct ew_prefix *prefix, uint32_t parent, const int32_t *tokens)
{
    uint32_t page = *bucket_of(prefix, parent, tokens);
    for (; page != EW_PREFIX_NONE; page = prefix->pages[page].next) {
        const struct ew_prefix_page *p = &prefix->pages[page];
        if (p->parent == parent && memcmp(p->tokens, tokens, sizeof p->tokens) == 0)
            break;
    }
    return page;
}

void ew_prefix_hold(struct ew_prefix *prefix, uint32_t page)
{
    struct ew_prefix_page *p = &prefix->pages[page];
    if (!p->holders++)
        leave_idle(prefix, page);
}

void ew_prefix_drop(struct ew_prefix *prefix, uint32_t page)
{
    struct ew_prefix_page *p = &prefix->pages[page];
    EW_ASSERT(p->holders > 0);
    if (--p->holders)
        return;
    if (p->kept)
        join_idle(prefix, page);
    else
        prefix->free[prefix->free_count++] = page;
}

uint32_t ew_prefix_keep(struct ew_prefix *prefix, uint32_t page, uint32_t parent,
                        const int32_t *tokens)
{
    struct ew_prefix_page *p = &prefix->pages[page];
    EW_ASSERT(p->holders == 1 && !p->kept);
    uint32_t same = ew_prefix_find(prefix, parent, tokens);
    if (same != EW_PREFIX_NONE) {
        ew_prefix_hold(prefix, same);
        ew_prefix_drop(prefix, page);
        return same;
    }
    uint32_t *bucket = bucket_of(prefix, parent, tokens);
    p->kept = true;
    p->parent = parent;
    memcpy(p->tokens, tokens, sizeof p->tokens);
    p->next = *bucket;
    *bucket = page;
    return page;
}
