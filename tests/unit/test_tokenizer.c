/* test_tokenizer.c - text to ids and back: flags, special tokens, real vocabularies.
 *
 * What each kind of bad file is told is in test_bad_files.c. */
#include "model/tokenizer.h"

#include "base/rng.h"
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/gguf_make.h"

enum { BPE_HELLO = 259, BPE_END_OF_TEXT = 260, BPE_IM_START, BPE_IM_END };

struct fixture {
    struct gguf_make make;
    struct gguf_make_file file;
    struct ew_gguf *gguf;
    struct ew_tokenizer *tokenizer;
};

static void fixture_open(struct fixture *f)
{
    struct ew_err err = {0};
    f->file = gguf_make_open(&f->make);
    if (ew_gguf_open(&f->gguf, f->file.path, &err) ||
        ew_tokenizer_open(&f->tokenizer, f->gguf, &err))
        fail_msg("%s", err.text);
}

static void fixture_bpe(struct fixture *f)
{
    gguf_make_init(&f->make);
    gguf_make_bpe(&f->make);
}

static void fixture_spm(struct fixture *f)
{
    gguf_make_init(&f->make);
    gguf_make_spm(&f->make);
}

static void fixture_close(struct fixture *f)
{
    ew_tokenizer_close(&f->tokenizer);
    assert_null(f->tokenizer);
    ew_tokenizer_close(&f->tokenizer);
    ew_gguf_close(&f->gguf);
    gguf_make_close(&f->file);
    gguf_make_fini(&f->make);
}

/* Names of the tokens, separated by '|'. */
static const char *encode(const struct fixture *f, const char *text, unsigned flags)
{
    static char shown[512];
    int32_t tokens[64];
    size_t count, n = 0;
    assert_int_equal(ew_tokenizer_encode(f->tokenizer, text, strlen(text), flags, tokens,
                                         EW_COUNT(tokens), &count, NULL),
                     0);
    shown[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        struct ew_str name = ew_tokenizer_name(f->tokenizer, tokens[i]);
        n += (size_t)snprintf(shown + n, sizeof shown - n, "%s%.*s", i ? "|" : "", (int)name.bytes,
                              name.data);
    }
    return shown;
}

static void control_tokens_are_text_unless_asked_for(void **state)
{
    (void)state;
    struct fixture f;
    fixture_bpe(&f);
    fixture_open(&f);
    assert_string_equal(encode(&f, "hello<|im_end|>hello", EW_TOKENIZE_SPECIAL),
                        "hello|<|im_end|>|hello");
    assert_string_equal(encode(&f, "hello<|im_end|>", 0), "hello|<|||i|m|_|e|n|d|||>");
    assert_string_equal(encode(&f, "<|im_end|><|im_end|>", EW_TOKENIZE_SPECIAL),
                        "<|im_end|>|<|im_end|>");
    fixture_close(&f);
}

static void user_defined_tokens_are_always_taken_whole(void **state)
{
    (void)state;
    struct fixture f;
    int32_t types[GGUF_MAKE_BPE_VOCAB];
    fixture_bpe(&f);
    for (int i = 0; i < GGUF_MAKE_BPE_VOCAB; i++)
        types[i] = i == BPE_IM_START ? 4 : i > BPE_HELLO ? 3 : 1;
    gguf_make_i32s(&f.make, "tokenizer.ggml.token_type", types, EW_COUNT(types));
    fixture_open(&f);
    assert_string_equal(encode(&f, "<|im_start|>he", 0), "<|im_start|>|he");
    /* They are text of the answer, too. */
    struct ew_str bytes = ew_tokenizer_bytes(f.tokenizer, BPE_IM_START);
    assert_int_equal(bytes.bytes, strlen("<|im_start|>"));
    fixture_close(&f);
}

static const struct {
    int add_bos, add_eos; /* -1: the key is absent */
    const char *expected;
} additions[] = {
    {-1, -1, "<s>|\xE2\x96\x81|hell"}, /* "llama" files add bos unless they say no */
    {1, 0, "<s>|\xE2\x96\x81|hell"},      {0, 0, "\xE2\x96\x81|hell"},
    {1, 1, "<s>|\xE2\x96\x81|hell|</s>"}, {0, 1, "\xE2\x96\x81|hell|</s>"},
};

static void what_belongs_in_front_and_behind_is_as_the_file_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_COUNT(additions); i++) {
        struct fixture f;
        fixture_spm(&f);
        gguf_make_drop(&f.make, "tokenizer.ggml.add_bos_token");
        if (additions[i].add_bos >= 0)
            gguf_make_bool(&f.make, "tokenizer.ggml.add_bos_token", additions[i].add_bos);
        if (additions[i].add_eos >= 0)
            gguf_make_bool(&f.make, "tokenizer.ggml.add_eos_token", additions[i].add_eos);
        fixture_open(&f);
        assert_string_equal(encode(&f, "hell", EW_TOKENIZE_BOS), additions[i].expected);
        assert_string_equal(encode(&f, "hell", 0), "\xE2\x96\x81|hell");
        fixture_close(&f);
    }
}

