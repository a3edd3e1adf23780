/* test_bad_files.c - every kind of bad model file is refused, in the words that docs/BAD_FILES.md
 * shows.
 *
 *     test_bad_files           checks, the page too
 *     test_bad_files --table   prints the page (make badfiles) */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "support/bad_files.h"

static const char page[] = "docs/BAD_FILES.md";
enum { PAGE_MAX = 1 << 20, TOKENS = 250 };

/* Opens a model and, where that succeeds, computes a prompt with nearly all of its tokens. */
static int open_model(const char *path, struct ew_err *err)
{
    struct ew_model *model = NULL;
    struct ew_session *session = NULL;
    struct ew_model_params params = {.threads = 1};
    int32_t tokens[TOKENS];
    for (int i = 0; i < TOKENS; i++)
        tokens[i] = i;
    int code = ew_model_open(&model, path, &params, err);
    if (!code)
        code = ew_session_open(&session, model, NULL, err);
    if (!code)
        code = ew_session_prompt(session, tokens, TOKENS, err);
    ew_session_close(&session);
    ew_model_close(&model);
    return code;
}

/* Opens the file and closes it; the file's name is taken off the error. */
static int try_file(struct gguf_make *m, int (*open)(const char *path, struct ew_err *err),
                    struct ew_err *err)
{
    struct gguf_make_file file = gguf_make_open(m);
    int code = open(file.path, err);
    size_t n = strlen(file.path);
    if (code && strncmp(err->text, file.path, n) == 0)
        memmove(err->text, err->text + n + 2, strlen(err->text + n + 2) + 1);
    else if (code)
        code = ew_fail(err, EW_EINVAL, "the file isn't named");
    gguf_make_close(&file);
    gguf_make_fini(m);
    return code;
}

static int open_gguf(const char *path, struct ew_err *err)
{
    struct ew_gguf *g = NULL;
    int code = ew_gguf_open(&g, path, err);
    ew_gguf_close(&g);
    return code;
}

static int try_gguf(const struct bad_file *row, struct ew_err *err)
{
    struct gguf_make m;
    bad_files_start_gguf(&m);
    row->make(&m);
    return try_file(&m, open_gguf, err);
}

static int try_model(const struct bad_file *row, struct ew_err *err)
{
    struct gguf_make m;
    bad_files_start_model(&m, row->family);
    row->make(&m);
    return try_file(&m, open_model, err);
}

typedef int try_fn(const struct bad_file *row, struct ew_err *err);

