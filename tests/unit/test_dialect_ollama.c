/* test_dialect_ollama.c - Ollama's dialect: what is asked, from either wire's requests, and its
 * lines as they are read. */
#include "support/dialect_check.h"

#include "flow/usage.h"

#define HI    "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define MODEL "\"model\":\"up\\\"1\""
#define TOOL                                                                                       \
    "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}}"
#define REST                                                                                       \
    "\"temperature\":1,\"top_k\":0,\"top_p\":1,\"min_p\":0,\"repeat_penalty\":1,"                  \
    "\"repeat_last_n\":-1,\"presence_penalty\":0,\"frequency_penalty\":0"
#define OPTIONS "\"options\":{\"num_predict\":-1," REST "}"

/* ---- what is asked ---- */

static const struct dialect_ask_case asks[] = {
    {&ew_openai_chat, "{\"model\":\"m\"," HI "}", "{" MODEL ",\"stream\":false," HI "," OPTIONS "}",
     .stream = false},
    {&ew_openai_chat, "{\"model\":\"m\"," HI ",\"stream\":false,\"user\":\"u\",\"store\":true}",
     "{" MODEL ",\"stream\":true," HI "," OPTIONS "}", .stream = true, .strict = true},
    {&ew_openai_chat,
     "{\"model\":\"m\"," HI ",\"max_tokens\":9,\"temperature\":0.7,\"top_p\":0.5,\"top_k\":3,"
     "\"min_p\":0.1,\"repeat_penalty\":1.5,\"repeat_last_n\":8,\"presence_penalty\":-1,"
     "\"frequency_penalty\":2,\"seed\":7,\"stop\":[\"a\",\"\\n\"],\"logprobs\":true,"
     "\"top_logprobs\":2,\"response_format\":{\"type\":\"json_object\"}}",
     "{" MODEL ",\"stream\":false," HI ",\"format\":\"json\",\"logprobs\":true,\"top_logprobs\":2,"
     "\"options\":{\"num_predict\":9,\"temperature\":0.7,\"top_k\":3,\"top_p\":0.5,\"min_p\":0.1,"
     "\"repeat_penalty\":1.5,\"repeat_last_n\":8,\"presence_penalty\":-1,\"frequency_penalty\":2,"
     "\"seed\":7,\"stop\":[\"a\",\"\\n\"]}}",
     .stream = false},
    /* Calls have objects, results the name of their tool; broken arguments are none. */
    {&ew_openai_chat,
     "{\"model\":\"m\",\"tools\":[" TOOL "],\"messages\":[{\"role\":\"developer\",\"content\":\"s\""
     "},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":"
     "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":0.1}\"}},{\"id\":\"c2\","
     "\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{\"}}]},{\"role\":\"tool\""
     ",\"tool_call_id\":\"c2\",\"content\":\"2\"},{\"role\":\"tool\",\"tool_call_id\":\"c9\","
     "\"content\":\"9\"}],\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":"
     "\"n\",\"schema\":{\"type\":\"object\"}}}}",
     "{" MODEL ",\"stream\":false,\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":"
     "\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"c1\",\"function\":{\"name\":\"f\","
     "\"arguments\":{\"a\":0.1}}},{\"id\":\"c2\",\"function\":{\"name\":\"g\",\"arguments\":{}}}]},"
     "{\"role\":\"tool\",\"content\":\"2\",\"tool_name\":\"g\",\"tool_call_id\":\"c2\"},{\"role\":"
     "\"tool\",\"content\":\"9\",\"tool_call_id\":\"c9\"}],\"tools\":[" TOOL "],\"format\":{"
     "\"type\":\"object\"}," OPTIONS "}",
     .stream = false},
    {&ew_openai_chat,
     "{\"model\":\"m\"," HI ",\"tools\":[" TOOL "],\"tool_choice\":\"none\","
     "\"parallel_tool_calls\":false}",
     "{" MODEL ",\"stream\":false," HI "," OPTIONS "}", .stream = false},
    {&ew_openai_completion, "{\"model\":\"m\",\"prompt\":\"a\\u00e9\"}",
     "{" MODEL ",\"stream\":false,\"raw\":true,\"prompt\":\"a\xc3\xa9\",\"options\":{"
     "\"num_predict\":16," REST "}}",
     .stream = false},
    {&ew_openai_completion, "{\"model\":\"m\",\"prompt\":\"a\"}",
     "{" MODEL ",\"stream\":false,\"raw\":true,\"prompt\":\"a b\",\"options\":{"
     "\"num_predict\":12," REST "}}",
     .prefill = " b", .prefill_tokens = 4},
    {&ew_openai_chat, "{\"model\":\"m\"," HI "}",
     "{" MODEL ",\"stream\":false,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":"
     "\"assistant\",\"content\":\"A \\\"\"}]," OPTIONS "}",
     .prefill = "A \""},
    {&ew_ollama_chat, "{\"model\":\"m\"," HI ",\"keep_alive\":\"5m\"}",
     "{" MODEL ",\"stream\":true," HI ",\"keep_alive\":300,\"options\":{\"num_predict\":-1,"
     "\"temperature\":0.8,\"top_k\":40,\"top_p\":0.9,\"min_p\":0,\"repeat_penalty\":1.1,"
     "\"repeat_last_n\":64,\"presence_penalty\":0,\"frequency_penalty\":0}}",
     .stream = true},
};

