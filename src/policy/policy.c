/* policy.c - the order of thought; how several are ranked is in rank.c. */
#include "policy/policy.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "flow/utility.h"
#include "policy/rank.h"

/* Able candidates, in the order in which they are considered. */
enum tier { TIER_DEVICES, TIER_CLOUDS, TIER_SMALL_DEVICES, TIER_SMALL_CLOUDS, TIERS };

struct pool {
    size_t count;
    uint16_t of[EW_POLICY_CANDIDATES_MAX];
};

/* One decision while it is made. */
struct thought {
    struct ew_policy *policy;
    const struct ew_policy_ask *ask;
    const struct ew_candidate *candidates;
    size_t count;
    uint64_t now_ns;
    struct ew_verdict *verdicts;
    struct pool pools[TIERS];
    unsigned refused[2][EW_REFUSAL_COUNT]; /* devices, clouds; without smaller models */
    bool tried;                            /* any candidate failed before */
};

static bool is_cloud(const struct ew_candidate *candidate)
{
    return candidate->place->kind == EW_PLACE_CLOUD;
}

/* ---- one candidate ---- */

static bool down(enum ew_health health)
{
    return health == EW_HEALTH_UNHEALTHY || health == EW_HEALTH_OFFLINE ||
           health == EW_HEALTH_REFUSED;
}

static bool full(const struct ew_place *place)
{
    return place->concurrency && place->running + place->reported_running >= place->concurrency;
}

/* What stands in the way of its windows; NONE: nothing. */
static enum ew_refusal limited(const struct thought *t, const struct ew_candidate *c,
                               const struct ew_forecast *forecast, uint64_t *wait_ns)
{
    struct ew_limits_refusal refusal;
    if (!c->place->limits.count)
        return EW_REFUSAL_NONE;
    const struct ew_amounts amounts = ew_place_amounts(c->place, forecast);
    if (ew_limits_admit(&c->place->limits, &amounts, t->now_ns, &refusal))
        return EW_REFUSAL_NONE;
    *wait_ns = refusal.wait_ns == EW_WINDOW_NEVER ? EW_VERDICT_NEVER : refusal.wait_ns;
    return is_cloud(c) && refusal.limit->kind == EW_LIMIT_CENTS ? EW_REFUSAL_BUDGET
                                                                : EW_REFUSAL_LIMIT;
}

static bool spared(const struct ew_policy *policy, const struct ew_place *place)
{
    /* NAN fails all comparisons: what isn't known spares nothing. */
    return (place->battery < policy->battery_min && !place->on_mains) ||
           place->temperature_c > policy->temperature_max_c;
}

/* The first that holds, in the order of EW_REFUSALS. */
static enum ew_refusal refusal_of(const struct thought *t, const struct ew_candidate *c,
                                  const struct ew_forecast *forecast, double total_s,
                                  uint64_t *wait_ns)
{
    struct ew_place *place = c->place;
    const struct ew_policy_ask *ask = t->ask;
    if (ask->edge_only && is_cloud(c))
        return EW_REFUSAL_EDGE_ONLY;
    if (c->tried)
        return EW_REFUSAL_TRIED;
    if (down(place->health))
        return EW_REFUSAL_DOWN;
    if (!ew_breaker_admits(&place->breaker, t->now_ns)) {
        *wait_ns = ew_breaker_wait_ns(&place->breaker, t->now_ns);
        return EW_REFUSAL_BREAKER;
    }
    if (place->health == EW_HEALTH_LEAVING)
        return EW_REFUSAL_LEAVING;
    if (c->lacks)
        return EW_REFUSAL_CAPABILITY;
    if (c->ctx && forecast->prompt_tokens >= c->ctx) /* the answer needs a position, too */
        return EW_REFUSAL_CONTEXT;
    /* Who asks for a quality is not served with an unknown one. */
    if (!isnan(ask->quality_min) && !(c->quality >= ask->quality_min))
        return EW_REFUSAL_QUALITY;
    if (place->rests_until_ns > t->now_ns) {
        *wait_ns = place->rests_until_ns - t->now_ns;
        return EW_REFUSAL_FULL;
    }
    if (full(place)) {
        *wait_ns = ew_place_frees_ns(place);
        return EW_REFUSAL_FULL;
    }
    enum ew_refusal limit = limited(t, c, forecast, wait_ns);
    if (limit)
        return limit;
    if (total_s > ask->deadline_s)
        return EW_REFUSAL_DEADLINE;
    return spared(t->policy, place) ? EW_REFUSAL_POWER : EW_REFUSAL_NONE;
}

