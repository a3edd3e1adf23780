/* test_place.c - what is predicted, what a visit leaves behind, and that nothing is lost. */
#include "policy/place.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/err.h"
#include "base/rng.h"

#define S 1000000000ull

static void known_device(struct ew_place *p)
{
    ew_place_init(p, EW_PLACE_DEVICE);
    p->health = EW_HEALTH_HEALTHY;
    p->watts_busy = 30;
    p->watts_idle = 10;
    ew_speed_seed(&p->speed, 500, 25); /* 2 ms a prompt token, 40 ms an output token */
}

static const struct ew_forecast usual = {
    .prompt_tokens = 500, .output_tokens = 100, .output_tokens_max = 400};

static void an_idle_device_is_predicted_by_its_profile(void **state)
{
    struct ew_place p;
    struct ew_prediction it;
    (void)state;
    known_device(&p);
    ew_place_predict(&p, &usual, 25, &it);
    assert_float_equal(it.ttft_s, 1, 1e-9);
    assert_float_equal(it.total_s, 5, 1e-9);
    assert_float_equal(it.work_s, 5, 1e-9);
    assert_float_equal(it.joules, 150, 1e-9);
    assert_float_equal(it.joules_more, 100, 1e-9);
    assert_float_equal(it.cents, 150 / 3.6e6 * 25, 1e-9);
    assert_float_equal(ew_place_ttft_s(&p, &usual), 1, 1e-9);
    assert_float_equal(ew_place_total_s(&p, &usual), 5, 1e-9);
    assert_float_equal(ew_place_joules(&p, &usual), 150, 1e-9);
    assert_float_equal(ew_place_cents(&p, &usual, 50), 150 / 3.6e6 * 50, 1e-9);
    p.tariff_cents_per_kwh = 0; /* its own sun */
    assert_float_equal(ew_place_cents(&p, &usual, 50), 0, 0);
}

static void a_prefix_that_is_known_there_makes_it_sooner(void **state)
{
    struct ew_place p;
    struct ew_forecast known = usual;
    (void)state;
    known_device(&p);
    known.cached_tokens = 450;
    assert_float_equal(ew_place_ttft_s(&p, &known), .1, 1e-9);
    known.cached_tokens = 900; /* more than there are: nonsense, but not negative */
    assert_float_equal(ew_place_ttft_s(&p, &known), 0, 1e-9);
}

static void what_is_under_way_comes_before(void **state)
{
    struct ew_place p;
    struct ew_visit v;
    struct ew_prediction idle, busy, waiting;
    (void)state;
    known_device(&p);
    ew_place_predict(&p, &usual, 25, &idle);
    assert_true(ew_place_begin(&p, &usual, S, &v));
    ew_place_predict(&p, &usual, 25, &busy);
    assert_float_equal(busy.ttft_s, 2, 1e-9); /* the other prompt, too */
    assert_true(busy.total_s > idle.total_s && busy.work_s > idle.work_s);
    ew_place_first(&p, &v, 2 * S);
    ew_place_predict(&p, &usual, 25, &busy);
    assert_float_equal(busy.ttft_s, 1, 1e-9);
    double work = busy.work_s;
    ew_place_token(&p, &v, 90);
    ew_place_predict(&p, &usual, 25, &busy);
    assert_true(busy.work_s < work);
    /* Those of others count, as far as they are reported. */
    p.reported_running = 3;
    ew_place_predict(&p, &usual, 25, &waiting);
    assert_true(waiting.work_s > busy.work_s && waiting.ttft_s == busy.ttft_s);
    p.reported_waiting = 2;
    ew_place_predict(&p, &usual, 25, &waiting);
    assert_true(waiting.ttft_s > busy.ttft_s + 2 * .99);
}

