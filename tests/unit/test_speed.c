/* test_speed.c - the lines are found, followed when they change, and not thrown by one answer. */
#include "policy/speed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"

/* A device: 80 ms before anything, then prefill and decode, 10 % of noise. */
struct device {
    double delay_s, prefill_s, decode_s, share_s;
};
static const struct device agx = {.080, .002, .040, .008};

static double noisy(struct ew_rng *rng, double value)
{
    return value * (0.9 + 0.2 * ew_rng_uniform(rng));
}

static void answer(struct ew_speed *speed, const struct device *d, struct ew_rng *rng)
{
    double prompt = 20 + (double)ew_rng_below(rng, 1000), n = 1 + (double)ew_rng_below(rng, 4);
    ew_speed_note(speed, prompt, noisy(rng, d->delay_s + d->prefill_s * prompt),
                  noisy(rng, d->decode_s + d->share_s * n), n);
}

/* Within `part` of the truth. */
static void assert_near(double value, double truth, double part)
{
    assert_float_equal(value, truth, truth * part);
}

static void assert_like(const struct ew_speed *speed, const struct device *d, double part)
{
    /* Of long prompts; short ones are as far off in seconds, for noise grows with the length. */
    for (int prompt = 500; prompt <= 1000; prompt += 250)
        assert_near(ew_speed_ttft_s(speed, prompt), d->delay_s + d->prefill_s * prompt, part);
    double middle_s = d->delay_s + d->prefill_s * 500;
    assert_float_equal(ew_speed_ttft_s(speed, 100), d->delay_s + d->prefill_s * 100,
                       part * middle_s);
    for (int n = 1; n <= 4; n++)
        assert_near(ew_speed_decode_s_per_token(speed, n), d->decode_s + d->share_s * n, part);
}

static void nothing_is_known_at_first(void **state)
{
    struct ew_speed speed;
    (void)state;
    ew_speed_init(&speed);
    assert_true(isnan(ew_speed_ttft_s(&speed, 100)));
    assert_true(isnan(ew_speed_prefill_s_per_token(&speed)));
    assert_true(isnan(ew_speed_decode_s_per_token(&speed, 1)));
    ew_speed_seed(&speed, NAN, NAN);
    assert_true(isnan(ew_speed_ttft_s(&speed, 100)));
    ew_speed_note(&speed, NAN, 1, NAN, 1);
    ew_speed_note(&speed, 100, NAN, -1, 1);
    ew_speed_note(&speed, 100, INFINITY, INFINITY, 1);
    assert_true(isnan(ew_speed_ttft_s(&speed, 100)));
    assert_true(isnan(ew_speed_decode_s_per_token(&speed, 1)));
    /* The one without the other. */
    ew_speed_note(&speed, 100, 1, NAN, 1);
    assert_near(ew_speed_ttft_s(&speed, 100), 1, 1e-9);
    assert_true(isnan(ew_speed_decode_s_per_token(&speed, 1)));
}

static void a_profile_is_where_it_starts(void **state)
{
    struct ew_speed speed;
    (void)state;
    ew_speed_init(&speed);
    ew_speed_seed(&speed, 500, 25);
    assert_near(ew_speed_ttft_s(&speed, 700), 1.4, 1e-9);
    assert_near(ew_speed_prefill_s_per_token(&speed), .002, 1e-9);
    assert_near(ew_speed_decode_s_per_token(&speed, 1), .04, 1e-9);
    assert_true(ew_speed_decode_s_per_token(&speed, 4) > .04);
    assert_true(ew_speed_decode_s_per_token(&speed, 4) < .16);
}

static void the_lines_are_found(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct ew_speed speed;
        struct ew_rng rng;
        ew_rng_init(&rng, seed);
        ew_speed_init(&speed);
        for (int i = 0; i < 60; i++)
            answer(&speed, &agx, &rng);
        assert_like(&speed, &agx, .15);
    }
}

/* A profile that is wrong by a factor of five is forgotten. */
static void answers_outlive_the_profile(void **state)
{
    struct ew_speed speed;
    struct ew_rng rng;
    (void)state;
    ew_rng_init(&rng, 7);
    ew_speed_init(&speed);
    ew_speed_seed(&speed, 2500, 100);
    for (int i = 0; i < 20; i++)
        answer(&speed, &agx, &rng);
    assert_like(&speed, &agx, .20);
}

