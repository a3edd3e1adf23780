/* bench.c - warm up, run, take stamps; then hold the figures against the machine's limits. */
#include "measure/bench.h"

#include <math.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/err.h"
#include "base/rng.h"

enum { PROMPT_SEED = 1 };

struct sample {
    double prefill, decode, ttft_ms;
    struct ew_energy energy;
};

static double seconds(uint64_t from_ns, uint64_t to_ns)
{
    return (double)(to_ns - from_ns) / EW_NS_PER_S;
}

static void mark(struct ew_meter *meter, enum ew_meter_phase phase, uint64_t now_ns)
{
    if (meter)
        ew_meter_mark(meter, phase, now_ns);
}

static int run_once(struct ew_session *session, const int32_t *prompt, uint32_t count, uint32_t gen,
                    const struct ew_bench_params *how, struct sample *out, struct ew_err *err)
{
    const struct ew_clock *clock = how->clock;
    int32_t token;
    ew_session_rewind(session, 0);
    uint64_t start = ew_clock_now_ns(clock);
    mark(how->meter, EW_METER_PREFILL, start);
    int failed = ew_session_prompt(session, prompt, count, err);
    uint64_t prefilled = ew_clock_now_ns(clock);
    if (!failed)
        failed = ew_session_next(session, &token, err);
    uint64_t first = ew_clock_now_ns(clock);
    mark(how->meter, EW_METER_DECODE, first);
    for (uint32_t i = 1; i < gen && !failed; i++)
        failed = ew_session_next(session, &token, err);
    uint64_t last = ew_clock_now_ns(clock);
    mark(how->meter, EW_METER_IDLE, last);
    *out = (struct sample){
        .prefill = count / seconds(start, prefilled),
        .decode = gen > 1 ? (gen - 1) / seconds(first, last) : NAN,
        .ttft_ms = seconds(start, first) * 1e3,
        .energy = how->meter ? ew_meter_between(how->meter, start, last) : EW_ENERGY_NONE,
    };
    return failed;
}

static bool spread_out(const struct ew_stats *s)
{
    return s->n && (s->max - s->min) / s->median > EW_BENCH_SPREAD_MAX;
}

static int run_point(struct ew_bench_point *point, struct ew_session *session,
                     const int32_t *prompt, const struct ew_bench_params *how, uint64_t done,
                     struct ew_err *err)
{
    double prefill[EW_BENCH_RUNS_MAX], decode[EW_BENCH_RUNS_MAX], ttft[EW_BENCH_RUNS_MAX];
    double joules[EW_BENCH_RUNS_MAX], per_token[EW_BENCH_RUNS_MAX];
    size_t known = 0;
    uint64_t all = how->prompt_count * (how->runs + 1);
    for (uint32_t i = 0; i <= how->runs; i++) {
        struct sample sample;
        int failed = run_once(session, prompt, point->prompt, point->gen, how, &sample, err);
        if (failed)
            return failed;
        if (how->progress)
            how->progress(how->user, done + i + 1, all);
        if (!i)
            continue;
        prefill[i - 1] = sample.prefill;
        decode[i - 1] = sample.decode;
        ttft[i - 1] = sample.ttft_ms;
        point->energy = sample.energy;
        if (isnan(sample.energy.joules))
            continue;
        joules[known] = sample.energy.joules;
        per_token[known++] = sample.energy.joules / point->gen;
    }
    point->prefill = ew_stats_of(prefill, how->runs);
    point->decode = ew_stats_of(decode, point->gen > 1 ? how->runs : 0);
    point->ttft_ms = ew_stats_of(ttft, how->runs);
    point->energy_j = ew_stats_of(joules, known);
    point->energy_j_per_token = ew_stats_of(per_token, known);
    point->noisy =
        spread_out(&point->prefill) || spread_out(&point->decode) || spread_out(&point->ttft_ms);
    return 0;
}

