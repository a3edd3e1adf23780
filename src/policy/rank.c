/* rank.c - scores, draws and turns. */
#include "policy/rank.h"

#include <math.h>

/* A model must be loaded first: as a device that says it is warming. */
#define COLD_WEIGHT 0.1

/* A turn of a place with factor 1; the rest of the bits are for factors above, and for time: 2^43
 * turns. */
enum { TURN = 1 << 20 };
#define TURN_MAX (1e12) /* of a place whose factor is next to nothing */

static uint32_t busy(const struct ew_place *place)
{
    return place->running + place->reported_running + place->reported_waiting;
}

/* ---- figures ---- */

double ew_rank_figure(enum ew_select select, const struct ew_candidate *candidate,
                      const struct ew_verdict *verdict, const struct ew_prediction *prediction)
{
    const struct ew_place *place = candidate->place;
    switch (select) {
    case EW_SELECT_LEAST_BUSY:
    case EW_SELECT_POWER_OF_TWO:
        /* With this one, so that weights count among idle places too. Where no limit is known,
         * a place is taken to be one that answers one at a time. */
        return (busy(place) + 1.0) / (place->concurrency ? place->concurrency : 1);
    case EW_SELECT_LOAD_AWARE:
        return prediction->work_s;
    case EW_SELECT_FASTEST:
        return prediction->total_s;
    case EW_SELECT_GREENEST:
        return prediction->joules_more;
    case EW_SELECT_BEST_PCR:
        return 1 / verdict->pcr;
    default:
        return 1; /* random, weighted, round-robin: the factor alone */
    }
}

static bool learns(enum ew_select select)
{
    return select == EW_SELECT_LOAD_AWARE || select == EW_SELECT_FASTEST ||
           select == EW_SELECT_GREENEST || select == EW_SELECT_BEST_PCR;
}

/* Whether the first answer will tell what isn't known. */
static bool will_be_known(const struct ew_policy *policy, const struct ew_candidate *candidate)
{
    const struct ew_place *place = candidate->place;
    if (ew_place_speed_known(place))
        return false;
    bool priced = place->kind == EW_PLACE_CLOUD
                      ? !isnan(place->input_cents + place->output_cents + place->fee_cents)
                      : !isnan(place->watts_busy);
    switch (policy->select) {
    case EW_SELECT_GREENEST:
        return !isnan(place->watts_busy);
    case EW_SELECT_BEST_PCR:
        return priced && (policy->alpha == 0 || !isnan(candidate->quality));
    default:
        return true;
    }
}

/* ---- scores ---- */

static double health_factor(const struct ew_candidate *candidate)
{
    double health = ew_health_weight(candidate->place->health);
    return candidate->resident ? health : health * COLD_WEIGHT;
}

static double factor_of(enum ew_select select, const struct ew_candidate *candidate)
{
    double health = health_factor(candidate);
    return select == EW_SELECT_RANDOM ? health : health * candidate->place->weight;
}

static void score_unknown(const struct ew_policy *policy, const struct ew_candidate *candidates,
                          const uint16_t *pool, size_t count, struct ew_verdict *verdicts)
{
    double best = NAN, worst = NAN;
    for (size_t i = 0; i < count; i++) {
        best = fmin(best, verdicts[pool[i]].score);
        worst = fmax(worst, verdicts[pool[i]].score);
    }
    if (isnan(best))
        return;
    for (size_t i = 0; i < count; i++) {
        const struct ew_candidate *c = &candidates[pool[i]];
        if (isnan(verdicts[pool[i]].score) && will_be_known(policy, c))
            verdicts[pool[i]].score = (c->place->running ? worst : best) / health_factor(c);
    }
}

/* The turn that a place has: one that was away doesn't make up for what it missed. */
static uint64_t turn_of(const struct ew_policy *policy, const struct ew_place *place)
{
    return place->turn > policy->turn ? place->turn : policy->turn;
}

