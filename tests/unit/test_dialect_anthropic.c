/* test_dialect_anthropic.c - what is asked in Anthropic's words, from either wire's requests, and
 * what its events and whole answers are read as (dialect_anthropic_answer.c). */
#include "support/dialect_check.h"

#define HI    "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define MODEL "\"model\":\"up\\\"1\""
#define TOOL                                                                                       \
    "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\",\"parameters\":{"   \
    "\"properties\":{\"a\":{\"minimum\":0.1}}}}}"
#define TOOLS ",\"tools\":[" TOOL "]"
#define HEAD  "{" MODEL ",\"max_tokens\":4096,"
#define BLOCKS                                                                                     \
    "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]}]"
#define THEIR_TOOLS                                                                                \
    ",\"tools\":[{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{\"type\":\"object\","     \
    "\"properties\":{\"a\":{\"minimum\":0.1}}}}],\"tool_choice\":"

/* ---- what is asked ---- */

static const struct dialect_ask_case asks[] = {
    {&ew_openai_chat, "{\"model\":\"m\"," HI ",\"seed\":7,\"user\":\"u\",\"store\":true}",
     HEAD BLOCKS "}", .stream = false},
    {&ew_openai_chat,
     "{\"model\":\"m\"," HI ",\"max_tokens\":9,\"temperature\":1.7,\"top_p\":0.5,\"top_k\":3,"
     "\"stop\":[\"a\",\"b c\"]}",
     "{" MODEL ",\"max_tokens\":9,\"stream\":true," BLOCKS ",\"stop_sequences\":[\"a\",\"b c\"],"
     "\"temperature\":1,\"top_k\":3}",
     .stream = true, .strict = true},
    {&ew_openai_chat, "{\"model\":\"m\"," HI ",\"top_p\":0.7}", HEAD BLOCKS ",\"top_p\":0.7}",
     .stream = false},
    {&ew_openai_chat, "{\"model\":\"m\"," HI ",\"temperature\":0.3,\"top_p\":0.7}",
     HEAD BLOCKS ",\"temperature\":0.3}", .stream = false},
    /* Hints of Ollama's defaults are left out: repeat_penalty; of two, the first. */
    {&ew_ollama_chat, "{\"model\":\"m\"," HI "}", HEAD BLOCKS ",\"temperature\":0.8,\"top_k\":40}",
     .stream = false},
    /* System messages are lifted, neighbours of one role join, empty ones go. */
    {&ew_openai_chat,
     "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"s1\"},{\"role\":\"user\","
     "\"content\":\"a\"},{\"role\":\"user\",\"content\":\"\"},{\"role\":\"developer\",\"content\":"
     "\"s\\\"2\"},{\"role\":\"user\",\"content\":\"b\",\"name\":\"n\"},{\"role\":\"assistant\","
     "\"content\":\"c\"},{\"role\":\"assistant\",\"content\":\"d\"},{\"role\":\"user\",\"content\":"
     "\"e\"}]}",
     HEAD "\"system\":\"s1\\n\\ns\\\"2\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
          "\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]},{\"role\":\"assistant\","
          "\"content\":[{\"type\":\"text\",\"text\":\"c\"},{\"type\":\"text\",\"text\":\"d\"}]},{"
          "\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"e\"}]}]}",
     .stream = false},
    /* Calls and their results are blocks; ids have the characters that it takes. */
    {&ew_openai_chat,
     "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\","
     "\"content\":\"t\",\"tool_calls\":[{\"id\":\"c:1\",\"type\":\"function\",\"function\":{"
     "\"name\":\"f\",\"arguments\":\"{\\\"a\\\":[0.1]}\"}},{\"id\":\"c2\",\"type\":\"function\","
     "\"function\":{\"name\":\"g\",\"arguments\":\"\"}}]},{\"role\":\"tool\",\"tool_call_id\":"
     "\"c:1\",\"content\":\"1\"},{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":\"\"},{"
     "\"role\":\"user\",\"content\":\"b\"}]" TOOLS "}",
     HEAD
     "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}]},{\"role\":"
     "\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"t\"},{\"type\":\"tool_use\",\"id\":"
     "\"c_1\",\"name\":\"f\",\"input\":{\"a\":[0.1]}},{\"type\":\"tool_use\",\"id\":\"c2\","
     "\"name\":\"g\",\"input\":{}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
     "\"tool_use_id\":\"c_1\",\"content\":\"1\"},{\"type\":\"tool_result\",\"tool_use_id\":\"c2\"},"
     "{\"type\":\"text\",\"text\":\"b\"}]}]" THEIR_TOOLS "{\"type\":\"auto\"}}",
     .stream = false},
    {&ew_openai_chat, "{\"model\":\"m\"," HI TOOLS ",\"tool_choice\":\"none\"}",
     HEAD BLOCKS THEIR_TOOLS "{\"type\":\"none\"}}", .stream = false},
    {&ew_openai_chat,
     "{\"model\":\"m\"," HI TOOLS ",\"tool_choice\":\"required\",\"parallel_tool_calls\":false}",
     HEAD BLOCKS THEIR_TOOLS "{\"type\":\"any\",\"disable_parallel_tool_use\":true}}",
     .stream = false},
    {&ew_openai_chat,
     "{\"model\":\"m\"," HI TOOLS ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":"
     "\"f\"}}}",
     HEAD BLOCKS THEIR_TOOLS "{\"type\":\"tool\",\"name\":\"f\"}}", .stream = false},
    {&ew_openai_chat,
     "{\"model\":\"m\"," HI ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"g\"}}]}",
     HEAD BLOCKS ",\"tools\":[{\"name\":\"g\",\"input_schema\":{\"type\":\"object\"}}],"
                 "\"tool_choice\":{\"type\":\"auto\"}}",
     .stream = false},
    {&ew_openai_chat, "{\"model\":\"m\"," HI ",\"max_tokens\":10}",
     "{" MODEL ",\"max_tokens\":7,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\","
     "\"text\":\"hi\"}]},{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"A\"}]}]"
     "}",
     .prefill = "A", .prefill_tokens = 3},
    {&ew_openai_chat, "{\"model\":\"m\"," HI "}", HEAD BLOCKS "}", .prefill = ""},
};

