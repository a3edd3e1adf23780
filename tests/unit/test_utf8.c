/* test_utf8.c - what is a character, what replaces what isn't, and streams cut anywhere. */
#include "base/rng.h"
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define FFFD "\xEF\xBF\xBD"

/* Inputs of the Unicode standard's tables 3-8 to 3-11 among them. */
static const struct {
    const char *in, *out;
} repairs[] = {
    {"", ""},
    {"plain ascii, longer than eight bytes", "plain ascii, longer than eight bytes"},
    {"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"},
    {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "A"},
    {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "A"},
    {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", FFFD FFFD FFFD FFFD FFFD "A" FFFD FFFD "B"},
    {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", FFFD FFFD FFFD FFFD "A"},
    {"caf\xC3", "caf" FFFD},
    {"12345678\xE2\x82", "12345678" FFFD},
    {"\xF0\x9F\x98", FFFD},
    {"\xF8\x88\x80\x80\x80", FFFD FFFD FFFD FFFD FFFD},
    {"\xF4\x8F\xBF\xBF\xEE\x80\x80\xED\x9F\xBF", "\xF4\x8F\xBF\xBF\xEE\x80\x80\xED\x9F\xBF"},
};

static void broken_text_is_repaired_as_the_standard_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_COUNT(repairs); i++) {
        struct ew_buf out;
        ew_buf_init(&out, 256);
        assert_int_equal(ew_utf8_repair(&out, repairs[i].in, strlen(repairs[i].in), NULL), 0);
        assert_string_equal(ew_buf_cstr(&out), repairs[i].out);
        ew_buf_fini(&out);
    }
}

static void every_code_point_is_a_character_unless_it_is_a_surrogate(void **state)
{
    (void)state;
    for (uint32_t point = 0x80; point <= 0x110FFF; point++) {
        char text[4];
        int bytes = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
        for (int i = bytes - 1; i > 0; i--)
            text[i] = (char)(0x80 | (point >> 6 * (bytes - 1 - i) & 0x3F));
        text[0] = (char)((0xF00u >> bytes & 0xFF) | point >> 6 * (bytes - 1));
        struct ew_utf8_char c = ew_utf8_next(text, (size_t)bytes);
        bool fine = (point < 0xD800 || point > 0xDFFF) && point <= 0x10FFFF;
        assert_int_equal(c.state, fine ? EW_UTF8_WHOLE : EW_UTF8_BROKEN);
        assert_int_equal(c.point, fine ? point : 0xFFFD);
        if (fine) {
            assert_int_equal(c.bytes, bytes);
            assert_int_equal(ew_utf8_next(text, (size_t)bytes - 1).state, EW_UTF8_CUT);
        }
    }
}

static void a_repair_that_does_not_fit_fails(void **state)
{
    (void)state;
    struct ew_buf out;
    ew_buf_init(&out, 5);
    assert_int_equal(ew_utf8_repair(&out, "ab\xFF\xFF", 4, NULL), EW_ELIMIT);
    ew_buf_fini(&out);
}

static void a_stream_gives_whole_characters_and_what_repair_gives(void **state)
{
    (void)state;
    static const char bytes[] = "a\x80\xBF\xC3\xE2\x82\xAC\xF0\x9F\x98\xED\xA0\xF4\x90\xFF";
    struct ew_rng rng;
    ew_rng_init(&rng, 1);
    struct ew_buf whole, parts;
    ew_buf_init(&whole, 1024);
    ew_buf_init(&parts, 1024);
    for (int round = 0; round < 20000; round++) {
        char text[24];
        size_t n = (size_t)ew_rng_below(&rng, sizeof text);
        for (size_t i = 0; i < n; i++)
            text[i] = bytes[ew_rng_below(&rng, sizeof bytes - 1)];
        ew_buf_clear(&whole);
        ew_buf_clear(&parts);
        assert_int_equal(ew_utf8_repair(&whole, text, n, NULL), 0);
        struct ew_utf8_stream stream = {0};
        for (size_t at = 0; at < n;) {
            size_t take = 1 + (size_t)ew_rng_below(&rng, 5);
            take = take > n - at ? n - at : take;
            assert_int_equal(ew_utf8_push(&stream, text + at, take, &parts, NULL), 0);
            assert_int_equal(ew_utf8_valid(ew_buf_cstr(&parts), parts.bytes), parts.bytes);
            assert_true(stream.bytes < EW_UTF8_MAX);
            at += take;
        }
        assert_int_equal(ew_utf8_flush(&stream, &parts, NULL), 0);
        assert_int_equal(ew_utf8_flush(&stream, &parts, NULL), 0);
        assert_string_equal(ew_buf_cstr(&parts), ew_buf_cstr(&whole));
    }
    ew_buf_fini(&whole);
    ew_buf_fini(&parts);
}

static void a_stream_holds_nothing_back_that_is_complete(void **state)
{
    (void)state;
    struct ew_utf8_stream stream = {0};
    struct ew_buf out;
    ew_buf_init(&out, 64);
    assert_int_equal(ew_utf8_push(&stream, "x\xF0\x9F", 3, &out, NULL), 0);
    assert_string_equal(ew_buf_cstr(&out), "x");
    assert_int_equal(ew_utf8_push(&stream, "", 0, &out, NULL), 0);
    assert_int_equal(ew_utf8_push(&stream, "\x98", 1, &out, NULL), 0);
    assert_string_equal(ew_buf_cstr(&out), "x");
    assert_int_equal(ew_utf8_push(&stream, "\x80y", 2, &out, NULL), 0);
    assert_string_equal(ew_buf_cstr(&out), "x\xF0\x9F\x98\x80y");
    ew_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_text_is_repaired_as_the_standard_says),
        cmocka_unit_test(every_code_point_is_a_character_unless_it_is_a_surrogate),
        cmocka_unit_test(a_repair_that_does_not_fit_fails),
        cmocka_unit_test(a_stream_gives_whole_characters_and_what_repair_gives),
        cmocka_unit_test(a_stream_holds_nothing_back_that_is_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