static void the_space_goes_in_front_of_the_text_and_behind_special_tokens(void **state)
{
    (void)state;
    struct fixture f;
    fixture_spm(&f);
    fixture_open(&f);
    assert_string_equal(encode(&f, "hell</s>hell", EW_TOKENIZE_SPECIAL),
                        "\xE2\x96\x81|hell|</s>|\xE2\x96\x81|hell");
    assert_string_equal(encode(&f, "", EW_TOKENIZE_BOS), "<s>");
    fixture_close(&f);
    fixture_spm(&f);
    gguf_make_bool(&f.make, "tokenizer.ggml.add_space_prefix", false);
    fixture_open(&f);
    assert_string_equal(encode(&f, "hell</s>hell", EW_TOKENIZE_SPECIAL), "hell|</s>|hell");
    fixture_close(&f);
}

static void phi_3_swallows_white_space_behind_its_tokens(void **state)
{
    (void)state;
    struct fixture f;
    fixture_spm(&f);
    gguf_make_string(&f.make, "general.name", "Phi-3 mini");
    fixture_open(&f);
    assert_string_equal(encode(&f, "</s> \n hell", EW_TOKENIZE_SPECIAL), "</s>|\xE2\x96\x81|hell");
    assert_string_equal(encode(&f, "<s> hell", EW_TOKENIZE_SPECIAL),
                        "<s>|\xE2\x96\x81|\xE2\x96\x81|hell");
    fixture_close(&f);
}

static void broken_text_counts_as_replacement_characters(void **state)
{
    (void)state;
    struct fixture f;
    fixture_bpe(&f);
    fixture_open(&f);
    char expected[64];
    snprintf(expected, sizeof expected, "%s", encode(&f, "he\xEF\xBF\xBDll", 0));
    assert_string_equal(encode(&f, "he\xE2\x82ll", 0), expected);
    fixture_close(&f);
}

static void too_little_room_says_how_much_is_needed_and_writes_no_further(void **state)
{
    (void)state;
    struct fixture f;
    fixture_bpe(&f);
    fixture_open(&f);
    int32_t tokens[4] = {-7, -7, -7, -7};
    size_t count;
    struct ew_err err = {0};
    assert_int_equal(ew_tokenizer_encode(f.tokenizer, "abcde", 5, 0, tokens, 2, &count, &err),
                     EW_ELIMIT);
    assert_int_equal(count, 5);
    assert_int_equal(err.code, EW_ELIMIT);
    assert_int_equal(tokens[2], -7);
    assert_int_not_equal(tokens[1], -7);
    assert_int_equal(ew_tokenizer_encode(f.tokenizer, "abcde", 5, 0, NULL, 0, &count, NULL),
                     EW_ELIMIT);
    assert_int_equal(count, 5);
    assert_int_equal(ew_tokenizer_encode(f.tokenizer, "", 0, 0, NULL, 0, &count, NULL), 0);
    assert_int_equal(count, 0);
    fixture_close(&f);
}

static void tokens_know_their_bytes_their_name_and_whether_they_end(void **state)
{
    (void)state;
    struct fixture f;
    fixture_bpe(&f);
    fixture_open(&f);
    for (int again = 0; again < 2; again++) {
        struct ew_str bytes = ew_tokenizer_bytes(f.tokenizer, BPE_HELLO);
        assert_int_equal(bytes.bytes, 5);
        assert_memory_equal(bytes.data, "hello", 5);
        assert_int_equal(ew_tokenizer_bytes(f.tokenizer, BPE_IM_END).bytes, 0);
    }
    assert_true(ew_str_is(ew_tokenizer_name(f.tokenizer, BPE_IM_END), "<|im_end|>"));
    assert_int_equal(ew_tokenizer_bytes(f.tokenizer, -1).bytes, 0);
    assert_int_equal(ew_tokenizer_bytes(f.tokenizer, GGUF_MAKE_BPE_VOCAB).bytes, 0);
    assert_int_equal(ew_tokenizer_name(f.tokenizer, INT32_MAX).bytes, 0);
    assert_true(ew_tokenizer_is_end(f.tokenizer, BPE_END_OF_TEXT));
    assert_true(ew_tokenizer_is_end(f.tokenizer, BPE_IM_END));
    assert_false(ew_tokenizer_is_end(f.tokenizer, BPE_IM_START));
    assert_false(ew_tokenizer_is_end(f.tokenizer, BPE_HELLO));
    assert_false(ew_tokenizer_is_end(f.tokenizer, -1));
    assert_int_equal(ew_tokenizer_vocab(f.tokenizer), GGUF_MAKE_BPE_VOCAB);
    assert_int_equal(ew_tokenizer_bos(f.tokenizer), BPE_END_OF_TEXT);
    assert_int_equal(ew_tokenizer_eos(f.tokenizer), BPE_END_OF_TEXT);
    assert_false(ew_tokenizer_adds_bos(f.tokenizer));
    fixture_close(&f);
}