static void test_requests_are_said_in_anthropics_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_COUNT(asks); i++)
        dialect_check_ask(&ew_dialect_anthropic, &asks[i]);
}

static void test_what_can_not_be_said_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const bodies[][2] = {
        {"{\"model\":\"m\"," HI ",\"n\":2}", "n"},
        {"{\"model\":\"m\"," HI ",\"logprobs\":true}", "logprobs"},
        {"{\"model\":\"m\"," HI ",\"response_format\":{\"type\":\"json_object\"}}",
         "response_format"},
        {"{\"model\":\"m\"," HI ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{"
         "\"name\":\"n\",\"schema\":{}}}}",
         "response_format"},
        {"{\"model\":\"m\"," HI ",\"logit_bias\":{\"1\":1}}", "logit_bias"},
        {"{\"model\":\"m\"," HI ",\"presence_penalty\":1}", "presence_penalty"},
        {"{\"model\":\"m\"," HI ",\"frequency_penalty\":-1}", "frequency_penalty"},
        {"{\"model\":\"m\"," HI ",\"stop\":[\"a\",\" \\n\"]}", "stop"},
    };
    for (size_t i = 0; i < EW_COUNT(bodies); i++) {
        const struct dialect_ask_case c = {&ew_openai_chat, bodies[i][0], bodies[i][1],
                                           .stream = false};
        dialect_check_refusal(&ew_dialect_anthropic, &c);
        dialect_check_lacks(&ew_dialect_anthropic, &ew_openai_chat, c.client, c.upstream);
    }
    dialect_check_lacks(&ew_dialect_anthropic, &ew_ollama_chat, "{\"model\":\"m\"}", "keep_alive");
    dialect_check_lacks(&ew_dialect_anthropic, &ew_openai_completion,
                        "{\"model\":\"m\",\"prompt\":\"a\"}", "prompt");
    dialect_check_lacks(&ew_dialect_anthropic, &ew_ollama_chat, "{\"model\":\"m\"," HI "}", NULL);
    assert_null(ew_dialect_anthropic.completion_path);
}

