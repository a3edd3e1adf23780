/* test_rng.c - the published algorithm's numbers, the range of doubles, and unbiased bounds. */
#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* From a second implementation of splitmix64 and xoshiro256**, in Python, after the paper. */
static void test_the_first_numbers_are_those_of_the_paper(void **state)
{
    (void)state;
    static const struct {
        uint64_t seed, wanted[3];
    } cases[] = {
        {0, {0x99ec5f36cb75f2b4, 0xbf6e1f784956452a, 0x1a5f849d4933e6e0}},
        {1234567, {0x30a3a1c363600467, 0x19405f0f579929ca, 0x115beaac046ddbd9}},
    };
    for (int c = 0; c < 2; c++) {
        struct ew_rng rng;
        ew_rng_init(&rng, cases[c].seed);
        for (int i = 0; i < 3; i++)
            assert_true(ew_rng_next(&rng) == cases[c].wanted[i]);
    }
}

static void test_the_same_seed_gives_the_same_stream_and_others_differ(void **state)
{
    (void)state;
    struct ew_rng a, b, other;
    ew_rng_init(&a, 42);
    ew_rng_init(&b, 42);
    ew_rng_init(&other, 43);
    int equal = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t x = ew_rng_next(&a);
        assert_true(x == ew_rng_next(&b));
        equal += x == ew_rng_next(&other);
    }
    assert_int_equal(equal, 0);
}

static void test_uniform_stays_in_zero_to_one_with_mean_one_half(void **state)
{
    (void)state;
    struct ew_rng rng;
    ew_rng_init(&rng, 1);
    double sum = 0;
    enum { N = 100000 };
    for (int i = 0; i < N; i++) {
        double x = ew_rng_uniform(&rng);
        assert_true(x >= 0 && x < 1);
        sum += x;
    }
    /* The mean of N uniforms has a standard error of 0.289 / sqrt(N) = 0.0009. */
    assert_true(sum / N > 0.495 && sum / N < 0.505);
}

static void test_below_reaches_each_number_and_never_the_bound(void **state)
{
    (void)state;
    struct ew_rng rng;
    int seen[6] = {0};
    ew_rng_init(&rng, 9);
    for (int i = 0; i < 6000; i++) {
        uint64_t x = ew_rng_below(&rng, 6);
        assert_true(x < 6);
        seen[x]++;
    }
    for (int i = 0; i < 6; i++)
        assert_in_range(seen[i], 850, 1150); /* 1000 expected, standard deviation 29 */
    assert_true(ew_rng_below(&rng, 1) == 0);
    uint64_t big = ((uint64_t)1 << 63) + 1; /* the worst case of rejection: every second draw */
    for (int i = 0; i < 100; i++)
        assert_true(ew_rng_below(&rng, big) < big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_numbers_are_those_of_the_paper),
        cmocka_unit_test(test_the_same_seed_gives_the_same_stream_and_others_differ),
        cmocka_unit_test(test_uniform_stays_in_zero_to_one_with_mean_one_half),
        cmocka_unit_test(test_below_reaches_each_number_and_never_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
