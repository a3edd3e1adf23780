/* test_dialect_round.c - from each wire into each dialect that a wire of ours reads, and back: a
 * device that is an edgewise itself must understand the same request, and the client must get what
 * the device answered. */
#include "support/dialect_check.h"

#include "flow/usage.h"

#define TOOLS                                                                                      \
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":"     \
    "\"object\",\"properties\":{\"a\":{\"type\":\"number\",\"minimum\":0.1}}}}}]"
#define TALK                                                                                       \
    "{\"role\":\"system\",\"content\":\"s "                                                        \
    "\\\"\xc3\xa9\\n\"},{\"role\":\"user\",\"content\":\"u\"}"
#define OPENAI_CALLS                                                                               \
    "{\"role\":\"assistant\",\"content\":\"t\",\"tool_calls\":[{\"id\":\"c\",\"type\":"            \
    "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":[0.1,null]}\"}}]},"      \
    "{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"2\"}"

static const struct {
    const struct ew_wire *wire;
    const char *body;
} clients[] = {
    {&ew_openai_chat, "{\"model\":\"m\",\"messages\":[" TALK "]}"},
    {&ew_openai_chat,
     "{\"model\":\"m\",\"messages\":[" TALK "," OPENAI_CALLS "]," TOOLS ",\"max_tokens\":5,"
     "\"temperature\":0.3,\"top_p\":0.7,\"top_k\":9,\"min_p\":0.01,\"repeat_penalty\":1.3,"
     "\"repeat_last_n\":33,\"presence_penalty\":0.1,\"frequency_penalty\":-0.1,\"seed\":-9,"
     "\"stop\":[\"x\",\"y\"],\"logprobs\":true,\"top_logprobs\":4}"},
    {&ew_openai_chat,
     "{\"model\":\"m\",\"messages\":[" TALK "],\"response_format\":{\"type\":\"json_object\"}}"},
    {&ew_openai_completion,
     "{\"model\":\"m\",\"prompt\":\"p\",\"temperature\":0,\"max_tokens\":4,\"logprobs\":2}"},
    {&ew_ollama_chat, "{\"model\":\"m\",\"messages\":[" TALK "]}"},
    {&ew_ollama_chat,
     "{\"model\":\"m\",\"messages\":[" TALK ",{\"role\":\"assistant\",\"content\":\"t\","
     "\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":{\"a\":[0.1,null]}}}"
     "]},{\"role\":\"tool\",\"tool_name\":\"f\",\"tool_call_id\":\"c\",\"content\":\"2\"}]," TOOLS
     ",\"format\":{\"type\":\"object\",\"x\":1e-7},\"options\":{\"seed\":5,\"num_predict\":3,"
     "\"stop\":\"x\",\"repeat_last_n\":7,\"temperature\":1.1}}"},
    {&ew_ollama_generate, "{\"model\":\"m\",\"prompt\":\"p\",\"system\":\"s\"}"},
    {&ew_ollama_generate,
     "{\"model\":\"m\",\"prompt\":\"p\",\"raw\":true,\"options\":{\"num_predict\":6}}"},
};

static void check_same_str(struct ew_str a, struct ew_str b)
{
    assert_int_equal(!!a.data, !!b.data);
    if (a.bytes != b.bytes || (a.bytes && memcmp(a.data, b.data, a.bytes) != 0))
        fail_msg("%.*s\n  isn't %.*s", (int)b.bytes, b.data, (int)a.bytes, a.data);
}

/* A result's own name is told in one dialect and not in the other: it is in the call, too. */
static json_t *messages_without_names(struct ew_str messages)
{
    json_t *array = json_loadb(messages.data, messages.bytes, 0, NULL);
    for (size_t i = 0; i < json_array_size(array); i++)
        json_object_del(json_array_get(array, i), "name");
    return array;
}

static void check_same_sampling(const struct ew_sampling *a, const struct ew_sampling *b)
{
    assert_true(a->temperature == b->temperature && a->top_p == b->top_p && a->top_k == b->top_k);
    assert_true(a->min_p == b->min_p && a->repeat_penalty == b->repeat_penalty);
    assert_true(a->presence_penalty == b->presence_penalty);
    assert_true(a->frequency_penalty == b->frequency_penalty);
    bool penalty = a->repeat_penalty != 1 || a->presence_penalty != 0 || a->frequency_penalty != 0;
    assert_true(!penalty || a->penalty_last == b->penalty_last);
    assert_int_equal(a->bias_count, b->bias_count);
}

static void check_same(const struct ew_request *a, const struct ew_request *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->max_tokens, b->max_tokens);
    assert_int_equal(a->stop_count, b->stop_count);
    for (size_t i = 0; i < a->stop_count; i++)
        assert_string_equal(a->stops[i], b->stops[i]);
    assert_int_equal(a->has_seed, b->has_seed);
    assert_true(!a->has_seed || a->sampling.seed == b->sampling.seed);
    check_same_sampling(&a->sampling, &b->sampling);
    assert_int_equal(a->logprobs, b->logprobs);
    assert_int_equal(a->top_logprobs, b->top_logprobs);
    assert_int_equal(a->format, b->format);
    check_same_str(a->schema, b->schema);
    check_same_str(a->tools, b->tools);
    assert_int_equal(a->tool_choice, b->tool_choice);
    assert_int_equal(a->prompt_count, b->prompt_count);
    for (size_t i = 0; i < a->prompt_count; i++)
        check_same_str(a->prompts[i].text, b->prompts[i].text);
    json_t *x = messages_without_names(a->messages), *y = messages_without_names(b->messages);
    if (x != y && !json_equal(x, y)) /* a raw prompt has none */
        fail_msg("%s\n  isn't %s", b->messages.data, a->messages.data);
    json_decref(x);
    json_decref(y);
}

