/* test_rank.c - the nine selections: what each prefers, how often, and what unknown places get. */
#include "policy/rank.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"

#define S 1000000000ull

enum { FLEET_MAX = 8, DRAWS = 20000 };

struct fleet {
    struct ew_policy policy;
    struct ew_place places[FLEET_MAX];
    struct ew_candidate candidates[FLEET_MAX];
    struct ew_verdict verdicts[FLEET_MAX];
    struct ew_decision decision;
    size_t count;
};

static const struct ew_policy_ask usual = {
    .forecast = {.prompt_tokens = 500, .output_tokens = 100, .output_tokens_max = 400},
    .deadline_s = NAN,
    .quality_min = NAN,
    .sticky = -1,
};

static void open_fleet(struct fleet *f, enum ew_select select, size_t count)
{
    f->policy = (struct ew_policy){.select = select,
                                   .on_full = EW_ON_FULL_CLOUD,
                                   .alpha = .5,
                                   .tariff_cents_per_kwh = 25,
                                   .battery_min = NAN,
                                   .temperature_max_c = NAN};
    ew_rng_init(&f->policy.rng, 1);
    f->count = count;
    for (size_t i = 0; i < count; i++) {
        ew_place_init(&f->places[i], EW_PLACE_DEVICE);
        f->places[i].health = EW_HEALTH_HEALTHY;
        f->candidates[i] =
            (struct ew_candidate){.place = &f->places[i], .quality = NAN, .resident = true};
    }
}

/* Speeds 1, 2, 3 … times as slow. */
static void know_speeds(struct fleet *f)
{
    for (size_t i = 0; i < f->count; i++)
        ew_speed_seed(&f->places[i].speed, 1000.0 / (double)(i + 1), 50.0 / (double)(i + 1));
}

static int decide(struct fleet *f)
{
    ew_policy_decide(&f->policy, &usual, f->candidates, f->count, S, f->verdicts, &f->decision);
    assert_int_equal(f->decision.action, EW_ACTION_GO);
    return f->decision.chosen;
}

static void tally(struct fleet *f, unsigned draws, double parts[FLEET_MAX])
{
    for (size_t i = 0; i < f->count; i++)
        parts[i] = 0;
    for (unsigned i = 0; i < draws; i++)
        parts[decide(f)] += 1.0 / draws;
}

static void random_ignores_weights_but_not_health(void **state)
{
    struct fleet f;
    double parts[FLEET_MAX];
    (void)state;
    open_fleet(&f, EW_SELECT_RANDOM, 3);
    f.places[0].weight = 100;
    f.places[2].health = EW_HEALTH_UNKNOWN;
    tally(&f, DRAWS, parts);
    assert_float_equal(parts[0], .4, .02);
    assert_float_equal(parts[1], .4, .02);
    assert_float_equal(parts[2], .2, .02);
}

static void weighted_is_as_likely_as_the_weight(void **state)
{
    struct fleet f;
    double parts[FLEET_MAX];
    (void)state;
    open_fleet(&f, EW_SELECT_WEIGHTED, 4);
    f.places[0].weight = 4;
    f.places[2].health = EW_HEALTH_BUSY; /* .3 */
    f.candidates[3].resident = false;    /* .1 */
    tally(&f, DRAWS, parts);
    assert_float_equal(parts[0], 4 / 5.4, .02);
    assert_float_equal(parts[1], 1 / 5.4, .02);
    assert_float_equal(parts[2], .3 / 5.4, .02);
    assert_float_equal(parts[3], .1 / 5.4, .02);
    for (size_t i = 0; i < f.count; i++)
        f.places[i].weight = 0; /* nobody is wanted: all alike */
    tally(&f, DRAWS, parts);
    for (size_t i = 0; i < f.count; i++)
        assert_float_equal(parts[i], .25, .02);
}

static void round_robin_takes_turns(void **state)
{
    struct fleet f;
    (void)state;
    open_fleet(&f, EW_SELECT_ROUND_ROBIN, 3);
    for (int i = 0; i < 30; i++)
        assert_int_equal(decide(&f), i % 3);
}

static void turns_are_as_often_as_weights_and_spread(void **state)
{
    struct fleet f;
    unsigned counts[3] = {0};
    (void)state;
    open_fleet(&f, EW_SELECT_ROUND_ROBIN, 3);
    f.places[0].weight = 4, f.places[1].weight = 2;
    for (int i = 0, before = -1, same = 0; i < 700; i++) {
        int chosen = decide(&f);
        counts[chosen]++;
        same = chosen == before ? same + 1 : 1;
        before = chosen;
        assert_true(same <= 3); /* not four in a row and then none */
    }
    assert_in_range(counts[0], 398, 402);
    assert_in_range(counts[1], 198, 202);
    assert_in_range(counts[2], 98, 102);
}