/* What must be computed and read, at the least, for what was done; the head's product is made for
 * one token of a prompt. */
static void hold_against_limit(struct ew_bench_point *p, const struct ew_model_info *info,
                               const struct ew_machine_speed *limit)
{
    double layers = (double)(info->macs_per_token - info->head_macs);
    double macs = layers + (double)info->head_macs / p->prompt;
    double positions = p->prompt + p->gen / 2.0;
    double bytes = (double)info->bytes_per_token + positions * (double)info->kv_bytes_per_position;
    p->prefill_of_limit = p->prefill.median * macs / limit->int8_macs_per_s;
    p->decode_of_limit = p->decode.median * bytes / limit->read_bandwidth_bytes_per_s;
}

static double apart(double a, double b)
{
    return fabs(a - b) / fmax(a, b);
}

static int measure_limits(struct ew_bench *out, int threads, int ms, struct ew_err *err)
{
    struct ew_machine_speed a, b;
    int failed = ew_machine_measure(threads, ms, &a, err);
    if (!failed)
        failed = ew_machine_measure(threads, ms, &b, err);
    if (failed)
        return failed;
    double read = apart(a.read_bandwidth_bytes_per_s, b.read_bandwidth_bytes_per_s);
    double macs = apart(a.int8_macs_per_s, b.int8_macs_per_s);
    out->limit_spread = fmax(read, macs);
    out->limit.read_bandwidth_bytes_per_s =
        fmax(a.read_bandwidth_bytes_per_s, b.read_bandwidth_bytes_per_s);
    out->limit.int8_macs_per_s = fmax(a.int8_macs_per_s, b.int8_macs_per_s);
    return 0;
}

int ew_bench_run(struct ew_bench *out, struct ew_model *model, const struct ew_bench_params *params,
                 struct ew_err *err)
{
    *out = (struct ew_bench){.point_count = params->prompt_count};
    if (params->runs < 1 || params->runs > EW_BENCH_RUNS_MAX || !params->gen ||
        params->prompt_count < 1 || params->prompt_count > EW_BENCH_POINTS_MAX)
        return ew_fail(err, EW_EINVAL, "a benchmark needs 1 to %d runs of 1 to %d prompt lengths",
                       EW_BENCH_RUNS_MAX, EW_BENCH_POINTS_MAX);
    struct ew_model_info info;
    struct ew_session *session = NULL;
    struct ew_rng rng;
    uint32_t longest = 0;
    ew_model_describe(model, &info);
    for (size_t i = 0; i < params->prompt_count; i++)
        longest = params->prompts[i] > longest ? params->prompts[i] : longest;
    int32_t *prompt = malloc(longest * sizeof *prompt);
    int failed = prompt ? ew_session_open(&session, model, NULL, err)
                        : ew_fail(err, EW_ENOMEM, "no memory for %u tokens", longest);
    ew_rng_init(&rng, PROMPT_SEED);
    for (uint32_t i = 0; prompt && i < longest; i++)
        prompt[i] = (int32_t)ew_rng_below(&rng, info.vocab);
    for (size_t i = 0; i < params->prompt_count && !failed; i++) {
        out->points[i].prompt = params->prompts[i];
        out->points[i].gen = params->gen;
        failed = run_point(&out->points[i], session, prompt, params, i * (params->runs + 1), err);
        out->noisy |= out->points[i].noisy;
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    out->peak_rss_bytes = (uint64_t)usage.ru_maxrss * 1024; /* Linux counts in KiB */
    if (!failed)
        failed = measure_limits(out, info.threads, params->limit_ms, err);
    out->noisy |= out->limit_spread > EW_BENCH_SPREAD_MAX;
    for (size_t i = 0; i < params->prompt_count && !failed; i++)
        hold_against_limit(&out->points[i], &info, &out->limit);
    ew_session_close(&session);
    free(prompt);
    return failed;
}
