/* test_openai_chat.c - OpenAI's chat: answers in whole and in chunks, to the byte. Covers
 * openai_write.c, too. What requests may say: test_openai_request.c. */
#include "support/wire_check.h"

#include "flow/usage.h"

#include <time.h>

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

static struct ew_request request_of(uint32_t n, bool include_usage)
{
    return (struct ew_request){.n = n, .include_usage = include_usage};
}

static struct ew_reply reply_to(const struct ew_request *request)
{
    struct ew_reply reply = {.request = request,
                             .id = "chatcmpl-1",
                             .created_s = 1800000000,
                             .model = "m\"1",
                             .fingerprint = "fp_1",
                             .device = "pi"};
    reply.usage = ew_usage_none();
    reply.usage.prompt_tokens = 7;
    reply.usage.cached_tokens = 4;
    reply.usage.output_tokens = 3;
    return reply;
}

static struct ew_str str(const char *text)
{
    return (struct ew_str){text, strlen(text)};
}

#define HEAD(object)                                                                               \
    "{\"id\":\"chatcmpl-1\",\"object\":\"" object                                                  \
    "\",\"created\":1800000000,\"model\":\"m\\\"1\",\"system_fingerprint\":\"fp_1\",\"choices\":["
#define CHUNK HEAD("chat.completion.chunk")
#define USAGE                                                                                      \
    "\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"total_tokens\":10,"                  \
    "\"prompt_tokens_details\":{\"cached_tokens\":4,\"audio_tokens\":0},"                          \
    "\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0,"                    \
    "\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0},\"device\":\"pi\","        \
    "\"energy_j\":null,\"energy_kind\":\"unknown\",\"cost_cents\":null,\"ttft_ms\":null,"          \
    "\"tokens_per_s\":null}"

static void test_an_answer_in_whole(void **state)
{
    (void)state;
    struct ew_request request = request_of(2, false);
    struct ew_reply reply = reply_to(&request);
    struct ew_delta choices[] = {
        {.choice = 0, .text = str("Hi \xc3\xa9\n"), .finish = EW_FINISH_STOP},
        {.choice = 1, .text = str(""), .finish = EW_FINISH_LENGTH},
    };
    wire_check_text(ew_openai_chat.whole(&reply, choices, 2, &out), &out,
                    HEAD("chat.completion") //
                    "{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hi \xc3\xa9\\n"
                    "\",\"refusal\":null,\"annotations\":[]},\"logprobs\":null,"
                    "\"finish_reason\":\"stop\"},"
                    "{\"index\":1,\"message\":{\"role\":\"assistant\",\"content\":\"\","
                    "\"refusal\":null,\"annotations\":[]},\"logprobs\":null,"
                    "\"finish_reason\":\"length\"}]," USAGE "}\n");
}

static void test_known_figures_are_told_in_the_extension(void **state)
{
    (void)state;
    struct ew_request request = request_of(1, false);
    struct ew_reply reply = reply_to(&request);
    reply.usage.ttft_ns = 123456789;
    reply.usage.decode_ns = 500000000;
    reply.usage.energy = (struct ew_energy){.joules = 1.5, .kind = EW_ENERGY_MODELLED};
    reply.usage.cost_cents = 0.00001;
    struct ew_delta choice = {.finish = EW_FINISH_STOP};
    assert_int_equal(ew_openai_chat.whole(&reply, &choice, 1, &out), 0);
    assert_non_null(strstr(ew_buf_cstr(&out),
                           "\"device\":\"pi\",\"energy_j\":1.5,\"energy_kind\":"
                           "\"modelled\",\"cost_cents\":1e-05,\"ttft_ms\":123.457,"
                           "\"tokens_per_s\":4}"));
}

static struct ew_reply_call two_calls[] = {
    {.id = "call_a", .name = {"f", 1}, .arguments = {"{\"x\":1}", 7}},
    {.id = "call_b", .name = {"g", 1}, .arguments = {"{}", 2}},
};