/* Back after an hour, it isn't flooded with all the turns that it missed. */
static void who_was_away_doesnt_make_up_for_it(void **state)
{
    struct fleet f;
    unsigned counts[3] = {0};
    (void)state;
    open_fleet(&f, EW_SELECT_ROUND_ROBIN, 3);
    f.places[2].health = EW_HEALTH_OFFLINE;
    for (int i = 0; i < 1000; i++)
        decide(&f);
    f.places[2].health = EW_HEALTH_HEALTHY;
    for (int i = 0; i < 30; i++)
        counts[decide(&f)]++;
    for (int i = 0; i < 3; i++)
        assert_in_range(counts[i], 9, 11);
}

static void least_busy_counts_by_concurrency_and_weight(void **state)
{
    struct fleet f;
    (void)state;
    open_fleet(&f, EW_SELECT_LEAST_BUSY, 3);
    for (int i = 0; i < 3; i++)
        f.places[i].concurrency = 4;
    f.places[0].running = 2, f.places[1].running = 1, f.places[2].running = 3;
    assert_int_equal(decide(&f), 1);
    f.places[2].concurrency = 16; /* 4 of 16 */
    assert_int_equal(decide(&f), 2);
    f.places[2].reported_waiting = 8;
    assert_int_equal(decide(&f), 1);
    f.places[0].weight = 2;
    assert_int_equal(decide(&f), 0);
    f.places[0].health = EW_HEALTH_BUSY;
    assert_int_equal(decide(&f), 1);
}

static void load_aware_looks_at_work_not_at_connections(void **state)
{
    struct fleet f;
    struct ew_visit visits[3];
    const struct ew_forecast small = {.prompt_tokens = 10, .output_tokens = 5};
    const struct ew_forecast large = {.prompt_tokens = 4000, .output_tokens = 2000};
    (void)state;
    open_fleet(&f, EW_SELECT_LOAD_AWARE, 2);
    ew_speed_seed(&f.places[0].speed, 500, 25);
    ew_speed_seed(&f.places[1].speed, 500, 25);
    /* Two short requests are less than one long one. */
    assert_true(ew_place_begin(&f.places[0], &large, 0, &visits[0]));
    assert_true(ew_place_begin(&f.places[1], &small, 0, &visits[1]));
    assert_true(ew_place_begin(&f.places[1], &small, 0, &visits[2]));
    assert_int_equal(decide(&f), 1);
    /* And a fast device with the long one may still be done before a slow idle one. */
    open_fleet(&f, EW_SELECT_LOAD_AWARE, 2);
    ew_speed_seed(&f.places[0].speed, 50000, 2500);
    ew_speed_seed(&f.places[1].speed, 500, 25);
    assert_true(ew_place_begin(&f.places[0], &large, 0, &visits[0]));
    assert_int_equal(decide(&f), 0);
}

static void fastest_takes_the_soonest_end(void **state)
{
    struct fleet f;
    (void)state;
    open_fleet(&f, EW_SELECT_FASTEST, 3);
    know_speeds(&f);
    assert_int_equal(decide(&f), 0);
    assert_float_equal(f.verdicts[0].score, f.verdicts[0].total_s, 1e-12);
    /* Half of the prompt is known at another: 450 tokens at 2 ms less. */
    ew_speed_init(&f.places[0].speed);
    ew_speed_seed(&f.places[0].speed, 500, 25);
    f.candidates[1].cached_tokens = 450;
    assert_int_equal(decide(&f), 1);
    f.places[2].weight = 10;
    assert_int_equal(decide(&f), 2);
}

static void greenest_takes_the_fewest_joules_more(void **state)
{
    struct fleet f;
    (void)state;
    open_fleet(&f, EW_SELECT_GREENEST, 3);
    for (int i = 0; i < 3; i++)
        ew_speed_seed(&f.places[i].speed, 500, 25);
    f.places[0].watts_busy = 30, f.places[0].watts_idle = 5;
    f.places[1].watts_busy = 40, f.places[1].watts_idle = 35; /* draws nearly as much idle */
    assert_int_equal(decide(&f), 1);
    assert_true(isnan(f.verdicts[2].score)); /* watts unknown: last */
    f.places[1].health = f.places[0].health = EW_HEALTH_OFFLINE;
    assert_int_equal(decide(&f), 2);
}