/* Only its messages, or the model, make it impossible. */
static void test_messages_that_can_not_be_said(void **state)
{
    (void)state;
    static const struct dialect_ask_case cases[] = {
        {&ew_openai_chat,
         "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"content\":\"a\"},{\"role\":"
         "\"user\",\"content\":\"b\"}]}",
         "messages", .stream = false},
        {&ew_openai_chat,
         "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"a\"}]}", "messages",
         .stream = false},
        {&ew_openai_chat, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"\"}]}",
         "messages", .stream = false},
        {&ew_openai_chat,
         "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":"
         "\"assistant\",\"content\":\"b \"}]}",
         "messages", .stream = false},
        {&ew_ollama_chat,
         "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"tool\","
         "\"content\":\"b\"}]}",
         "messages", .stream = false},
        {&ew_openai_chat, "{\"model\":\"m\"," HI "}", "prefill", .prefill = "A\n"},
        {&ew_openai_chat, "{\"model\":\"m\"," HI TOOLS ",\"tool_choice\":\"required\"}",
         "tool_choice", .prefill = "A"},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++)
        dialect_check_refusal(&ew_dialect_anthropic, &cases[i]);
}

/* The body for a model of that name, or the param of its refusal. */
static const char *ask_model(const char *model, const char *prefill, const char *choice,
                             struct ew_buf *out, struct ew_fault *fault)
{
    struct ew_request request;
    char body[512];
    snprintf(body, sizeof body,
             "{\"model\":\"m\"," HI TOOLS
             ",\"temperature\":0.5,\"top_k\":2,\"tool_choice\":\"%s\"}",
             choice);
    wire_check_accept(&ew_openai_chat, body, &request);
    struct ew_dialect_ask ask = {
        .request = &request, .model = model, .prefill = dialect_str(prefill)};
    ew_buf_clear(out);
    int rc = ew_dialect_anthropic.compose(&ask, out, fault);
    ew_request_fini(&request);
    return rc ? fault->param : ew_buf_cstr(out);
}

static void test_newer_models_take_less(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        bool samples, continues, forces;
    } models[] = {
        {"claude-2.1", true, true, true},
        {"claude-instant-1.2", true, true, true},
        {"claude-3-opus-20240229", true, true, true},
        {"claude-3-5-sonnet-20241022", true, true, true},
        {"claude-opus-4-20250514", true, true, true},
        {"claude-haiku-4-5-20251001", true, true, true},
        {"claude-sonnet-4-5", true, true, true},
        {"claude-opus-4-6", true, false, true},
        {"claude-opus-4-7", false, false, true},
        {"claude-sonnet-5", false, false, true},
        {"claude-sonnet-5-20260630", false, false, true},
        {"claude-opus-5-5", false, false, false},
        {"claude-opus-10", false, false, false},
        {"claude-next-preview", false, false, false},
        {"deepseek-chat", true, true, true},
        {"MiniMax-M2", true, true, true},
    };
    struct ew_buf out;
    struct ew_fault fault;
    ew_buf_init(&out, WIRE_CHECK_BYTES_MAX);
    for (size_t i = 0; i < EW_COUNT(models); i++) {
        const char *body = ask_model(models[i].model, NULL, "auto", &out, &fault);
        bool samples = strstr(body, "\"temperature\":0.5,\"top_k\":2") != NULL;
        bool none = !strstr(body, "temperature") && !strstr(body, "top_k");
        if (fault.status || samples != models[i].samples || none == models[i].samples)
            fail_msg("%s: %s", models[i].model, body);
        body = ask_model(models[i].model, "A", "auto", &out, &fault);
        if (strcmp(body, "prefill") == 0 ? models[i].continues : !models[i].continues)
            fail_msg("%s: %s", models[i].model, body);
        body = ask_model(models[i].model, NULL, "required", &out, &fault);
        if (strcmp(body, "tool_choice") == 0 ? models[i].forces : !models[i].forces)
            fail_msg("%s: %s", models[i].model, body);
    }
    ew_buf_fini(&out);
}

