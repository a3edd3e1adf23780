/* test_spares.c - what is taken is zero, what is given comes back, no more is kept than said. */
#include "base/spares.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { BYTES = 5000, MAX = 3 };

static void assert_zero(const unsigned char *memory)
{
    for (size_t i = 0; i < BYTES; i++)
        assert_int_equal(memory[i], 0);
}

static void test_what_is_taken_is_zero_whoever_had_it(void **state)
{
    (void)state;
    struct ew_spares spares;
    ew_spares_init(&spares, BYTES, MAX);
    for (int round = 0; round < 4; round++) {
        unsigned char *memory = ew_spares_take(&spares);
        assert_non_null(memory);
        assert_zero(memory);
        memset(memory, 0xA5, BYTES);
        ew_spares_give(&spares, memory);
    }
    ew_spares_fini(&spares);
}

static void test_no_more_is_kept_than_said_and_none_is_given_twice(void **state)
{
    (void)state;
    struct ew_spares spares;
    void *taken[MAX + 2];
    ew_spares_init(&spares, BYTES, MAX);
    const unsigned max = spares.max; /* none under a sanitizer */
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < MAX + 2; i++) {
            taken[i] = ew_spares_take(&spares);
            assert_non_null(taken[i]);
            for (size_t k = 0; k < i; k++)
                assert_ptr_not_equal(taken[i], taken[k]);
        }
        assert_int_equal(spares.count, 0);
        for (size_t i = 0; i < MAX + 2; i++)
            ew_spares_give(&spares, taken[i]);
        assert_int_equal(spares.count, max);
    }
    ew_spares_give(&spares, NULL);
    assert_int_equal(spares.count, max);
    ew_spares_fini(&spares);
    assert_int_equal(spares.count, 0);
    assert_null(spares.first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_taken_is_zero_whoever_had_it),
        cmocka_unit_test(test_no_more_is_kept_than_said_and_none_is_given_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
