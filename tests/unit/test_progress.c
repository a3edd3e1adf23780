/* test_progress.c - the line at given times, and silence where there is no terminal. */
#include "base/progress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static uint64_t now_ns;

static uint64_t virtual_now(void *state)
{
    (void)state;
    return now_ns;
}

static const struct ew_clock clock_virtual = {virtual_now, NULL};

static void test_the_line_says_how_much_how_fast_and_how_long(void **state)
{
    (void)state;
    static const struct {
        enum ew_progress_unit unit;
        uint64_t first, done, total;
        unsigned seconds;
        int columns;
        const char *wanted;
    } cases[] = {
        {EW_PROGRESS_BYTES, 0, 50000000, 100000000, 10, 80,
         "model  50% [==============>             ]  50.0 MB/100.0 MB  5.0 MB/s  0:10 left"},
        {EW_PROGRESS_BYTES, 0, 0, 999, 0, 60,
         "model   0% [>                            ]  0 B/999 B  0 B/s"},
        {EW_PROGRESS_COUNT, 0, 3, 3, 2, 60,
         "model 100% [========================]  3/3  1.5/s  0:00 left"},
        {EW_PROGRESS_COUNT, 0, 10, 100000, 10, 41, "model   0%  10/100000  1/s  27:46:30 left"},
        {EW_PROGRESS_BYTES, 0, 123456, 0, 1, 60, "model  123.5 kB  123.5 kB/s"},
        {EW_PROGRESS_BYTES, 90000000, 95000000, 100000000, 5, 20, "model  95%  95.0 MB/"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ew_progress progress;
        char text[256];
        ew_progress_begin(&progress, "model", cases[i].first, cases[i].total, cases[i].unit);
        progress.start_ns = 1000;
        progress.live = false;
        ew_progress_set(&progress, cases[i].done);
        ew_progress_line(&progress, 1000 + cases[i].seconds * (uint64_t)EW_NS_PER_S,
                         cases[i].columns, text, sizeof text);
        assert_string_equal(text, cases[i].wanted);
    }
}

static void test_what_was_done_before_does_not_count_as_speed(void **state)
{
    (void)state;
    struct ew_progress progress;
    char text[256];
    ew_progress_begin(&progress, "m", 90, 100, EW_PROGRESS_COUNT);
    progress.start_ns = 0;
    progress.done = 95;
    ew_progress_line(&progress, 5 * (uint64_t)EW_NS_PER_S, 80, text, sizeof text);
    assert_non_null(strstr(text, "95/100  1/s  0:05 left"));
}

static void test_it_draws_ten_times_a_second_at_most_and_wipes_itself(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    struct ew_progress progress;
    ew_progress_begin(&progress, "m", 0, 1000, EW_PROGRESS_COUNT);
    bool live = progress.live;
    progress.live = true;
    progress.clock = &clock_virtual;
    progress.start_ns = now_ns = 0;
    for (int i = 0; i <= 1000; i++, now_ns += EW_NS_PER_MS)
        ew_progress_set(&progress, (uint64_t)i);
    ew_progress_end(&progress);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    char text[4096];
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    int lines = 0;
    for (const char *at = text; (at = strchr(at, '\r')); at++)
        lines++;
    assert_false(live); /* a file is no terminal */
    assert_int_equal(lines, 11);
    assert_string_equal(text + strlen(text) - 4, "\r\033[K");
}

static void test_without_a_terminal_nothing_is_written(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    struct ew_progress progress;
    ew_progress_begin(&progress, "m", 0, 10, EW_PROGRESS_COUNT);
    progress.clock = &clock_virtual;
    now_ns = progress.start_ns;
    for (int i = 0; i <= 10; i++, now_ns += EW_NS_PER_S)
        ew_progress_set(&progress, (uint64_t)i);
    ew_progress_end(&progress);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    assert_int_equal(lseek(fileno(file), 0, SEEK_END), 0);
    fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_line_says_how_much_how_fast_and_how_long),
        cmocka_unit_test(test_what_was_done_before_does_not_count_as_speed),
        cmocka_unit_test(test_it_draws_ten_times_a_second_at_most_and_wipes_itself),
        cmocka_unit_test(test_without_a_terminal_nothing_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