static void judge(const struct thought *t, const struct ew_candidate *c, struct ew_verdict *v)
{
    const struct ew_policy *policy = t->policy;
    struct ew_forecast forecast = t->ask->forecast;
    struct ew_prediction p;
    forecast.cached_tokens =
        c->cached_tokens < forecast.prompt_tokens ? c->cached_tokens : forecast.prompt_tokens;
    ew_place_predict(c->place, &forecast, policy->tariff_cents_per_kwh, &p);
    double r = ew_utility_responsiveness(EW_UTILITY_R_INVERSE, p.ttft_s, NAN);
    v->ttft_s = p.ttft_s;
    v->total_s = p.total_s;
    v->joules = p.joules;
    v->cents = p.cents;
    v->quality = c->quality;
    v->pcr = ew_utility_ratio(ew_utility_mix(c->quality, r, policy->alpha), p.cents);
    v->wait_ns = 0;
    v->refusal = refusal_of(t, c, &forecast, p.total_s, &v->wait_ns);
    v->score = v->refusal ? NAN : ew_rank_figure(policy->select, c, v, &p);
}

/* ---- all of them ---- */

static enum tier tier_of(const struct ew_candidate *c)
{
    if (c->smaller)
        return is_cloud(c) ? TIER_SMALL_CLOUDS : TIER_SMALL_DEVICES;
    return is_cloud(c) ? TIER_CLOUDS : TIER_DEVICES;
}

static void less_of(double *least, double value)
{
    if (value < *least || isnan(*least))
        *least = value;
}

static void judge_all(struct thought *t, struct ew_decision *out)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct ew_candidate *c = &t->candidates[i];
        struct ew_verdict *v = &t->verdicts[i];
        judge(t, c, v);
        t->tried = t->tried || c->tried;
        if (!v->refusal) {
            struct pool *pool = &t->pools[tier_of(c)];
            pool->of[pool->count++] = (uint16_t)i;
        }
        if (c->smaller)
            continue;
        t->refused[is_cloud(c)][v->refusal]++;
        bool could = v->refusal != EW_REFUSAL_CAPABILITY && v->refusal != EW_REFUSAL_CONTEXT &&
                     v->refusal != EW_REFUSAL_QUALITY;
        if (could) /* what it would have cost, whatever stands in the way now */
            less_of(is_cloud(c) ? &out->cloud_cents : &out->edge_cents, v->cents);
    }
}

/* ---- reasons ---- */

static enum ew_reason reason_of(enum ew_refusal refusal)
{
    switch (refusal) {
    case EW_REFUSAL_EDGE_ONLY:
        return EW_REASON_EDGE_ONLY;
    case EW_REFUSAL_CAPABILITY:
        return EW_REASON_CAPABILITY;
    case EW_REFUSAL_CONTEXT:
        return EW_REASON_CONTEXT;
    case EW_REFUSAL_QUALITY:
        return EW_REASON_QUALITY;
    case EW_REFUSAL_FULL:
    case EW_REFUSAL_LIMIT:
        return EW_REASON_CAPACITY;
    case EW_REFUSAL_BUDGET:
        return EW_REASON_BUDGET;
    case EW_REFUSAL_DEADLINE:
        return EW_REASON_TOO_LATE;
    case EW_REFUSAL_POWER:
        return EW_REASON_POWER;
    case EW_REFUSAL_TRIED:
    case EW_REFUSAL_DOWN:
    case EW_REFUSAL_BREAKER:
    case EW_REFUSAL_LEAVING:
        return EW_REASON_DOWN;
    case EW_REFUSAL_NONE:
    case EW_REFUSAL_PREFERRED:
    case EW_REFUSAL_COUNT:
        break;
    }
    return EW_REASON_NONE;
}

/* The reason that most had; of as many the later in the order of refusals. NONE: there are none. */
static enum ew_reason most(const unsigned refused[EW_REFUSAL_COUNT])
{
    unsigned counts[EW_REASON_COUNT] = {0};
    enum ew_reason reason = EW_REASON_NONE;
    for (unsigned i = EW_REFUSAL_NONE + 1; i < EW_REFUSAL_COUNT; i++)
        counts[reason_of((enum ew_refusal)i)] += refused[i];
    counts[EW_REASON_NONE] = 0;
    for (unsigned i = EW_REFUSAL_NONE + 1; i < EW_REFUSAL_COUNT; i++) {
        enum ew_reason other = reason_of((enum ew_refusal)i);
        if (refused[i] && counts[other] >= counts[reason])
            reason = other;
    }
    return reason;
}

/* Why no device answers. */
static enum ew_reason edge_reason(const struct thought *t)
{
    enum ew_reason reason = most(t->refused[0]);
    return reason == EW_REASON_NONE ? EW_REASON_CAPABILITY : reason;
}

