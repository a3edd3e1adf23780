/* test_splice.c - fields by their bytes, whatever stands between them, and what is no JSON. */
#include "api/splice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* "key=value|key=value", or "broken" behind what was found until then. */
static void list(const char *text, char *out, size_t size)
{
    size_t bytes = strlen(text), at = 0;
    char *copy = malloc(bytes + !bytes); /* of its very size: a byte too far is seen */
    assert_non_null(copy);
    memcpy(copy, text, bytes);
    struct ew_splice s;
    ew_splice_open(&s, (struct ew_str){copy, bytes});
    *out = '\0';
    while (ew_splice_next(&s))
        at += (size_t)snprintf(out + at, size - at, "%.*s=%.*s|", (int)s.key.bytes,
                               s.key.data ? s.key.data : "", (int)s.value.bytes, s.value.data);
    if (s.broken)
        snprintf(out + at, size - at, "broken");
    assert_false(ew_splice_next(&s));
    free(copy);
}

static void test_fields_are_found_with_their_bytes(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{}", ""},
        {" [ ] \n", ""},
        {"{\"a\":1,\"b\":\"x,}\\\"\",\"a\":null}", "\"a\"=1|\"b\"=\"x,}\\\"\"|\"a\"=null|"},
        {"\t{ \"a\" : { \"b\" : [ 1 , {} ] } ,\r\n\"c\" :-1e5\n}", "\"a\"={ \"b\" : [ 1 , {} ] }|"
                                                                   "\"c\"=-1e5|"},
        {"[1, \"]\", [[],[{}]], {\"}\":\"]\"} , true]",
         "=1|=\"]\"|=[[],[{}]]|={\"}\":\"]\"}|=true|"},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        char got[512];
        list(cases[i][0], got, sizeof got);
        assert_string_equal(got, cases[i][1]);
    }
}

static void test_what_is_no_json_is_broken_and_never_read_beyond(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",          " ",        "1",         "\"a\"",
        "{",         "[",        "{\"a",      "{\"a\"",
        "{\"a\":",   "{\"a\":1", "{\"a\":1,", "{\"a\":1,}",
        "{\"a\" 1}", "{a:1}",    "{1:1}",     "[1",
        "[1,",       "[1,]",     "[,1]",      "[1 2]",
        "[\"\\",     "[\"\\\"",  "[[1]",      "{}x",
        "[]]",       "{\"a\":}", "{\"a\":[}", "{\"a\":{\"b\":\"}",
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        char got[256];
        list(cases[i], got, sizeof got);
        if (!strstr(got, "broken"))
            fail_msg("'%s' is fine: %s", cases[i], got);
    }
}

static void test_a_key_is_known_however_it_is_written(void **state)
{
    (void)state;
    static const char text[] = "{\"usage\":1,\"us\\u0061ge\":2,\"usag\":3,\"usage\\u0000\":4,"
                               "\"us\\qge\":5,\"\":6,\"usagf\":7}";
    static const bool is[] = {true, true, false, false, false, false, false};
    struct ew_splice s;
    size_t i = 0;
    ew_splice_open(&s, (struct ew_str){text, sizeof text - 1});
    for (; ew_splice_next(&s); i++)
        assert_int_equal(ew_splice_is(&s, "usage"), is[i]);
    assert_int_equal(i, EW_COUNT(is));
    assert_false(s.broken);
}

static void test_compact_text_is_one_line(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {" { \"a b\" : [ 1 ,\n\t\"\\\" x\" ] }\r\n", "{\"a b\":[1,\"\\\" x\"]}"},
        {"\"a b", "\"a b"},
        {"true ", "true"},
    };
    struct ew_buf out;
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        ew_buf_init(&out, 64);
        struct ew_str text = {cases[i][0], strlen(cases[i][0])};
        assert_int_equal(ew_splice_compact(&out, text, NULL), 0);
        assert_string_equal(ew_buf_cstr(&out), cases[i][1]);
        ew_buf_fini(&out);
    }
    ew_buf_init(&out, 6);
    assert_int_equal(ew_buf_text(&out, "ab", NULL), 0);
    assert_int_equal(ew_splice_compact(&out, (struct ew_str){"[1, 2, 3]", 9}, NULL), EW_ELIMIT);
    assert_string_equal(ew_buf_cstr(&out), "ab");
    ew_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_are_found_with_their_bytes),
        cmocka_unit_test(test_what_is_no_json_is_broken_and_never_read_beyond),
        cmocka_unit_test(test_a_key_is_known_however_it_is_written),
        cmocka_unit_test(test_compact_text_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
