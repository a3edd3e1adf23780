/* test_bpe.c - byte-level BPE on a vocabulary of 263 tokens: the order of merges, bytes, files that
 * are wrong. What each kind of bad file is told is in test_bad_files.c. */
#include "model/bpe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "support/gguf_make.h"

struct fixture {
    struct gguf_make make;
    struct gguf_make_file file;
    struct ew_gguf *gguf;
    struct ew_vocab vocab;
    struct ew_bpe bpe;
};

static void fixture_init(struct fixture *f)
{
    gguf_make_init(&f->make);
    gguf_make_bpe(&f->make);
}

static void fixture_open(struct fixture *f, const char *pretok)
{
    struct ew_str name = {pretok, strlen(pretok)};
    f->file = gguf_make_open(&f->make);
    assert_int_equal(ew_gguf_open(&f->gguf, f->file.path, NULL), 0);
    assert_int_equal(ew_vocab_init(&f->vocab, f->gguf, "tokenizer.ggml.tokens", NULL), 0);
    assert_int_equal(ew_bpe_init(&f->bpe, f->gguf, &f->vocab, ew_pretok_info(name), NULL), 0);
}

static void fixture_close(struct fixture *f)
{
    ew_bpe_fini(&f->bpe);
    ew_vocab_fini(&f->vocab);
    ew_gguf_close(&f->gguf);
    gguf_make_close(&f->file);
    gguf_make_fini(&f->make);
}

/* Words of the tokens, separated by '|'; '?' if a token isn't printable. */
static const char *encode(const struct fixture *f, const char *text, size_t bytes)
{
    static char shown[256];
    int32_t tokens[64];
    struct ew_ids out = {tokens, EW_COUNT(tokens), 0};
    struct ew_merge merge = {0};
    size_t n = 0;
    assert_int_equal(ew_bpe_encode(&f->bpe, &merge, (struct ew_str){text, bytes}, &out, NULL), 0);
    ew_merge_fini(&merge);
    assert_true(out.count <= EW_COUNT(tokens));
    for (size_t i = 0; i < out.count; i++) {
        char piece[16];
        size_t size = ew_bpe_decode(&f->bpe, ew_vocab_word(&f->vocab, (uint32_t)tokens[i]), piece);
        if (i)
            shown[n++] = '|';
        memcpy(shown + n, piece, size);
        n += size;
    }
    shown[n] = '\0';
    return shown;
}

static void merges_are_applied_in_their_order(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f, "gpt-2");
    assert_string_equal(encode(&f, "hello", 5), "hello");
    assert_string_equal(encode(&f, "hell", 4), "hell");
    assert_string_equal(encode(&f, "helo", 4), "he|l|o");
    assert_string_equal(encode(&f, "hellllo", 7), "hell|ll|o");
    assert_string_equal(encode(&f, "lll", 3), "ll|l"); /* of equal ranks the leftmost */
    assert_string_equal(encode(&f, "hello hello", 11), "hello| |hello");
    assert_string_equal(encode(&f, "", 0), "");
    fixture_close(&f);
}

static void a_whole_word_needs_no_merges_where_the_kind_says_so(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    gguf_make_push(&f.make, "tokenizer.ggml.tokens", "oxo", 3);
    fixture_open(&f, "llama-bpe");
    assert_string_equal(encode(&f, "oxo", 3), "oxo");
    assert_string_equal(encode(&f, "oxox", 4), "o|x|o|x");
    fixture_close(&f);
    fixture_init(&f);
    gguf_make_push(&f.make, "tokenizer.ggml.tokens", "oxo", 3);
    fixture_open(&f, "qwen2");
    assert_string_equal(encode(&f, "oxo", 3), "o|x|o");
    fixture_close(&f);
}

static void every_byte_is_a_letter_and_comes_back(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f, "gpt-2");
    for (unsigned byte = 0; byte < 256; byte++) {
        char out[2];
        struct ew_str letter = {f.bpe.letters[byte], f.bpe.letter_bytes[byte]};
        assert_true(ew_vocab_find(&f.vocab, letter.data, letter.bytes) >= 0);
        assert_int_equal(ew_bpe_decode(&f.bpe, letter, out), 1);
        assert_int_equal((unsigned char)out[0], byte);
    }
    /* As GPT-2 writes a space, and the soft hyphen's byte, the last of those without a letter. */
    assert_memory_equal(f.bpe.letters[' '], "\xC4\xA0", 2);
    assert_memory_equal(f.bpe.letters[0xAD], "\xC5\x83", 2);
    fixture_close(&f);
}

static void what_is_not_of_the_alphabet_stands_for_itself(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f, "gpt-2");
    char out[16];
    static const char han[] = "\xE4\xB8\xADx\xE4";
    assert_int_equal(ew_bpe_decode(&f.bpe, (struct ew_str){han, 5}, out), 5);
    assert_memory_equal(out, han, 5);
    fixture_close(&f);
}

static void a_merge_given_twice_keeps_its_first_place(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    gguf_make_push(&f.make, "tokenizer.ggml.tokens", "el", 2);
    gguf_make_strings(&f.make, "tokenizer.ggml.merges", (const char *const[]){"e l", "h e", "e l"},
                      3);
    fixture_open(&f, "gpt-2");
    assert_string_equal(encode(&f, "hel", 3), "h|el");
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_are_applied_in_their_order),
        cmocka_unit_test(a_whole_word_needs_no_merges_where_the_kind_says_so),
        cmocka_unit_test(every_byte_is_a_letter_and_comes_back),
        cmocka_unit_test(what_is_not_of_the_alphabet_stands_for_itself),
        cmocka_unit_test(a_merge_given_twice_keeps_its_first_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
