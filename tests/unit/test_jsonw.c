/* test_jsonw.c - both styles, escapes, broken UTF-8, numbers that read back, and the limit. */
#include "base/jsonw.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json_plain.h"
#include "base/rng.h"

static struct ew_buf buf;
static struct ew_jsonw json;

static void begin(enum ew_jsonw_style style)
{
    ew_buf_fini(&buf);
    ew_buf_init(&buf, 1 << 16);
    ew_jsonw_init(&json, &buf, style);
}

static const char *done(void)
{
    struct ew_err err = {0};
    assert_int_equal(ew_jsonw_finish(&json, &err), 0);
    return ew_buf_cstr(&buf);
}

static int fini(void **state)
{
    (void)state;
    ew_buf_fini(&buf);
    return 0;
}

static void write_sample(void)
{
    ew_jsonw_object(&json);
    ew_jsonw_put_text(&json, "name", "a");
    ew_jsonw_key(&json, "ids");
    ew_jsonw_array(&json);
    for (int i = -1; i < 2; i++)
        ew_jsonw_int(&json, i);
    ew_jsonw_end(&json);
    ew_jsonw_key(&json, "rows");
    ew_jsonw_array(&json);
    ew_jsonw_object(&json);
    ew_jsonw_put_bool(&json, "ok", true);
    ew_jsonw_end(&json);
    ew_jsonw_object(&json);
    ew_jsonw_end(&json);
    ew_jsonw_end(&json);
    ew_jsonw_put_text(&json, "none", NULL);
    ew_jsonw_key(&json, "empty");
    ew_jsonw_array(&json);
    ew_jsonw_end(&json);
    ew_jsonw_end(&json);
}

static void test_compact_is_one_line_without_spaces(void **state)
{
    (void)state;
    begin(EW_JSONW_COMPACT);
    write_sample();
    assert_string_equal(done(), "{\"name\":\"a\",\"ids\":[-1,0,1],\"rows\":[{\"ok\":true},{}],"
                                "\"none\":null,\"empty\":[]}\n");
}

static void test_what_is_json_already_passes_as_it_is(void **state)
{
    (void)state;
    begin(EW_JSONW_COMPACT);
    ew_jsonw_object(&json);
    ew_jsonw_put_bool(&json, "a", true);
    ew_jsonw_put_raw(&json, (struct ew_str){"\"\\u0062\"", 8}, (struct ew_str){"[ 1.50 ]", 8});
    ew_jsonw_put_raw(&json, (struct ew_str){"\"c\"", 3}, (struct ew_str){"null", 4});
    ew_jsonw_end(&json);
    assert_string_equal(done(), "{\"a\":true,\"\\u0062\":[ 1.50 ],\"c\":null}\n");
}

static void test_pretty_indents_objects_and_keeps_plain_arrays_on_a_line(void **state)
{
    (void)state;
    begin(EW_JSONW_PRETTY);
    write_sample();
    assert_string_equal(done(), "{\n"
                                "  \"name\": \"a\",\n"
                                "  \"ids\": [-1, 0, 1],\n"
                                "  \"rows\": [\n"
                                "    {\n"
                                "      \"ok\": true\n"
                                "    },\n"
                                "    {}\n"
                                "  ],\n"
                                "  \"none\": null,\n"
                                "  \"empty\": []\n"
                                "}\n");
}

static void test_a_plain_value_may_stand_alone(void **state)
{
    (void)state;
    begin(EW_JSONW_PRETTY);
    ew_jsonw_u64(&json, UINT64_MAX);
    assert_string_equal(done(), "18446744073709551615\n");
    begin(EW_JSONW_PRETTY);
    ew_jsonw_int(&json, INT64_MIN);
    assert_string_equal(done(), "-9223372036854775808\n");
}

static void test_text_is_escaped_and_repaired(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t bytes;
        const char *wanted;
    } cases[] = {
        {"a\"b\\c/", 6, "\"a\\\"b\\\\c/\"\n"},
        {"\n\r\t\b\0\x1f\x7f", 7, "\"\\n\\r\\t\\u0008\\u0000\\u001f\\u007f\"\n"},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"\n"},
        {"a\xff"
         "b",
         3,
         "\"a\xef\xbf\xbd"
         "b\"\n"},
        {"\xc3", 1, "\"\xef\xbf\xbd\"\n"},                                 /* cut */
        {"\xc0\x80", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"\n"},                 /* overlong */
        {"\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"\n"}, /* surrogate */
        {"\xf4\x90\x80\x80", 4, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"\n"},
        {"\xf0\x9f\x98!", 4, "\"\xef\xbf\xbd!\"\n"}, /* a start is replaced as a whole */
        {"", 0, "\"\"\n"},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        begin(EW_JSONW_COMPACT);
        ew_jsonw_str(&json, (struct ew_str){cases[i].text, cases[i].bytes});
        assert_string_equal(done(), cases[i].wanted);
    }
}

static void test_reals_are_as_short_as_they_can_be_and_read_back(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *wanted;
    } cases[] = {
        {0.1, "0.1\n"},      {1, "1\n"},           {1.0 / 3, "0.3333333333333333\n"},
        {1e300, "1e+300\n"}, {-2.5, "-2.5\n"},     {0.1 + 0.2, "0.30000000000000004\n"},
        {NAN, "null\n"},     {INFINITY, "null\n"}, {-INFINITY, "null\n"},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        begin(EW_JSONW_COMPACT);
        ew_jsonw_real(&json, cases[i].value);
        assert_string_equal(done(), cases[i].wanted);
    }
    static const double hard[] = {DBL_MIN,     DBL_MAX, DBL_TRUE_MIN,
                                  DBL_EPSILON, 5e-324,  123456789.123};
    for (size_t i = 0; i < EW_COUNT(hard); i++) {
        begin(EW_JSONW_COMPACT);
        ew_jsonw_real(&json, hard[i]);
        assert_true(strtod(done(), NULL) == hard[i]);
    }
}

