/* test_wire_samples.c - one answer of each kind that the wires can write.
 *
 *     test_wire_samples --write FOLDER    writes them as files; tests/tools/wire_types.py has the
 *                                         official clients read them
 *
 * Here they must be JSON, line by line. */
#include "support/wire_check.h"

#include "flow/usage.h"

typedef int sample_fn(const struct ew_reply *reply, const struct ew_wire *wire, struct ew_buf *out);

static struct ew_str str(const char *text)
{
    return (struct ew_str){text, strlen(text)};
}

static const struct ew_reply_call calls[] = {
    {.id = "call_0123456789abcdefABCDEFGH", .name = {"f", 1}, .arguments = {"{\"a\":1.5}", 9}},
    {.id = "call_1123456789abcdefABCDEFGH", .name = {"g", 1}, .arguments = {"{}", 2}},
};

static const struct ew_reply_token top[] = {
    {.text = {"Hi", 2}, .logprob = -0.25f},
    {.text = {"\xc3", 1}, .logprob = -INFINITY},
};
static const struct ew_reply_token tokens[] = {
    {.text = {"Hi", 2}, .logprob = -0.25f, .top = top, .top_count = 2},
    {.text = {" you", 4}, .logprob = -1.5f, .top = top, .top_count = 2},
};

static struct ew_delta text_delta(const char *text)
{
    return (struct ew_delta){.text = str(text)};
}

/* Text, then two calls, then the end; of two choices where the wire has them. */
static int write_stream(const struct ew_reply *reply, const struct ew_wire *wire,
                        struct ew_buf *out)
{
    int rc = wire->start(reply, out);
    for (uint32_t i = 0; i < reply->request->n; i++) {
        struct ew_delta delta = text_delta("Hi");
        delta.choice = i;
        if (reply->request->logprobs) {
            delta.tokens = tokens;
            delta.token_count = 1;
        }
        rc |= wire->delta(reply, &delta, out);
        delta = text_delta(" you");
        delta.choice = i;
        delta.text_offset = 2;
        if (reply->request->logprobs) {
            delta.tokens = tokens + 1;
            delta.token_count = 1;
        }
        rc |= wire->delta(reply, &delta, out);
        if (reply->request->tools.data)
            for (size_t k = 0; k < 2; k++) {
                delta = (struct ew_delta){
                    .choice = i, .calls = calls + k, .call_count = 1, .call_first = k};
                rc |= wire->delta(reply, &delta, out);
            }
        delta = (struct ew_delta){.choice = i, .finish = reply->finish};
        rc |= wire->delta(reply, &delta, out);
    }
    return rc | wire->end(reply, out);
}

static int write_whole(const struct ew_reply *reply, const struct ew_wire *wire, struct ew_buf *out)
{
    struct ew_delta choices[2] = {text_delta("Hi you"), text_delta("Hi you")};
    for (uint32_t i = 0; i < reply->request->n; i++) {
        choices[i].choice = i;
        choices[i].finish = reply->finish;
        if (reply->request->logprobs) {
            choices[i].tokens = tokens;
            choices[i].token_count = 2;
        }
        if (reply->request->tools.data) {
            choices[i].text = str("");
            choices[i].calls = calls;
            choices[i].call_count = 2;
        }
    }
    return wire->whole(reply, choices, reply->request->load_only ? 0 : reply->request->n, out);
}

static int write_error(const struct ew_reply *reply, const struct ew_wire *wire, struct ew_buf *out)
{
    struct ew_fault fault;
    (void)reply;
    ew_fault_set(&fault, 404, "model_not_found", "model", "The model 'x' does not exist.");
    return wire->error(&fault, out);
}

static int write_broken_stream(const struct ew_reply *reply, const struct ew_wire *wire,
                               struct ew_buf *out)
{
    struct ew_delta delta = text_delta("Hi");
    struct ew_fault fault;
    ew_fault_set(&fault, 500, NULL, NULL, "The answer failed: broken.");
    int rc = wire->start(reply, out) | wire->delta(reply, &delta, out);
    return rc | wire->stream_error(&fault, out);
}

