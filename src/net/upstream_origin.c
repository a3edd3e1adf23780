/* upstream_origin.c - the servers that are asked: their addresses, and their kept connections.
 *
 * A call for a server takes the connection that was used last, since the others may then grow old;
 * one that has been idle for EW_UPSTREAM_IDLE_S is closed. Addresses are looked up again after
 * ADDRESSES_S; while that fails, old ones are better than none.
 * Limits: EW_UPSTREAM_IDLE_MAX kept connections of a server; ORIGINS_KEPT servers are remembered
 * when nothing is open to them. */
#include "base/hash.h"
#include "net/upstream_int.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ORIGINS_KEPT = 256,
    SWEEP_S = 2, /* idle connections are looked at so often, and closed so much before their time */
};
static const uint64_t addresses_ns = 30 * (uint64_t)EW_NS_PER_S;

static uint64_t now(void)
{
    return ew_clock_now_ns(&ew_clock_real);
}

/* ---- origins ---- */

static size_t bucket_of(const char *name)
{
    /* Names come from a configuration, not from strangers. */
    return ew_hash_bytes(EW_HASH_START, name, strlen(name)) % EW_UPSTREAM_BUCKETS;
}

struct ew_upstream_origin *ew_upstream_origin_find(const struct ew_upstreams *upstreams,
                                                   const char *name, enum ew_upstream_kind kind)
{
    struct ew_upstream_origin *origin = LIST_FIRST(&upstreams->origins[bucket_of(name)]);
    while (origin && (origin->kind != kind || strcmp(origin->name, name) != 0))
        origin = LIST_NEXT(origin, link);
    return origin;
}

struct ew_upstream_origin *ew_upstream_origin_make(struct ew_upstreams *upstreams, const char *name,
                                                   enum ew_upstream_kind kind)
{
    struct ew_upstream_origin *origin = ew_upstream_origin_find(upstreams, name, kind);
    if (!origin)
        origin = calloc(1, sizeof *origin);
    if (!origin || origin->upstreams)
        return origin;
    origin->upstreams = upstreams;
    origin->kind = kind;
    snprintf(origin->name, sizeof origin->name, "%s", name);
    TAILQ_INIT(&origin->idle);
    TAILQ_INIT(&origin->in_use);
    TAILQ_INIT(&origin->waiting);
    LIST_INSERT_HEAD(&upstreams->origins[bucket_of(name)], origin, link);
    upstreams->origin_count++;
    return origin;
}

static void free_origin(struct ew_upstream_origin *origin)
{
    LIST_REMOVE(origin, link);
    origin->upstreams->origin_count--;
    free(origin);
}

static bool is_unused(const struct ew_upstream_origin *origin)
{
    return !origin->looking_up && !origin->lost && TAILQ_EMPTY(&origin->idle) &&
           TAILQ_EMPTY(&origin->in_use) && TAILQ_EMPTY(&origin->waiting);
}

static void await(struct ew_upstream_call *call)
{
    call->waiting = true;
    TAILQ_INSERT_TAIL(&call->origin->waiting, call, wait);
}

void ew_upstream_origin_forget(struct ew_upstream_call *call)
{
    TAILQ_REMOVE(&call->origin->waiting, call, wait);
    call->waiting = false;
}

/* ---- addresses ---- */

static void on_resolved(void *user, const struct ew_resolved *resolved)
{
    struct ew_upstream_origin *origin = user;
    origin->looking_up = false;
    if (resolved->count > 0) {
        origin->addresses = *resolved;
        origin->preferred = 0;
        origin->resolved_ns = now();
    }
    for (struct ew_upstream_call *call; (call = TAILQ_FIRST(&origin->waiting)) != NULL;) {
        ew_upstream_origin_forget(call);
        if (origin->addresses.count > 0)
            ew_upstream_conn_open(call);
        else
            ew_upstream_fail(call, EW_UPSTREAM_RESOLVE, "no address: %s", resolved->why);
    }
}

static void await_addresses(struct ew_upstream_call *call)
{
    struct ew_upstream_origin *origin = call->origin;
    struct ew_err err;
    if (!origin->looking_up && ew_resolver_digits(origin->host, origin->port, &origin->addresses)) {
        origin->resolved_ns = UINT64_MAX - addresses_ns; /* for ever */
        ew_upstream_conn_open(call);
        return;
    }
    if (!origin->looking_up && ew_resolver_ask(origin->upstreams->resolver, origin->host,
                                               origin->port, on_resolved, origin, &err) != 0) {
        ew_upstream_fail(call, EW_UPSTREAM_RESOLVE, "%s", err.text);
        return;
    }
    origin->looking_up = true;
    await(call);
}

static void connect_anew(struct ew_upstream_call *call)
{
    struct ew_upstream_origin *origin = call->origin;
    if (origin->resolved_ns && now() < origin->resolved_ns + addresses_ns)
        ew_upstream_conn_open(call);
    else
        await_addresses(call);
}

/* ---- connections ---- */

