/* test_usage.c - the figures of one answer, and that unknown stays unknown. */
#include "flow/usage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void speeds_follow_from_tokens_and_times(void **state)
{
    (void)state;
    struct ew_usage usage = ew_usage_none();
    usage.prompt_tokens = 120;
    usage.cached_tokens = 20;
    usage.output_tokens = 51;
    usage.ttft_ns = 250000000;
    usage.prefill_ns = 200000000;
    usage.decode_ns = 2000000000;
    assert_float_equal(ew_usage_prefill_tokens_per_s(&usage), 500, 1e-9);
    assert_float_equal(ew_usage_decode_tokens_per_s(&usage), 25, 1e-9);
    assert_float_equal(ew_usage_ms_per_token(&usage), 40, 1e-9);
    assert_float_equal(ew_usage_total_s(&usage), 2.25, 1e-9);
}

static void unknown_inputs_give_nan_and_never_zero(void **state)
{
    (void)state;
    struct ew_usage usage = ew_usage_none();
    assert_true(isnan(ew_usage_prefill_tokens_per_s(&usage)));
    assert_true(isnan(ew_usage_decode_tokens_per_s(&usage)));
    assert_true(isnan(ew_usage_ms_per_token(&usage)));
    assert_true(isnan(ew_usage_total_s(&usage)));
    assert_true(isnan(ew_usage_joules_per_token(&usage)));
    assert_true(isnan(usage.cost_cents));
    assert_true(isnan(ew_usage_reading_multiple(30, 0)));
    assert_true(isnan(ew_usage_reading_multiple(NAN, 1.3)));
    usage.output_tokens = 1; /* one token has no step after it */
    usage.decode_ns = 1;
    assert_true(isnan(ew_usage_decode_tokens_per_s(&usage)));
    usage.prompt_tokens = usage.cached_tokens = 7; /* nothing was computed */
    usage.prefill_ns = 5;
    assert_true(isnan(ew_usage_prefill_tokens_per_s(&usage)));
    assert_string_equal(ew_energy_kind_name(usage.energy.kind), "unknown");
}

static void electricity_costs_what_the_paper_says(void **state)
{
    (void)state;
    /* 590 J at 25 cents per kWh are the .0041 cents of the paper's AGX Orin row. */
    assert_float_equal(ew_usage_energy_cents(590, EW_USAGE_TARIFF_CENTS_PER_KWH), 0.0041, 5e-5);
    struct ew_usage usage = ew_usage_none();
    struct ew_energy energy = {.joules = 3.6e6, .kind = EW_ENERGY_MODELLED, .source = "test"};
    usage.output_tokens = 1000;
    ew_usage_set_energy(&usage, &energy, 30);
    assert_float_equal(usage.cost_cents, 30, 1e-9);
    assert_float_equal(ew_usage_joules_per_token(&usage), 3600, 1e-9);
    ew_usage_set_energy(&usage, &EW_ENERGY_NONE, 30);
    assert_true(isnan(usage.cost_cents));
}

static void a_reader_takes_five_tokens_a_second(void **state)
{
    (void)state;
    assert_float_equal(ew_usage_reading_multiple(238.0 / 60 * 1.5, 1.5), 1, 1e-12);
    assert_float_equal(ew_usage_reading_multiple(53, EW_USAGE_TOKENS_PER_WORD), 10.02, 0.01);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(speeds_follow_from_tokens_and_times),
        cmocka_unit_test(unknown_inputs_give_nan_and_never_zero),
        cmocka_unit_test(electricity_costs_what_the_paper_says),
        cmocka_unit_test(a_reader_takes_five_tokens_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
