/* batch.c - a batch's memory: planned, checked against what the model may take, taken at once. */
#include "engine/batch.h"

#include <stdlib.h>

/* What one place of a batch needs beside the model's own buffers. */
static uint64_t place_bytes(void)
{
    return sizeof(struct ew_stream *) * 4 + sizeof(struct ew_segment) * 2;
}

static uint32_t places_of(const struct ew_batch_params *params)
{
    return params->streams ? params->streams : EW_STREAMS_DEFAULT;
}

static struct ew_scratch_size size_of(uint32_t places, uint32_t ctx, int threads)
{
    return (struct ew_scratch_size){threads, EW_BATCH_CHUNK + places, ctx, places};
}

/* All but the pages themselves. */
static uint64_t work_bytes(const struct ew_arch *arch, uint32_t places, uint32_t ctx, int threads,
                           uint32_t pages)
{
    const struct ew_scratch_size size = size_of(places, ctx, threads);
    return ew_scratch_bytes(arch, &size) +
           (uint64_t)threads * (ew_sampler_desk_bytes(arch->vocab) + arch->vocab / 8) +
           ew_prefix_bytes(pages) + places * place_bytes() + sizeof(struct ew_batch);
}

static double mega(uint64_t bytes)
{
    return (double)bytes / 1e6;
}

/* Adds up; fails where the pages asked for hold less than one stream, or `available` is exceeded.
 * Pages that weren't asked for are as many as there is memory for, at most the default. */
static int plan(struct ew_memory *m, const struct ew_arch *arch, const char *name,
                const struct ew_batch_params *params, int threads, uint64_t available,
                struct ew_err *err)
{
    uint32_t places = places_of(params), ctx = params->ctx ? params->ctx : arch->ctx;
    if (places > EW_STREAMS_MAX)
        return ew_fail(err, EW_EINVAL, "%u streams, at most %d", places, EW_STREAMS_MAX);
    if (ctx > arch->ctx)
        return ew_fail(err, EW_EINVAL, "%s was opened for %u positions, a batch asks for %u", name,
                       arch->ctx, ctx);
    uint64_t page = ew_kvcache_page_bytes(arch);
    m->kv_bytes_min = ew_kvcache_bytes(arch, ctx);
    m->kv_bytes =
        params->kv_bytes_max ? params->kv_bytes_max / page * page : m->kv_bytes_min * EW_KV_STREAMS;
    if (m->kv_bytes < m->kv_bytes_min)
        return ew_fail(err, EW_EINVAL,
                       "%.1f MB of attention state don't hold one stream of %u positions: %.1f MB",
                       mega(params->kv_bytes_max), ctx, mega(m->kv_bytes_min));
    if (m->kv_bytes / page >= EW_PREFIX_NONE)
        return ew_fail(err, EW_EINVAL, "%.1f MB of attention state are too many pages",
                       mega(m->kv_bytes));
    m->work_bytes = work_bytes(arch, places, ctx, threads, (uint32_t)(m->kv_bytes / page));
    uint64_t fixed = m->weight_bytes + m->vocabulary_bytes + m->work_bytes;
    if (!params->kv_bytes_max && fixed + m->kv_bytes > available &&
        fixed + m->kv_bytes_min <= available)
        m->kv_bytes = (available - fixed) / page * page;
    m->total_bytes = fixed + m->kv_bytes;
    if (m->total_bytes <= available)
        return 0;
    return ew_fail(err, EW_ENOMEM,
                   "%s for %u streams needs %.1f MB (weights %.1f, attention state %.1f, work "
                   "%.1f), %.1f MB available: %s",
                   name, places, mega(m->total_bytes), mega(m->weight_bytes), mega(m->kv_bytes),
                   mega(m->work_bytes + m->vocabulary_bytes), mega(available),
                   fixed + m->kv_bytes_min <= available ? "take less attention state"
                                                        : "use a smaller context or model");
}

int ew_model_plan(const char *path, const struct ew_model_params *params,
                  const struct ew_batch_params *batch, struct ew_memory *out, struct ew_err *err)
{
    static const struct ew_model_params model_defaults = {0};
    static const struct ew_batch_params batch_defaults = {0};
    params = params ? params : &model_defaults;
    struct ew_gguf *gguf = NULL;
    struct ew_arch arch;
    struct ew_weights weights = {0};
    struct ew_machine machine;
    *out = (struct ew_memory){0};
    ew_machine_describe(&machine);
    int failed = ew_gguf_open(&gguf, path, err);
    if (!failed && (failed = ew_arch_read(&arch, gguf, params->ctx, err)) == 0 &&
        (failed = ew_weights_map(&weights, gguf, &arch, err)) == 0) {
        out->weight_bytes = weights.packed_bytes;
        out->vocabulary_bytes = ew_plan_vocabulary_bytes(&arch);
        failed = plan(out, &arch, path, batch ? batch : &batch_defaults,
                      params->threads ? params->threads : machine.cores,
                      params->memory_max ? params->memory_max : UINT64_MAX, err);
    }
    ew_weights_fini(&weights);
    ew_gguf_close(&gguf);
    return failed;
}

