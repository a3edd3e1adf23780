/* test_log.c - one clean line an event, nothing above the level, no credentials. */
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* What `what` writes to stderr, as text. */
static const char *capture(void (*what)(void))
{
    static char text[8192];
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
    ew_log_open(EW_LOG_DEBUG, EW_LOG_PLAIN);
    assert_string_equal(capture(one_of_each), "edgewise: error: e1\nedgewise: warning: w2\n"
                                              "edgewise: i3\nedgewise: debug: d4\n");
    ew_log_open(EW_LOG_ERROR, EW_LOG_PLAIN);
    assert_string_equal(capture(one_of_each), "edgewise: error: e1\n");
    ew_log_open(EW_LOG_WARNING, EW_LOG_PLAIN);
}

static void two_lines_and_a_key(void)
{
    ew_log(EW_LOG_ERROR, "said '%s' to %s", "a\nb\033[2J\"", "sk-proj-abc");
}

static void test_a_line_stays_one_line_and_keeps_secrets(void **state)
{
    (void)state;
    assert_string_equal(capture(two_lines_and_a_key),
                        "edgewise: error: said 'a\\nb\\x1b[2J\"' to ***\n");
}

static void very_long(void)
{
    char text[3000];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    ew_log(EW_LOG_ERROR, "%s", text);
    memset(text, 1, sizeof text - 1);
    ew_log(EW_LOG_ERROR, "%s", text);
}

static void test_a_long_line_is_cut_and_still_ends(void **state)
{
    (void)state;
    const char *text = capture(very_long), *second = strchr(text, '\n') + 1;
    assert_in_range(second - text, 1000, 1100);
    assert_in_range(strlen(second), 4000, 4200);
    assert_int_equal(second[strlen(second) - 1], '\n');
}

static void test_times_stand_in_front_where_a_file_needs_them(void **state)
{
    (void)state;
    ew_log_open(EW_LOG_ERROR, EW_LOG_TIMED);
    const char *text = capture(one_of_each);
    int year, month, day, end = 0;
    char *at;
    year = (int)strtol(text, &at, 10);
    month = (int)strtol(at + 1, &at, 10);
    day = (int)strtol(at + 1, &at, 10);
    end = (int)(at - text);
    assert_in_range(year, 2026, 2200);
    assert_in_range(month, 1, 12);
    assert_in_range(day, 1, 31);
    assert_int_equal(end, 10);
    assert_string_equal(text + strlen("2026-11-24T00:31:43.123"), "Z edgewise: error: e1\n");
    ew_log_open(EW_LOG_WARNING, EW_LOG_PLAIN);
}

static void test_json_lines_are_json_whatever_is_quoted(void **state)
{
    (void)state;
    ew_log_open(EW_LOG_WARNING, EW_LOG_JSON);
    const char *text = capture(two_lines_and_a_key);
    ew_log_open(EW_LOG_WARNING, EW_LOG_PLAIN);
    assert_memory_equal(text, "{\"time\":\"20", 11);
    assert_string_equal(strstr(text, "\",\"level\""),
                        "\",\"level\":\"error\","
                        "\"message\":\"said 'a\\\\nb\\\\x1b[2J\\\"' to ***\"}\n");
}

static void to_a_journal(void)
{
    struct stat about;
    char stream[64];
    assert_int_equal(fstat(STDERR_FILENO, &about), 0);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)about.st_dev,
             (unsigned long long)about.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    ew_log_open(EW_LOG_DEBUG, EW_LOG_PLAIN);
    one_of_each();
}

static void to_something_else(void)
{
    setenv("JOURNAL_STREAM", "1:2", 1); /* of a parent; our stderr was turned elsewhere */
    ew_log_open(EW_LOG_ERROR, EW_LOG_PLAIN);
    one_of_each();
}

static void test_the_journal_gets_priorities_and_only_the_journal(void **state)
{
    (void)state;
    assert_string_equal(capture(to_a_journal), "<3>e1\n<4>w2\n<6>i3\n<7>d4\n");
    assert_string_equal(capture(to_something_else), "edgewise: error: e1\n");
    unsetenv("JOURNAL_STREAM");
    ew_log_open(EW_LOG_WARNING, EW_LOG_PLAIN);
}

static void test_what_is_cleaned_and_what_is_left(void **state)
{
    (void)state;
    static const struct {
        const char *text, *wanted;
    } cases[] = {
        {"Authorization: Bearer abcdefgh.ij, then", "Authorization: Bearer ***, then"},
        {"key=sk-12345678", "key=***"},
        {"'ew-0123456789abcdef'", "'***'"},
        {"task-force risk-free, sk-1, new-fashioned-ways",
         "task-force risk-free, sk-1, new-fashioned-ways"},
        {"Bearer ", "Bearer "},
        {"gr\xc3\xbc\xc3\x9f"
         "e",
         "gr\xc3\xbc\xc3\x9f"
         "e"},
        {"a\r\n\tb\x7f", "a\\x0d\\n\\x09b\\x7f"},
        {"\xff(\xc3", "\xef\xbf\xbd(\xef\xbf\xbd"},
        {"\xc2\x9b"
         "2J",
         "\\x9b2J"}, /* CSI in one character */
        {"\xe2\x80\xae"
         "gnp.exe",
         "\\u202egnp.exe"}, /* turns the text around */
    };
    struct ew_buf out;
    ew_buf_init(&out, 1000);
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        ew_buf_clear(&out);
        struct ew_str text = {cases[i].text, strlen(cases[i].text)};
        assert_int_equal(ew_log_clean(&out, text, NULL), 0);
        assert_string_equal(ew_buf_cstr(&out), cases[i].wanted);
    }
    ew_buf_fini(&out);
}

static void test_a_storm_is_one_line_an_interval_that_says_how_many(void **state)
{
    (void)state;
    struct ew_log_rate rate = {0};
    uint64_t lines = 0, events = 0;
    assert_int_equal(ew_log_rate(&rate, 5, 100), 1);
    for (uint64_t now = 6; now <= 1004; now++) {
        uint64_t n = ew_log_rate(&rate, now, 100);
        lines += n > 0;
        events += n;
    }
    assert_int_equal(lines, 9);
    assert_int_equal(events, 900); /* the rest is told by the next */
    assert_int_equal(ew_log_rate(&rate, 5000, 100), 100);
    assert_int_equal(ew_log_rate(&rate, 6000, 100), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_above_the_level_are_not_written),
        cmocka_unit_test(test_a_line_stays_one_line_and_keeps_secrets),
        cmocka_unit_test(test_a_long_line_is_cut_and_still_ends),
        cmocka_unit_test(test_times_stand_in_front_where_a_file_needs_them),
        cmocka_unit_test(test_json_lines_are_json_whatever_is_quoted),
        cmocka_unit_test(test_the_journal_gets_priorities_and_only_the_journal),
        cmocka_unit_test(test_what_is_cleaned_and_what_is_left),
        cmocka_unit_test(test_a_storm_is_one_line_an_interval_that_says_how_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
