/* kvcache.h - the keys and values of a session's past, in pages of EW_PAGE positions.
 *
 * A page holds K and V of one layer and one kv head; kernels.h says how. The memory is reserved
 * whole and touched page by page, so a short conversation costs what it uses. Pages are zero until
 * written, hence always finite: masked positions may be multiplied by zero. */
#ifndef EW_KVCACHE_H
#define EW_KVCACHE_H

#include "base/err.h"
#include "model/arch.h"

struct ew_kvcache {
    uint32_t layers, heads, dim, pages; /* pages: of each layer and head */
    uint64_t bytes;
    uint16_t *memory;
    uint16_t **k, **v; /* [layer][head][page] */
};

uint64_t ew_kvcache_bytes(const struct ew_arch *arch, uint32_t ctx);
int ew_kvcache_init(struct ew_kvcache *cache, const struct ew_arch *arch, uint32_t ctx,
                    struct ew_err *err);
void ew_kvcache_fini(struct ew_kvcache *cache);

static inline uint16_t *const *ew_kvcache_k(const struct ew_kvcache *cache, uint32_t layer,
                                            uint32_t head)
{
    return cache->k + ((size_t)layer * cache->heads + head) * cache->pages;
}
static inline uint16_t *const *ew_kvcache_v(const struct ew_kvcache *cache, uint32_t layer,
                                            uint32_t head)
{
    return cache->v + ((size_t)layer * cache->heads + head) * cache->pages;
}

#endif
