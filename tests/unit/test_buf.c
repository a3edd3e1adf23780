/* test_buf.c - growth, the ceiling, the NUL behind, and failed adds that change nothing. */
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_an_empty_buffer_is_an_empty_string(void **state)
{
    (void)state;
    struct ew_buf buf;
    ew_buf_init(&buf, 10);
    assert_string_equal(ew_buf_cstr(&buf), "");
    ew_buf_clear(&buf);
    ew_buf_fini(&buf);
    ew_buf_fini(&buf);
}

static void test_what_is_added_comes_out_in_order(void **state)
{
    (void)state;
    struct ew_buf buf;
    struct ew_err err = {0};
    ew_buf_init(&buf, 100000);
    size_t wanted = 0;
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(ew_buf_printf(&buf, &err, "%d,", i), 0);
        wanted += (size_t)(i < 10 ? 2 : i < 100 ? 3 : i < 1000 ? 4 : 5);
        assert_int_equal(buf.bytes, wanted);
        assert_int_equal(buf.data[buf.bytes], '\0');
    }
    assert_memory_equal(buf.data, "0,1,2,3,", 8);
    assert_string_equal(buf.data + buf.bytes - 5, "2999,");
    ew_buf_fini(&buf);
}

static void test_the_ceiling_is_exact_and_a_failed_add_changes_nothing(void **state)
{
    (void)state;
    struct ew_buf buf;
    struct ew_err err = {0};
    volatile size_t all = SIZE_MAX; /* not for the compiler to see: it would warn */
    ew_buf_init(&buf, 5);
    assert_int_equal(ew_buf_text(&buf, "abc", &err), 0);
    assert_int_equal(ew_buf_text(&buf, "def", &err), EW_ELIMIT);
    assert_string_equal(err.text, "3 bytes and 3 more: the limit is 5");
    assert_int_equal(ew_buf_printf(&buf, NULL, "%s", "def"), EW_ELIMIT);
    assert_int_equal(ew_buf_add(&buf, "x", all, NULL), EW_ELIMIT);
    assert_string_equal(ew_buf_cstr(&buf), "abc");
    assert_int_equal(ew_buf_text(&buf, "de", &err), 0);
    assert_string_equal(ew_buf_cstr(&buf), "abcde");
    assert_int_equal(ew_buf_add(&buf, "", 0, &err), 0);
    ew_buf_fini(&buf);
}

static void test_clear_keeps_the_memory_and_forgets_the_bytes(void **state)
{
    (void)state;
    struct ew_buf buf;
    ew_buf_init(&buf, 50);
    assert_int_equal(ew_buf_text(&buf, "hello", NULL), 0);
    const char *was = buf.data;
    ew_buf_clear(&buf);
    assert_string_equal(ew_buf_cstr(&buf), "");
    assert_int_equal(ew_buf_text(&buf, "ab", NULL), 0);
    assert_ptr_equal(buf.data, was);
    assert_string_equal(buf.data, "ab");
    ew_buf_fini(&buf);
}

static void test_bytes_may_hold_nul_and_str_compares_by_length(void **state)
{
    (void)state;
    struct ew_buf buf;
    ew_buf_init(&buf, 50);
    assert_int_equal(ew_buf_add(&buf, "a\0b", 3, NULL), 0);
    assert_int_equal(buf.bytes, 3);
    assert_memory_equal(buf.data, "a\0b", 4);
    struct ew_str a = {buf.data, 1}, all = {buf.data, 3};
    assert_true(ew_str_is(a, "a"));
    assert_false(ew_str_is(all, "a"));
    assert_false(ew_str_is(a, "ab"));
    ew_buf_fini(&buf);
}

static void test_a_copy_is_cut_where_it_does_not_fit(void **state)
{
    (void)state;
    char to[4];
    ew_str_copy(to, sizeof to, "");
    assert_string_equal(to, "");
    ew_str_copy(to, sizeof to, "abc");
    assert_string_equal(to, "abc");
    ew_str_copy(to, sizeof to, "abcd");
    assert_string_equal(to, "abc");
    ew_str_copy(to, 1, "a");
    assert_string_equal(to, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_copy_is_cut_where_it_does_not_fit),
        cmocka_unit_test(test_an_empty_buffer_is_an_empty_string),
        cmocka_unit_test(test_what_is_added_comes_out_in_order),
        cmocka_unit_test(test_the_ceiling_is_exact_and_a_failed_add_changes_nothing),
        cmocka_unit_test(test_clear_keeps_the_memory_and_forgets_the_bytes),
        cmocka_unit_test(test_bytes_may_hold_nul_and_str_compares_by_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