static enum ew_reason cloud_reason(const struct thought *t)
{
    enum ew_reason reason = edge_reason(t);
    bool none = most(t->refused[0]) == EW_REASON_NONE;
    return t->tried && (none || reason == EW_REASON_DOWN) ? EW_REASON_FAILOVER : reason;
}

/* ---- going ---- */

/* Only the cheapest stay in the pool; where no price is known, all. */
static void keep_cheapest(struct thought *t, struct pool *pool)
{
    double least = NAN;
    size_t kept = 0;
    for (size_t i = 0; i < pool->count; i++)
        less_of(&least, t->verdicts[pool->of[i]].cents);
    if (isnan(least))
        return;
    for (size_t i = 0; i < pool->count; i++) {
        if (t->verdicts[pool->of[i]].cents <= least)
            pool->of[kept++] = pool->of[i];
        else
            t->verdicts[pool->of[i]].score = NAN;
    }
    pool->count = kept;
}

static bool holds(const struct pool *pool, int index)
{
    for (size_t i = 0; i < pool->count; i++)
        if (pool->of[i] == index)
            return true;
    return false;
}

static enum ew_reason go_reason(const struct thought *t, enum tier tier, bool sticks, size_t chosen)
{
    if (tier == TIER_SMALL_DEVICES || tier == TIER_SMALL_CLOUDS)
        return EW_REASON_DEGRADED;
    if (tier == TIER_CLOUDS)
        return cloud_reason(t);
    if (sticks)
        return EW_REASON_STICKY;
    if (t->tried)
        return EW_REASON_FAILOVER;
    if (t->pools[tier].count > 1)
        return EW_REASON_SELECTED;
    bool engine = t->candidates[chosen].place->kind == EW_PLACE_ENGINE;
    return engine ? EW_REASON_LOCAL : EW_REASON_ONLY;
}

static void go(struct thought *t, enum tier tier, struct ew_decision *out)
{
    struct pool *pool = &t->pools[tier];
    bool sticks = t->ask->sticky >= 0 && holds(pool, t->ask->sticky);
    size_t chosen = (size_t)t->ask->sticky;
    if (!sticks && (tier == TIER_CLOUDS || tier == TIER_SMALL_CLOUDS))
        keep_cheapest(t, pool);
    ew_rank_score(t->policy, t->candidates, pool->of, pool->count, t->verdicts);
    if (!sticks)
        chosen = ew_rank_pick(t->policy, t->candidates, pool->of, pool->count, t->verdicts);
    out->action = EW_ACTION_GO;
    out->chosen = (int)chosen;
    out->reason = go_reason(t, tier, sticks, chosen);
}

/* Able clouds that don't get the request for the sake of a device. */
static void prefer_devices(struct thought *t)
{
    static const enum tier tiers[] = {TIER_CLOUDS, TIER_SMALL_CLOUDS};
    for (size_t k = 0; k < EW_COUNT(tiers); k++)
        for (size_t i = 0; i < t->pools[tiers[k]].count; i++) {
            struct ew_verdict *v = &t->verdicts[t->pools[tiers[k]].of[i]];
            v->refusal = EW_REFUSAL_PREFERRED;
            v->score = NAN;
        }
}

/* ---- waiting ---- */

enum wait_for { WAIT_FOR_ROOM, WAIT_FOR_ANYTHING };

struct wait {
    bool helps;       /* something is worth waiting for */
    bool any_time;    /* something of which isn't known how long it takes */
    uint64_t wait_ns; /* the shortest known; 0: none is */
};

static bool is_room(enum ew_refusal refusal)
{
    return refusal == EW_REFUSAL_FULL || refusal == EW_REFUSAL_LIMIT;
}

/* Room at devices; or anything that passes by itself, at clouds too. */
static struct wait waits(const struct thought *t, enum wait_for what)
{
    struct wait w = {0};
    double deadline_s = t->ask->deadline_s;
    for (size_t i = 0; i < t->count; i++) {
        const struct ew_verdict *v = &t->verdicts[i];
        const struct ew_candidate *c = &t->candidates[i];
        bool passes = is_room(v->refusal) || v->refusal == EW_REFUSAL_BREAKER ||
                      v->refusal == EW_REFUSAL_BUDGET;
        bool counts =
            what == WAIT_FOR_ROOM ? is_room(v->refusal) && !is_cloud(c) && !c->smaller : passes;
        if (!counts || v->wait_ns == EW_VERDICT_NEVER ||
            (double)v->wait_ns / EW_NS_PER_S > deadline_s)
            continue;
        w.helps = true;
        w.any_time = w.any_time || !v->wait_ns;
        if (v->wait_ns && (!w.wait_ns || v->wait_ns < w.wait_ns))
            w.wait_ns = v->wait_ns;
    }
    return w;
}

