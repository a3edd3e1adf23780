/* test_meter.c - modelled energy by phase (meter_model.c), and meters that know nothing
 * (meter_null.c). */
#include "meter/meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define S 1000000000ull

static struct ew_meter *model(double idle, double prefill, double decode)
{
    struct ew_meter *meter = NULL;
    struct ew_err err = {0};
    struct ew_meter_watts watts = {{idle, prefill, decode}};
    assert_int_equal(ew_meter_open_model(&meter, "test", &watts, &err), 0);
    return meter;
}

static void phases_are_weighed_by_their_own_watts(void **state)
{
    (void)state;
    struct ew_meter *meter = model(1, 10, 5);
    ew_meter_mark(meter, EW_METER_PREFILL, 100 * S);
    ew_meter_mark(meter, EW_METER_DECODE, 102 * S);
    ew_meter_mark(meter, EW_METER_IDLE, 106 * S);
    static const struct {
        uint64_t from_s, to_s;
        double joules;
    } cases[] = {{100, 106, 40}, {100, 102, 20}, {101, 104, 20}, {102, 106, 20},
                 {106, 116, 10}, {100, 107, 41}, {103, 103, 0},  {105, 107, 6}};
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        struct ew_energy energy = ew_meter_between(meter, cases[i].from_s * S, cases[i].to_s * S);
        assert_int_equal(energy.kind, EW_ENERGY_MODELLED);
        assert_float_equal(energy.joules, cases[i].joules, 1e-9);
        assert_string_equal(energy.source, "test");
    }
    ew_meter_close(&meter);
    assert_null(meter);
    ew_meter_close(&meter);
}

static void time_without_watts_is_unknown_energy(void **state)
{
    (void)state;
    struct ew_meter *meter = model(NAN, 10, 5);
    assert_true(isnan(ew_meter_between(meter, 0, S).joules)); /* nothing was marked */
    ew_meter_mark(meter, EW_METER_PREFILL, 10 * S);
    ew_meter_mark(meter, EW_METER_IDLE, 11 * S);
    assert_true(isnan(ew_meter_between(meter, 9 * S, 11 * S).joules));  /* began before the mark */
    assert_true(isnan(ew_meter_between(meter, 10 * S, 12 * S).joules)); /* idle watts unknown */
    assert_int_equal(ew_meter_between(meter, 10 * S, 12 * S).kind, EW_ENERGY_UNKNOWN);
    assert_float_equal(ew_meter_between(meter, 10 * S, 11 * S).joules, 10, 1e-9);
    ew_meter_close(&meter);
}

static void more_marks_than_are_kept_lose_only_the_oldest(void **state)
{
    (void)state;
    struct ew_meter *meter = model(1, 2, 3);
    for (uint64_t i = 0; i < EW_METER_MARKS_MAX + 10; i++)
        ew_meter_mark(meter, i % 2 ? EW_METER_DECODE : EW_METER_PREFILL, i * S);
    uint64_t end = EW_METER_MARKS_MAX + 10;
    assert_true(isnan(ew_meter_between(meter, 5 * S, end * S).joules));
    assert_float_equal(ew_meter_between(meter, (end - 100) * S, end * S).joules, 250, 1e-6);
    ew_meter_close(&meter);
}

static void impossible_watts_are_refused(void **state)
{
    (void)state;
    struct ew_meter *meter = NULL;
    struct ew_err err = {0};
    struct ew_meter_watts watts = {{1, -2, 3}};
    assert_int_equal(ew_meter_open_model(&meter, "bad", &watts, &err), EW_EINVAL);
    assert_non_null(strstr(err.text, "bad"));
    assert_null(meter);
}

static void the_null_meter_never_invents_joules(void **state)
{
    (void)state;
    struct ew_meter *meter = NULL;
    assert_int_equal(ew_meter_open_null(&meter, NULL), 0);
    ew_meter_mark(meter, EW_METER_PREFILL, 0);
    ew_meter_sample(meter, S);
    struct ew_energy energy = ew_meter_between(meter, 0, S);
    assert_true(isnan(energy.joules));
    assert_int_equal(energy.kind, EW_ENERGY_UNKNOWN);
    ew_meter_close(&meter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phases_are_weighed_by_their_own_watts),
        cmocka_unit_test(time_without_watts_is_unknown_energy),
        cmocka_unit_test(more_marks_than_are_kept_lose_only_the_oldest),
        cmocka_unit_test(impossible_watts_are_refused),
        cmocka_unit_test(the_null_meter_never_invents_joules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
