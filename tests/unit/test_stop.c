/* test_stop.c - stop strings: met wherever they are cut, and never shown in part. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/rng.h"
#include "base/stop.h"

/* What naive search on the whole text would show: up to the stop string that is complete first. */
static size_t shown_by_search(const char *text, const char *const *stops, size_t count, bool *met)
{
    size_t bytes = strlen(text);
    *met = false;
    for (size_t end = 1; end <= bytes; end++) {
        size_t longest = 0;
        for (size_t i = 0; i < count; i++) {
            size_t n = strlen(stops[i]);
            if (n <= end && n > longest && memcmp(text + end - n, stops[i], n) == 0)
                longest = n;
        }
        if (longest) {
            *met = true;
            return end - longest;
        }
    }
    return bytes;
}

static void check_stream(const char *text, const char *const *stops, size_t count,
                         struct ew_rng *rng)
{
    struct ew_stop stop;
    struct ew_buf out;
    bool met;
    size_t bytes = strlen(text), want = shown_by_search(text, stops, count, &met);
    ew_buf_init(&out, 1 << 16);
    assert_int_equal(ew_stop_init(&stop, stops, count, NULL), 0);
    for (size_t at = 0; at < bytes;) {
        size_t n = 1 + ew_rng_below(rng, 4);
        n = n > bytes - at ? bytes - at : n;
        assert_int_equal(ew_stop_push(&stop, text + at, n, &out, NULL), 0);
        assert_true(out.bytes <= want); /* nothing of the stop string has leaked */
        at += n;
    }
    assert_int_equal(stop.met, met);
    assert_int_equal(ew_stop_flush(&stop, &out, NULL), 0);
    assert_int_equal(out.bytes, want);
    assert_memory_equal(ew_buf_cstr(&out), text, want);
    ew_buf_fini(&out);
}

static void test_examples_agree_with_search_on_the_whole_text(void **state)
{
    (void)state;
    static const struct {
        const char *text, *stops[4];
    } rows[] = {
        {"hello world", {"wor"}},
        {"aaaaab", {"aab"}},
        {"ababac", {"abac", "x"}},
        {"one\n\nQuestion: two", {"\nQuestion:", "</s>"}},
        {"abc", {"abcd", "bc"}},
        {"xabcy", {"abc", "bc", "c"}},
        {"no stop", {"stopp"}},
        {"<|im_en <|im_end|>", {"<|im_end|>"}},
        {"", {"a"}},
        {"aXbX", {"X", "aX"}},
        {"tail <", {"<|", "< "}},
    };
    struct ew_rng rng;
    ew_rng_init(&rng, 1);
    for (size_t i = 0; i < EW_COUNT(rows); i++) {
        size_t count = 0;
        while (rows[i].stops[count])
            count++;
        for (int j = 0; j < 20; j++)
            check_stream(rows[i].text, rows[i].stops, count, &rng);
    }
}

static void test_random_texts_agree_with_search_on_the_whole_text(void **state)
{
    (void)state;
    struct ew_rng rng;
    ew_rng_init(&rng, 7);
    for (int round = 0; round < 5000; round++) {
        char text[40], strings[3][8];
        const char *stops[3] = {strings[0], strings[1], strings[2]};
        size_t n = ew_rng_below(&rng, sizeof text);
        for (size_t i = 0; i < n; i++)
            text[i] = (char)('a' + ew_rng_below(&rng, 2));
        text[n] = '\0';
        for (int s = 0; s < 3; s++) {
            size_t m = 1 + ew_rng_below(&rng, sizeof strings[s] - 1);
            for (size_t i = 0; i < m; i++)
                strings[s][i] = (char)('a' + ew_rng_below(&rng, 2));
            strings[s][m] = '\0';
        }
        check_stream(text, stops, 1 + ew_rng_below(&rng, 3), &rng);
    }
}

static void test_limits_are_told(void **state)
{
    (void)state;
    struct ew_stop stop;
    struct ew_err err;
    char too_long[EW_STOP_BYTES_MAX + 2];
    memset(too_long, 'x', sizeof too_long);
    too_long[sizeof too_long - 1] = '\0';
    const char *one[] = {too_long}, *empty[] = {""}, *many[EW_STOP_COUNT_MAX + 1] = {0};
    assert_int_equal(ew_stop_init(&stop, one, 1, &err), EW_EINVAL);
    assert_non_null(strstr(err.text, "257 bytes"));
    assert_int_equal(ew_stop_init(&stop, empty, 1, &err), EW_EINVAL);
    assert_int_equal(ew_stop_init(&stop, many, EW_COUNT(many), &err), EW_EINVAL);
    assert_non_null(strstr(err.text, "at most 16"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples_agree_with_search_on_the_whole_text),
        cmocka_unit_test(test_random_texts_agree_with_search_on_the_whole_text),
        cmocka_unit_test(test_limits_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
