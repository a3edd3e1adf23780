/* test_decision.c - every word has its sentence and is found again; the log is the JSON it says. */
#include "flow/decision.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "base/err.h"

static void selections_are_found_by_their_words(void **state)
{
    enum ew_select found;
    (void)state;
    for (int i = 0; i < EW_SELECT_COUNT; i++) {
        assert_true(ew_select_find(ew_select_name((enum ew_select)i), &found));
        assert_int_equal(found, i);
    }
    assert_false(ew_select_find("fastest ", &found));
    assert_false(ew_select_find("", &found));
    assert_string_equal(ew_select_name(EW_SELECT_POWER_OF_TWO), "power-of-two");
}

/* The ledger keeps the words: two that are the same would be one reason. */
static void words_differ_and_have_sentences(void **state)
{
    (void)state;
    for (int i = 0; i < EW_REASON_COUNT; i++) {
        assert_true(strlen(ew_reason_sentence((enum ew_reason)i)) > 0);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(ew_reason_name((enum ew_reason)i),
                                    ew_reason_name((enum ew_reason)j));
    }
    for (int i = 0; i < EW_REFUSAL_COUNT; i++) {
        assert_true(strlen(ew_refusal_sentence((enum ew_refusal)i)) > 0);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(ew_refusal_name((enum ew_refusal)i),
                                    ew_refusal_name((enum ew_refusal)j));
    }
}

static const struct ew_verdict unknown = {.score = NAN,
                                          .ttft_s = NAN,
                                          .total_s = NAN,
                                          .joules = NAN,
                                          .cents = NAN,
                                          .quality = NAN,
                                          .pcr = NAN};

static char *text_of(const struct ew_decision *decision,
                     const struct ew_decision_candidate *candidates, size_t count)
{
    struct ew_buf buf;
    struct ew_jsonw json;
    ew_buf_init(&buf, 1 << 20);
    ew_jsonw_init(&json, &buf, EW_JSONW_COMPACT);
    ew_decision_json(&json, EW_SELECT_LOAD_AWARE, decision, candidates, count);
    assert_int_equal(ew_jsonw_finish(&json, NULL), 0);
    char *text = strdup(ew_buf_cstr(&buf));
    ew_buf_fini(&buf);
    return text;
}

static void the_log_is_told_to_the_letter(void **state)
{
    struct ew_decision_candidate candidates[] = {
        {"openai", true, unknown}, {"nano", false, unknown}, {"agx \"2\"", false, unknown}};
    struct ew_decision decision = {.action = EW_ACTION_GO,
                                   .chosen = 2,
                                   .reason = EW_REASON_SELECTED,
                                   .edge_cents = 0.001234567,
                                   .cloud_cents = NAN};
    (void)state;
    candidates[0].verdict.refusal = EW_REFUSAL_PREFERRED;
    candidates[1].verdict.refusal = EW_REFUSAL_FULL;
    candidates[1].verdict.wait_ns = 1500000000;
    candidates[2].verdict.score = 0.25;
    candidates[2].verdict.pcr = 145.123;
    char *text = text_of(&decision, candidates, EW_COUNT(candidates));
    assert_string_equal(text,
                        "{\"select\":\"load-aware\",\"action\":\"go\",\"chosen\":\"agx \\\"2\\\"\","
                        "\"reason\":\"selected\",\"edge_cents\":0.001235,\"candidates\":["
                        "{\"name\":\"agx \\\"2\\\"\",\"cloud\":false,\"score\":0.25,\"pcr\":145.1},"
                        "{\"name\":\"openai\",\"cloud\":true,\"refusal\":\"preferred\"},"
                        "{\"name\":\"nano\",\"cloud\":false,\"refusal\":\"full\",\"wait_s\":1.5}],"
                        "\"others\":0}\n");
    free(text);
}

/* A thousand devices don't make a row of the ledger a megabyte. */
static void many_candidates_are_counted(void **state)
{
    static struct ew_decision_candidate candidates[1000];
    struct ew_decision decision = {
        .action = EW_ACTION_GO, .chosen = 999, .edge_cents = NAN, .cloud_cents = NAN};
    (void)state;
    for (size_t i = 0; i < EW_COUNT(candidates); i++) {
        candidates[i] = (struct ew_decision_candidate){"refused", false, unknown};
        candidates[i].verdict.refusal = i < 990 ? EW_REFUSAL_DOWN : EW_REFUSAL_NONE;
    }
    candidates[500].verdict.wait_ns = EW_VERDICT_NEVER;
    for (size_t i = 990; i < 1000; i++)
        candidates[i].name = "able";
    candidates[999].name = "chosen";
    char *text = text_of(&decision, candidates, EW_COUNT(candidates));
    json_t *root = json_loads(text, 0, NULL), *list = json_object_get(root, "candidates");
    assert_int_equal(json_array_size(list), EW_DECISION_LOGGED_MAX);
    assert_int_equal(json_integer_value(json_object_get(root, "others")),
                     1000 - EW_DECISION_LOGGED_MAX);
    for (size_t i = 0; i < EW_DECISION_LOGGED_MAX; i++)
        assert_string_equal(json_string_value(json_object_get(json_array_get(list, i), "name")),
                            i == 0   ? "chosen"
                            : i < 10 ? "able"
                                     : "refused");
    json_decref(root);
    free(text);
}

static void nothing_to_choose_from_is_told(void **state)
{
    struct ew_decision decision = {.action = EW_ACTION_REJECT,
                                   .chosen = -1,
                                   .reason = EW_REASON_CAPABILITY,
                                   .edge_cents = NAN,
                                   .cloud_cents = NAN};
    (void)state;
    char *text = text_of(&decision, NULL, 0);
    assert_string_equal(text, "{\"select\":\"load-aware\",\"action\":\"reject\","
                              "\"reason\":\"capability\",\"candidates\":[],\"others\":0}\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selections_are_found_by_their_words),
        cmocka_unit_test(words_differ_and_have_sentences),
        cmocka_unit_test(the_log_is_told_to_the_letter),
        cmocka_unit_test(many_candidates_are_counted),
        cmocka_unit_test(nothing_to_choose_from_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
