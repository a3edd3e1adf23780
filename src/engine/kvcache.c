/* kvcache.c - one reserved block, and a table of page addresses into it. */
#include "engine/kvcache.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "kernels/kernels.h"

static uint32_t pages_of(uint32_t ctx)
{
    return (ctx + EW_PAGE - 1) / EW_PAGE;
}

uint64_t ew_kvcache_bytes(const struct ew_arch *arch, uint32_t ctx)
{
    return (uint64_t)arch->layers * arch->kv_heads * pages_of(ctx) * EW_PAGE * arch->head_dim * 2 *
           sizeof(uint16_t);
}

int ew_kvcache_init(struct ew_kvcache *cache, const struct ew_arch *arch, uint32_t ctx,
                    struct ew_err *err)
{
    *cache = (struct ew_kvcache){.layers = arch->layers,
                                 .heads = arch->kv_heads,
                                 .dim = arch->head_dim,
                                 .pages = pages_of(ctx),
                                 .bytes = ew_kvcache_bytes(arch, ctx)};
    size_t count = (size_t)cache->layers * cache->heads * cache->pages;
    size_t half = (size_t)EW_PAGE * cache->dim; /* numbers of K, and of V, in a page */
    cache->k = malloc(count * sizeof *cache->k);
    cache->v = malloc(count * sizeof *cache->v);
    void *memory = mmap(NULL, cache->bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory != MAP_FAILED)
        cache->memory = memory;
    if (!cache->k || !cache->v || !cache->memory) {
        uint64_t bytes = cache->bytes;
        ew_kvcache_fini(cache);
        return ew_fail(err, EW_ENOMEM,
                       "no memory for %llu MB of attention state: use --ctx below %u",
                       (unsigned long long)(bytes >> 20), ctx);
    }
    for (size_t i = 0; i < count; i++) {
        cache->k[i] = cache->memory + 2 * i * half;
        cache->v[i] = cache->k[i] + half;
    }
    return 0;
}

void ew_kvcache_fini(struct ew_kvcache *cache)
{
    if (cache->memory)
        munmap(cache->memory, cache->bytes);
    free(cache->k);
    free(cache->v);
    *cache = (struct ew_kvcache){0};
}
