/* test_fuzz_gguf.c - replays through the fuzzer's entry what it would start from: every bad file
 * and both good models, and what mutations of these make; then inputs that once broke something.
 *
 *     test_fuzz_gguf --corpus FOLDER    writes those files, for make fuzz to start from */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/bad_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { MUTATIONS = 40, FILE_MAX = 1 << 20 };
static const char found[] = "tests/fuzz/found/gguf";

typedef void each_fn(void *user, const char *name, const struct ew_buf *bytes);

static void make_one(each_fn *each, void *user, const char *name, struct gguf_make *m)
{
    struct ew_buf bytes;
    gguf_make_bytes(m, &bytes);
    each(user, name, &bytes);
    ew_buf_fini(&bytes);
    gguf_make_fini(m);
}

static void each_file(each_fn *each, void *user)
{
    static const char *const families[] = {"Vocabulary", "SentencePiece"};
    struct gguf_make m;
    char name[32];
    for (size_t i = 0; i < EW_COUNT(families); i++) {
        bad_files_start_model(&m, families[i]);
        make_one(each, user, families[i], &m);
    }
    for (int i = 0; bad_files_gguf[i].family; i++) {
        bad_files_start_gguf(&m);
        bad_files_gguf[i].make(&m);
        snprintf(name, sizeof name, "gguf-%03d", i);
        make_one(each, user, name, &m);
    }
    for (int i = 0; bad_files_model[i].family; i++) {
        bad_files_start_model(&m, bad_files_model[i].family);
        bad_files_model[i].make(&m);
        snprintf(name, sizeof name, "model-%03d", i);
        make_one(each, user, name, &m);
    }
}

static void replay(void *user, const char *name, const struct ew_buf *bytes)
{
    (void)name;
    size_t *count = user;
    LLVMFuzzerTestOneInput((const uint8_t *)ew_buf_cstr(bytes), bytes->bytes);
    ++*count;
}

static void replay_mutated(void *user, const char *name, const struct ew_buf *bytes)
{
    (void)name;
    struct ew_rng *rng = user;
    if (!bytes->bytes || bytes->bytes > FILE_MAX)
        return;
    uint8_t *copy = malloc(bytes->bytes);
    assert_non_null(copy);
    for (int i = 0; i < MUTATIONS; i++) {
        memcpy(copy, bytes->data, bytes->bytes);
        /* The metadata is in front; most of these files end with weights. */
        size_t reach = bytes->bytes < 12000 ? bytes->bytes : 12000;
        for (uint64_t k = ew_rng_below(rng, 4) + 1; k; k--)
            copy[ew_rng_below(rng, reach)] = (uint8_t)ew_rng_next(rng);
        LLVMFuzzerTestOneInput(copy, bytes->bytes);
    }
    free(copy);
}

static void test_bad_files_go_through_the_fuzzers_entry(void **state)
{
    (void)state;
    size_t count = 0;
    each_file(replay, &count);
    assert_true(count > 100);
}

static void test_mutated_bad_files_go_through_the_fuzzers_entry(void **state)
{
    (void)state;
    struct ew_rng rng;
    ew_rng_init(&rng, 16508);
    each_file(replay_mutated, &rng);
}

static void test_what_the_fuzzer_once_found_stays_fixed(void **state)
{
    (void)state;
    DIR *folder = opendir(found);
    if (!folder) {
        print_message("skipped: %s isn't there, the fuzzer has found nothing\n", found);
        skip();
    }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", found, entry->d_name);
        FILE *file = *entry->d_name == '.' ? NULL : fopen(path, "rb");
        if (!file)
            continue;
        uint8_t *bytes = malloc(FILE_MAX);
        assert_non_null(bytes);
        size_t n = fread(bytes, 1, FILE_MAX, file);
        fclose(file);
        LLVMFuzzerTestOneInput(bytes, n);
        free(bytes);
    }
    closedir(folder);
}

static void write_one(void *user, const char *name, const struct ew_buf *bytes)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", (const char *)user, name);
    FILE *file = bytes->bytes > FILE_MAX ? NULL : fopen(path, "wb");
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
        cmocka_unit_test(test_bad_files_go_through_the_fuzzers_entry),
        cmocka_unit_test(test_mutated_bad_files_go_through_the_fuzzers_entry),
        cmocka_unit_test(test_what_the_fuzzer_once_found_stays_fixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
