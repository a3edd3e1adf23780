/* relay.c - asks another place, reads what comes, and passes it on. */
#include "serve/relay.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "flow/usage.h"
#include "serve/exchange.h"

/* An answer that isn't streamed gives no sign of life until it is whole: it is waited for as long
 * as the first token, and this often what is predicted; unpredicted, so long for each token. */
#define WHOLE_PATIENCE    4
#define WHOLE_S_PER_TOKEN .5
#define WHOLE_TOKENS      256
/* Of text: a token of English has 4 to 5 bytes, of code and of other languages fewer. */
#define TOKEN_BYTES         4.0
#define PIECE_BYTES_MOST    8.0
#define BUSY_REST_S         1.0 /* who says 429 without saying when */
#define END_S               .25 /* from an answer's last event to the end of its stream */
#define REQUEST_BYTES_EXTRA (1u << 20)

static uint64_t now(void)
{
    return ew_clock_now_ns(&ew_clock_real);
}

static double seconds(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (double)(to_ns - from_ns) / EW_NS_PER_S : 0;
}

/* ---- how it ends ---- */

void ew_relay_stop(struct ew_relay *r)
{
    if (!r->call) /* it has ended, and on_end has its stamps */
        return;
    r->sent = ew_upstream_is_sent(r->call);
    ew_upstream_cancel(&r->call);
    if (!r->first_ns && r->end == EW_RELAY_RUNS)
        r->last_ns = now();
}

static void finish(struct ew_relay *r, enum ew_relay_end end)
{
    if (r->end != EW_RELAY_RUNS)
        return;
    ew_relay_stop(r);
    r->end = end;
}

static void fail(struct ew_relay *r, int status, const char *why)
{
    if (r->end != EW_RELAY_RUNS)
        return;
    ew_fault_set(&r->fault, status, "upstream_error", NULL, "%s failed: %s.", r->x->way.place, why);
    finish(r, EW_RELAY_FAILED);
}

/* A client may be a stranger: it hears the place's name, and no address. */
static void fail_call(struct ew_relay *r, const struct ew_upstream_result *result)
{
    snprintf(r->why, sizeof r->why, "%s failed: %s.", r->x->way.place, result->why);
    fail(r, result->failure == EW_UPSTREAM_HEAD_TIMEOUT ? 504 : 502, result->cause);
}

/* What a status says of the place, and of the request. */
static enum ew_relay_end end_of(const struct ew_relay *r)
{
    bool told_when = !isnan(r->retry_after_s);
    const char *code = r->fault.code;
    switch (r->status) {
    case 408:
    case 429:
    case 529: /* Anthropic: overloaded */
        return EW_RELAY_BUSY;
    case 503:
        return told_when ? EW_RELAY_BUSY : EW_RELAY_FAILED;
    case 401:
    case 403:
    case 404:
    case 405:
        return EW_RELAY_UNFIT;
    case 413:
    case 508: /* a front: the request has been there already */
        return EW_RELAY_UNFIT;
    default:
        if (r->status >= 500 || r->status < 400)
            return EW_RELAY_FAILED;
        return code && strcmp(code, "context_length_exceeded") == 0 ? EW_RELAY_UNFIT
                                                                    : EW_RELAY_WRONG;
    }
}

/* Whatever it says, it is asked again within the hour, and clients are told so. */
static double rest_s(const struct ew_relay *r)
{
    const double most = (double)EW_PLACE_REST_NS_MAX / EW_NS_PER_S;
    if (isnan(r->retry_after_s))
        return BUSY_REST_S;
    return r->retry_after_s < most ? r->retry_after_s : most;
}