static void unknown_stays_unknown(void **state)
{
    struct ew_place p;
    struct ew_prediction it;
    (void)state;
    ew_place_init(&p, EW_PLACE_DEVICE);
    ew_place_predict(&p, &usual, 25, &it);
    assert_true(isnan(it.ttft_s) && isnan(it.total_s) && isnan(it.work_s) && isnan(it.joules) &&
                isnan(it.joules_more) && isnan(it.cents));
    assert_false(ew_place_speed_known(&p));
    ew_speed_seed(&p.speed, 500, 25);
    ew_place_predict(&p, &usual, 25, &it);
    assert_true(ew_place_speed_known(&p) && it.total_s > 0 && isnan(it.joules) && isnan(it.cents));
    p.watts_busy = 30; /* idle ones not known: all of it is more */
    ew_place_predict(&p, &usual, NAN, &it);
    assert_true(it.joules_more == it.joules && it.joules > 0 && isnan(it.cents));
}

static void a_cloud_costs_its_prices(void **state)
{
    struct ew_place p;
    struct ew_prediction it;
    struct ew_forecast f = usual;
    (void)state;
    ew_place_init(&p, EW_PLACE_CLOUD);
    ew_place_predict(&p, &f, 25, &it);
    assert_true(isnan(it.cents) && isnan(it.ttft_s) && isnan(it.joules));
    p.input_cents = .001, p.output_cents = .01, p.fee_cents = .5;
    assert_float_equal(ew_place_cents(&p, &f, 25), .5 + 1 + .5, 1e-9);
    f.cached_tokens = 200;
    assert_float_equal(ew_place_cents(&p, &f, 25), .5 + 1 + .5, 1e-9); /* no price: as others */
    p.cached_cents = .0001;
    assert_float_equal(ew_place_cents(&p, &f, 25), .3 + .02 + 1 + .5, 1e-9);
    assert_true(isnan(ew_place_joules(&p, &f)));
}

static void what_is_reserved_is_the_most_it_may_become(void **state)
{
    static struct ew_window_entry entries[2][4096];
    static const struct ew_limit joules = {EW_LIMIT_JOULES, 1000, 60 * S};
    struct ew_place p;
    (void)state;
    known_device(&p);
    struct ew_amounts a = ew_place_amounts(&p, &usual);
    assert_true(a.of[EW_LIMIT_REQUESTS] == 1 && a.of[EW_LIMIT_TOKENS] == 900);
    assert_true(ew_limits_add(&p.limits, &joules, entries[0]));
    p.tariff_cents_per_kwh = 36;
    a = ew_place_amounts(&p, &usual);
    assert_float_equal(a.of[EW_LIMIT_JOULES], 30 * (1 + 16), 1e-9);
    assert_float_equal(a.of[EW_LIMIT_CENTS], 30 * (1 + 16) / 3.6e6 * 36, 1e-12);
    ew_speed_init(&p.speed);
    a = ew_place_amounts(&p, &usual);
    assert_true(a.of[EW_LIMIT_JOULES] == 0 && a.of[EW_LIMIT_CENTS] == 0); /* nothing better */
}

static void a_visit_teaches_what_it_saw(void **state)
{
    struct ew_place p;
    struct ew_visit v;
    struct ew_visit_actual actual = {EW_OUTCOME_GOOD, 500, 300, 101, NAN, NAN};
    (void)state;
    ew_place_init(&p, EW_PLACE_DEVICE);
    assert_true(ew_place_begin(&p, &usual, 10 * S, &v));
    ew_place_first(&p, &v, 11 * S);
    ew_place_first(&p, &v, 12 * S); /* there is only one */
    ew_place_end(&p, &v, &actual, 16 * S);
    /* 200 tokens computed in 1 s, then 100 intervals in 5 s. */
    assert_float_equal(ew_speed_ttft_s(&p.speed, 200), 1, 1e-9);
    assert_float_equal(ew_speed_ttft_s(&p.speed, 400), 2, 1e-6);
    assert_float_equal(ew_speed_decode_s_per_token(&p.speed, 1), .05, 1e-9);
}