static void best_pcr_takes_the_most_utility_for_a_cent(void **state)
{
    struct fleet f;
    (void)state;
    open_fleet(&f, EW_SELECT_BEST_PCR, 3);
    know_speeds(&f);
    for (int i = 0; i < 3; i++)
        f.places[i].watts_busy = 10;
    f.candidates[0].quality = .2, f.candidates[1].quality = .9;
    f.places[1].watts_busy = 6; /* twice the time, 1.2 times the energy */
    assert_int_equal(decide(&f), 1);
    const struct ew_verdict *v = &f.verdicts[1];
    assert_float_equal(v->pcr, (.5 * .9 + .5 / (1 + v->ttft_s)) / v->cents, 1e-9);
    assert_float_equal(v->score, 1 / v->pcr, 1e-12);
    assert_true(isnan(f.verdicts[2].score)); /* quality unknown: last */
    f.policy.alpha = 0;                      /* quality isn't asked for */
    assert_int_equal(decide(&f), 0);
    assert_false(isnan(f.verdicts[2].score));
}

static void power_of_two_takes_the_less_loaded_of_two(void **state)
{
    struct fleet f;
    double parts[FLEET_MAX];
    (void)state;
    open_fleet(&f, EW_SELECT_POWER_OF_TWO, 4);
    for (uint32_t i = 0; i < 4; i++)
        f.places[i].running = i;
    tally(&f, DRAWS, parts);
    /* The least loaded wins where it is drawn: half of the time; the most loaded never. */
    assert_float_equal(parts[0], 3 / 6., .02);
    assert_float_equal(parts[1], 2 / 6., .02);
    assert_float_equal(parts[2], 1 / 6., .02);
    assert_true(parts[3] == 0);
    open_fleet(&f, EW_SELECT_POWER_OF_TWO, 1);
    assert_int_equal(decide(&f), 0);
}

static void ties_are_broken_by_fewer_running_then_at_random(void **state)
{
    struct fleet f;
    double parts[FLEET_MAX];
    (void)state;
    open_fleet(&f, EW_SELECT_FASTEST, 4);
    tally(&f, DRAWS, parts); /* nothing is known of any */
    for (int i = 0; i < 4; i++)
        assert_float_equal(parts[i], .25, .02);
    f.places[0].running = 1, f.places[1].running = 2;
    tally(&f, DRAWS, parts);
    assert_true(parts[0] == 0 && parts[1] == 0);
    assert_float_equal(parts[2], .5, .02);
}

/* A new device among known ones: it is asked soon, not twice at once until it has answered, and
 * then it is one of them. */
static void new_devices_neither_starve_nor_are_flooded(void **state)
{
    static const enum ew_select selects[] = {EW_SELECT_LOAD_AWARE, EW_SELECT_FASTEST,
                                             EW_SELECT_GREENEST, EW_SELECT_BEST_PCR};
    (void)state;
    for (size_t k = 0; k < EW_COUNT(selects); k++)
        for (uint64_t seed = 1; seed <= 20; seed++) {
            struct fleet f;
            struct ew_visit visits[50];
            unsigned first = 0, asked = 0;
            open_fleet(&f, selects[k], 4);
            ew_rng_init(&f.policy.rng, seed);
            know_speeds(&f);
            ew_speed_init(&f.places[3].speed);
            for (int i = 0; i < 4; i++) {
                f.places[i].watts_busy = 10;
                f.candidates[i].quality = .8;
            }
            while (first++ < 50 && decide(&f) != 3)
                ;
            assert_true(first < 50);
            /* Fifty at once, none of them answered: it has one of them or few. */
            for (int i = 0; i < 50; i++) {
                int chosen = decide(&f);
                asked += chosen == 3;
                assert_true(ew_place_begin(&f.places[chosen], &usual.forecast, S, &visits[i]));
                assert_true(f.places[chosen].running == 1 || chosen != 3 || asked < 25);
            }
            assert_in_range(asked, 1, 25);
            open_fleet(&f, selects[k], 2);
            know_speeds(&f);
            ew_speed_init(&f.places[1].speed);
            f.places[0].watts_busy = f.places[1].watts_busy = 10;
            f.candidates[0].quality = f.candidates[1].quality = .8;
            f.places[1].running = 1; /* it works on its first: whoever is known comes first */
            assert_int_equal(decide(&f), 0);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_ignores_weights_but_not_health),
        cmocka_unit_test(weighted_is_as_likely_as_the_weight),
        cmocka_unit_test(round_robin_takes_turns),
        cmocka_unit_test(turns_are_as_often_as_weights_and_spread),
        cmocka_unit_test(who_was_away_doesnt_make_up_for_it),
        cmocka_unit_test(least_busy_counts_by_concurrency_and_weight),
        cmocka_unit_test(load_aware_looks_at_work_not_at_connections),
        cmocka_unit_test(fastest_takes_the_soonest_end),
        cmocka_unit_test(greenest_takes_the_fewest_joules_more),
        cmocka_unit_test(best_pcr_takes_the_most_utility_for_a_cent),
        cmocka_unit_test(power_of_two_takes_the_less_loaded_of_two),
        cmocka_unit_test(ties_are_broken_by_fewer_running_then_at_random),
        cmocka_unit_test(new_devices_neither_starve_nor_are_flooded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
