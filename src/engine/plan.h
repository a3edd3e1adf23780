/* plan.h - what a model will take, before any of it is taken.
 *
 * An edge device has little memory and a kernel that kills what takes too much. So the parts are
 * added up first and compared with what is free; the answer to "too much" names a context length
 * that would fit, or says that none does. */
#ifndef EW_PLAN_H
#define EW_PLAN_H

#include "model/arch.h"

struct ew_plan {
    uint64_t weight_bytes, kv_bytes, scratch_bytes, vocabulary_bytes, total_bytes;
};

/* What the tokenizer's tables will take, at most. */
uint64_t ew_plan_vocabulary_bytes(const struct ew_arch *arch);
/* vocabulary_bytes: as that says. */
void ew_plan_make(struct ew_plan *plan, const struct ew_arch *arch, uint64_t weight_bytes,
                  uint64_t vocabulary_bytes, int threads, uint32_t chunk, uint32_t ctx);
/* EW_ENOMEM with the arithmetic when the plan exceeds the bytes available. */
int ew_plan_check(const struct ew_plan *plan, const struct ew_arch *arch, const char *name,
                  uint64_t available_bytes, int threads, uint32_t chunk, uint32_t ctx,
                  struct ew_err *err);

#endif
