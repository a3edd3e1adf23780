/* exchange_place.c - which place a request goes to, and what follows when that is done or fails.
 *
 * Policy decides in route.c; the queue is who isn't decided yet. Nothing here knows what is told to
 * the client, but for one thing: once a token was, there is no other place for it (unless the
 * configuration lets another one continue). */
#include "serve/exchange.h"

#include <math.h>
#include <stdio.h>

#include "base/log.h"
#include "serve/reload.h"

static uint64_t now(void)
{
    return ew_clock_now_ns(&ew_clock_real);
}

static struct ew_exchange *of_item(struct ew_queue_item *item)
{
    return (void *)((char *)item - offsetof(struct ew_exchange, item));
}

void ew_exchange_overloaded(struct ew_exchange *x, const char *why)
{
    struct ew_fault fault;
    double s = ew_queue_retry_s(x->server->queue);
    ew_fault_set(&fault, 503, "overloaded", NULL,
                 "The server is overloaded: %s. Try again in "
                 "%.0f s.",
                 why, s);
    fault.retry_after_s = s;
    ew_exchange_fail(x, &fault);
}

/* ---- where it goes ---- */

void ew_exchange_compute(struct ew_exchange *x)
{
    x->state = EW_EXCHANGE_RUNNING;
    x->item.fixed = false;
    x->computes = true;
    ew_jobs_run(x->server->jobs, &x->job);
}

static void ask(struct ew_exchange *x)
{
    struct ew_fault fault;
    x->state = EW_EXCHANGE_RELAYING;
    int failed = ew_relay_begin(x);
    if (failed && x->relay) {
        ew_exchange_relayed(x);
    } else if (failed) { /* no memory even for that: no other place would change it */
        ew_fault_set(&fault, 503, NULL, NULL, "no memory for a request");
        ew_exchange_fail(x, &fault);
    }
}

/* It has its place: whatever is missing there is brought. */
static void start(struct ew_exchange *x, uint64_t now_ns)
{
    if (!x->begun_ns)
        x->begun_ns = now_ns;
    if (x->way.member->facts.dialect) {
        ask(x);
    } else if (x->job.streams) {
        ew_exchange_compute(x);
    } else {
        x->item.fixed = true; /* nothing runs yet that could be paused */
        ew_exchange_load(x);
    }
}

static enum ew_queue_fit where(const struct ew_exchange *x)
{
    return x->way.kind == EW_PLACE_ENGINE ? EW_QUEUE_HERE : EW_QUEUE_ELSEWHERE;
}

static enum ew_queue_fit fits(void *user, struct ew_queue_item *item)
{
    struct ew_exchange *x = of_item(item);
    const struct ew_server *server = user;
    if (x->way.visit.open) /* it was there, and made room */
        return ew_queue_has_place(server->queue) ? EW_QUEUE_HERE : EW_QUEUE_STAYS;
    if (ew_route_decide(x, now()).action == EW_ACTION_GO)
        return where(x);
    item->here = x->way.engine_is_full;
    return EW_QUEUE_STAYS;
}

/* Whoever may start does; who must make room is paused first. As many as there are places may have
 * to: with a bound, no disagreement of queue and policy can stop the loop. */
void ew_exchange_pump(struct ew_server *server)
{
    struct ew_queue_item *item;
    for (uint32_t paused = 0;; paused++) {
        while ((item = ew_queue_next(server->queue, fits, server)))
            start(of_item(item), now());
        if (paused == ew_queue_places_max(server->queue) ||
            !(item = ew_queue_victim(server->queue)))
            return;
        of_item(item)->state = EW_EXCHANGE_QUEUED;
        ew_jobs_pause(server->jobs, &of_item(item)->job);
    }
}