static int open_parts(struct ew_batch *b, const struct ew_memory *memory, struct ew_err *err)
{
    const struct ew_network *net = &b->model->net;
    uint32_t pages = (uint32_t)(memory->kv_bytes / ew_kvcache_page_bytes(&net->arch));
    const struct ew_scratch_size size = size_of(b->places, b->ctx, (int)b->threads);
    b->streams = calloc(b->places, sizeof *b->streams);
    b->choosing = calloc(b->places, sizeof *b->choosing);
    b->owners = calloc((size_t)2 * b->places, sizeof *b->owners);
    b->segments = calloc((size_t)2 * b->places, sizeof *b->segments);
    b->desks = calloc(b->threads, sizeof *b->desks);
    b->mask_words = (net->arch.vocab + 31) / 32;
    b->masks = calloc((size_t)b->threads * b->mask_words, sizeof *b->masks);
    if (!b->streams || !b->choosing || !b->owners || !b->segments || !b->desks || !b->masks)
        return ew_fail(err, EW_ENOMEM, "no memory for a batch");
    int failed = ew_kvcache_init(&b->cache, &net->arch, pages, EW_KVCACHE_ALL, err);
    if (failed || (failed = ew_prefix_init(&b->prefix, pages, err)) ||
        (failed = ew_scratch_init(&b->scratch, &net->arch, &size, err)))
        return failed;
    for (uint32_t i = 0; i < b->threads && !failed; i++)
        failed = ew_sampler_desk_open(&b->desks[i], net->arch.vocab, &net->kernels, err);
    return failed;
}

int ew_batch_open(struct ew_batch **gives, struct ew_model *model,
                  const struct ew_batch_params *params, struct ew_err *err)
{
    static const struct ew_batch_params defaults = {0};
    params = params ? params : &defaults;
    *gives = NULL;
    if (model->vocab_only)
        return ew_fail(err, EW_EINVAL, "%s was opened without its weights", model->name);
    const struct ew_arch *arch = &model->net.arch;
    struct ew_memory memory = {.weight_bytes = model->plan.weight_bytes,
                               .vocabulary_bytes = model->plan.vocabulary_bytes};
    int threads = ew_pool_threads(model->net.pool);
    int failed = plan(&memory, arch, model->name, params, threads, model->memory_allowed, err);
    if (failed)
        return failed;
    struct ew_batch *b = calloc(1, sizeof *b);
    if (!b)
        return ew_fail(err, EW_ENOMEM, "no memory for a batch");
    b->model = model;
    b->places = places_of(params);
    b->ctx = params->ctx ? params->ctx : arch->ctx;
    b->threads = (uint32_t)threads;
    b->work_bytes = memory.work_bytes;
    ew_budget_init(&b->budget);
    failed = open_parts(b, &memory, err);
    if (failed)
        ew_batch_close(&b);
    *gives = b;
    return failed;
}

void ew_batch_close(struct ew_batch **batch)
{
    struct ew_batch *b = *batch;
    if (!b)
        return;
    EW_ASSERT(!b->running); /* its streams are closed first */
    for (uint32_t i = 0; b->desks && i < b->threads; i++)
        ew_sampler_desk_close(&b->desks[i]);
    ew_scratch_fini(&b->scratch);
    ew_prefix_fini(&b->prefix);
    ew_kvcache_fini(&b->cache);
    free(b->masks);
    free(b->desks);
    free(b->segments);
    free(b->owners);
    free(b->choosing);
    free(b->streams);
    free(b);
    *batch = NULL;
}

void ew_batch_describe(const struct ew_batch *batch, struct ew_batch_info *out)
{
    const struct ew_prefix *prefix = &batch->prefix;
    uint64_t used = prefix->count - ew_prefix_available(prefix);
    *out = (struct ew_batch_info){
        .streams = batch->places,
        .running = batch->running,
        .page_positions = EW_PAGE,
        .pages = prefix->count,
        .pages_used = used,
        .pages_cached = prefix->idle_count,
        .bytes = (used + prefix->idle_count) * batch->cache.page_bytes + batch->work_bytes,
        .steps = batch->steps,
        .prompt_tokens = batch->prompt_tokens,
        .cached_tokens = batch->cached_tokens,
        .output_tokens = batch->output_tokens,
        .preemptions = batch->preemptions,
    };
    for (uint32_t i = 0; i < batch->running; i++)
        out->prefilling += !ew_stream_decodes(batch->streams[i]);
}
