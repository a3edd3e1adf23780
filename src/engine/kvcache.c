/* kvcache.c - one reserved block, and a table of page addresses into it. */
#include "engine/kvcache.h"

#include <stdlib.h>
#include <sys/mman.h>

uint64_t ew_kvcache_page_bytes(const struct ew_arch *arch)
{
    return (uint64_t)arch->layers * arch->kv_heads * EW_PAGE * arch->head_dim * 2 *
           sizeof(uint16_t);
}

uint32_t ew_kvcache_pages(uint32_t positions)
{
    return (positions + EW_PAGE - 1) / EW_PAGE;
}

uint64_t ew_kvcache_bytes(const struct ew_arch *arch, uint32_t positions)
{
    return ew_kvcache_pages(positions) * ew_kvcache_page_bytes(arch);
}

int ew_kvcache_init(struct ew_kvcache *cache, const struct ew_arch *arch, uint32_t pages,
                    enum ew_kvcache_use use, struct ew_err *err)
{
    *cache = (struct ew_kvcache){.pages = pages, .page_bytes = ew_kvcache_page_bytes(arch)};
    cache->bytes = cache->page_bytes * pages;
    cache->page = malloc(pages * sizeof *cache->page);
    void *memory = mmap(NULL, cache->bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory != MAP_FAILED)
        cache->memory = memory;
    if (!cache->page || !cache->memory) {
        uint64_t bytes = cache->bytes;
        ew_kvcache_fini(cache);
        return ew_fail(err, EW_ENOMEM,
                       "no memory for %llu MB of attention state: use --ctx below %u",
                       (unsigned long long)(bytes >> 20), pages * EW_PAGE);
    }
    if (use == EW_KVCACHE_ALL)
        madvise(memory, cache->bytes, MADV_HUGEPAGE); /* where it can't be had, we live without */
    for (uint32_t i = 0; i < pages; i++)
        cache->page[i] = (uint16_t *)memory + i * (cache->page_bytes / sizeof(uint16_t));
    return 0;
}

void ew_kvcache_fini(struct ew_kvcache *cache)
{
    if (cache->memory)
        munmap(cache->memory, cache->bytes);
    free(cache->page);
    *cache = (struct ew_kvcache){0};
}