/* A fault that isn't the client's is told as ours: its key was right, the place's isn't. */
static void take_error(struct ew_relay *r)
{
    struct ew_fault fault = {0};
    const struct ew_str body = {ew_buf_cstr(&r->whole), r->whole.bytes};
    const char *place = r->x->way.place;
    ew_dialect_fault(r->x->way.member->facts.dialect, r->status, body, &fault);
    r->fault = fault;
    enum ew_relay_end end = end_of(r);
    if (r->status == 401 || r->status == 403)
        ew_fault_set(&r->fault, 502, "upstream_key", NULL, "%s refuses our key.", place);
    else if (end == EW_RELAY_BUSY)
        ew_fault_set(&r->fault, 503, "upstream_busy", NULL, "%s is busy: %.300s", place,
                     fault.message);
    else if (end == EW_RELAY_FAILED)
        ew_fault_set(&r->fault, 502, "upstream_error", NULL, "%s failed: %.300s", place,
                     fault.message);
    if (end == EW_RELAY_BUSY)
        r->fault.retry_after_s = rest_s(r);
    finish(r, end);
}

/* ---- what comes ---- */

static void count(struct ew_relay *r, const struct ew_answer_news *news)
{
    r->pieces = news->pieces;
    if (news->has_usage) {
        r->has_usage = true;
        r->prompt_tokens = news->prompt_tokens;
        r->cached_tokens = news->cached_tokens;
        r->output_tokens = news->output_tokens;
        r->extra = news->extra;
    }
    if (news->finish != EW_FINISH_NONE)
        r->finish = news->finish;
    if (!news->has_content || r->first_ns)
        return;
    bool told = !isnan(news->extra.ttft_ms) && news->has_usage;
    if (r->streams)
        r->first_ns = r->last_ns;
    else if (told) /* by the place itself: else nobody knows */
        r->first_ns = r->begun_ns + (uint64_t)(news->extra.ttft_ms * EW_NS_PER_MS);
    if (r->first_ns)
        ew_place_first(&r->x->way.member->place, &r->x->way.visit, r->first_ns);
}

static int put_text(struct ew_relay *r, struct ew_str text, struct ew_err *err)
{
    struct ew_buf *out = &r->x->out;
    int rc = ew_buf_text(out, "data: ", err);
    rc = rc ? rc : ew_buf_add(out, text.data, text.bytes, err);
    return rc ? rc : ew_buf_text(out, "\n\n", err);
}

static int put_deltas(struct ew_relay *r, const struct ew_answer_news *news, struct ew_err *err)
{
    struct ew_exchange *x = r->x;
    const struct ew_reply reply = ew_exchange_reply(x);
    int rc = 0;
    if (!r->told_start)
        rc = x->wire->start(&reply, &x->out);
    r->told_start = true;
    for (size_t i = 0; i < news->delta_count && !rc; i++)
        rc = x->wire->delta(&reply, &news->deltas[i], &x->out);
    return rc ? ew_fail(err, rc, "what waits for a slow reader is too much") : 0;
}

/* One event of the stream into the client's bytes. */
static int take_event(void *user, const char *name, struct ew_str data, struct ew_err *err)
{
    struct ew_relay *r = user;
    struct ew_answer_news news;
    if (r->told_end)
        return 0;
    int rc = ew_answer_event(r->answer, name, data, &news, err);
    if (rc)
        return rc;
    if (++r->events_seen > EW_RELAY_EVENTS_MAX)
        return ew_fail(err, EW_ELIMIT, "its answer doesn't end");
    count(r, &news);
    if (news.fault)
        return ew_fail(err, EW_ENET, "%s", news.fault->message);
    r->told_end = news.ended; /* Ollama's last line has news, too */
    if (r->passes)
        return news.text.data ? put_text(r, news.text, err) : 0;
    return news.delta_count ? put_deltas(r, &news, err) : 0;
}

