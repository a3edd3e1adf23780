/* test_json_leaf.c - each kind of value as it is written again. */
#include "flow/json_leaf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void assert_written(const char *text, const char *wanted)
{
    json_t *value = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    struct ew_jsonw json;
    struct ew_buf out;
    assert_true(!text == !value);
    ew_buf_init(&out, 1000);
    ew_jsonw_init(&json, &out, EW_JSONW_COMPACT);
    ew_json_leaf(&json, value);
    assert_int_equal(ew_jsonw_finish(&json, NULL), 0);
    out.data[out.bytes - 1] = '\0'; /* its newline */
    assert_string_equal(out.data, wanted);
    ew_buf_fini(&out);
    json_decref(value);
}

static void test_each_kind_is_written_as_it_was(void **state)
{
    (void)state;
    static const char *const same[] = {"\"\"", "\"a\\\"b\\n\"", "0",    "-12",   "9007199254740993",
                                       "0.1",  "1.5",           "true", "false", "null"};
    for (size_t i = 0; i < EW_COUNT(same); i++)
        assert_written(same[i], same[i]);
    assert_written("35.0", "35");
}

static void test_what_is_none_is_null(void **state)
{
    (void)state;
    assert_written(NULL, "null");
    assert_written("[1]", "null");
    assert_written("{\"a\":1}", "null");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_is_written_as_it_was),
        cmocka_unit_test(test_what_is_none_is_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
