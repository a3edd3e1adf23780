/* test_policy.c - the order of thought: each refusal, each reason, edge first, and never a cloud
 * for what must stay; and, with --bench, what a decision takes. */
#include "policy/policy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"

#define S   1000000000ull
#define NOW (100 * S)

enum { FLEET_MAX = 12 };

struct fleet {
    struct ew_policy policy;
    struct ew_policy_ask ask;
    struct ew_place places[FLEET_MAX];
    struct ew_candidate candidates[FLEET_MAX];
    struct ew_verdict verdicts[FLEET_MAX];
    struct ew_window_entry entries[FLEET_MAX][64];
    struct ew_decision decision;
    size_t count;
};

/* A place a letter: e the engine, d a device, c a cloud; capital: its model is a smaller one. */
static void open_fleet(struct fleet *f, const char *kinds)
{
    memset(f, 0, sizeof *f);
    f->policy = (struct ew_policy){.select = EW_SELECT_LEAST_BUSY,
                                   .on_full = EW_ON_FULL_CLOUD,
                                   .alpha = .5,
                                   .tariff_cents_per_kwh = 25,
                                   .battery_min = .2,
                                   .temperature_max_c = 80};
    ew_rng_init(&f->policy.rng, 1);
    f->ask = (struct ew_policy_ask){
        .forecast = {.prompt_tokens = 500, .output_tokens = 100, .output_tokens_max = 400},
        .deadline_s = NAN,
        .quality_min = NAN,
        .sticky = -1,
        .queue_has_room = true};
    for (f->count = 0; kinds[f->count]; f->count++) {
        char k = kinds[f->count];
        struct ew_place *p = &f->places[f->count];
        ew_place_init(p, strchr("eE", k)   ? EW_PLACE_ENGINE
                         : strchr("cC", k) ? EW_PLACE_CLOUD
                                           : EW_PLACE_DEVICE);
        p->health = EW_HEALTH_HEALTHY;
        p->concurrency = 2;
        ew_speed_seed(&p->speed, 500, 25); /* 1 s, then 4 s */
        p->watts_busy = 10;
        p->input_cents = .001, p->output_cents = .002, p->fee_cents = 0;
        f->candidates[f->count] = (struct ew_candidate){
            .place = p, .quality = .8, .resident = true, .smaller = strchr("EDC", k) != NULL};
    }
}

static void decide(struct fleet *f)
{
    ew_policy_decide(&f->policy, &f->ask, f->candidates, f->count, NOW, f->verdicts, &f->decision);
}

/* What is wrong with a place, a letter each; in the order of EW_REFUSALS. */
static const char wrongs[] = "txblacqflmrohw";

static void spend(struct fleet *f, size_t i, enum ew_limit_kind kind)
{
    const struct ew_limit limit = {kind, 1000, 60 * S};
    struct ew_reservation r;
    struct ew_limits_refusal no;
    const struct ew_amounts amounts = {.of = {999.9, 999.9, 999.9, 999.9}};
    /* Entries for 1,000 requests would be many; what is taken is one amount. */
    ew_limits_add(&f->places[i].limits, &limit, f->entries[i]);
    f->places[i].limits.windows[f->places[i].limits.count - 1].capacity = 64;
    if (!ew_limits_reserve(&f->places[i].limits, &amounts, NOW - 20 * S, &r, &no))
        fail_msg("the first amount doesn't fit");
}

static void do_wrong(struct fleet *f, size_t i, char wrong)
{
    struct ew_place *p = &f->places[i];
    struct ew_candidate *c = &f->candidates[i];
    switch (wrong) {
    case 't':
        c->tried = true;
        break;
    case 'x':
        p->health = EW_HEALTH_OFFLINE;
        break;
    case 'b':
        for (int k = 0; k < 3; k++)
            ew_breaker_ended(&p->breaker, EW_OUTCOME_FAILED, NOW - 2 * S);
        break;
    case 'l':
        p->health = EW_HEALTH_LEAVING;
        break;
    case 'a':
        c->lacks = true;
        break;
    case 'c':
        c->ctx = 500;
        break;
    case 'q':
        f->ask.quality_min = .9;
        break;
    case 'f':
        p->running = 2;
        p->output_tokens_due = 100;
        break;
    case 'r': /* it said Retry-After */
        ew_place_rest(p, 7 * S, NOW);
        break;
    case 'm':
        spend(f, i, EW_LIMIT_REQUESTS);
        break;
    case 'o': /* a cloud's budget */
        spend(f, i, EW_LIMIT_CENTS);
        break;
    case 'h':
        f->ask.deadline_s = 3;
        break;
    case 'w':
        p->battery = .1;
        break;
    case '.':
        break;
    default:
        fail_msg("no wrong is called %c", wrong);
    }
}