/* What was read goes on its way, once there is a token in it. */
static void pass_on(struct ew_relay *r)
{
    struct ew_exchange *x = r->x;
    if (!r->first_ns && !r->told_end) {
        if (x->out.bytes > EW_RELAY_HELD_MAX)
            fail(r, 502, "it sends much, and no answer");
        return;
    }
    if (!x->http || r->told_end) /* the end goes out with what ends it */
        return;
    ew_exchange_start_stream(x);
    bool full = ew_exchange_write(x, NULL) || ew_http_stream_backs_up(x->http, EW_RELAY_UNSENT_MAX);
    if (full && !r->paused && r->call) {
        r->paused = true; /* a slow reader slows the place, and nobody's memory fills */
        ew_upstream_pause(r->call);
    }
}

static void on_head(void *user, const struct ew_upstream_head *head)
{
    struct ew_relay *r = user;
    const bool lines = r->x->way.member->facts.dialect->framing == EW_FRAMING_LINES;
    char why[160];
    r->status = head->status;
    r->retry_after_s = head->retry_after_s;
    r->last_ns = head->at_ns;
    if (head->status != 200) {
        r->whole.max = EW_RELAY_ERROR_BYTES_MAX;
        return;
    }
    const char *wanted = !r->streams ? "application/json"
                         : lines     ? "application/x-ndjson"
                                     : "text/event-stream";
    bool fits =
        strcmp(head->type, wanted) == 0 || (lines && strcmp(head->type, "application/json") == 0);
    if (!fits) {
        snprintf(why, sizeof why, "it answers with %.60s, not with %s",
                 *head->type ? head->type : "no type", wanted);
        fail(r, 502, why);
        ew_exchange_relayed(r->x);
    }
}

static void on_data(void *user, struct ew_str bytes)
{
    struct ew_relay *r = user;
    struct ew_err err = {0};
    if (r->status != 200 || !r->streams) {
        if (ew_buf_add(&r->whole, bytes.data, bytes.bytes, &err)) {
            if (r->status == 200)
                fail(r, 502, "its answer is too large");
            else
                take_error(r); /* what is there of it says enough */
            ew_exchange_relayed(r->x);
        }
        return;
    }
    uint32_t before = r->pieces;
    r->last_ns = now();
    if (ew_events_push(&r->events, bytes.data, bytes.bytes, take_event, r, &err))
        fail(r, 502, err.text);
    if (r->pieces > before)
        ew_place_token(&r->x->way.member->place, &r->x->way.visit, r->pieces - before);
    if (r->end == EW_RELAY_RUNS)
        pass_on(r);
    if (r->end != EW_RELAY_RUNS)
        ew_exchange_relayed(r->x);
}

static void take_whole(struct ew_relay *r)
{
    const struct ew_str body = {ew_buf_cstr(&r->whole), r->whole.bytes};
    struct ew_err err = {0};
    if (!r->whole.bytes) {
        fail(r, 502, "it answered 200 and nothing");
    } else if (ew_answer_whole(r->answer, body, &r->news, &err)) {
        fail(r, 502, err.text);
    } else if (r->news.fault) {
        fail(r, 502, r->news.fault->message);
    } else {
        count(r, &r->news);
        finish(r, EW_RELAY_GOOD);
    }
}

static void on_end(void *user, const struct ew_upstream_result *result)
{
    struct ew_relay *r = user;
    r->call = NULL;
    r->sent = result->sent_ns != 0;
    r->last_ns = result->ended_ns ? result->ended_ns : now();
    if (result->failure != EW_UPSTREAM_NONE && !(r->told_end && r->status == 200)) {
        fail_call(r, result);
    } else if (r->status != 200) {
        take_error(r);
    } else if (!r->streams) {
        take_whole(r);
    } else if (!r->told_end && r->finish == EW_FINISH_NONE) {
        fail(r, 502, r->events_seen ? "its answer broke off" : "it answered 200 and nothing");
    } else {
        finish(r, EW_RELAY_GOOD);
    }
    ew_exchange_relayed(r->x);
}

/* ---- asking ---- */