static const struct ew_wire *wire_of(const struct ew_dialect *dialect,
                                     const struct ew_request *request)
{
    bool raw = request->kind == EW_REQUEST_COMPLETION;
    if (dialect == &ew_dialect_openai)
        return raw ? &ew_openai_completion : &ew_openai_chat;
    return raw ? &ew_ollama_generate : &ew_ollama_chat;
}

/* ---- there ---- */

static const struct ew_dialect *const dialects[] = {&ew_dialect_openai, &ew_dialect_ollama};

static void test_a_device_understands_what_the_client_asked(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_COUNT(clients) * EW_COUNT(dialects) * 2; i++) {
        const struct ew_dialect *dialect = dialects[i % EW_COUNT(dialects)];
        size_t at = i / EW_COUNT(dialects) / 2;
        bool stream = i / EW_COUNT(dialects) % 2;
        struct dialect_ask_case c = {clients[at].wire, clients[at].body, "", .stream = stream};
        struct ew_request asked, got;
        struct ew_fault fault;
        struct ew_buf out;
        ew_buf_init(&out, WIRE_CHECK_BYTES_MAX);
        wire_check_accept(c.wire, c.client, &asked);
        if (dialect_compose(dialect, &c, &out, &fault))
            fail_msg("%s\n  in %s: %s", c.client, dialect->name, fault.message);
        wire_check_accept(wire_of(dialect, &asked), ew_buf_cstr(&out), &got);
        assert_string_equal(got.model, "up\"1");
        assert_int_equal(got.stream, stream);
        assert_true(!stream || got.include_usage || dialect == &ew_dialect_ollama);
        check_same(&asked, &got);
        ew_request_fini(&asked);
        ew_request_fini(&got);
        ew_buf_fini(&out);
    }
}

/* ---- and back ---- */

static const struct ew_reply_call calls[] = {
    {.id = "call_0123456789abcdefABCDEFGH", .name = {"f", 1}, .arguments = {"{\"a\":[0.1]}", 11}},
    {.id = "call_1123456789abcdefABCDEFGH", .name = {"g", 1}, .arguments = {"{}", 2}},
};

static struct ew_reply reply_of(const struct ew_request *request)
{
    struct ew_reply reply = {.request = request,
                             .id = "i",
                             .model = "m",
                             .device = "agx",
                             .fingerprint = "f",
                             .finish = EW_FINISH_TOOL_CALLS};
    reply.usage = ew_usage_none();
    reply.usage.prompt_tokens = 7;
    reply.usage.output_tokens = 3;
    return reply;
}

/* What was read until the end, as one line. */
static void read_back(const struct ew_dialect *dialect, const struct ew_request *request,
                      struct ew_buf *stream, struct ew_buf *said)
{
    struct ew_answer *answer;
    struct ew_answer_news news = {0};
    char *line = stream->data, *end;
    assert_int_equal(ew_answer_open(&answer, dialect, request, EW_ANSWER_DELTAS, NULL), 0);
    for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        if (strncmp(line, "data: ", 6) == 0)
            line += 6;
        if (!*line)
            continue;
        assert_int_equal(dialect_read(answer, "", dialect_str(line), false, &news, NULL), 0);
        for (size_t i = 0; i < news.delta_count; i++)
            dialect_say_delta(said, &news.deltas[i]);
    }
    assert_true(news.ended && news.has_usage);
    ew_buf_printf(said, NULL, "%u+%u by %s", news.prompt_tokens, news.output_tokens,
                  news.extra.device);
    ew_answer_close(&answer);
}

static void test_the_client_gets_what_the_device_answered(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1, .include_usage = true};
    for (size_t i = 0; i < EW_COUNT(dialects); i++) {
        const struct ew_wire *wire = wire_of(dialects[i], &request);
        struct ew_reply reply = reply_of(&request);
        struct ew_delta deltas[] = {
            {.text = dialect_str("H\xc3\xa9 \n\"")},
            {.text = dialect_str(" you"), .text_offset = 6},
            {.calls = calls, .call_count = 1},
            {.calls = calls + 1, .call_count = 1, .call_first = 1},
            {.finish = EW_FINISH_TOOL_CALLS},
        };
        struct ew_buf out, said;
        ew_buf_init(&out, WIRE_CHECK_BYTES_MAX);
        ew_buf_init(&said, WIRE_CHECK_BYTES_MAX);
        assert_int_equal(wire->start(&reply, &out), 0);
        for (size_t k = 0; k < EW_COUNT(deltas); k++)
            assert_int_equal(wire->delta(&reply, &deltas[k], &out), 0);
        assert_int_equal(wire->end(&reply, &out), 0);
        read_back(dialects[i], &request, &out, &said);
        assert_string_equal(ew_buf_cstr(&said),
                            "0@0'H\xc3\xa9 \n\"'; 0@6' you'; 0@10'' #0 "
                            "call_0123456789abcdefABCDEFGH f({\"a\":[0.1]}) #1 "
                            "call_1123456789abcdefABCDEFGH g({}) tool_calls; 7+3 by agx");
        ew_buf_fini(&out);
        ew_buf_fini(&said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_device_understands_what_the_client_asked),
        cmocka_unit_test(test_the_client_gets_what_the_device_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
