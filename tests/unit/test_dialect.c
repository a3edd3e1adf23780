/* test_dialect.c - dialects by name, lists of models, and errors of other servers as our faults,
 * without anything in them that looks like a key (dialect_fault.c). */
#include "support/dialect_check.h"

static void test_dialects_are_found_by_name(void **state)
{
    (void)state;
    assert_ptr_equal(ew_dialect_find("openai"), &ew_dialect_openai);
    assert_null(ew_dialect_find("OpenAI"));
    assert_null(ew_dialect_find(""));
    assert_string_equal(ew_dialect_openai.name, "openai");
}

/* ---- lists of models ---- */

static void take_name(void *user, const char *name, uint32_t ctx)
{
    ew_buf_printf(user, NULL, "%s:%u ", name, ctx);
}

static void check_models(const struct ew_dialect *dialect, const char *body, const char *wanted)
{
    struct ew_buf names;
    struct ew_err err = {0};
    ew_buf_init(&names, 4096);
    int rc = ew_dialect_models(dialect, dialect_str(body), take_name, &names, &err);
    if (rc != (wanted ? 0 : EW_EFORMAT) || strcmp(ew_buf_cstr(&names), wanted ? wanted : ""))
        fail_msg("%s\n  got %d: %s, '%s'", body, rc, err.text, ew_buf_cstr(&names));
    assert_true(wanted || strlen(err.text) > 10);
    ew_buf_fini(&names);
}

static void test_models_are_listed_with_the_context_that_servers_hint_at(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"object\":\"list\",\"data\":[]}", ""},
        {"{\"data\":[{\"id\":\"a\"},{\"id\":\"b\",\"max_model_len\":4096}]}", "a:0 b:4096 "},
        {"{\"models\":[{\"name\":\"x\"}],\"data\":[{\"id\":\"l\",\"meta\":{\"n_ctx_train\":8192,"
         "\"n_params\":1}},{\"id\":\"m\",\"meta\":{\"n_ctx_train\":8192,\"n_ctx\":2048}}]}",
         "l:8192 m:2048 "},
        {"[{\"id\":\"t\",\"context_length\":131072}]", "t:131072 "},
        {"{\"data\":[{\"id\":\"odd\",\"max_model_len\":-1,\"context_length\":\"9\","
         "\"context_window\":1e300,\"meta\":[]}]}",
         "odd:0 "},
        {"{\"data\":{}}", NULL},
        {"{\"data\":[{\"name\":\"a\"}]}", NULL},
        {"{\"data\":[{\"id\":\"a\"},{\"id\":7}]}", NULL},
        {"{\"data\":[{\"id\":\"\"}]}", NULL},
        {"{\"data\":[{\"id\":\"a\\u0000b\"}]}", NULL},
        {"{\"data\":[7]}", NULL},
        {"{}", NULL},
        {"7", NULL},
        {"\"data\"", NULL},
        {"<html>", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++)
        check_models(&ew_dialect_openai, cases[i][0], cases[i][1]);
}

/* ---- errors ---- */

static const struct {
    int status;
    const char *body;
    int wanted;
    const char *type, *code, *param, *message;
} errors[] = {
    {400,
     "{\"error\":{\"message\":\"Bad 'n'.\",\"type\":\"invalid_request_error\",\"param\":\"n\","
     "\"code\":\"x\"}}",
     400, "invalid_request_error", NULL, "n", "Bad 'n'."},
    {404,
     "{\"error\":{\"message\":\"No m.\",\"type\":\"invalid_request_error\",\"param\":null,"
     "\"code\":\"model_not_found\"}}",
     404, "invalid_request_error", "model_not_found", "", "No m."},
    {429, "{\"error\":{\"message\":\"Spent.\",\"code\":\"insufficient_quota\"}}", 429, "requests",
     "insufficient_quota", "", "Spent."},
    {429, "[{\"error\":{\"code\":429,\"message\":\"Slow.\",\"status\":\"RESOURCE_EXHAUSTED\"}}]",
     429, "requests", "rate_limit_exceeded", "", "Slow."},
    {529,
     "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}",
     503, "server_error", "overloaded", "", "Overloaded"},
    {400, "{\"object\":\"error\",\"message\":\"Flat.\",\"type\":\"BadRequestError\",\"code\":400}",
     400, "invalid_request_error", NULL, "", "Flat."},
    {404, "{\"error\":\"model 'x' not found\"}", 404, "invalid_request_error", NULL, "",
     "model 'x' not found"},
    {422, "{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"field required\"}]}", 422,
     "invalid_request_error", NULL, "", "field required"},
    {401, "{\"detail\":\"Unauthorized\"}", 401, "invalid_request_error", "invalid_api_key", "",
     "Unauthorized"},
    {500, "{\"message\":\"Broken.\"}", 500, "server_error", NULL, "", "Broken."},
    {400,
     "{\"error\":{\"code\":400,\"message\":\"the request exceeds the available context size\","
     "\"type\":\"exceed_context_size_error\"}}",
     400, "invalid_request_error", "context_length_exceeded", "",
     "the request exceeds the available context size"},
    {400, "{\"error\":{\"message\":\"This model's maximum context length is 9 tokens.\"}}", 400,
     "invalid_request_error", "context_length_exceeded", "",
     "This model's maximum context length is 9 tokens."},
    {502, "<html>Bad gateway sk-1234567890</html>", 502, "server_error", NULL, "",
     "It answered with status 502."},
    {503, "", 503, "server_error", "service_unavailable", "", "It answered with status 503."},
    {418, "{\"error\":{}}", 418, "invalid_request_error", NULL, "", "It answered with status 418."},
    {400, "{\"error\":7}", 400, "invalid_request_error", NULL, "", "It answered with status 400."},
    {999, "{}", 502, "server_error", NULL, "", "It answered with status 999."},
    {400, "null", 400, "invalid_request_error", NULL, "", "It answered with status 400."},
};

