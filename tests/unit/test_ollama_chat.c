/* test_ollama_chat.c - Ollama's answers, to the byte: lines of a chat and of a generation, whole
 * ones, errors. Covers ollama_write.c, write.c and the answers of ollama_generate.c. What requests
 * may say: test_ollama_request.c. */
#include "support/wire_check.h"

#include "flow/usage.h"

static struct ew_buf out;

static int setup(void **state)
{
    (void)state;
    ew_buf_init(&out, WIRE_CHECK_BYTES_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ew_buf_fini(&out);
    return 0;
}

static struct ew_reply reply_to(const struct ew_request *request)
{
    struct ew_reply reply = {.request = request,
                             .created_s = 1800000000,
                             .model = "m:1",
                             .device = "pi",
                             .total_ns = 5000000000,
                             .load_ns = 7,
                             .finish = EW_FINISH_STOP};
    reply.usage = ew_usage_none();
    reply.usage.prompt_tokens = 7;
    reply.usage.output_tokens = 3;
    reply.usage.prefill_ns = 1000;
    reply.usage.decode_ns = 2000000000;
    return reply;
}

static struct ew_str str(const char *text)
{
    return (struct ew_str){text, strlen(text)};
}

#define HEAD       "{\"model\":\"m:1\",\"created_at\":\"2027-01-15T08:00:00Z\","
#define SAYS(text) HEAD "\"message\":{\"role\":\"assistant\",\"content\":\"" text "\""
#define FIGURES                                                                                    \
    "\"done\":true,\"total_duration\":5000000000,\"load_duration\":7,\"prompt_eval_count\":7,"     \
    "\"prompt_eval_duration\":1000,\"eval_count\":3,\"eval_duration\":2000000000,\"device\":"      \
    "\"pi\",\"energy_j\":null,\"energy_kind\":\"unknown\",\"cost_cents\":null,\"ttft_ms\":null,"   \
    "\"tokens_per_s\":1}\n"

static void test_a_chat_is_lines_and_the_last_tells_the_figures(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1, .stream = true};
    struct ew_reply reply = reply_to(&request);
    struct ew_delta d = {.text = str("Hi \xc3\xa9\n")};
    wire_check_text(ew_ollama_chat.start(&reply, &out), &out, "");
    wire_check_text(ew_ollama_chat.delta(&reply, &d, &out), &out,
                    SAYS("Hi \xc3\xa9\\n") "},\"done\":false}\n");
    d = (struct ew_delta){.finish = EW_FINISH_STOP};
    wire_check_text(ew_ollama_chat.delta(&reply, &d, &out), &out, "");
    wire_check_text(ew_ollama_chat.end(&reply, &out), &out,
                    SAYS("") "},\"done_reason\":\"stop\"," FIGURES);
    assert_string_equal(ew_ollama_chat.stream_type, "application/x-ndjson");
}

static void test_a_generation_is_lines_and_the_last_tells_the_figures(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1, .stream = true};
    struct ew_reply reply = reply_to(&request);
    struct ew_delta d = {.text = str("x")};
    wire_check_text(ew_ollama_generate.delta(&reply, &d, &out), &out,
                    HEAD "\"response\":\"x\",\"done\":false}\n");
    reply.finish = EW_FINISH_LENGTH;
    wire_check_text(ew_ollama_generate.end(&reply, &out), &out,
                    HEAD "\"response\":\"\",\"done_reason\":\"length\"," FIGURES);
    assert_string_equal(ew_ollama_generate.stream_type, "application/x-ndjson");
}

static void test_answers_in_whole(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1};
    struct ew_reply reply = reply_to(&request);
    struct ew_delta d = {.text = str("Hi"), .finish = EW_FINISH_LENGTH};
    wire_check_text(ew_ollama_chat.whole(&reply, &d, 1, &out), &out,
                    SAYS("Hi") "},\"done_reason\":\"length\"," FIGURES);
    wire_check_text(ew_ollama_generate.whole(&reply, &d, 1, &out), &out,
                    HEAD "\"response\":\"Hi\",\"done_reason\":\"length\"," FIGURES);
}

static void test_arguments_of_calls_are_objects(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1};
    struct ew_reply reply = reply_to(&request);
    struct ew_reply_call calls[] = {
        {.id = "call_1", .name = str("f"), .arguments = str("{\"a\":1.5}")},
        {.id = "call_2", .name = str("g\""), .arguments = str("{}")},
    };
    struct ew_delta d = {
        .calls = calls, .call_count = 2, .call_first = 3, .finish = EW_FINISH_TOOL_CALLS};
