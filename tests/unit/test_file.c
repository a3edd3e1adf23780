/* test_file.c - reading within limits, writing all or nothing, folders, and XDG's rules. */
#include "base/file.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char root[] = "/tmp/ew-test-file-XXXXXX";
static char path_room[4][600];

static const char *in_root(const char *name)
{
    static int turn;
    char *path = path_room[turn++ % 4];
    snprintf(path, sizeof path_room[0], "%s/%s", root, name);
    return path;
}

static int setup(void **state)
{
    (void)state;
    return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

static int count_entries(const char *path)
{
    int count = 0;
    DIR *dir = opendir(path);
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count - 2; /* . and .. */
}

static void assert_content(const char *path, const char *wanted)
{
    struct ew_buf buf;
    ew_buf_init(&buf, 1000);
    assert_int_equal(ew_file_read(&buf, path, NULL), 0);
    assert_string_equal(ew_buf_cstr(&buf), wanted);
    ew_buf_fini(&buf);
}

static void test_what_is_written_is_read_back(void **state)
{
    (void)state;
    struct ew_err err = {0};
    const char *path = in_root("a");
    assert_int_equal(ew_file_write(path, "hello", 5, &err), 0);
    assert_content(path, "hello");
    assert_int_equal(ew_file_write(path, "", 0, &err), 0);
    assert_content(path, "");
    assert_int_equal(count_entries(root), 1); /* no draft is left */
}

static void test_a_large_file_is_read_whole_and_the_limit_is_exact(void **state)
{
    (void)state;
    enum { BYTES = 300001 };
    char *data = malloc(BYTES);
    struct ew_err err = {0};
    struct ew_buf buf;
    for (int i = 0; i < BYTES; i++)
        data[i] = (char)(i * 7);
    assert_int_equal(ew_file_write(in_root("large"), data, BYTES, &err), 0);
    ew_buf_init(&buf, BYTES);
    assert_int_equal(ew_file_read(&buf, in_root("large"), &err), 0);
    assert_int_equal(buf.bytes, BYTES);
    assert_memory_equal(buf.data, data, BYTES);
    ew_buf_fini(&buf);
    ew_buf_init(&buf, BYTES - 1);
    assert_int_equal(ew_file_read(&buf, in_root("large"), &err), EW_ELIMIT);
    assert_non_null(strstr(err.text, "large: "));
    ew_buf_fini(&buf);
    free(data);
}

static void test_errors_name_the_path_and_the_cause(void **state)
{
    (void)state;
    struct ew_err err = {0};
    struct ew_buf buf;
    ew_buf_init(&buf, 100);
    assert_int_equal(ew_file_read(&buf, "/nonexistent/file", &err), EW_ENOTFOUND);
    assert_string_equal(err.text, "can't open /nonexistent/file: No such file or directory");
    assert_int_equal(ew_file_read(&buf, "/tmp", &err), EW_EIO);
    assert_string_equal(err.text, "can't read /tmp: Is a directory");
    assert_int_equal(ew_file_write("/nonexistent/file", "", 0, &err), EW_ENOTFOUND);
    assert_int_equal(ew_file_write(root, "", 0, &err), EW_EIO);
    ew_buf_fini(&buf);
}

static void test_a_rewritten_file_keeps_its_mode_and_links_are_followed(void **state)
{
    (void)state;
    struct stat about;
    const char *path = in_root("mode"), *link = in_root("link");
    assert_int_equal(ew_file_write(path, "1", 1, NULL), 0);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(symlink("mode", link), 0);
    assert_int_equal(ew_file_write(link, "2", 1, NULL), 0);
    assert_content(path, "2");
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0640);
    assert_int_equal(lstat(link, &about), 0);
    assert_true(S_ISLNK(about.st_mode));
}

static void test_a_new_file_gets_the_mode_of_the_umask(void **state)
{
    (void)state;
    struct stat about;
    mode_t was = umask(027);
    assert_int_equal(ew_file_write(in_root("new"), "1", 1, NULL), 0);
    umask(was);
    assert_int_equal(stat(in_root("new"), &about), 0);
    assert_int_equal(about.st_mode & 0777, 0640);
}

static void test_folders_are_made_down_to_the_last(void **state)
{
    (void)state;
    struct ew_err err = {0};
    struct stat about;
    assert_int_equal(ew_file_mkdirs(in_root("x/y//z/"), &err), 0);
    assert_int_equal(ew_file_mkdirs(in_root("x/y/z"), &err), 0);
    assert_int_equal(stat(in_root("x/y/z"), &about), 0);
    assert_true(S_ISDIR(about.st_mode));
    assert_int_equal(ew_file_write(in_root("x/file"), "", 0, &err), 0);
    assert_int_equal(ew_file_mkdirs(in_root("x/file"), &err), EW_EIO);
    assert_int_equal(ew_file_mkdirs(in_root("x/file/below"), &err), EW_EIO);
    assert_int_equal(ew_file_mkdirs("", &err), EW_EINVAL);
}

static void test_user_folders_follow_xdg(void **state)
{
    (void)state;
    struct ew_err err = {0};
    char path[100];
    setenv("HOME", "/home/me", 1);
    unsetenv("XDG_CACHE_HOME");
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("XDG_DATA_HOME");
    assert_int_equal(ew_file_dir(EW_FILE_CACHE, path, sizeof path, &err), 0);
    assert_string_equal(path, "/home/me/.cache/edgewise");
    assert_int_equal(ew_file_dir(EW_FILE_CONFIG, path, sizeof path, &err), 0);
    assert_string_equal(path, "/home/me/.config/edgewise");
    assert_int_equal(ew_file_dir(EW_FILE_DATA, path, sizeof path, &err), 0);
    assert_string_equal(path, "/home/me/.local/share/edgewise");
    setenv("XDG_CACHE_HOME", "/var/fast", 1);
    assert_int_equal(ew_file_dir(EW_FILE_CACHE, path, sizeof path, &err), 0);
    assert_string_equal(path, "/var/fast/edgewise");
    setenv("XDG_CACHE_HOME", "relative", 1);
    assert_int_equal(ew_file_dir(EW_FILE_CACHE, path, sizeof path, &err), 0);
    assert_string_equal(path, "/home/me/.cache/edgewise");
    assert_int_equal(ew_file_dir(EW_FILE_CACHE, path, 10, &err), EW_ELIMIT);
    unsetenv("HOME");
    assert_int_equal(ew_file_dir(EW_FILE_CONFIG, path, sizeof path, &err), EW_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read_back),
        cmocka_unit_test(test_a_large_file_is_read_whole_and_the_limit_is_exact),
        cmocka_unit_test(test_errors_name_the_path_and_the_cause),
        cmocka_unit_test(test_a_rewritten_file_keeps_its_mode_and_links_are_followed),
        cmocka_unit_test(test_a_new_file_gets_the_mode_of_the_umask),
        cmocka_unit_test(test_folders_are_made_down_to_the_last),
        cmocka_unit_test(test_user_folders_follow_xdg),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
