/* bench_batch.c - fills a batch, steps it, and counts while all streams decode. */
#include "measure/bench_batch.h"

#include <math.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/rng.h"

enum { ENDS_MAX = 64, PROMPT_SEED = 1 };

struct tally {
    const struct ew_clock *clock;
    uint32_t streams, started, ended;
    uint64_t begin_ns, end_ns, tokens; /* of the time in which all decode */
};

/* `user` of an event says whether its stream has had a token. */
static int count(void *user, const struct ew_stream_event *event)
{
    struct tally *t = user;
    bool *started = event->user;
    if (t->started == t->streams && !t->ended)
        t->tokens++;
    if (!*started) {
        *started = true;
        if (++t->started == t->streams)
            t->begin_ns = ew_clock_now_ns(t->clock);
    }
    if (event->end != EW_STREAM_RUNS && !t->ended++)
        t->end_ns = ew_clock_now_ns(t->clock);
    return 0;
}

struct bench {
    struct ew_batch *batch;
    const struct ew_bench_batch_params *how;
    struct ew_stream_params stream;
    struct ew_bias ends[ENDS_MAX];
    int32_t *prompts;
    struct ew_stream *streams[EW_STREAMS_MAX];
    bool started[EW_STREAMS_MAX];
};

static int run_once(struct bench *b, double *tokens_per_s, struct ew_err *err)
{
    struct tally tally = {.clock = b->how->clock, .streams = b->how->streams};
    int failed = 0;
    for (uint32_t i = 0; i < b->how->streams && !failed; i++) {
        b->started[i] = false;
        b->stream.user = &b->started[i];
        b->stream.tokens = b->prompts + (size_t)i * b->how->prompt;
        if ((failed = ew_stream_open(&b->streams[i], b->batch, &b->stream, err)) == 0)
            failed = ew_stream_add(b->streams[i], err);
    }
    while (!failed && tally.ended < b->how->streams)
        failed = ew_batch_step(b->batch, count, &tally, err);
    for (uint32_t i = 0; i < b->how->streams; i++)
        ew_stream_close(&b->streams[i]);
    double ns = (double)(tally.end_ns - tally.begin_ns);
    *tokens_per_s =
        ns > 0 && tally.started == b->how->streams ? (double)tally.tokens * EW_NS_PER_S / ns : NAN;
    return failed;
}

static void fill(struct bench *b, const struct ew_model *model)
{
    struct ew_model_info info;
    struct ew_rng rng;
    size_t ends = 0;
    ew_model_describe(model, &info);
    for (uint32_t i = 0; i < info.vocab && ends < ENDS_MAX; i++)
        if (ew_model_is_end(model, (int32_t)i))
            b->ends[ends++] = (struct ew_bias){(int32_t)i, -100};
    ew_rng_init(&rng, PROMPT_SEED);
    for (size_t i = 0; i < (size_t)b->how->streams * b->how->prompt; i++)
        b->prompts[i] = (int32_t)ew_rng_below(&rng, info.vocab);
    b->stream = (struct ew_stream_params){
        .count = b->how->prompt,
        .sampling = ew_sampling_default(),
        .max_tokens = b->how->gen,
    };
    b->stream.sampling.bias = b->ends;
    b->stream.sampling.bias_count = ends;
}

int ew_bench_batch_run(struct ew_bench_batch *out, struct ew_model *model,
                       const struct ew_bench_batch_params *params, struct ew_err *err)
{
    *out = (struct ew_bench_batch){.streams = params->streams};
    if (params->streams < 1 || params->streams > EW_STREAMS_MAX || params->runs < 1 ||
        params->runs > EW_BENCH_BATCH_RUNS_MAX || params->gen < 2 || !params->prompt)
        return ew_fail(err, EW_EINVAL,
                       "a benchmark of a batch needs 1 to %d streams of 2 tokens at least",
                       EW_STREAMS_MAX);
    struct ew_model_info info;
    ew_model_describe(model, &info);
    const uint64_t pages_of = 64; /* rounds up to whole pages, and one to spare */
    struct ew_batch_params how = {
        .streams = params->streams,
        .ctx = params->prompt + params->gen,
        .kv_bytes_max = info.kv_bytes_per_position * params->streams *
                        (params->prompt + params->gen + pages_of),
    };
    struct bench b = {.how = params};
    double speed, speeds[EW_BENCH_BATCH_RUNS_MAX];
    b.prompts = malloc((size_t)params->streams * params->prompt * sizeof *b.prompts);
    int failed = b.prompts ? ew_batch_open(&b.batch, model, &how, err)
                           : ew_fail(err, EW_ENOMEM, "no memory for prompts");
    if (!failed)
        fill(&b, model);
    for (uint32_t i = 0; i <= params->runs && !failed; i++) {
        failed = run_once(&b, &speed, err);
        if (i)
            speeds[i - 1] = speed;
    }
    if (!failed)
        out->decode = ew_stats_of(speeds, params->runs);
    ew_batch_close(&b.batch);
    free(b.prompts);
    return failed;
}
