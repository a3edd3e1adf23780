/* exchange_tell.c - from the engine's pieces to what a client reads.
 *
 * Text passes the parser of tool calls, where the request has tools; what comes out is a delta of
 * its choice. Streamed, each is written at once; else all is kept and written at the end. */
#include "serve/exchange.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "flow/usage.h"
#include "serve/routes.h"

/* What the wire may make of one step's pieces; more than a slow reader is waited for. */
#define OUT_BYTES_MAX   (8u << 20)
#define WHOLE_BYTES_MAX (256u << 20)
#define TOKENS_MAX      131072

/* ---- the reply's head ---- */

/* With what a place had said before it broke off. The first token is its; of both, what one doesn't
 * know of its part isn't known of the whole. */
static struct ew_usage add(struct ew_usage usage, const struct ew_usage *spent)
{
    if (!spent->output_tokens)
        return usage;
    if (usage.ttft_ns)
        usage.decode_ns += usage.ttft_ns - spent->ttft_ns;
    else
        usage.decode_ns = spent->decode_ns;
    usage.ttft_ns = spent->ttft_ns;
    usage.output_tokens += spent->output_tokens;
    usage.cost_cents += spent->cost_cents;
    usage.energy.joules += spent->energy.joules;
    if (spent->energy.kind < usage.energy.kind || isnan(usage.energy.joules))
        usage.energy.kind = isnan(usage.energy.joules) ? EW_ENERGY_UNKNOWN : spent->energy.kind;
    usage.estimated = usage.estimated || spent->estimated;
    return usage;
}

/* And what the attempts took of which nobody heard a word. Where the answer's own energy isn't
 * known, the sum isn't. */
static struct ew_usage add_lost(struct ew_usage usage, const struct ew_exchange *x)
{
    const struct ew_energy lost = {.joules = x->lost_j, .kind = EW_ENERGY_MODELLED};
    const bool nobody = !x->relay && !x->computes;
    if (nobody && x->lost_cents > 0)
        usage.cost_cents = x->lost_cents;
    else
        usage.cost_cents += x->lost_cents;
    if (!(x->lost_j > 0))
        return usage;
    if (nobody)
        usage.energy = lost;
    else
        usage.energy.joules += x->lost_j;
    if (usage.energy.kind > lost.kind)
        usage.energy.kind = lost.kind;
    return usage;
}

struct ew_usage ew_exchange_engine_usage(const struct ew_exchange *x)
{
    const struct ew_job_tally *t = &x->job.seen;
    struct ew_usage usage = ew_usage_none();
    usage.prompt_tokens = t->prompt_tokens;
    usage.cached_tokens = t->cached_tokens;
    usage.output_tokens = t->output_tokens;
    if (t->first_ns) {
        usage.ttft_ns = t->first_ns - x->arrived_ns;
        usage.prefill_ns = t->first_ns - t->added_ns;
        usage.decode_ns = t->last_ns - t->first_ns;
    }
    ew_usage_set_energy(&usage, &t->energy, x->tariff_cents_per_kwh);
    return usage;
}

struct ew_usage ew_exchange_usage(const struct ew_exchange *x)
{
    if (x->ended_ns)
        return x->usage;
    return add_lost(x->relay ? add(ew_relay_usage(x), &x->spent) : ew_exchange_engine_usage(x), x);
}

enum ew_finish ew_exchange_finish(const struct ew_exchange *x)
{
    if (x->relay)
        return x->relay->finish;
    return x->choices ? x->choices[0].finish : EW_FINISH_NONE;
}

struct ew_reply ew_exchange_reply(const struct ew_exchange *x)
{
    const struct ew_relay *first = x->relay_before ? x->relay_before : x->relay;
    const char *id = first && first->passes ? ew_answer_id(first->answer) : "";
    struct ew_reply reply = {
        .request = &x->job.request,
        .created_s = x->arrived_ms / 1000,
        .model = x->job.request.model,
        .fingerprint = "edgewise-" EW_VERSION,
        .device = x->way.place,
        .finish = ew_exchange_finish(x),
        .usage = ew_exchange_usage(x),
        .load_ns = x->loading_ns && x->loaded_ns ? x->loaded_ns - x->loading_ns : 0,
        .total_ns = x->ended_ns ? x->ended_ns - x->arrived_ns : 0,
    };
    ew_str_copy(reply.id, sizeof reply.id, *id ? id : x->reply_id);
    if (*id && ew_answer_created_s(first->answer))
        reply.created_s = ew_answer_created_s(first->answer);
    return reply;
}

