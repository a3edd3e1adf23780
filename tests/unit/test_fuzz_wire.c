/* test_fuzz_wire.c - replays through the fuzzer's entry a request of each kind with a model's
 * words, and what mutations make of them; then inputs that once broke something.
 *
 *     test_fuzz_wire --corpus FOLDER    writes those inputs, for make fuzz to start from */
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

enum { MUTATIONS = 150, INPUT_MAX = 1 << 20 };
static const char found[] = "tests/fuzz/found/wire";

#define HI "\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define TOOLS                                                                                      \
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\","        \
    "\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/$defs/x\"}},"         \
    "\"$defs\":{\"x\":{\"enum\":[1,\"b\"]}}}}}]"

enum { OPENAI_CHAT, OPENAI_COMPLETION, OLLAMA_CHAT, OLLAMA_GENERATE }; /* as fuzz_wire.c has them */

static const struct {
    int wire;
    const char *body, *words;
} seeds[] = {
    {OPENAI_CHAT, "{" HI "}", "Hello."},
    {OPENAI_CHAT,
     "{" HI ",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"n\":2,\"stop\":[\"a\"],"
     "\"seed\":-5,\"logprobs\":true,\"top_logprobs\":3,\"max_tokens\":9,\"temperature\":0.5,"
     "\"top_p\":0.25,\"presence_penalty\":-2,\"frequency_penalty\":2,\"logit_bias\":{\"5\":-100},"
     "\"user\":\"u\",\"top_k\":40,\"min_p\":0.1,\"repeat_penalty\":1.5}",
     "H\xc3\xa9llo\xff"},
    {OPENAI_CHAT, "{" HI "," TOOLS ",\"tool_choice\":\"auto\",\"parallel_tool_calls\":false}",
     "I call <tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call> <tool_call>"},
    {OPENAI_CHAT,
     "{" HI "," TOOLS ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}}",
     "{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":\\\"</tool_call>\\\"}\"}"},
    {OPENAI_CHAT, "{" HI "," TOOLS ",\"tool_choice\":\"required\",\"stream\":true}",
     "<tool_call>{\"name\":\"f\",\"parameters\":{\"s\":\"</tool_call>\"}}</tool_call>\n<tool_call>"
     "{\"name\":\"g\"}</tool_call> end"},
    {OPENAI_CHAT,
     "{\"model\":\"m\",\"messages\":[{\"role\":\"developer\",\"content\":[{\"type\":\"text\","
     "\"text\":\"t\"}]},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c\","
     "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}]},"
     "{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"2\"}]," TOOLS "}",
     "<tool_call>{\"name\":7}</tool_call>"},
    {OPENAI_CHAT,
     "{" HI ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\","
     "\"strict\":true,\"schema\":{\"type\":\"object\",\"x\":[1,2.5e9,true,null]}}}}",
     "{}"},
    {OPENAI_COMPLETION, "{\"model\":\"m\",\"prompt\":\"p\",\"echo\":true,\"suffix\":\"\"}", " q"},
    {OPENAI_COMPLETION,
     "{\"model\":\"m\",\"prompt\":[[1,2],\"t\"],\"n\":2,\"logprobs\":5,\"best_of\":1,\"stream\":"
     "true}",
     "x"},
    {OPENAI_COMPLETION, "{\"model\":\"m\",\"prompt\":[1,2,3],\"stop\":\"s\"}", "y"},
    {OLLAMA_CHAT,
     "{" HI ",\"stream\":false,\"format\":\"json\",\"keep_alive\":\"1h30m\",\"think\":false,"
     "\"logprobs\":true,\"top_logprobs\":2,\"options\":{\"temperature\":0,\"top_k\":7.0,\"top_p\":"
     "0.5,\"min_p\":0.1,\"repeat_penalty\":1.5,\"repeat_last_n\":-1,\"seed\":42,\"num_predict\":9,"
     "\"num_ctx\":2048,\"stop\":[\"a\",\"b\"]}}",
     "{\"a\":1}"},
    {OLLAMA_CHAT,
     "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{"
     "\"name\":\"f\",\"arguments\":{\"a\":1.5}}}]},{\"role\":\"tool\",\"content\":\"2\","
     "\"tool_name\":\"f\",\"images\":[]}],\"format\":{\"type\":\"object\"}," TOOLS "}",
     "a <tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>"},
    {OLLAMA_CHAT, "{\"model\":\"m\",\"messages\":[],\"keep_alive\":0}", ""},
    {OLLAMA_GENERATE, "{\"model\":\"m\",\"prompt\":\"p\",\"system\":\"s\",\"template\":\"\"}", "z"},
    {OLLAMA_GENERATE, "{\"name\":\"m\",\"model\":\"m\",\"prompt\":\"p\",\"raw\":true}", "z"},
};

typedef void each_fn(void *user, const char *name, const struct ew_buf *bytes);

static void each_seed(each_fn *each, void *user)
{
    for (size_t i = 0; i < EW_COUNT(seeds); i++) {
        struct ew_buf input;
        char name[32];
        ew_buf_init(&input, INPUT_MAX);
        snprintf(name, sizeof name, "seed-%02zu", i);
        assert_int_equal(ew_buf_printf(&input, NULL, "%c%s", '0' + seeds[i].wire, seeds[i].body),
                         0);
        assert_int_equal(ew_buf_add(&input, "", 1, NULL), 0);
        assert_int_equal(ew_buf_text(&input, seeds[i].words, NULL), 0);
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

static void test_requests_go_through_the_fuzzers_entry(void **state)
{
    (void)state;
    size_t count = 0;
    each_seed(replay, &count);
    assert_int_equal(count, EW_COUNT(seeds));
}

static void test_mutated_requests_go_through_the_fuzzers_entry(void **state)
{
    (void)state;
    struct ew_rng rng;
    ew_rng_init(&rng, 2505);
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
        cmocka_unit_test(test_requests_go_through_the_fuzzers_entry),
        cmocka_unit_test(test_mutated_requests_go_through_the_fuzzers_entry),
        cmocka_unit_test(test_what_the_fuzzer_once_found_stays_fixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
