/* exchange.c - the steps of a request's way, and every way off it. */
#include "serve/exchange.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/log.h"
#include "serve/account.h"
#include "serve/prepare.h"
#include "serve/reload.h"
#include "serve/routes.h"

static uint64_t now(void)
{
    return ew_clock_now_ns(&ew_clock_real);
}

static void end(struct ew_exchange *x);

/* ---- coming and going ---- */

static void join(struct ew_server *server, struct ew_exchange *x)
{
    x->next = server->exchanges;
    if (x->next)
        x->next->before = x;
    server->exchanges = x;
    server->exchange_count++;
}

static void leave(struct ew_server *server, struct ew_exchange *x)
{
    *(x->before ? &x->before->next : &server->exchanges) = x->next;
    if (x->next)
        x->next->before = x->before;
    server->exchange_count--;
}

static void drop(struct ew_exchange *x)
{
    struct ew_server *server = x->server;
    leave(server, x);
    ew_exchange_drop_choices(x);
    ew_grammars_put(server->grammars, &x->grammar);
    ew_relay_close(x);
    ew_route_fini(&x->way);
    ew_job_fini(&x->job);
    ew_buf_fini(&x->out);
    if (x->holds_model)
        ew_models_done(x->model, now());
    ew_spares_give(&server->exchange_spares, x);
    ew_server_check_drained(server);
}

/* What never began isn't counted against its client. */
static void settle(struct ew_exchange *x)
{
    const struct ew_usage *usage = &x->usage;
    struct ew_amounts amounts = {0};
    if (x->begun_ns) {
        bool known = usage->energy.kind != EW_ENERGY_UNKNOWN;
        amounts.of[EW_LIMIT_REQUESTS] = 1;
        amounts.of[EW_LIMIT_TOKENS] = (double)usage->prompt_tokens + usage->output_tokens;
        amounts.of[EW_LIMIT_JOULES] = known ? usage->energy.joules : NAN;
        amounts.of[EW_LIMIT_CENTS] = usage->cost_cents;
    }
    ew_quotas_settle(x->server->quotas, &x->claim, &amounts, x->ended_ns);
}

static enum ew_outcome outcome_of(const struct ew_exchange *x)
{
    if (x->gone)
        return EW_OUTCOME_CANCELLED;
    if (x->fault.status >= 500 && x->fault.status != 504)
        return EW_OUTCOME_FAILED;
    return x->fault.status ? EW_OUTCOME_CANCELLED : EW_OUTCOME_GOOD;
}

/* Nobody else has it any more: its row, then its answer. */
void ew_exchange_conclude(struct ew_exchange *x)
{
    struct ew_server *server = x->server;
    EW_ASSERT(!x->task.pending && !x->job.held);
    if (x->relay)
        ew_relay_stop(x->relay);
    x->usage = ew_exchange_usage(x);
    x->ended_ns = now();
    ew_queue_leave(server->queue, &x->item, x->ended_ns);
    ew_route_leave(x, outcome_of(x), EW_ROUTE_MAY_RETURN, x->ended_ns);
    settle(x);
    if (x->http)
        ew_exchange_compose_end(x);
    if (ew_account_put(x)) {
        x->state = EW_EXCHANGE_COMMITTING;
        server->committing++;
    } else {
        if (x->http)
            ew_exchange_tell_end(x);
        drop(x);
    }
    ew_exchange_pump(server);
}

/* Takes back what was begun; concludes at once where nobody else has a part of it. */
static void end(struct ew_exchange *x)
{
    struct ew_server *server = x->server;
    if (x->state == EW_EXCHANGE_ENDING || x->state == EW_EXCHANGE_COMMITTING)
        return;
    if (x->state == EW_EXCHANGE_LOADING && !x->holds_model && x->model) {
        struct ew_models_entry *model = x->model;
        x->model = NULL;
        ew_models_forget(model, &x->waiter);
    }
    ew_queue_leave(server->queue, &x->item, now());
    x->state = EW_EXCHANGE_ENDING;
    if (x->computes && !x->job.released)
        ew_jobs_end(server->jobs, &x->job);
    else if (!x->task.pending)
        ew_exchange_conclude(x);
}

void ew_exchange_fail(struct ew_exchange *x, const struct ew_fault *fault)
{
    if (!x->fault.status)
        x->fault = *fault;
    end(x);
}

