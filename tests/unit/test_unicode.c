/* test_unicode.c - classes of characters: known ones, all of ASCII, and the table's own order. */
#include "model/unicode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    uint32_t point;
    enum ew_unicode_class class;
} known[] = {
    {'A', EW_UNICODE_LETTER},         {'z', EW_UNICODE_LETTER},
    {0xAA, EW_UNICODE_LETTER},                                      /* feminine ordinal */
    {0xB5, EW_UNICODE_LETTER},                                      /* micro sign */
    {0x2B0, EW_UNICODE_LETTER},                                     /* modifier letter */
    {0x5D0, EW_UNICODE_LETTER},                                     /* alef */
    {0x4E2D, EW_UNICODE_LETTER},                                    /* han */
    {0xD7A3, EW_UNICODE_LETTER},                                    /* last hangul syllable */
    {0x1D400, EW_UNICODE_LETTER},     {0x31350, EW_UNICODE_LETTER}, /* a letter since Unicode 15 */
    {0x2EBF0, EW_UNICODE_LETTER},                                   /* since 15.1 */
    {0x0CF3, EW_UNICODE_OTHER},                                     /* a mark since 15 */
    {0x1C89, EW_UNICODE_OTHER}, /* a letter since 16: not one here */
    {'7', EW_UNICODE_NUMBER},         {0xB2, EW_UNICODE_NUMBER}, /* superscript two */
    {0xBD, EW_UNICODE_NUMBER},                                   /* one half */
    {0x663, EW_UNICODE_NUMBER},                                  /* arabic three */
    {0x2167, EW_UNICODE_NUMBER},                                 /* roman eight */
    {0x3007, EW_UNICODE_NUMBER},                                 /* han zero */
    {'!', EW_UNICODE_PUNCTUATION},    {'_', EW_UNICODE_PUNCTUATION},
    {0x3002, EW_UNICODE_PUNCTUATION}, {0x2014, EW_UNICODE_PUNCTUATION},
    {'$', EW_UNICODE_OTHER},          {'+', EW_UNICODE_OTHER},
    {'`', EW_UNICODE_OTHER},          {0x301, EW_UNICODE_OTHER}, /* combining acute */
    {0x200B, EW_UNICODE_OTHER},                                  /* zero width space isn't white */
    {0x180E, EW_UNICODE_OTHER}, /* nor is the mongolian vowel separator */
    {0x1C, EW_UNICODE_OTHER},         {0, EW_UNICODE_OTHER},
    {0x1F600, EW_UNICODE_OTHER},      {0xFFFD, EW_UNICODE_OTHER},
    {0x10FFFF, EW_UNICODE_OTHER},     {0x110000, EW_UNICODE_OTHER},
    {UINT32_MAX, EW_UNICODE_OTHER},   {' ', EW_UNICODE_SPACE},
    {'\t', EW_UNICODE_SPACE},         {'\v', EW_UNICODE_SPACE},
    {0x85, EW_UNICODE_SPACE},         {0xA0, EW_UNICODE_SPACE},
    {0x1680, EW_UNICODE_SPACE},       {0x2000, EW_UNICODE_SPACE},
    {0x200A, EW_UNICODE_SPACE},       {0x2028, EW_UNICODE_SPACE},
    {0x3000, EW_UNICODE_SPACE},
};

static void known_characters_have_their_class(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (ew_unicode_class(known[i].point) != known[i].class)
            fail_msg("U+%04X is of class %d, expected %d", known[i].point,
                     ew_unicode_class(known[i].point), known[i].class);
}

static void the_table_ascends_and_neighbours_differ(void **state)
{
    (void)state;
    assert_true(ew_unicode_start_count > 1000);
    assert_int_equal(ew_unicode_starts[0] >> 3, 0);
    for (size_t i = 1; i < ew_unicode_start_count; i++) {
        assert_true(ew_unicode_starts[i - 1] >> 3 < ew_unicode_starts[i] >> 3);
        assert_int_not_equal(ew_unicode_starts[i - 1] & 7, ew_unicode_starts[i] & 7);
        assert_true((ew_unicode_starts[i] & 7) <= EW_UNICODE_SPACE);
    }
}

/* The search and the table for ASCII against a walk through the runs. */
static void every_character_is_of_the_run_it_lies_in(void **state)
{
    (void)state;
    size_t run = 0;
    for (uint32_t point = 0; point <= 0x10FFFF; point++) {
        if (run + 1 < ew_unicode_start_count && ew_unicode_starts[run + 1] >> 3 == point)
            run++;
        if (ew_unicode_class(point) != (ew_unicode_starts[run] & 7))
            fail_msg("U+%04X", point);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_characters_have_their_class),
        cmocka_unit_test(the_table_ascends_and_neighbours_differ),
        cmocka_unit_test(every_character_is_of_the_run_it_lies_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