static void use_kept(struct ew_upstream_conn *conn, struct ew_upstream_call *call)
{
    conn->origin->upstreams->counts.connections_reused++;
    call->result.reused = true;
    ew_upstream_conn_begin(conn, call);
}

/* A device that dialled in opens its connections itself: one of those that are there will do. */
static void await_device(struct ew_upstream_call *call)
{
    if (TAILQ_EMPTY(&call->origin->in_use))
        ew_upstream_fail(call, EW_UPSTREAM_CONNECT, "the device isn't connected");
    else
        await(call);
}

static void find_connection(struct ew_upstream_call *call, struct ew_upstream_conn *kept)
{
    struct ew_upstream_origin *origin = call->origin;
    uint64_t now_ns = now();
    call->phase = EW_UPSTREAM_CONNECTING;
    call->connect_by_ns = now_ns + (uint64_t)(call->ask.connect_timeout_s * 1e9);
    if (kept) {
        TAILQ_REMOVE(&origin->idle, kept, link);
        TAILQ_INSERT_TAIL(&origin->in_use, kept, link);
        origin->idle_count--;
        origin->upstreams->counts.idle--;
        use_kept(kept, call);
        return;
    }
    ew_upstream_set_deadline(call, now_ns, call->ask.connect_timeout_s);
    if (origin->kind == EW_UPSTREAM_ADOPTED)
        await_device(call);
    else
        connect_anew(call);
}

void ew_upstream_origin_serve(struct ew_upstream_call *call)
{
    find_connection(call, TAILQ_FIRST(&call->origin->idle));
}

/* What else is kept may be as dead. Of a device, it is all there is. */
void ew_upstream_origin_replace(struct ew_upstream_call *call)
{
    struct ew_upstream_origin *origin = call->origin;
    call->result.reused = false;
    call->result.connected_ns = call->result.sent_ns = 0;
    find_connection(call, origin->kind == EW_UPSTREAM_ADOPTED ? TAILQ_FIRST(&origin->idle) : NULL);
}

static void start_sweeping(struct ew_upstreams *upstreams)
{
    const struct timeval wait = {.tv_sec = SWEEP_S};
    if (!upstreams->sweeping)
        event_add(upstreams->sweep, &wait);
    upstreams->sweeping = true;
}

void ew_upstream_origin_release(struct ew_upstream_conn *conn)
{
    struct ew_upstream_origin *origin = conn->origin;
    struct ew_upstream_call *next = TAILQ_FIRST(&origin->waiting);
    bool adopted = origin->kind == EW_UPSTREAM_ADOPTED;
    if (adopted && next) {
        ew_upstream_origin_forget(next);
        use_kept(conn, next);
        return;
    }
    if (!adopted && origin->idle_count >= EW_UPSTREAM_IDLE_MAX) {
        ew_upstream_conn_free(conn);
        return;
    }
    conn->idle_ns = now();
    TAILQ_REMOVE(&origin->in_use, conn, link);
    TAILQ_INSERT_HEAD(&origin->idle, conn, link);
    origin->idle_count++;
    origin->upstreams->counts.idle++;
    start_sweeping(origin->upstreams);
}

/* ---- the passing of time ---- */

static void sweep_origin(struct ew_upstream_origin *origin, uint64_t oldest_ns)
{
    if (origin->kind == EW_UPSTREAM_DIALLED) /* a device closes its own when it likes */
        for (struct ew_upstream_conn *conn;
             (conn = TAILQ_LAST(&origin->idle, ew_upstream_conns)) != NULL &&
             conn->idle_ns < oldest_ns;)
            ew_upstream_conn_free(conn);
    if (origin->upstreams->origin_count > ORIGINS_KEPT && is_unused(origin))
        free_origin(origin);
}

void ew_upstream_sweep(int fd, short what, void *user)
{
    (void)fd, (void)what;
    struct ew_upstreams *upstreams = user;
    const uint64_t kept_ns = (uint64_t)((EW_UPSTREAM_IDLE_S - SWEEP_S) * 1e9), now_ns = now();
    upstreams->sweeping = false;
    for (size_t i = 0; i < EW_UPSTREAM_BUCKETS; i++)
        for (struct ew_upstream_origin *origin = LIST_FIRST(&upstreams->origins[i]), *next; origin;
             origin = next) {
            next = LIST_NEXT(origin, link);
            sweep_origin(origin, now_ns > kept_ns ? now_ns - kept_ns : 0);
        }
    if (upstreams->counts.idle > 0)
        start_sweeping(upstreams);
}

void ew_upstream_origins_close(struct ew_upstreams *upstreams)
{
    for (size_t i = 0; i < EW_UPSTREAM_BUCKETS; i++)
        for (struct ew_upstream_origin *origin;
             (origin = LIST_FIRST(&upstreams->origins[i])) != NULL;) {
            EW_ASSERT(TAILQ_EMPTY(&origin->in_use) && TAILQ_EMPTY(&origin->waiting));
            for (struct ew_upstream_conn *conn; (conn = TAILQ_FIRST(&origin->idle)) != NULL;)
                ew_upstream_conn_free(conn);
            free_origin(origin);
        }
}
