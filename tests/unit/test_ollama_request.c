/* test_ollama_request.c - what Ollama's requests may say, and what they are told when they may not.
 * Covers ollama_fields.c, ollama_messages.c, the parsers of ollama_chat.c, ollama_generate.c. */
#include "support/wire_check.h"

#define HI "\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static void test_what_is_left_out_has_ollamas_defaults(void **state)
{
    (void)state;
    struct ew_request r;
    wire_check_accept(&ew_ollama_chat, "{" HI "}", &r);
    assert_int_equal(r.kind, EW_REQUEST_CHAT);
    assert_string_equal(r.model, "m");
    wire_check_str(r.messages, "[{\"role\":\"user\",\"content\":\"hi\"}]");
    assert_true(r.stream);
    assert_false(r.has_seed || r.load_only || r.logprobs || r.raw || r.include_usage);
    assert_int_equal(r.n, 1);
    assert_int_equal(r.max_tokens, 0);
    assert_int_equal(r.format, EW_FORMAT_TEXT);
    assert_int_equal(r.tool_choice, EW_TOOLS_NONE);
    assert_true(r.sampling.temperature == 0.8f && r.sampling.top_p == 0.9f);
    assert_true(r.sampling.repeat_penalty == 1.1f && r.sampling.min_p == 0);
    assert_int_equal(r.sampling.top_k, 40);
    assert_int_equal(r.sampling.penalty_last, 64);
    assert_true(isnan(r.keep_alive_s));
    ew_request_fini(&r);
}

static void test_every_option_arrives(void **state)
{
    (void)state;
    struct ew_request r;
    wire_check_accept(&ew_ollama_chat,
                      "{" HI ",\"stream\":false,\"logprobs\":true,\"top_logprobs\":3,\"think\":"
                      "false,\"options\":{\"temperature\":0,\"top_k\":7.0,\"top_p\":0.5,\"min_p\":"
                      "0.25,\"repeat_penalty\":1.5,\"repeat_last_n\":-1,\"presence_penalty\":0.5,"
                      "\"frequency_penalty\":-0.5,\"seed\":42,\"num_predict\":9,\"num_ctx\":2048,"
                      "\"stop\":[\"a\",\"b\"],\"mirostat\":2,\"num_gpu\":\"x\"}}",
                      &r);
    assert_false(r.stream);
    assert_true(r.logprobs && r.has_seed);
    assert_int_equal(r.top_logprobs, 3);
    assert_true(r.sampling.temperature == 0 && r.sampling.top_p == 0.5f);
    assert_true(r.sampling.min_p == 0.25f && r.sampling.repeat_penalty == 1.5f);
    assert_true(r.sampling.presence_penalty == 0.5f && r.sampling.frequency_penalty == -0.5f);
    assert_int_equal(r.sampling.top_k, 7);
    assert_int_equal(r.sampling.penalty_last, -1);
    assert_int_equal(r.sampling.seed, 42);
    assert_int_equal(r.max_tokens, 9);
    assert_int_equal(r.stop_count, 2);
    assert_string_equal(r.stops[1], "b");
    ew_request_fini(&r);
}

static void test_values_that_mean_off(void **state)
{
    (void)state;
    struct ew_request r;
    wire_check_accept(&ew_ollama_generate,
                      "{\"model\":\"m\",\"prompt\":\"p\",\"options\":{\"seed\":-1,\"num_predict\":"
                      "-2,\"top_k\":-1,\"repeat_last_n\":0,\"stop\":\"one\"},\"format\":\"\","
                      "\"images\":[],\"template\":\"\",\"context\":[],\"suffix\":\"\"}",
                      &r);
    assert_false(r.has_seed);
    assert_int_equal(r.max_tokens, 0);
    assert_int_equal(r.sampling.top_k, 0);
    assert_int_equal(r.sampling.penalty_last, 0);
    assert_int_equal(r.stop_count, 1);
    assert_int_equal(r.format, EW_FORMAT_TEXT);
    ew_request_fini(&r);
}

static void test_keep_alive_is_seconds_or_a_duration_of_go(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double seconds;
    } cases[] = {
        {"0", 0},           {"300", 300},
        {"-1", -1},         {"1.5", 1.5},
        {"\"5m\"", 300},    {"\"0\"", 0},
        {"\"0s\"", 0},      {"\"1h30m\"", 5400},
        {"\"-1m\"", -60},   {"\"+2s\"", 2},
        {"\".5h\"", 1800},  {"\"1.5m0.5s\"", 90.5},
        {"\"10ms\"", .01},  {"\"3\xc2\xb5s\"", 3e-6},
        {"\"24h\"", 86400},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        char body[128];
        struct ew_request r;
        snprintf(body, sizeof body, "{" HI ",\"keep_alive\":%s}", cases[i].text);
        wire_check_accept(&ew_ollama_chat, body, &r);
        if (fabs(r.keep_alive_s - cases[i].seconds) > 1e-9)
            fail_msg("%s is %g s", cases[i].text, r.keep_alive_s);
        ew_request_fini(&r);
    }
    static const char *const bad[] = {"5",     "",     "-",   "m",      "5x",
                                      "1h 5m", "1e3s", "..s", "1.2.3s", "5m!"};
    for (size_t i = 0; i < EW_COUNT(bad); i++) {
        char body[128];
        snprintf(body, sizeof body, "{" HI ",\"keep_alive\":\"%s\"}", bad[i]);
        wire_check_fault(
            &ew_ollama_chat,
            &(struct wire_fault_case){body, "invalid_value", "keep_alive", "invalid keep_alive: "});
    }
}

