/* route.h - one request's way among the places: what it allows, where it is, what was decided.
 *
 * Policy decides (src/policy/policy.h); this makes its question of a request and keeps its answers:
 * which places have the model, which were tried, the visit under way, and the log that the ledger
 * gets. A visit holds its member. On the loop's thread. */
#ifndef EW_ROUTE_H
#define EW_ROUTE_H

#include "serve/fleet.h"
#include "serve/onward.h"

enum {
    EW_ROUTE_TRIES_MAX = 8,    /* places that one request is tried at */
    EW_ROUTE_LOG_BYTES = 4000, /* fits the ledger's column */
    EW_ROUTE_MODEL_BYTES = 128,
};

struct ew_exchange;

/* Whether a conversation went where it was answered before. */
enum ew_route_sticky { EW_ROUTE_NOT_STICKY, EW_ROUTE_HIT, EW_ROUTE_MISS, EW_ROUTE_MOVED };

struct ew_route {
    /* What the request allows. */
    bool edge_only, degrade;
    char via[EW_ONWARD_VIA_MAX]; /* the servers that passed it on; "" none */
    double quality_min;          /* NAN: any */
    uint64_t deadline_ns;        /* 0: none of its own */
    uint64_t session;            /* what keeps its conversation at a place; 0: nothing */
    struct ew_forecast forecast;
    size_t prompt_bytes;
    bool counted;        /* the forecast's prompt is tokens, not an estimate by bytes */
    uint32_t ctx_most;   /* of the places that have the model; 0: of one it isn't known */
    bool only_engine;    /* no other place has the model */
    bool engine_is_full; /* and could answer otherwise */
    bool goes_on;        /* its conversation was answered before, or its client names it */
    bool continues;      /* a place broke off in the midst, and another goes on */
    /* Where it is. */
    struct ew_member *member; /* of the visit, or of the last one; held while the visit is open */
    struct ew_visit visit;
    char there[EW_ROUTE_MODEL_BYTES]; /* the model's name at the member */
    char place[EW_FLEET_NAME_BYTES];  /* the member's name; it may be gone by the end */
    enum ew_place_kind kind;          /* of that place */
    uint32_t tried[EW_ROUTE_TRIES_MAX];
    uint32_t tried_count, attempts;
    /* What is told of it. */
    enum ew_reason reason;
    enum ew_route_sticky sticky;
    double edge_cents, cloud_cents;
    struct ew_buf log; /* JSON objects, commas between them */
    bool waited;       /* a decision to wait is in the log */
    bool logged;       /* the latest decision is, at its end */
};

void ew_route_init(struct ew_route *route);
void ew_route_fini(struct ew_route *route); /* no visit is open */
/* Of its headers, its model's suffix, its client's rules. A fault: a header is no good. */
int ew_route_read(struct ew_exchange *exchange, struct ew_fault *fault);
/* How many places have the model; sets only_engine. */
size_t ew_route_places(struct ew_exchange *exchange);
/* Of what is known by now: bytes, or the prepared prompts' tokens. */
void ew_route_forecast(struct ew_exchange *exchange);
/* GO: the visit is open, and the member held. */
struct ew_decision ew_route_decide(struct ew_exchange *exchange, uint64_t now_ns);
/* The place failed: the decision for it, the latest in the log, says why, and what that took. */
void ew_route_failed(struct ew_exchange *exchange, const char *why, double joules);
/* The visit is over; usage is what the exchange has by now. Remembers the place that failed, when
 * `again` says that it isn't to be asked again. */
enum ew_route_again { EW_ROUTE_MAY_RETURN, EW_ROUTE_NEVER_AGAIN };
void ew_route_leave(struct ew_exchange *exchange, enum ew_outcome outcome,
                    enum ew_route_again again, uint64_t now_ns);
/* Nowhere to go: what its client is told. */
void ew_route_fault(const struct ew_exchange *exchange, const struct ew_decision *decision,
                    struct ew_fault *fault);
/* What another device is told of what it allows. */
void ew_route_onward(const struct ew_exchange *exchange, uint64_t now_ns, struct ew_onward *onward);
/* X-Edgewise-Device, -Reason, -Attempts, -Sticky: before the answer begins. */
void ew_route_headers(const struct ew_exchange *exchange);

#endif
