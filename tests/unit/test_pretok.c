/* test_pretok.c - where each kind of pre-tokenizer cuts. */
#include "model/pretok.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Where the text is cut is marked by '^', which no text contains. */
static const struct {
    const char *name, *cuts;
} cases[] = {
    /* gpt-2: contractions in small letters only, a space belongs to the word behind it. */
    {"gpt-2", "Hello^ world^!"},
    {"gpt-2", "I^'ll^ say^ it^'s^ what^ they^'re^ '^ve^'d^'m^'t"},
    {"gpt-2", "IT^'^S"},
    {"gpt-2", "'s^x"},
    {"gpt-2", "a^  ^ b"},
    {"gpt-2", "a^ ^\t^b"},
    {"gpt-2", "a^   "},
    {"gpt-2", "x^1234^.^5^  ^ 67"},
    {"gpt-2", "a^\n^\n^b"},
    {"gpt-2", "a^\n\n^ b"},
    {"gpt-2", "\xE4\xB8\xAD\xE6\x96\x87^\xEF\xBC\x8C^\xE5\xA5\xBD"},
    {"gpt-2", "e^\xCC\x81^x"}, /* a combining mark isn't a letter */
    {"gpt-2", "a^\xC2\xA0^b"}, /* white, but not the space that joins */
    {"gpt-2", "a^\xC2\xA0^ b"},
    {"gpt-2", "\xF0\x9F\x98\x80\xF0\x9F\x98\x80^ \xF0\x9F\x98\x80"},
    {"gpt-2", "(^x^)^ ->^ y^;"},
    /* smollm: each digit alone, and a digit's edge is the text's edge. */
    {"smollm", "x^1^2^3^.^4"},
    {"smollm", "a^ ^5"},
    {"smollm", "a^  ^5"},
    {"smollm", "a^  ^ b"},
    {"smollm", "it^'s^ ^4^'s"},
    {"smollm", "\xC2\xBD^\xC2\xB2"},
    /* qwen2: contractions in any case, one mark may lead a word, line ends follow marks. */
    {"qwen2", "IT^'S^ It^'Ll"},
    {"qwen2", "(x^)^ ->^ y^;"},
    {"qwen2", "a^,b^.\n\n^c"},
    {"qwen2", "x^1^2^3"},
    {"qwen2", "x^ ^1"},
    {"qwen2", "\tx^ \t^ x"},
    {"qwen2", "a^  \n \n^  ^ b"},
    {"qwen2", "a^\r\n^b"},
    {"qwen2", "a^ !!\r\n^b"},
    {"qwen2", "a^   "},
    {"qwen2", "a^ "},
    {"qwen2", "\n^x"},
    /* llama-bpe: digits by three. */
    {"llama-bpe", "x^123^456^7"},
    {"llama-bpe", "x^ ^123^4^ y"},
    {"llama-bpe", "\xD9\xA1\xD9\xA2\xD9\xA3^\xD9\xA4"},
    {"llama-bpe", "don^'T"},
    /* default: marks first, so that contractions are taken apart; digits by three from the left. */
    {"default", "it^'^s^ a"},
    {"default", "a^ ^(^b"},
    {"default", "x^ ^123^4"},
    {"default", "x^123^456^7"},
    {"default", "\xD9\xA1^234^5^a"},
    {"default", "a^<=>$|~+^b"},
    {"default", "a^`^b"}, /* a symbol that isn't among the marks */
    {"default", "a^  ^.^ b"},
    {"default", "a^  ^ b"},
};

static void words_are_cut_where_the_expression_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        char text[128], got[256];
        size_t bytes = 0, n = 0;
        for (const char *c = cases[i].cuts; *c; c++)
            if (*c != '^')
                text[bytes++] = *c;
        struct ew_str name = {cases[i].name, strlen(cases[i].name)};
        const struct ew_pretok_info *info = ew_pretok_info(name);
        assert_non_null(info);
        struct ew_pretok it;
        struct ew_str word;
        ew_pretok_init(&it, info->kind, (struct ew_str){text, bytes});
        while (ew_pretok_next(&it, &word)) {
            if (n)
                got[n++] = '^';
            memcpy(got + n, word.data, word.bytes);
            n += word.bytes;
        }
        got[n] = '\0';
        if (strcmp(got, cases[i].cuts) != 0)
            fail_msg("%s cuts %s, expected %s", cases[i].name, got, cases[i].cuts);
    }
}

static void words_are_never_empty_and_add_up_to_the_text(void **state)
{
    (void)state;
    static const char *const pieces[] = {"a",
                                         "B",
                                         "'",
                                         "s",
                                         "l",
                                         " ",
                                         "  ",
                                         "\n",
                                         "\r",
                                         "\t",
                                         "1",
                                         "9",
                                         ".",
                                         "$",
                                         "\xC2\xA0",
                                         "\xD9\xA3",
                                         "\xCC\x81",
                                         "\xE4\xB8\xAD",
                                         "\xE3\x80\x80",
                                         "\xF0\x9F\x98\x80",
                                         "\0"};
    struct ew_rng rng;
    ew_rng_init(&rng, 2);
    for (int round = 0; round < 50000; round++) {
        char text[64];
        size_t bytes = 0;
        for (uint64_t n = ew_rng_below(&rng, 12); n; n--) {
            const char *piece = pieces[ew_rng_below(&rng, EW_COUNT(pieces))];
            size_t take = *piece ? strlen(piece) : 1;
            memcpy(text + bytes, piece, take);
            bytes += take;
        }
        for (int kind = EW_PRETOK_DEFAULT; kind <= EW_PRETOK_LLAMA3; kind++) {
            struct ew_pretok it;
            struct ew_str word;
            const char *at = text;
            ew_pretok_init(&it, (enum ew_pretok_kind)kind, (struct ew_str){text, bytes});
            for (; ew_pretok_next(&it, &word); at += word.bytes) {
                assert_ptr_equal(word.data, at);
                assert_true(word.bytes > 0);
            }
            assert_ptr_equal(at, text + bytes);
        }
    }
}

static void an_unknown_name_is_unknown(void **state)
{
    (void)state;
    assert_null(ew_pretok_info((struct ew_str){"qwen", 4}));
    assert_null(ew_pretok_info((struct ew_str){"", 0}));
    assert_true(ew_pretok_info((struct ew_str){"llama-bpe", 9})->whole_words);
    assert_false(ew_pretok_info((struct ew_str){"qwen2", 5})->whole_words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_cut_where_the_expression_says),
        cmocka_unit_test(words_are_never_empty_and_add_up_to_the_text),
        cmocka_unit_test(an_unknown_name_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