static void test_a_format_is_json_or_a_schema(void **state)
{
    (void)state;
    struct ew_request r;
    wire_check_accept(&ew_ollama_chat, "{" HI ",\"format\":\"json\"}", &r);
    assert_int_equal(r.format, EW_FORMAT_JSON_OBJECT);
    ew_request_fini(&r);
    wire_check_accept(&ew_ollama_chat,
                      "{" HI ",\"format\":{\"type\": \"object\", \"x\": [1, 2.5]}}", &r);
    assert_int_equal(r.format, EW_FORMAT_JSON_SCHEMA);
    wire_check_str(r.schema, "{\"type\":\"object\",\"x\":[1,2.5]}");
    ew_request_fini(&r);
}

static void test_messages_become_what_templates_read(void **state)
{
    (void)state;
    struct ew_request r;
    wire_check_accept(
        &ew_ollama_chat,
        "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"s\",\"images\":null},"
        "{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":"
        "{\"a\":1.5}}},{\"id\":\"call_1\",\"function\":{\"name\":\"g\"}}]},{\"role\":\"tool\","
        "\"content\":\"2\",\"tool_name\":\"f\"},{\"role\":\"tool\",\"content\":\"3\","
        "\"tool_call_id\":\"call_1\"}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":"
        "\"f\",\"parameters\":{}}}]}",
        &r);
    wire_check_str(
        r.messages,
        "[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"assistant\",\"content\":\"\","
        "\"tool_calls\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":{\"a\":"
        "1.5}}},{\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\""
        ":{}}}]},{\"role\":\"tool\",\"content\":\"2\",\"name\":\"f\"},{\"role\":\"tool\","
        "\"content\":\"3\",\"tool_call_id\":\"call_1\"}]");
    wire_check_str(r.tools,
                   "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{}}}]");
    assert_int_equal(r.tool_choice, EW_TOOLS_AUTO);
    assert_true(r.parallel_tool_calls);
    ew_request_fini(&r);
}

static void test_a_prompt_is_a_chat_unless_it_is_raw(void **state)
{
    (void)state;
    struct ew_request r;
    wire_check_accept(&ew_ollama_generate, "{\"model\":\"m\",\"prompt\":\"p\\n\",\"system\":\"s\"}",
                      &r);
    assert_int_equal(r.kind, EW_REQUEST_CHAT);
    wire_check_str(r.messages, "[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\","
                               "\"content\":\"p\\n\"}]");
    ew_request_fini(&r);
    wire_check_accept(&ew_ollama_generate,
                      "{\"model\":\"m\",\"prompt\":\"p\\n\",\"raw\":true,\"system\":\"\"}", &r);
    assert_int_equal(r.kind, EW_REQUEST_COMPLETION);
    assert_true(r.raw);
    assert_int_equal(r.prompt_count, 1);
    wire_check_str(r.prompts[0].text, "p\n");
    assert_null(r.messages.data);
    ew_request_fini(&r);
}

static void test_without_a_prompt_the_model_is_loaded_or_unloaded(void **state)
{
    (void)state;
    static const struct {
        const struct ew_wire *wire;
        const char *body;
    } cases[] = {
        {&ew_ollama_chat, "{\"model\":\"m\"}"},
        {&ew_ollama_chat, "{\"model\":\"m\",\"messages\":[],\"keep_alive\":0}"},
        {&ew_ollama_generate, "{\"model\":\"m\"}"},
        {&ew_ollama_generate, "{\"model\":\"m\",\"prompt\":\"\",\"stream\":true,\"raw\":true}"},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        struct ew_request r;
        wire_check_accept(cases[i].wire, cases[i].body, &r);
        assert_true(r.load_only);
        assert_false(r.stream);
        assert_null(r.prompts);
        assert_null(r.messages.data);
        ew_request_fini(&r);
    }
}

static void test_chats_that_are_refused(void **state)
{
    (void)state;
    static const struct wire_fault_case cases[] = {
        {"", NULL, "", "We could not parse the JSON body of your request: "},
        {"[]", "invalid_type", "", "Invalid type for the body: expected an object, but got an "},
        {"{}", "missing_required_parameter", "model", "model is required"},
        {"{\"model\":\"\"}", "missing_required_parameter", "model", "model is required"},
        {"{\"model\":7}", "invalid_type", "model", "Invalid type for 'model': expected a string"},
        {"{" HI ",\"stream\":1}", "invalid_type", "stream", "Invalid type for 'stream': "},
        {"{" HI ",\"options\":[]}", "invalid_type", "options", "Invalid type for 'options': "},
        {"{" HI ",\"options\":{\"temperature\":\"1\"}}", "invalid_type", "options.temperature",
         "Invalid type for 'options.temperature': expected a decimal, but got a string"},
        {"{" HI ",\"options\":{\"temperature\":-1}}", "decimal_below_min_value",
         "options.temperature", "Invalid 'options.temperature': decimal below minimum value."},
        {"{" HI ",\"options\":{\"num_predict\":1.5}}", "invalid_type", "options.num_predict",
         "Invalid type for 'options.num_predict': expected an integer, but got a decimal"},
        {"{" HI ",\"options\":{\"top_k\":1e300}}", "invalid_type", "options.top_k",
         "Invalid type for 'options.top_k': "},
        {"{" HI ",\"options\":{\"stop\":[1]}}", "invalid_type", "options.stop[0]",
         "Invalid type for 'options.stop[0]': expected a string, but got an integer"},
        {"{" HI ",\"format\":\"xml\"}", "invalid_value", "format", "invalid format: expected "},
        {"{" HI ",\"format\":7}", "invalid_value", "format", "invalid format: expected "},
        {"{" HI ",\"keep_alive\":[]}", "invalid_type", "keep_alive", "Invalid type for 'keep_al"},
        {"{" HI ",\"think\":true}", "unsupported_value", "think", "\"m\" does not support think"},
        {"{" HI ",\"think\":\"low\"}", "unsupported_value", "think", "\"m\" does not support th"},
        {"{" HI ",\"top_logprobs\":21}", "integer_above_max_value", "top_logprobs", "Invalid 't"},
        {"{" HI ",\"tools\":[{}]}", "missing_required_parameter", "tools[0].type", "Missing requ"},
        {"{\"model\":\"m\",\"messages\":{}}", "invalid_type", "messages", "Invalid type for 'mes"},
        {"{\"model\":\"m\",\"messages\":[7]}", "invalid_type", "messages[0]", "Invalid type for "},
        {"{\"model\":\"m\",\"messages\":[{}]}", "missing_required_parameter", "messages[0].role",
         "Missing required parameter: 'messages[0].role'."},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"x\"}]}", "invalid_value", "messages[0].role",
         "Invalid value: 'x'. Supported values are: 'system', "},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[]}]}", "invalid_type",
         "messages[0].content", "Invalid type for 'messages[0].content': expected a string, but "},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"images\":[\"aGk=\"]}]}",
         "unsupported_parameter", "messages[0].images",
         "'messages[0].images' is not supported: the models here read text only"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":"
         "{\"name\":\"f\",\"arguments\":\"{}\"}}]}]}",
         "invalid_type", "messages[0].tool_calls[0].function.arguments",
         "Invalid type for 'messages[0].tool_calls[0].function.arguments': expected an object, "},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++)
        wire_check_fault(&ew_ollama_chat, &cases[i]);
}

