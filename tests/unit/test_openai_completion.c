/* test_openai_completion.c - OpenAI's legacy completions, to the byte; and the lists of models
 * (openai_models.c). */
#include "support/wire_check.h"

#include "flow/usage.h"

#define BODY(more) "{\"model\":\"m\"" more "}"

static void test_a_prompt_is_text_texts_ids_or_lists_of_ids(void **state)
{
    (void)state;
    struct ew_request r;
    wire_check_accept(&ew_openai_completion, BODY(",\"prompt\":\"a\""), &r);
    assert_int_equal(r.kind, EW_REQUEST_COMPLETION);
    assert_true(r.raw);
    assert_int_equal(r.prompt_count, 1);
    wire_check_str(r.prompts[0].text, "a");
    assert_int_equal(r.max_tokens, 16); /* OpenAI's default here */
    assert_false(r.echo || r.logprobs);
    ew_request_fini(&r);
    wire_check_accept(&ew_openai_completion,
                      BODY(",\"prompt\":[\"a\",\"bc\"],\"n\":8,\"best_of\":8,\"max_tokens\":3,"
                           "\"suffix\":\"\",\"echo\":true"),
                      &r);
    assert_int_equal(r.prompt_count, 2);
    wire_check_str(r.prompts[1].text, "bc");
    assert_true(r.echo);
    assert_int_equal(r.max_tokens, 3);
    ew_request_fini(&r);
    wire_check_accept(&ew_openai_completion, BODY(",\"prompt\":[3,4],\"logprobs\":0"), &r);
    assert_int_equal(r.prompt_count, 1);
    assert_int_equal(r.prompts[0].count, 2);
    assert_int_equal(r.prompts[0].tokens[1], 4);
    assert_true(r.logprobs);
    assert_int_equal(r.top_logprobs, 0);
    ew_request_fini(&r);
    wire_check_accept(&ew_openai_completion, BODY(",\"prompt\":[[3,4],[5]],\"logprobs\":5"), &r);
    assert_int_equal(r.prompt_count, 2);
    assert_int_equal(r.prompts[1].tokens[0], 5);
    assert_int_equal(r.top_logprobs, 5);
    ew_request_fini(&r);
}

static void test_faults(void **state)
{
    (void)state;
    static const struct wire_fault_case cases[] = {
        {BODY(""), "missing_required_parameter", "prompt", "Missing required parameter: 'prompt'."},
        {BODY(",\"prompt\":{}"), "invalid_type", "prompt", "Invalid type for 'prompt': "},
        {BODY(",\"prompt\":[]"), "empty_array", "prompt", "Invalid 'prompt': empty array."},
        {BODY(",\"prompt\":[[]]"), "empty_array", "prompt[0]", "Invalid 'prompt[0]': empty array."},
        {BODY(",\"prompt\":[1,\"a\"]"), "invalid_type", "prompt", ""},
        {BODY(",\"prompt\":[\"a\",1]"), "invalid_type", "prompt[1]", ""},
        {BODY(",\"prompt\":[-1]"), "invalid_value", "prompt", "Invalid 'prompt': -1 is no token"},
        {BODY(",\"prompt\":[4294967296]"), "invalid_value", "prompt", ""},
        {BODY(",\"prompt\":\"a\\u0000\""), "invalid_value", "prompt", ""},
        {BODY(",\"prompt\":[\"a\",\"b\"],\"n\":9"), "array_above_max_length", "prompt", ""},
        {BODY(",\"prompt\":\"a\",\"echo\":true,\"logprobs\":1"), "unsupported_parameter", "echo",
         "Unsupported parameter: 'echo' together with 'logprobs' is not supported"},
        {BODY(",\"prompt\":\"a\",\"logprobs\":6"), "integer_above_max_value", "logprobs", ""},
        {BODY(",\"prompt\":\"a\",\"best_of\":2"), "unsupported_value", "best_of", ""},
        {BODY(",\"prompt\":\"a\",\"suffix\":\"x\""), "unsupported_parameter", "suffix", ""},
        {BODY(",\"prompt\":\"a\",\"n\":0"), "integer_below_min_value", "n", ""},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++)
        wire_check_fault(&ew_openai_completion, &cases[i]);
}

#define HEAD                                                                                       \
    "{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1800000000,\"model\":\"m\","    \
    "\"system_fingerprint\":\"fp\",\"choices\":["
