/* test_token.c - who may join: once, in time, and only with what this front has signed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/token.h"

static char folder[] = "/tmp/test_token.XXXXXX";
static char path[128];

static struct ew_tokens *open_tokens(void)
{
    struct ew_tokens *tokens = NULL;
    struct ew_err err = {0};
    assert_int_equal(ew_tokens_open(&tokens, path, &err), 0);
    return tokens;
}

static int take(struct ew_tokens *tokens, const char *text, int64_t now_s, char *name,
                struct ew_err *err)
{
    enum ew_token_kind kind;
    int failed = ew_tokens_check(tokens, text, now_s, &kind, name, err);
    return failed ? failed : ew_tokens_use(tokens, text, now_s, err);
}

static void test_a_secret_is_made_once_and_nobody_else_reads_it(void **state)
{
    struct stat s;
    (void)state;
    struct ew_tokens *tokens = open_tokens();
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);
    char text[EW_TOKEN_BYTES], name[EW_TOKEN_NAME_BYTES];
    assert_int_equal(ew_tokens_make(tokens, EW_TOKEN_MEMBER, "pi", 1000, text, NULL), 0);
    ew_tokens_close(&tokens);
    tokens = open_tokens(); /* the same secret: it is a member still */
    assert_int_equal(take(tokens, text, 2000, name, NULL), 0);
    assert_string_equal(name, "pi");
    assert_int_equal(take(tokens, text, 2001, name, NULL), 0); /* as often as it comes back */
    ew_tokens_close(&tokens);
}

static void test_a_join_token_is_for_one_device_also_after_a_restart(void **state)
{
    char text[EW_TOKEN_BYTES], name[EW_TOKEN_NAME_BYTES];
    struct ew_err err = {0};
    (void)state;
    struct ew_tokens *tokens = open_tokens();
    assert_int_equal(ew_tokens_make(tokens, EW_TOKEN_JOIN, "", 1000, text, NULL), 0);
    assert_int_equal(take(tokens, text, 1000 + EW_TOKEN_JOIN_S, name, &err), 0);
    assert_int_equal(take(tokens, text, 1001, name, &err), EW_EINVAL);
    assert_non_null(strstr(err.text, "used already"));
    ew_tokens_close(&tokens);
    tokens = open_tokens();
    assert_int_equal(take(tokens, text, 1001, name, &err), EW_EINVAL);
    assert_non_null(strstr(err.text, "used already"));
    ew_tokens_close(&tokens);
}

/* A device that isn't let in (its name is taken, say) shows it again. */
static void test_a_token_that_is_only_looked_at_is_as_good_as_before(void **state)
{
    char text[EW_TOKEN_BYTES], name[EW_TOKEN_NAME_BYTES], aside[160];
    struct ew_err err = {0};
    enum ew_token_kind kind;
    (void)state;
    struct ew_tokens *tokens = open_tokens();
    assert_int_equal(ew_tokens_make(tokens, EW_TOKEN_JOIN, "pi", 1000, text, NULL), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ew_tokens_check(tokens, text, 1001, &kind, name, &err), 0);
    assert_int_equal(kind, EW_TOKEN_JOIN);
    assert_string_equal(name, "pi");
    snprintf(aside, sizeof aside, "%s.aside", folder);
    assert_int_equal(rename(folder, aside), 0); /* nothing can be written */
    int failed = ew_tokens_use(tokens, text, 1001, &err);
    assert_true(failed && failed != EW_EINVAL);
    assert_int_equal(rename(aside, folder), 0);
    assert_int_equal(ew_tokens_use(tokens, text, 1001, &err), 0);
    assert_int_equal(ew_tokens_use(tokens, text, 1001, &err), EW_EINVAL);
    assert_int_equal(ew_tokens_check(tokens, text, 1001, &kind, name, &err), EW_EINVAL);
    assert_non_null(strstr(err.text, "used already"));
    ew_tokens_close(&tokens);
}