static void refuse(struct ew_exchange *x, const struct ew_decision *decision)
{
    struct ew_fault fault;
    char why[96];
    if (x->last_fault.status) {
        fault = x->last_fault;
        if (fault.status >= 500 && !(fault.retry_after_s > 0))
            fault.retry_after_s = ew_queue_retry_s(x->server->queue);
    } else if (x->way.only_engine && decision->reason == EW_REASON_CAPACITY) {
        snprintf(why, sizeof why, "%u requests run and %u wait: there is no room for more",
                 ew_queue_running(x->server->queue), ew_queue_waiting(x->server->queue) - 1);
        ew_exchange_overloaded(x, why);
        return;
    } else {
        ew_route_fault(x, decision, &fault);
    }
    ew_exchange_fail(x, &fault);
}

/* It stands in the queue: it goes, waits there, or is refused. It may be no more afterwards. */
static void consider(struct ew_exchange *x, uint64_t now_ns)
{
    struct ew_server *server = x->server;
    const struct ew_decision decision = ew_route_decide(x, now_ns);
    x->item.here = x->way.engine_is_full;
    if (decision.action == EW_ACTION_GO) {
        ew_queue_start(server->queue, &x->item, where(x));
        start(x, now_ns);
    } else if (decision.action == EW_ACTION_QUEUE) {
        ew_exchange_pump(server); /* somebody may have to make room */
    } else {
        refuse(x, &decision);
    }
}

void ew_exchange_enqueue(struct ew_exchange *x)
{
    struct ew_err err = {0};
    struct ew_fault fault;
    x->state = EW_EXCHANGE_QUEUED;
    x->queued_ns = now();
    x->may_wait = ew_queue_has_room(x->server->queue);
    uint32_t places = x->job.stream_count ? x->job.stream_count : x->job.request.n;
    if (ew_queue_put(x->server->queue, &x->item, x->key, places, x->queued_ns, &err)) {
        ew_fault_set(&fault, 503, NULL, NULL, "%s", err.text);
        ew_exchange_fail(x, &fault);
    } else {
        ew_route_forecast(x);
        consider(x, x->queued_ns);
    }
}

static void lose(struct ew_exchange *x, const struct ew_usage *usage)
{
    if (usage->energy.kind != EW_ENERGY_UNKNOWN)
        x->lost_j += usage->energy.joules;
    if (!isnan(usage->cost_cents))
        x->lost_cents += usage->cost_cents;
}

/* A place failed, and nothing of it was told: as if it had just come, but for that place. */
void ew_exchange_elsewhere(struct ew_exchange *x, const struct ew_fault *fault,
                           enum ew_outcome outcome, enum ew_route_again again)
{
    struct ew_server *server = x->server;
    const uint64_t now_ns = now();
    x->last_fault = *fault;
    ew_route_leave(x, outcome, again, now_ns);
    if (x->relay)
        lose(x, &x->relay->usage);
    ew_relay_again(x);
    ew_buf_clear(&x->out);
    x->may_wait = true;
    x->state = EW_EXCHANGE_QUEUED;
    ew_queue_back(server->queue, &x->item, x->key);
    if (x->item.client)
        consider(x, now_ns);
    else
        ew_exchange_fail(x, fault);
}

/* ---- another place's answer ---- */

/* Words that were told already are given to the next place to go on from. */
static bool may_continue(const struct ew_exchange *x)
{
    const struct ew_request *q = &x->job.request;
    return x->server->config->midstream == EW_MIDSTREAM_CONTINUE && !x->relay_before && x->http &&
           q->kind == EW_REQUEST_CHAT && q->n == 1 && !q->tools.data && !q->logprobs &&
           q->format == EW_FORMAT_TEXT && ew_answer_said(x->relay->answer).bytes;
}

