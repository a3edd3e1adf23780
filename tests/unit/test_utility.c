/* test_utility.c - responsiveness by name, utility at its end points, and that unknown stays so. */
#include "flow/utility.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void responsiveness_has_a_name_and_a_formula(void **state)
{
    (void)state;
    assert_float_equal(ew_utility_responsiveness(EW_UTILITY_R_INVERSE, 0, NAN), 1, 0);
    assert_float_equal(ew_utility_responsiveness(EW_UTILITY_R_INVERSE, 3, NAN), 0.25, 1e-12);
    assert_float_equal(ew_utility_responsiveness(EW_UTILITY_R_TARGET, 0.2, 1), 1, 0);
    assert_float_equal(ew_utility_responsiveness(EW_UTILITY_R_TARGET, 4, 1), 0.25, 1e-12);
    assert_true(isnan(ew_utility_responsiveness(EW_UTILITY_R_TARGET, 4, 0)));
    assert_true(isnan(ew_utility_responsiveness(EW_UTILITY_R_INVERSE, NAN, 1)));
    assert_true(isnan(ew_utility_responsiveness(EW_UTILITY_R_INVERSE, -1, 1)));
    assert_true(isnan(ew_utility_responsiveness(EW_UTILITY_R_VALUE, 1, 1)));
}

static void unknown_counts_only_where_it_is_needed(void **state)
{
    (void)state;
    assert_float_equal(ew_utility_mix(.97, .71, .5), .84, 1e-12);
    assert_float_equal(ew_utility_mix(NAN, .5, 0), .5, 0);
    assert_float_equal(ew_utility_mix(.5, NAN, 1), .5, 0);
    assert_true(isnan(ew_utility_mix(NAN, .5, .5)));
    assert_float_equal(ew_utility_ratio(.84, 1.65), .51, .005);
    assert_true(isnan(ew_utility_ratio(.84, 0))); /* not infinite, and not 0 */
    assert_true(isnan(ew_utility_ratio(.84, NAN)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(responsiveness_has_a_name_and_a_formula),
        cmocka_unit_test(unknown_counts_only_where_it_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