/* ---- choices ---- */

int ew_exchange_make_choices(struct ew_exchange *x, struct ew_err *err)
{
    const struct ew_request *r = &x->job.request;
    x->choices = calloc(x->job.stream_count, sizeof *x->choices);
    if (!x->choices)
        return ew_fail(err, EW_ENOMEM, "no memory for a request");
    for (uint32_t i = 0; i < x->job.stream_count; i++) {
        ew_buf_init(&x->choices[i].plain, EW_CHOICE_TEXT_MAX);
        if (!r->tools.data || r->tool_choice == EW_TOOLS_NONE)
            continue;
        int failed = ew_tools_open(&x->choices[i].tools, r, err);
        if (failed)
            return failed;
        ew_tools_seed(x->choices[i].tools, ew_rng_next(&x->server->rng));
    }
    return 0;
}

void ew_exchange_drop_choices(struct ew_exchange *x)
{
    for (uint32_t i = 0; x->choices && i < x->job.stream_count; i++) {
        ew_tools_close(&x->choices[i].tools);
        ew_buf_fini(&x->choices[i].plain);
    }
    free(x->choices);
    x->choices = NULL;
}

static enum ew_finish finish_of(enum ew_stream_end end, const struct ew_exchange_choice *choice)
{
    switch (end) {
    case EW_STREAM_STOP:
        return choice->calls_told ? EW_FINISH_TOOL_CALLS : EW_FINISH_STOP;
    case EW_STREAM_LENGTH:
    case EW_STREAM_CONTEXT:
        return EW_FINISH_LENGTH;
    default:
        return EW_FINISH_NONE;
    }
}

/* The prompt before the answer, as OpenAI's older API offers. */
static int add_echo(struct ew_exchange *x, uint32_t index, struct ew_err *err)
{
    const struct ew_request *r = &x->job.request;
    struct ew_exchange_choice *choice = &x->choices[index];
    size_t which = index / r->n;
    if (!r->echo || r->kind != EW_REQUEST_COMPLETION || choice->begun)
        return 0;
    if (!r->prompts[which].tokens)
        return ew_buf_add(&choice->plain, r->prompts[which].text.data, r->prompts[which].text.bytes,
                          err);
    const struct ew_job_prompt *prompt = &x->job.prompts[which];
    int failed = 0;
    for (size_t i = 0; i < prompt->count && !failed; i++) {
        size_t bytes;
        const char *text = ew_model_token(x->job.slot->model, prompt->tokens[i], &bytes);
        failed = ew_buf_add(&choice->plain, text, bytes, err);
    }
    return failed;
}

/* The newest text of a choice into `plain`. */
static int digest(struct ew_exchange *x, uint32_t index, struct ew_err *err)
{
    struct ew_exchange_choice *choice = &x->choices[index];
    const struct ew_job_stream *stream = &x->job.streams[index];
    const struct ew_buf *text = &stream->taken.text;
    int failed = add_echo(x, index, err);
    choice->begun = true;
    if (!failed && !choice->tools)
        return ew_buf_add(&choice->plain, text->data, text->bytes, err);
    if (!failed && text->bytes)
        failed = ew_tools_push(choice->tools, text->data, text->bytes, &choice->plain, err);
    if (!failed && stream->taken_end != EW_STREAM_RUNS)
        failed = ew_tools_flush(choice->tools, &choice->plain, err);
    return failed;
}

/* ---- tokens with their probabilities ---- */

static struct ew_reply_token token_of(const struct ew_model *model, int32_t id, float logprob)
{
    struct ew_reply_token token = {.id = id, .logprob = logprob};
    token.text.data = ew_model_token(model, id, &token.text.bytes);
    if (!token.text.bytes)
        token.text.data = ew_model_token_name(model, id, &token.text.bytes);
    return token;
}