static void test_a_body_too_large_is_refused_and_leaves_the_buffer_as_it_was(void **state)
{
    (void)state;
    struct ew_request request;
    wire_check_accept(&ew_openai_chat,
                      "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{"
                      "\"role\":\"user\",\"content\":\"u\"}]" TOOLS "}",
                      &request);
    struct ew_dialect_ask ask = {.request = &request, .model = "m"};
    for (size_t max = 2; max < 400; max++) {
        struct ew_buf out;
        struct ew_fault fault;
        ew_buf_init(&out, max);
        assert_int_equal(ew_buf_text(&out, "ab", NULL), 0);
        if (ew_dialect_anthropic.compose(&ask, &out, &fault)) {
            assert_int_equal(fault.status, 413);
            assert_string_equal(ew_buf_cstr(&out), "ab");
        } else {
            assert_true(out.bytes > 200);
        }
        ew_buf_fini(&out);
    }
    ew_request_fini(&request);
}

/* ---- what is read ---- */

#define START                                                                                      \
    "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":"     \
    "\"assistant\",\"content\":[],\"model\":\"m\",\"stop_reason\":null,\"usage\":{"                \
    "\"input_tokens\":5,\"cache_read_input_tokens\":20,\"cache_creation_input_tokens\":3,"         \
    "\"output_tokens\":1}}}"
#define BLOCK(index, block)                                                                        \
    "{\"type\":\"content_block_start\",\"index\":" #index ",\"content_block\":" block "}"
#define PIECE(index, delta)                                                                        \
    "{\"type\":\"content_block_delta\",\"index\":" #index ",\"delta\":" delta "}"
#define TEXT(index, text) PIECE(index, "{\"type\":\"text_delta\",\"text\":\"" text "\"}")
#define JSON(index, text)                                                                          \
    PIECE(index, "{\"type\":\"input_json_delta\",\"partial_json\":\"" text "\"}")
#define STOP(index) "{\"type\":\"content_block_stop\",\"index\":" #index "}"
#define END(reason, usage)                                                                         \
    "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"" reason                             \
    "\",\"stop_sequence\":null},"                                                                  \
    "\"usage\":{" usage "}}"
#define OVER "{\"type\":\"message_stop\"}"

static void test_a_stream_of_text(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1};
    static const struct dialect_event events[] = {
        {"message_start", START, ""},
        {"ping", "{\"type\":\"ping\"}", ""},
        {"content_block_start", BLOCK(0, "{\"type\":\"thinking\",\"thinking\":\"\"}"), ""},
        {"content_block_delta", PIECE(0, "{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}"),
         "content1"},
        {"content_block_delta", PIECE(0, "{\"type\":\"signature_delta\",\"signature\":\"x\"}"), ""},
        {"content_block_stop", STOP(0), ""},
        {"content_block_start", BLOCK(1, "{\"type\":\"text\",\"text\":\"\"}"), ""},
        {"content_block_delta", TEXT(1, "H\xc3\xa9"), "0@0'H\xc3\xa9'; content2"},
        {"content_block_delta", TEXT(1, " you"), "0@3' you'; content3"},
        {"content_block_stop", STOP(1), ""},
        {"new_event", "{\"type\":\"new_event\",\"x\":1}", ""},
        {"message_delta", END("max_tokens", "\"output_tokens\":15"),
         "0@7'' length; usage 28/20/15"},
        {"message_stop", OVER, "usage 28/20/15 ended"},
        {"", "what comes behind isn't looked at", "usage 28/20/15 ended"},
        {0},
    };
    dialect_check_stream(&ew_dialect_anthropic, &request, EW_ANSWER_DELTAS, events);
}