static double whole_patience_s(const struct ew_exchange *x)
{
    const struct ew_route *way = &x->way;
    double predicted = ew_place_total_s(&way->member->place, &way->forecast);
    double tokens = x->job.request.max_tokens ? x->job.request.max_tokens : WHOLE_TOKENS;
    double s = x->server->config->first_token_timeout_s;
    s += isnan(predicted) ? tokens * WHOLE_S_PER_TOKEN : WHOLE_PATIENCE * predicted;
    double left = seconds(x->relay->begun_ns, x->deadline_ns);
    return s < left || left <= 0 ? s : left + 1;
}

static int send_it(struct ew_relay *r, struct ew_err *err)
{
    const struct ew_exchange *x = r->x;
    const struct ew_member *m = x->way.member;
    const struct ew_dialect *d = m->facts.dialect;
    const struct ew_config *config = x->server->config;
    const char *path = x->job.request.kind == EW_REQUEST_CHAT ? d->chat_path : d->completion_path;
    char url[EW_UPSTREAM_URL_MAX], bearer[EW_FLEET_BEARER_BYTES];
    struct ew_http_header headers[5 + EW_ONWARD_HEADERS_MAX];
    struct ew_onward onward;
    size_t n = 0;
    onward.count = 0;
    if (m->place.kind == EW_PLACE_DEVICE)
        ew_route_onward(x, r->begun_ns, &onward);
    for (size_t i = 0; i < onward.count; i++)
        headers[n++] = onward.headers[i];
    headers[n++] = (struct ew_http_header){"Content-Type", "application/json"};
    headers[n++] = (struct ew_http_header){"X-Request-Id", x->id};
    if (d->version_header)
        headers[n++] = (struct ew_http_header){d->version_header, d->version};
    size_t bytes = ew_str_copy(url, sizeof url, m->facts.url);
    if (strlen(path) >= sizeof url - bytes)
        return ew_fail(err, EW_ELIMIT, "its address is too long");
    (void)ew_str_copy(url + bytes, sizeof url - bytes, path);
    bool keyed = ew_fleet_auth(m, &headers[n], bearer);
    n += keyed;
    double first_s = config->first_token_timeout_s, stall_s = config->stall_timeout_s;
    const struct ew_upstream_ask ask = {
        .url = url,
        .origin = m->origin,
        .method = "POST",
        .body = {ew_buf_cstr(&r->body), r->body.bytes},
        .headers = headers,
        .header_count = n,
        .connect_timeout_s = config->connect_timeout_s,
        .head_timeout_s = r->streams ? first_s : whole_patience_s(x),
        .stall_timeout_s = first_s > stall_s ? first_s : stall_s, /* the finer one is by ticks */
        .body_bytes_max = r->streams ? 0 : EW_ANSWER_BYTES_MAX,
        .ca_file = m->facts.ca,
        .user = r,
        .head = on_head,
        .data = on_data,
        .end = on_end,
    };
    int rc = ew_upstream_begin(ew_fleet_upstreams(x->server->fleet), &ask, &r->call, err);
    if (keyed)
        explicit_bzero(bearer, sizeof bearer);
    return rc;
}

static int compose(struct ew_relay *r)
{
    struct ew_exchange *x = r->x;
    const struct ew_facts *facts = &x->way.member->facts;
    const struct ew_request *q = &x->job.request;
    struct ew_dialect_ask ask = {
        .request = q,
        .body = x->speaks_openai ? ew_http_body(x->http) : (struct ew_str){NULL, 0},
        .model = x->way.there,
        .stream = r->streams,
        .strict = facts->kind == EW_PLACE_CLOUD,
    };
    if (x->relay_before) { /* this one continues what another had said */
        ask.prefill = ew_answer_said(x->relay_before->answer);
        ask.prefill_tokens = x->relay_before->pieces;
    }
    return facts->dialect->compose(&ask, &r->body, &r->fault);
}