static void test_digits_round_and_unknown_is_null(void **state)
{
    (void)state;
    begin(EW_JSONW_COMPACT);
    ew_jsonw_array(&json);
    ew_jsonw_digits(&json, 1234.5678, 5);
    ew_jsonw_digits(&json, 2, 5);
    ew_jsonw_digits(&json, NAN, 5);
    ew_jsonw_end(&json);
    assert_string_equal(done(), "[1234.6,2,null]\n");
    begin(EW_JSONW_COMPACT);
    ew_jsonw_object(&json);
    ew_jsonw_put_int(&json, "a", 1);
    ew_jsonw_put_u64(&json, "b", 2);
    ew_jsonw_put_real(&json, "c", 0.5);
    ew_jsonw_put_digits(&json, "d\"", 1.25, 2);
    ew_jsonw_end(&json);
    assert_string_equal(done(), "{\"a\":1,\"b\":2,\"c\":0.5,\"d\\\"\":1.2}\n");
}

static void test_the_first_failure_sticks_until_finish(void **state)
{
    (void)state;
    struct ew_err err = {0};
    struct ew_buf small;
    ew_buf_init(&small, 10);
    ew_jsonw_init(&json, &small, EW_JSONW_COMPACT);
    ew_jsonw_array(&json);
    for (int i = 0; i < 100; i++)
        ew_jsonw_int(&json, 1000);
    ew_jsonw_end(&json);
    assert_int_equal(ew_jsonw_finish(&json, &err), EW_ELIMIT);
    assert_int_equal(err.code, EW_ELIMIT);
    assert_true(small.bytes <= 10);
    ew_buf_fini(&small);
}

static void check_digits(double value, int digits)
{
    char expected[40];
    begin(EW_JSONW_COMPACT);
    ew_jsonw_digits(&json, value, digits);
    snprintf(expected, sizeof expected, "%.*g\n", digits, value);
    const char *made = done();
    if (strcmp(made, expected) != 0)
        fail_msg("%.17g with %d digits: %s, not %s", value, digits, made, expected);
}

static void test_digits_are_those_of_printf(void **state)
{
    (void)state;
    static const double values[] = {0,         -0.0,
                                    1,         -1,
                                    9.5,       99.5,
                                    0.5,       0.25,
                                    0.125,     2.5,
                                    1e-4,      9.9999e-5,
                                    0.0001234, 0.1,
                                    0.01,      0.001,
                                    1e15,      999999.5,
                                    1e22,      123456789,
                                    1e300,     5e-324,
                                    0.9999,    99999.4,
                                    100000,    0.30000000000000004};
    struct ew_rng rng;
    ew_rng_init(&rng, 3);
    for (int digits = 1; digits <= 17; digits++)
        for (size_t i = 0; i < EW_COUNT(values); i++)
            check_digits(values[i], digits);
    for (int i = 0; i < 300000; i++) {
        double value = (ew_rng_uniform(&rng) - .5) * pow(10, (double)ew_rng_below(&rng, 14) - 5);
        if (ew_rng_below(&rng, 4) == 0) /* with few digits itself: in the middle, often */
            value = round(value * 1000) / 1000;
        check_digits(value, 1 + (int)ew_rng_below(&rng, 9));
    }
}

/* Each byte at each place of texts of each length that is looked at in another way. */
static void test_what_stands_as_it_is(void **state)
{
    (void)state;
    enum { BYTES_MAX = 26 };
    char *text = malloc(BYTES_MAX); /* so that a byte read too far is seen */
    assert_non_null(text);
    for (size_t bytes = 0; bytes <= BYTES_MAX; bytes++)
        for (size_t at = 0; at < bytes; at++)
            for (int c = 0; c < 256; c++) {
                char *from = text + BYTES_MAX - bytes;
                memset(from, '~', bytes);
                from[at] = (char)c;
                if (at + 1 < bytes)
                    from[bytes - 1] = (char)(c * 7); /* a second one, behind it, doesn't count */
                size_t wanted = 0;
                while (wanted < bytes && ew_json_is_plain(from[wanted]))
                    wanted++;
                if (ew_json_plain(from, bytes) != wanted)
                    fail_msg("%d at %zu of %zu: %zu, not %zu", c, at, bytes,
                             ew_json_plain(from, bytes), wanted);
            }
    for (int c = 0; c < 256; c++)
        assert_int_equal(ew_json_is_plain((char)c), c >= 0x20 && c < 0x7f && c != '"' && c != '\\');
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_stands_as_it_is),
        cmocka_unit_test(test_compact_is_one_line_without_spaces),
        cmocka_unit_test(test_what_is_json_already_passes_as_it_is),
        cmocka_unit_test(test_pretty_indents_objects_and_keeps_plain_arrays_on_a_line),
        cmocka_unit_test(test_a_plain_value_may_stand_alone),
        cmocka_unit_test(test_text_is_escaped_and_repaired),
        cmocka_unit_test(test_reals_are_as_short_as_they_can_be_and_read_back),
        cmocka_unit_test(test_digits_round_and_unknown_is_null),
        cmocka_unit_test(test_digits_are_those_of_printf),
        cmocka_unit_test(test_the_first_failure_sticks_until_finish),
    };
    return cmocka_run_group_tests(tests, NULL, fini);
}