static void test_requests_are_said_in_ollamas_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_COUNT(asks); i++)
        dialect_check_ask(&ew_dialect_ollama, &asks[i]);
}

/* A model is loaded, or unloaded, by a request without a prompt. */
static void test_loading_is_said(void **state)
{
    (void)state;
    static const char *const bodies[][2] = {
        {"{\"model\":\"m\",\"keep_alive\":0}", "\"messages\":[],\"keep_alive\":0"},
        {"{\"model\":\"m\",\"keep_alive\":-1}", "\"messages\":[],\"keep_alive\":-1"},
    };
    for (size_t i = 0; i < EW_COUNT(bodies); i++) {
        struct dialect_ask_case c = {&ew_ollama_chat, bodies[i][0], "", .stream = false};
        struct ew_buf out;
        struct ew_fault fault;
        ew_buf_init(&out, WIRE_CHECK_BYTES_MAX);
        assert_int_equal(dialect_compose(&ew_dialect_ollama, &c, &out, &fault), 0);
        assert_non_null(strstr(ew_buf_cstr(&out), bodies[i][1]));
        ew_buf_fini(&out);
    }
}

#define TOOLS ",\"tools\":[" TOOL "]"

static void test_what_can_not_be_said_is_refused_by_name(void **state)
{
    (void)state;
    static const struct dialect_ask_case cases[] = {
        {&ew_openai_chat, "{\"model\":\"m\"," HI ",\"n\":2}", "n", .stream = false},
        {&ew_openai_chat, "{\"model\":\"m\"," HI ",\"logit_bias\":{\"1\":1}}", "logit_bias",
         .stream = false},
        {&ew_openai_chat, "{\"model\":\"m\"," HI TOOLS ",\"tool_choice\":\"required\"}",
         "tool_choice", .stream = false},
        {&ew_openai_chat,
         "{\"model\":\"m\"," HI TOOLS ",\"tool_choice\":{\"type\":\"function\",\"function\":{"
         "\"name\":\"f\"}}}",
         "tool_choice", .stream = false},
        {&ew_openai_chat, "{\"model\":\"m\"," HI TOOLS ",\"parallel_tool_calls\":false}",
         "parallel_tool_calls", .stream = false},
        {&ew_openai_completion, "{\"model\":\"m\",\"prompt\":[1,2]}", "prompt", .stream = false},
        {&ew_openai_completion, "{\"model\":\"m\",\"prompt\":[\"a\",\"b\"]}", "prompt",
         .stream = false},
        {&ew_openai_completion, "{\"model\":\"m\",\"prompt\":\"a\",\"echo\":true}", "echo",
         .stream = false},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        dialect_check_refusal(&ew_dialect_ollama, &cases[i]);
        dialect_check_lacks(&ew_dialect_ollama, cases[i].wire, cases[i].client, cases[i].upstream);
    }
    static const struct dialect_ask_case begun = {
        &ew_openai_chat, "{\"model\":\"m\"," HI ",\"response_format\":{\"type\":\"json_object\"}}",
        "response_format", .prefill = "{"};
    dialect_check_refusal(&ew_dialect_ollama, &begun);
    dialect_check_lacks(&ew_dialect_ollama, &ew_openai_chat, begun.client, NULL);
    dialect_check_lacks(&ew_dialect_ollama, &ew_ollama_chat, "{\"model\":\"m\"}", NULL);
}