void ew_exchange_gone(struct ew_exchange *x)
{
    x->http = NULL;
    struct ew_server *server = x->server;
    if (x->state != EW_EXCHANGE_COMMITTING && !(x->state == EW_EXCHANGE_ENDING && x->fault.status))
        x->gone = true;
    end(x); /* x may be no more */
    ew_exchange_pump(server);
}

/* ---- preparing ---- */

static struct ew_exchange *of_task(struct ew_task *task)
{
    return (void *)((char *)task - offsetof(struct ew_exchange, task));
}

/* The worker's thread; the loop doesn't touch job and fault meanwhile. */
static void run_prepare(struct ew_task *task)
{
    struct ew_exchange *x = of_task(task);
    (void)!ew_prepare(&x->job, x->model->about.ctx, x->server->grammars, &x->grammar, &x->prepared);
}

/* The most tokens that it may become; of an answer without max_tokens, what is left of the context,
 * or of what its client may ever have. */
static uint64_t bound_tokens(struct ew_exchange *x)
{
    const struct ew_job *job = &x->job;
    uint64_t prompts = 0, answers = 0, most = ew_quotas_tokens_max(x->server->quotas, x->client);
    if (!job->prompt_count) { /* not prepared: another place may answer it */
        ew_route_forecast(x);
        return (uint64_t)(x->way.forecast.prompt_tokens + x->way.forecast.output_tokens_max);
    }
    for (size_t i = 0; i < job->prompt_count; i++) {
        uint64_t rest = x->model->about.ctx - job->prompts[i].count;
        uint64_t each = job->request.max_tokens && job->request.max_tokens < rest
                            ? job->request.max_tokens
                            : rest;
        prompts += job->prompts[i].count;
        answers += each * job->request.n;
    }
    if (prompts + answers > most && prompts + job->stream_count <= most &&
        !job->request.max_tokens) {
        x->job.request.max_tokens = (uint32_t)((most - prompts) / job->stream_count);
        answers = (uint64_t)x->job.request.max_tokens * job->stream_count;
    }
    return prompts + answers;
}

static void claim(struct ew_exchange *x)
{
    struct ew_quotas *quotas = x->server->quotas;
    uint64_t now_ns = now();
    const struct ew_amounts amounts = {.of = {[EW_LIMIT_REQUESTS] = 1,
                                              [EW_LIMIT_TOKENS] = (double)bound_tokens(x),
                                              [EW_LIMIT_JOULES] = NAN,
                                              [EW_LIMIT_CENTS] = NAN}};
    int refused = ew_quotas_claim(quotas, x->client, &amounts, now_ns, &x->claim, &x->prepared);
    ew_quotas_headers(quotas, x->client, now_ns, x->http);
    if (refused)
        ew_exchange_fail(x, &x->prepared);
    else
        ew_exchange_enqueue(x);
}

/* The engine can't, but maybe another place. */
static void engine_failed(struct ew_exchange *x, const struct ew_fault *fault)
{
    if (x->holds_model)
        ew_models_done(x->model, now());
    x->holds_model = false;
    x->model = NULL;
    ew_exchange_elsewhere(x, fault, fault->status >= 500 ? EW_OUTCOME_FAILED : EW_OUTCOME_CANCELLED,
                          EW_ROUTE_NEVER_AGAIN);
}

static bool is_unfit(const struct ew_fault *fault)
{
    return fault->status >= 500 ||
           (fault->code && strcmp(fault->code, "context_length_exceeded") == 0);
}

static void prepared(struct ew_task *task)
{
    struct ew_exchange *x = of_task(task);
    struct ew_err err = {0};
    if (x->state == EW_EXCHANGE_ENDING) {
        ew_exchange_conclude(x);
    } else if (x->prepared.status && x->item.runs && is_unfit(&x->prepared)) {
        engine_failed(x, &x->prepared);
    } else if (x->prepared.status) {
        ew_exchange_fail(x, &x->prepared);
    } else if (ew_exchange_make_choices(x, &err)) {
        ew_fault_set(&x->prepared, 503, NULL, NULL, "%s", err.text);
        ew_exchange_fail(x, &x->prepared);
    } else if (x->item.runs) {
        ew_exchange_compute(x);
    } else {
        claim(x);
    }
}

static void prepare(struct ew_exchange *x)
{
    x->holds_model = true;
    x->state = EW_EXCHANGE_PREPARING;
    x->job.slot = &x->model->slot;
    if (x->job.request.load_only) {
        ew_exchange_conclude(x);
        return;
    }
    x->task = (struct ew_task){.run = run_prepare, .done = prepared};
    ew_worker_put(x->server->preparer, &x->task);
}

