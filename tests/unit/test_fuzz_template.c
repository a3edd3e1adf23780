/* test_fuzz_template.c - replays through the fuzzer's entry the templates and snippets of the tests
 * and what mutations make of them; then inputs that once broke something.
 *
 *     test_fuzz_template --corpus FOLDER    writes those files, for make fuzz to start from */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/rng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { MUTATIONS = 60, FILE_MAX = 1 << 20 };
static const char templates[] = "tests/data/templates", found[] = "tests/fuzz/found/template";
static const char snippets[] = "tests/reference/template_snippets.txt", mark[] = "\n---\n";

typedef void each_fn(void *user, const char *name, const struct ew_buf *bytes);

static bool read_file(const char *path, struct ew_buf *out)
{
    FILE *file = fopen(path, "rb");
    ew_buf_init(out, FILE_MAX);
    if (!file)
        return false;
    char piece[4096];
    for (size_t n; (n = fread(piece, 1, sizeof piece, file)) > 0;)
        assert_int_equal(ew_buf_add(out, piece, n, NULL), 0);
    fclose(file);
    return true;
}

static void each_in(const char *path, each_fn *each, void *user)
{
    DIR *folder = opendir(path);
    if (!folder)
        return;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char file[512];
        struct ew_buf bytes;
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (*entry->d_name != '.' && read_file(file, &bytes)) {
            each(user, entry->d_name, &bytes);
            ew_buf_fini(&bytes);
        }
    }
    closedir(folder);
}

static void each_snippet(each_fn *each, void *user)
{
    struct ew_buf all;
    if (!read_file(snippets, &all))
        return;
    const char *at = ew_buf_cstr(&all);
    for (int i = 0; at; i++) {
        const char *end = strstr(at, mark);
        size_t bytes = end ? (size_t)(end - at) : strlen(at);
        struct ew_buf one;
        char name[32];
        ew_buf_init(&one, FILE_MAX);
        assert_int_equal(ew_buf_add(&one, at, bytes, NULL), 0);
        snprintf(name, sizeof name, "snippet-%03d", i);
        each(user, name, &one);
        ew_buf_fini(&one);
        at = end ? end + strlen(mark) : NULL;
    }
    ew_buf_fini(&all);
}

static void each_file(each_fn *each, void *user)
{
    each_in(templates, each, user);
    each_snippet(each, user);
}

static void replay(void *user, const char *name, const struct ew_buf *bytes)
{
    (void)name;
    size_t *count = user;
    LLVMFuzzerTestOneInput((const uint8_t *)ew_buf_cstr(bytes), bytes->bytes);
    ++*count;
}

/* Bytes changed, pieces left out, pieces written twice. */
static void replay_mutated(void *user, const char *name, const struct ew_buf *bytes)
{
    (void)name;
    struct ew_rng *rng = user;
    for (int i = 0; i < MUTATIONS && bytes->bytes; i++) {
        size_t from = ew_rng_below(rng, bytes->bytes);
        size_t length = ew_rng_below(rng, 8) % (bytes->bytes - from + 1);
        size_t to = ew_rng_below(rng, bytes->bytes);
        struct ew_buf copy;
        ew_buf_init(&copy, 2 * FILE_MAX);
        if (ew_rng_below(rng, 2)) {
            assert_int_equal(ew_buf_add(&copy, bytes->data, to, NULL), 0);
            assert_int_equal(ew_buf_add(&copy, bytes->data + from, length, NULL), 0);
            assert_int_equal(ew_buf_add(&copy, bytes->data + to, bytes->bytes - to, NULL), 0);
        } else {
            assert_int_equal(ew_buf_add(&copy, bytes->data, from, NULL), 0);
            assert_int_equal(
                ew_buf_add(&copy, bytes->data + from + length, bytes->bytes - from - length, NULL),
                0);
        }
        if (copy.bytes && ew_rng_below(rng, 2))
            copy.data[ew_rng_below(rng, copy.bytes)] = (char)ew_rng_next(rng);
        LLVMFuzzerTestOneInput((const uint8_t *)ew_buf_cstr(&copy), copy.bytes);
        ew_buf_fini(&copy);
    }
}

static void test_templates_go_through_the_fuzzers_entry(void **state)
{
    (void)state;
    size_t count = 0;
    each_file(replay, &count);
    assert_true(count > 200);
}

static void test_mutated_templates_go_through_the_fuzzers_entry(void **state)
{
    (void)state;
    struct ew_rng rng;
    ew_rng_init(&rng, 2505);
    each_file(replay_mutated, &rng);
}

static void test_what_the_fuzzer_once_found_stays_fixed(void **state)
{
    (void)state;
    size_t count = 0;
    each_in(found, replay, &count);
    if (!count) {
        print_message("skipped: nothing in %s, the fuzzer has found nothing\n", found);
        skip();
    }
}

static void write_one(void *user, const char *name, const struct ew_buf *bytes)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", (const char *)user, name);
    FILE *file = fopen(path, "wb");
    if (!file)
        return;
    fwrite(ew_buf_cstr(bytes), 1, bytes->bytes, file);
    fclose(file);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--corpus") == 0) {
        each_file(write_one, argv[2]);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_templates_go_through_the_fuzzers_entry),
        cmocka_unit_test(test_mutated_templates_go_through_the_fuzzers_entry),
        cmocka_unit_test(test_what_the_fuzzer_once_found_stays_fixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
