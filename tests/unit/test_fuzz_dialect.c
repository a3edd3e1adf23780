/* test_fuzz_dialect.c - replays through the fuzzer's entry requests and answers of each dialect,
 * and what mutations make of them; then inputs that once broke something.
 *
 *     test_fuzz_dialect --corpus FOLDER    writes those inputs, for make fuzz to start from */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/rng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { MUTATIONS = 100, INPUT_MAX = 1 << 20 };
static const char found[] = "tests/fuzz/found/dialect";

#define HI "\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define TOOLS                                                                                      \
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\","        \
    "\"parameters\":{\"type\":\"object\"}}}]"
#define CALLS                                                                                      \
    "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\"" \
    ",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}]},{\"role\":\"tool\","        \
    "\"tool_call_id\":\"c\",\"content\":\"2\"}"

enum { OPENAI, OLLAMA, ANTHROPIC }; /* as fuzz_dialect.c has them */
enum { OPENAI_CHAT, OPENAI_COMPLETION, OLLAMA_CHAT, OLLAMA_GENERATE };

static const struct {
    int dialect, wire;
    const char *body, *answer; /* events are cut by \1 */
} seeds[] = {
    {OPENAI, OPENAI_CHAT,
     "{" HI ",\"stream\":true,\"stream_options\":{\"include_usage\":true,\"x\":1},\"top_k\":1}",
     "{\"id\":\"i\",\"created\":1,\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\","
     "\"content\":\"\"}}],\"usage\":null}\1{\"choices\":[{\"index\":0,\"delta\":{\"content\":"
     "\"H\xc3\xa9 \\n\",\"reasoning_content\":\"x\"},\"finish_reason\":null}]}\1{\"choices\":[{"
     "\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":1,"
     "\"completion_tokens\":2,\"device\":\"d\",\"energy_j\":1,\"energy_kind\":\"measured\"}}\1"
     "[DONE]"},
    {OPENAI, OPENAI_CHAT, "{" HI ",\"max_tokens\":9,\"temperature\":0.70}",
     "{\"id\":\"i\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
     "\"Hi\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,"
     "\"total_tokens\":9,\"prompt_tokens_details\":{\"cached_tokens\":4}}}"},
    {OPENAI, OPENAI_CHAT, "{\"model\":\"m\",\"messages\":[" CALLS "]," TOOLS ",\"n\":2}",
     "{\"choices\":[{\"index\":1,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":"
     "{\"name\":\"f\",\"arguments\":\"{\"}}]}}]}\1{\"choices\":[{\"index\":1,\"delta\":{"
     "\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"}\"}},{\"index\":1,\"function\":{"
     "\"name\":\"g\"}}]},\"finish_reason\":\"tool_calls\"}]}"},
    {OPENAI, OPENAI_CHAT, "{" HI ",\"logprobs\":true,\"top_logprobs\":1}",
     "{\"choices\":[{\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"a\"}]},\"logprobs\":{"
     "\"content\":[{\"token\":\"a\",\"logprob\":-0.5,\"bytes\":[97],\"top_logprobs\":[{\"token\":"
     "\"b\",\"logprob\":-1}]}]},\"finish_reason\":\"stop\"}]}"},
    {OPENAI, OPENAI_COMPLETION, "{\"model\":\"m\",\"prompt\":\"a\",\"logprobs\":1}",
     "{\"choices\":[{\"text\":\"b\",\"logprobs\":{\"tokens\":[\"b\"],\"token_logprobs\":[-1],"
     "\"top_logprobs\":[{\"b\":-1}]},\"finish_reason\":\"stop\"}]}"},
    {OPENAI, OLLAMA_CHAT,
     "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{"
     "\"name\":\"f\",\"arguments\":{\"a\":1.5}}}]},{\"role\":\"tool\",\"content\":\"2\","
     "\"tool_name\":\"f\"}],\"format\":{\"type\":\"object\"}," TOOLS ",\"options\":{\"seed\":1,"
     "\"num_predict\":5,\"stop\":[\"x\"]}}",
     "{\"error\":{\"message\":\"Bad sk-0123456789abcdef.\",\"type\":\"rate_limit_error\",\"param\":"
     "\"n\",\"code\":null}}"},
    {OPENAI, OLLAMA_GENERATE, "{\"model\":\"m\",\"prompt\":\"p\",\"raw\":true}",
     "{\"data\":[{\"id\":\"a\",\"max_model_len\":4096},{\"id\":\"b\",\"meta\":{\"n_ctx_train\":1}}]"
     "}"},
    {OLLAMA, OPENAI_CHAT,
     "{\"model\":\"m\",\"messages\":[" CALLS "]," TOOLS ",\"top_k\":3,\"stop\":\"x\",\"seed\":1,"
     "\"response_format\":{\"type\":\"json_object\"}}",
     "{\"message\":{\"content\":\"a\",\"thinking\":\"t\"},\"done\":false}\1{\"message\":{"
     "\"content\":\"\",\"tool_calls\":[{\"id\":\"i\",\"function\":{\"index\":0,\"name\":\"f\","
     "\"arguments\":{\"a\":[0.1]}}}]}}\1{\"message\":{},\"done\":true,\"done_reason\":\"stop\","
     "\"prompt_eval_count\":1,\"eval_count\":2,\"device\":\"d\"}"},
    {OLLAMA, OLLAMA_CHAT, "{" HI ",\"keep_alive\":0,\"logprobs\":true,\"top_logprobs\":1}",
     "{\"message\":{\"role\":\"assistant\",\"content\":\"Hi\"},\"logprobs\":[{\"token\":\"Hi\","
     "\"logprob\":-1,\"top_logprobs\":[]}],\"done\":true,\"done_reason\":\"length\"}"},
    {OLLAMA, OPENAI_COMPLETION, "{\"model\":\"m\",\"prompt\":\"a\"}",
     "{\"response\":\"b\",\"done\":true}"},
    {OLLAMA, OLLAMA_GENERATE, "{\"model\":\"m\",\"prompt\":\"p\",\"raw\":true}",
     "{\"error\":\"no\"}"},
    {OLLAMA, OLLAMA_CHAT, "{\"model\":\"m\"}", "{\"models\":[{\"name\":\"a\"}]}"},
    {ANTHROPIC, OPENAI_CHAT,
     "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\","
     "\"content\":\"u\"}," CALLS "]," TOOLS ",\"tool_choice\":\"required\",\"stop\":\"x\","
     "\"temperature\":1.5}",
     "{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":5,"
     "\"cache_read_input_tokens\":2,\"output_tokens\":1}}}\1{\"type\":\"content_block_start\","
     "\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":"
     "{}}}\1{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
     "\"input_json_delta\",\"partial_json\":\"{\\\"a\\\": 1}\"}}\1{\"type\":\"message_delta\","
     "\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":9}}\1{\"type\":"
     "\"message_stop\"}"},
    {ANTHROPIC, OLLAMA_CHAT, "{" HI "}",
     "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":"
     "\"H\xc3\xa9\"}}\1{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":"
     "\"m\"}}"},
    {ANTHROPIC, OPENAI_CHAT, "{" HI "}",
     "{\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"tool_use\",\"id\":\"t\","
     "\"name\":\"f\",\"input\":{\"a\":[0.1]}}],\"stop_reason\":\"max_tokens\",\"usage\":{"
     "\"input_tokens\":5,\"output_tokens\":2}}"},
};