static const struct ew_wire_model models[] = {
    {.name = "a",
     .owner = "edgewise",
     .created_s = 1800000000,
     .bytes = 91000000,
     .sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
     .architecture = "llama",
     .quantization = "Q4_1",
     .licence = "apache-2.0",
     .parameters = 134515008,
     .ctx = 2048,
     .embedding = 576,
     .tools = true,
     .loaded = true,
     .expires_s = -1,
     .template_text = "{{ x }}"},
    {.name = "b", .owner = "edgewise", .loaded = true},
};

static int write_openai_models(const struct ew_reply *r, const struct ew_wire *w,
                               struct ew_buf *out)
{
    (void)r, (void)w;
    return ew_openai_models(models, 2, out);
}

static int write_openai_model(const struct ew_reply *r, const struct ew_wire *w, struct ew_buf *out)
{
    (void)r, (void)w;
    return ew_openai_model(models, out);
}

static int write_tags(const struct ew_reply *r, const struct ew_wire *w, struct ew_buf *out)
{
    (void)r, (void)w;
    return ew_ollama_tags(models, 2, out);
}

static int write_ps(const struct ew_reply *r, const struct ew_wire *w, struct ew_buf *out)
{
    (void)r, (void)w;
    return ew_ollama_ps(models, 2, out);
}

static int write_show(const struct ew_reply *r, const struct ew_wire *w, struct ew_buf *out)
{
    (void)r, (void)w;
    return ew_ollama_show(&models[0], out);
}

static int write_show_less(const struct ew_reply *r, const struct ew_wire *w, struct ew_buf *out)
{
    (void)r, (void)w;
    return ew_ollama_show(&models[1], out);
}

static int write_version(const struct ew_reply *r, const struct ew_wire *w, struct ew_buf *out)
{
    (void)r, (void)w;
    return ew_ollama_version(out);
}

enum traits { USAGE = 1, LOGPROBS = 2, TOOLS = 4, LOAD = 8, TWO = 16, UNKNOWN = 32 };

static const struct sample {
    const char *name;
    sample_fn *write;
    const struct ew_wire *wire;
    unsigned traits;
    enum ew_finish finish;
} samples[] = {
    {"openai_chat", write_whole, &ew_openai_chat, TWO, EW_FINISH_STOP},
    {"openai_chat_unknown", write_whole, &ew_openai_chat, UNKNOWN, EW_FINISH_LENGTH},
    {"openai_chat_logprobs", write_whole, &ew_openai_chat, LOGPROBS, EW_FINISH_LENGTH},
    {"openai_chat_tools", write_whole, &ew_openai_chat, TOOLS, EW_FINISH_TOOL_CALLS},
    {"openai_chat_stream", write_stream, &ew_openai_chat, TWO, EW_FINISH_STOP},
    {"openai_chat_stream_usage", write_stream, &ew_openai_chat, USAGE, EW_FINISH_LENGTH},
    {"openai_chat_stream_logprobs", write_stream, &ew_openai_chat, LOGPROBS, EW_FINISH_STOP},
    {"openai_chat_stream_tools", write_stream, &ew_openai_chat, TOOLS, EW_FINISH_TOOL_CALLS},
    {"openai_chat_stream_broken", write_broken_stream, &ew_openai_chat, 0, EW_FINISH_NONE},
    {"openai_completion", write_whole, &ew_openai_completion, TWO, EW_FINISH_STOP},
    {"openai_completion_logprobs", write_whole, &ew_openai_completion, LOGPROBS, EW_FINISH_STOP},
    {"openai_completion_stream", write_stream, &ew_openai_completion, USAGE | LOGPROBS,
     EW_FINISH_LENGTH},
    {"openai_error", write_error, &ew_openai_chat, 0, EW_FINISH_NONE},
    {"openai_models", write_openai_models, NULL, 0, EW_FINISH_NONE},
    {"openai_model", write_openai_model, NULL, 0, EW_FINISH_NONE},
    {"ollama_chat", write_whole, &ew_ollama_chat, 0, EW_FINISH_STOP},
    {"ollama_chat_unknown", write_whole, &ew_ollama_chat, UNKNOWN, EW_FINISH_LENGTH},
    {"ollama_chat_tools", write_whole, &ew_ollama_chat, TOOLS, EW_FINISH_TOOL_CALLS},
    {"ollama_chat_load", write_whole, &ew_ollama_chat, LOAD, EW_FINISH_NONE},
    {"ollama_chat_stream", write_stream, &ew_ollama_chat, LOGPROBS, EW_FINISH_STOP},
    {"ollama_chat_stream_tools", write_stream, &ew_ollama_chat, TOOLS, EW_FINISH_TOOL_CALLS},
    {"ollama_chat_stream_broken", write_broken_stream, &ew_ollama_chat, 0, EW_FINISH_NONE},
    {"ollama_generate", write_whole, &ew_ollama_generate, LOGPROBS, EW_FINISH_LENGTH},
    {"ollama_generate_load", write_whole, &ew_ollama_generate, LOAD, EW_FINISH_NONE},
    {"ollama_generate_stream", write_stream, &ew_ollama_generate, 0, EW_FINISH_LENGTH},
    {"ollama_error", write_error, &ew_ollama_chat, 0, EW_FINISH_NONE},
    {"ollama_tags", write_tags, NULL, 0, EW_FINISH_NONE},
    {"ollama_ps", write_ps, NULL, 0, EW_FINISH_NONE},
    {"ollama_show", write_show, NULL, 0, EW_FINISH_NONE},
    {"ollama_show_less", write_show_less, NULL, 0, EW_FINISH_NONE},
    {"ollama_version", write_version, NULL, 0, EW_FINISH_NONE},
};

