/* stream.c - one answer of a batch: its tokens, its pages, its coming and going. */
#include <stdlib.h>
#include <string.h>

#include "engine/batch.h"

static int check_params(const struct ew_batch *batch, const struct ew_stream_params *params,
                        struct ew_err *err)
{
    const struct ew_arch *arch = &batch->model->net.arch;
    if (!params->count || !params->tokens)
        return ew_fail(err, EW_EINVAL, "no tokens");
    if (params->count >= batch->ctx)
        return ew_fail(err, EW_ECONTEXT,
                       "%zu tokens and one of an answer don't fit the context of %u", params->count,
                       batch->ctx);
    for (size_t i = 0; i < params->count; i++)
        if (params->tokens[i] < 0 || (uint32_t)params->tokens[i] >= arch->vocab)
            return ew_fail(err, EW_EINVAL, "token %zu is %d, the vocabulary has 0 to %u", i,
                           params->tokens[i], arch->vocab - 1);
    if (params->top_logprobs < 0 || params->top_logprobs > EW_LOGPROBS_MAX)
        return ew_fail(err, EW_EINVAL, "top_logprobs %d, must be from 0 to %d",
                       params->top_logprobs, EW_LOGPROBS_MAX);
    return 0;
}

int ew_stream_open(struct ew_stream **gives, struct ew_batch *batch,
                   const struct ew_stream_params *params, struct ew_err *err)
{
    *gives = NULL;
    int failed = check_params(batch, params, err);
    if (failed)
        return failed;
    struct ew_stream *s = calloc(1, sizeof *s);
    if (!s)
        return ew_fail(err, EW_ENOMEM, "no memory for a stream");
    s->batch = batch;
    s->user = params->user;
    s->logprobs = params->logprobs;
    s->top_logprobs = (uint32_t)params->top_logprobs;
    s->grammar = params->grammar;
    s->prompt = s->length = (uint32_t)params->count;
    s->limit_is_asked = params->max_tokens && params->max_tokens <= batch->ctx - s->prompt;
    s->limit = s->limit_is_asked ? s->prompt + params->max_tokens : batch->ctx;
    uint32_t pages = ew_kvcache_pages(s->limit);
    s->tokens = malloc(s->limit * sizeof *s->tokens);
    s->page = malloc(pages * sizeof *s->page);
    s->table = malloc(pages * sizeof *s->table);
    s->said = s->grammar ? malloc(sizeof *s->said) : NULL;
    if (!s->tokens || !s->page || !s->table || (s->grammar && !s->said))
        failed = ew_fail(err, EW_ENOMEM, "no memory for a stream of %u tokens", s->limit);
    else if ((failed = ew_sampler_open(&s->sampler, batch->model->net.arch.vocab, err)) == 0)
        failed = ew_sampler_set(s->sampler, &params->sampling, err);
    if (failed) {
        ew_stream_close(&s);
        return failed;
    }
    memcpy(s->tokens, params->tokens, s->length * sizeof *s->tokens);
    if (s->grammar)
        ew_grammar_start(s->grammar, s->said);
    *gives = s;
    return 0;
}

void ew_stream_close(struct ew_stream **stream)
{
    struct ew_stream *s = *stream;
    if (!s)
        return;
    ew_stream_pause(s);
    ew_sampler_close(&s->sampler);
    free(s->said);
    free(s->tokens);
    free(s->page);
    free(s->table);
    free(s);
    *stream = NULL;
}

/* ---- pages ---- */

static void put_page(struct ew_stream *s, uint32_t index, uint32_t page)
{
    s->page[index] = page;
    s->table[index] = s->batch->cache.page[page];
}

static uint32_t parent_of(const struct ew_stream *s, uint32_t index)
{
    return index ? s->page[index - 1] : EW_PREFIX_NONE;
}

/* The kept page that has the tokens of that page of the stream. One token at least is left to
 * compute: its logits choose the next. */
static uint32_t find_kept(const struct ew_stream *s, uint32_t index)
{
    if (index >= (s->length - 1) / EW_PAGE)
        return EW_PREFIX_NONE;
    return ew_prefix_find(&s->batch->prefix, parent_of(s, index),
                          s->tokens + (size_t)index * EW_PAGE);
}