static void model_told(struct ew_models_waiter *waiter, const struct ew_fault *fault)
{
    struct ew_exchange *x = (void *)((char *)waiter - offsetof(struct ew_exchange, waiter));
    x->loaded_ns = now();
    if (!fault) {
        prepare(x);
        return;
    }
    x->model = NULL;
    if (x->item.runs)
        engine_failed(x, fault);
    else
        ew_exchange_fail(x, fault);
}

static void no_model(const struct ew_exchange *x, struct ew_fault *fault)
{
    ew_fault_set(fault, 404, "model_not_found", NULL, /* as OpenAI; /v1/models/NAME names it */
                 "The model '%s' does not exist or you do not have access to it.",
                 x->job.request.model);
}

/* Its model, then its tokens. x may be no more afterwards. */
void ew_exchange_load(struct ew_exchange *x)
{
    const struct ew_request *r = &x->job.request;
    struct ew_fault fault;
    x->state = EW_EXCHANGE_LOADING;
    x->model = ew_models_find(x->server->models, *x->way.there ? x->way.there : r->model);
    if (!x->model) {
        no_model(x, &fault);
        ew_exchange_fail(x, &fault);
        return;
    }
    if (r->keep_alive_s == r->keep_alive_s)
        x->model->keep_alive_s = r->keep_alive_s;
    x->loading_ns = now();
    if (!ew_models_ask(x->model, &x->waiter, x->loading_ns))
        return;
    x->loading_ns = 0;
    prepare(x);
}

/* ---- arriving ---- */

static uint64_t hash(const char *text)
{
    return ew_hash_bytes(EW_HASH_START, text, strlen(text));
}

/* Whose it is where no clients are configured: what the client says of itself, or where it is. */
static uint64_t key_of(const struct ew_exchange *x)
{
    const char *token = ew_http_header(x->http, "Authorization");
    if (x->server->config->client_count)
        return hash(x->client);
    if (x->job.request.user)
        return hash(x->job.request.user);
    return hash(token ? token : x->peer);
}

static uint32_t count_of(const struct ew_server *server, const char *client)
{
    uint32_t count = 0;
    for (const struct ew_exchange *x = server->exchanges; x; x = x->next)
        count += x->state != EW_EXCHANGE_COMMITTING && strcmp(x->client, client) == 0;
    return count;
}

static uint32_t requests_max(const struct ew_config *config, const char *client)
{
    for (unsigned i = 0; i < config->client_count; i++)
        if (strcmp(config->clients[i].name, client) == 0)
            return config->clients[i].requests_max;
    return 0;
}

/* What can be refused without looking at the request: cheap when there are too many. */
static int check_room(const struct ew_exchange *x, struct ew_fault *fault)
{
    const struct ew_server *server = x->server;
    uint32_t max = requests_max(server->config, x->client);
    uint32_t all = ew_queue_waiting(server->queue) + ew_queue_running(server->queue);
    const struct ew_queue_params params = ew_reload_queue_params(server->config);
    uint32_t limit = params.places + params.waiting_max;
    bool engine_alone = ew_fleet_size(server->fleet) == 1 && ew_fleet_engine(server->fleet);
    double s = ew_queue_retry_s(server->queue);
    if (server->state >= EW_SERVER_ENDING) {
        ew_fault_set(fault, 503, NULL, NULL, "The server is shutting down.");
        fault->retry_after_s = 1;
        return -1;
    }
    if (max && count_of(server, x->client) > max) {
        ew_fault_set(fault, 429, NULL, NULL,
                     "Rate limit reached for %s: %u requests at once are "
                     "allowed. Try again in %.0f s.",
                     x->client, max, s);
        fault->retry_after_s = s;
        return -1;
    }
    /* This one is counted already. */
    if (engine_alone && server->exchange_count > limit &&
        server->exchange_count - server->committing > limit) {
        ew_fault_set(fault, 503, "overloaded", NULL,
                     "The server is overloaded: %u requests run or "
                     "wait. Try again in %.0f s.",
                     all, s);
        fault->retry_after_s = s;
        return -1;
    }
    return 0;
}