static void test_a_stream_with_calls(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1};
    static const struct dialect_event events[] = {
        {"message_start", "{\"message\":{\"usage\":{\"input_tokens\":2}}}", ""}, /* by its name */
        {"", BLOCK(0, "{\"type\":\"text\",\"text\":\"I call\"}"), "0@0'I call'; content1"},
        {"", STOP(0), ""},
        {"", BLOCK(1, "{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"f\",\"input\":{}}"),
         "content2"},
        {"", JSON(1, ""), "content3"},
        {"", JSON(1, "{\\\"a\\\": \\\"x"), "content4"},
        {"", JSON(1, " y\\\"}"), "content5"},
        {"", STOP(1), ""},
        {"", BLOCK(2, "{\"type\":\"tool_use\",\"id\":\"toolu_2\",\"name\":\"g\",\"input\":{}}"),
         "content6"},
        {"", STOP(2), ""},
        {"", BLOCK(3, "{\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":\"h\"}"), ""},
        {"", JSON(3, "{"), "content7"},
        {"",
         END("tool_use", "\"input_tokens\":3,\"cache_read_input_tokens\":0,\"output_tokens\":9"),
         "0@6'' #0 toolu_1 f({\"a\":\"x y\"}) #1 toolu_2 g({}) tool_calls; usage 3/0/9"},
        {"", OVER, "usage 3/0/9 ended"},
        {0},
    };
    dialect_check_stream(&ew_dialect_anthropic, &request, EW_ANSWER_DELTAS, events);
}

static void test_reasons_of_the_end(void **state)
{
    (void)state;
    static const char *const reasons[][2] = {
        {"end_turn", "0@0'' stop;"},       {"stop_sequence", "0@0'' stop;"},
        {"refusal", "0@0'' stop;"},        {"pause_turn", "0@0'' stop;"},
        {"max_tokens", "0@0'' length;"},   {"model_context_window_exceeded", "0@0'' length;"},
        {"tool_use", "0@0'' tool_calls;"}, {"new_reason", "0@0'' stop;"},
    };
    struct ew_request request = {.n = 1};
    for (size_t i = 0; i < EW_COUNT(reasons); i++) {
        char data[256];
        snprintf(data, sizeof data, END("%s", ""), reasons[i][0]);
        const struct dialect_event events[] = {{"", data, reasons[i][1]}, {0}};
        dialect_check_stream(&ew_dialect_anthropic, &request, EW_ANSWER_DELTAS, events);
    }
}

static void test_an_error_in_the_midst_is_a_fault(void **state)
{
    (void)state;
    static const char *const errors[][2] = {
        {"{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}"
         "}",
         "fault 503 overloaded Overloaded"},
        {"{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"Slow\"}}",
         "fault 429 rate_limit_exceeded Slow"},
        {"{\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"Broken\"}}",
         "fault 502 - Broken"},
        {"{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":"
         "\"prompt is too long: 9 tokens > 8 maximum\"}}",
         "fault 400 context_length_exceeded prompt is too long: 9 tokens > 8 maximum"},
    };
    struct ew_request request = {.n = 1};
    for (size_t i = 0; i < EW_COUNT(errors); i++) {
        const struct dialect_event events[] = {{"error", errors[i][0], errors[i][1]}, {0}};
        dialect_check_stream(&ew_dialect_anthropic, &request, EW_ANSWER_DELTAS, events);
        dialect_check_whole(&ew_dialect_anthropic, &request, errors[i][0], errors[i][1]);
    }
}