static enum ew_refusal refusal_of_wrong(char wrong)
{
    switch (wrong) {
    case 't':
        return EW_REFUSAL_TRIED;
    case 'x':
        return EW_REFUSAL_DOWN;
    case 'b':
        return EW_REFUSAL_BREAKER;
    case 'l':
        return EW_REFUSAL_LEAVING;
    case 'a':
        return EW_REFUSAL_CAPABILITY;
    case 'c':
        return EW_REFUSAL_CONTEXT;
    case 'q':
        return EW_REFUSAL_QUALITY;
    case 'f':
    case 'r':
        return EW_REFUSAL_FULL;
    case 'm':
        return EW_REFUSAL_LIMIT;
    case 'o':
        return EW_REFUSAL_BUDGET;
    case 'h':
        return EW_REFUSAL_DEADLINE;
    case 'w':
        return EW_REFUSAL_POWER;
    default:
        return EW_REFUSAL_NONE;
    }
}

/* The first that holds, of any two together, at a cloud (all can happen there). `l` and `x` are
 * both of health, `m` and `o` of one set of windows, `r` and `f` the same word. */
static void the_first_reason_that_holds_is_told(void **state)
{
    static struct fleet f;
    (void)state;
    for (const char *a = wrongs; *a; a++)
        for (const char *b = wrongs; *b; b++) {
            enum ew_refusal x = refusal_of_wrong(*a), y = refusal_of_wrong(*b);
            if ((x == EW_REFUSAL_DOWN || x == EW_REFUSAL_LEAVING) &&
                (y == EW_REFUSAL_DOWN || y == EW_REFUSAL_LEAVING) && x != y)
                continue;
            open_fleet(&f, "c");
            if (strchr("mo", *a) && strchr("mo", *b) && *a != *b)
                continue;
            do_wrong(&f, 0, *a);
            if (*a != *b)
                do_wrong(&f, 0, *b);
            decide(&f);
            if (f.verdicts[0].refusal != (x < y ? x : y))
                fail_msg("%c and %c: refused as %s", *a, *b,
                         ew_refusal_name(f.verdicts[0].refusal));
            assert_int_equal(f.decision.chosen, -1);
            f.ask.edge_only = true;
            decide(&f);
            assert_int_equal(f.verdicts[0].refusal, EW_REFUSAL_EDGE_ONLY);
        }
}

/* kinds, what is wrong with each, and what is decided. */
struct row {
    const char *kinds, *wrong;
    enum ew_on_full on_full;
    int chosen;
    enum ew_action action;
    enum ew_reason reason;
    double wait_s;
};

#define GO     EW_ACTION_GO
#define QUEUE  EW_ACTION_QUEUE
#define REJECT EW_ACTION_REJECT
#define CLOUD  EW_ON_FULL_CLOUD
#define WAIT   EW_ON_FULL_QUEUE
#define REFUSE EW_ON_FULL_REJECT
#define R(r)   EW_REASON_##r