static void note_origin(struct ew_exchange *x, const char *client)
{
    const struct ew_config *config = x->server->config;
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    uint64_t at_ns = now();
    x->arrived_ns = ew_http_arrival_ns(x->http);
    x->arrived_ms = (int64_t)at.tv_sec * 1000 + at.tv_nsec / (int64_t)EW_NS_PER_MS -
                    (int64_t)((at_ns - x->arrived_ns) / EW_NS_PER_MS);
    ew_str_copy(x->client, sizeof x->client, client);
    ew_str_copy(x->peer, sizeof x->peer, ew_http_peer(x->http));
    ew_str_copy(x->policy, sizeof x->policy, config->version);
    x->tariff_cents_per_kwh = config->tariff_cents_per_kwh;
    x->keeps_prompt = config->ledger_prompts;
    x->durable = config->ledger_durable;
    x->deadline_ns = x->arrived_ns + (uint64_t)(config->request_timeout_s * EW_NS_PER_S);
    x->patience_ns = x->arrived_ns + (uint64_t)(config->queue_timeout_s * EW_NS_PER_S);
}

static void admit(struct ew_exchange *x)
{
    struct ew_fault fault = {0};
    struct ew_request *r = &x->job.request;
    if (check_room(x, &fault) || x->wire->parse(r, ew_http_body(x->http), &fault) ||
        ew_route_read(x, &fault)) {
        ew_exchange_fail(x, &fault);
        return;
    }
    if (!ew_route_places(x)) {
        no_model(x, &fault);
        ew_exchange_fail(x, &fault);
        return;
    }
    x->key = key_of(x);
    if (!r->has_seed)
        r->sampling.seed = ew_rng_next(&x->server->rng);
    ew_server_id(x->server, r->kind == EW_REQUEST_CHAT ? "chatcmpl-" : "cmpl-", x->reply_id,
                 sizeof x->reply_id);
    if (r->load_only && !ew_models_find(x->server->models, r->model))
        ew_exchange_conclude(x); /* other places load what they are asked for by themselves */
    else if (x->way.only_engine || r->load_only)
        ew_exchange_load(x);
    else
        claim(x);
}

void ew_exchange_begin(struct ew_server *server, struct ew_http_request *http,
                       const struct ew_wire *wire, const char *route, const char *client)
{
    struct ew_exchange *x = ew_spares_take(&server->exchange_spares);
    if (!x) {
        struct ew_fault fault;
        ew_fault_set(&fault, 503, NULL, NULL, "no memory for a request");
        ew_routes_fail(http, wire, &fault);
        return;
    }
    x->server = server;
    x->http = http;
    x->wire = wire;
    x->route = route;
    x->waiter.told = model_told;
    x->speaks_openai = wire == &ew_openai_chat || wire == &ew_openai_completion;
    x->state = EW_EXCHANGE_LOADING;
    ew_route_init(&x->way);
    ew_buf_init(&x->out, EW_EXCHANGE_OUT_MAX);
    ew_job_init(&x->job);
    ew_server_id(server, "req_", x->id, sizeof x->id);
    ew_http_add_header(http, "X-Edgewise-Request-Id", x->id);
    ew_http_add_header(http, "X-Request-Id", x->id);
    ew_http_set_user(http, x);
    note_origin(x, client);
    join(server, x);
    ew_server_tick_soon(server);
    admit(x);
}

/* ---- running ---- */

static void stall(struct ew_exchange *x)
{
    ew_queue_leave(x->server->queue, &x->item, now());
    ew_jobs_pause(x->server->jobs, &x->job);
    x->state = EW_EXCHANGE_STALLED;
    ew_exchange_pump(x->server);
}

void ew_exchange_drained(struct ew_exchange *x)
{
    bool reads = x->state == EW_EXCHANGE_STALLED || x->state == EW_EXCHANGE_RELAYING;
    if (!reads || ew_exchange_write(x, NULL))
        return;
    if (x->state == EW_EXCHANGE_RELAYING) {
        ew_relay_resume(x->relay);
        return;
    }
    if (x->relay) {
        ew_exchange_conclude(x);
        return;
    }
    if (x->job.released) {
        ew_exchange_conclude(x);
        return;
    }
    x->state = EW_EXCHANGE_QUEUED;
    ew_queue_back(x->server->queue, &x->item, x->key);
    if (x->item.client)
        ew_exchange_pump(x->server);
    else
        ew_exchange_overloaded(x, "no memory for the queue");
}

