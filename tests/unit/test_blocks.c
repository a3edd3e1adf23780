/* test_blocks.c - the table of weight types, and the search for weights that aren't numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/rng.h"
#include "kernels/kernels.h"

enum { WEIGHTS = 768, BYTES_MAX = WEIGHTS * 4 };

static const enum ew_type all[] = {
#define X(name, id, weights, bytes) EW_TYPE_##name,
    EW_TYPES(X)
#undef X
};

static void test_types_are_found_by_number_and_others_are_not(void **state)
{
    (void)state;
    assert_string_equal(ew_type_describe(8)->name, "Q8_0");
    assert_int_equal(ew_type_describe(14)->weights, 256);
    assert_null(ew_type_describe(4));
    assert_null(ew_type_describe(EW_TYPE_COUNT));
    assert_null(ew_type_describe(UINT32_MAX));
}

static bool all_finite(const float *x, int n)
{
    for (int i = 0; i < n; i++)
        if (!(x[i] - x[i] == 0))
            return false;
    return true;
}

/* Bytes that mean anything at all: the check must say what the decoded weights say. A scale that
 * isn't finite may be hidden by levels of 0 or an offset of none, never the other way round. */
static void test_finite_scales_are_what_finite_weights_are_made_of(void **state)
{
    (void)state;
    struct ew_rng rng;
    ew_rng_init(&rng, 7);
    for (size_t t = 0; t < sizeof all / sizeof *all; t++) {
        const struct ew_type_info *info = ew_type_describe(all[t]);
        size_t bytes = (size_t)(WEIGHTS / info->weights * info->bytes);
        int seen[2] = {0};
        for (int round = 0; round < 300; round++) {
            uint8_t data[BYTES_MAX];
            float x[WEIGHTS];
            for (size_t i = 0; i < bytes; i++) /* exponents of all ones are rare enough so */
                data[i] = (uint8_t)(ew_rng_below(&rng, 256) & (round % 2 ? 0xbb : 0xff));
            bool finite = ew_blocks_finite(all[t], data, WEIGHTS);
            ew_row_decode(all[t], data, x, WEIGHTS);
            if (finite)
                assert_true(all_finite(x, WEIGHTS));
            else if (info->weights == 1)
                assert_false(all_finite(x, WEIGHTS));
            seen[finite]++;
        }
        if (!seen[0] || !seen[1])
            fail_msg("%s: %d damaged, %d finite: one kind wasn't tried", info->name, seen[0],
                     seen[1]);
    }
}

static void test_a_scale_that_is_no_number_is_found_in_every_block(void **state)
{
    (void)state;
    static const uint16_t bad[] = {0x7c00, 0xfc00, 0x7e00, 0xffff};
    static const struct {
        enum ew_type type;
        size_t at;
    } places[] = {
        {EW_TYPE_Q4_0, 0}, {EW_TYPE_Q4_1, 0}, {EW_TYPE_Q4_1, 2}, {EW_TYPE_Q5_0, 0},
        {EW_TYPE_Q5_1, 0}, {EW_TYPE_Q5_1, 2}, {EW_TYPE_Q8_0, 0}, {EW_TYPE_Q4_K, 0},
        {EW_TYPE_Q4_K, 2}, {EW_TYPE_Q5_K, 0}, {EW_TYPE_Q5_K, 2}, {EW_TYPE_Q6_K, 208},
        {EW_TYPE_F16, 0},
    };
    for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
        const struct ew_type_info *info = ew_type_describe(places[p].type);
        size_t count = (size_t)(WEIGHTS / info->weights);
        for (size_t b = 0; b < count; b++)
            for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                uint8_t data[BYTES_MAX] = {0};
                assert_true(ew_blocks_finite(places[p].type, data, WEIGHTS));
                memcpy(data + b * (size_t)info->bytes + places[p].at, &bad[i], sizeof bad[i]);
                assert_false(ew_blocks_finite(places[p].type, data, WEIGHTS));
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types_are_found_by_number_and_others_are_not),
        cmocka_unit_test(test_finite_scales_are_what_finite_weights_are_made_of),
        cmocka_unit_test(test_a_scale_that_is_no_number_is_found_in_every_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