static const struct row rows[] = {
    /* Able devices. */
    {"e", ".", CLOUD, 0, GO, R(LOCAL), 0},
    {"ed", ".x", CLOUD, 0, GO, R(LOCAL), 0},
    {"ed", "x.", CLOUD, 1, GO, R(ONLY), 0},
    {"dc", "..", CLOUD, 0, GO, R(ONLY), 0},
    {"cd", "..", CLOUD, 1, GO, R(ONLY), 0},
    {"edc", "...", CLOUD, -2, GO, R(SELECTED), 0},
    {"ddc", "t..", CLOUD, 1, GO, R(FAILOVER), 0},
    /* No device: the cloud, and why. */
    {"dc", "f.", CLOUD, 1, GO, R(CAPACITY), 0},
    {"dc", "r.", CLOUD, 1, GO, R(CAPACITY), 0},
    {"dc", "m.", CLOUD, 1, GO, R(CAPACITY), 0},
    {"dc", "x.", CLOUD, 1, GO, R(DOWN), 0},
    {"dc", "b.", CLOUD, 1, GO, R(DOWN), 0},
    {"dc", "l.", CLOUD, 1, GO, R(DOWN), 0},
    {"dc", "t.", CLOUD, 1, GO, R(FAILOVER), 0},
    {"ddc", "tx.", CLOUD, 1 + 1, GO, R(FAILOVER), 0},
    {"dc", "a.", CLOUD, 1, GO, R(CAPABILITY), 0},
    {"dc", "c.", CLOUD, 1, GO, R(CONTEXT), 0},
    {"dc", "w.", CLOUD, 1, GO, R(POWER), 0},
    {"c", ".", CLOUD, 0, GO, R(CAPABILITY), 0},
    {"cc", "t.", CLOUD, 1, GO, R(FAILOVER), 0},
    {"dddc", "fxf.", CLOUD, 3, GO, R(CAPACITY), 0},
    {"dddc", "fxx.", CLOUD, 3, GO, R(DOWN), 0},
    {"ddc", "xf.", CLOUD, 2, GO, R(CAPACITY), 0}, /* as many: nearer to able */
    {"ddc", "cf.", CLOUD, 2, GO, R(CAPACITY), 0},
    /* Where waiting wouldn't help, on_full doesn't matter. */
    {"dc", "x.", WAIT, 1, GO, R(DOWN), 0},
    {"dc", "c.", WAIT, 1, GO, R(CONTEXT), 0},
    {"dc", "a.", REFUSE, 1, GO, R(CAPABILITY), 0},
    {"dc", "t.", REFUSE, 1, GO, R(FAILOVER), 0},
    /* Where it would, it does: 100 tokens of two streams, 50 ms each; Retry-After; a window. */
    {"dc", "f.", WAIT, -1, QUEUE, R(CAPACITY), 1.25},
    {"dc", "r.", WAIT, -1, QUEUE, R(CAPACITY), 7},
    {"dc", "m.", WAIT, -1, QUEUE, R(CAPACITY), 40},
    {"dc", "f.", REFUSE, -1, REJECT, R(CAPACITY), 1.25},
    {"dc", "m.", REFUSE, -1, REJECT, R(CAPACITY), 40},
    {"ddc", "mr.", REFUSE, -1, REJECT, R(CAPACITY), 7},
    {"ddc", "xf.", WAIT, -1, QUEUE, R(CAPACITY), 1.25},
    /* The cloud can't either. */
    {"dc", "fx", CLOUD, -1, QUEUE, R(CAPACITY), 1.25},
    {"dc", "mo", CLOUD, -1, QUEUE, R(CAPACITY), 40},
    {"dc", "xo", CLOUD, -1, QUEUE, R(DOWN), 40},
    {"dc", "xo", REFUSE, -1, REJECT, R(BUDGET), 40},
    {"dc", "xx", CLOUD, -1, REJECT, R(DOWN), 0},
    {"dc", "tx", CLOUD, -1, REJECT, R(DOWN), 0},
    {"dc", "br", CLOUD, -1, QUEUE, R(DOWN), 3},
    {"c", "r", CLOUD, -1, QUEUE, R(CAPACITY), 7},
    {"c", "x", CLOUD, -1, REJECT, R(DOWN), 0},
    {"d", "c", CLOUD, -1, REJECT, R(CONTEXT), 0},
    {"d", "w", CLOUD, -1, REJECT, R(POWER), 0},
    {"", "", CLOUD, -1, REJECT, R(CAPABILITY), 0},
    /* Smaller models: only when no other can, not even a cloud or by waiting. */
    {"dD", "..", CLOUD, 0, GO, R(ONLY), 0},
    {"dDc", "x..", CLOUD, 2, GO, R(DOWN), 0},
    {"dDc", "x.x", CLOUD, 1, GO, R(DEGRADED), 0},
    {"dD", "f.", WAIT, -1, QUEUE, R(CAPACITY), 1.25},
    {"dD", "f.", REFUSE, 1, GO, R(DEGRADED), 0},
    {"dD", "b.", WAIT, 1, GO, R(DEGRADED), 0},
    {"dC", "x.", WAIT, 1, GO, R(DEGRADED), 0},
    {"dC", "f.", REFUSE, -1, REJECT, R(CAPACITY), 1.25},
    {"dDC", "xx.", CLOUD, 2, GO, R(DEGRADED), 0},
};

