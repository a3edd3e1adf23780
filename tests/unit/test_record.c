/* test_record.c - the table of columns, texts of strangers, and rows as JSON and CSV. */
#include "flow/record.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_the_table_agrees_with_the_struct(void **state)
{
    (void)state;
    struct ew_record record;
    ew_record_init(&record);
    snprintf(record.finish, sizeof record.finish, "stop");
    record.status = 499;
    record.energy_j = 1.5;
    assert_string_equal(ew_record_text(&record, (size_t)ew_record_find("finish")), "stop");
    assert_int_equal(ew_record_int(&record, (size_t)ew_record_find("status")), 499);
    assert_true(ew_record_real(&record, (size_t)ew_record_find("energy_j")) == 1.5);
    assert_int_equal(ew_record_find("colour"), -1);
    assert_int_equal(ew_record_find("request_id"), 0);
    assert_int_equal(ew_record_find("decision"), EW_RECORD_FIELD_COUNT - 1);
    for (size_t i = 0; i < EW_RECORD_FIELD_COUNT; i++) {
        assert_int_equal(ew_record_find(ew_record_fields[i].name), i);
        assert_true(strlen(ew_record_fields[i].meaning) > 5);
    }
}

static void test_text_of_strangers_becomes_one_harmless_line(void **state)
{
    (void)state;
    static const struct {
        const char *given;
        size_t bytes;
        const char *wanted; /* in 16 bytes */
    } cases[] = {
        {"smollm2", 7, "smollm2"},
        {"", 0, ""},
        {"a\nb\tc\rd", 7, "a b c d"},
        {"a\0b", 3, "a b"},
        {"\x1b[31mred\x7f", 9, " [31mred "},
        {"x\xC2\x9By", 4, "x y"},                         /* U+009B, a terminal's escape too */
        {"a\xE2\x80\xA8z", 5, "a z"},                     /* U+2028 */
        {"\xFF\xC3", 2, "\xEF\xBF\xBD\xEF\xBF\xBD"},      /* broken, cut */
        {"123456789012345", 15, "123456789012345"},       /* 15 and the NUL */
        {"1234567890123456", 16, "123456789012345"},      /* one more */
        {"12345678901234\xC3\xA9", 16, "12345678901234"}, /* not half a character */
        {"1234567890123\xC3\xA9", 15, "1234567890123\xC3\xA9"},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        char to[16];
        ew_record_set(to, sizeof to, (struct ew_str){cases[i].given, cases[i].bytes});
        assert_string_equal(to, cases[i].wanted);
    }
}

static void test_json_has_every_column_and_null_for_the_unknown(void **state)
{
    (void)state;
    struct ew_record record;
    struct ew_buf buf;
    struct ew_jsonw json;
    ew_record_init(&record);
    snprintf(record.model, sizeof record.model, "a \"quoted\" name");
    record.output_tokens = 0;
    record.cost_cents = 0.00001;
    ew_buf_init(&buf, 1 << 16);
    ew_jsonw_init(&json, &buf, EW_JSONW_COMPACT);
    ew_record_json(&json, &record);
    assert_int_equal(ew_jsonw_finish(&json, NULL), 0);
    json_t *object = json_loads(buf.data, 0, NULL);
    assert_non_null(object);
    assert_int_equal(json_object_size(object), EW_RECORD_FIELD_COUNT);
    assert_string_equal(json_string_value(json_object_get(object, "model")), "a \"quoted\" name");
    assert_int_equal(json_integer_value(json_object_get(object, "output_tokens")), 0);
    assert_true(json_real_value(json_object_get(object, "cost_cents")) == 0.00001);
    assert_true(json_is_null(json_object_get(object, "energy_j")));
    assert_true(json_is_null(json_object_get(object, "client")));
    assert_true(json_is_null(json_object_get(object, "status")));
    json_decref(object);
    ew_buf_fini(&buf);
}

static void test_csv_is_rfc_4180_and_no_formula(void **state)
{
    (void)state;
    struct ew_record record;
    struct ew_buf buf;
    ew_record_init(&record);
    ew_buf_init(&buf, 1 << 16);
    assert_int_equal(ew_record_csv_header(&buf, NULL), 0);
    assert_memory_equal(buf.data, "request_id,arrived_ms,client,", 29);
    assert_string_equal(buf.data + buf.bytes - 10, "decision\r\n");
    ew_buf_clear(&buf);
    snprintf(record.request_id, sizeof record.request_id, "r1");
    record.arrived_ms = -5; /* a number is no formula */
    snprintf(record.client, sizeof record.client, "a,b");
    snprintf(record.peer, sizeof record.peer, "say \"hi\"");
    snprintf(record.route, sizeof record.route, "=1+1");
    snprintf(record.model, sizeof record.model, "@x,\"y\"");
    record.energy_j = 0.25;
    assert_int_equal(ew_record_csv(&buf, &record, NULL), 0);
    assert_string_equal(buf.data, "r1,-5,\"a,b\",\"say \"\"hi\"\"\",'=1+1,\"'@x,\"\"y\"\"\","
                                  ",,,,,,,,,,,,,,,,0.25,,,,,,,,,\r\n");
    int commas = 0;
    ew_record_init(&record);
    ew_buf_clear(&buf);
    assert_int_equal(ew_record_csv(&buf, &record, NULL), 0);
    for (size_t i = 0; i < buf.bytes; i++)
        commas += buf.data[i] == ',';
    assert_int_equal(commas, EW_RECORD_FIELD_COUNT - 1);
    ew_buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table_agrees_with_the_struct),
        cmocka_unit_test(test_text_of_strangers_becomes_one_harmless_line),
        cmocka_unit_test(test_json_has_every_column_and_null_for_the_unknown),
        cmocka_unit_test(test_csv_is_rfc_4180_and_no_formula),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