static void test_whole_answers(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":"
         "\"thinking\",\"thinking\":\"hm\"},{\"type\":\"text\",\"text\":\"Hi\"},{\"type\":\"text\","
         "\"text\":\" you\"},{\"type\":\"new_block\"}],\"stop_reason\":\"end_turn\",\"usage\":{"
         "\"input_tokens\":5,\"cache_read_input_tokens\":null,\"output_tokens\":2}}",
         "0@0'Hi you' stop; content1 usage 5/0/2 ended"},
        {"{\"content\":[{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\",\"input\":{\"a\":[0.1,"
         "\"x y\"]}},{\"type\":\"tool_use\",\"id\":\"t2\",\"name\":\"g\",\"input\":{}}],"
         "\"stop_reason\":\"tool_use\"}",
         "0@0'' #0 t1 f({\"a\":[0.1,\"x y\"]}) #1 t2 g({}) tool_calls; content1 ended"},
        {"{\"content\":[],\"usage\":{\"input_tokens\":1}}", "ended"},
    };
    struct ew_request request = {.n = 1};
    for (size_t i = 0; i < EW_COUNT(cases); i++)
        dialect_check_whole(&ew_dialect_anthropic, &request, cases[i][0], cases[i][1]);
}

static void test_what_is_no_answer_is_told_in_a_sentence(void **state)
{
    (void)state;
    static const char *const wholes[] = {
        "",
        "{",
        "[]",
        "7",
        "{}",
        "{\"content\":7}",
        "{\"content\":null}",
        "{\"content\":[7]}",
        "{\"content\":[{\"type\":7}]}",
        "{\"content\":[{\"type\":\"text\",\"text\":7}]}",
        "{\"content\":[{\"type\":\"text\",\"text\":\"\xff\"}]}",
        "{\"content\":[{\"type\":\"tool_use\"}]}",
        "{\"content\":[{\"type\":\"tool_use\",\"name\":7}]}",
        "{\"content\":[{\"type\":\"tool_use\",\"name\":\"f\",\"id\":7}]}",
        "{\"content\":[{\"type\":\"tool_use\",\"name\":\"f\",\"input\":[1]}]}",
        "{\"content\":[{\"type\":\"tool_use\",\"name\":\"f\",\"input\":{\"a\":\"\\u0000\"}}]}",
        "{\"content\":[{\"type\":\"thinking\",\"thinking\":7}]}",
        "{\"content\":[],\"stop_reason\":7}",
        "{\"content\":[],\"usage\":7}",
        "{\"content\":[],\"usage\":{\"input_tokens\":-1}}",
        "{\"content\":[],\"usage\":{\"input_tokens\":4294967295,\"cache_read_input_tokens\":1}}",
        "{\"content\":[],\"usage\":{\"output_tokens\":1e400}}",
    };
    static const char *const events[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"type\":7}",
        "{\"type\":\"message_start\"}",
        "{\"type\":\"message_start\",\"message\":7}",
        "{\"type\":\"message_start\",\"message\":{\"usage\":7}}",
        "{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":\"1\"}}}",
        "{\"type\":\"content_block_start\"}",
        "{\"type\":\"content_block_start\",\"index\":-1}",
        "{\"type\":\"content_block_start\",\"index\":1.5}",
        "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":7}",
        "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":[]}",
        TEXT(0, "\xff"),
        PIECE(0, "{\"type\":\"text_delta\",\"text\":7}"),
        PIECE(0, "{\"type\":\"input_json_delta\",\"partial_json\":7}"),
        "{\"type\":\"message_delta\",\"delta\":7}",
        "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":7}}",
        "{\"type\":\"message_delta\",\"usage\":[]}",
    };
    struct ew_request request = {.n = 1};
    for (size_t i = 0; i < EW_COUNT(wholes); i++)
        dialect_check_whole(&ew_dialect_anthropic, &request, wholes[i], NULL);
    for (size_t i = 0; i < EW_COUNT(events); i++) {
        const struct dialect_event one[] = {{"", events[i], NULL}, {0}};
        dialect_check_stream(&ew_dialect_anthropic, &request, EW_ANSWER_DELTAS, one);
    }
    static const struct dialect_event broken_call[] = {
        {"", BLOCK(0, "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\"}"), "content1"},
        {"", JSON(0, "{\\\"a\\\":"), "content2"},
        {"", END("tool_use", ""), NULL},
        {0},
    };
    dialect_check_stream(&ew_dialect_anthropic, &request, EW_ANSWER_DELTAS, broken_call);
}

