/* policy.h - which place answers this request: the one function that server and simulator share.
 *
 * Pure: request, candidates and time in, decision out. Nothing is allocated, nothing is done: the
 * caller begins the visit (ew_place_begin) where it says GO. The order of thought:
 *
 * 1. Each candidate is able or refused, with one reason (the first that holds in the order of
 *    EW_REFUSALS): edge_only, tried, down, breaker, leaving, capability, context, quality, full,
 *    limit, budget, deadline, power.
 * 2. Able devices (the engine is one) come before clouds: edge first. A sticky place that is able
 *    is taken. Among several, `select` ranks; health weights and configured weights are part of
 *    every score; ties are broken by fewer running, then at random.
 * 3. No able device: an able cloud (the cheapest predicted; ties by select) where the policy says
 *    on_full: cloud, or where waiting wouldn't help (context, capability, quality, down, deadline).
 *    With on_full queue, capacity alone is waited for; with reject, it is told with its wait.
 * 4. None at all: QUEUE where waiting can help and there is a queue, else REJECT, with the reason
 *    that most of the devices had and the shortest wait.
 *
 * Cost: 2 us for 16 candidates, 20 us for 1,000 (tests/unit/test_policy.c --bench). */
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
    int sticky;          /* index of a candidate; -1: none */
};

/* verdicts: [count], filled. count may be 0. */
void ew_policy_decide(struct ew_policy *policy, const struct ew_policy_ask *ask,
                      const struct ew_candidate *candidates, size_t count, uint64_t now_ns,
                      struct ew_verdict *verdicts, struct ew_decision *out);

/* R of the paper's U, by the default function 1 / (1 + TTFT_s); NAN stays NAN. */
double ew_policy_responsiveness(double ttft_s);

#endif