static void failed_answers_teach_nothing(void **state)
{
    static const enum ew_outcome outcomes[] = {EW_OUTCOME_FAILED, EW_OUTCOME_BUSY,
                                               EW_OUTCOME_CANCELLED};
    struct ew_place p;
    struct ew_visit v;
    (void)state;
    ew_place_init(&p, EW_PLACE_DEVICE);
    for (size_t i = 0; i < EW_COUNT(outcomes); i++) {
        struct ew_visit_actual actual = {outcomes[i], 500, 0, 101, NAN, NAN};
        assert_true(ew_place_begin(&p, &usual, 10 * S, &v));
        ew_place_first(&p, &v, 11 * S);
        ew_place_end(&p, &v, &actual, 16 * S);
        ew_place_end(&p, &v, &actual, 16 * S); /* a visit that isn't open is fine */
    }
    assert_false(ew_place_speed_known(&p));
    assert_int_equal(p.breaker.outcomes, 2); /* failed, then busy; cancelled says nothing */
}

/* Devices that never stream to us are known all the same, if not as well. */
static void an_answer_that_came_whole_teaches_its_total(void **state)
{
    struct ew_place p;
    struct ew_visit v;
    struct ew_visit_actual actual = {EW_OUTCOME_GOOD, 500, 0, 100, NAN, NAN};
    (void)state;
    ew_place_init(&p, EW_PLACE_DEVICE);
    for (uint64_t i = 0; i < 5; i++) {
        assert_true(ew_place_begin(&p, &usual, 100 * i * S, &v));
        ew_place_end(&p, &v, &actual, (100 * i + 6) * S);
        assert_float_equal(ew_place_total_s(&p, &usual), 6, 1e-6);
    }
    known_device(&p);
    assert_true(ew_place_begin(&p, &usual, 0, &v)); /* predicted: 1 s and 4 s */
    ew_place_end(&p, &v, &actual, 50 * S);
    assert_true(ew_place_total_s(&p, &usual) > 5.5);
}

static void a_clouds_streams_and_prompts_dont_matter(void **state)
{
    struct ew_place p;
    struct ew_visit v[3];
    struct ew_visit_actual actual = {EW_OUTCOME_GOOD, 500, 0, 101, NAN, NAN};
    (void)state;
    ew_place_init(&p, EW_PLACE_CLOUD);
    for (int i = 0; i < 3; i++)
        assert_true(ew_place_begin(&p, &usual, 0, &v[i]));
    for (int i = 0; i < 3; i++) {
        ew_place_first(&p, &v[i], S);
        ew_place_end(&p, &v[i], &actual, 3 * S);
    }
    assert_float_equal(ew_place_ttft_s(&p, &usual), 1, 1e-9);
    assert_float_equal(ew_place_total_s(&p, &usual), 3, 1e-9);
}

static void a_full_device_says_when_one_of_its_answers_ends(void **state)
{
    struct ew_place p;
    struct ew_visit v[2];
    (void)state;
    known_device(&p);
    assert_int_equal(ew_place_frees_ns(&p), 0);
    assert_true(ew_place_begin(&p, &usual, 0, &v[0]));
    assert_float_equal((double)ew_place_frees_ns(&p) / S, 5, 1e-6);
    ew_place_first(&p, &v[0], S);
    ew_place_token(&p, &v[0], 50);
    assert_float_equal((double)ew_place_frees_ns(&p) / S, 2, 1e-6);
    assert_true(ew_place_begin(&p, &usual, 0, &v[1]));
    assert_true(ew_place_frees_ns(&p) > 0);
    ew_speed_init(&p.speed);
    assert_int_equal(ew_place_frees_ns(&p), 0); /* not known */
}

