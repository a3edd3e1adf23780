/* test_fuzz_http.c - replays through the fuzzer's entry the requests of support/http_rows.h, pairs
 * of them as a client that doesn't wait sends them, and what mutations make of those; then inputs
 * that once broke something.
 *
 *     test_fuzz_http --corpus FOLDER    writes the requests, for make fuzz to start from */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/rng.h"
#include "support/http_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { MUTATIONS = 40000, INPUT_MAX = 1 << 16 };
static const char found[] = "tests/fuzz/found/http";

struct input {
    uint8_t bytes[INPUT_MAX];
    size_t count;
};

static void add_bytes(struct input *input, const void *bytes, size_t count)
{
    assert_true(input->count + count <= INPUT_MAX);
    memcpy(input->bytes + input->count, bytes, count);
    input->count += count;
}

static void add_row(struct input *input, size_t row)
{
    const size_t from = input->count;
    add_bytes(input, http_rows[row].bytes, strlen(http_rows[row].bytes));
    for (size_t i = from; i < input->count; i++)
        if (input->bytes[i] == '~')
            input->bytes[i] = 0;
}

/* In memory of its own size. */
static void replay(const struct input *input)
{
    uint8_t *copy = malloc(input->count + !input->count);
    assert_non_null(copy);
    memcpy(copy, input->bytes, input->count);
    LLVMFuzzerTestOneInput(copy, input->count);
    free(copy);
}

static void test_requests_and_pairs_of_them_go_through_the_fuzzers_entry(void **state)
{
    (void)state;
    static struct input input;
    assert_true(EW_COUNT(http_rows) > 100);
    for (size_t i = 0; i < EW_COUNT(http_rows); i++)
        for (size_t k = 0; k < EW_COUNT(http_rows); k++) {
            input.count = 0;
            add_row(&input, i);
            add_row(&input, k);
            replay(&input);
        }
}

/* The head of one request and the tail of another, and then a byte that is another one. */
static void test_mutated_requests_go_through_the_fuzzers_entry(void **state)
{
    (void)state;
    static struct input one, two, made;
    struct ew_rng rng;
    ew_rng_init(&rng, 2505);
    for (int i = 0; i < MUTATIONS; i++) {
        one.count = two.count = made.count = 0;
        add_row(&one, ew_rng_below(&rng, EW_COUNT(http_rows)));
        add_row(&two, ew_rng_below(&rng, EW_COUNT(http_rows)));
        size_t head = ew_rng_below(&rng, one.count + 1), tail = ew_rng_below(&rng, two.count + 1);
        add_bytes(&made, one.bytes, head);
        add_bytes(&made, two.bytes + tail, two.count - tail);
        if (made.count && ew_rng_below(&rng, 2))
            made.bytes[ew_rng_below(&rng, made.count)] = (uint8_t)ew_rng_next(&rng);
        replay(&made);
    }
}

static void test_what_the_fuzzer_once_found_stays_fixed(void **state)
{
    (void)state;
    static struct input input;
    size_t count = 0;
    DIR *folder = opendir(found);
    for (struct dirent *entry; folder && (entry = readdir(folder)) != NULL;) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", found, entry->d_name);
        FILE *file = *entry->d_name == '.' ? NULL : fopen(path, "rb");
        if (!file)
            continue;
        input.count = fread(input.bytes, 1, INPUT_MAX, file);
        fclose(file);
        replay(&input);
        count++;
    }
    if (folder)
        closedir(folder);
    if (!count) {
        print_message("skipped: nothing in %s, the fuzzer has found nothing\n", found);
        skip();
    }
}

static int write_corpus(const char *folder)
{
    static struct input input;
    for (size_t i = 0; i < EW_COUNT(http_rows); i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/row-%03zu", folder, i);
        FILE *file = fopen(path, "wb");
        if (!file)
            return 1;
        input.count = 0;
        add_row(&input, i);
        fwrite(input.bytes, 1, input.count, file);
        fclose(file);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--corpus") == 0)
        return write_corpus(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_and_pairs_of_them_go_through_the_fuzzers_entry),
        cmocka_unit_test(test_mutated_requests_go_through_the_fuzzers_entry),
        cmocka_unit_test(test_what_the_fuzzer_once_found_stays_fixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
