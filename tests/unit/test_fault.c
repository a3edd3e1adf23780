/* test_fault.c - which type and code a status gets, and a message that is too long. */
#include "support/wire_check.h"

static void test_types_and_codes_follow_the_status(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *given, *type, *code;
    } cases[] = {
        {400, NULL, "invalid_request_error", NULL},
        {400, "invalid_type", "invalid_request_error", "invalid_type"},
        {401, NULL, "invalid_request_error", "invalid_api_key"},
        {403, NULL, "permission_error", NULL},
        {404, "model_not_found", "invalid_request_error", "model_not_found"},
        {413, NULL, "invalid_request_error", NULL},
        {429, NULL, "requests", "rate_limit_exceeded"},
        {429, "queue_full", "requests", "queue_full"},
        {500, NULL, "server_error", NULL},
        {503, NULL, "server_error", "service_unavailable"},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        struct ew_fault fault;
        ew_fault_set(&fault, cases[i].status, cases[i].given, NULL, "n is %d", 7);
        assert_int_equal(fault.status, cases[i].status);
        assert_string_equal(fault.type, cases[i].type);
        assert_string_equal(fault.message, "n is 7");
        assert_string_equal(fault.param, "");
        if (cases[i].code)
            assert_string_equal(fault.code, cases[i].code);
        else
            assert_null(fault.code);
    }
}

static void test_a_long_message_is_cut_between_characters(void **state)
{
    (void)state;
    char text[2000];
    struct ew_fault fault;
    for (size_t i = 0; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa9", 3);
    ew_fault_set(&fault, 400, NULL, text, "%s", text);
    assert_int_equal(strlen(fault.message), sizeof fault.message - 2); /* 510: 255 of two bytes */
    assert_true(strlen(fault.param) < sizeof fault.param);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types_and_codes_follow_the_status),
        cmocka_unit_test(test_a_long_message_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
