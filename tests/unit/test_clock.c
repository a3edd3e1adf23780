/* test_clock.c - the real clock moves forward in nanoseconds, and a virtual one can replace it. */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

static void test_the_real_clock_never_goes_back(void **state)
{
    (void)state;
    uint64_t last = ew_clock_now_ns(&ew_clock_real);
    for (int i = 0; i < 10000; i++) {
        uint64_t now = ew_clock_now_ns(&ew_clock_real);
        assert_true(now >= last);
        last = now;
    }
}

static void test_the_real_clock_counts_nanoseconds(void **state)
{
    (void)state;
    uint64_t start = ew_clock_now_ns(&ew_clock_real);
    nanosleep(&(struct timespec){.tv_nsec = 20 * EW_NS_PER_MS}, NULL);
    uint64_t took = ew_clock_now_ns(&ew_clock_real) - start;
    /* The upper bound only tells nanoseconds from a wrong unit; a busy machine may oversleep. */
    assert_true(took >= 20 * EW_NS_PER_MS && took < 60 * (uint64_t)EW_NS_PER_S);
}

static uint64_t virtual_now(void *state)
{
    return *(uint64_t *)state;
}

static void test_a_virtual_clock_says_what_it_is_told(void **state)
{
    (void)state;
    uint64_t now = 7;
    const struct ew_clock clock = {virtual_now, &now};
    assert_int_equal(ew_clock_now_ns(&clock), 7);
    now += EW_NS_PER_S;
    assert_int_equal(ew_clock_now_ns(&clock), 1000000007);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_real_clock_never_goes_back),
        cmocka_unit_test(test_the_real_clock_counts_nanoseconds),
        cmocka_unit_test(test_a_virtual_clock_says_what_it_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
