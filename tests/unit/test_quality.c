/* test_quality.c - published scores: the table that ships, names, and tables with faults. */
#include "flow/quality.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define ROW(model, score)                                                                          \
    "- {model: " model ", title: T, benchmark: gsm8k, score: " score                               \
    ", protocol: 0-shot, source: S, as_of: 2026-01}\n"

static int parse(struct ew_quality_table **table, const char *text, struct ew_err *err)
{
    return ew_quality_parse(table, (struct ew_str){text, strlen(text)}, "q.yaml", err);
}

static void the_table_that_ships_knows_the_default_model(void **state)
{
    (void)state;
    struct ew_quality_table *table = NULL;
    struct ew_err err = {0};
    assert_int_equal(ew_quality_open(&table, &err), 0);
    const struct ew_quality *row = ew_quality_find(table, "smollm2-135m", "gsm8k");
    assert_non_null(row);
    assert_float_equal(row->score, 0.024, 0);
    assert_true(row->source[0] != '\0');
    ew_quality_close(&table);
    assert_null(table);
}

static void a_file_called_like_a_model_has_its_score(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        bool found;
    } cases[] = {{"m-1b", true},      {"m-1b.gguf", true}, {"/a/b/m-1b.gguf", true}, {"m-1", false},
                 {"m-1b.bin", false}, {".gguf", false},    {"m-1b-it", false},       {"", false},
                 {"dir/", false},     {"./m-1b", true},    {"m-1b.gguf/", false}};
    struct ew_quality_table *table = NULL;
    struct ew_err err = {0};
    assert_int_equal(parse(&table, ROW("m-1b", "0.5"), &err), 0);
    for (size_t i = 0; i < EW_COUNT(cases); i++)
        assert_int_equal(ew_quality_find(table, cases[i].model, "gsm8k") != NULL, cases[i].found);
    assert_null(ew_quality_find(table, "m-1b", "mmlu"));
    ew_quality_close(&table);
}

static void a_score_beyond_one_or_an_unknown_key_is_refused(void **state)
{
    (void)state;
    struct ew_quality_table *table = NULL;
    struct ew_err err = {0};
    assert_int_equal(parse(&table, ROW("a", "0.1") ROW("percent", "41.8"), &err), EW_EFORMAT);
    assert_non_null(strstr(err.text, "percent"));
    assert_null(table);
    assert_int_equal(parse(&table, ROW("a", "-0.1"), &err), EW_EFORMAT);
    assert_int_equal(parse(&table, ROW("a", ".nan"), &err), EW_EFORMAT);
    assert_int_equal(parse(&table, "- {model: a, colour: red}\n", &err), EW_EFORMAT);
    ew_quality_close(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_that_ships_knows_the_default_model),
        cmocka_unit_test(a_file_called_like_a_model_has_its_score),
        cmocka_unit_test(a_score_beyond_one_or_an_unknown_key_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