static struct ew_usage usage_of(unsigned traits)
{
    struct ew_usage usage = ew_usage_none();
    usage.prompt_tokens = 7;
    usage.cached_tokens = 4;
    usage.output_tokens = 3;
    if (traits & UNKNOWN)
        return usage;
    usage.ttft_ns = 12345678;
    usage.prefill_ns = 11000000;
    usage.decode_ns = 500000000;
    struct ew_energy energy = {.kind = EW_ENERGY_MODELLED, .joules = 1.5};
    ew_usage_set_energy(&usage, &energy, EW_USAGE_TARIFF_CENTS_PER_KWH);
    return usage;
}

static int write_sample(const struct sample *sample, struct ew_buf *out)
{
    struct ew_request request = {
        .n = sample->traits & TWO ? 2 : 1,
        .stream = sample->write == write_stream || sample->write == write_broken_stream,
        .include_usage = (sample->traits & USAGE) != 0,
        .logprobs = (sample->traits & LOGPROBS) != 0,
        .load_only = (sample->traits & LOAD) != 0,
        .keep_alive_s = NAN,
    };
    if (sample->traits & TOOLS)
        request.tools = str("[]");
    struct ew_reply reply = {.request = &request,
                             .id = "chatcmpl-1",
                             .created_s = 1800000000,
                             .model = "a",
                             .fingerprint = "edgewise-1",
                             .device = "here",
                             .usage = usage_of(sample->traits),
                             .finish = sample->finish,
                             .total_ns = sample->traits & UNKNOWN ? 0 : 600000000};
    return sample->write(&reply, sample->wire, out);
}

static void test_each_sample_is_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_COUNT(samples); i++) {
        struct ew_buf out;
        ew_buf_init(&out, WIRE_CHECK_BYTES_MAX);
        assert_int_equal(write_sample(&samples[i], &out), 0);
        assert_true(out.bytes > 2);
        wire_check_lines(ew_buf_cstr(&out));
        ew_buf_fini(&out);
    }
}

static int write_files(const char *folder)
{
    int rc = 0;
    for (size_t i = 0; i < EW_COUNT(samples) && !rc; i++) {
        struct ew_buf out;
        char path[512];
        ew_buf_init(&out, WIRE_CHECK_BYTES_MAX);
        snprintf(path, sizeof path, "%s/%s", folder, samples[i].name);
        FILE *file = fopen(path, "wb");
        rc = !file || write_sample(&samples[i], &out) ||
             fwrite(out.data, 1, out.bytes, file) != out.bytes;
        if (file)
            rc |= fclose(file);
        ew_buf_fini(&out);
    }
    return rc;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--write") == 0)
        return write_files(argv[2]);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_sample_is_json)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