/* Gives one block: the tokens, then all their alternatives. */
static int make_tokens(const struct ew_exchange *x, const struct ew_piece *piece,
                       struct ew_reply_token **gives, size_t *count, struct ew_err *err)
{
    const struct ew_model *model = x->job.slot->model;
    const struct ew_choice_token *from = (const void *)piece->tokens.data;
    const struct ew_token_logprob *top = (const void *)piece->top.data;
    size_t n = piece->tokens.bytes / sizeof *from, tops = piece->top.bytes / sizeof *top, at = 0;
    *gives = NULL;
    *count = n;
    if (!n)
        return 0;
    if (n > TOKENS_MAX)
        return ew_fail(err, EW_ELIMIT, "%zu tokens with probabilities, at most %d", n, TOKENS_MAX);
    struct ew_reply_token *tokens = calloc(n + tops, sizeof *tokens);
    if (!tokens)
        return ew_fail(err, EW_ENOMEM, "no memory for probabilities");
    for (size_t i = 0; i < n; i++) {
        tokens[i] = token_of(model, from[i].id, from[i].logprob);
        tokens[i].top = tokens + n + at;
        tokens[i].top_count = from[i].top_count;
        for (uint32_t k = 0; k < from[i].top_count; k++, at++)
            tokens[n + at] = token_of(model, top[at].token, top[at].logprob);
    }
    *gives = tokens;
    return 0;
}

/* ---- deltas ---- */

static int make_delta(struct ew_exchange *x, uint32_t index, struct ew_delta *delta,
                      struct ew_reply_token **tokens, struct ew_err *err)
{
    struct ew_exchange_choice *choice = &x->choices[index];
    const struct ew_job_stream *stream = &x->job.streams[index];
    static const struct ew_reply_token none;
    int failed = digest(x, index, err);
    *tokens = NULL;
    if (failed)
        return failed;
    *delta = (struct ew_delta){.choice = index, .text_offset = choice->text_offset};
    delta->text = (struct ew_str){ew_buf_cstr(&choice->plain), choice->plain.bytes};
    if (x->job.request.logprobs) {
        failed = make_tokens(x, &stream->taken, tokens, &delta->token_count, err);
        delta->tokens = *tokens ? *tokens : &none;
    }
    if (choice->tools) {
        delta->call_first = choice->calls_told;
        delta->call_count = ew_tools_count(choice->tools) - choice->calls_told;
        delta->calls = ew_tools_calls(choice->tools) + choice->calls_told;
        choice->calls_told += delta->call_count;
    }
    if (choice->finish == EW_FINISH_NONE)
        delta->finish = choice->finish = finish_of(stream->taken_end, choice);
    choice->text_offset += choice->plain.bytes;
    return failed;
}

int ew_exchange_start_stream(struct ew_exchange *x)
{
    struct ew_relay *relay = x->relay;
    if (x->started)
        return 0;
    x->started = true;
    ew_route_headers(x);
    ew_http_add_header(x->http, "Cache-Control", "no-cache");
    ew_http_add_header(x->http, "X-Accel-Buffering", "no"); /* nginx passes events on at once */
    ew_http_stream_start(x->http, 200, x->wire->stream_type);
    if (relay && (relay->passes || relay->told_start))
        return 0; /* the place's own is there already */
    if (relay)
        relay->told_start = true;
    const struct ew_reply reply = ew_exchange_reply(x);
    return x->wire->start(&reply, &x->out);
}

static int tell_choice(struct ew_exchange *x, uint32_t index, struct ew_err *err)
{
    struct ew_reply reply = ew_exchange_reply(x);
    struct ew_reply_token *tokens;
    struct ew_delta delta;
    int failed = make_delta(x, index, &delta, &tokens, err);
    if (!failed && (delta.text.bytes || delta.token_count || delta.call_count ||
                    delta.finish != EW_FINISH_NONE)) {
        failed = ew_exchange_start_stream(x);
        if (!failed)
            failed = x->wire->delta(&reply, &delta, &x->out);
        if (failed)
            ew_fail(err, failed, "what waits for a slow reader is more than %u bytes",
                    OUT_BYTES_MAX);
    }
    ew_buf_clear(&x->choices[index].plain);
    free(tokens);
    return failed;
}

int ew_exchange_tell(struct ew_exchange *x, struct ew_err *err)
{
    int failed = 0;
    x->out.max = OUT_BYTES_MAX;
    for (uint32_t i = 0; i < x->job.stream_count && !failed; i++)
        failed = tell_choice(x, i, err);
    return failed ? failed : ew_exchange_write(x, err);
}

