/* test_dialect_openai_answer.c - OpenAI's answers, whole and in chunks: passed on as they are, or
 * read as what is new (dialect_answer.c).
 *
 *     test_dialect_openai_answer --bench    what a request and its answer cost */
#include "support/dialect_check.h"

#include "flow/usage.h"

#include <time.h>

/* ---- what is read: a stream as it is ---- */

#define CHUNK(rest)                                                                                \
    "{\"id\":\"chatcmpl-9\",\"object\":\"chat.completion.chunk\",\"created\":1800000000,"          \
    "\"model\":\"m\",\"choices\":[" rest "]"
#define DELTA(fields) CHUNK("{\"index\":0,\"delta\":{" fields "},\"finish_reason\":null}")

static void test_a_stream_passes_as_it_is_but_for_its_usage(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1};
    static const struct dialect_event events[] = {
        {"", DELTA("\"role\":\"assistant\",\"content\":\"\"") "}",
         DELTA("\"role\":\"assistant\",\"content\":\"\"") "}"},
        {"", DELTA("\"content\":\"H\xc3\xa9\"") ",\"usage\":null,\"z\":1.50}",
         DELTA("\"content\":\"H\xc3\xa9\"") ",\"z\":1.50} content1"},
        {"", DELTA("\"reasoning_content\":\"hm\",\"content\":null") "}",
         DELTA("\"reasoning_content\":\"hm\",\"content\":null") "} content2"},
        {"", "{\"choices\":\n[\r\n{\"delta\":{\"content\":\" \\n\"}}]}",
         "{\"choices\":[{\"delta\":{\"content\":\" \\n\"}}]} content3"},
        {"",
         CHUNK(
             "{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}") ",\"usage\":{"
                                                                        "\"prompt_tokens\":7,"
                                                                        "\"completion_tokens\":1}}",
         CHUNK("{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}") "} usage 7/0/1"},
        {"", CHUNK("") "}", CHUNK("") "} usage 7/0/1"}, /* Azure's, of filters: others read it */
        {"",
         CHUNK("") ",\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,"
                   "\"prompt_tokens_details\":{\"cached_tokens\":4}}}",
         "usage 7/4/3"},
        {"", "[DONE] ", "usage 7/4/3 ended"},
        {"", "what comes behind isn't looked at", "usage 7/4/3 ended"},
        {0},
    };
    dialect_check_stream(&ew_dialect_openai, &request, EW_ANSWER_TEXT, events);
}

static void test_a_client_that_wants_usage_sees_null_until_then(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1, .include_usage = true};
    static const struct dialect_event events[] = {
        {"", DELTA("\"content\":\"a\"") ",\"usage\":null}",
         DELTA("\"content\":\"a\"") ",\"usage\":null} content1"},
        {"", DELTA("\"content\":\"b\"") ",\"usage\":{\"prompt_tokens\":1}}",
         DELTA("\"content\":\"b\"") "} content2"},
        {0},
    };
    dialect_check_stream(&ew_dialect_openai, &request, EW_ANSWER_TEXT, events);
}

static void test_calls_in_a_stream_that_passes_are_content(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1};
    static const struct dialect_event events[] = {
        {"", DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\"}}]") "}",
         DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\"}}]") "} content1"},
        {0},
    };
    dialect_check_stream(&ew_dialect_openai, &request, EW_ANSWER_TEXT, events);
}

static void test_id_time_words_and_reason_are_remembered(void **state)
{
    (void)state;
    struct ew_request request = {.n = 2};
    static const char *const events[] = {
        CHUNK("{\"index\":0,\"delta\":{\"content\":\"Hi \"}}") "}",
        CHUNK("{\"index\":1,\"delta\":{\"content\":\"Lo\"},\"finish_reason\":\"length\"}") "}",
        CHUNK("{\"index\":0,\"delta\":{\"content\":\"you\"},\"finish_reason\":\"stop\"}") "}",
    };
    for (int form = 0; form < 2; form++) {
        struct ew_answer *answer;
        struct ew_answer_news news;
        assert_int_equal(
            ew_answer_open(&answer, &ew_dialect_openai, &request, (enum ew_answer_form)form, NULL),
            0);
        assert_string_equal(ew_answer_id(answer), "");
        assert_int_equal(ew_answer_created_s(answer), 0);
        assert_int_equal(ew_answer_said(answer).bytes, 0);
        for (size_t i = 0; i < EW_COUNT(events); i++)
            assert_int_equal(dialect_read(answer, "", dialect_str(events[i]), false, &news, NULL),
                             0);
        assert_int_equal(news.finish, EW_FINISH_STOP); /* of the first choice */
        assert_string_equal(ew_answer_id(answer), "chatcmpl-9");
        assert_int_equal(ew_answer_created_s(answer), 1800000000);
        assert_true(ew_str_is(ew_answer_said(answer), "Hi you"));
        assert_int_equal(news.pieces, 3);
        ew_answer_close(&answer);
    }
}

