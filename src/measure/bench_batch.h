/* bench_batch.h - how many tokens a second many streams get together.
 *
 * Each of `streams` has a prompt of its own and answers `gen` tokens. What is measured is the time
 * in which all of them decode: from the moment the last one has its first token until the first
 * one ends. Models end their answers when they like; here they may not. */
#ifndef EW_BENCH_BATCH_H
#define EW_BENCH_BATCH_H

#include "base/clock.h"
#include "base/stats.h"
#include "edgewise.h"

enum { EW_BENCH_BATCH_RUNS_MAX = 100 };

struct ew_bench_batch_params {
    uint32_t streams, prompt, gen, runs;
    const struct ew_clock *clock;
};

struct ew_bench_batch {
    uint32_t streams;
    struct ew_stats decode; /* tokens/s of all together */
};

int ew_bench_batch_run(struct ew_bench_batch *out, struct ew_model *model,
                       const struct ew_bench_batch_params *params, struct ew_err *err);

#endif
