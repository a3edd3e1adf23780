/* plan.c - adds up a model's memory and compares it with what is free. */
#include "engine/plan.h"

#include <stdio.h>

#include "engine/forward.h"

/* Contexts below this are of no use for a conversation; suggestions are multiples of it. */
enum { CTX_STEP = 256 };

/* What tokenizer tables take for each entry of the vocabulary, merges included: an upper bound
 * (measured 30 to 60 bytes on files of 49,000 to 262,000 tokens). */
enum { VOCABULARY_ENTRY_BYTES = 64 };

uint64_t ew_plan_vocabulary_bytes(const struct ew_arch *arch)
{
    return (uint64_t)arch->vocab * VOCABULARY_ENTRY_BYTES;
}

void ew_plan_make(struct ew_plan *plan, const struct ew_arch *arch, uint64_t weight_bytes,
                  uint64_t vocabulary_bytes, int threads, uint32_t chunk, uint32_t ctx)
{
    const struct ew_scratch_size size = {threads, chunk, ctx, EW_LOGIT_ROWS};
    *plan = (struct ew_plan){
        .weight_bytes = weight_bytes,
        .kv_bytes = ew_kvcache_bytes(arch, ctx),
        .scratch_bytes = ew_scratch_bytes(arch, &size),
        .vocabulary_bytes = vocabulary_bytes,
    };
    plan->total_bytes =
        plan->weight_bytes + plan->kv_bytes + plan->scratch_bytes + plan->vocabulary_bytes;
}

static double mega(uint64_t bytes)
{
    return (double)bytes / 1e6;
}

int ew_plan_check(const struct ew_plan *plan, const struct ew_arch *arch, const char *name,
                  uint64_t available_bytes, int threads, uint32_t chunk, uint32_t ctx,
                  struct ew_err *err)
{
    if (plan->total_bytes <= available_bytes)
        return 0;
    uint32_t fits = ctx;
    struct ew_plan smaller = *plan;
    while (fits > CTX_STEP && smaller.total_bytes > available_bytes) {
        fits = (fits - 1) / CTX_STEP * CTX_STEP;
        ew_plan_make(&smaller, arch, plan->weight_bytes, plan->vocabulary_bytes, threads, chunk,
                     fits);
    }
    bool some = smaller.total_bytes <= available_bytes && fits >= CTX_STEP && fits < ctx;
    char advice[64] = "use a smaller model";
    if (some)
        snprintf(advice, sizeof advice, "use --ctx %u or a smaller model", fits);
    return ew_fail(err, EW_ENOMEM,
                   "%s needs %.1f MB (weights %.1f, context of %u %.1f, work %.1f), %.1f MB "
                   "available: %s",
                   name, mega(plan->total_bytes), mega(plan->weight_bytes), ctx,
                   mega(plan->kv_bytes), mega(plan->scratch_bytes + plan->vocabulary_bytes),
                   mega(available_bytes), advice);
}