static void each_reason_is_told(void **state)
{
    static struct fleet f;
    unsigned wrong = 0;
    (void)state;
    for (size_t i = 0; i < EW_COUNT(rows); i++) {
        const struct row *r = &rows[i];
        open_fleet(&f, r->kinds);
        f.policy.on_full = r->on_full;
        for (size_t k = 0; k < f.count; k++)
            do_wrong(&f, k, r->wrong[k]);
        decide(&f);
        const struct ew_decision *d = &f.decision;
        bool chosen = r->chosen == -2 ? d->chosen >= 0 : d->chosen == r->chosen;
        bool waits = fabs((double)d->wait_ns / S - r->wait_s) < 1e-6;
        if (chosen && d->action == r->action && d->reason == r->reason && waits)
            continue;
        wrong++;
        print_error("%s %s, on_full %d: chosen %d, action %d, %s, %g s\n", r->kinds, r->wrong,
                    r->on_full, d->chosen, d->action, ew_reason_name(d->reason),
                    (double)d->wait_ns / S);
    }
    assert_int_equal(wrong, 0);
}

static void clouds_give_way_to_devices_and_are_told_so(void **state)
{
    static struct fleet f;
    (void)state;
    open_fleet(&f, "dc");
    decide(&f);
    assert_int_equal(f.verdicts[1].refusal, EW_REFUSAL_PREFERRED);
    assert_true(isnan(f.verdicts[1].score));
    assert_float_equal(f.decision.cloud_cents, .7, 1e-9);
    assert_float_equal(f.decision.edge_cents, f.verdicts[0].cents, 0);
    assert_true(f.decision.edge_cents > 0 && f.decision.edge_cents < .01);
}

static void the_cheapest_cloud_is_taken(void **state)
{
    static struct fleet f;
    (void)state;
    open_fleet(&f, "cccc");
    f.places[0].input_cents = NAN;
    f.places[2].output_cents = .001;
    decide(&f);
    assert_int_equal(f.decision.chosen, 2);
    f.places[3].output_cents = .001; /* as cheap, and less busy */
    f.places[2].running = 1;
    decide(&f);
    assert_int_equal(f.decision.chosen, 3);
    f.ask.sticky = 1; /* its prompt is known there, and cheaper than it looks */
    decide(&f);
    assert_int_equal(f.decision.chosen, 1);
}

static void sticky_places_are_kept_while_able_and_not_for_clouds(void **state)
{
    static struct fleet f;
    (void)state;
    open_fleet(&f, "dddcD");
    f.places[1].running = 1; /* busier than the others */
    f.ask.sticky = 1;
    decide(&f);
    assert_int_equal(f.decision.chosen, 1);
    assert_int_equal(f.decision.reason, EW_REASON_STICKY);
    f.places[1].running = 2;
    decide(&f);
    assert_int_not_equal(f.decision.chosen, 1);
    assert_int_equal(f.decision.reason, EW_REASON_SELECTED);
    f.ask.sticky = 3; /* edge first, then too */
    decide(&f);
    assert_int_not_equal(f.decision.chosen, 3);
    f.ask.sticky = 4; /* not a smaller model where the one asked for is there */
    decide(&f);
    assert_in_range(f.decision.chosen, 0, 2);
    f.ask.sticky = 99;
    decide(&f);
    assert_in_range(f.decision.chosen, 0, 2);
}

static void what_a_limit_never_admits_isnt_waited_for(void **state)
{
    static struct fleet f;
    static const struct ew_limit small = {EW_LIMIT_TOKENS, 60, S};
    (void)state;
    open_fleet(&f, "d");
    f.policy.on_full = EW_ON_FULL_QUEUE;
    ew_limits_add(&f.places[0].limits, &small, f.entries[0]);
    decide(&f);
    assert_int_equal(f.verdicts[0].refusal, EW_REFUSAL_LIMIT);
    assert_true(f.verdicts[0].wait_ns == EW_VERDICT_NEVER);
    assert_int_equal(f.decision.action, EW_ACTION_REJECT);
    assert_int_equal(f.decision.wait_ns, 0);
}