/* ---- what is read: what is new ---- */

static void test_text_and_reasons_become_deltas(void **state)
{
    (void)state;
    struct ew_request request = {.n = 2};
    static const struct dialect_event events[] = {
        {"", DELTA("\"role\":\"assistant\",\"content\":\"\"") "}", ""},
        {"", DELTA("\"content\":\"H\xc3\xa9\"") "}", "0@0'H\xc3\xa9'; content1"},
        {"", DELTA("\"content\":\"!\"") "}", "0@3'!'; content2"},
        {"", DELTA("\"reasoning\":\"hm\"") "}", "content3"},
        {"", DELTA("\"refusal\":\"No.\"") "}", "0@4'No.'; content4"},
        {"",
         CHUNK("{\"index\":1,\"delta\":{\"content\":[{\"type\":\"thinking\",\"thinking\":[]},"
               "{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]}},"
               "{\"index\":0,\"finish_reason\":\"content_filter\"}") "}",
         "1@0'ab'; 0@7'' stop; content5"},
        {"", CHUNK("{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}") "}", ""},
        {"",
         CHUNK(
             "{\"index\":1,\"delta\":{\"content\":\"\\u0000\"},\"finish_reason\":\"length\"}") "}",
         NULL}, /* stands here to be replaced below: C strings end at a NUL */
        {0},
    };
    struct dialect_event until_nul[EW_COUNT(events)];
    memcpy(until_nul, events, sizeof events);
    until_nul[7].data = NULL;
    dialect_check_stream(&ew_dialect_openai, &request, EW_ANSWER_DELTAS, until_nul);
    struct ew_answer *answer;
    struct ew_answer_news news;
    assert_int_equal(ew_answer_open(&answer, &ew_dialect_openai, &request, EW_ANSWER_DELTAS, NULL),
                     0);
    assert_int_equal(dialect_read(answer, "", dialect_str(events[7].data), false, &news, NULL), 0);
    assert_int_equal(news.deltas[0].text.bytes, 1); /* a model may say it */
    assert_int_equal(news.deltas[0].text.data[0], '\0');
    assert_int_equal(news.deltas[0].finish, EW_FINISH_LENGTH);
    ew_answer_close(&answer);
}

#define CALLS(pieces) DELTA("\"tool_calls\":[" pieces "]") "}"
#define ENDS(reason)  CHUNK("{\"index\":0,\"delta\":{},\"finish_reason\":\"" reason "\"}") "}"

static void test_calls_in_pieces_are_told_when_they_are_whole(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1};
    static const struct dialect_event events[] = {
        {"",
         CALLS("{\"index\":0,\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\","
               "\"arguments\":\"\"}}"),
         "content1"},
        {"", CALLS("{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\": \"}}"), "content2"},
        {"", CALLS("{\"index\":1,\"id\":\"c2\",\"function\":{\"name\":\"g\"}}"), "content3"},
        {"", CALLS("{\"index\":0,\"function\":{\"name\":\"f\",\"arguments\":\"\\\"x y\\\"\\n}\"}}"),
         "content4"},
        {"", ENDS("tool_calls"), "0@0'' #0 c1 f({\"a\":\"x y\"}) #1 c2 g({}) tool_calls;"},
        {"", "[DONE]", "ended"},
        {0},
    };
    dialect_check_stream(&ew_dialect_openai, &request, EW_ANSWER_DELTAS, events);
}

/* Without a reason the end tells them; all of one index are told apart by their ids. */
static void test_calls_of_servers_that_count_badly(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1};
    static const struct dialect_event events[] = {
        {"",
         CALLS("{\"index\":0,\"id\":\"c1\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},"
               "{\"index\":0,\"id\":\"c2\",\"function\":{\"name\":\"g\",\"arguments\":\"{\"}}"),
         "content1"},
        {"", CALLS("{\"index\":0,\"function\":{\"arguments\":\"}\"}}"), "content2"},
        {"", "[DONE]", "0@0'' #0 c1 f({}) #1 c2 g({}); ended"},
        {0},
    };
    dialect_check_stream(&ew_dialect_openai, &request, EW_ANSWER_DELTAS, events);
}

