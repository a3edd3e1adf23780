/* test_fuzz_answer.c - replays through the fuzzer's entry the answers of support/answer_rows.h,
 * each with a stream of events behind it, and what mutations make of those; then inputs that once
 * broke something.
 *
 *     test_fuzz_answer --corpus FOLDER    writes the answers, for make fuzz to start from */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/rng.h"
#include "support/answer_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { MUTATIONS = 40000, INPUT_MAX = 1 << 16 };
static const char found[] = "tests/fuzz/found/answer";
static const char *const streams[] = {
    "",
    "\r\ndata: {\"a\": 1}\n\n: c\r\nevent: x\rdata\r\rdata: [DONE]\n\n",
    "Transfer-Encoding: chunked\r\n\r\n9\r\ndata: a\r\n\r\n5\r\n\ndata\r\n3\r\n\n\n{\r\n0\r\n\r\n",
    "Content-Length: 12\r\n\r\n{\"a\":1}\r\n{}\n",
};

struct input {
    uint8_t bytes[INPUT_MAX];
    size_t count;
};

static void add_text(struct input *input, const char *text)
{
    assert_true(input->count + strlen(text) <= INPUT_MAX);
    memcpy(input->bytes + input->count, text, strlen(text));
    input->count += strlen(text);
}

static void make(struct input *input, size_t row, size_t stream)
{
    input->count = 0;
    add_text(input, stream ? OK : answer_rows[row].bytes);
    add_text(input, streams[stream]);
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

static void test_answers_go_through_the_fuzzers_entry(void **state)
{
    (void)state;
    static struct input input;
    for (size_t i = 0; i < EW_COUNT(answer_rows); i++)
        for (size_t k = 0; k < EW_COUNT(streams); k++) {
            make(&input, i, k);
            replay(&input);
        }
}

/* The head of one answer and the tail of another, and then a byte that is another one. */
static void test_mutated_answers_go_through_the_fuzzers_entry(void **state)
{
    (void)state;
    static struct input one, two;
    struct ew_rng rng;
    ew_rng_init(&rng, 2505);
    for (int i = 0; i < MUTATIONS; i++) {
        make(&one, ew_rng_below(&rng, EW_COUNT(answer_rows)),
             ew_rng_below(&rng, EW_COUNT(streams)));
        make(&two, ew_rng_below(&rng, EW_COUNT(answer_rows)),
             ew_rng_below(&rng, EW_COUNT(streams)));
        size_t head = ew_rng_below(&rng, one.count + 1), tail = ew_rng_below(&rng, two.count + 1);
        memcpy(one.bytes + head, two.bytes + tail, two.count - tail);
        one.count = head + two.count - tail;
        if (one.count && ew_rng_below(&rng, 2))
            one.bytes[ew_rng_below(&rng, one.count)] = (uint8_t)ew_rng_next(&rng);
        replay(&one);
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
    for (size_t i = 0; i < EW_COUNT(answer_rows) + EW_COUNT(streams); i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/row-%03zu", folder, i);
        FILE *file = fopen(path, "wb");
        if (!file)
            return 1;
        make(&input, i < EW_COUNT(answer_rows) ? i : 0,
             i < EW_COUNT(answer_rows) ? 0 : i - EW_COUNT(answer_rows));
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
        cmocka_unit_test(test_answers_go_through_the_fuzzers_entry),
        cmocka_unit_test(test_mutated_answers_go_through_the_fuzzers_entry),
        cmocka_unit_test(test_what_the_fuzzer_once_found_stays_fixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
