/* cmd_bench.c - `edgewise bench`: this device's speed with a model, beside the hardware's limit. */
#include "cmd/cmd.h"

#include <stdlib.h>

#include "base/progress.h"
#include "cmd/bench_print.h"
#include "cmd/energy_options.h"
#include "cmd/engine_options.h"

enum { LIMIT_MS = 500, PROMPT_MAX = 1 << 20 };

static void tick(void *user, uint64_t done, uint64_t all)
{
    (void)all;
    ew_progress_set(user, done);
}

/* The lengths asked for, or some up to `most`; ascending as given, the last being the main one. */
static int read_prompts(const struct ew_arg_list *list, struct ew_bench_params *how,
                        struct ew_err *err)
{
    static const uint32_t usual[] = {16, 128, 512};
    for (size_t i = 0; !list->count && i < EW_COUNT(usual); i++)
        how->prompts[how->prompt_count++] = usual[i];
    for (size_t i = 0; i < list->count; i++) {
        char *end;
        long n = strtol(list->items[i], &end, 10);
        if (end == list->items[i] || *end || n < 1 || n > PROMPT_MAX || i == EW_BENCH_POINTS_MAX)
            return ew_fail(err, EW_EINVAL, "--prompt %s: must be 1 to %d tokens, at most %d times",
                           list->items[i], PROMPT_MAX, EW_BENCH_POINTS_MAX);
        how->prompts[how->prompt_count++] = (uint32_t)n;
    }
    return 0;
}

struct options {
    struct ew_engine_options engine;
    struct ew_energy_options energy;
    struct ew_arg_list prompts;
    int gen, runs, streams;
    bool json;
};

static int bench_run(const char *name, struct options *o, struct ew_err *err)
{
    struct ew_progress progress;
    struct ew_bench_params how = {.gen = (uint32_t)o->gen,
                                  .runs = (uint32_t)o->runs,
                                  .limit_ms = LIMIT_MS,
                                  .clock = &ew_clock_real,
                                  .progress = tick,
                                  .user = &progress};
    int failed = read_prompts(&o->prompts, &how, err), longest = 0;
    for (size_t i = 0; i < how.prompt_count; i++)
        longest = (int)how.prompts[i] > longest ? (int)how.prompts[i] : longest;
    if (!o->engine.ctx)
        o->engine.ctx = longest + o->gen;
    struct ew_model *model = NULL;
    struct ew_model_info info;
    struct ew_bench bench;
    if (failed || (failed = ew_energy_open(&how.meter, &o->energy, name, err)) ||
        (failed = ew_engine_open(&model, name, &o->engine, false, err)))
        goto out;
    ew_model_describe(model, &info);
    ew_progress_begin(&progress, "bench", 0, how.prompt_count * (how.runs + 1), EW_PROGRESS_COUNT);
    failed = ew_bench_run(&bench, model, &how, err);
    ew_progress_end(&progress);
    struct ew_bench_batch batch = {0};
    const struct ew_bench_batch_params many = {
        (uint32_t)o->streams, how.prompts[how.prompt_count - 1], how.gen, how.runs, how.clock};
    if (!failed && o->streams)
        failed = ew_bench_batch_run(&batch, model, &many, err);
    if (!failed)
        failed = (o->json ? ew_bench_print_json : ew_bench_print_table)(
            &bench, &batch, &info, o->energy.tariff_cents_per_kwh, err);
out:
    ew_model_close(&model);
    ew_meter_close(&how.meter);
    return failed;
}

int ew_cmd_bench(int argc, char **argv)
{
    struct options o = {.gen = 128, .runs = 5, .energy = ew_energy_options_default()};
    const struct ew_opt options[] = {
        {"prompt", 'p', "N", "a prompt of N tokens; may be repeated: a sweep (16, 128, 512)",
         .list = &o.prompts},
        {"gen", 'n', "N", "an answer of N tokens (128)", .integer = &o.gen, .min = 1,
         .max = 1 << 20},
        {"runs", 'r', "N", "counted runs of each, after one to warm up (5)", .integer = &o.runs,
         .min = 1, .max = EW_BENCH_RUNS_MAX},
        {"streams", 's', "N", "also decode N streams together (off)", .integer = &o.streams,
         .min = 1, .max = EW_STREAMS_MAX},
        EW_ENGINE_OPTIONS(&o.engine, "room for N tokens (the longest prompt and its answer)"),
        EW_ENERGY_OPTIONS(&o.energy),
        {"json", 0, NULL, "print one JSON object; the last --prompt is the main figure",
         .flag = &o.json},
        {0},
    };
    struct ew_args args = {
        .command = "bench",
        .words_usage = "MODEL",
        .words_min = 1,
        .words_max = 1,
        .about =
            "Measures how fast MODEL runs on this device: time to the first token, prefill and\n"
            "decode speed, energy, memory, and which share of the hardware's limit that is.",
        .options = options,
        .examples = "  edgewise bench smollm2-135m\n"
                    "  edgewise bench smollm2-135m --prompt 512 --gen 128 --runs 3 --threads 2 "
                    "--json\n"
                    "  edgewise bench smollm2-135m --prompt 128 --streams 16\n",
    };
    int status;
    if (ew_args_read(&args, argc, argv, &status))
        return status;
    struct ew_err err = {0};
    if (bench_run(args.words[0], &o, &err))
        return ew_engine_failed("bench", &err);
    return 0;
}