static void test_a_body_too_large_is_refused_and_leaves_the_buffer_as_it_was(void **state)
{
    (void)state;
    struct ew_request request;
    wire_check_accept(&ew_openai_chat, "{\"model\":\"m\"," HI "}", &request);
    struct ew_dialect_ask ask = {.request = &request, .model = "m"};
    for (size_t max = 2; max < 300; max++) {
        struct ew_buf out;
        struct ew_fault fault;
        ew_buf_init(&out, max);
        assert_int_equal(ew_buf_text(&out, "ab", NULL), 0);
        if (ew_dialect_ollama.compose(&ask, &out, &fault)) {
            assert_int_equal(fault.status, 413);
            assert_string_equal(ew_buf_cstr(&out), "ab");
        } else {
            assert_true(out.bytes > 100);
        }
        ew_buf_fini(&out);
    }
    ew_request_fini(&request);
}

/* ---- what is read ---- */

#define LINE(message)                                                                              \
    "{\"model\":\"m\",\"created_at\":\"2026-01-01T00:00:00Z\",\"message\":" message
#define SAYS(text) LINE("{\"role\":\"assistant\",\"content\":\"" text "\"}") ",\"done\":false}"
#define DONE(reason)                                                                               \
    LINE("{\"role\":\"assistant\",\"content\":\"\"}")                                              \
    ",\"done\":true,\"done_reason\":\"" reason "\",\"total_duration\":9,\"prompt_eval_count\":7,"  \
    "\"eval_count\":3"

static void test_a_chat_in_lines(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1};
    static const struct dialect_event events[] = {
        {NULL, SAYS(""), ""},
        {NULL, LINE("{\"content\":\"\",\"thinking\":\"hm\"}") "}", "content1"},
        {NULL, SAYS("H\xc3\xa9"), "0@0'H\xc3\xa9'; content2"},
        {NULL, SAYS(" you"), "0@3' you'; content3"},
        {NULL, DONE("length") "}", "0@7'' length; usage 7/0/3 ended"},
        {NULL, "what comes behind isn't looked at", "usage 7/0/3 ended"},
        {0},
    };
    dialect_check_stream(&ew_dialect_ollama, &request, EW_ANSWER_DELTAS, events);
}

static void test_calls_come_one_by_one_and_are_told_at_the_end(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1};
    static const struct dialect_event events[] = {
        {NULL,
         LINE("{\"content\":\"\",\"tool_calls\":[{\"id\":\"c1\",\"function\":{\"index\":0,"
              "\"name\":\"f\",\"arguments\":{\"a\": [0.1, \"x\"]}}}]}") "}",
         "content1"},
        {NULL,
         LINE("{\"content\":\"\",\"tool_calls\":[{\"id\":\"c2\",\"function\":{\"index\":0,"
              "\"name\":\"f\"}},{\"id\":\"c3\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}"
              "]}") "}",
         "content2"},
        {NULL, DONE("stop") "}",
         "0@0'' #0 c1 f({\"a\":[0.1,\"x\"]}) #1 c2 f({}) #2 c3 g({}) tool_calls; usage 7/0/3 "
         "ended"},
        {0},
    };
    dialect_check_stream(&ew_dialect_ollama, &request, EW_ANSWER_DELTAS, events);
}