#define USAGE                                                                                      \
    "\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":1,\"total_tokens\":3,"                   \
    "\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},"                          \
    "\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0,"                    \
    "\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0},\"device\":\"d\","         \
    "\"energy_j\":null,\"energy_kind\":\"unknown\",\"cost_cents\":null,\"ttft_ms\":null,"          \
    "\"tokens_per_s\":null}"

static struct ew_buf out;

static struct ew_reply reply_to(const struct ew_request *request)
{
    struct ew_reply reply = {.request = request,
                             .id = "cmpl-1",
                             .created_s = 1800000000,
                             .model = "m",
                             .fingerprint = "fp",
                             .device = "d",
                             .usage = ew_usage_none()};
    reply.usage.prompt_tokens = 2;
    reply.usage.output_tokens = 1;
    return reply;
}

static void test_answers_in_whole_and_in_events(void **state)
{
    (void)state;
    struct ew_request request = {.n = 1, .include_usage = true};
    struct ew_reply reply = reply_to(&request);
    struct ew_reply_token top[] = {{.text = {"a", 1}, .logprob = -0.5f},
                                   {.text = {"a", 1}, .logprob = -1},
                                   {.text = {"b", 1}, .logprob = -2}};
    struct ew_reply_token tokens[] = {
        {.text = {"ab", 2}, .logprob = -0.5f, .top = top, .top_count = 3},
        {.text = {"c", 1}, .logprob = -1},
    };
    struct ew_delta d = {.text = {"abc", 3},
                         .tokens = tokens,
                         .token_count = 2,
                         .finish = EW_FINISH_STOP,
                         .text_offset = 5};
    wire_check_text(ew_openai_completion.whole(&reply, &d, 1, &out), &out,
                    HEAD "{\"text\":\"abc\",\"index\":0,\"logprobs\":{\"tokens\":[\"ab\",\"c\"],"
                         "\"token_logprobs\":[-0.5,-1],\"top_logprobs\":[{\"a\":-0.5,\"b\":-2},{}],"
                         "\"text_offset\":[5,7]},\"finish_reason\":\"stop\"}]," USAGE "}\n");
    wire_check_text(ew_openai_completion.start(&reply, &out), &out, "");
    d = (struct ew_delta){.text = {"x", 1}, .choice = 1};
    wire_check_text(ew_openai_completion.delta(&reply, &d, &out), &out,
                    "data: " HEAD "{\"text\":\"x\",\"index\":1,\"logprobs\":null,"
                    "\"finish_reason\":null}],\"usage\":null}\n\n");
    d = (struct ew_delta){.finish = EW_FINISH_LENGTH};
    wire_check_text(ew_openai_completion.delta(&reply, &d, &out), &out,
                    "data: " HEAD "{\"text\":\"\",\"index\":0,\"logprobs\":null,"
                    "\"finish_reason\":\"length\"}],\"usage\":null}\n\n");
    wire_check_text(ew_openai_completion.end(&reply, &out), &out,
                    "data: " HEAD "]," USAGE "}\n\ndata: [DONE]\n\n");
    ew_buf_fini(&out);
}

static void test_models(void **state)
{
    (void)state;
    const struct ew_wire_model models[] = {
        {.name = "a", .owner = "edgewise", .created_s = 5},
        {.name = "b", .owner = "edgewise", .created_s = 6},
    };
    wire_check_text(ew_openai_models(models, 2, &out), &out,
                    "{\"object\":\"list\",\"data\":[{\"id\":\"a\",\"object\":\"model\",\"created\":"
                    "5,\"owned_by\":\"edgewise\"},{\"id\":\"b\",\"object\":\"model\",\"created\":6,"
                    "\"owned_by\":\"edgewise\"}]}\n");
    wire_check_text(ew_openai_models(models, 0, &out), &out, "{\"object\":\"list\",\"data\":[]}\n");
    wire_check_text(ew_openai_model(&models[1], &out), &out,
                    "{\"id\":\"b\",\"object\":\"model\",\"created\":6,\"owned_by\":\"edgewise\"}"
                    "\n");
    ew_buf_fini(&out);
}

int main(void)
{
    ew_buf_init(&out, WIRE_CHECK_BYTES_MAX);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_prompt_is_text_texts_ids_or_lists_of_ids),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_answers_in_whole_and_in_events),
        cmocka_unit_test(test_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