static void test_calls_without_an_id_get_one_that_no_other_turn_has(void **state)
{
    (void)state;
    static const char answer_text[] =
        "{\"choices\":[{\"message\":{\"tool_calls\":[{\"function\":{\"name\":\"f\"}},"
        "{\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},\"finish_reason\":\"tool_calls\"}]"
        "}";
    static const char *const messages[] = {"[1]", "[1]", "[2]"};
    char ids[3][2][64];
    for (size_t i = 0; i < EW_COUNT(messages); i++) {
        struct ew_request request = {.n = 1, .messages = dialect_str(messages[i])};
        struct ew_answer *answer;
        struct ew_answer_news news;
        assert_int_equal(
            ew_answer_open(&answer, &ew_dialect_openai, &request, EW_ANSWER_DELTAS, NULL), 0);
        assert_int_equal(dialect_read(answer, "", dialect_str(answer_text), true, &news, NULL), 0);
        assert_int_equal(news.deltas[0].call_count, 2);
        for (size_t k = 0; k < 2; k++)
            memcpy(ids[i][k], news.deltas[0].calls[k].id, sizeof ids[i][k]);
        ew_answer_close(&answer);
    }
    assert_int_equal(strlen(ids[0][0]), 29);
    assert_string_equal(ids[0][0], ids[1][0]);
    assert_string_not_equal(ids[0][0], ids[0][1]);
    assert_string_not_equal(ids[0][0], ids[2][0]);
}

static void test_log_probabilities_of_both_endpoints(void **state)
{
    (void)state;
    struct ew_request chat = {.n = 1, .logprobs = true, .top_logprobs = 2};
    dialect_check_whole(
        &ew_dialect_openai, &chat,
        "{\"choices\":[{\"message\":{\"content\":\"a\xe2\x82\xac\"},\"logprobs\":{\"content\":[{"
        "\"token\":\"a\",\"logprob\":-0.25,\"bytes\":null,\"top_logprobs\":[{\"token\":\"a\","
        "\"logprob\":-0.25,\"bytes\":[97]},{\"token\":\"b\",\"logprob\":-2}]},{\"token\":\"?\","
        "\"logprob\":-1,\"bytes\":[226,130,172]}]}}]}",
        "0@0'a\xe2\x82\xac' [a -0.25 a=-0.25 b=-2] [\xe2\x82\xac -1]; content1 ended");
    struct ew_request legacy = chat;
    legacy.kind = EW_REQUEST_COMPLETION;
    dialect_check_whole(&ew_dialect_openai, &legacy,
                        "{\"choices\":[{\"text\":\"ab\",\"logprobs\":{\"tokens\":[\"a\",\"b\"],"
                        "\"token_logprobs\":[-0.5,-1.5],\"top_logprobs\":[{\"a\":-0.5,\"c\":-3},"
                        "null],\"text_offset\":[0,1]},\"finish_reason\":\"stop\"}]}",
                        "0@0'ab' [a -0.5 a=-0.5 c=-3] [b -1.5] stop; content1 ended");
    /* They aren't read for who didn't ask. */
    chat.logprobs = false;
    dialect_check_whole(&ew_dialect_openai, &chat,
                        "{\"choices\":[{\"message\":{\"content\":\"a\"},\"logprobs\":7}]}",
                        "0@0'a'; content1 ended");
}