static void test_calls_in_whole_and_in_a_chunk(void **state)
{
    (void)state;
    struct ew_request request = request_of(1, false);
    struct ew_reply reply = reply_to(&request);
    struct ew_delta d = {.calls = two_calls, .call_count = 2, .finish = EW_FINISH_TOOL_CALLS};
    wire_check_text(ew_openai_chat.whole(&reply, &d, 1, &out), &out,
                    HEAD("chat.completion") //
                    "{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":null,\"refusal\":"
                    "null,\"annotations\":[],\"tool_calls\":[{\"id\":\"call_a\",\"type\":"
                    "\"function\",\"function\":{"
                    "\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1}\"}},{\"id\":\"call_b\",\"type\":"
                    "\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]},"
                    "\"logprobs\":null,\"finish_reason\":\"tool_calls\"}]," USAGE "}\n");
    d = (struct ew_delta){.calls = two_calls + 1, .call_count = 1, .call_first = 1};
    wire_check_text(ew_openai_chat.delta(&reply, &d, &out), &out,
                    "data: " CHUNK
                    "{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"call_b\",\"type"
                    "\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]},"
                    "\"logprobs\":null,\"finish_reason\":null}]}\n\n");
}

static void test_log_probabilities_with_their_bytes(void **state)
{
    (void)state;
    struct ew_request request = request_of(1, false);
    struct ew_reply reply = reply_to(&request);
    struct ew_reply_token top[] = {
        {.text = {"a", 1}, .id = 1, .logprob = -0.25f},
        {.text = {"\xc3", 1}, .id = 2, .logprob = -INFINITY},
    };
    struct ew_reply_token token = {
        .text = {"a", 1}, .id = 1, .logprob = -0.25f, .top = top, .top_count = 2};
    struct ew_delta d = {.text = str("a"), .tokens = &token, .token_count = 1};
    wire_check_text(ew_openai_chat.delta(&reply, &d, &out), &out,
                    "data: " CHUNK
                    "{\"index\":0,\"delta\":{\"content\":\"a\"},\"logprobs\":{\"content\":[{"
                    "\"token\":\"a\",\"logprob\":-0.25,\"bytes\":[97],\"top_logprobs\":[{\"token\":"
                    "\"a\",\"logprob\":-0.25,\"bytes\":[97]},{\"token\":\"\xef\xbf\xbd\","
                    "\"logprob\":-9999,\"bytes\":[195]}]}],\"refusal\":null},"
                    "\"finish_reason\":null}]}\n\n");
    d.text = str(""); /* half a character: held back, but its probability isn't lost */
    assert_int_equal(ew_openai_chat.delta(&reply, &d, &out), 0);
    assert_non_null(strstr(ew_buf_cstr(&out), "\"delta\":{\"content\":\"\"},\"logprobs\":{"));
}

static void test_a_stream_is_role_text_reason_done(void **state)
{
    (void)state;
    struct ew_request request = request_of(2, false);
    struct ew_reply reply = reply_to(&request);
    wire_check_text(ew_openai_chat.start(&reply, &out), &out,
                    "data: " CHUNK
                    "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":"
                    "null},\"logprobs\":null,\"finish_reason\":null}]}\n\n"
                    "data: " CHUNK
                    "{\"index\":1,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":"
                    "null},\"logprobs\":null,\"finish_reason\":null}]}\n\n");
    struct ew_delta d = {.choice = 1, .text = str("x"), .finish = EW_FINISH_LENGTH};
    wire_check_text(ew_openai_chat.delta(&reply, &d, &out), &out,
                    "data: " CHUNK "{\"index\":1,\"delta\":{\"content\":\"x\"},\"logprobs\":null,"
                    "\"finish_reason\":null}]}\n\n"
                    "data: " CHUNK
                    "{\"index\":1,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"length\"}]}"
                    "\n\n");
    d = (struct ew_delta){.choice = 1};
    wire_check_text(ew_openai_chat.delta(&reply, &d, &out), &out, "");
    wire_check_text(ew_openai_chat.end(&reply, &out), &out, "data: [DONE]\n\n");
    assert_string_equal(ew_openai_chat.stream_type, "text/event-stream");
}

