/* account.c - fills an ew_record of an exchange. */
#include "serve/account.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "flow/usage.h"

static struct ew_str text_of(const char *text)
{
    return (struct ew_str){text, strlen(text)};
}

#define SET(record, member, text) ew_record_set((record)->member, sizeof(record)->member, text)

static double ms_between(uint64_t from_ns, uint64_t to_ns)
{
    return from_ns && to_ns >= from_ns ? (double)(to_ns - from_ns) / EW_NS_PER_MS : NAN;
}

static void set_times(struct ew_record *r, const struct ew_exchange *x)
{
    const struct ew_job_tally *t = &x->job.seen;
    if (x->loading_ns)
        r->load_ms = ms_between(x->loading_ns, x->loaded_ns ? x->loaded_ns : x->ended_ns);
    if (x->queued_ns)
        r->queue_ms = ms_between(x->queued_ns, x->begun_ns ? x->begun_ns : x->ended_ns);
    const struct ew_relay *relay = x->relay, *began = x->relay_before ? x->relay_before : relay;
    uint64_t first_ns = began ? began->first_ns : t->first_ns;
    if (first_ns) {
        r->ttft_ms = ms_between(x->arrived_ns, first_ns);
        r->decode_ms = ms_between(first_ns, relay ? relay->last_ns : t->last_ns);
    }
    r->total_ms = ms_between(x->arrived_ns, x->ended_ns);
}

/* By our own engine, by the place that answered, or by us where it told nothing. */
static const char *tokens_kind(const struct ew_exchange *x, const struct ew_usage *usage)
{
    if (!x->relay)
        return "counted";
    return usage->estimated || !x->relay->has_usage ? "estimated" : "reported";
}

static void set_tokens(struct ew_record *r, const struct ew_exchange *x)
{
    const struct ew_usage *u = &x->usage;
    size_t prompt = 0;
    for (size_t i = 0; i < x->job.prompt_count; i++)
        prompt += x->job.prompts[i].count;
    if (prompt)
        r->prompt_tokens = (int64_t)prompt;
    if (!prompt && u->prompt_tokens)
        r->prompt_tokens = u->prompt_tokens;
    if (prompt || x->begun_ns)
        SET(r, tokens_kind, text_of(tokens_kind(x, u)));
    if (x->begun_ns) {
        r->cached_tokens = u->cached_tokens;
        r->output_tokens = u->output_tokens;
    }
    if (u->energy.kind != EW_ENERGY_UNKNOWN)
        r->energy_j = u->energy.joules;
    SET(r, energy_kind, text_of(ew_energy_kind_name(u->energy.kind)));
    r->cost_cents = u->cost_cents;
}

static void set_prompt(struct ew_record *r, const struct ew_request *request)
{
    if (request->messages.data)
        SET(r, prompt, request->messages);
    else if (request->prompt_count && request->prompts[0].text.data)
        SET(r, prompt, request->prompts[0].text);
}

static const char *finish_of(const struct ew_exchange *x)
{
    static const char *const names[] = {"", "stop", "length", "tool_calls"};
    if (x->gone)
        return "cancelled";
    if (x->fault.status)
        return "error";
    return x->choices || x->relay ? names[ew_exchange_finish(x)] : "stop";
}

static int status_of(const struct ew_exchange *x)
{
    return x->gone ? 499 : x->fault.status ? x->fault.status : 200;
}

static void set_decision(struct ew_record *r, const struct ew_buf *log)
{
    char *to = r->decision;
    size_t bytes = ew_str_copy(to, sizeof r->decision, "[");
    bytes += ew_str_copy(to + bytes, sizeof r->decision - bytes, ew_buf_cstr(log));
    (void)ew_str_copy(to + bytes, sizeof r->decision - bytes, "]");
}

/* Where it went, why, and what was weighed. */
static void set_way(struct ew_record *r, const struct ew_exchange *x)
{
    static const char *const kinds[] = {"engine", "device", "cloud"};
    const struct ew_route *way = &x->way;
    const bool nowhere = x->fault.status && !x->begun_ns;
    if (x->begun_ns) {
        SET(r, device, text_of(way->place));
        SET(r, place, text_of(kinds[way->kind]));
    }
    r->attempts = way->attempts;
    SET(r, reason,
        text_of(way->reason != EW_REASON_NONE && !nowhere ? ew_reason_name(way->reason)
                : x->fault.code                           ? x->fault.code
                                                          : ""));
    r->edge_cents = way->edge_cents;
    r->cloud_cents = way->cloud_cents;
    if (way->log.bytes)
        set_decision(r, &way->log);
}

static void fill(struct ew_record *r, const struct ew_exchange *x)
{
    ew_record_init(r);
    SET(r, request_id, text_of(x->id));
    r->arrived_ms = x->arrived_ms;
    SET(r, client, text_of(x->client));
    SET(r, peer, text_of(x->peer));
    SET(r, route, text_of(x->route));
    SET(r, policy, text_of(x->policy));
    r->status = status_of(x);
    SET(r, finish, text_of(finish_of(x)));
    SET(r, error, text_of(x->fault.message));
    set_way(r, x);
    if (x->job.request.model) {
        SET(r, model, text_of(x->job.request.model));
        r->stream = x->job.request.stream;
        r->choices = x->job.request.n;
    }
    set_times(r, x);
    set_tokens(r, x);
    if (x->keeps_prompt)
        set_prompt(r, &x->job.request);
}

static void count(const struct ew_exchange *x)
{
    struct ew_metrics *metrics = x->server->metrics;
    struct ew_metrics_request what = {
        .route = ew_metrics_route(x->route),
        .model = x->model ? ew_metrics_model(metrics, x->model->name) : 0,
        .status = status_of(x),
        .duration_ns = x->ended_ns - x->arrived_ns,
        .usage = x->begun_ns ? &x->usage : NULL,
    };
    ew_metrics_count(metrics, &what);
    ew_log(EW_LOG_DEBUG, "%s %s %d, %u tokens in %.0f ms", x->id, x->route, what.status,
           x->usage.output_tokens, ms_between(x->arrived_ns, x->ended_ns));
}

bool ew_account_put(struct ew_exchange *x)
{
    struct ew_record record;
    count(x);
    if (!x->server->ledger)
        return false;
    fill(&record, x);
    bool waits = x->durable && x->http;
    return ew_ledger_put(x->server->ledger, &record, waits ? x : NULL) && waits;
}

void ew_account_refused(struct ew_server *server, const struct ew_http_request *http,
                        const char *id, const struct ew_fault *fault)
{
    struct ew_record r;
    struct timespec now;
    if (!server->ledger)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    ew_record_init(&r);
    SET(&r, request_id, text_of(id));
    r.arrived_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / EW_NS_PER_MS;
    SET(&r, peer, text_of(ew_http_peer(http)));
    SET(&r, route, text_of(ew_http_path(http)));
    SET(&r, reason, text_of(fault->code ? fault->code : "refused"));
    SET(&r, policy, text_of(server->config->version));
    SET(&r, finish, text_of("error"));
    SET(&r, error, text_of(fault->message));
    SET(&r, energy_kind, text_of("unknown"));
    r.attempts = 0;
    r.status = fault->status;
    (void)ew_ledger_put(server->ledger, &r, NULL);
}
