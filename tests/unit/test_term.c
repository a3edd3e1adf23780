/* test_term.c - width of text, and what isn't a terminal. */
#include "base/term.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_width_counts_what_is_seen(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int columns;
    } cases[] = {
        {"", 0},
        {"plain", 5},
        {"caf\xc3\xa9", 4},
        {"cafe\xcc\x81", 4},             /* e and a combining accent */
        {"\xe4\xbd\xa0\xe5\xa5\xbd", 4}, /* two Chinese characters */
        {"\xf0\x9f\x98\x80!", 3},        /* an emoji */
        {"\xc2\xb5J", 2},                /* micro sign */
        {"\xe2\x80\x8b", 0},             /* zero width space */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(ew_term_width(cases[i].text, strlen(cases[i].text)), cases[i].columns);
}

static void test_a_file_is_no_terminal_and_has_no_colors(void **state)
{
    (void)state;
    int fd = open("/dev/null", O_RDWR);
    assert_false(ew_term_is(fd));
    assert_false(ew_term_colors(fd));
    close(fd);
}

static void test_columns_come_from_the_environment_else_80(void **state)
{
    (void)state;
    int fd = open("/dev/null", O_RDWR);
    static const struct {
        const char *columns;
        int wanted;
    } cases[] = {{"132", 132}, {"0", 80}, {"wide", 80}, {"-4", 80}, {"99999999", 80}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setenv("COLUMNS", cases[i].columns, 1);
        assert_int_equal(ew_term_columns(fd), cases[i].wanted);
    }
    unsetenv("COLUMNS");
    assert_int_equal(ew_term_columns(fd), 80);
    close(fd);
}

/* A pseudo-terminal stands in for the user's. */
static void test_a_terminal_has_colors_unless_told_otherwise(void **state)
{
    (void)state;
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) || unlockpt(master)) {
        print_message("no pseudo-terminal can be had here\n");
        skip();
    }
    int fd = open(ptsname(master), O_RDWR | O_NOCTTY);
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    assert_true(ew_term_is(fd));
    assert_true(ew_term_colors(fd));
    setenv("NO_COLOR", "", 1);
    assert_true(ew_term_colors(fd));
    setenv("NO_COLOR", "1", 1);
    assert_false(ew_term_colors(fd));
    assert_true(ew_term_is(fd));
    unsetenv("NO_COLOR");
    setenv("TERM", "dumb", 1);
    assert_false(ew_term_is(fd));
    assert_false(ew_term_colors(fd));
    close(fd);
    close(master);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_width_counts_what_is_seen),
        cmocka_unit_test(test_a_file_is_no_terminal_and_has_no_colors),
        cmocka_unit_test(test_columns_come_from_the_environment_else_80),
        cmocka_unit_test(test_a_terminal_has_colors_unless_told_otherwise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