int ew_relay_begin(struct ew_exchange *x)
{
    const struct ew_request *q = &x->job.request;
    const struct ew_dialect *d = x->way.member->facts.dialect;
    struct ew_err err = {0};
    struct ew_relay *r = ew_spares_take(&x->server->relay_spares);
    EW_ASSERT(!x->relay);
    if (!r)
        return ew_fail(NULL, EW_ENOMEM, "no memory for a request");
    x->relay = r;
    r->x = x;
    r->streams = q->stream;
    r->passes = x->speaks_openai && d == &ew_dialect_openai && !x->relay_before;
    r->told_start = x->relay_before != NULL;
    r->retry_after_s = NAN;
    r->extra.energy_j = r->extra.cost_cents = r->extra.ttft_ms = NAN;
    r->begun_ns = r->last_ns = now();
    ew_buf_init(&r->body, x->server->config->body_bytes_max * 2 + REQUEST_BYTES_EXTRA);
    ew_buf_init(&r->whole, EW_ANSWER_BYTES_MAX);
    ew_events_init(&r->events, d->framing == EW_FRAMING_SSE ? EW_EVENTS_SSE : EW_EVENTS_LINES);
    if (ew_answer_open(&r->answer, d, q, r->passes ? EW_ANSWER_TEXT : EW_ANSWER_DELTAS, &err)) {
        fail(r, 503, err.text);
    } else if (compose(r)) {
        bool unfit = r->fault.status == 400;
        if (x->relay_before) /* that it can't go on is no news to the client: why it must is */
            r->fault = x->relay_before->fault;
        finish(r, unfit ? EW_RELAY_UNFIT : EW_RELAY_FAILED);
    } else if (send_it(r, &err)) {
        fail(r, 502, err.text);
    }
    return r->end == EW_RELAY_RUNS ? 0 : -1;
}

static void drop(struct ew_relay *r)
{
    if (!r)
        return;
    ew_upstream_cancel(&r->call);
    ew_answer_close(&r->answer);
    ew_events_fini(&r->events);
    ew_buf_fini(&r->body);
    ew_buf_fini(&r->whole);
    ew_spares_give(&r->x->server->relay_spares, r);
}

void ew_relay_close(struct ew_exchange *x)
{
    drop(x->relay);
    drop(x->relay_before);
    x->relay = x->relay_before = NULL;
}

void ew_relay_set_aside(struct ew_exchange *x)
{
    EW_ASSERT(!x->relay_before);
    x->relay_before = x->relay;
    x->relay = NULL;
}

void ew_relay_again(struct ew_exchange *x)
{
    drop(x->relay);
    x->relay = NULL;
}

void ew_relay_resume(struct ew_relay *r)
{
    if (!r->paused)
        return;
    r->paused = false;
    r->last_ns = now();
    if (r->call)
        ew_upstream_resume(r->call);
}

bool ew_relay_tick(struct ew_relay *r, uint64_t now_ns)
{
    const struct ew_config *config = r->x->server->config;
    if (r->end != EW_RELAY_RUNS || !r->streams || r->paused)
        return false;
    if (r->told_end) {
        if (seconds(r->last_ns, now_ns) < END_S)
            return false;
        finish(r, EW_RELAY_GOOD); /* all was said; who keeps the line is cut off */
        return true;
    }
    if (!r->first_ns && r->status == 200 &&
        seconds(r->begun_ns, now_ns) > config->first_token_timeout_s)
        fail(r, 504, "its first token didn't come in time");
    else if (r->first_ns && seconds(r->last_ns, now_ns) > config->stall_timeout_s)
        fail(r, 504, "its answer stood still");
    return r->end != EW_RELAY_RUNS;
}

/* ---- what it was ---- */

int ew_relay_compose(struct ew_exchange *x, const struct ew_reply *reply, struct ew_err *err)
{
    struct ew_relay *r = x->relay;
    if (r->passes)
        return ew_answer_rewrite(r->answer, reply, &x->out, err);
    int rc = x->wire->whole(reply, r->news.deltas, r->news.delta_count, &x->out);
    return rc ? ew_fail(err, rc, "the answer is too large") : 0;
}

