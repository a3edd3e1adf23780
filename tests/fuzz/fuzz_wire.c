/* fuzz_wire.c - any bytes as a request, and any bytes as what a model answers it.
 *
 * LLVMFuzzerTestOneInput is what libFuzzer calls (make fuzz FUZZ=wire, clang);
 * unit/test_fuzz_wire.c replays a corpus through it in make check. The first byte chooses the wire,
 * the request's body follows; what stands behind a NUL is the model's words. A request that is
 * accepted must be what the server relies on, words must be read the same in whatever pieces they
 * come, and what is written must be JSON. */
#include "api/tools.h"
#include "api/wire.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { TEXT_BYTES_MAX = 8 << 20 };

static const struct ew_wire *const wires[] = {
    &ew_openai_chat,
    &ew_openai_completion,
    &ew_ollama_chat,
    &ew_ollama_generate,
};

static void must(bool fine)
{
    if (!fine)
        abort();
}

/* A copy of the exact size, so that a byte too far is seen. */
static char *copy_of(const char *data, size_t bytes)
{
    char *copy = malloc(bytes + !bytes);
    must(copy != NULL);
    if (bytes)
        memcpy(copy, data, bytes);
    return copy;
}

static void must_be_json(struct ew_str text, json_type type)
{
    json_t *value = json_loadb(text.data, text.bytes, JSON_DECODE_ANY, NULL);
    must(value && json_typeof(value) == type && text.data[text.bytes] == '\0');
    json_decref(value);
}

/* A NUL is fine here: as \u0000, which a model may say. */
static void must_be_lines(const char *text)
{
    while (*text) {
        size_t bytes = strcspn(text, "\n"), skip = strncmp(text, "data: ", 6) == 0 ? 6 : 0;
        json_t *value = json_loadb(text + skip, bytes - skip, JSON_ALLOW_NUL, NULL);
        must(value || bytes == 0 || strncmp(text + skip, "[DONE]", 6) == 0);
        json_decref(value);
        text += bytes + (text[bytes] == '\n');
    }
}

/* ---- the request ---- */

static void check_request(const struct ew_request *r)
{
    must(r->model && *r->model && r->n >= 1 && r->n <= EW_REQUEST_CHOICES_MAX);
    must(r->stop_count <= EW_REQUEST_STOPS_MAX && r->top_logprobs <= EW_LOGPROBS_MAX);
    for (size_t i = 0; i < r->stop_count; i++)
        must(*r->stops[i] != '\0');
    if (r->kind == EW_REQUEST_CHAT && !r->load_only)
        must_be_json(r->messages, JSON_ARRAY);
    if (r->kind == EW_REQUEST_COMPLETION && !r->load_only)
        must(r->prompt_count * r->n <= EW_REQUEST_CHOICES_MAX && r->prompt_count > 0);
    for (size_t i = 0; i < r->prompt_count; i++) {
        const struct ew_request_prompt *p = &r->prompts[i];
        must(p->tokens ? p->count > 0 && p->tokens[p->count - 1] >= 0
                       : p->text.data[p->text.bytes] == '\0');
    }
    if (r->tools.data)
        must_be_json(r->tools, JSON_ARRAY);
    else
        must(r->tool_choice == EW_TOOLS_NONE);
    if (r->format == EW_FORMAT_JSON_SCHEMA)
        must_be_json(r->schema, JSON_OBJECT);
}

static void use_tools(const struct ew_request *r)
{
    struct ew_buf text;
    struct ew_err err = {0};
    const char *before, *after;
    ew_buf_init(&text, TEXT_BYTES_MAX);
    if (r->tools.data &&
        ew_tools_schema(r, EW_TOOLS_HOLD_ARGUMENTS, &text, &before, &after, &err) == 0)
        must_be_json((struct ew_str){text.data, text.bytes}, JSON_OBJECT);
    ew_buf_clear(&text);
    if (r->messages.data && ew_tools_in_words(r, &text, &err) == 0)
        must_be_json((struct ew_str){text.data, text.bytes}, JSON_ARRAY);
    ew_buf_fini(&text);
}

/* ---- the words ---- */