static void a_throttled_device_is_known_after_twenty_answers(void **state)
{
    static const double factors[] = {2, 5, 10, .5, .2};
    (void)state;
    for (int k = 0; k < 5; k++)
        for (uint64_t seed = 1; seed <= 20; seed++) {
            double f = factors[k];
            struct device slow = {agx.delay_s * f, agx.prefill_s * f, agx.decode_s * f,
                                  agx.share_s * f};
            struct ew_speed speed;
            struct ew_rng rng;
            ew_rng_init(&rng, seed);
            ew_speed_init(&speed);
            for (int i = 0; i < 50; i++)
                answer(&speed, &agx, &rng);
            for (int i = 0; i < 20; i++)
                answer(&speed, &slow, &rng);
            /* The other way, what is left of slow ones weighs more: 4 % of five times as much. */
            assert_like(&speed, &slow, f < .5 ? .6 : .25);
        }
}

static void one_answer_doesnt_throw_it(void **state)
{
    struct ew_speed speed;
    struct ew_rng rng;
    (void)state;
    ew_rng_init(&rng, 3);
    ew_speed_init(&speed);
    for (int i = 0; i < 50; i++)
        answer(&speed, &agx, &rng);
    double before = ew_speed_ttft_s(&speed, 500), decode = ew_speed_decode_s_per_token(&speed, 2);
    ew_speed_note(&speed, 500, 100, 40, 2); /* a hundred times, a thousand times what it takes */
    assert_true(ew_speed_ttft_s(&speed, 500) < 1.5 * before);
    assert_true(ew_speed_decode_s_per_token(&speed, 2) < 1.5 * decode);
}

static void prompts_of_one_length_make_a_line_through_the_origin(void **state)
{
    struct ew_speed speed;
    (void)state;
    ew_speed_init(&speed);
    for (int i = 0; i < 30; i++)
        ew_speed_note(&speed, 200, .4, .05, 1);
    assert_near(ew_speed_ttft_s(&speed, 200), .4, 1e-6);
    assert_near(ew_speed_ttft_s(&speed, 400), .8, 1e-6);
    assert_near(ew_speed_decode_s_per_token(&speed, 1), .05, 1e-6);
}

static void a_cloud_has_its_delay_and_no_more(void **state)
{
    struct ew_speed speed;
    (void)state;
    ew_speed_init(&speed);
    for (int i = 0; i < 30; i++)
        ew_speed_note(&speed, 0, .7, .01, 1);
    assert_near(ew_speed_ttft_s(&speed, 0), .7, 1e-9);
    assert_true(ew_speed_prefill_s_per_token(&speed) == 0);
}

/* Whatever comes, figures stay finite and not negative: also where longer prompts were faster. */
static void never_negative(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct ew_speed speed;
        struct ew_rng rng;
        ew_rng_init(&rng, seed);
        ew_speed_init(&speed);
        for (int i = 0; i < 100; i++) {
            double x = pow(10, 5 * ew_rng_uniform(&rng)), y = pow(10, 6 * ew_rng_uniform(&rng) - 3);
            ew_speed_note(&speed, seed & 1 ? x : 1e5 - x, y, y / 100,
                          1 + 20 * ew_rng_uniform(&rng));
            double ttft = ew_speed_ttft_s(&speed, x), none = ew_speed_ttft_s(&speed, 0);
            double decode = ew_speed_decode_s_per_token(&speed, 1);
            assert_true(ttft >= none && none >= 0 && isfinite(ttft));
            assert_true(decode > 0 && isfinite(decode));
            assert_true(ew_speed_decode_s_per_token(&speed, 9) >= decode);
            assert_true(ew_speed_prefill_s_per_token(&speed) >= 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_at_first),
        cmocka_unit_test(a_profile_is_where_it_starts),
        cmocka_unit_test(the_lines_are_found),
        cmocka_unit_test(answers_outlive_the_profile),
        cmocka_unit_test(a_throttled_device_is_known_after_twenty_answers),
        cmocka_unit_test(one_answer_doesnt_throw_it),
        cmocka_unit_test(prompts_of_one_length_make_a_line_through_the_origin),
        cmocka_unit_test(a_cloud_has_its_delay_and_no_more),
        cmocka_unit_test(never_negative),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
