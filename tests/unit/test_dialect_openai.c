/* test_dialect_openai.c - what is asked in OpenAI's dialect, from either wire's requests; messages
 * that each dialect can write (dialect_messages.c). What is read: test_dialect_openai_answer.c. */
#include "support/dialect_check.h"

#define HI    "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define MODEL "\"model\":\"up\\\"1\""
#define TOOL                                                                                       \
    "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}}"
#define USES_STREAM "\"stream\":true,\"stream_options\":{\"include_usage\":true}"
#define CONTINUES   "\"continue_final_message\":true,\"add_generation_prompt\":false"

/* ---- what is asked ---- */

static const struct dialect_ask_case own_bodies[] = {
    {&ew_openai_chat, "{\"model\":\"m\"," HI "}", "{" MODEL "," HI "}", .stream = false},
    /* As it came: numbers, order, spaces inside, fields that nobody knows, an escaped key. */
    {&ew_openai_chat,
     " { \"temperature\" : 0.70 ,\n\"store\":[1e2, {\"a\": null}], \"model\":\"m\"," HI
     ",\"x\\u0079\":12345678901234567}\n",
     "{" MODEL ",\"temperature\":0.70,\"store\":[1e2, {\"a\": null}]," HI
     ",\"x\\u0079\":12345678901234567}",
     .stream = false},
    /* Whatever way it is written, the model is ours to say. */
    {&ew_openai_chat, "{\"model\":\"a\",\"mod\\u0065l\":\"m\"," HI "}", "{" MODEL "," HI "}",
     .stream = false},
    {&ew_openai_chat, "{\"model\":\"m\"," HI ",\"stream\":true}", "{" MODEL "," HI "}",
     .stream = false},
    {&ew_openai_chat, "{\"model\":\"m\"," HI "}", "{" MODEL "," USES_STREAM "," HI "}",
     .stream = true},
    {&ew_openai_chat,
     "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":false,\"y\":[ 1 ]}," HI
     "}",
     "{" MODEL ",\"stream\":true,\"stream_options\":{\"include_usage\":true,\"y\":[ 1 ]}," HI "}",
     .stream = true},
    {&ew_openai_chat, "{\"model\":\"m\",\"stream\":true,\"stream_options\":null," HI "}",
     "{" MODEL "," USES_STREAM "," HI "}", .stream = true},
    {&ew_openai_chat, "{\"model\":\"m\"," HI ",\"top_k\":4,\"min_p\":0.5}",
     "{" MODEL "," HI ",\"top_k\":4,\"min_p\":0.5}", .stream = false},
    {&ew_openai_chat,
     "{\"model\":\"m\"," HI ",\"top_k\":4,\"min_p\":0.5,\"repeat_penalty\":2,"
     "\"repetition_penalty\":2,\"repeat_last_n\":3,\"top_p\":0.5}",
     "{" MODEL "," HI ",\"top_p\":0.5}", .strict = true},
    {&ew_openai_completion, "{\"model\":\"m\",\"prompt\":[[1,2],[3]],\"n\":2}",
     "{" MODEL ",\"prompt\":[[1,2],[3]],\"n\":2}", .stream = false},
};

static const struct dialect_ask_case continuations[] = {
    {&ew_openai_chat, "{\"model\":\"m\"," HI ",\"max_completion_tokens\":9,\"top_p\":0.5}",
     "{" MODEL ",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\","
     "\"content\":\"\xc3\xa9\\\"\"}],\"top_p\":0.5,\"max_tokens\":5," CONTINUES "}",
     .prefill = "\xc3\xa9\"", .prefill_tokens = 4},
    /* The client's own last message of the assistant's grows. */
    {&ew_openai_chat,
     "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[ {\"type\":\"text\",\"text\":"
     "\"hi\"}]}, {\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"A\"}]}]}",
     "{" MODEL ",\"messages\":[{\"role\":\"user\",\"content\":[ {\"type\":\"text\",\"text\":"
     "\"hi\"}]},{\"role\":\"assistant\",\"content\":\"A B\"}]," CONTINUES "}",
     .prefill = " B"},
    {&ew_openai_chat, "{\"model\":\"m\"," HI ",\"continue_final_message\":false,\"max_tokens\":3}",
     "{" MODEL ",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\","
     "\"content\":\"\"}],\"max_tokens\":1," CONTINUES "}",
     .prefill = "", .prefill_tokens = 7},
    {&ew_openai_completion, "{\"model\":\"m\",\"prompt\":\"once\"}",
     "{" MODEL ",\"prompt\":\"once upon\",\"max_tokens\":14}", .prefill = " upon",
     .prefill_tokens = 2},
    {&ew_ollama_chat,
     "{\"model\":\"m\"," HI ",\"options\":{\"temperature\":1,\"top_p\":1,"
     "\"top_k\":0,\"repeat_penalty\":1}}",
     "{" MODEL ",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\","
     "\"content\":\"A\"}]," CONTINUES "}",
     .prefill = "A"},
};

