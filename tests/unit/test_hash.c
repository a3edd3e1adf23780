/* test_hash.c - texts that differ in little have other sums, in all of their bits. */
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include <cmocka.h>

enum { BYTES = 40 };

static uint64_t sum_of(const char *text, size_t bytes)
{
    return ew_hash_bytes(EW_HASH_START, text, bytes);
}

static void test_each_bit_of_a_text_and_its_length_count(void **state)
{
    (void)state;
    char text[BYTES] = {0};
    for (size_t bytes = 1; bytes <= BYTES; bytes++) {
        const uint64_t sum = sum_of(text, bytes);
        assert_int_not_equal(sum, sum_of(text, bytes - 1));
        for (size_t bit = 0; bit < 8 * bytes; bit++) {
            text[bit / 8] ^= (char)(1 << bit % 8);
            assert_int_not_equal(sum, sum_of(text, bytes));
            text[bit / 8] ^= (char)(1 << bit % 8);
        }
    }
}

/* Names of servers and of models are spread by the low bits, wherever they differ. */
static void test_low_bits_are_spread(void **state)
{
    (void)state;
    enum { BUCKETS = 256, LEAST = 100 }; /* of 256 thrown at random, 162 are hit */
    char text[BYTES];
    memset(text, 'x', sizeof text);
    for (size_t bytes = 1; bytes <= BYTES; bytes++)
        for (size_t at = 0; at < bytes; at++) {
            bool hit[BUCKETS] = {false};
            unsigned count = 0;
            for (int c = 0; c < BUCKETS; c++) {
                text[at] = (char)c;
                const uint64_t low = sum_of(text, bytes) / 2 % BUCKETS;
                count += !hit[low];
                hit[low] = true;
            }
            text[at] = 'x';
            assert_in_range(count, LEAST, BUCKETS);
        }
}

/* As the sticky table has it: client, model and words one after the other. */
static void test_the_start_matters(void **state)
{
    (void)state;
    assert_int_not_equal(ew_hash_bytes(1, "conversation", 12),
                         ew_hash_bytes(2, "conversation", 12));
    assert_int_equal(ew_hash_bytes(7, NULL, 0), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_bit_of_a_text_and_its_length_count),
        cmocka_unit_test(test_low_bits_are_spread),
        cmocka_unit_test(test_the_start_matters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