static void test_whole_answers(void **state)
{
    (void)state;
    struct ew_request request = {.n = 2};
    static const char *const cases[][2] = {
        {"{\"choices\":[{\"index\":1,\"message\":{\"content\":\"b\"},\"finish_reason\":\"length\"},"
         "{\"index\":0,\"message\":{\"content\":\"a\",\"tool_calls\":null},\"finish_reason\":"
         "\"stop\"}],\"usage\":{\"prompt_tokens\":3.0,\"completion_tokens\":2,"
         "\"prompt_tokens_details\":{\"cached_tokens\":9}}}",
         "1@0'b' length; 0@0'a' stop; content1 usage 3/3/2 ended"},
        {"{\"choices\":[{\"message\":{\"content\":null,\"tool_calls\":[{\"id\":\"i\",\"function\":"
         "{\"name\":\"f\",\"arguments\":\"\"}}]},\"finish_reason\":\"tool_calls\"}]}",
         "0@0'' #0 i f({}) tool_calls; content1 ended"},
        {"{\"choices\":[{\"message\":{}}],\"usage\":{\"prompt_tokens\":3}}", "ended"},
        {"{\"choices\":[{\"message\":{\"content\":\"x\"}}],\"usage\":{\"prompt_tokens\":1,"
         "\"completion_tokens\":1,\"device\":\"agx\",\"energy_j\":1.5,\"energy_kind\":\"measured\","
         "\"cost_cents\":null,\"ttft_ms\":12.5,\"tokens_per_s\":20}}",
         "0@0'x'; content1 usage 1/0/1 by agx 1.5J 2 nanc 12.5ms 20/s ended"},
        /* Keys of the same names that somebody else means. */
        {"{\"choices\":[{\"message\":{\"content\":\"x\"}}],\"usage\":{\"prompt_tokens\":1,"
         "\"completion_tokens\":1,\"device\":\"d\",\"energy_j\":1,\"cost_cents\":{},"
         "\"ttft_ms\":-1}}",
         "0@0'x'; content1 usage 1/0/1 by d nanJ 0 nanc nanms nan/s ended"},
        {"{\"error\":{\"message\":\"Slow down.\",\"type\":\"rate_limit_error\"}}",
         "fault 429 rate_limit_exceeded Slow down."},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++)
        dialect_check_whole(&ew_dialect_openai, &request, cases[i][0], cases[i][1]);
}

static void test_an_error_in_the_midst_is_a_fault(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1};
    static const char *const cases[][2] = {
        {"{\"error\":{\"message\":\"Out of sk-0123456789.\",\"code\":500}}",
         "fault 500 - Out of [key]"},
        {"{\"error\":{\"message\":\"Busy\",\"type\":\"overloaded_error\"}}",
         "fault 503 overloaded Busy"},
        {"{\"error\":{\"message\":\"Who knows\",\"type\":null,\"code\":null}}",
         "fault 502 - Who knows"},
        {"{\"object\":\"error\",\"message\":\"Flat\",\"code\":400}", "fault 400 - Flat"},
        {"{\"error\":\"Words\"}", "fault 502 - Words"},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        struct dialect_event events[] = {{"error", cases[i][0], cases[i][1]}, {0}};
        dialect_check_stream(&ew_dialect_openai, &request, EW_ANSWER_TEXT, events);
        dialect_check_stream(&ew_dialect_openai, &request, EW_ANSWER_DELTAS, events);
    }
}

/* ---- what is malformed ---- */

static const char *const malformed[] = {
    "",
    "{",
    "[]",
    "7",
    "null",
    "<html>",
    "{}",
    "{\"choices\":null}",
    "{\"choices\":{}}",
    "{\"choices\":\"a\"}",
    "{\"choices\":[7]}",
    "{\"choices\":[null]}",
    "{\"choices\":[{\"index\":1,\"delta\":{},\"message\":{},\"text\":\"\"}]}",
    "{\"choices\":[{\"index\":-1,\"delta\":{},\"message\":{},\"text\":\"\"}]}",
    "{\"choices\":[{\"index\":\"0\",\"delta\":{},\"message\":{},\"text\":\"\"}]}",
    "{\"choices\":[{\"index\":0.5,\"delta\":{},\"message\":{},\"text\":\"\"}]}",
    "{\"choices\":[{\"index\":99999999999999999999,\"delta\":{},\"message\":{},\"text\":\"\"}]}",
    "{\"choices\":[{\"delta\":7,\"message\":7,\"text\":7}]}",
    "{\"choices\":[{\"delta\":{\"content\":7},\"message\":{\"content\":7},\"text\":[]}]}",
    "{\"choices\":[{\"delta\":{\"content\":[{\"text\":7}]},\"message\":{\"content\":[{\"text\":7}]}"
    ","
    "\"text\":{}}]}",
    "{\"choices\":[{\"delta\":{},\"message\":{},\"text\":\"\",\"finish_reason\":7}]}",
    "{\"choices\":[{\"delta\":{},\"message\":{},\"text\":\"\",\"finish_reason\":\"a\\u0000\"}]}",
    "{\"choices\":[{\"delta\":{},\"message\":{},\"text\":\"\"}],\"usage\":7}",
    "{\"choices\":[{\"delta\":{},\"message\":{},\"text\":\"\"}],\"usage\":{\"prompt_tokens\":-1}}",
    "{\"choices\":[{\"delta\":{},\"message\":{},\"text\":\"\"}],\"usage\":{\"prompt_tokens\":"
    "4294967296}}",
    "{\"choices\":[{\"delta\":{},\"message\":{},\"text\":\"\"}],\"usage\":{\"prompt_tokens\":1e308}"
    "}",
    "{\"choices\":[{\"delta\":{},\"message\":{},\"text\":\"\"}],\"usage\":{\"prompt_tokens\":1.5}}",
    "{\"choices\":[{\"delta\":{},\"message\":{},\"text\":\"\"}],\"usage\":{\"completion_tokens\":"
    "\"1\"}}",
    "{\"choices\":[{\"delta\":{},\"message\":{},\"text\":\"\"}],\"usage\":{\"prompt_tokens_details"
    "\":[]}}",
    "{\"id\":7,\"choices\":[{\"delta\":{},\"message\":{},\"text\":\"\"}]}",
    "{\"id\":\"a\\u0000\",\"choices\":[{\"delta\":{},\"message\":{},\"text\":\"\"}]}",
    "{\"choices\":[{\"delta\":{\"content\":\"\xff\"},\"message\":{\"content\":\"\xff\"},\"text\":"
    "\"\xff\"}]}",
};