static void a_rest_is_never_shortened_and_has_a_bound(void **state)
{
    struct ew_place p;
    (void)state;
    ew_place_init(&p, EW_PLACE_CLOUD);
    ew_place_rest(&p, 20 * S, S);
    ew_place_rest(&p, 5 * S, 2 * S);
    assert_int_equal(p.rests_until_ns, 21 * S);
    ew_place_rest(&p, UINT64_MAX, 2 * S);
    assert_int_equal(p.rests_until_ns, 2 * S + EW_PLACE_REST_NS_MAX);
}

/* ---- nothing is lost ---- */

enum { VISITS = 40, STEPS = 2000 };

static void add_windows(struct ew_place *p, struct ew_window_entry (*entries)[4096])
{
    static const double max[EW_LIMIT_KINDS] = {60, 30000, 20000, 5};
    for (int kind = 0; kind < EW_LIMIT_KINDS; kind++) {
        struct ew_limit limit = {(enum ew_limit_kind)kind, max[kind], 3600 * S};
        assert_true(ew_limits_add(&p->limits, &limit, entries[kind]));
    }
}

static struct ew_visit_actual end_randomly(struct ew_rng *rng, const struct ew_forecast *f)
{
    return (struct ew_visit_actual){
        .outcome = (enum ew_outcome)ew_rng_below(rng, 4),
        .prompt_tokens = f->prompt_tokens,
        .cached_tokens = f->cached_tokens,
        .output_tokens = (double)ew_rng_below(rng, (uint64_t)f->output_tokens_max + 1),
        .joules = (double)ew_rng_below(rng, 300),
        .cents = (double)ew_rng_below(rng, 64) / 1024,
    };
}

static void add_actual(double sums[EW_LIMIT_KINDS], const struct ew_visit_actual *actual)
{
    sums[EW_LIMIT_REQUESTS] += 1;
    sums[EW_LIMIT_TOKENS] += actual->prompt_tokens + actual->output_tokens;
    sums[EW_LIMIT_JOULES] += actual->joules;
    sums[EW_LIMIT_CENTS] += actual->cents;
}

/* Random visits, each told of at random; when all have ended nothing is due, and the windows hold
 * what was really taken. */
static void conserve(uint64_t seed, enum ew_place_kind kind)
{
    static struct ew_window_entry entries[EW_LIMIT_KINDS][4096];
    struct ew_place p;
    struct ew_visit visits[VISITS];
    struct ew_forecast forecasts[VISITS];
    struct ew_rng rng;
    double sums[EW_LIMIT_KINDS] = {0};
    uint64_t now_ns = 0;
    unsigned begun = 0, refused = 0;
    ew_rng_init(&rng, seed);
    known_device(&p);
    p.kind = kind;
    p.tariff_cents_per_kwh = 25;
    add_windows(&p, entries);
    memset(visits, 0, sizeof visits);
    for (int step = 0; step < STEPS || p.running; step++) {
        size_t i = ew_rng_below(&rng, VISITS);
        struct ew_visit *v = &visits[i];
        struct ew_forecast *f = &forecasts[i];
        now_ns += ew_rng_below(&rng, S / 100);
        if (!v->open && step < STEPS) {
            *f = (struct ew_forecast){.prompt_tokens = 1000 * ew_rng_uniform(&rng),
                                      .cached_tokens = 300 * ew_rng_uniform(&rng),
                                      .output_tokens = 100 * ew_rng_uniform(&rng),
                                      .output_tokens_max = 200};
            bool went = ew_place_begin(&p, f, now_ns, v);
            begun += went;
            refused += !went;
            assert_int_equal(v->open, went);
        } else if (v->open && ew_rng_below(&rng, 4) == 0) {
            struct ew_visit_actual actual = end_randomly(&rng, f);
            ew_place_end(&p, v, &actual, now_ns);
            add_actual(sums, &actual);
        } else if (ew_rng_below(&rng, 2)) {
            ew_place_first(&p, v, now_ns);
        } else {
            ew_place_token(&p, v, (uint32_t)ew_rng_below(&rng, 40));
        }
        assert_true(p.prompt_tokens_due >= 0 && p.output_tokens_due >= 0);
    }
    assert_true(begun >= 20 && refused > 0);
    assert_true(p.running == 0 && p.prompt_tokens_due == 0 && p.output_tokens_due == 0);
    for (int k = 0; k < EW_LIMIT_KINDS; k++)
        assert_float_equal(ew_window_used(&p.limits.windows[k], now_ns), sums[k],
                           1e-9 * (1 + sums[k]));
}