static struct ew_tools *read_words(const struct ew_request *r, struct ew_str words, size_t piece,
                                   struct ew_buf *plain)
{
    struct ew_tools *tools;
    struct ew_err err;
    ew_buf_init(plain, TEXT_BYTES_MAX);
    must(ew_tools_open(&tools, r, &err) == 0);
    for (size_t at = 0; at < words.bytes; at += piece) {
        size_t rest = words.bytes - at, count = rest < piece ? rest : piece;
        char *copy = copy_of(words.data + at, count);
        must(ew_tools_push(tools, copy, count, plain, &err) == 0);
        free(copy);
    }
    must(ew_tools_flush(tools, plain, &err) == 0);
    return tools;
}

static void write_answer(const struct ew_wire *wire, const struct ew_request *r,
                         const struct ew_buf *plain, const struct ew_tools *tools)
{
    struct ew_reply reply = {.request = r, .model = r->model, .device = "d", .fingerprint = "f"};
    struct ew_delta delta = {.text = {ew_buf_cstr(plain), plain->bytes},
                             .calls = ew_tools_calls(tools),
                             .call_count = ew_tools_count(tools),
                             .finish = EW_FINISH_STOP};
    struct ew_reply_token token = {.text = delta.text};
    struct ew_buf out;
    ew_buf_init(&out, TEXT_BYTES_MAX);
    if (r->logprobs) {
        delta.tokens = &token;
        delta.token_count = 1;
    }
    if (r->stream) {
        must(wire->start(&reply, &out) == 0 && wire->delta(&reply, &delta, &out) == 0);
        must(wire->end(&reply, &out) == 0);
    } else {
        must(wire->whole(&reply, &delta, r->load_only ? 0 : 1, &out) == 0);
    }
    must_be_lines(ew_buf_cstr(&out));
    ew_buf_fini(&out);
}

static void answer(const struct ew_wire *wire, const struct ew_request *r, struct ew_str words)
{
    struct ew_buf whole, pieces;
    struct ew_tools *a = read_words(r, words, words.bytes + 1, &whole);
    struct ew_tools *b = read_words(r, words, words.bytes % 7 + 1, &pieces);
    must(whole.bytes == pieces.bytes && ew_tools_count(a) == ew_tools_count(b));
    must(memcmp(ew_buf_cstr(&whole), ew_buf_cstr(&pieces), whole.bytes) == 0);
    for (size_t i = 0; i < ew_tools_count(a); i++)
        must_be_json(ew_tools_calls(a)[i].arguments, JSON_OBJECT);
    write_answer(wire, r, &whole, a);
    ew_tools_close(&a);
    ew_tools_close(&b);
    ew_buf_fini(&whole);
    ew_buf_fini(&pieces);
}

static void check_fault(const struct ew_wire *wire, const struct ew_fault *fault)
{
    struct ew_buf out;
    ew_buf_init(&out, TEXT_BYTES_MAX);
    must(fault->status >= 400 && *fault->message);
    must(wire->error(fault, &out) == 0 && wire->stream_error(fault, &out) == 0);
    must_be_lines(ew_buf_cstr(&out));
    ew_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes == 0)
        return 0;
    const struct ew_wire *wire = wires[data[0] % EW_COUNT(wires)];
    const char *text = (const char *)data + 1, *end = memchr(text, '\0', bytes - 1);
    size_t body_bytes = end ? (size_t)(end - text) : bytes - 1;
    struct ew_str words = {"", 0};
    if (end)
        words = (struct ew_str){end + 1, bytes - 2 - body_bytes};
    char *copy = copy_of(text, body_bytes), *name;
    struct ew_str body = {copy, body_bytes};
    struct ew_request request;
    struct ew_fault fault;
    if (ew_ollama_name(body, &name, &fault) == 0) {
        must(*name != '\0');
        free(name);
    }
    int rc = wire->parse(&request, body, &fault);
    free(copy); /* nothing of the request lies in it */
    if (rc == 0) {
        check_request(&request);
        use_tools(&request);
        answer(wire, &request, words);
    } else {
        check_fault(wire, &fault);
    }
    ew_request_fini(&request);
    return 0;
}