static void test_what_is_no_answer_is_told_in_a_sentence(void **state)
{
    (void)state;
    struct ew_request requests[] = {{.n = 1}, {.n = 1, .kind = EW_REQUEST_COMPLETION}};
    for (size_t i = 0; i < EW_COUNT(malformed); i++)
        for (size_t k = 0; k < EW_COUNT(requests); k++) {
            const struct dialect_event events[] = {{"", malformed[i], NULL}, {0}};
            dialect_check_whole(&ew_dialect_openai, &requests[k], malformed[i], NULL);
            dialect_check_stream(&ew_dialect_openai, &requests[k], EW_ANSWER_TEXT, events);
            dialect_check_stream(&ew_dialect_openai, &requests[k], EW_ANSWER_DELTAS, events);
        }
}

static void test_malformed_calls_and_tokens(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1, .logprobs = true};
    static const char *const messages[] = {
        "{\"tool_calls\":{}}",
        "{\"tool_calls\":[{\"index\":-1}]}",
        "{\"tool_calls\":[{\"id\":7,\"function\":{\"name\":\"f\"}}]}",
        "{\"tool_calls\":[{\"id\":\"a\\u0000\",\"function\":{\"name\":\"f\"}}]}",
        "{\"tool_calls\":[{\"function\":7}]}",
        "{\"tool_calls\":[{\"function\":{\"name\":7}}]}",
        "{\"tool_calls\":[{\"function\":{\"name\":\"a\\u0000\"}}]}",
        "{\"tool_calls\":[{\"function\":{}}]}", /* no name */
        "{\"tool_calls\":[7]}",
        "{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{}}}]}",
        "{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}",
        "{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"[]\"}}]}",
        "{},\"logprobs\":7",
        "{},\"logprobs\":{\"content\":7}",
        "{},\"logprobs\":{\"content\":[{\"token\":7}]}",
        "{},\"logprobs\":{\"content\":[{\"bytes\":[256]}]}",
        "{},\"logprobs\":{\"content\":[{\"bytes\":[-1]}]}",
        "{},\"logprobs\":{\"content\":[{\"token\":\"a\",\"top_logprobs\":{}}]}",
        "{},\"logprobs\":{\"tokens\":{}}",
    };
    for (size_t i = 0; i < EW_COUNT(messages); i++) {
        char body[512];
        snprintf(body, sizeof body, "{\"choices\":[{\"message\":%s}]}", messages[i]);
        dialect_check_whole(&ew_dialect_openai, &request, body, NULL);
    }
}

static void test_too_many_calls_or_choices(void **state)
{
    (void)state;
    struct ew_request request = {.n = EW_REQUEST_CHOICES_MAX};
    struct ew_buf body;
    ew_buf_init(&body, WIRE_CHECK_BYTES_MAX);
    ew_buf_text(&body, "{\"choices\":[", NULL);
    for (int i = 0; i <= EW_REQUEST_CHOICES_MAX; i++)
        ew_buf_printf(&body, NULL, "%s{\"message\":{\"content\":\"a\"}}", i ? "," : "");
    ew_buf_text(&body, "]}", NULL);
    dialect_check_whole(&ew_dialect_openai, &request, ew_buf_cstr(&body), NULL);
    ew_buf_clear(&body);
    ew_buf_text(&body, "{\"choices\":[{\"message\":{\"tool_calls\":[", NULL);
    for (int i = 0; i < 65; i++)
        ew_buf_printf(&body, NULL, "%s{\"function\":{\"name\":\"f\"}}", i ? "," : "");
    ew_buf_text(&body, "]}}]}", NULL);
    dialect_check_whole(&ew_dialect_openai, &request, ew_buf_cstr(&body), NULL);
    ew_buf_fini(&body);
}