void ew_rank_score(const struct ew_policy *policy, const struct ew_candidate *candidates,
                   const uint16_t *pool, size_t count, struct ew_verdict *verdicts)
{
    bool unknown = false;
    for (size_t i = 0; i < count; i++) {
        const struct ew_candidate *c = &candidates[pool[i]];
        struct ew_verdict *v = &verdicts[pool[i]];
        if (policy->select == EW_SELECT_ROUND_ROBIN)
            v->score = (double)(int64_t)(turn_of(policy, c->place) - policy->turn) / TURN;
        else
            v->score /= factor_of(policy->select, c);
        unknown = unknown || isnan(v->score);
    }
    if (unknown && learns(policy->select))
        score_unknown(policy, candidates, pool, count, verdicts);
}

/* ---- the pick ---- */

/* By chance, each as likely as its factor. */
static size_t draw(struct ew_policy *policy, const struct ew_candidate *candidates,
                   const uint16_t *pool, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += factor_of(policy->select, &candidates[pool[i]]);
    if (!(sum > 0 && sum < INFINITY))
        return pool[ew_rng_below(&policy->rng, count)];
    double at = ew_rng_uniform(&policy->rng) * sum;
    for (size_t i = 0; i + 1 < count; i++) {
        at -= factor_of(policy->select, &candidates[pool[i]]);
        if (at < 0)
            return pool[i];
    }
    return pool[count - 1];
}

/* Below 0: a is better. Unknown is worse than any number. */
static int compare(const struct ew_candidate *candidates, const struct ew_verdict *verdicts,
                   size_t a, size_t b)
{
    double x = verdicts[a].score, y = verdicts[b].score;
    if (isnan(x) || isnan(y)) {
        if (!isnan(x) || !isnan(y))
            return isnan(x) ? 1 : -1;
    } else if (x != y) {
        return x < y ? -1 : 1;
    }
    uint32_t m = busy(candidates[a].place), n = busy(candidates[b].place);
    return m < n ? -1 : m > n;
}

static size_t best_of(struct ew_policy *policy, const struct ew_candidate *candidates,
                      const uint16_t *pool, size_t count, const struct ew_verdict *verdicts)
{
    size_t best = pool[0];
    uint64_t equal = 1;
    for (size_t i = 1; i < count; i++) {
        int order = compare(candidates, verdicts, pool[i], best);
        if (order < 0)
            equal = 1;
        if (order < 0 || (order == 0 && ew_rng_below(&policy->rng, ++equal) == 0))
            best = pool[i];
    }
    return best;
}

static size_t better_of_two(struct ew_policy *policy, const struct ew_candidate *candidates,
                            const uint16_t *pool, size_t count, struct ew_verdict *verdicts)
{
    uint16_t two[2];
    size_t first = ew_rng_below(&policy->rng, count);
    size_t second = count > 1 ? ew_rng_below(&policy->rng, count - 1) : 0;
    two[0] = pool[first];
    two[1] = pool[second < first ? second : count > 1 ? second + 1 : second];
    for (size_t i = 0; i < count; i++)
        if (pool[i] != two[0] && pool[i] != two[1])
            verdicts[pool[i]].score = NAN;
    return best_of(policy, candidates, two, 2, verdicts);
}

static size_t next_turn(struct ew_policy *policy, const struct ew_candidate *candidates,
                        const uint16_t *pool, size_t count, const struct ew_verdict *verdicts)
{
    size_t next = pool[0];
    for (size_t i = 1; i < count; i++)
        if (verdicts[pool[i]].score < verdicts[next].score)
            next = pool[i];
    struct ew_place *place = candidates[next].place;
    double length = TURN / factor_of(policy->select, &candidates[next]);
    policy->turn = turn_of(policy, place);
    place->turn = policy->turn + (uint64_t)fmin(length, TURN_MAX);
    return next;
}

size_t ew_rank_pick(struct ew_policy *policy, const struct ew_candidate *candidates,
                    const uint16_t *pool, size_t count, struct ew_verdict *verdicts)
{
    switch (policy->select) {
    case EW_SELECT_RANDOM:
    case EW_SELECT_WEIGHTED:
        return draw(policy, candidates, pool, count);
    case EW_SELECT_ROUND_ROBIN:
        return next_turn(policy, candidates, pool, count, verdicts);
    case EW_SELECT_POWER_OF_TWO:
        return better_of_two(policy, candidates, pool, count, verdicts);
    default:
        return best_of(policy, candidates, pool, count, verdicts);
    }
}