static void test_usage_is_null_in_each_chunk_until_its_own(void **state)
{
    (void)state;
    struct ew_request request = request_of(1, true);
    struct ew_reply reply = reply_to(&request);
    struct ew_delta d = {.text = str("x")};
    wire_check_text(ew_openai_chat.delta(&reply, &d, &out), &out,
                    "data: " CHUNK "{\"index\":0,\"delta\":{\"content\":\"x\"},\"logprobs\":null,"
                    "\"finish_reason\":null}],\"usage\":null}\n\n");
    wire_check_text(ew_openai_chat.end(&reply, &out), &out,
                    "data: " CHUNK "]," USAGE "}\n\ndata: [DONE]\n\n");
}

static void test_errors_have_four_keys(void **state)
{
    (void)state;
    struct ew_fault fault;
    ew_fault_set(&fault, 404, "model_not_found", NULL, "The model `%s` does not exist.", "x");
    wire_check_text(ew_openai_chat.error(&fault, &out), &out,
                    "{\"error\":{\"message\":\"The model `x` does not exist.\",\"type\":"
                    "\"invalid_request_error\",\"param\":null,\"code\":\"model_not_found\"}}\n");
    ew_fault_set(&fault, 500, NULL, "n", "Broken.");
    wire_check_text(ew_openai_chat.stream_error(&fault, &out), &out,
                    "data: {\"error\":{\"message\":\"Broken.\",\"type\":\"server_error\",\"param\":"
                    "\"n\",\"code\":null}}\n\n");
}

/* A full buffer gets no half event, which a client couldn't read. */
static void test_a_full_buffer_stays_as_it_was(void **state)
{
    (void)state;
    struct ew_request request = request_of(1, true);
    struct ew_reply reply = reply_to(&request);
    struct ew_delta d = {.text = str("some text"), .finish = EW_FINISH_STOP};
    struct ew_fault fault;
    ew_fault_set(&fault, 500, NULL, NULL, "Broken.");
    for (size_t max = 2; max < 500; max++) {
        struct ew_buf small;
        ew_buf_init(&small, max);
        assert_int_equal(ew_buf_text(&small, "ab", NULL), 0);
        if (ew_openai_chat.delta(&reply, &d, &small))
            assert_string_equal(ew_buf_cstr(&small), "ab");
        else
            assert_true(small.bytes > 300);
        ew_buf_fini(&small);
        ew_buf_init(&small, max);
        if (ew_openai_chat.stream_error(&fault, &small))
            assert_string_equal(ew_buf_cstr(&small), "");
        ew_buf_fini(&small);
    }
}

/* Eight streams at 50 tokens/s are 400 chunks a second: at 25 us they'd take 1 % of a core. */
static void test_a_chunk_is_cheap_and_allocates_nothing(void **state)
{
    (void)state;
    enum { CHUNKS = 20000 };
    struct ew_request request = request_of(1, true);
    struct ew_reply reply = reply_to(&request);
    struct ew_delta d = {.text = str(" token")};
    assert_int_equal(ew_openai_chat.delta(&reply, &d, &out), 0);
    const char *data = out.data;
    clock_t from = clock(); /* of this process alone: the machine may be busy */
    for (int i = 0; i < CHUNKS; i++) {
        ew_buf_clear(&out);
        assert_int_equal(ew_openai_chat.delta(&reply, &d, &out), 0);
    }
    double us = (double)(clock() - from) * 1e6 / CLOCKS_PER_SEC / CHUNKS;
    assert_ptr_equal(out.data, data);
    print_message("a chunk takes %.2f us\n", us);
    assert_true(us < 100); /* sanitized and on a slow device, too */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_answer_in_whole),
        TEST(test_known_figures_are_told_in_the_extension),
        TEST(test_calls_in_whole_and_in_a_chunk),
        TEST(test_log_probabilities_with_their_bytes),
        TEST(test_a_stream_is_role_text_reason_done),
        TEST(test_usage_is_null_in_each_chunk_until_its_own),
        TEST(test_errors_have_four_keys),
        TEST(test_a_full_buffer_stays_as_it_was),
        TEST(test_a_chunk_is_cheap_and_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