static void test_a_raw_answer_in_lines(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1, .kind = EW_REQUEST_COMPLETION, .logprobs = true};
    static const struct dialect_event events[] = {
        {NULL,
         "{\"response\":\"a\",\"logprobs\":[{\"token\":\"a\",\"logprob\":-0.5,\"bytes\":[97],"
         "\"top_logprobs\":[{\"token\":\"b\",\"logprob\":-1}]}],\"done\":false}",
         "0@0'a' [a -0.5 b=-1]; content1"},
        {NULL, "{\"response\":\"\",\"done\":true,\"done_reason\":\"stop\"}", "0@1'' stop; ended"},
        {0},
    };
    dialect_check_stream(&ew_dialect_ollama, &request, EW_ANSWER_DELTAS, events);
}

static void test_whole_answers(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1};
    static const char *const cases[][2] = {
        {LINE("{\"content\":\"Hi\"}") ",\"done\":true,\"prompt_eval_count\":1,\"eval_count\":2,"
                                      "\"device\":\"pi\",\"energy_j\":2,\"energy_kind\":"
                                      "\"modelled\","
                                      "\"cost_cents\":0.5,\"ttft_ms\":1,\"tokens_per_s\":null}",
         "0@0'Hi' stop; content1 usage 1/0/2 by pi 2J 1 0.5c 1ms nan/s ended"},
        /* Older ones leave out the count of a prompt that they knew: then nothing is known. */
        {LINE("{\"content\":\"Hi\"}") ",\"done\":true,\"eval_count\":2}",
         "0@0'Hi' stop; content1 ended"},
        {"{\"error\":\"model 'm' not found\"}", "fault 502 - model 'm' not found"},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++)
        dialect_check_whole(&ew_dialect_ollama, &request, cases[i][0], cases[i][1]);
}

static const char *const malformed[] = {
    "",
    "{",
    "[]",
    "7",
    "{}",
    "{\"done\":true}",
    "{\"message\":7,\"response\":7}",
    "{\"message\":{\"content\":7},\"response\":{}}",
    "{\"message\":{\"content\":\"\xff\"},\"response\":\"\xff\"}",
    "{\"message\":{},\"response\":\"\",\"done\":7}",
    "{\"message\":{},\"response\":\"\",\"done\":true,\"done_reason\":7}",
    "{\"message\":{},\"response\":\"\",\"done\":true,\"eval_count\":-1}",
    "{\"message\":{},\"response\":\"\",\"done\":true,\"eval_count\":4294967296}",
    "{\"message\":{},\"response\":\"\",\"done\":true,\"prompt_eval_count\":1e400}",
    "{\"message\":{},\"response\":\"\",\"done\":true,\"prompt_eval_count\":\"7\"}",
    "{\"message\":{},\"response\":\"\",\"logprobs\":7}",
    "{\"message\":{},\"response\":\"\",\"logprobs\":[{\"token\":7}]}",
};

static const char *const malformed_messages[] = {
    "{\"thinking\":7}",
    "{\"tool_calls\":7}",
    "{\"tool_calls\":[7]}",
    "{\"tool_calls\":[{\"function\":7}]}",
    "{\"tool_calls\":[{\"function\":{}}]}",
    "{\"tool_calls\":[{\"function\":{\"name\":\"\"}}]}",
    "{\"tool_calls\":[{\"function\":{\"name\":7}}]}",
    "{\"tool_calls\":[{\"id\":7,\"function\":{\"name\":\"f\"}}]}",
    "{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":7}}]}",
    "{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":[]}}]}",
    "{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"x\"}}]}",
    "{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"a\":\"\\u0000\"}}}]}",
};