static void test_deep_nests_and_nul_bytes(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1};
    enum { DEEP = 100000 };
    char *deep = malloc(DEEP + 1);
    assert_non_null(deep);
    memset(deep, '[', DEEP);
    deep[DEEP] = '\0';
    dialect_check_whole(&ew_dialect_openai, &request, deep, NULL);
    for (int i = 0; i < DEEP; i += 5)
        memcpy(deep + i, "{\"a\":", 5);
    dialect_check_whole(&ew_dialect_openai, &request, deep, NULL);
    free(deep);
    static const char nul[] = "{\"choices\":[{\"message\":{\"content\":\"a\0b\"}}]}";
    struct ew_answer *answer;
    struct ew_answer_news news;
    struct ew_err err = {0};
    assert_int_equal(ew_answer_open(&answer, &ew_dialect_openai, &request, EW_ANSWER_DELTAS, NULL),
                     0);
    struct ew_str body = {nul, sizeof nul - 1};
    assert_int_equal(dialect_read(answer, "", body, true, &news, &err), EW_EFORMAT);
    assert_non_null(strstr(err.text, "isn't JSON"));
    /* What failed stays so. */
    assert_int_equal(dialect_read(answer, "", dialect_str("[DONE]"), false, &news, &err),
                     EW_EFORMAT);
    ew_answer_close(&answer);
}

/* ---- the client's body out of the upstream's ---- */

static struct ew_reply reply_of(const struct ew_request *request)
{
    struct ew_reply reply = {.request = request, .device = "pi"};
    reply.usage = ew_usage_none();
    reply.usage.prompt_tokens = 7;
    reply.usage.output_tokens = 3;
    reply.usage.cost_cents = 0.5;
    return reply;
}

#define EXTENSION                                                                                  \
    "\"device\":\"pi\",\"energy_j\":null,\"energy_kind\":\"unknown\",\"cost_cents\":0.5,"          \
    "\"ttft_ms\":null,\"tokens_per_s\":null"
#define BODY "{\"id\":\"x\",\"choices\":[{\"message\":{\"content\":\"a\"}}],\"new\":[1.50 ]"

static const struct {
    const char *body;
    bool estimated;
    const char *wanted;
} rewrites[] = {
    {BODY ",\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":8,\"total_tokens\":17,"
          "\"prompt_tokens_details\":{\"cached_tokens\":1,\"x\":0.1},\"cost\":{\"a\":1e-7},"
          "\"device\":\"theirs\",\"estimated\":false}}",
     false,
     BODY
     ",\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":8,\"total_tokens\":17,"
     "\"prompt_tokens_details\":{\"cached_tokens\":1,\"x\":0.1},\"cost\":{\"a\":1e-7}," EXTENSION
     "}}\n"},
    {"{\"usage\":{\"completion_tokens\":null,\"total_tokens\":12}," //
     "\"choices\":[{\"message\":{\"content\":\"a\"}}]}",
     true,
     "{\"choices\":[{\"message\":{\"content\":\"a\"}}],\"usage\":{\"total_tokens\":12,"
     "\"prompt_tokens\":7,\"completion_tokens\":3," EXTENSION ",\"estimated\":true}}\n"},
    {BODY ",\"us\\u0061ge\":null}", false,
     BODY ",\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"total_tokens\":10,"
          "\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},"
          "\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0,"
          "\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}," EXTENSION "}}\n"},
};

static void test_a_whole_answer_is_rewritten_with_our_usage(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1};
    for (size_t i = 0; i < EW_COUNT(rewrites); i++) {
        struct ew_reply reply = reply_of(&request);
        struct ew_answer *answer;
        struct ew_answer_news news;
        struct ew_buf out;
        const size_t bytes = strlen(rewrites[i].body);
        char *copy = malloc(bytes); /* of its very size: nothing behind it is read */
        assert_non_null(copy);
        memcpy(copy, rewrites[i].body, bytes);
        reply.usage.estimated = rewrites[i].estimated;
        ew_buf_init(&out, WIRE_CHECK_BYTES_MAX);
        assert_int_equal(
            ew_answer_open(&answer, &ew_dialect_openai, &request, EW_ANSWER_TEXT, NULL), 0);
        assert_int_equal(ew_answer_whole(answer, (struct ew_str){copy, bytes}, &news, NULL), 0);
        assert_null(news.text.data);
        wire_check_text(ew_answer_rewrite(answer, &reply, &out, NULL), &out, rewrites[i].wanted);
        for (size_t max = 2; max < strlen(rewrites[i].wanted); max += 7) {
            struct ew_buf small;
            ew_buf_init(&small, max);
            assert_int_equal(ew_buf_text(&small, "ab", NULL), 0);
            assert_int_equal(ew_answer_rewrite(answer, &reply, &small, NULL), EW_ELIMIT);
            assert_string_equal(ew_buf_cstr(&small), "ab");
            ew_buf_fini(&small);
        }
        ew_answer_close(&answer);
        ew_buf_fini(&out);
        free(copy);
    }
}

