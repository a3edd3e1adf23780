/* test_table.c - alignment, wide characters, unknown numbers, and too much text. */
#include "base/table.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct ew_table_column columns[] = {
    {"model", EW_TABLE_LEFT}, {"tokens/s", EW_TABLE_RIGHT}, {"note", EW_TABLE_LEFT}};

static void test_columns_are_as_wide_as_their_widest_cell(void **state)
{
    (void)state;
    struct ew_table table;
    struct ew_buf out;
    struct ew_err err = {0};
    ew_buf_init(&out, 1000);
    ew_table_init(&table, columns, 3);
    ew_table_cell(&table, "smollm2-%dm", 135);
    ew_table_number(&table, 123.456, 1);
    ew_table_cell(&table, "fast");
    ew_table_cell(&table, "caf\xc3\xa9\xe4\xbd\xa0");
    ew_table_number(&table, NAN, 1);
    ew_table_cell(&table, "%s", "");
    assert_int_equal(ew_table_format(&table, &out, &err), 0);
    assert_string_equal(ew_buf_cstr(&out), "model         tokens/s  note\n"
                                           "smollm2-135m     123.5  fast\n"
                                           "caf\xc3\xa9\xe4\xbd\xa0         unknown  \n");
    ew_table_fini(&table);
    ew_buf_fini(&out);
}

static void test_a_stream_that_is_no_terminal_gets_no_colors(void **state)
{
    (void)state;
    struct ew_table table;
    struct ew_err err = {0};
    char text[100] = "";
    FILE *file = tmpfile();
    ew_table_init(&table, columns, 1);
    ew_table_cell(&table, "a");
    assert_int_equal(ew_table_print(&table, file, &err), 0);
    rewind(file);
    assert_int_equal(fread(text, 1, sizeof text - 1, file), 8);
    assert_string_equal(text, "model\na\n");
    fclose(file);
    ew_table_fini(&table);
}

static void test_too_much_text_is_told_at_the_end(void **state)
{
    (void)state;
    struct ew_table table;
    struct ew_buf out;
    struct ew_err err = {0};
    char wide[500];
    memset(wide, 'w', sizeof wide - 1);
    wide[sizeof wide - 1] = '\0';
    ew_buf_init(&out, 1000);
    ew_table_init(&table, columns, 1);
    for (size_t i = 0; i < 2 + EW_TABLE_BYTES_MAX / sizeof wide; i++)
        ew_table_cell(&table, "%s", wide);
    assert_int_equal(ew_table_format(&table, &out, &err), EW_ELIMIT);
    assert_int_equal(err.code, EW_ELIMIT);
    ew_table_fini(&table);
    ew_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(test_a_stream_that_is_no_terminal_gets_no_colors),
        cmocka_unit_test(test_too_much_text_is_told_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