static double cents_of(const struct ew_exchange *x, const struct ew_usage *usage)
{
    const struct ew_place *p = &x->way.member->place;
    double prompt = usage->prompt_tokens, cached = usage->cached_tokens;
    return p->fee_cents + (prompt - cached) * p->input_cents + cached * p->cached_cents +
           usage->output_tokens * p->output_cents;
}

/* Measured or modelled by the device itself; else its watts for as long as it took. Who never had
 * the request, or said at once that it wouldn't, did nothing for it. */
static struct ew_energy energy_of(const struct ew_exchange *x, const struct ew_relay *r)
{
    const struct ew_member *m = x->way.member;
    struct ew_energy energy = EW_ENERGY_NONE;
    bool had_it = r->sent || r->status;
    bool refused = r->end == EW_RELAY_BUSY || r->end == EW_RELAY_UNFIT || r->end == EW_RELAY_WRONG;
    if (m->place.kind == EW_PLACE_CLOUD || !had_it || refused)
        return energy;
    if (r->extra.energy_kind != EW_ENERGY_UNKNOWN) {
        energy.kind = r->extra.energy_kind;
        energy.joules = r->extra.energy_j;
    } else if (!isnan(m->place.watts_busy)) {
        energy.kind = EW_ENERGY_MODELLED;
        energy.joules = m->place.watts_busy * seconds(r->begun_ns, r->last_ns);
    }
    return energy;
}

void ew_relay_settle(struct ew_exchange *x)
{
    x->relay->usage = ew_relay_usage(x);
    x->relay->settled = true;
}

/* Where it tells no usage: a piece of a stream has as many tokens as in the place's streams that
 * told theirs. Where none has yet it is one, as most engines send them, unless the pieces are too
 * long for that; then, as for what came whole, bytes say it. */
static uint32_t guess_output(const struct ew_exchange *x)
{
    const struct ew_relay *r = x->relay;
    const struct ew_request *q = &x->job.request;
    double answers = (double)q->n * (q->prompt_count ? (double)q->prompt_count : 1);
    double bytes = (double)ew_answer_said(r->answer).bytes * answers;
    double each = r->streams ? ew_fleet_tokens_per_piece(x->way.member) : (double)NAN;
    double tokens = r->pieces;
    if (!isnan(each))
        tokens = r->pieces * each;
    else if (bytes > r->pieces * PIECE_BYTES_MOST)
        tokens = bytes / TOKEN_BYTES;
    return (uint32_t)ceil(tokens);
}

struct ew_usage ew_relay_usage(const struct ew_exchange *x)
{
    const struct ew_relay *r = x->relay;
    if (r->settled)
        return r->usage;
    struct ew_usage usage = ew_usage_none();
    bool anything = r->has_usage || r->pieces;
    const struct ew_energy energy = energy_of(x, r);
    ew_usage_set_energy(&usage, &energy, x->tariff_cents_per_kwh);
    if (!anything)
        return usage;
    usage.prompt_tokens =
        r->has_usage ? r->prompt_tokens : (uint32_t)(x->way.forecast.prompt_tokens + .5);
    usage.estimated = !r->has_usage;
    usage.cached_tokens = r->cached_tokens;
    usage.output_tokens = r->has_usage ? r->output_tokens : guess_output(x);
    if (r->first_ns) {
        usage.ttft_ns = r->first_ns - x->arrived_ns;
        usage.prefill_ns = r->first_ns - r->begun_ns;
        usage.decode_ns = r->last_ns > r->first_ns ? r->last_ns - r->first_ns : 0;
    }
    if (x->way.member->place.kind == EW_PLACE_CLOUD)
        usage.cost_cents = cents_of(x, &usage);
    return usage;
}