static void test_errors_of_others_are_faults_of_the_kinds_that_clients_know(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_COUNT(errors); i++) {
        struct ew_fault f;
        ew_dialect_fault(&ew_dialect_openai, errors[i].status, dialect_str(errors[i].body), &f);
        const char *code = f.code ? f.code : "-", *wanted = errors[i].code ? errors[i].code : "-";
        if (f.status != errors[i].wanted || strcmp(f.type, errors[i].type) != 0 ||
            strcmp(code, wanted) != 0 || strcmp(f.param, errors[i].param) != 0 ||
            strcmp(f.message, errors[i].message) != 0)
            fail_msg("%s\n  got %d %s %s '%s': %s", errors[i].body, f.status, f.type, code, f.param,
                     f.message);
    }
}

static void test_nothing_that_looks_like_a_key_or_an_address_is_repeated(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"Incorrect API key provided: sk-proj-abcDEF_123. See x.", "Incorrect API key provided: "
                                                                   "[key] See x."},
        {"bad key sk-ab********xyz!", "bad key [key]!"},
        {"api_key=sk-abcdefghij", "[key]"},
        {"(pplx-0123456789abcdef)", "([key])"},
        {"AIzaSyA1234567890", "[key]"},
        {"got Authorization: Bearer hunter2, no", "got Authorization: Bearer [key], no"},
        {"token deadbeef0123456789abcdef01234567", "token [key]"},
        {"x-api-key abc123+/abcdefghijklmnopqrst7uvw==", "x-api-key [key]"},
        {"model claude-3-5-sonnet-20241022 and qwen2.5-coder-0.5b-instruct-q4_k_m",
         "model claude-3-5-sonnet-20241022 and qwen2.5-coder-0.5b-instruct-q4_k_m"},
        {"request req_011CSHoEeqs5C35K2UUqR7Fy, task-force, sky, antidisestablishmentarianism",
         "request req_011CSHoEeqs5C35K2UUqR7Fy, task-force, sky, antidisestablishmentarianism"},
        {"an escaped one: \\\\nsk-abcdefg1", "an escaped one: \\[key]"},
        {"Post http://127.0.0.1:4031/completion: EOF", "Post http:[address]:4031/completion: EOF"},
        {"no route to 10.0.0.5.", "no route to [address]"},
        {"(192.168.178.200)", "([address])"},
        {"llama.cpp 1.2.3, of 1.2.3.4.5, 2026.11.27.100", "llama.cpp 1.2.3, of 1.2.3.4.5, "
                                                          "2026.11.27.100"},
        {"", "It answered with status 401."},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        char body[512];
        struct ew_fault f;
        snprintf(body, sizeof body, "{\"error\":{\"message\":\"%s\"}}", cases[i][0]);
        ew_dialect_fault(&ew_dialect_openai, 401, dialect_str(body), &f);
        assert_string_equal(f.message, cases[i][1]);
    }
}

static void test_a_param_is_no_place_for_a_key(void **state)
{
    (void)state;
    struct ew_fault f;
    ew_dialect_fault(&ew_dialect_openai, 401,
                     dialect_str("{\"error\":{\"message\":\"x\",\"param\":\"sk-0123456789\"}}"),
                     &f);
    assert_string_equal(f.param, "[key]");
}

/* Wherever it is cut, no part of a key and no half character is left. */
static void test_a_long_message_is_cut_clean(void **state)
{
    (void)state;
    for (size_t fill = 480; fill < 520; fill++) {
        char body[1024];
        struct ew_fault f;
        snprintf(body, sizeof body,
                 "{\"error\":\"%*s sk-0123456789abcdef \xe2\x82\xac\xe2\x82\xac\"}", (int)fill,
                 "a");
        ew_dialect_fault(&ew_dialect_openai, 401, dialect_str(body), &f);
        assert_null(strstr(f.message, "sk-"));
        json_t *text = json_string(f.message); /* NULL where it isn't UTF-8 */
        assert_non_null(text);
        json_decref(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dialects_are_found_by_name),
        cmocka_unit_test(test_models_are_listed_with_the_context_that_servers_hint_at),
        cmocka_unit_test(test_errors_of_others_are_faults_of_the_kinds_that_clients_know),
        cmocka_unit_test(test_nothing_that_looks_like_a_key_or_an_address_is_repeated),
        cmocka_unit_test(test_a_param_is_no_place_for_a_key),
        cmocka_unit_test(test_a_long_message_is_cut_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