typedef void each_fn(void *user, const char *name, const struct ew_buf *bytes);

static void each_seed(each_fn *each, void *user)
{
    for (size_t i = 0; i < EW_COUNT(seeds); i++) {
        struct ew_buf input;
        char name[32];
        ew_buf_init(&input, INPUT_MAX);
        snprintf(name, sizeof name, "seed-%02zu", i);
        assert_int_equal(ew_buf_printf(&input, NULL, "%c%c%s", '0' + seeds[i].dialect,
                                       '0' + seeds[i].wire, seeds[i].body),
                         0);
        assert_int_equal(ew_buf_add(&input, "", 1, NULL), 0);
        assert_int_equal(ew_buf_text(&input, seeds[i].answer, NULL), 0);
        each(user, name, &input);
        ew_buf_fini(&input);
    }
}

static void replay(void *user, const char *name, const struct ew_buf *bytes)
{
    (void)name;
    size_t *count = user;
    LLVMFuzzerTestOneInput((const uint8_t *)ew_buf_cstr(bytes), bytes->bytes);
    ++*count;
}

/* Bytes changed, pieces left out, pieces written twice. */
static void replay_mutated(void *user, const char *name, const struct ew_buf *bytes)
{
    (void)name;
    struct ew_rng *rng = user;
    for (int i = 0; i < MUTATIONS; i++) {
        size_t from = ew_rng_below(rng, bytes->bytes), to = ew_rng_below(rng, bytes->bytes);
        size_t length = ew_rng_below(rng, 8) % (bytes->bytes - from + 1);
        bool twice = ew_rng_below(rng, 2);
        size_t rest = twice ? to : from + length;
        struct ew_buf copy;
        ew_buf_init(&copy, INPUT_MAX);
        assert_int_equal(ew_buf_add(&copy, bytes->data, twice ? to : from, NULL), 0);
        if (twice)
            assert_int_equal(ew_buf_add(&copy, bytes->data + from, length, NULL), 0);
        assert_int_equal(ew_buf_add(&copy, bytes->data + rest, bytes->bytes - rest, NULL), 0);
        if (copy.bytes && ew_rng_below(rng, 2))
            copy.data[ew_rng_below(rng, copy.bytes)] = (char)ew_rng_next(rng);
        LLVMFuzzerTestOneInput((const uint8_t *)ew_buf_cstr(&copy), copy.bytes);
        ew_buf_fini(&copy);
    }
}

