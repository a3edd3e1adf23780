/* test_stats.c - numbers of others: numpy for quantiles and moments, published intervals. */
#include "base/stats.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void near(double got, double wanted, double within)
{
    if (!(fabs(got - wanted) <= within))
        print_message("got %.17g, wanted %.17g\n", got, wanted);
    assert_true(fabs(got - wanted) <= within);
}

static void test_a_sample_is_sorted_and_summed_up(void **state)
{
    (void)state;
    double values[] = {7, 1, 3, 12, 5, 2};
    struct ew_stats stats = ew_stats_of(values, 6);
    assert_int_equal(stats.n, 6);
    assert_true(values[0] == 1 && values[5] == 12);
    assert_true(stats.min == 1 && stats.max == 12 && stats.median == 4 && stats.mean == 5);
    near(stats.sd, 4.049691346263317, 1e-12); /* numpy.std(ddof=1) */
}

static void test_one_value_has_no_spread_and_none_has_nothing(void **state)
{
    (void)state;
    double one[] = {4};
    struct ew_stats stats = ew_stats_of(one, 1);
    assert_true(stats.median == 4 && stats.min == 4 && stats.max == 4 && isnan(stats.sd));
    stats = ew_stats_of(one, 0);
    assert_true(stats.n == 0 && isnan(stats.median) && isnan(stats.mean) && isnan(stats.min));
}

static void test_a_small_spread_on_a_large_mean_is_kept(void **state)
{
    (void)state;
    double values[] = {1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16};
    near(ew_stats_of(values, 4).sd, sqrt(30), 1e-6);
}

static void test_quantiles_are_those_of_numpy(void **state)
{
    (void)state;
    static const double sorted[] = {15, 20, 35, 40, 50};
    static const double cases[][2] = {{0, 15},   {0.05, 16}, {0.25, 20},   {0.4, 29},
                                      {0.5, 35}, {0.9, 46},  {0.99, 49.6}, {1, 50}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        near(ew_stats_quantile(sorted, 5, cases[i][0]), cases[i][1], 1e-12);
    assert_true(isnan(ew_stats_quantile(sorted, 0, 0.5)));
    assert_true(ew_stats_quantile(sorted, 1, 0.99) == 15);
}

/* 81/263, 15/148 and 0/20: Newcombe 1998 (doi:10.1002/(SICI)1097-0258(19980430)17:8<857),
 * table I, method 3, to the four decimals that are printed there. */
static void test_wilson_gives_the_published_intervals(void **state)
{
    (void)state;
    static const struct {
        uint64_t successes, trials;
        double low, high;
    } cases[] = {{81, 263, 0.2553, 0.3662},
                 {15, 148, 0.0624, 0.1605},
                 {0, 20, 0, 0.1611},
                 {1, 29, 0.0061, 0.1718}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ew_interval got = ew_stats_wilson(cases[i].successes, cases[i].trials, EW_STATS_Z95);
        near(got.low, cases[i].low, 5.1e-5);
        near(got.high, cases[i].high, 5.1e-5);
    }
}

static void test_wilson_stays_in_zero_to_one_and_is_symmetric(void **state)
{
    (void)state;
    struct ew_interval none = ew_stats_wilson(0, 0, EW_STATS_Z95);
    assert_true(none.low == 0 && none.high == 1);
    for (uint64_t k = 0; k <= 40; k++) {
        struct ew_interval a = ew_stats_wilson(k, 40, EW_STATS_Z95);
        struct ew_interval b = ew_stats_wilson(40 - k, 40, EW_STATS_Z95);
        double p = (double)k / 40;
        assert_true(a.low >= 0 && a.high <= 1 && a.low <= p && a.high >= p && a.low < a.high);
        near(a.low, 1 - b.high, 1e-12);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_sample_is_sorted_and_summed_up),
        cmocka_unit_test(test_one_value_has_no_spread_and_none_has_nothing),
        cmocka_unit_test(test_a_small_spread_on_a_large_mean_is_kept),
        cmocka_unit_test(test_quantiles_are_those_of_numpy),
        cmocka_unit_test(test_wilson_gives_the_published_intervals),
        cmocka_unit_test(test_wilson_stays_in_zero_to_one_and_is_symmetric),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
