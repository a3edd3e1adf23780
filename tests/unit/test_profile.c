/* test_profile.c - the profiles that ship, the watts that follow, and profiles with faults. */
#include "flow/profile.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define HEAD "name: d\ntitle: D\n"
#define ROW  "rows:\n  - {model: m, quantization: Q, engine: e, source: s, as_of: 2026"

static int parse(const char *text, struct ew_profile **gives, struct ew_err *err)
{
    *err = (struct ew_err){0};
    return ew_profile_parse(gives, text, strlen(text), "t.yaml", err);
}

static void every_profile_that_ships_is_valid_and_called_as_its_file(void **state)
{
    (void)state;
    size_t count = 0;
    for (const char *known; (known = ew_profile_name(count)); count++) {
        struct ew_profile *profile = NULL;
        struct ew_err err = {0};
        if (ew_profile_open(&profile, known, &err))
            fail_msg("%s: %s", known, err.text);
        assert_string_equal(profile->name, known);
        ew_profile_close(&profile);
        assert_null(profile);
    }
    assert_true(count >= 7);
}

static void watts_are_of_the_model_the_device_or_the_mean(void **state)
{
    (void)state;
    struct ew_profile *profile = NULL;
    assert_int_equal(ew_profile_open(&profile, "orin-nano-super-8gb", NULL), 0);
    struct ew_profile_power power = ew_profile_power(profile, "smollm2-135m");
    assert_float_equal(power.decode, 165.2 / 29.62, 1e-4); /* 5.58 W on its rail */
    assert_float_equal(power.prefill, power.decode, 0);
    assert_true(power.prefill_is_decode);
    assert_true(isnan(power.idle));
    assert_non_null(strstr(power.how, "VDD_CPU_GPU_CV"));
    power = ew_profile_power(profile, "nobody-1b");
    assert_true(power.decode > 4 && power.decode < 10);
    assert_non_null(strstr(power.how, "mean of"));
    ew_profile_close(&profile);

    assert_int_equal(ew_profile_open(&profile, "agx-orin-64gb", NULL), 0);
    power = ew_profile_power(profile, "deepseek-r1-distill-qwen-1.5b");
    assert_float_equal(power.decode, 25.4, 1e-4);
    ew_profile_close(&profile);

    assert_int_equal(ew_profile_open(&profile, "cloud-vm-2core", NULL), 0);
    power = ew_profile_power(profile, "smollm2-135m");
    assert_float_equal(power.idle, 1.48, 1e-4);
    assert_float_equal(power.decode, 7, 1e-4);
    assert_false(power.prefill_is_decode); /* the profile tells both */
    ew_profile_close(&profile);
}

static void a_profile_without_watts_gives_none(void **state)
{
    (void)state;
    struct ew_profile *profile = NULL;
    struct ew_err err;
    assert_int_equal(parse(HEAD ROW ", decode_tokens_per_s: 5}\n", &profile, &err), 0);
    struct ew_profile_power power = ew_profile_power(profile, "m");
    assert_true(isnan(power.decode) && isnan(power.prefill) && isnan(power.idle));
    assert_false(power.prefill_is_decode);
    ew_profile_close(&profile);
    assert_int_equal(parse(HEAD, &profile, &err), 0);
    assert_true(isnan(ew_profile_power(profile, NULL).decode));
    ew_profile_close(&profile);
    ew_profile_close(&profile);
}

static void a_fault_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {HEAD "colour: red\n", "t.yaml:3: Unexpected key: colour"},
        {"name: d\n", "t.yaml:"},
        {HEAD "memory_gb: much\n", "t.yaml:3:"},
        {HEAD ROW ", decode_watts: 5}\n", "row 1 (m): energy without a rail"},
        {HEAD ROW ", rail: r, decode_watts: 0}\n", "row 1 (m): a figure isn't above 0"},
        {HEAD ROW ", rail: r, decode_watts: -1}\n", "isn't above 0"},
        {HEAD ROW ", rail: r, decode_watts: nan}\n", "t.yaml"},
        {HEAD ROW ", ttft: [{prompt: 5, ms: 0}]}\n", "TTFT"},
        {HEAD "rows:\n  - {model: m, quantization: Q, engine: e}\n", "t.yaml:"},
        {HEAD "watts: {idle: 0, rail: r, source: s, as_of: 2026}\n", "watts that aren't above 0"},
        {HEAD "watts: {idle: 1}\n", "t.yaml:"},
        {"", "t.yaml"},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        struct ew_profile *profile = NULL;
        struct ew_err err;
        if (parse(cases[i].text, &profile, &err) != EW_EFORMAT || !strstr(err.text, cases[i].says))
            fail_msg("case %zu: '%s', wanted '%s'", i, err.text, cases[i].says);
        assert_null(profile);
    }
}

static void an_unknown_name_lists_the_known(void **state)
{
    (void)state;
    struct ew_profile *profile = NULL;
    struct ew_err err = {0};
    assert_int_equal(ew_profile_open(&profile, "toaster", &err), EW_ENOTFOUND);
    assert_non_null(strstr(err.text, "agx-orin-64gb"));
    assert_int_equal(ew_profile_open(&profile, "./gone.yaml", &err), EW_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_profile_that_ships_is_valid_and_called_as_its_file),
        cmocka_unit_test(watts_are_of_the_model_the_device_or_the_mean),
        cmocka_unit_test(a_profile_without_watts_gives_none),
        cmocka_unit_test(a_fault_is_named),
        cmocka_unit_test(an_unknown_name_lists_the_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
