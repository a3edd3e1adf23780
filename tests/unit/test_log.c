/* test_log.c - one clean line an event, nothing above the level, no credentials. */
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* What `what` writes to stderr, as text. */
static const char *capture(void (*what)(void))
{
    static char text[4096];
    FILE *file = tmpfile();
    assert_non_null(file);
    int saved = dup(STDERR_FILENO);
    fflush(stderr);
    dup2(fileno(file), STDERR_FILENO);
    what();
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void one_of_each(void)
{
    ew_log(EW_LOG_ERROR, "e%d", 1);
    ew_log(EW_LOG_WARNING, "w%d", 2);
    ew_log(EW_LOG_INFO, "i%d", 3);
    ew_log(EW_LOG_DEBUG, "d%d", 4);
}

static void test_lines_above_the_level_are_not_written(void **state)
{
    (void)state;
    assert_string_equal(capture(one_of_each), "edgewise: error: e1\nedgewise: warning: w2\n");
    ew_log_set_level(EW_LOG_DEBUG);
    assert_string_equal(capture(one_of_each), "edgewise: error: e1\nedgewise: warning: w2\n"
                                              "edgewise: i3\nedgewise: debug: d4\n");
    ew_log_set_level(EW_LOG_ERROR);
    assert_string_equal(capture(one_of_each), "edgewise: error: e1\n");
    ew_log_set_level(EW_LOG_WARNING);
}

static void two_lines_and_a_key(void)
{
    ew_log(EW_LOG_ERROR, "said '%s' to %s", "a\nb\033[2J", "sk-proj-abc");
}

static void test_a_line_stays_one_line_and_keeps_secrets(void **state)
{
    (void)state;
    assert_string_equal(capture(two_lines_and_a_key), "edgewise: error: said 'a?b?[2J' to ***\n");
}

static void very_long(void)
{
    char text[3000];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    ew_log(EW_LOG_ERROR, "%s", text);
}

static void test_a_long_line_is_cut_and_still_ends(void **state)
{
    (void)state;
    const char *text = capture(very_long);
    assert_in_range(strlen(text), 1000, 1100);
    assert_int_equal(text[strlen(text) - 1], '\n');
}

static void test_what_looks_like_a_credential_is_hidden(void **state)
{
    (void)state;
    static const struct {
        const char *text, *wanted;
    } cases[] = {
        {"Authorization: Bearer abc.def, then", "Authorization: Bearer ***, then"},
        {"key=sk-12345678", "key=***"},
        {"sk-1", "***"},
        {"task-force risk-free", "task-force risk-free"},
        {"Bearer ", "Bearer "},
        {"plain text", "plain text"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[100];
        snprintf(text, sizeof text, "%s", cases[i].text);
        ew_log_clean(text);
        assert_string_equal(text, cases[i].wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_above_the_level_are_not_written),
        cmocka_unit_test(test_a_line_stays_one_line_and_keeps_secrets),
        cmocka_unit_test(test_a_long_line_is_cut_and_still_ends),
        cmocka_unit_test(test_what_looks_like_a_credential_is_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