static void after_all_visits_nothing_is_due_and_windows_hold_what_was(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++)
        conserve(seed, seed % 2 ? EW_PLACE_DEVICE : EW_PLACE_ENGINE);
}

/* An answer that grows beyond what was expected doesn't eat up what others have to do. */
static void a_long_answer_takes_from_its_own_only(void **state)
{
    struct ew_place p;
    struct ew_visit v[2];
    (void)state;
    known_device(&p);
    assert_true(ew_place_begin(&p, &usual, 0, &v[0]));
    assert_true(ew_place_begin(&p, &usual, 0, &v[1]));
    ew_place_token(&p, &v[0], 300);
    assert_true(p.output_tokens_due == 100);
    ew_place_token(&p, &v[0], 300);
    ew_place_token(&p, &v[1], 1);
    assert_true(p.output_tokens_due == 99);
}

static void what_isnt_known_stays_reserved(void **state)
{
    static struct ew_window_entry entries[EW_LIMIT_KINDS][4096];
    const struct ew_visit_actual unknown = {EW_OUTCOME_GOOD, NAN, NAN, NAN, NAN, NAN};
    struct ew_place p;
    struct ew_visit v;
    (void)state;
    known_device(&p);
    add_windows(&p, entries);
    assert_true(ew_place_begin(&p, &usual, 0, &v));
    ew_place_end(&p, &v, &unknown, S);
    assert_true(ew_window_used(&p.limits.windows[EW_LIMIT_TOKENS], S) == 900);
    assert_float_equal(ew_window_used(&p.limits.windows[EW_LIMIT_JOULES], S), 510, 1e-9);
    /* But a place that doesn't answer at all doesn't use its budget up. */
    const struct ew_visit_actual refused = {EW_OUTCOME_FAILED, 0, 0, 0, NAN, NAN};
    assert_true(ew_place_begin(&p, &usual, S, &v));
    assert_true(ew_window_used(&p.limits.windows[EW_LIMIT_JOULES], S) > 1000);
    ew_place_end(&p, &v, &refused, S);
    assert_float_equal(ew_window_used(&p.limits.windows[EW_LIMIT_JOULES], S), 510, 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_device_is_predicted_by_its_profile),
        cmocka_unit_test(a_prefix_that_is_known_there_makes_it_sooner),
        cmocka_unit_test(what_is_under_way_comes_before),
        cmocka_unit_test(unknown_stays_unknown),
        cmocka_unit_test(a_cloud_costs_its_prices),
        cmocka_unit_test(what_is_reserved_is_the_most_it_may_become),
        cmocka_unit_test(a_visit_teaches_what_it_saw),
        cmocka_unit_test(failed_answers_teach_nothing),
        cmocka_unit_test(an_answer_that_came_whole_teaches_its_total),
        cmocka_unit_test(a_clouds_streams_and_prompts_dont_matter),
        cmocka_unit_test(a_full_device_says_when_one_of_its_answers_ends),
        cmocka_unit_test(a_rest_is_never_shortened_and_has_a_bound),
        cmocka_unit_test(after_all_visits_nothing_is_due_and_windows_hold_what_was),
        cmocka_unit_test(a_long_answer_takes_from_its_own_only),
        cmocka_unit_test(what_isnt_known_stays_reserved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