/* A client of each wire gets what the cloud said in that wire. */
static void test_an_answer_in_both_wires(void **state)
{
    (void)state;
    static const char body[] =
        "{\"content\":[{\"type\":\"text\",\"text\":\"Hi\"},{\"type\":\"tool_use\",\"id\":"
        "\"toolu_01A09q90qw90lq917835lq9\",\"name\":\"f\",\"input\":{\"a\":1}}],\"stop_reason\":"
        "\"tool_use\",\"usage\":{\"input_tokens\":5,\"output_tokens\":2}}";
    static const struct {
        const struct ew_wire *wire;
        const char *has[2];
    } wires[] = {
        {&ew_openai_chat,
         {"\"content\":\"Hi\"",
          "\"id\":\"toolu_01A09q90qw90lq917835lq9\",\"type\":\"function\",\"function\":{\"name\":"
          "\"f\",\"arguments\":\"{\\\"a\\\":1}\"}"}},
        {&ew_ollama_chat, {"\"content\":\"Hi\"", "\"name\":\"f\",\"arguments\":{\"a\":1}}"}},
    };
    for (size_t i = 0; i < EW_COUNT(wires); i++) {
        struct ew_request request = {.n = 1};
        struct ew_reply reply = {.request = &request, .model = "m", .device = "d"};
        struct ew_answer *answer;
        struct ew_answer_news news;
        struct ew_buf out;
        ew_buf_init(&out, WIRE_CHECK_BYTES_MAX);
        assert_int_equal(
            ew_answer_open(&answer, &ew_dialect_anthropic, &request, EW_ANSWER_DELTAS, NULL), 0);
        assert_int_equal(dialect_read(answer, "", dialect_str(body), true, &news, NULL), 0);
        assert_int_equal(wires[i].wire->whole(&reply, news.deltas, news.delta_count, &out), 0);
        for (size_t k = 0; k < 2; k++)
            if (!strstr(ew_buf_cstr(&out), wires[i].has[k]))
                fail_msg("no %s in %s", wires[i].has[k], ew_buf_cstr(&out));
        ew_answer_close(&answer);
        ew_buf_fini(&out);
    }
}

static void take_name(void *user, const char *name, uint32_t ctx)
{
    ew_buf_printf(user, NULL, "%s:%u ", name, ctx);
}

static void test_models_are_listed(void **state)
{
    (void)state;
    struct ew_buf names;
    ew_buf_init(&names, 4096);
    assert_ptr_equal(ew_dialect_find("anthropic"), &ew_dialect_anthropic);
    assert_int_equal(
        ew_dialect_models(&ew_dialect_anthropic,
                          dialect_str("{\"data\":[{\"type\":\"model\",\"id\":\"claude-a\","
                                      "\"display_name\":\"A\"},{\"id\":\"claude-b\","
                                      "\"max_input_tokens\":1000000}],\"has_more\":false}"),
                          take_name, &names, NULL),
        0);
    assert_string_equal(ew_buf_cstr(&names), "claude-a:0 claude-b:1000000 ");
    ew_buf_fini(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_are_said_in_anthropics_words),
        cmocka_unit_test(test_what_can_not_be_said_is_refused_by_name),
        cmocka_unit_test(test_messages_that_can_not_be_said),
        cmocka_unit_test(test_newer_models_take_less),
        cmocka_unit_test(test_a_body_too_large_is_refused_and_leaves_the_buffer_as_it_was),
        cmocka_unit_test(test_a_stream_of_text),
        cmocka_unit_test(test_a_stream_with_calls),
        cmocka_unit_test(test_reasons_of_the_end),
        cmocka_unit_test(test_an_error_in_the_midst_is_a_fault),
        cmocka_unit_test(test_whole_answers),
        cmocka_unit_test(test_what_is_no_answer_is_told_in_a_sentence),
        cmocka_unit_test(test_an_answer_in_both_wires),
        cmocka_unit_test(test_models_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
