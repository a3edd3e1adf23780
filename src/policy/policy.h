/* policy.h - which place answers this request: the one function that server and simulator share.
 *
 * Pure: request, candidates and time in, decision out. Nothing is allocated, nothing is done: the
 * caller begins the visit (ew_place_begin) where it says GO. The order of thought:
 *
 * 1. Each candidate is able or refused, with one reason, the first that holds in this order:
 *    edge_only, tried, down, breaker, leaving, capability, context, quality, full, limit or budget
 *    (whichever of its windows takes longest), deadline, power.
 * 2. Able devices (the engine is one) come before clouds: edge first. A sticky place that is able
 *    is taken. Among several, `select` ranks (rank.h).
 * 3. No able device: an able cloud (the cheapest predicted; ties by select) where the policy says
 *    on_full: cloud, or where waiting wouldn't help: no device is refused for being full, or at a
 *    limit, that will have room in time.
 * 4. None either: QUEUE for that room where the policy has a queue with room; else a smaller model,
 *    where one is a candidate and able; else QUEUE for a breaker's or a cloud's rest; else REJECT,
 *    with the shortest wait that is known.
 *
 * The reason, where no device answers, is the one that most devices had (of as many, the one that
 * came last in the order of 1: nearest to being able).
 *
 * Cost: 0.35 us for 16 candidates, 20 us for 1,000, each with its breaker, a window, known speeds
 * (build/release/tests/unit/test_policy --bench, on a shared virtual Zen 4). */
#ifndef EW_POLICY_H
#define EW_POLICY_H

#include "base/rng.h"
#include "policy/place.h"

#include <stddef.h>

enum { EW_POLICY_CANDIDATES_MAX = 1024 };

struct ew_policy {
    enum ew_select select;
    enum ew_on_full on_full;
    double alpha; /* U = alpha Q + (1 - alpha) R */
    double tariff_cents_per_kwh;
    double battery_min;       /* below it, off mains, a device is spared; NAN: never */
    double temperature_max_c; /* above it; NAN: never */
    /* State. */
    struct ew_rng rng;
    uint64_t turn; /* round-robin */
};

/* A place that has the model, as far as is known. */
struct ew_candidate {
    struct ew_place *place;
    uint32_t ctx;         /* 0: not known, taken as enough */
    double quality;       /* Q of that place's model for the task, 0..1; NAN: not known */
    double cached_tokens; /* of the prompt, expected there (prefix affinity) */
    bool lacks;           /* can't do what is asked (dialect, tools) */
    bool tried;           /* failed at this request */
    bool resident;        /* the model is in its memory, as far as is known: else it must load */
    bool smaller; /* another, smaller model than the one asked for: only when no other can */
};

struct ew_policy_ask {
    struct ew_forecast forecast; /* cached_tokens: 0, the candidates have theirs */
    double deadline_s;           /* from now, to the end of the answer; NAN: none */
    double quality_min;          /* NAN: any */
    bool edge_only;
    bool queue_has_room; /* whether QUEUE is an answer at all */
    double patience_s;   /* a wait known to be longer isn't queued for; 0: not known */
    int sticky;          /* index of a candidate; -1: none */
};

/* verdicts: [count], filled. count may be 0. */
void ew_policy_decide(struct ew_policy *policy, const struct ew_policy_ask *ask,
                      const struct ew_candidate *candidates, size_t count, uint64_t now_ns,
                      struct ew_verdict *verdicts, struct ew_decision *out);

#endif