static void test_requests_and_answers_go_through_the_fuzzers_entry(void **state)
{
    (void)state;
    size_t count = 0;
    each_seed(replay, &count);
    assert_int_equal(count, EW_COUNT(seeds));
}

static void test_mutated_ones_go_through_the_fuzzers_entry(void **state)
{
    (void)state;
    struct ew_rng rng;
    ew_rng_init(&rng, 2506);
    each_seed(replay_mutated, &rng);
}

static void test_what_the_fuzzer_once_found_stays_fixed(void **state)
{
    (void)state;
    DIR *folder = opendir(found);
    size_t count = 0;
    for (struct dirent *entry; folder && (entry = readdir(folder)) != NULL;) {
        char path[512], data[1 << 16];
        snprintf(path, sizeof path, "%s/%s", found, entry->d_name);
        FILE *file = *entry->d_name == '.' ? NULL : fopen(path, "rb");
        if (!file)
            continue;
        LLVMFuzzerTestOneInput((const uint8_t *)data, fread(data, 1, sizeof data, file));
        fclose(file);
        count++;
    }
    if (folder)
        closedir(folder);
    if (!count) {
        print_message("skipped: nothing in %s, the fuzzer has found nothing\n", found);
        skip();
    }
}

static void write_one(void *user, const char *name, const struct ew_buf *bytes)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", (const char *)user, name);
    FILE *file = fopen(path, "wb");
    if (!file)
        return;
    fwrite(ew_buf_cstr(bytes), 1, bytes->bytes, file);
    fclose(file);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--corpus") == 0) {
        each_seed(write_one, argv[2]);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_and_answers_go_through_the_fuzzers_entry),
        cmocka_unit_test(test_mutated_ones_go_through_the_fuzzers_entry),
        cmocka_unit_test(test_what_the_fuzzer_once_found_stays_fixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