static void drop_pages(struct ew_stream *s)
{
    while (s->pages)
        ew_prefix_drop(&s->batch->prefix, s->page[--s->pages]);
    s->kept = 0;
    s->computed = 0;
}

bool ew_stream_grow(struct ew_stream *s)
{
    uint32_t page = ew_prefix_take(&s->batch->prefix);
    if (page == EW_PREFIX_NONE)
        return false;
    put_page(s, s->pages++, page);
    return true;
}

void ew_stream_keep(struct ew_stream *s)
{
    for (; (s->kept + 1) * EW_PAGE <= s->computed; s->kept++)
        put_page(s, s->kept,
                 ew_prefix_keep(&s->batch->prefix, s->page[s->kept], parent_of(s, s->kept),
                                s->tokens + (size_t)s->kept * EW_PAGE));
}

void ew_stream_adopt(struct ew_stream *s)
{
    uint32_t page;
    while (s->computed == s->kept * EW_PAGE && (page = find_kept(s, s->kept)) != EW_PREFIX_NONE) {
        ew_prefix_hold(&s->batch->prefix, page);
        ew_prefix_drop(&s->batch->prefix, s->page[s->kept]);
        put_page(s, s->kept++, page);
        s->computed += EW_PAGE;
    }
}

/* ---- coming and going ---- */

int ew_stream_add(struct ew_stream *s, struct ew_err *err)
{
    struct ew_batch *b = s->batch;
    if (s->place != EW_STREAM_APART)
        return ew_fail(err, EW_EINVAL, "the stream %s",
                       s->place == EW_STREAM_OVER ? "has ended" : "is in the batch already");
    if (b->running == b->places)
        return ew_fail(err, EW_ELIMIT, "all %u places are taken", b->places);
    uint32_t page;
    while ((page = find_kept(s, s->pages)) != EW_PREFIX_NONE) {
        ew_prefix_hold(&b->prefix, page);
        put_page(s, s->pages++, page);
    }
    /* Each stream that runs may want a page soon: who is let in now shouldn't cost another its
     * place at once. A stream alone needs no such room, so it always gets in. */
    uint32_t need = ew_kvcache_pages(s->length + 1) - s->pages;
    uint32_t available = ew_prefix_available(&b->prefix);
    if (available < need + b->running) {
        drop_pages(s);
        return ew_fail(err, EW_ELIMIT, "%u pages of attention state are wanted, %u are to be had",
                       need + b->running, available);
    }
    s->kept = s->pages;
    s->computed = s->pages * EW_PAGE;
    for (; need; need--) {
        bool grown = ew_stream_grow(s);
        EW_ASSERT(grown);
    }
    if (!s->added_before) {
        s->added_before = true;
        s->cached = s->computed;
        b->prompt_tokens += s->prompt;
        b->cached_tokens += s->cached;
    }
    s->place = EW_STREAM_ADDED;
    b->streams[b->running++] = s;
    return 0;
}

void ew_stream_leave(struct ew_stream *s)
{
    struct ew_batch *b = s->batch;
    uint32_t at = 0;
    while (b->streams[at] != s)
        at++;
    b->running--;
    memmove(b->streams + at, b->streams + at + 1, (b->running - at) * sizeof *b->streams);
    drop_pages(s);
    s->place = EW_STREAM_APART;
}

void ew_stream_pause(struct ew_stream *stream)
{
    if (stream->place == EW_STREAM_ADDED)
        ew_stream_leave(stream);
}

void ew_stream_cancel(struct ew_stream *stream)
{
    atomic_store(&stream->cancel, true);
    if (atomic_load(&stream->exposed))
        atomic_store(&stream->batch->abort, true);
}

void ew_stream_describe(const struct ew_stream *stream, struct ew_stream_info *out)
{
    uint32_t outputs = stream->length - stream->prompt;
    *out = (struct ew_stream_info){
        .prompt_tokens = stream->prompt,
        .output_tokens = outputs,
        .cached_tokens = stream->cached,
        .computed_tokens =
            outputs || stream->computed > stream->prompt ? stream->prompt : stream->computed,
        .preemptions = stream->preemptions,
    };
}
