/* test_merge.c - the heap joins the same pairs as looking at all of them each time; also vocab.c,
 * which finds the words. */
#include "model/merge.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/gguf_make.h"

enum { WORDS = 3 + 9 + 27 + 40, TEXT_MAX = 60 };

struct fixture {
    struct gguf_make make;
    struct gguf_make_file file;
    struct ew_gguf *gguf;
    struct ew_vocab vocab;
    char text[TEXT_MAX];
    uint32_t ranks[WORDS];
};

/* All words of one to three of a, b, c, and 40 of five. */
static void fixture_open(struct fixture *f)
{
    gguf_make_init(&f->make);
    gguf_make_strings(&f->make, "words", NULL, 0);
    for (int length = 1, count = 3; length <= 5; length += length == 3 ? 2 : 1, count *= 3)
        for (int n = 0; n < (length == 5 ? 40 : count); n++) {
            char word[8];
            for (int i = 0, digits = n * (length == 5 ? 6 : 1); i < length; i++, digits /= 3)
                word[i] = (char)('a' + digits % 3);
            gguf_make_push(&f->make, "words", word, (size_t)length);
        }
    f->file = gguf_make_open(&f->make);
    struct ew_err err = {0};
    assert_int_equal(ew_gguf_open(&f->gguf, f->file.path, NULL), 0);
    if (ew_vocab_init(&f->vocab, f->gguf, "words", &err))
        fail_msg("%s", err.text);
    assert_int_equal(f->vocab.count, WORDS);
}

static void fixture_close(struct fixture *f)
{
    ew_vocab_fini(&f->vocab);
    ew_gguf_close(&f->gguf);
    gguf_make_close(&f->file);
    gguf_make_fini(&f->make);
}

static bool rank_of(const void *rules, const struct ew_symbol *left, const struct ew_symbol *right,
                    uint64_t hash, uint32_t *rank)
{
    const struct fixture *f = rules;
    assert_int_equal(left->at + left->bytes, right->at);
    assert_int_equal(hash, ew_hash(f->text + left->at, left->bytes + right->bytes));
    int32_t id =
        ew_vocab_find_hashed(&f->vocab, f->text + left->at, left->bytes + right->bytes, hash);
    if (id < 0 || f->ranks[id] == 0)
        return false;
    *rank = f->ranks[id];
    return true;
}

/* ends[i] becomes whether a symbol ends behind byte i. */
static void merge_slowly(const struct fixture *f, size_t bytes, bool *ends)
{
    for (size_t i = 0; i < bytes; i++)
        ends[i] = true;
    for (;;) {
        uint32_t best = UINT32_MAX;
        size_t best_end = 0, from = 0;
        for (size_t middle = 0; middle + 1 < bytes; middle++) {
            if (!ends[middle])
                continue;
            size_t to = middle + 1;
            while (!ends[to])
                to++;
            int32_t id = ew_vocab_find(&f->vocab, f->text + from, to + 1 - from);
            if (id >= 0 && f->ranks[id] && f->ranks[id] < best) {
                best = f->ranks[id];
                best_end = middle;
            }
            from = middle + 1;
        }
        if (best == UINT32_MAX)
            return;
        ends[best_end] = false;
    }
}

static void joins_are_those_of_the_slow_way(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f);
    struct ew_merge merge = {0};
    struct ew_rng rng;
    ew_rng_init(&rng, 4);
    for (int round = 0; round < 20000; round++) {
        size_t bytes = 1 + (size_t)ew_rng_below(&rng, TEXT_MAX);
        bool ends[TEXT_MAX];
        for (int id = 0; id < WORDS; id++) /* many equal ranks, many without */
            f.ranks[id] = (uint32_t)ew_rng_below(&rng, 12);
        for (size_t i = 0; i < bytes; i++)
            f.text[i] = (char)('a' + ew_rng_below(&rng, 3));
        merge_slowly(&f, bytes, ends);
        assert_int_equal(ew_merge_begin(&merge, bytes, NULL), 0);
        for (uint32_t i = 0; i < bytes; i++)
            ew_merge_add(&merge, i, 1, ew_hash(f.text + i, 1));
        ew_merge_run(&merge, &f.vocab, rank_of, &f);
        size_t at = 0;
        for (int32_t i = 0; i >= 0; i = merge.symbols[i].next) {
            const struct ew_symbol *s = &merge.symbols[i];
            assert_int_equal(s->at, at);
            for (at = s->at; at + 1 < s->at + s->bytes; at++)
                assert_false(ends[at]);
            assert_true(ends[at++]);
        }
        assert_int_equal(at, bytes);
    }
    ew_merge_fini(&merge);
    fixture_close(&f);
}

static void every_word_is_found_and_nothing_else(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f);
    for (uint32_t id = 0; id < f.vocab.count; id++) {
        struct ew_str word = ew_vocab_word(&f.vocab, id);
        assert_int_equal(ew_vocab_find(&f.vocab, word.data, word.bytes), id);
    }
    assert_int_equal(ew_vocab_find(&f.vocab, "d", 1), -1);
    assert_int_equal(ew_vocab_find(&f.vocab, "", 0), -1);
    assert_int_equal(ew_vocab_find(&f.vocab, "aaaa", 4), -1);
    assert_int_equal(ew_vocab_find(&f.vocab, "aaaaaa", 6), -1);
    fixture_close(&f);
}

static void the_hash_of_two_texts_joined_needs_only_their_hashes(void **state)
{
    (void)state;
    static const char text[] = "\x80\xFF any bytes \n of some length";
    uint64_t power = 1;
    for (size_t right = 0; right < sizeof text; right++, power *= EW_HASH_STEP) {
        size_t left = sizeof text - right;
        assert_true(ew_hash(text, left) * power + ew_hash(text + left, right) ==
                    ew_hash(text, sizeof text));
    }
}

static void words_that_collide_are_refused_instead_of_slow(void **state)
{
    (void)state;
    struct ew_index table;
    struct ew_err err = {0};
    assert_int_equal(ew_index_init(&table, 20000, NULL), 0);
    int code = 0;
    uint32_t id = 0;
    for (; !code && id < 20000; id++)
        code = ew_index_add(&table, ew_index_find(&table, 42), id, &err);
    assert_int_equal(code, EW_EFORMAT);
    assert_in_range(id, 1000, 10000);
    ew_index_fini(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joins_are_those_of_the_slow_way),
        cmocka_unit_test(every_word_is_found_and_nothing_else),
        cmocka_unit_test(the_hash_of_two_texts_joined_needs_only_their_hashes),
        cmocka_unit_test(words_that_collide_are_refused_instead_of_slow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