static void test_no_answer_is_not_rewritten(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1};
    struct ew_reply reply = reply_of(&request);
    struct ew_answer *answer;
    struct ew_buf out;
    struct ew_err err = {0};
    ew_buf_init(&out, WIRE_CHECK_BYTES_MAX);
    assert_int_equal(ew_answer_open(&answer, &ew_dialect_openai, &request, EW_ANSWER_TEXT, NULL),
                     0);
    assert_int_equal(ew_answer_rewrite(answer, &reply, &out, &err), EW_EFORMAT);
    assert_int_equal(out.bytes, 0);
    ew_answer_close(&answer);
    ew_buf_fini(&out);
}

/* ---- from wire to wire: an answer that each of our wires wrote is read as what it was ---- */

static void test_what_our_own_wire_writes_is_read_back(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1, .include_usage = true, .logprobs = true};
    struct ew_reply_call call = {
        .id = "call_0123456789abcdefABCDEFGH", .name = {"f", 1}, .arguments = {"{\"a\":1.5}", 9}};
    struct ew_reply_token token = {.text = {"\xc3", 1}, .logprob = -0.5f};
    struct ew_delta d = {.text = dialect_str("Hi \n\"\xc3\xa9"),
                         .calls = &call,
                         .call_count = 1,
                         .tokens = &token,
                         .token_count = 1,
                         .finish = EW_FINISH_TOOL_CALLS};
    struct ew_reply reply = reply_of(&request);
    reply.usage.energy = (struct ew_energy){.joules = 2, .kind = EW_ENERGY_MODELLED};
    struct ew_buf out;
    ew_buf_init(&out, WIRE_CHECK_BYTES_MAX);
    assert_int_equal(ew_openai_chat.whole(&reply, &d, 1, &out), 0);
    dialect_check_whole(&ew_dialect_openai, &request, ew_buf_cstr(&out),
                        "0@0'Hi \n\"\xc3\xa9' [\xc3 -0.5] #0 call_0123456789abcdefABCDEFGH "
                        "f({\"a\":1.5}) tool_calls; content1 usage 7/0/3 by pi 2J 1 0.5c nanms "
                        "nan/s ended");
    ew_buf_fini(&out);
}

/* ---- what it costs ---- */

static const char bench_request[] =
    "{\"model\":\"smollm2-135m\",\"messages\":[{\"role\":\"system\",\"content\":\"You are a "
    "helpful "
    "assistant.\"},{\"role\":\"user\",\"content\":\"Why is the sky blue?\"}],\"max_tokens\":64,"
    "\"temperature\":0.7}";
static const char bench_answer[] =
    "{\"id\":\"chatcmpl-0123456789\",\"object\":\"chat.completion\",\"created\":1800000000,"
    "\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
    "\"Because air scatters blue light more than red.\"},\"finish_reason\":\"stop\"}],\"usage\":{"
    "\"prompt_tokens\":24,\"completion_tokens\":10,\"total_tokens\":34,\"prompt_tokens_details\":{"
    "\"cached_tokens\":0}}}";
static const char bench_chunk[] = DELTA("\"content\":\" light\"") ",\"usage\":null}";

struct bench {
    struct ew_request request;
    struct ew_reply reply;
    struct ew_buf out;
    struct ew_answer *stream;
};

static void bench_compose(struct bench *b)
{
    struct ew_dialect_ask ask = {
        .request = &b->request, .body = {bench_request, sizeof bench_request - 1}, .model = "m"};
    struct ew_fault fault;
    ew_buf_clear(&b->out);
    assert_int_equal(ew_dialect_openai.compose(&ask, &b->out, &fault), 0);
}