static void check_rows(const struct bad_file *rows, try_fn *try)
{
    int wrong = 0;
    for (const struct bad_file *row = rows; row->family; row++) {
        struct ew_err err = {0};
        int code = try(row, &err);
        int wanted = row->code ? row->code : EW_EFORMAT;
        if (code == wanted && err.code == wanted && strstr(err.text, row->told))
            continue;
        print_error("%s, %s: code %d, wanted %d; told \"%s\", wanted \"%s\"\n", row->family,
                    row->wrong, code, wanted, err.text, row->told);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

static void test_every_bad_gguf_file_is_refused_by_name(void **state)
{
    (void)state;
    check_rows(bad_files_gguf, try_gguf);
}

static void test_every_bad_model_is_refused_by_name(void **state)
{
    (void)state;
    check_rows(bad_files_model, try_model);
}

static void nothing(struct gguf_make *m)
{
    (void)m;
}

static void test_the_files_that_are_spoilt_were_good_before(void **state)
{
    (void)state;
    static const struct bad_file gguf = {.family = "", .make = nothing};
    static const struct bad_file bpe = {.family = "Vocabulary", .make = nothing};
    static const struct bad_file spm = {.family = "SentencePiece", .make = nothing};
    struct ew_err err = {0};
    if (try_gguf(&gguf, &err) || try_model(&bpe, &err) || try_model(&spm, &err))
        fail_msg("%s", err.text);
}

/* ---- what isn't a file at all ---- */

static void expect_refused(const char *path, int code, const char *told)
{
    struct ew_err err = {0};
    struct ew_gguf *g;
    assert_int_equal(ew_gguf_open(&g, path, &err), code);
    assert_null(g);
    if (!strstr(err.text, told))
        fail_msg("told \"%s\", wanted \"%s\"", err.text, told);
    assert_int_equal(ew_gguf_open(&g, path, NULL), code);
}

static void test_what_is_no_file_is_refused(void **state)
{
    (void)state;
    char folder[] = "/tmp/ew-bad-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    expect_refused(folder, EW_EIO, "is a directory");
    expect_refused("/dev/null", EW_EIO, "is a device");
    snprintf(path, sizeof path, "%s/fifo", folder);
    expect_refused(path, EW_ENOTFOUND, "No such file");
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_refused(path, EW_EIO, "is a pipe");
    unlink(path);
    rmdir(folder);
}

static void test_a_file_that_may_not_be_read_is_refused(void **state)
{
    (void)state;
    if (geteuid() == 0) {
        print_message("skipped: root may read everything\n");
        skip();
    }
    char path[] = "/tmp/ew-bad-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    chmod(path, 0);
    expect_refused(path, EW_EIO, "Permission denied");
    unlink(path);
}

static void test_a_long_path_leaves_room_for_the_reason(void **state)
{
    (void)state;
    char path[4000];
    memset(path, 'x', sizeof path - 1);
    for (size_t i = 0; i < sizeof path; i += 200)
        path[i] = '/';
    snprintf(path + sizeof path - 12, 12, "/model.gguf");
    expect_refused(path, EW_ENOTFOUND, "/model.gguf: No such file");
}

/* ---- the page ---- */

static void write_rows(struct ew_buf *out, const struct bad_file *rows, try_fn *try)
{
    const char *family = "";
    for (const struct bad_file *row = rows; row->family; row++) {
        struct ew_err err = {0}, full;
        if (strcmp(family, row->family) != 0)
            assert_int_equal(ew_buf_printf(out, &full,
                                           "\n## %s\n\n| what is wrong | what is said |\n"
                                           "|---|---|\n",
                                           row->family),
                             0);
        family = row->family;
        try(row, &err);
        assert_int_equal(ew_buf_printf(out, &full, "| %s | %s |\n", row->wrong, err.text), 0);
    }
}

static void write_page(struct ew_buf *out)
{
    struct ew_err err;
    ew_buf_init(out, PAGE_MAX);
    assert_int_equal(
        ew_buf_text(
            out,
            "# Bad model files\n\n"
            "A model file is untrusted input. Each kind of bad file below is made by the "
            "tests (`tests/support/bad_files_*.c`),\nopened, and refused with an error; "
            "the page is what they were told, behind the file's name. `make badfiles`\n"
            "rewrites it, and `make check` fails when it is stale.\n\n"
            "Besides: a directory, a pipe, a device, a missing or unreadable file are "
            "refused; a header cut at any byte is\nrefused. What a file claims never makes "
            "us allocate more than 15 MiB before its tensors are planned for.\n\n"
            "A file that shrinks while its weights are read is an error. Of a model whose head "
            "has its own tensor, the embedding\nstays in the file: its size is looked at "
            "before each computation, but between the look and the reading the\nsystem "
            "ends a program that reads what is gone (SIGBUS). Don't write into a model in "
            "use; put a new file in its\nplace, as `edgewise pull` does.\n\n"
            "Weights that are infinite or NaN are refused as they are loaded. Those of an "
            "embedding that stays in the file, and\nnumbers too great to compute with, "
            "are refused when a prompt meets them.\n",
            &err),
        0);
    write_rows(out, bad_files_gguf, try_gguf);
    write_rows(out, bad_files_model, try_model);
}

static void test_the_page_of_bad_files_is_what_is_said(void **state)
{
    (void)state;
    struct ew_buf now;
    write_page(&now);
    FILE *file = fopen(page, "r");
    if (!file)
        fail_msg("%s can't be read: run this in the repository's root, or make badfiles", page);
    char *was = calloc(1, PAGE_MAX + 1);
    assert_non_null(was);
    size_t n = fread(was, 1, PAGE_MAX, file);
    fclose(file);
    if (n != now.bytes || memcmp(was, now.data, n) != 0)
        fail_msg("%s is stale: make badfiles", page);
    free(was);
    ew_buf_fini(&now);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--table") == 0) {
        struct ew_buf out;
        write_page(&out);
        fwrite(out.data, 1, out.bytes, stdout);
        ew_buf_fini(&out);
        return fflush(stdout) != 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_files_that_are_spoilt_were_good_before),
        cmocka_unit_test(test_every_bad_gguf_file_is_refused_by_name),
        cmocka_unit_test(test_every_bad_model_is_refused_by_name),
        cmocka_unit_test(test_what_is_no_file_is_refused),
        cmocka_unit_test(test_a_file_that_may_not_be_read_is_refused),
        cmocka_unit_test(test_a_long_path_leaves_room_for_the_reason),
        cmocka_unit_test(test_the_page_of_bad_files_is_what_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
