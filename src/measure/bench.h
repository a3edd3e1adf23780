/* bench.h - how fast a model runs here, and what share of the hardware's limit that is.
 *
 * A point is a prompt length and an answer length, run once to warm up and then `runs` times.
 * Prefill is prompt tokens over the time to the first token's logits; decode is (n - 1) tokens over
 * the time between first and last; TTFT is until the first token is chosen. Prompts are random
 * tokens of a fixed seed. Energy is of the whole query, prefill and decode; per token it is that
 * over the answer's tokens. The denominators (read bandwidth, 8-bit multiply-accumulates) are
 * measured in the same process, twice right after, because a shared machine's limits move. */
#ifndef EW_BENCH_H
#define EW_BENCH_H

#include "base/clock.h"
#include "base/stats.h"
#include "edgewise.h"
#include "meter/meter.h"

enum { EW_BENCH_POINTS_MAX = 16, EW_BENCH_RUNS_MAX = 100 };

struct ew_bench_point {
    uint32_t prompt, gen;
    struct ew_stats prefill, decode, ttft_ms;     /* tokens/s, tokens/s, milliseconds */
    struct ew_stats energy_j, energy_j_per_token; /* of a query, gross; n 0: unknown */
    struct ew_energy energy;                      /* of the last run: kind and source of all */
    double prefill_of_limit;                      /* linear MACs/s over int8_macs_per_s, 0..1 */
    double decode_of_limit; /* bytes that must be read per second over read bandwidth, 0..1 */
    bool noisy;             /* spread beyond EW_BENCH_SPREAD_MAX */
};

/* (max - min) / median above this isn't a result to quote. */
#define EW_BENCH_SPREAD_MAX 0.15

struct ew_bench {
    struct ew_bench_point points[EW_BENCH_POINTS_MAX];
    size_t point_count;
    uint64_t peak_rss_bytes; /* of this process, before the limits were measured */
    struct ew_machine_speed limit;
    double limit_spread; /* between both measurements, of the figure that moved more */
    bool noisy;
};

struct ew_bench_params {
    uint32_t prompts[EW_BENCH_POINTS_MAX];
    size_t prompt_count;
    uint32_t gen, runs;
    int limit_ms; /* for each measurement of the limits */
    const struct ew_clock *clock;
    struct ew_meter *meter;                                    /* NULL: energy unknown */
    void (*progress)(void *user, uint64_t done, uint64_t all); /* runs; may be NULL */
    void *user;
};

int ew_bench_run(struct ew_bench *out, struct ew_model *model, const struct ew_bench_params *params,
                 struct ew_err *err);

#endif
