/* test_special.c - special tokens in text: the longest first, against a plain way of doing it. */
#include "model/special.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/gguf_make.h"

/* Chosen to overlap each other in all ways. Even ids are for always, odd ones on request. */
static const char *const words[] = {"\n",    "\n\n", "\n\n\n\n", "ab",  "bcd",   "abcdef", "a",
                                    "<|x|>", "<|",   "cdefgh",   "aba", "aaaaa", "dd",     ""};

struct fixture {
    struct gguf_make make;
    struct gguf_make_file file;
    struct ew_gguf *gguf;
    struct ew_vocab vocab;
    struct ew_special special;
};

static void fixture_open(struct fixture *f)
{
    gguf_make_init(&f->make);
    gguf_make_strings(&f->make, "words", words, EW_COUNT(words));
    f->file = gguf_make_open(&f->make);
    assert_int_equal(ew_gguf_open(&f->gguf, f->file.path, NULL), 0);
    assert_int_equal(ew_vocab_init(&f->vocab, f->gguf, "words", NULL), 0);
    ew_special_init(&f->special, &f->vocab);
    for (uint32_t id = 0; id < EW_COUNT(words); id++)
        assert_int_equal(
            ew_special_add(&f->special, id, id % 2 ? EW_SPECIAL_ASKED : EW_SPECIAL_ALWAYS, NULL),
            0);
}

static void fixture_close(struct fixture *f)
{
    ew_special_fini(&f->special);
    ew_vocab_fini(&f->vocab);
    ew_gguf_close(&f->gguf);
    gguf_make_close(&f->file);
    gguf_make_fini(&f->make);
}

/* What special.h says, done the slow way. tokens[i]: the token that begins at byte i, or -1. */
static void find_slowly(const char *text, size_t bytes, enum ew_special_kind kind, int *tokens)
{
    bool taken[256] = {false};
    for (size_t i = 0; i < bytes; i++)
        tokens[i] = -1;
    for (size_t length = bytes; length > 0; length--)
        for (size_t at = 0; at + length <= bytes; at++)
            for (size_t id = 0; id < EW_COUNT(words); id++) {
                bool wanted = kind == EW_SPECIAL_ASKED || id % 2 == 0;
                if (!wanted || strlen(words[id]) != length ||
                    memcmp(text + at, words[id], length) != 0 || memchr(taken + at, true, length))
                    continue;
                memset(taken + at, true, length);
                tokens[at] = (int)id;
            }
}

static void tokens_found_are_those_of_the_slow_way(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f);
    struct ew_rng rng;
    ew_rng_init(&rng, 3);
    static const char letters[] = "\n\n\naabbcdefgh<|x>";
    for (int round = 0; round < 40000; round++) {
        char text[64];
        int expected[64];
        size_t bytes = (size_t)ew_rng_below(&rng, sizeof text);
        for (size_t i = 0; i < bytes; i++) {
            if (i + 6 < bytes && ew_rng_below(&rng, 5) == 0) {
                const char *word = words[ew_rng_below(&rng, EW_COUNT(words))];
                memcpy(text + i, word, strlen(word));
                i += strlen(word);
            }
            text[i] = letters[ew_rng_below(&rng, sizeof letters - 1)];
        }
        for (int kind = EW_SPECIAL_ALWAYS; kind <= EW_SPECIAL_ASKED; kind++) {
            struct ew_special_matches got = {0};
            find_slowly(text, bytes, (enum ew_special_kind)kind, expected);
            assert_int_equal(ew_special_find(&f.special, (struct ew_str){text, bytes},
                                             (enum ew_special_kind)kind, &got, NULL),
                             0);
            size_t next = 0;
            for (size_t i = 0; i < bytes; i++) {
                bool here = next < got.count && got.list[next].at == i;
                assert_int_equal(here ? got.list[next].token : -1, expected[i]);
                next += here;
            }
            assert_int_equal(next, got.count);
            ew_special_matches_fini(&got);
        }
    }
    fixture_close(&f);
}

static void a_long_run_is_taken_by_the_longest_tokens(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f);
    size_t bytes = 1 << 20;
    char *text = malloc(bytes);
    memset(text, '\n', bytes);
    text[bytes - 1] = 'z';
    struct ew_special_matches got = {0};
    assert_int_equal(
        ew_special_find(&f.special, (struct ew_str){text, bytes}, EW_SPECIAL_ALWAYS, &got, NULL),
        0);
    assert_int_equal(got.count, (bytes - 1) / 4 + 3); /* "\n\n" isn't for always */
    ew_special_matches_fini(&got);
    free(text);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_found_are_those_of_the_slow_way),
        cmocka_unit_test(a_long_run_is_taken_by_the_longest_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