static void test_tokens_run_out(void **state)
{
    char text[EW_TOKEN_BYTES], name[EW_TOKEN_NAME_BYTES];
    struct ew_err err = {0};
    (void)state;
    struct ew_tokens *tokens = open_tokens();
    ew_tokens_make(tokens, EW_TOKEN_JOIN, "a", 1000, text, NULL);
    assert_int_equal(take(tokens, text, 1001 + EW_TOKEN_JOIN_S, name, &err), EW_EINVAL);
    assert_non_null(strstr(err.text, "has run out"));
    ew_tokens_make(tokens, EW_TOKEN_MEMBER, "a", 1000, text, NULL);
    assert_int_equal(take(tokens, text, 1001 + EW_TOKEN_MEMBER_S, name, &err), EW_EINVAL);
    ew_tokens_close(&tokens);
}

/* Each character changed makes it another's. */
static void test_nothing_in_a_token_can_be_changed(void **state)
{
    char text[EW_TOKEN_BYTES], name[EW_TOKEN_NAME_BYTES];
    struct ew_err err = {0};
    (void)state;
    struct ew_tokens *tokens = open_tokens();
    ew_tokens_make(tokens, EW_TOKEN_MEMBER, "pi", 1000, text, NULL);
    size_t bytes = strlen(text);
    for (size_t i = 0; i < bytes; i++) {
        char old = text[i];
        text[i] = old == '0' ? '1' : '0';
        assert_int_equal(take(tokens, text, 1001, name, &err), EW_EINVAL);
        assert_string_equal(err.text, "this token isn't of this front");
        text[i] = old;
    }
    const char *const nonsense[] = {"", ".", "....", "ewm1", "ewm1.pi.1.2.3", "ewj1.a.b.c.d"};
    for (size_t i = 0; i < EW_COUNT(nonsense); i++)
        assert_int_equal(take(tokens, nonsense[i], 1001, name, NULL), EW_EINVAL);
    ew_tokens_close(&tokens);
}

static void test_names_are_plain(void **state)
{
    char text[EW_TOKEN_BYTES];
    const char *const bad[] = {"a.b", "a b", "ä", "a/b",
                               "0123456789012345678901234567890123456789012345678901234567890123"};
    (void)state;
    struct ew_tokens *tokens = open_tokens();
    for (size_t i = 0; i < EW_COUNT(bad); i++)
        assert_int_equal(ew_tokens_make(tokens, EW_TOKEN_JOIN, bad[i], 0, text, NULL), EW_EINVAL);
    ew_tokens_close(&tokens);
}

static void test_a_file_that_is_no_secret_is_refused(void **state)
{
    struct ew_tokens *tokens = NULL;
    struct ew_err err = {0};
    char other[160];
    (void)state;
    snprintf(other, sizeof other, "%s/short", folder);
    FILE *file = fopen(other, "w");
    fputs("abc\n", file);
    fclose(file);
    assert_int_equal(ew_tokens_open(&tokens, other, &err), EW_EFORMAT);
    assert_null(tokens);
    assert_non_null(strstr(err.text, "isn't a secret: it has 3 characters"));
    unlink(other);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/join.secret", folder);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_secret_is_made_once_and_nobody_else_reads_it),
        cmocka_unit_test(test_a_join_token_is_for_one_device_also_after_a_restart),
        cmocka_unit_test(test_a_token_that_is_only_looked_at_is_as_good_as_before),
        cmocka_unit_test(test_tokens_run_out),
        cmocka_unit_test(test_nothing_in_a_token_can_be_changed),
        cmocka_unit_test(test_names_are_plain),
        cmocka_unit_test(test_a_file_that_is_no_secret_is_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char used[160];
    snprintf(used, sizeof used, "%s.used", path);
    unlink(used);
    unlink(path);
    rmdir(folder);
    return failed;
}
