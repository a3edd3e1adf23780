/* test_err.c - sentences, their length, and the one table of codes. */
#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_fail_returns_the_code_and_writes_the_sentence(void **state)
{
    (void)state;
    struct ew_err err = {0};
    assert_int_equal(ew_fail(&err, EW_EFORMAT, "tensor %s: %d dims", "a", 5), EW_EFORMAT);
    assert_int_equal(err.code, EW_EFORMAT);
    assert_string_equal(err.text, "tensor a: 5 dims");
    assert_int_equal(ew_fail(NULL, EW_EIO, "nobody listens"), EW_EIO);
}

static void test_fail_cuts_what_is_too_long(void **state)
{
    (void)state;
    struct ew_err err = {0};
    char many[400];
    memset(many, 'a', sizeof many - 1);
    many[sizeof many - 1] = '\0';
    ew_fail(&err, EW_EIO, "%s", many);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

static void test_fail_in_puts_the_place_in_front(void **state)
{
    (void)state;
    struct ew_err err = {0};
    ew_fail(&err, EW_EFORMAT, "bad magic");
    assert_int_equal(ew_fail_in(&err, EW_EIO, "%s line %d", "m.gguf", 3), EW_EIO);
    assert_string_equal(err.text, "m.gguf line 3: bad magic");
    assert_int_equal(err.code, EW_EIO);
    char many[400];
    memset(many, 'b', sizeof many - 1);
    many[sizeof many - 1] = '\0';
    ew_fail_in(&err, EW_EIO, "%s", many);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

static void test_every_code_has_text_http_and_exit_status(void **state)
{
    (void)state;
#define X(name, number, http, status, text)                                                        \
    assert_string_equal(ew_error_text(name), text);                                                \
    assert_int_equal(ew_error_http(name), http);                                                   \
    assert_int_equal(ew_error_exit(name), status);                                                 \
    assert_in_range(http, 400, 599);                                                               \
    assert_in_range(status, 1, 2);
    EW_ERRORS(X)
#undef X
    assert_int_equal(ew_error_exit(EW_EINVAL), 2);
}

static void test_zero_is_success_and_strangers_are_failures(void **state)
{
    (void)state;
    assert_string_equal(ew_error_text(0), "no error");
    assert_int_equal(ew_error_http(0), 200);
    assert_int_equal(ew_error_exit(0), 0);
    assert_string_equal(ew_error_text(-999), "unknown error");
    assert_int_equal(ew_error_http(-999), 500);
    assert_int_equal(ew_error_exit(-999), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fail_returns_the_code_and_writes_the_sentence),
        cmocka_unit_test(test_fail_cuts_what_is_too_long),
        cmocka_unit_test(test_fail_in_puts_the_place_in_front),
        cmocka_unit_test(test_every_code_has_text_http_and_exit_status),
        cmocka_unit_test(test_zero_is_success_and_strangers_are_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
