/* test_scan.c - one pass over JSON: what it takes is what jansson takes, and means the same. */
#include "api/scan.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

static bool takes(const char *text, size_t bytes)
{
    char *copy = malloc(bytes + !bytes); /* of its very size: a byte too far is seen */
    assert_non_null(copy);
    memcpy(copy, text, bytes);
    struct ew_scan s;
    ew_scan_open(&s, (struct ew_str){copy, bytes});
    ew_scan_skip(&s);
    bool done = ew_scan_done(&s);
    free(copy);
    return done;
}

static void test_values_are_taken_or_left(void **state)
{
    (void)state;
    static const char *const taken[] = {
        "{}",
        "[]",
        " [ ] ",
        "null",
        "true",
        "false",
        "0",
        "-0",
        "12",
        "1.50",
        "-3.25",
        "\"\"",
        "\"a\\n\\\"\\\\\\/\\b\\f\\r\\t\"",
        "\"\xc3\xa4 \xf0\x9f\x98\x80\x7f\"",
        "{\"a\":{\"b\":[1,2,[],{}]},\"c\":null}",
        "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]",
        "123456789012345678",
        "\t{\r\n\"a\" : 1 , \"b\":[ 2 ]} \n",
    };
    static const char *const left[] = {
        "",
        "{",
        "}",
        "[1,]",
        "[,1]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "nul",
        "nulll",
        "truefalse",
        "01",
        "-",
        "1.",
        ".5",
        "+1",
        "\"",
        "\"a",
        "\"\\",
        "\"\\x\"",
        "\"\n\"",
        "\"\xff\"",
        "\"\xc3\"",
        "[1 2]",
        "{\"a\":1 \"b\":2}",
        "1 1",
        "[1}",
        "{\"a\":1]",
        "\"a\" x",
        /* unusual ones, which are JSON */
        "1e3",
        "\"\\u0041\"",
        "1234567890123456789",
        "{\"\\n\":1}",
        "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]",
    };
    for (size_t i = 0; i < EW_COUNT(taken); i++)
        if (!takes(taken[i], strlen(taken[i])))
            fail_msg("left: %s", taken[i]);
    for (size_t i = 0; i < EW_COUNT(left); i++)
        if (takes(left[i], strlen(left[i])))
            fail_msg("taken: %s", left[i]);
    assert_false(takes("1\0", 2));
}

static void test_an_object_is_walked(void **state)
{
    (void)state;
    const char *text =
        "{\"text\": \"a\\tb\", \"n\": -17, \"no\": null, \"list\": [1, {\"x\": 2}, 3]}";
    struct ew_scan s;
    struct ew_str key, raw;
    char out[8];
    int64_t n = 0;
    ew_scan_open(&s, (struct ew_str){text, strlen(text)});
    assert_true(ew_scan_enter(&s, '{'));
    assert_true(ew_scan_key(&s, &key) && ew_str_is(key, "text"));
    ew_scan_text(&s, &raw);
    assert_true(ew_str_is(raw, "a\\tb"));
    assert_int_equal(ew_scan_unescape(raw, out), 3);
    assert_memory_equal(out, "a\tb", 3);
    assert_true(ew_scan_key(&s, &key) && ew_str_is(key, "n"));
    assert_true(ew_scan_whole(&s, &n));
    assert_int_equal(n, -17);
    assert_true(ew_scan_key(&s, &key) && ew_str_is(key, "no"));
    assert_false(ew_scan_whole(&s, &n));
    assert_false(s.odd);
    assert_true(ew_scan_key(&s, &key) && ew_str_is(key, "list"));
    assert_true(ew_scan_enter(&s, '['));
    int items = 0;
    for (; ew_scan_item(&s); items++)
        ew_scan_skip(&s);
    assert_int_equal(items, 3);
    assert_false(ew_scan_key(&s, &key));
    assert_true(ew_scan_done(&s));
}

static void test_what_is_of_another_type_is_odd(void **state)
{
    (void)state;
    static const char *const texts[] = {"1", "\"a\"", "[]", "1.5", "true", "1e2"};
    for (size_t i = 0; i < EW_COUNT(texts); i++) {
        struct ew_scan s;
        struct ew_str raw;
        int64_t n;
        bool text = *texts[i] == '"', whole = i == 0;
        ew_scan_open(&s, (struct ew_str){texts[i], strlen(texts[i])});
        ew_scan_text(&s, &raw);
        assert_int_equal(ew_scan_done(&s), text);
        ew_scan_open(&s, (struct ew_str){texts[i], strlen(texts[i])});
        (void)ew_scan_whole(&s, &n);
        assert_int_equal(ew_scan_done(&s), whole);
    }
}

/* Whatever is taken, jansson takes: also where a few bytes were changed, cut or put in. */
static void test_nothing_is_taken_that_is_no_json(void **state)
{
    (void)state;
    static const char text[] =
        "{\"id\":\"c-1\",\"n\":[0,-1.25,170],\"t\":\"a\\n\\\"\xc3\xa4\",\"x\":{}"
        ",\"y\":[[],{\"z\":null}],\"b\":true}";
    static const char odd[] = "{}[]\",:\\0123-.eEntf \n\x01\xff\xc3/u";
    struct ew_rng rng;
    ew_rng_init(&rng, 7);
    int taken = 0;
    for (int i = 0; i < 200000; i++) {
        char changed[sizeof text + 4];
        size_t bytes = sizeof text - 1;
        memcpy(changed, text, bytes);
        for (uint64_t k = ew_rng_below(&rng, 4); k > 0; k--) {
            size_t at = ew_rng_below(&rng, (uint32_t)bytes);
            if (ew_rng_below(&rng, 3)) {
                changed[at] = odd[ew_rng_below(&rng, sizeof odd - 1)];
            } else {
                memmove(changed + at, changed + at + 1, bytes - at - 1);
                bytes--;
            }
        }
        if (!takes(changed, bytes))
            continue;
        json_t *root = json_loadb(changed, bytes, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
        if (!root)
            fail_msg("taken: %.*s", (int)bytes, changed);
        json_decref(root);
        taken++;
    }
    assert_in_range(taken, 10000, 190000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_are_taken_or_left),
        cmocka_unit_test(test_an_object_is_walked),
        cmocka_unit_test(test_what_is_of_another_type_is_odd),
        cmocka_unit_test(test_nothing_is_taken_that_is_no_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