/* ---- real vocabularies ---- */

static bool real_open(struct ew_gguf **gguf, struct ew_tokenizer **tokenizer, const char *name)
{
    const char *folder = getenv("EDGEWISE_TEST_MODELS"), *cache = getenv("XDG_CACHE_HOME");
    char path[4096];
    if (folder)
        snprintf(path, sizeof path, "%s/%s", folder, name);
    else if (cache)
        snprintf(path, sizeof path, "%s/edgewise/models/%s", cache, name);
    else
        snprintf(path, sizeof path, "%s/.cache/edgewise/models/%s", getenv("HOME"), name);
    if (access(path, R_OK) != 0) {
        printf("%s isn't there: skipped\n", path);
        return false;
    }
    struct ew_err err = {0};
    if (ew_gguf_open(gguf, path, &err) || ew_tokenizer_open(tokenizer, *gguf, &err))
        fail_msg("%s", err.text);
    return true;
}

/* Ids of SmolLM2; llama_tokenize of llama.cpp gave the same on 2026-11-22. */
static const struct {
    const char *text;
    unsigned flags;
    size_t count;
    int32_t tokens[40];
} golden[] = {
    {"", 0, 0, {0}},
    {" ", 0, 1, {216}},
    {"Hello, world!", 0, 4, {19556, 28, 905, 17}},
    {"It's 2026-11-22, don't you think?",
     0,
     19,
     {1589, 506, 216, 34, 32, 34, 38, 29, 33, 33, 29, 34, 34, 28, 1326, 982, 346, 1510, 47}},
    {"for (int i = 0; i < 10; i++) {\n\tprintf(\"%d\\n\", i);\n}\n",
     0,
     32,
     {1710, 365,  591, 2056, 446,  216, 32,    43, 2056, 2067, 216,  33,   32,   43,  2056, 11444,
      25,   1662, 198, 197,  3272, 86,  23901, 84, 76,   94,   1002, 2056, 4258, 198, 109,  198}},
    {"  two  spaces   and\n\n\nlines\r\n",
     0,
     10,
     {216, 827, 216, 5600, 256, 284, 1116, 198, 5110, 2738}},
    {"na\xC3\xAFve caf\xC3\xA9 \xE2\x80\x94 \xE2\x80\x9Cquotes\xE2\x80\x9D\xE2\x80\xA6",
     0,
     9,
     {3546, 46494, 37366, 1841, 619, 385, 2346, 573, 2829}},
    {"\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E\xE3\x81\xA8\xE4\xB8\xAD\xE6\x96\x87\xE3\x80\x81\xED\x95"
     "\x9C\xEA\xB5\xAD\xEC\x96\xB4",
     0,
     19,
     {23274, 115, 40993, 179, 120, 248, 7365, 118, 28589, 29184, 29917, 33085, 246, 181, 130, 251,
      183, 240, 129}},
    {"\xD9\x85\xD8\xB1\xD8\xAD\xD8\xA8\xD8\xA7 \xD9\xA1\xD9\xA2\xD9\xA3",
     0,
     12,
     {21706, 20602, 44626, 31462, 10805, 216, 164, 111, 164, 112, 164, 113}},
    {"\xE0\xB8\xAA\xE0\xB8\xA7\xE0\xB8\xB1\xE0\xB8\xAA\xE0\xB8\x94\xE0\xB8\xB5",
     0,
     12,
     {10283, 120, 10283, 117, 10283, 126, 10283, 120, 10283, 238, 10283, 130}},
    {"e\xCC\x81 n\xCC\x83", 0, 6, {85, 151, 219, 304, 151, 221}},
    {"\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7 ok \xF0\x9F\x98\x80",
     0,
     16,
     {10813, 235, 119, 321, 231, 10813, 235, 119, 321, 231, 10813, 235, 117, 10907, 40303, 218}},
    {"3.14159265358979", 0, 16, {35, 30, 33, 36, 33, 37, 41, 34, 38, 37, 35, 37, 40, 41, 39, 41}},
    {"<|im_start|>user\nHi<|im_end|>\n",
     0,
     18,
     {44, 108, 306, 79, 3738, 108, 46, 4093, 198, 26843, 44, 108, 306, 79, 486, 108, 46, 198}},
    {"<|im_start|>user\nHi<|im_end|>\n", EW_TOKENIZE_SPECIAL, 6, {1, 4093, 198, 26843, 2, 198}},
    {"a\xEF\xBF\xBD"
     "b",
     0,
     3,
     {81, 24211, 82}},
};