#define OLLAMA_HINTS                                                                               \
    "\"temperature\":0.8,\"top_p\":0.9,\"top_k\":40,\"repeat_penalty\":1.1,"                       \
    "\"repetition_penalty\":1.1,\"repeat_last_n\":64"

static const struct dialect_ask_case ollama_bodies[] = {
    {&ew_ollama_chat, "{\"model\":\"m\"," HI "}", "{" MODEL "," HI "," OLLAMA_HINTS "}",
     .stream = false},
    {&ew_ollama_chat, "{\"model\":\"m\"," HI "}",
     "{" MODEL "," USES_STREAM "," HI ",\"temperature\":0.8,\"top_p\":0.9}", .stream = true,
     .strict = true},
    {&ew_ollama_chat,
     "{\"model\":\"m\"," HI
     ",\"format\":{\"type\":\"object\"},\"logprobs\":true,\"top_logprobs\":2,"
     "\"options\":{\"num_predict\":7,\"temperature\":9,\"top_p\":1,\"min_p\":0.05,\"top_k\":0,"
     "\"repeat_penalty\":1,\"presence_penalty\":-5,\"seed\":-3,\"stop\":[\"a\",\"b\"]}}",
     "{" MODEL "," HI ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":"
     "\"answer\",\"schema\":{\"type\":\"object\"}}},\"max_tokens\":7,\"stop\":[\"a\",\"b\"],"
     "\"temperature\":2,\"presence_penalty\":-2,\"seed\":-3,\"min_p\":0.05,\"repeat_last_n\":64,"
     "\"logprobs\":true,\"top_logprobs\":2}",
     .stream = false},
    /* Calls get ids, and results the ids of their calls: by name, then in order. */
    {&ew_ollama_chat,
     "{\"model\":\"m\",\"tools\":[" TOOL "],\"format\":\"json\",\"messages\":[{\"role\":\"assistant"
     "\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"a\":0.1}}},{\"function\":{"
     "\"name\":\"g\"}},{\"function\":{\"name\":\"f\"}}]},{\"role\":\"tool\",\"content\":\"1\","
     "\"tool_name\":\"g\"},{\"role\":\"tool\",\"content\":\"2\"},{\"role\":\"tool\",\"content\":"
     "\"3\",\"tool_name\":\"f\"}]}",
     "{" MODEL ",\"messages\":[{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":"
     "\"call_0_0\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
     "\"{\\\"a\\\":0.1}\"}},{\"id\":\"call_0_1\",\"type\":\"function\",\"function\":{\"name\":"
     "\"g\",\"arguments\":\"{}\"}},{\"id\":\"call_0_2\",\"type\":\"function\",\"function\":{"
     "\"name\":\"f\",\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"content\":\"1\","
     "\"tool_call_id\":\"call_0_1\"},{\"role\":\"tool\",\"content\":\"2\",\"tool_call_id\":"
     "\"call_0_0\"},{\"role\":\"tool\",\"content\":\"3\",\"tool_call_id\":\"call_0_2\"}],"
     "\"tools\":[" TOOL
     "],\"tool_choice\":\"auto\",\"response_format\":{\"type\":\"json_object\"}," OLLAMA_HINTS "}",
     .stream = false},
    {&ew_ollama_generate, "{\"model\":\"m\",\"prompt\":\"p\",\"raw\":true}",
     "{" MODEL ",\"prompt\":\"p\",\"max_tokens\":2048," OLLAMA_HINTS "}", .stream = false},
};

static void test_a_client_of_openais_has_its_body_passed_on(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_COUNT(own_bodies); i++)
        dialect_check_ask(&ew_dialect_openai, &own_bodies[i]);
}

static void test_an_answer_that_has_begun_is_continued(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_COUNT(continuations); i++)
        dialect_check_ask(&ew_dialect_openai, &continuations[i]);
}

static void test_a_client_of_ollamas_has_its_request_said_in_openais_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_COUNT(ollama_bodies); i++)
        dialect_check_ask(&ew_dialect_openai, &ollama_bodies[i]);
}

