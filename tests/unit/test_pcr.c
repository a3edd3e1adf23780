/* test_pcr.c - the paper's rows, break-even, and that unknown stays so. */
#include "measure/pcr.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void the_rows_of_the_paper_come_out_to_the_last_digit(void **state)
{
    (void)state;
    static const double printed[] = {.51, 145.12, 332.35};
    for (size_t i = 0; i < EW_COUNT(printed); i++)
        assert_float_equal(ew_pcr_ratio(ew_pcr_paper(i), EW_UTILITY_ALPHA), printed[i], 0.005);
    assert_null(ew_pcr_paper(EW_COUNT(printed)));
    assert_float_equal(ew_pcr_utility(ew_pcr_paper(0), 0.5), 0.84, 1e-12);
    assert_float_equal(ew_pcr_utility(ew_pcr_paper(0), 0.25), 0.775, 1e-12);
}

static void unknown_in_gives_unknown_out(void **state)
{
    (void)state;
    struct ew_pcr_platform p = {"p", NAN, .5, 2};
    assert_true(isnan(ew_pcr_ratio(&p, 0.5)));
    assert_float_equal(ew_pcr_ratio(&p, 0), 0.25, 1e-12); /* quality has no weight: not needed */
    p = (struct ew_pcr_platform){"p", .5, .5, NAN};
    assert_true(isnan(ew_pcr_ratio(&p, 0.5)));
    p.cost_cents = 0;
    assert_true(isnan(ew_pcr_ratio(&p, 0.5))); /* not infinite, and not 0 */
}

static void platforms_break_even_where_their_ratios_cross(void **state)
{
    (void)state;
    struct ew_pcr_platform a = {"a", .9, .1, 1}, b = {"b", .5, .7, 1};
    double alpha = ew_pcr_even_alpha(&a, &b);
    assert_float_equal(alpha, 0.6, 1e-12);
    assert_float_equal(ew_pcr_ratio(&a, alpha), ew_pcr_ratio(&b, alpha), 1e-12);
    assert_true(isnan(ew_pcr_even_alpha(&a, &a)));                           /* everywhere */
    assert_true(isnan(ew_pcr_even_alpha(ew_pcr_paper(0), ew_pcr_paper(1)))); /* nowhere */
    double cost = ew_pcr_even_cost(ew_pcr_paper(0), ew_pcr_paper(1), 0.5);
    struct ew_pcr_platform cheaper = *ew_pcr_paper(0);
    cheaper.cost_cents = cost;
    assert_float_equal(ew_pcr_ratio(&cheaper, 0.5), ew_pcr_ratio(ew_pcr_paper(1), 0.5), 1e-9);
    b.cost_cents = NAN;
    assert_true(isnan(ew_pcr_even_cost(&a, &b, 0.5)));
}

static void a_platform_is_read_from_four_fields(void **state)
{
    (void)state;
    struct ew_pcr_platform p;
    assert_int_equal(ew_pcr_parse("qwen2.5:7b:.91:.28:.0041", &p, NULL), 0);
    assert_string_equal(p.name, "qwen2.5:7b");
    assert_float_equal(p.quality, .91, 0);
    assert_float_equal(p.responsiveness, .28, 0);
    assert_float_equal(p.cost_cents, .0041, 0);
    assert_int_equal(ew_pcr_parse("a:?::1e-3", &p, NULL), 0);
    assert_true(isnan(p.quality) && isnan(p.responsiveness));
    static const char *const bad[] = {
        "",        "a",        "a:1:1",   ":1:1:1",      "a:1.1:1:1", "a:-.1:1:1",  "a:1:2:1",
        "a:1:1:0", "a:1:1:-1", "a:x:1:1", "a:1:1:1.2.3", "a:nan:1:1", "a:1:1:1e999"};
    for (size_t i = 0; i < EW_COUNT(bad); i++) {
        struct ew_err err = {0};
        if (ew_pcr_parse(bad[i], &p, &err) != EW_EINVAL)
            fail_msg("'%s' was taken", bad[i]);
        assert_true(err.text[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rows_of_the_paper_come_out_to_the_last_digit),
        cmocka_unit_test(unknown_in_gives_unknown_out),
        cmocka_unit_test(platforms_break_even_where_their_ratios_cross),
        cmocka_unit_test(a_platform_is_read_from_four_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