static void test_what_is_no_answer_is_told_in_a_sentence(void **state)
{
    (void)state;
    struct ew_request requests[] = {{.n = 1, .logprobs = true},
                                    {.n = 1, .logprobs = true, .kind = EW_REQUEST_COMPLETION}};
    for (size_t i = 0; i < EW_COUNT(malformed); i++)
        for (size_t k = 0; k < EW_COUNT(requests); k++) {
            const struct dialect_event events[] = {{NULL, malformed[i], NULL}, {0}};
            dialect_check_whole(&ew_dialect_ollama, &requests[k], malformed[i], NULL);
            dialect_check_stream(&ew_dialect_ollama, &requests[k], EW_ANSWER_DELTAS, events);
        }
    for (size_t i = 0; i < EW_COUNT(malformed_messages); i++) {
        char body[256];
        snprintf(body, sizeof body, "{\"message\":%s,\"done\":true}", malformed_messages[i]);
        dialect_check_whole(&ew_dialect_ollama, &requests[0], body, NULL);
    }
}

/* As deep as jansson allows, and deeper. */
static void test_deep_arguments(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1};
    for (int deep = 40; deep < 100000; deep *= 6) {
        struct ew_buf body;
        ew_buf_init(&body, WIRE_CHECK_BYTES_MAX);
        ew_buf_text(&body,
                    "{\"message\":{\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":"
                    "\"f\",\"arguments\":{\"a\":",
                    NULL);
        for (int i = 0; i < deep; i++)
            ew_buf_text(&body, "[", NULL);
        for (int i = 0; i < deep; i++)
            ew_buf_text(&body, "]", NULL);
        ew_buf_text(&body, "}}}]},\"done\":true}", NULL);
        struct ew_answer *answer;
        struct ew_answer_news news;
        assert_int_equal(
            ew_answer_open(&answer, &ew_dialect_ollama, &request, EW_ANSWER_DELTAS, NULL), 0);
        struct ew_str text = {body.data, body.bytes};
        assert_int_equal(dialect_read(answer, NULL, text, true, &news, NULL),
                         deep == 40 ? 0 : EW_EFORMAT);
        ew_answer_close(&answer);
        ew_buf_fini(&body);
    }
}

static void take_name(void *user, const char *name, uint32_t ctx)
{
    assert_int_equal(ctx, 0);
    ew_buf_printf(user, NULL, "%s ", name);
}

static void test_models_are_those_of_the_tags(void **state)
{
    (void)state;
    struct ew_buf names;
    struct ew_err err;
    ew_buf_init(&names, 4096);
    assert_ptr_equal(ew_dialect_find("ollama"), &ew_dialect_ollama);
    assert_int_equal(ew_dialect_models(&ew_dialect_ollama,
                                       dialect_str("{\"models\":[{\"name\":\"a:latest\",\"model\":"
                                                   "\"x\"},{\"name\":\"b:1b\"}]}"),
                                       take_name, &names, &err),
                     0);
    assert_string_equal(ew_buf_cstr(&names), "a:latest b:1b ");
    assert_int_equal(ew_dialect_models(&ew_dialect_ollama, dialect_str("{\"data\":[]}"), take_name,
                                       &names, &err),
                     EW_EFORMAT);
    ew_buf_fini(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_are_said_in_ollamas_words),
        cmocka_unit_test(test_loading_is_said),
        cmocka_unit_test(test_what_can_not_be_said_is_refused_by_name),
        cmocka_unit_test(test_a_body_too_large_is_refused_and_leaves_the_buffer_as_it_was),
        cmocka_unit_test(test_a_chat_in_lines),
        cmocka_unit_test(test_calls_come_one_by_one_and_are_told_at_the_end),
        cmocka_unit_test(test_a_raw_answer_in_lines),
        cmocka_unit_test(test_whole_answers),
        cmocka_unit_test(test_what_is_no_answer_is_told_in_a_sentence),
        cmocka_unit_test(test_deep_arguments),
        cmocka_unit_test(test_models_are_those_of_the_tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