static void test_prompts_that_are_refused(void **state)
{
    (void)state;
#define PROMPT "{\"model\":\"m\",\"prompt\":\"p\""
    static const struct wire_fault_case cases[] = {
        {"{\"model\":\"m\",\"prompt\":[]}", "invalid_type", "prompt", "Invalid type for 'prompt'"},
        {PROMPT ",\"raw\":\"yes\"}", "invalid_type", "raw", "Invalid type for 'raw': expected a b"},
        {PROMPT ",\"raw\":true,\"system\":\"s\"}", "invalid_value", "system", "raw mode does not "},
        {PROMPT ",\"suffix\":\"s\"}", "unsupported_parameter", "suffix", "'suffix' is not support"},
        {PROMPT ",\"images\":[\"aGk=\"]}", "unsupported_parameter", "images", "'images' is not su"},
        {PROMPT ",\"template\":\"{{\"}", "unsupported_parameter", "template", "'template' is not "},
        {PROMPT ",\"context\":[1]}", "unsupported_parameter", "context", "'context' is not suppor"},
        {PROMPT ",\"context\":7}", "unsupported_parameter", "context", "'context' is not suppor"},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++)
        wire_check_fault(&ew_ollama_generate, &cases[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_left_out_has_ollamas_defaults),
        cmocka_unit_test(test_every_option_arrives),
        cmocka_unit_test(test_values_that_mean_off),
        cmocka_unit_test(test_keep_alive_is_seconds_or_a_duration_of_go),
        cmocka_unit_test(test_a_format_is_json_or_a_schema),
        cmocka_unit_test(test_messages_become_what_templates_read),
        cmocka_unit_test(test_a_prompt_is_a_chat_unless_it_is_raw),
        cmocka_unit_test(test_without_a_prompt_the_model_is_loaded_or_unloaded),
        cmocka_unit_test(test_chats_that_are_refused),
        cmocka_unit_test(test_prompts_that_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