static void blame(struct ew_exchange *x)
{
    const struct ew_err *err = &x->job.seen_err;
    bool failed = false;
    for (uint32_t i = 0; i < x->job.stream_count; i++)
        failed = failed || x->job.streams[i].taken_end == EW_STREAM_FAILED;
    if (!failed || x->fault.status)
        return;
    int status = err->code == EW_ENOMEM || err->code == EW_ELIMIT ? 503 : 500;
    ew_fault_set(&x->fault, status, NULL, NULL, "The answer failed: %s",
                 err->code ? err->text : "the engine gave up");
    ew_log(EW_LOG_ERROR, "%s: %s", x->id, x->fault.message);
}

/* What the engine did is how policy knows its speed. */
static void observe(struct ew_exchange *x)
{
    const struct ew_job_tally *t = &x->job.seen;
    struct ew_visit *visit = &x->way.visit;
    if (!visit->open || !t->first_ns)
        return;
    if (!visit->first_ns)
        ew_place_first(&x->way.member->place, visit, t->first_ns);
    ew_place_token(&x->way.member->place, visit, t->output_tokens - x->tokens_seen);
    x->tokens_seen = t->output_tokens;
}

static void take_news(struct ew_exchange *x)
{
    struct ew_err err = {0};
    struct ew_fault fault;
    int failed = 0;
    blame(x);
    observe(x);
    if (x->http && x->job.request.stream && !x->fault.status)
        failed = ew_exchange_tell(x, &err);
    if (failed == EW_ELIMIT && x->out.bytes && !x->job.released && x->out.bytes < x->out.max / 2) {
        if (x->state == EW_EXCHANGE_RUNNING || x->state == EW_EXCHANGE_QUEUED)
            stall(x);
    } else if (failed && x->job.released && failed == EW_ELIMIT) {
        x->state = EW_EXCHANGE_STALLED; /* all is computed; its end waits for the reader */
        ew_queue_leave(x->server->queue, &x->item, now());
        ew_exchange_pump(x->server);
        return;
    } else if (failed) {
        ew_fault_set(&fault, 500, NULL, NULL, "%s", err.text);
        if (x->job.released)
            x->fault = fault;
        else
            ew_exchange_fail(x, &fault);
    }
    if (x->job.released)
        ew_exchange_conclude(x);
}

void ew_exchange_news(void *user)
{
    struct ew_server *server = user;
    struct ew_job *job;
    while ((job = ew_jobs_news(server->jobs)))
        take_news((void *)((char *)job - offsetof(struct ew_exchange, job)));
}

void ew_exchange_committed(void *user)
{
    struct ew_server *server = user;
    for (;;) {
        pthread_mutex_lock(&server->committed_lock);
        struct ew_exchange *x = server->committed;
        if (x)
            server->committed = x->next_committed;
        pthread_mutex_unlock(&server->committed_lock);
        if (!x)
            return;
        server->committing--;
        if (x->http)
            ew_exchange_tell_end(x);
        drop(x);
    }
}

/* ---- time ---- */

static void time_out(struct ew_exchange *x)
{
    struct ew_fault fault;
    ew_fault_set(&fault, 504, "request_timeout", NULL, "The request took longer than %.0f s.",
                 (double)(x->deadline_ns - x->arrived_ns) / EW_NS_PER_S);
    ew_exchange_fail(x, &fault);
}

void ew_exchange_tick(struct ew_server *server, uint64_t now_ns)
{
    ew_exchange_expire(server, now_ns);
    struct ew_exchange *x = server->exchanges;
    while (x) {
        bool late = x->state < EW_EXCHANGE_ENDING && now_ns >= x->deadline_ns;
        bool lost = x->state == EW_EXCHANGE_LOADING && now_ns >= x->patience_ns;
        /* It was at a place that failed, so the queue's own deadline isn't for it. */
        bool tired = x->state == EW_EXCHANGE_QUEUED && x->last_fault.status && !x->computes &&
                     now_ns >= x->patience_ns;
        bool over = x->state == EW_EXCHANGE_RELAYING && ew_relay_tick(x->relay, now_ns);
        if (late)
            time_out(x);
        else if (lost)
            ew_exchange_overloaded(x, "its model wasn't loaded in time");
        else if (tired)
            ew_exchange_fail(x, &x->last_fault);
        else if (over)
            ew_exchange_relayed(x);
        /* The end of one may be the end of others, who waited for its model: from the start. */
        x = late || lost || tired || over ? server->exchanges : x->next;
    }
    if (ew_queue_waiting(server->queue))
        ew_exchange_pump(server); /* a window may have room again */
}