static void test_what_can_not_be_said_is_refused_by_name(void **state)
{
    (void)state;
    static const struct dialect_ask_case cases[] = {
        {&ew_ollama_chat, "{\"model\":\"m\"}", "keep_alive", .stream = false},
        {&ew_openai_chat, "{\"model\":\"m\"," HI "}", "prefill", .strict = true, .prefill = "A"},
        {&ew_openai_chat, "{\"model\":\"m\"," HI ",\"n\":2}", "n", .prefill = "A"},
        {&ew_openai_chat, "{\"model\":\"m\"," HI ",\"response_format\":{\"type\":\"json_object\"}}",
         "response_format", .prefill = "{"},
        {&ew_openai_chat,
         "{\"model\":\"m\"," HI ",\"tools\":[" TOOL "],\"tool_choice\":\"required\"}",
         "tool_choice", .prefill = "A"},
        {&ew_openai_completion, "{\"model\":\"m\",\"prompt\":\"a\",\"echo\":true}", "echo",
         .prefill = "A"},
        {&ew_openai_completion, "{\"model\":\"m\",\"prompt\":[1,2]}", "prompt", .prefill = "A"},
        {&ew_openai_completion, "{\"model\":\"m\",\"prompt\":[\"a\",\"b\"]}", "prompt",
         .prefill = "A"},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++)
        dialect_check_refusal(&ew_dialect_openai, &cases[i]);
    dialect_check_lacks(&ew_dialect_openai, &ew_ollama_chat, "{\"model\":\"m\"}", "keep_alive");
    dialect_check_lacks(&ew_dialect_openai, &ew_ollama_chat, "{\"model\":\"m\"," HI "}", NULL);
    dialect_check_lacks(&ew_dialect_openai, &ew_openai_completion,
                        "{\"model\":\"m\",\"prompt\":[[1],[2]],\"logprobs\":1}", NULL);
}

/* Requests of other makers than our wires': each field that no client of Ollama's can send. */
static void test_every_field_of_a_request_is_said(void **state)
{
    (void)state;
    static const struct ew_bias bias[] = {{.token = 5, .add = -100}, {.token = 7, .add = 0.5f}};
    struct ew_request request = {.kind = EW_REQUEST_CHAT,
                                 .messages = dialect_str("[]"),
                                 .tools = dialect_str("[" TOOL "]"),
                                 .tool_choice = EW_TOOLS_NAMED,
                                 .tool_name = "f",
                                 .n = 2,
                                 .user = "u",
                                 .sampling = {.temperature = 1, .top_p = 1, .repeat_penalty = 1}};
    request.sampling.bias = bias;
    request.sampling.bias_count = 2;
    struct ew_dialect_ask ask = {.request = &request, .model = "m"};
    struct ew_fault fault;
    struct ew_buf out;
    ew_buf_init(&out, WIRE_CHECK_BYTES_MAX);
    wire_check_text(ew_dialect_openai.compose(&ask, &out, &fault), &out,
                    "{\"model\":\"m\",\"messages\":[],\"tools\":[" TOOL "],\"tool_choice\":{"
                    "\"type\":\"function\",\"function\":{\"name\":\"f\"}},"
                    "\"parallel_tool_calls\":false,\"n\":2,\"logit_bias\":{\"5\":-100,\"7\":0.5},"
                    "\"user\":\"u\"}\n");
    ew_buf_fini(&out);
}

static void test_a_body_too_large_is_refused_and_leaves_the_buffer_as_it_was(void **state)
{
    (void)state;
    struct ew_request request;
    const char *body = "{\"model\":\"m\"," HI "}";
    wire_check_accept(&ew_openai_chat, body, &request);
    struct ew_dialect_ask ask = {.request = &request, .body = dialect_str(body), .model = "m"};
    for (size_t max = 2; max < 120; max++)
        for (int from_body = 0; from_body < 2; from_body++) {
            struct ew_buf out;
            struct ew_fault fault;
            ew_buf_init(&out, max);
            assert_int_equal(ew_buf_text(&out, "ab", NULL), 0);
            ask.body = from_body ? dialect_str(body) : (struct ew_str){0};
            if (ew_dialect_openai.compose(&ask, &out, &fault)) {
                assert_int_equal(fault.status, 413);
                assert_string_equal(ew_buf_cstr(&out), "ab");
            } else {
                assert_true(out.bytes > 50);
            }
            ew_buf_fini(&out);
        }
    ew_request_fini(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_client_of_openais_has_its_body_passed_on),
        cmocka_unit_test(test_an_answer_that_has_begun_is_continued),
        cmocka_unit_test(test_a_client_of_ollamas_has_its_request_said_in_openais_words),
        cmocka_unit_test(test_what_can_not_be_said_is_refused_by_name),
        cmocka_unit_test(test_every_field_of_a_request_is_said),
        cmocka_unit_test(test_a_body_too_large_is_refused_and_leaves_the_buffer_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
