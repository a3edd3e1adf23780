/* test_spm.c - SentencePiece's BPE: scores, ties, spaces, bytes. */
#include "model/spm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/gguf_make.h"

#define MARK "\xE2\x96\x81"

static const struct {
    const char *word;
    float score;
} words[] = {
    {"<unk>", 0},  {"a", -9},     {"b", -9},  {"c", -9},      {"ab", -3},         {"bc", -2},
    {"abc", -1},   {"aa", -4},    {MARK, -9}, {MARK "a", -5}, {MARK MARK, -0.0f}, {"<0xC3>", 0},
    {"<0xA9>", 0}, {"<0x0A>", 0}, {"z", 0},   {"zz", 0},      {"zzz", 1e30f},
};

struct fixture {
    struct gguf_make make;
    struct gguf_make_file file;
    struct ew_gguf *gguf;
    struct ew_vocab vocab;
    struct ew_spm spm;
};

static void fixture_open(struct fixture *f, int32_t unknown)
{
    float scores[EW_COUNT(words)];
    gguf_make_init(&f->make);
    gguf_make_strings(&f->make, "words", NULL, 0);
    for (size_t i = 0; i < EW_COUNT(words); i++) {
        gguf_make_push(&f->make, "words", words[i].word, strlen(words[i].word));
        scores[i] = words[i].score;
    }
    gguf_make_f32s(&f->make, "tokenizer.ggml.scores", scores, EW_COUNT(scores));
    f->file = gguf_make_open(&f->make);
    assert_int_equal(ew_gguf_open(&f->gguf, f->file.path, NULL), 0);
    assert_int_equal(ew_vocab_init(&f->vocab, f->gguf, "words", NULL), 0);
    assert_int_equal(ew_spm_init(&f->spm, f->gguf, &f->vocab, unknown, NULL), 0);
}

static void fixture_close(struct fixture *f)
{
    ew_spm_fini(&f->spm);
    ew_vocab_fini(&f->vocab);
    ew_gguf_close(&f->gguf);
    gguf_make_close(&f->file);
    gguf_make_fini(&f->make);
}

static const struct {
    const char *text;
    enum ew_spm_prefix prefix;
    const char *words; /* separated by '|', spaces as in the file */
} cases[] = {
    {"abc", EW_SPM_NO_PREFIX, "abc"}, /* by bc, whose score is above that of ab */
    {"abb", EW_SPM_NO_PREFIX, "ab|b"},
    {"ab", EW_SPM_NO_PREFIX, "ab"},
    {"aaa", EW_SPM_NO_PREFIX, "aa|a"},
    {"a", EW_SPM_SPACE_PREFIX, MARK "a"},
    {" a", EW_SPM_NO_PREFIX, MARK "a"},
    {"  ", EW_SPM_SPACE_PREFIX, MARK MARK "|" MARK},
    {"", EW_SPM_SPACE_PREFIX, MARK},
    {"", EW_SPM_NO_PREFIX, ""},
    {"\xC3\xA9\n", EW_SPM_NO_PREFIX, "<0xC3>|<0xA9>|<0x0A>"},
    {"z\xC3\xA8", EW_SPM_NO_PREFIX, "z|<0xC3>|<unk>"},
    {"zzzz", EW_SPM_NO_PREFIX, "zzz|z"},
};

static void words_are_those_of_the_highest_scores(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 0);
    struct ew_merge merge = {0};
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        int32_t tokens[32];
        char got[128] = "";
        size_t n = 0;
        struct ew_ids out = {tokens, EW_COUNT(tokens), 0};
        struct ew_str text = {cases[i].text, strlen(cases[i].text)};
        assert_int_equal(ew_spm_encode(&f.spm, &merge, text, cases[i].prefix, &out, NULL), 0);
        for (size_t t = 0; t < out.count; t++) {
            struct ew_str word = ew_vocab_word(&f.vocab, (uint32_t)tokens[t]);
            n += (size_t)snprintf(got + n, sizeof got - n, "%s%.*s", t ? "|" : "", (int)word.bytes,
                                  word.data);
        }
        if (strcmp(got, cases[i].words) != 0)
            fail_msg("'%s' became %s, expected %s", cases[i].text, got, cases[i].words);
    }
    ew_merge_fini(&merge);
    fixture_close(&f);
}

static void without_an_unknown_token_the_byte_is_dropped(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, -1);
    struct ew_merge merge = {0};
    int32_t token;
    struct ew_ids out = {&token, 1, 0};
    struct ew_str text = {"\xE2\x82\xAC", 3};
    assert_int_equal(ew_spm_encode(&f.spm, &merge, text, EW_SPM_NO_PREFIX, &out, NULL), 0);
    assert_int_equal(out.count, 0);
    ew_merge_fini(&merge);
    fixture_close(&f);
}

static void a_byte_word_is_two_capital_hex_digits(void **state)
{
    (void)state;
    assert_int_equal(ew_spm_byte((struct ew_str){"<0xE2>", 6}), 0xE2);
    assert_int_equal(ew_spm_byte((struct ew_str){"<0x00>", 6}), 0);
    assert_int_equal(ew_spm_byte((struct ew_str){"<0xe2>", 6}), -1);
    assert_int_equal(ew_spm_byte((struct ew_str){"<0x2>", 5}), -1);
    assert_int_equal(ew_spm_byte((struct ew_str){"<1xE2>", 6}), -1);
    assert_int_equal(ew_spm_byte((struct ew_str){"", 0}), -1);
}

static void marks_are_spaces_again(void **state)
{
    (void)state;
    char out[16];
    assert_int_equal(ew_spm_decode((struct ew_str){MARK "a" MARK "\xE2\x96", 9}, out), 5);
    assert_memory_equal(out, " a \xE2\x96", 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_those_of_the_highest_scores),
        cmocka_unit_test(without_an_unknown_token_the_byte_is_dropped),
        cmocka_unit_test(a_byte_word_is_two_capital_hex_digits),
        cmocka_unit_test(marks_are_spaces_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