static void a_queue_without_room_or_patience_rejects(void **state)
{
    static struct fleet f;
    (void)state;
    open_fleet(&f, "d");
    f.policy.on_full = EW_ON_FULL_QUEUE;
    do_wrong(&f, 0, 'm'); /* 40 s */
    decide(&f);
    assert_int_equal(f.decision.action, EW_ACTION_QUEUE);
    f.ask.patience_s = 39;
    decide(&f);
    assert_int_equal(f.decision.action, EW_ACTION_REJECT);
    assert_int_equal(f.decision.wait_ns, 40 * S); /* Retry-After, exactly */
    f.count = 2; /* beside it one that is full, nobody knows for how long */
    ew_place_init(&f.places[1], EW_PLACE_DEVICE);
    f.places[1].concurrency = f.places[1].running = 1;
    f.candidates[1] = (struct ew_candidate){.place = &f.places[1], .resident = true};
    decide(&f);
    assert_int_equal(f.decision.action, EW_ACTION_QUEUE);
    f.count = 1;
    f.ask.patience_s = 41;
    f.ask.queue_has_room = false;
    decide(&f);
    assert_int_equal(f.decision.action, EW_ACTION_REJECT);
    f.ask.queue_has_room = true;
    f.ask.deadline_s = 39;
    decide(&f);
    assert_int_equal(f.decision.action, EW_ACTION_REJECT);
}

static void what_must_stay_is_told_so(void **state)
{
    static struct fleet f;
    (void)state;
    open_fleet(&f, "dc");
    f.ask.edge_only = true;
    do_wrong(&f, 0, 'x');
    decide(&f);
    assert_int_equal(f.decision.action, EW_ACTION_REJECT);
    assert_int_equal(f.decision.reason, EW_REASON_EDGE_ONLY);
    open_fleet(&f, "dc");
    f.ask.edge_only = true;
    do_wrong(&f, 0, 'f');
    decide(&f); /* the edge can answer it, later */
    assert_int_equal(f.decision.action, EW_ACTION_QUEUE);
    assert_int_equal(f.decision.reason, EW_REASON_CAPACITY);
}

/* "dc" and what is wrong with the device; the cloud is kept away by edge_only. */
static void what_waiting_would_not_mend_is_hopeless(void **state)
{
    static struct fleet f;
    static const struct {
        char wrong;
        enum ew_reason edge;
        bool hopeless;
    } cases[] = {{'x', EW_REASON_DOWN, false},     {'t', EW_REASON_DOWN, false},
                 {'b', EW_REASON_DOWN, false},     {'a', EW_REASON_CAPABILITY, true},
                 {'c', EW_REASON_CONTEXT, true},   {'q', EW_REASON_QUALITY, true},
                 {'h', EW_REASON_TOO_LATE, false}, {'f', EW_REASON_CAPACITY, false},
                 {'m', EW_REASON_CAPACITY, false}};
    (void)state;
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        open_fleet(&f, "dc");
        f.policy.on_full = EW_ON_FULL_REJECT;
        f.ask.edge_only = true;
        do_wrong(&f, 0, cases[i].wrong);
        decide(&f);
        assert_int_equal(f.decision.action, EW_ACTION_REJECT);
        if (f.decision.hopeless != cases[i].hopeless || f.decision.edge != cases[i].edge)
            fail_msg("%c: hopeless %d, edge %s", cases[i].wrong, f.decision.hopeless,
                     ew_reason_name(f.decision.edge));
    }
    open_fleet(&f, "dc"); /* the cloud could, when it is back */
    do_wrong(&f, 0, 'c');
    do_wrong(&f, 1, 'x');
    decide(&f);
    assert_int_equal(f.decision.reason, EW_REASON_CONTEXT);
    assert_false(f.decision.hopeless);
}

static void quality_deadline_and_power_need_known_figures_or_not(void **state)
{
    static struct fleet f;
    (void)state;
    open_fleet(&f, "d");
    f.ask.quality_min = .8;
    decide(&f);
    assert_int_equal(f.decision.action, EW_ACTION_GO);
    f.candidates[0].quality = NAN; /* who asks for a quality isn't served with an unknown one */
    decide(&f);
    assert_int_equal(f.decision.reason, EW_REASON_QUALITY);
    f.ask.quality_min = NAN;
    f.ask.deadline_s = 4; /* of 5 predicted */
    decide(&f);
    assert_int_equal(f.decision.reason, EW_REASON_TOO_LATE);
    ew_speed_init(&f.places[0].speed); /* unknown: try */
    decide(&f);
    assert_int_equal(f.decision.action, EW_ACTION_GO);
    f.places[0].battery = .1;
    f.places[0].on_mains = true;
    decide(&f);
    assert_int_equal(f.decision.action, EW_ACTION_GO);
    f.places[0].temperature_c = 81;
    decide(&f);
    assert_int_equal(f.decision.reason, EW_REASON_POWER);
    f.policy.temperature_max_c = NAN;
    decide(&f);
    assert_int_equal(f.decision.action, EW_ACTION_GO);
}

