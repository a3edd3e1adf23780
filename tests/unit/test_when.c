/* test_when.c - times as people type them. */
#include "ledger/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define NOW_MS 1795480200000 /* 2026-11-24T00:30:00Z */

static void test_times_are_read_as_they_are_meant(void **state)
{
    (void)state;
    static const struct {
        const char *zone, *text;
        int64_t wanted_ms;
    } cases[] = {
        {"UTC", "now", NOW_MS},
        {"UTC", "90s", NOW_MS - 90000},
        {"UTC", "30m", NOW_MS - 1800000},
        {"UTC", "24h", NOW_MS - 86400000},
        {"UTC", "7d", NOW_MS - 7 * 86400000ll},
        {"UTC", "today", 1795478400000},
        {"UTC", "yesterday", 1795478400000 - 86400000},
        {"UTC", "2026-11-24", 1795478400000},
        {"UTC", "2026-11-24T00:30", NOW_MS},
        {"UTC", "2026-11-24 00:30:00", NOW_MS},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-11-24T01:30", NOW_MS},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-11-24T00:30Z", NOW_MS},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "today", 1795478400000 - 3600000},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-07-01", 1782856800000}, /* summer: UTC + 2 */
        {"EST5", "today", 1795478400000 - 86400000 + 5 * 3600000},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        int64_t got = 0;
        struct ew_err err = {0};
        setenv("TZ", cases[i].zone, 1);
        tzset();
        assert_int_equal(ew_query_time(cases[i].text, NOW_MS, &got, &err), 0);
        assert_int_equal(got, cases[i].wanted_ms);
    }
}

static void test_nonsense_is_no_time(void **state)
{
    (void)state;
    static const char *const cases[] = {"",      "7",          "d",           "7w",
                                        "-1d",   "2026-02-31", "2026-13-01",  "2026-11-24x",
                                        "later", "24 h",       "9999999999d", "2026-11-24T25:00"};
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        int64_t got = 0;
        struct ew_err err = {0};
        assert_int_equal(ew_query_time(cases[i], NOW_MS, &got, &err), EW_EINVAL);
    }
}

static void test_a_status_is_a_code_or_a_class(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "20", "2000", "6xx", "4x", "abc", "-40", "4xxx", "0xx"};
    struct ew_query_filter filter;
    ew_query_filter_init(&filter);
    assert_int_equal(ew_query_status(&filter, "429", NULL), 0);
    assert_true(filter.status_min == 429 && filter.status_max == 429);
    assert_int_equal(ew_query_status(&filter, "5xx", NULL), 0);
    assert_true(filter.status_min == 500 && filter.status_max == 599);
    for (size_t i = 0; i < EW_COUNT(wrong); i++)
        assert_int_equal(ew_query_status(&filter, wrong[i], NULL), EW_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times_are_read_as_they_are_meant),
        cmocka_unit_test(test_nonsense_is_no_time),
        cmocka_unit_test(test_a_status_is_a_code_or_a_class),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
