/* test_scan_tree.c - every text has the tree that jansson gives it, or its error. */
#include "api/scan_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

/* The same tree, also the types of its numbers; both give one back, or both fail alike. */
static void check(const char *text, size_t bytes)
{
    json_error_t ours = {0}, theirs = {0};
    json_t *a = ew_scan_tree((struct ew_str){text, bytes}, NULL, &ours);
    json_t *b = json_loadb(text, bytes, JSON_ALLOW_NUL, &theirs);
    char *left = a ? json_dumps(a, JSON_REAL_PRECISION(17)) : NULL;
    char *right = b ? json_dumps(b, JSON_REAL_PRECISION(17)) : NULL;
    if (!a != !b || (a && !json_equal(a, b)) || (left && right && strcmp(left, right) != 0))
        fail_msg("%.*s: %s, not %s", (int)bytes, text, left ? left : ours.text,
                 right ? right : theirs.text);
    if (!a) {
        assert_string_equal(ours.text, theirs.text);
        assert_int_equal(ours.position, theirs.position);
    }
    free(left);
    free(right);
    json_decref(a);
    json_decref(b);
}

static void test_texts_have_their_trees(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}",
        " [] ",
        "",
        "1",
        "\"a\"",
        "null",
        "{\"a\":1,\"a\":2}",
        "[1.5,-0,-0.0,0.1,1e3,12]",
        "{\"a\":[true,false,null,\"\",\"x\\n\\\"\\u00e4\"],\"b\":{\"c\":{}}}",
        "[\"\\t\\\\\"]",
        "[123456789012345678,12345678901234567890]",
        "[0.1234567890123456789]",
        "[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]",
        "{\"a\":}",
        "[1,]",
        "{\"a\":1}x",
        "{\"keys of more than sixty-four bytes are left to jansson, which has no limit\":1}",
        "{\"\":0}",
        "[\"\\u0000\"]",
        "[\"\xff\"]",
        "{\"a\\n\":1}",
        "{\"temperature\": 0.7}",
        "[1234567.123456789012345678]",
    };
    for (size_t i = 0; i < EW_COUNT(texts); i++)
        check(texts[i], strlen(texts[i]));
    check("[1]\0", 4);
    json_error_t error = {0};
    assert_null(ew_scan_tree((struct ew_str){NULL, 0}, NULL, &error));
    assert_true(*error.text);
}

static void test_changed_texts_have_their_trees(void **state)
{
    (void)state;
    static const char text[] =
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\\nb "
        "\xc3\xa4\"}],\"temperature\":0.7,\"n\":1,\"x\":[null,true,{}]}";
    static const char odd[] = "{}[]\",:\\01-.eutfn \xff";
    struct ew_rng rng;
    ew_rng_init(&rng, 5);
    for (int i = 0; i < 50000; i++) {
        char changed[sizeof text];
        size_t bytes = sizeof text - 1;
        memcpy(changed, text, sizeof text);
        for (uint64_t k = ew_rng_below(&rng, 3); k > 0; k--)
            changed[ew_rng_below(&rng, bytes)] = odd[ew_rng_below(&rng, sizeof odd - 1)];
        check(changed, bytes - ew_rng_below(&rng, 2) * ew_rng_below(&rng, 9));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_have_their_trees),
        cmocka_unit_test(test_changed_texts_have_their_trees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