int ew_exchange_write(struct ew_exchange *x, struct ew_err *err)
{
    size_t done = 0;
    int failed = 0;
    while (done < x->out.bytes && !failed) {
        size_t bytes = x->out.bytes - done;
        if (bytes > EW_HTTP_UNSENT_MAX / 4)
            bytes = EW_HTTP_UNSENT_MAX / 4;
        failed = ew_http_stream_write(x->http, (struct ew_str){x->out.data + done, bytes}, err);
        done += failed ? 0 : bytes;
    }
    if (done) {
        for (size_t i = done; i < x->out.bytes; i++)
            x->out.data[i - done] = x->out.data[i];
        x->out.bytes -= done;
    }
    return failed;
}

/* ---- the end ---- */

static void add_real(struct ew_http_request *http, const char *name, double value)
{
    char text[40];
    if (!isfinite(value))
        return;
    snprintf(text, sizeof text, "%.6g", value);
    ew_http_add_header(http, name, text);
}

static void add_usage_headers(struct ew_exchange *x, const struct ew_usage *usage)
{
    if (usage->energy.kind != EW_ENERGY_UNKNOWN)
        add_real(x->http, "X-Edgewise-Energy-J", usage->energy.joules);
    ew_http_add_header(x->http, "X-Edgewise-Energy-Kind", ew_energy_kind_name(usage->energy.kind));
    add_real(x->http, "X-Edgewise-Cost-Cents", usage->cost_cents);
    add_real(x->http, "X-Edgewise-Ttft-Ms",
             usage->ttft_ns ? (double)usage->ttft_ns / EW_NS_PER_MS : NAN);
    add_real(x->http, "X-Edgewise-Tokens-Per-S", ew_usage_decode_tokens_per_s(usage));
}

/* Not streamed: the body of the answer. */
static int compose_whole(struct ew_exchange *x, struct ew_err *err)
{
    struct ew_reply reply = ew_exchange_reply(x);
    struct ew_delta deltas[EW_JOB_STREAMS_MAX] = {0};
    struct ew_reply_token *tokens[EW_JOB_STREAMS_MAX] = {0};
    uint32_t count = x->job.stream_count;
    int failed = 0;
    x->out.max = WHOLE_BYTES_MAX;
    if (x->relay)
        return ew_relay_compose(x, &reply, err);
    for (uint32_t i = 0; i < count && !failed; i++)
        failed = make_delta(x, i, &deltas[i], &tokens[i], err);
    if (!failed && (failed = x->wire->whole(&reply, deltas, count, &x->out)))
        ew_fail(err, failed, "the answer is larger than %u bytes", WHOLE_BYTES_MAX);
    for (uint32_t i = 0; i < count; i++)
        free(tokens[i]);
    return failed;
}

static bool is_streamed(const struct ew_exchange *x)
{
    return x->started || (!x->fault.status && x->job.request.stream);
}

void ew_exchange_compose_end(struct ew_exchange *x)
{
    struct ew_err err = {0};
    int failed = 0;
    if (is_streamed(x) && !x->fault.status) {
        struct ew_reply reply = ew_exchange_reply(x);
        failed = ew_exchange_start_stream(x);
        failed = failed ? failed : x->wire->end(&reply, &x->out);
        if (failed)
            ew_fail(&err, failed, "the end of the answer can't be written");
    } else if (!x->fault.status) {
        failed = compose_whole(x, &err);
    }
    if (failed)
        ew_fault_set(&x->fault, 500, NULL, NULL, "%s", err.text);
    if (x->started && x->fault.status)
        (void)!x->wire->stream_error(&x->fault, &x->out);
}

void ew_exchange_tell_end(struct ew_exchange *x)
{
    if (is_streamed(x)) {
        if (ew_exchange_write(x, NULL)) /* a cut connection says that the answer isn't whole */
            ew_http_abort(x->http);
        else
            ew_http_stream_end(x->http);
    } else if (x->fault.status) {
        ew_route_headers(x);
        ew_routes_fail(x->http, x->wire, &x->fault);
    } else {
        const struct ew_reply reply = ew_exchange_reply(x);
        ew_route_headers(x);
        add_usage_headers(x, &reply.usage);
        ew_http_reply(x->http, 200, "application/json",
                      (struct ew_str){ew_buf_cstr(&x->out), x->out.bytes});
    }
    x->http = NULL;
}
