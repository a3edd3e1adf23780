/* test_limits.c - several windows of one holder: all or none, and the time after which all have
 * room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "policy/limits.h"

static struct ew_window_entry entries[4][4096];

static void open_limits(struct ew_limits *limits)
{
    static const struct ew_limit asked[] = {
        {EW_LIMIT_REQUESTS, 2, 100},
        {EW_LIMIT_REQUESTS, 3, 1000},
        {EW_LIMIT_TOKENS, 50, 500},
    };
    ew_limits_init(limits);
    for (size_t i = 0; i < EW_COUNT(asked); i++) {
        assert_in_range(ew_limits_entries(&asked[i]), 1, 4096);
        assert_true(ew_limits_add(limits, &asked[i], entries[i]));
    }
}

static struct ew_amounts tokens(double n)
{
    return (struct ew_amounts){.of = {[EW_LIMIT_REQUESTS] = 1, [EW_LIMIT_TOKENS] = n}};
}

static void all_windows_or_none(void **state)
{
    struct ew_limits limits;
    struct ew_reservation r[3];
    struct ew_limits_refusal no;
    struct ew_amounts ten = tokens(10), forty = tokens(40), sixty = tokens(60);
    (void)state;
    open_limits(&limits);
    assert_true(ew_limits_reserve(&limits, &ten, 0, &r[0], &no));
    assert_false(ew_limits_reserve(&limits, &sixty, 10, &r[1], &no));
    assert_true(no.wait_ns == EW_WINDOW_NEVER);
    assert_int_equal(no.limit->kind, EW_LIMIT_TOKENS);
    assert_true(ew_limits_reserve(&limits, &forty, 20, &r[1], &no));
    /* Requests have room at 100, tokens at 500: the later one is told. */
    assert_false(ew_limits_reserve(&limits, &ten, 30, &r[2], &no));
    assert_int_equal(no.limit->kind, EW_LIMIT_TOKENS);
    assert_int_equal(no.wait_ns, 470);
    assert_true(no.used == 50);
    /* The second turned out smaller: what it didn't use is there again. */
    struct ew_amounts five = tokens(5);
    ew_limits_settle(&limits, &r[1], &five, 40);
    assert_false(ew_limits_reserve(&limits, &ten, 50, &r[2], &no));
    assert_int_equal(no.limit->kind, EW_LIMIT_REQUESTS);
    assert_int_equal(no.wait_ns, 50);
    assert_true(ew_limits_reserve(&limits, &ten, 100, &r[2], &no));
    /* Three of three in the long window. */
    assert_false(ew_limits_reserve(&limits, &ten, 300, &r[2], &no));
    assert_int_equal(no.wait_ns, 700);
}

static void what_was_never_begun_is_given_back(void **state)
{
    struct ew_limits limits;
    struct ew_reservation r;
    struct ew_limits_refusal no;
    const struct ew_amounts ten = tokens(10), nothing = {0};
    (void)state;
    open_limits(&limits);
    for (int i = 0; i < 100; i++) {
        assert_true(ew_limits_reserve(&limits, &ten, (uint64_t)i, &r, &no));
        ew_limits_settle(&limits, &r, &nothing, (uint64_t)i);
    }
    assert_true(ew_limits_reserve(&limits, &ten, 100, &r, &no));
    assert_true(ew_limits_reserve(&limits, &ten, 100, &r, &no));
    assert_false(ew_limits_reserve(&limits, &ten, 100, &r, &no));
}

static void more_windows_than_fit_are_refused(void **state)
{
    struct ew_limits limits;
    const struct ew_limit one = {EW_LIMIT_CENTS, 5, 100};
    (void)state;
    ew_limits_init(&limits);
    for (int i = 0; i < EW_LIMITS_MAX; i++)
        assert_true(ew_limits_add(&limits, &one, entries[0]));
    assert_false(ew_limits_add(&limits, &one, entries[0]));
    assert_string_equal(ew_limit_name(EW_LIMIT_CENTS), "cents");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_windows_or_none),
        cmocka_unit_test(what_was_never_begun_is_given_back),
        cmocka_unit_test(more_windows_than_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