static void smollm2_gives_the_ids_it_was_trained_on(void **state)
{
    (void)state;
    struct ew_gguf *gguf = NULL;
    struct ew_tokenizer *t = NULL;
    if (!real_open(&gguf, &t, "smollm2-135m.gguf"))
        skip();
    for (size_t i = 0; i < EW_COUNT(golden); i++) {
        int32_t tokens[64];
        size_t count;
        assert_int_equal(ew_tokenizer_encode(t, golden[i].text, strlen(golden[i].text),
                                             golden[i].flags, tokens, 64, &count, NULL),
                         0);
        assert_int_equal(count, golden[i].count);
        assert_memory_equal(tokens, golden[i].tokens, count * sizeof *tokens);
    }
    ew_tokenizer_close(&t);
    ew_gguf_close(&gguf);
}

/* A random character that the vocabulary can hold: SmolLM2 has no tokens for some bytes, and a
 * SentencePiece vocabulary reads U+2581 as a space. */
static size_t random_char(struct ew_rng *rng, const char *model, char *out)
{
    static const uint32_t tops[] = {0x80, 0x80, 0x80, 0x800, 0x10000, 0x110000};
    for (;;) {
        uint32_t point = (uint32_t)ew_rng_below(rng, tops[ew_rng_below(rng, EW_COUNT(tops))]);
        size_t bytes = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
        if (point == 0x2581 || (point >= 0xD800 && point <= 0xDFFF))
            continue;
        if (strncmp(model, "smollm2", 7) == 0 && (point < ' ' || point > 0xFFFF))
            continue;
        for (size_t i = bytes - 1; i > 0; i--, point >>= 6)
            out[i] = (char)(0x80 | (point & 0x3F));
        out[0] = (char)(bytes == 1 ? point : (0xF00u >> bytes & 0xFF) | point);
        return bytes;
    }
}

static void decoding_what_was_encoded_gives_the_text_again(void **state)
{
    (void)state;
    static const char *const models[] = {"smollm2-135m.gguf", "gemma3-270m.gguf",
                                         "qwen2.5-coder-0.5b.gguf"};
    struct ew_rng rng;
    ew_rng_init(&rng, 5);
    int done = 0;
    for (size_t m = 0; m < EW_COUNT(models); m++) {
        struct ew_gguf *gguf = NULL;
        struct ew_tokenizer *t = NULL;
        if (!real_open(&gguf, &t, models[m]))
            continue;
        done++;
        for (int round = 0; round < 5000; round++) {
            char text[256], back[256];
            int32_t tokens[512];
            size_t bytes = 0, count, n = 0;
            for (uint64_t c = ew_rng_below(&rng, 60); c; c--)
                bytes += random_char(&rng, models[m], text + bytes);
            assert_int_equal(ew_utf8_valid(text, bytes), bytes);
            assert_int_equal(ew_tokenizer_encode(t, text, bytes, 0, tokens, 512, &count, NULL), 0);
            for (size_t i = 0; i < count; i++) {
                struct ew_str piece = ew_tokenizer_bytes(t, tokens[i]);
                assert_true(n + piece.bytes <= sizeof back);
                memcpy(back + n, piece.data, piece.bytes);
                n += piece.bytes;
            }
            assert_int_equal(n, bytes);
            assert_memory_equal(back, text, bytes);
        }
        ew_tokenizer_close(&t);
        ew_gguf_close(&gguf);
    }
    if (!done)
        skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_tokens_are_text_unless_asked_for),
        cmocka_unit_test(user_defined_tokens_are_always_taken_whole),
        cmocka_unit_test(what_belongs_in_front_and_behind_is_as_the_file_says),
        cmocka_unit_test(the_space_goes_in_front_of_the_text_and_behind_special_tokens),
        cmocka_unit_test(phi_3_swallows_white_space_behind_its_tokens),
        cmocka_unit_test(broken_text_counts_as_replacement_characters),
        cmocka_unit_test(too_little_room_says_how_much_is_needed_and_writes_no_further),
        cmocka_unit_test(tokens_know_their_bytes_their_name_and_whether_they_end),
        cmocka_unit_test(smollm2_gives_the_ids_it_was_trained_on),
        cmocka_unit_test(decoding_what_was_encoded_gives_the_text_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