/* ---- whatever the state ---- */

static bool chance(struct ew_rng *rng, unsigned percent)
{
    return ew_rng_below(rng, 100) < percent;
}

static void random_place(struct fleet *f, size_t i, struct ew_rng *rng)
{
    static const enum ew_place_kind kinds[] = {EW_PLACE_ENGINE, EW_PLACE_DEVICE, EW_PLACE_DEVICE,
                                               EW_PLACE_CLOUD};
    struct ew_place *p = &f->places[i];
    ew_place_init(p, kinds[ew_rng_below(rng, 4)]);
    p->health = (enum ew_health)ew_rng_below(rng, EW_HEALTH_COUNT);
    if (chance(rng, 50))
        p->health = EW_HEALTH_HEALTHY;
    p->weight = chance(rng, 50) ? 1 : 5 * ew_rng_uniform(rng);
    p->concurrency = (uint32_t)ew_rng_below(rng, 4);
    p->running = (uint32_t)ew_rng_below(rng, 4);
    p->reported_running = chance(rng, 20);
    p->reported_waiting = chance(rng, 20);
    p->prompt_tokens_due = p->running * 100;
    p->output_tokens_due = p->running * 50;
    if (chance(rng, 60))
        ew_speed_seed(&p->speed, 1000 * ew_rng_uniform(rng), 100 * ew_rng_uniform(rng));
    if (chance(rng, 60))
        p->watts_busy = 50 * ew_rng_uniform(rng);
    if (chance(rng, 60))
        p->input_cents = p->output_cents = ew_rng_uniform(rng), p->fee_cents = 0;
    if (chance(rng, 20))
        p->battery = ew_rng_uniform(rng);
    if (chance(rng, 20))
        p->temperature_c = 100 * ew_rng_uniform(rng);
    if (chance(rng, 10))
        ew_place_rest(p, S, NOW);
    for (unsigned k = (unsigned)ew_rng_below(rng, 5); k; k--)
        ew_breaker_ended(&p->breaker, EW_OUTCOME_FAILED, NOW - ew_rng_below(rng, 10) * S);
    if (chance(rng, 30))
        spend(f, i, (enum ew_limit_kind)ew_rng_below(rng, EW_LIMIT_KINDS));
    f->candidates[i] = (struct ew_candidate){
        .place = p,
        .ctx = chance(rng, 30) ? (uint32_t)ew_rng_below(rng, 2000) : 0,
        .quality = chance(rng, 50) ? ew_rng_uniform(rng) : NAN,
        .cached_tokens = chance(rng, 30) ? (double)ew_rng_below(rng, 800) : 0,
        .lacks = chance(rng, 10),
        .tried = chance(rng, 15),
        .resident = chance(rng, 70),
        .smaller = chance(rng, 20),
    };
}

static void random_fleet(struct fleet *f, struct ew_rng *rng)
{
    f->policy = (struct ew_policy){.select = (enum ew_select)ew_rng_below(rng, EW_SELECT_COUNT),
                                   .on_full = (enum ew_on_full)ew_rng_below(rng, 3),
                                   .alpha = ew_rng_uniform(rng),
                                   .tariff_cents_per_kwh = chance(rng, 90) ? 25 : NAN,
                                   .battery_min = chance(rng, 50) ? .3 : NAN,
                                   .temperature_max_c = chance(rng, 50) ? 70 : NAN,
                                   .rng = *rng};
    f->ask =
        (struct ew_policy_ask){.forecast = {.prompt_tokens = (double)ew_rng_below(rng, 1000),
                                            .output_tokens = (double)ew_rng_below(rng, 200),
                                            .output_tokens_max = 200},
                               .deadline_s = chance(rng, 30) ? 10 * ew_rng_uniform(rng) : NAN,
                               .quality_min = chance(rng, 30) ? ew_rng_uniform(rng) : NAN,
                               .edge_only = chance(rng, 40),
                               .queue_has_room = chance(rng, 50),
                               .patience_s = chance(rng, 50) ? 10 : 0,
                               .sticky = chance(rng, 40) ? (int)ew_rng_below(rng, FLEET_MAX) : -1};
    f->count = ew_rng_below(rng, FLEET_MAX + 1);
    for (size_t i = 0; i < f->count; i++)
        random_place(f, i, rng);
}