static void go_on(struct ew_exchange *x, enum ew_outcome outcome)
{
    struct ew_fault fault = x->relay->fault;
    const uint64_t now_ns = now();
    ew_route_leave(x, outcome, EW_ROUTE_NEVER_AGAIN, now_ns);
    x->spent = x->relay->usage;
    ew_relay_set_aside(x);
    ew_queue_back(x->server->queue, &x->item, x->key);
    x->way.continues = true;
    struct ew_decision decision = {.action = EW_ACTION_REJECT};
    if (x->item.client)
        decision = ew_route_decide(x, now_ns);
    if (decision.action != EW_ACTION_GO) {
        ew_exchange_fail(x, &fault);
        return;
    }
    ew_log(EW_LOG_INFO, "%s: %s continues it", x->id, x->way.place);
    ew_queue_start(x->server->queue, &x->item, where(x));
    start(x, now_ns);
}

/* What its client hasn't read yet goes first. */
static void complete(struct ew_exchange *x)
{
    if (x->http && x->job.request.stream && x->started && ew_exchange_write(x, NULL)) {
        x->state = EW_EXCHANGE_STALLED;
        ew_queue_leave(x->server->queue, &x->item, now());
        ew_exchange_pump(x->server);
    } else {
        ew_exchange_conclude(x);
    }
}

static enum ew_outcome relay_outcome(const struct ew_relay *relay)
{
    switch (relay->end) {
    case EW_RELAY_FAILED:
        return EW_OUTCOME_FAILED;
    case EW_RELAY_BUSY:
        return EW_OUTCOME_BUSY;
    case EW_RELAY_GOOD:
        return EW_OUTCOME_GOOD;
    default:
        return EW_OUTCOME_CANCELLED;
    }
}

static void note(struct ew_exchange *x, enum ew_outcome outcome, uint64_t now_ns)
{
    const struct ew_relay *r = x->relay;
    struct ew_member *m = x->way.member;
    ew_fleet_note(m, outcome, r->status, ew_relay_why(r), now_ns);
    if (outcome == EW_OUTCOME_BUSY)
        ew_place_rest(&m->place, (uint64_t)(r->fault.retry_after_s * EW_NS_PER_S), now_ns);
    if (outcome == EW_OUTCOME_FAILED) {
        ew_log(EW_LOG_WARNING, "%s: %s", x->id, ew_relay_why(r));
        ew_route_failed(x, ew_relay_why(r), ew_relay_usage(x).energy.joules);
    }
}

void ew_exchange_relayed(struct ew_exchange *x)
{
    const struct ew_relay *r = x->relay;
    enum ew_outcome outcome = relay_outcome(r);
    struct ew_fault fault = r->fault;
    if (x->state != EW_EXCHANGE_RELAYING) /* its client is gone, or its time over */
        return;
    note(x, outcome, now());
    if (r->end == EW_RELAY_GOOD)
        complete(x);
    else if (r->end == EW_RELAY_WRONG)
        ew_exchange_fail(x, &fault);
    else if (!x->started)
        ew_exchange_elsewhere(x, &fault, outcome,
                              r->end == EW_RELAY_BUSY ? EW_ROUTE_MAY_RETURN : EW_ROUTE_NEVER_AGAIN);
    else if (may_continue(x))
        go_on(x, outcome);
    else {
        ew_route_leave(x, outcome, EW_ROUTE_NEVER_AGAIN, now());
        ew_exchange_fail(x, &fault);
    }
}

/* ---- time ---- */

/* It waited as long as one waits here. Why it had to is what its client hears. */
static void expire(struct ew_exchange *x)
{
    const struct ew_decision decision = {.reason = x->way.reason};
    struct ew_fault fault;
    if (x->way.only_engine || x->way.reason == EW_REASON_CAPACITY) {
        ew_exchange_overloaded(x, "no place became free in time");
    } else {
        ew_route_fault(x, &decision, &fault);
        ew_exchange_fail(x, &fault);
    }
}

void ew_exchange_expire(struct ew_server *server, uint64_t now_ns)
{
    struct ew_queue_item *item;
    while ((item = ew_queue_expired(server->queue, now_ns)))
        expire(of_item(item));
}

void ew_exchange_places_changed(void *server)
{
    ew_exchange_pump(server);
}
