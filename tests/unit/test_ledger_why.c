/* test_ledger_why.c - a log of decisions that was cut anywhere: what is whole of it is told. What
 * is said of it: tests/golden/ledger/why_*. */
#include "cmd/ledger_why.h"

#include "base/file.h"
#include "flow/decision.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char whole[] =
    "[{\"select\":\"fastest\",\"chosen\":\"a\",\"candidates\":[{\"name\":\"a}]\\\"\",\"cents\":1e-"
    "05},"
    "{\"name\":\"b\\\\\",\"cloud\":true}],\"others\":0},"
    "{\"select\":\"fastest\",\"chosen\":null,\"candidates\":[],\"others\":3}]";

static size_t candidates_of(const json_t *decisions)
{
    size_t count = 0, i;
    const json_t *decision;
    json_array_foreach(decisions, i, decision) count +=
        json_array_size(json_object_get(decision, "candidates"));
    return count;
}

static void a_whole_text_stays_as_it_is(void **state)
{
    struct ew_buf out;
    bool cut = true;
    (void)state;
    ew_buf_init(&out, 1 << 16);
    assert_true(ew_ledger_why_decisions(whole, &out, &cut));
    assert_false(cut);
    assert_string_equal(out.data, whole);
    ew_buf_fini(&out);
}

/* At no length is anything said that wasn't there, and nothing that is whole is lost. */
static void a_cut_text_gives_what_is_whole(void **state)
{
    size_t most = 0;
    (void)state;
    for (size_t bytes = 0; bytes < sizeof whole - 1; bytes++) {
        struct ew_buf out;
        char text[sizeof whole];
        bool cut = false;
        memcpy(text, whole, bytes);
        text[bytes] = '\0';
        ew_buf_init(&out, 1 << 16);
        bool some = ew_ledger_why_decisions(text, &out, &cut);
        assert_true(cut);
        json_t *json = some ? json_loads(out.data, 0, NULL) : NULL;
        assert_true(some == json_is_array(json));
        size_t count = candidates_of(json);
        assert_true(count >= most); /* more text, not less told */
        most = count;
        const char *second = strstr(text, "b\\\\\",\"cloud\":true}");
        assert_int_equal(count, second ? 2 : strstr(text, "1e-05}") ? 1 : 0);
        json_decref(json);
        ew_buf_fini(&out);
    }
    assert_int_equal(most, 2);
}

static void what_is_no_log_gives_nothing(void **state)
{
    static const char *const texts[] = {
        "", "hello", "{}", "null", "[}", "]]]]{}", "[[[[[[[[[[[[[[[[[[[[", "\"[{}"};
    (void)state;
    for (size_t i = 0; i < EW_COUNT(texts); i++) {
        struct ew_buf out;
        bool cut = false;
        ew_buf_init(&out, 1 << 16);
        assert_false(ew_ledger_why_decisions(texts[i], &out, &cut));
        assert_true(cut);
        ew_buf_fini(&out);
    }
}

static void the_page_has_every_reason(void **state)
{
    struct ew_buf page;
    struct ew_err err = {0};
    (void)state;
    ew_buf_init(&page, 1 << 20);
    if (ew_file_read(&page, "docs/LEDGER.md", &err))
        fail_msg("%s", err.text);
    for (int i = EW_REASON_NONE + 1; i < EW_REASON_COUNT; i++) {
        char row[256];
        snprintf(row, sizeof row, "\n| %s | %s |\n", ew_reason_name((enum ew_reason)i),
                 ew_reason_sentence((enum ew_reason)i));
        if (!strstr(ew_buf_cstr(&page), row))
            fail_msg("docs/LEDGER.md lacks the row:%s", row);
    }
    ew_buf_fini(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_text_stays_as_it_is),
        cmocka_unit_test(a_cut_text_gives_what_is_whole),
        cmocka_unit_test(what_is_no_log_gives_nothing),
        cmocka_unit_test(the_page_has_every_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