static bool is_cloud(const struct fleet *f, size_t i)
{
    return f->places[i].kind == EW_PLACE_CLOUD;
}

/* What must hold, whatever the fleet. */
static void check_decision(const struct fleet *f)
{
    const struct ew_decision *d = &f->decision;
    size_t devices = 0, same = 0;
    for (size_t i = 0; i < f->count; i++) {
        const struct ew_verdict *v = &f->verdicts[i];
        devices += v->refusal == EW_REFUSAL_NONE && !is_cloud(f, i) && !f->candidates[i].smaller;
        same += v->refusal == EW_REFUSAL_NONE && !f->candidates[i].smaller;
        if (is_cloud(f, i) && f->ask.edge_only)
            assert_int_equal(v->refusal, EW_REFUSAL_EDGE_ONLY);
        assert_true(v->refusal == EW_REFUSAL_NONE || isnan(v->score));
    }
    assert_int_not_equal(d->reason, EW_REASON_NONE);
    if (d->action != EW_ACTION_GO) {
        assert_int_equal(d->chosen, -1);
        assert_int_equal(devices, 0); /* nobody waits while a device could */
        assert_true(d->action != EW_ACTION_QUEUE || f->ask.queue_has_room);
        assert_true(d->action != EW_ACTION_QUEUE || f->policy.on_full != EW_ON_FULL_REJECT);
        return;
    }
    assert_in_range(d->chosen, 0, f->count - 1);
    size_t chosen = (size_t)d->chosen;
    assert_int_equal(f->verdicts[chosen].refusal, EW_REFUSAL_NONE);
    if (is_cloud(f, chosen)) {
        assert_false(f->ask.edge_only);
        assert_int_equal(devices, 0); /* edge first */
    }
    if (f->candidates[chosen].smaller) {
        assert_int_equal(same, 0);
        assert_int_equal(d->reason, EW_REASON_DEGRADED);
    }
    assert_false(f->candidates[chosen].tried);
}

static void whatever_the_fleet_what_must_stay_stays(void **state)
{
    static struct fleet f;
    struct ew_rng rng;
    unsigned went[2] = {0}, actions[3] = {0}, reasons[EW_REASON_COUNT] = {0};
    (void)state;
    ew_rng_init(&rng, 42);
    for (int i = 0; i < 100000; i++) {
        random_fleet(&f, &rng);
        decide(&f);
        check_decision(&f);
        actions[f.decision.action]++;
        reasons[f.decision.reason]++;
        if (f.decision.chosen >= 0)
            went[is_cloud(&f, (size_t)f.decision.chosen)]++;
    }
    /* And all of it happened. */
    assert_true(went[0] > 1000 && went[1] > 1000);
    for (int i = 0; i < 3; i++)
        assert_true(actions[i] > 500);
    for (int i = EW_REASON_NONE + 1; i < EW_REASON_COUNT; i++)
        if (reasons[i] == 0)
            fail_msg("never %s", ew_reason_name((enum ew_reason)i));
}

/* The same state, request, time and seed: the same decision, which a simulator relies on. */
static void the_same_seed_decides_the_same(void **state)
{
    static struct fleet f, g;
    struct ew_rng rng;
    (void)state;
    ew_rng_init(&rng, 9);
    for (int i = 0; i < 2000; i++) {
        random_fleet(&f, &rng);
        g = f;
        for (size_t k = 0; k < g.count; k++) {
            g.candidates[k].place = &g.places[k];
            for (unsigned w = 0; w < g.places[k].limits.count; w++)
                g.places[k].limits.windows[w].entries = g.entries[k];
        }
        decide(&f);
        decide(&g);
        assert_memory_equal(&f.decision.chosen, &g.decision.chosen, sizeof f.decision.chosen);
        assert_int_equal(f.decision.reason, g.decision.reason);
        assert_memory_equal(&f.policy.rng, &g.policy.rng, sizeof f.policy.rng);
    }
}

/* ---- what it takes ---- */