static void bench_read(struct bench *b)
{
    struct ew_answer *answer;
    struct ew_answer_news news;
    struct ew_str body = {bench_answer, sizeof bench_answer - 1};
    assert_int_equal(ew_answer_open(&answer, &ew_dialect_openai, &b->request, EW_ANSWER_TEXT, NULL),
                     0);
    assert_int_equal(ew_answer_whole(answer, body, &news, NULL), 0);
    ew_answer_close(&answer);
}

static void bench_rewrite(struct bench *b)
{
    struct ew_answer *answer;
    struct ew_answer_news news;
    struct ew_str body = {bench_answer, sizeof bench_answer - 1};
    ew_buf_clear(&b->out);
    assert_int_equal(ew_answer_open(&answer, &ew_dialect_openai, &b->request, EW_ANSWER_TEXT, NULL),
                     0);
    assert_int_equal(ew_answer_whole(answer, body, &news, NULL), 0);
    assert_int_equal(ew_answer_rewrite(answer, &b->reply, &b->out, NULL), 0);
    ew_answer_close(&answer);
}

static void bench_event(struct bench *b)
{
    struct ew_answer_news news;
    struct ew_str data = {bench_chunk, sizeof bench_chunk - 1};
    assert_int_equal(ew_answer_event(b->stream, "", data, &news, NULL), 0);
}

static double bench_us(void (*one)(struct bench *), int times)
{
    struct bench b;
    ew_buf_init(&b.out, WIRE_CHECK_BYTES_MAX);
    wire_check_accept(&ew_openai_chat, bench_request, &b.request);
    b.reply = reply_of(&b.request);
    assert_int_equal(
        ew_answer_open(&b.stream, &ew_dialect_openai, &b.request, EW_ANSWER_TEXT, NULL), 0);
    one(&b);
    clock_t from = clock(); /* of this process alone: the machine may be busy */
    for (int i = 0; i < times; i++)
        one(&b);
    double us = (double)(clock() - from) * 1e6 / CLOCKS_PER_SEC / times;
    ew_answer_close(&b.stream);
    ew_request_fini(&b.request);
    ew_buf_fini(&b.out);
    return us;
}

static void test_asking_and_reading_are_cheap(void **state)
{
    (void)state;
    enum { TIMES = 5000 };
    double us = bench_us(bench_compose, TIMES) + bench_us(bench_read, TIMES);
    print_message("a request and its answer take %.2f us\n", us);
    assert_true(us < 200); /* sanitized and on a slow device, too */
}

static int print_bench(void)
{
    static const struct {
        const char *what;
        void (*one)(struct bench *);
    } rows[] = {{"compose from the client's body", bench_compose},
                {"read a whole answer", bench_read},
                {"read and rewrite it with our usage", bench_rewrite},
                {"an event, its usage taken out", bench_event}};
    for (size_t i = 0; i < EW_COUNT(rows); i++)
        printf("%-36s %6.2f us\n", rows[i].what, bench_us(rows[i].one, 200000));
    printf("request of %zu bytes, answer of %zu, event of %zu\n", sizeof bench_request - 1,
           sizeof bench_answer - 1, sizeof bench_chunk - 1);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--bench") == 0)
        return print_bench();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stream_passes_as_it_is_but_for_its_usage),
        cmocka_unit_test(test_a_client_that_wants_usage_sees_null_until_then),
        cmocka_unit_test(test_calls_in_a_stream_that_passes_are_content),
        cmocka_unit_test(test_id_time_words_and_reason_are_remembered),
        cmocka_unit_test(test_text_and_reasons_become_deltas),
        cmocka_unit_test(test_calls_in_pieces_are_told_when_they_are_whole),
        cmocka_unit_test(test_calls_of_servers_that_count_badly),
        cmocka_unit_test(test_calls_without_an_id_get_one_that_no_other_turn_has),
        cmocka_unit_test(test_log_probabilities_of_both_endpoints),
        cmocka_unit_test(test_whole_answers),
        cmocka_unit_test(test_an_error_in_the_midst_is_a_fault),
        cmocka_unit_test(test_what_is_no_answer_is_told_in_a_sentence),
        cmocka_unit_test(test_malformed_calls_and_tokens),
        cmocka_unit_test(test_too_many_calls_or_choices),
        cmocka_unit_test(test_deep_nests_and_nul_bytes),
        cmocka_unit_test(test_a_whole_answer_is_rewritten_with_our_usage),
        cmocka_unit_test(test_no_answer_is_not_rewritten),
        cmocka_unit_test(test_what_our_own_wire_writes_is_read_back),
        cmocka_unit_test(test_asking_and_reading_are_cheap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
