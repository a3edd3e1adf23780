/* test_ref_math.c - our mathematics against libm in higher precision. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "kernels/kernels_int.h"

/* Distance of y from the true value in units of the last place of a float near it. */
static double ulps(float y, double truth)
{
    float near = (float)truth;
    double ulp = fabs((double)nextafterf(near, INFINITY) - near);
    return fabs(y - truth) / ulp;
}

static void test_exp_is_within_two_ulp_over_its_whole_range(void **state)
{
    (void)state;
    double worst = 0;

    for (int i = 0; i <= 4000000; i++) {
        float x = (float)(-87.29 + i * (175.98 / 4000000));
        worst = fmax(worst, ulps(ew_expf(x), exp((double)x)));
    }
    for (int i = 0; i <= 1000000; i++) {
        float x = (float)ldexp(i - 500000, -19);
        worst = fmax(worst, ulps(ew_expf(x), exp((double)x)));
    }
    print_message("exp: worst error %.3f ulp\n", worst);
    assert_true(worst < 2);
}

static void test_exp_ends_in_zero_and_in_the_largest_number(void **state)
{
    (void)state;
    assert_true(ew_expf(0) == 1.0f);
    assert_true(ew_expf(-0.0f) == 1.0f);
    assert_true(ew_expf(-87.4f) == 0.0f);
    assert_true(ew_expf(-INFINITY) == 0.0f);
    assert_true(ew_expf(-1e30f) == 0.0f);
    assert_true(ew_expf(88.8f) == EW_EXP_HUGE);
    assert_true(ew_expf(INFINITY) == EW_EXP_HUGE);
    assert_true(isfinite(ew_expf(88.7f)));
    assert_true(ew_expf(-87.3f) > 0);
}

static void test_tanh_is_close_everywhere_and_odd(void **state)
{
    (void)state;
    double worst = 0;

    for (int i = -2000000; i <= 2000000; i++) {
        float x = (float)(i * 1e-5);
        worst = fmax(worst, ulps(ew_tanhf(x), tanh((double)x)));
        assert_true(ew_tanhf(-x) == -ew_tanhf(x));
    }
    print_message("tanh: worst error %.3f ulp\n", worst);
    assert_true(worst < 3);
    assert_true(ew_tanhf(1e30f) == 1.0f);
    assert_true(ew_tanhf(-INFINITY) == -1.0f);
    assert_true(ew_tanhf(1e-30f) == 1e-30f);
}

static void test_sine_and_cosine_are_exact_to_1e_12_up_to_two_to_the_31(void **state)
{
    (void)state;
    double worst = 0;

    for (int i = 0; i < 2000000; i++) {
        /* From 1e-9 to 2^31, both signs, dense in the logarithm. */
        double x = exp(-20.7 + i * ((21.48 + 20.7) / 2000000)) * (i & 1 ? -1 : 1);
        double s, c;
        ew_sincos(x, &s, &c);
        worst = fmax(worst, (double)fabsl(s - sinl((long double)x)));
        worst = fmax(worst, (double)fabsl(c - cosl((long double)x)));
    }
    for (int i = 0; i < 200000; i++) { /* near multiples of pi / 4, where the quadrant changes */
        double x = i * 0.78539816339744830962, s, c;
        ew_sincos(x, &s, &c);
        worst = fmax(worst, (double)fabsl(s - sinl((long double)x)));
        worst = fmax(worst, (double)fabsl(c - cosl((long double)x)));
    }
    print_message("sincos: worst error %.2g\n", worst);
    assert_true(worst < 1e-12);
}

/* The value of a half float from its definition. */
static double half_value(uint16_t h)
{
    int exponent = h >> 10 & 31, fraction = h & 1023;
    double magnitude = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    return h & 0x8000 ? -magnitude : magnitude;
}

static void test_every_half_float_becomes_its_value_and_comes_back(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float f = ew_half_to_float((uint16_t)h);
        if ((h & 0x7c00) == 0x7c00) {
            assert_true(h & 0x3ff ? isnan(f) : isinf(f));
            assert_int_equal(signbit(f) != 0, h >> 15);
            continue;
        }
        assert_true(f == half_value((uint16_t)h));
        assert_int_equal(signbit(f) != 0, h >> 15);
        assert_int_equal(ew_half_from_float(f), h);
    }
}

static void test_halves_round_to_nearest_even_between_neighbours(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7bff; h++) {
        float low = ew_half_to_float((uint16_t)h), high = ew_half_to_float((uint16_t)(h + 1));
        float middle = (low + high) / 2; /* exact: a float has 13 bits more */
        uint32_t even = h & 1 ? h + 1 : h;
        assert_int_equal(ew_half_from_float(middle), even);
        assert_int_equal(ew_half_from_float(nextafterf(middle, 0)), h);
        assert_int_equal(ew_half_from_float(nextafterf(middle, INFINITY)), h + 1);
        assert_int_equal(ew_half_from_float(-middle), even | 0x8000);
    }
}

static void test_halves_saturate_instead_of_overflowing(void **state)
{
    (void)state;
    static const struct {
        float from;
        uint16_t to;
    } cases[] = {{65504, 0x7bff},     {65519, 0x7bff},  {65520, 0x7bff},
                 {1e30f, 0x7bff},     {-1e30f, 0xfbff}, {INFINITY, 0x7bff},
                 {-INFINITY, 0xfbff}, {NAN, 0xfbff},    {1e-30f, 0},
                 {-1e-30f, 0x8000},   {0, 0},           {-0.0f, 0x8000}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(ew_half_from_float(cases[i].from), cases[i].to);
}

static void test_bf16_is_the_upper_half_of_a_float(void **state)
{
    (void)state;
    assert_true(ew_bf16_to_float(0x3f80) == 1.0f);
    assert_true(ew_bf16_to_float(0xc049) == -3.140625f);
    assert_true(ew_bf16_to_float(0x0001) == ldexpf(1, -133));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exp_is_within_two_ulp_over_its_whole_range),
        cmocka_unit_test(test_exp_ends_in_zero_and_in_the_largest_number),
        cmocka_unit_test(test_tanh_is_close_everywhere_and_odd),
        cmocka_unit_test(test_sine_and_cosine_are_exact_to_1e_12_up_to_two_to_the_31),
        cmocka_unit_test(test_every_half_float_becomes_its_value_and_comes_back),
        cmocka_unit_test(test_halves_round_to_nearest_even_between_neighbours),
        cmocka_unit_test(test_halves_saturate_instead_of_overflowing),
        cmocka_unit_test(test_bf16_is_the_upper_half_of_a_float),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