#define CALLS                                                                                      \
    ",\"tool_calls\":[{\"id\":\"call_1\",\"function\":{\"index\":3,\"name\":\"f\",\"arguments\":"  \
    "{\"a\":1.5}}},{\"id\":\"call_2\",\"function\":{\"index\":4,\"name\":\"g\\\"\",\"arguments\":" \
    "{}}}]}"
    wire_check_text(ew_ollama_chat.delta(&reply, &d, &out), &out,
                    SAYS("") CALLS ",\"done\":false}\n");
    wire_check_text(ew_ollama_chat.whole(&reply, &d, 1, &out), &out,
                    SAYS("") CALLS ",\"done_reason\":\"stop\"," FIGURES);
}

static void test_log_probabilities_are_told_where_asked_for(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1, .logprobs = true};
    struct ew_reply reply = reply_to(&request);
    struct ew_reply_token top[] = {{.text = str("a"), .logprob = -0.5f},
                                   {.text = str("b"), .logprob = -INFINITY}};
    struct ew_reply_token tokens[] = {
        {.text = str("a"), .logprob = -0.5f, .top = top, .top_count = 2},
        {.text = str("\xc3"), .logprob = 0},
    };
    struct ew_delta d = {.text = str("a"), .tokens = tokens, .token_count = 2};
    wire_check_text(
        ew_ollama_generate.delta(&reply, &d, &out), &out,
        HEAD "\"response\":\"a\",\"logprobs\":[{\"token\":\"a\",\"logprob\":-0.5,\"bytes\":[97],"
             "\"top_logprobs\":[{\"token\":\"a\",\"logprob\":-0.5,\"bytes\":[97]},{\"token\":\"b\","
             "\"logprob\":-9999,\"bytes\":[98]}]},{\"token\":\"\xef\xbf\xbd\",\"logprob\":0,"
             "\"bytes\":[195]}],\"done\":false}\n");
}

static void test_loading_is_answered_without_figures(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1, .load_only = true, .keep_alive_s = NAN};
    struct ew_reply reply = reply_to(&request);
    wire_check_text(ew_ollama_chat.whole(&reply, NULL, 0, &out), &out,
                    SAYS("") "},\"done_reason\":\"load\",\"done\":true}\n");
    request.keep_alive_s = 0;
    wire_check_text(ew_ollama_generate.whole(&reply, NULL, 0, &out), &out,
                    HEAD "\"response\":\"\",\"done_reason\":\"unload\",\"done\":true}\n");
}

static void test_what_is_not_known_is_null(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1};
    struct ew_reply reply = {.request = &request, .model = "m", .device = "pi"};
    reply.usage = ew_usage_none();
    wire_check_text(ew_ollama_generate.end(&reply, &out), &out,
                    "{\"model\":\"m\",\"created_at\":null,\"response\":\"\",\"done_reason\":"
                    "\"stop\",\"done\":true,\"total_duration\":null,\"load_duration\":0,"
                    "\"prompt_eval_count\":0,\"prompt_eval_duration\":null,\"eval_count\":0,"
                    "\"eval_duration\":0,\"device\":\"pi\",\"energy_j\":null,\"energy_kind\":"
                    "\"unknown\",\"cost_cents\":null,\"ttft_ms\":null,\"tokens_per_s\":null}\n");
}

static void test_errors_are_one_line(void **state)
{
    (void)state;
    struct ew_fault fault;
    ew_fault_set(&fault, 404, "model_not_found", "model", "No \"x\".");
    wire_check_text(ew_ollama_chat.error(&fault, &out), &out, "{\"error\":\"No \\\"x\\\".\"}\n");
    wire_check_text(ew_ollama_generate.stream_error(&fault, &out), &out,
                    "{\"error\":\"No \\\"x\\\".\"}\n");
}

/* A full buffer gets no half line, which a client couldn't read. */
static void test_a_full_buffer_stays_as_it_was(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1};
    struct ew_reply reply = reply_to(&request);
    struct ew_delta d = {.text = str("some text"), .finish = EW_FINISH_STOP};
    for (size_t max = 2; max < 500; max++) {
        struct ew_buf small;
        ew_buf_init(&small, max);
        assert_int_equal(ew_buf_text(&small, "ab", NULL), 0);
        if (ew_ollama_chat.whole(&reply, &d, 1, &small))
            assert_string_equal(ew_buf_cstr(&small), "ab");
        else
            assert_true(small.bytes > 300);
        ew_buf_fini(&small);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_chat_is_lines_and_the_last_tells_the_figures),
        TEST(test_a_generation_is_lines_and_the_last_tells_the_figures),
        TEST(test_answers_in_whole),
        TEST(test_arguments_of_calls_are_objects),
        TEST(test_log_probabilities_are_told_where_asked_for),
        TEST(test_loading_is_answered_without_figures),
        TEST(test_what_is_not_known_is_null),
        TEST(test_errors_are_one_line),
        TEST(test_a_full_buffer_stays_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
