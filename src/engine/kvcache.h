/* kvcache.h - keys and values in pages of EW_PAGE positions.
 *
 * A page is one block of memory that holds the K and the V page of every layer and kv head
 * (kernels.h says how), so that a list of pages is all that one conversation's past is, and a page
 * is what conversations share. The memory is reserved whole and touched page by page, so a short
 * conversation costs what it uses. Pages are zero until written and finite always (stores
 * saturate): masked positions may be multiplied by zero. */
#ifndef EW_KVCACHE_H
#define EW_KVCACHE_H

#include "base/err.h"
#include "kernels/kernels.h"
#include "model/arch.h"

struct ew_kvcache {
    uint32_t pages;
    uint64_t page_bytes, bytes;
    uint16_t **page; /* [pages]: where each lies */
    void *memory;
};

/* Whether memory comes in huge pages: faster where all of it will be used, dear where little is. */
enum ew_kvcache_use { EW_KVCACHE_LITTLE, EW_KVCACHE_ALL };

uint64_t ew_kvcache_page_bytes(const struct ew_arch *arch);
uint32_t ew_kvcache_pages(uint32_t positions); /* pages that so many positions take */
uint64_t ew_kvcache_bytes(const struct ew_arch *arch, uint32_t positions);
int ew_kvcache_init(struct ew_kvcache *cache, const struct ew_arch *arch, uint32_t pages,
                    enum ew_kvcache_use use, struct ew_err *err);
void ew_kvcache_fini(struct ew_kvcache *cache);

/* Where the K page of a layer and kv head starts in a page, in numbers; the V page follows it. */
static inline size_t ew_kvcache_k(const struct ew_arch *arch, uint32_t layer, uint32_t head)
{
    return ((size_t)layer * arch->kv_heads + head) * 2 * EW_PAGE * arch->head_dim;
}

#endif