static bool may_queue(const struct thought *t, const struct wait *w)
{
    double patience_s = t->ask->patience_s;
    bool in_vain = patience_s > 0 && !w->any_time && (double)w->wait_ns / EW_NS_PER_S > patience_s;
    return w->helps && !in_vain && t->ask->queue_has_room &&
           t->policy->on_full != EW_ON_FULL_REJECT;
}

/* What a place refuses because of the request itself, it refuses tomorrow, too. */
static bool is_for_good(const struct ew_verdict *v)
{
    switch (v->refusal) {
    case EW_REFUSAL_EDGE_ONLY:
    case EW_REFUSAL_CAPABILITY:
    case EW_REFUSAL_CONTEXT:
    case EW_REFUSAL_QUALITY:
        return true;
    case EW_REFUSAL_LIMIT:
    case EW_REFUSAL_BUDGET:
        return v->wait_ns == EW_VERDICT_NEVER;
    default:
        return false;
    }
}

static bool is_hopeless(const struct thought *t)
{
    for (size_t i = 0; i < t->count; i++)
        if (!is_for_good(&t->verdicts[i]))
            return false;
    return true;
}

static void stay(struct thought *t, enum ew_action action, const struct wait *w,
                 struct ew_decision *out)
{
    const unsigned *clouds = t->refused[1];
    out->action = action;
    out->wait_ns = w->wait_ns;
    out->edge = out->reason = most(t->refused[0]);
    if (out->reason == EW_REASON_NONE) /* no device is known to have the model: what of clouds? */
        out->reason = most(clouds);
    if (out->reason == EW_REASON_NONE)
        out->reason = EW_REASON_CAPABILITY;
    if (action == EW_ACTION_QUEUE)
        return;
    out->hopeless = is_hopeless(t);
    /* Where it might have gone to a cloud, what kept it from there is the reason. */
    bool room = out->reason == EW_REASON_CAPACITY;
    if (clouds[EW_REFUSAL_EDGE_ONLY] && !room)
        out->reason = EW_REASON_EDGE_ONLY;
    else if (clouds[EW_REFUSAL_BUDGET] && (!room || t->policy->on_full == EW_ON_FULL_CLOUD))
        out->reason = EW_REASON_BUDGET;
}

/* ---- all of it ---- */

static void think(struct thought *t, struct ew_decision *out)
{
    if (t->pools[TIER_DEVICES].count) {
        prefer_devices(t);
        go(t, TIER_DEVICES, out);
        return;
    }
    struct wait room = waits(t, WAIT_FOR_ROOM);
    bool cloud = !room.helps || t->policy->on_full == EW_ON_FULL_CLOUD;
    if (cloud && t->pools[TIER_CLOUDS].count) {
        go(t, TIER_CLOUDS, out);
        return;
    }
    if (!may_queue(t, &room)) {
        if (t->pools[TIER_SMALL_DEVICES].count) {
            prefer_devices(t);
            go(t, TIER_SMALL_DEVICES, out);
            return;
        }
        if (cloud && t->pools[TIER_SMALL_CLOUDS].count) {
            go(t, TIER_SMALL_CLOUDS, out);
            return;
        }
    }
    prefer_devices(t);
    struct wait any = waits(t, WAIT_FOR_ANYTHING);
    if (may_queue(t, &room))
        stay(t, EW_ACTION_QUEUE, &room, out);
    else
        stay(t, may_queue(t, &any) ? EW_ACTION_QUEUE : EW_ACTION_REJECT, &any, out);
}

void ew_policy_decide(struct ew_policy *policy, const struct ew_policy_ask *ask,
                      const struct ew_candidate *candidates, size_t count, uint64_t now_ns,
                      struct ew_verdict *verdicts, struct ew_decision *out)
{
    struct thought t; /* filled by hand: 8 KB of indices need no zeros */
    EW_ASSERT(count <= EW_POLICY_CANDIDATES_MAX);
    t.policy = policy;
    t.ask = ask;
    t.candidates = candidates;
    t.count = count;
    t.now_ns = now_ns;
    t.verdicts = verdicts;
    t.tried = false;
    for (int i = 0; i < TIERS; i++)
        t.pools[i].count = 0;
    memset(t.refused, 0, sizeof t.refused);
    *out = (struct ew_decision){.chosen = -1, .edge_cents = NAN, .cloud_cents = NAN};
    judge_all(&t, out);
    think(&t, out);
}