struct bench {
    struct ew_policy policy;
    struct ew_place *places;
    struct ew_candidate *candidates;
    struct ew_verdict *verdicts;
    struct ew_window_entry *entries;
};

enum { BENCH_REQUESTS = 30 };

static void open_bench(struct bench *b, size_t count, enum ew_select select)
{
    const struct ew_limit limit = {EW_LIMIT_REQUESTS, BENCH_REQUESTS, 60 * S};
    b->policy = (struct ew_policy){.select = select,
                                   .alpha = .5,
                                   .tariff_cents_per_kwh = 25,
                                   .battery_min = .2,
                                   .temperature_max_c = 80};
    ew_rng_init(&b->policy.rng, 1);
    b->places = calloc(count, sizeof *b->places);
    b->candidates = calloc(count, sizeof *b->candidates);
    b->verdicts = calloc(count, sizeof *b->verdicts);
    b->entries = calloc(count, ew_limits_entries(&limit) * sizeof *b->entries);
    for (size_t i = 0; i < count; i++) {
        struct ew_place *p = &b->places[i];
        ew_place_init(p, EW_PLACE_DEVICE);
        p->health = EW_HEALTH_HEALTHY;
        p->concurrency = 4;
        p->running = (uint32_t)(i % 4);
        p->watts_busy = 10;
        p->watts_idle = 4;
        p->temperature_c = 50;
        ew_speed_seed(&p->speed, 500 + (double)i, 25 + (double)(i % 7));
        ew_limits_add(&p->limits, &limit, &b->entries[i * ew_limits_entries(&limit)]);
        b->candidates[i] =
            (struct ew_candidate){.place = p, .quality = .8, .resident = true, .ctx = 4096};
    }
}

static double bench_us(struct bench *b, size_t count)
{
    const struct ew_policy_ask ask = {
        .forecast = {.prompt_tokens = 500, .output_tokens = 100, .output_tokens_max = 400},
        .deadline_s = 60,
        .quality_min = .5,
        .sticky = -1};
    struct ew_decision d;
    /* Many short runs: on a busy machine some aren't interrupted. */
    unsigned rounds = (unsigned)(4000 / count) + 1;
    double best_us = INFINITY;
    for (int run = 0; run < 1000; run++) {
        uint64_t from_ns = ew_clock_now_ns(&ew_clock_real);
        for (unsigned i = 0; i < rounds; i++)
            ew_policy_decide(&b->policy, &ask, b->candidates, count, NOW + i, b->verdicts, &d);
        double us = (double)(ew_clock_now_ns(&ew_clock_real) - from_ns) / rounds / 1000;
        best_us = us < best_us ? us : best_us;
    }
    return best_us;
}

static int bench(void)
{
    static const size_t counts[] = {1, 16, 100, 1000};
    printf("microseconds a decision, best of 1,000 runs\n%-14s", "places");
    for (size_t k = 0; k < EW_COUNT(counts); k++)
        printf("%9zu", counts[k]);
    printf("\n");
    for (int select = 0; select < EW_SELECT_COUNT; select++) {
        printf("%-14s", ew_select_name((enum ew_select)select));
        for (size_t k = 0; k < EW_COUNT(counts); k++) {
            struct bench b;
            open_bench(&b, counts[k], (enum ew_select)select);
            printf("%9.2f", bench_us(&b, counts[k]));
            fflush(stdout);
            free(b.places);
            free(b.candidates);
            free(b.verdicts);
            free(b.entries);
        }
        printf("\n");
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_reason_that_holds_is_told),
        cmocka_unit_test(each_reason_is_told),
        cmocka_unit_test(clouds_give_way_to_devices_and_are_told_so),
        cmocka_unit_test(the_cheapest_cloud_is_taken),
        cmocka_unit_test(sticky_places_are_kept_while_able_and_not_for_clouds),
        cmocka_unit_test(what_a_limit_never_admits_isnt_waited_for),
        cmocka_unit_test(a_queue_without_room_or_patience_rejects),
        cmocka_unit_test(what_must_stay_is_told_so),
        cmocka_unit_test(what_waiting_would_not_mend_is_hopeless),
        cmocka_unit_test(quality_deadline_and_power_need_known_figures_or_not),
        cmocka_unit_test(whatever_the_fleet_what_must_stay_stays),
        cmocka_unit_test(the_same_seed_decides_the_same),
    };
    if (argc > 1 && strcmp(argv[1], "--bench") == 0)
        return bench();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
