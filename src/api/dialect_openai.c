/* dialect_openai.c - asking in OpenAI's words: its own service, edgewise, llama-server, vLLM,
 * Ollama's /v1, Perplexity, Google's compatible address.
 *
 * Where the client spoke OpenAI's, its body goes on as it came, byte for byte but for the few keys
 * that are ours to say (model, stream, stream_options), so that fields which we don't know pass.
 * Where it spoke Ollama's, the body is made of what ew_request has.
 *
 * An answer that another device began is continued by a last message of the assistant's. edgewise
 * and llama-server continue such a message by themselves; vLLM is told to (continue_final_message).
 * Strict upstreams begin a new message instead, so that there it can't be said. */
#include "api/dialect_openai_int.h"
#include "api/splice.h"

#include <math.h>
#include <string.h>

enum {
    /* A raw prompt without a limit, as Ollama's clients may send: OpenAI's own default is 16. */
    COMPLETION_TOKENS_DEFAULT = 2048,
};

/* ---- what both ways have in common ---- */

static void put_stream(struct ew_jsonw *json, const struct ew_dialect_ask *ask,
                       struct ew_str options)
{
    struct ew_splice splice;
    if (!ask->stream)
        return;
    ew_jsonw_put_bool(json, "stream", true);
    ew_jsonw_key(json, "stream_options");
    ew_jsonw_object(json);
    ew_jsonw_put_bool(json, "include_usage", true);
    if (options.data) {
        ew_splice_open(&splice, options);
        while (ew_splice_next(&splice) && splice.key.data)
            if (!ew_splice_is(&splice, "include_usage"))
                ew_jsonw_put_raw(json, splice.key, splice.value);
    }
    ew_jsonw_end(json);
}

static void put_arguments(struct ew_read *in, struct ew_jsonw *json, const json_t *call)
{
    const json_t *arguments = json_object_get(json_object_get(call, "function"), "arguments");
    struct ew_buf text;
    struct ew_jsonw own;
    if (json_is_string(arguments)) { /* as the client sent them: they are no object */
        ew_jsonw_put_text(json, "arguments", json_string_value(arguments));
        return;
    }
    ew_buf_init(&text, json->out->max);
    ew_jsonw_init(&own, &text, EW_JSONW_COMPACT);
    ew_read_copy(in, &own, arguments, "arguments");
    if (ew_jsonw_finish(&own, &json->err) == 0)
        text.bytes--; /* the newline */
    ew_jsonw_key(json, "arguments");
    ew_jsonw_str(json, (struct ew_str){ew_buf_cstr(&text), text.bytes});
    ew_buf_fini(&text);
}

static void write_calls(struct ew_read *in, struct ew_jsonw *json, const json_t *calls)
{
    ew_jsonw_key(json, "tool_calls");
    ew_jsonw_array(json);
    for (size_t i = 0; i < json_array_size(calls); i++) {
        const json_t *call = json_array_get(calls, i);
        ew_jsonw_object(json);
        ew_jsonw_put_text(json, "id", json_string_value(json_object_get(call, "id")));
        ew_jsonw_put_text(json, "type", "function");
        ew_jsonw_key(json, "function");
        ew_jsonw_object(json);
        ew_jsonw_put_text(
            json, "name",
            json_string_value(json_object_get(json_object_get(call, "function"), "name")));
        put_arguments(in, json, call);
        ew_jsonw_end(json);
        ew_jsonw_end(json);
    }
    ew_jsonw_end(json);
}

static void write_message(struct ew_read *in, struct ew_jsonw *json, const json_t *message)
{
    const json_t *content = json_object_get(message, "content");
    const json_t *calls = json_object_get(message, "tool_calls");
    const json_t *id = json_object_get(message, "tool_call_id");
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "role", json_string_value(json_object_get(message, "role")));
    ew_jsonw_key(json, "content");
    if (json_is_string(content))
        ew_jsonw_str(json,
                     (struct ew_str){json_string_value(content), json_string_length(content)});
    else
        ew_jsonw_null(json);
    if (json_array_size(calls))
        write_calls(in, json, calls);
    if (id)
        ew_jsonw_put_text(json, "tool_call_id", json_string_value(id));
    ew_jsonw_end(json);
}

/* vLLM's words for it; the others don't know them, and don't mind. */
static void put_continuation(struct ew_jsonw *json)
{
    ew_jsonw_put_bool(json, "continue_final_message", true);
    ew_jsonw_put_bool(json, "add_generation_prompt", false);
}

/* The prompt, with what was said already; only of one text. */
static void put_prompt(struct ew_read *in, struct ew_jsonw *json, const struct ew_dialect_ask *ask)
{
    const struct ew_str text = ask->request->prompts[0].text;
    struct ew_buf joined;
    ew_buf_init(&joined, json->out->max);
    int rc = ew_buf_add(&joined, text.data, text.bytes, &json->err);
    if (!rc && ask->prefill.data)
        rc = ew_buf_add(&joined, ask->prefill.data, ask->prefill.bytes, &json->err);
    if (rc)
        ew_read_fail(in, NULL, "prompt", "The prompt is too long to be passed on.");
    ew_jsonw_key(json, "prompt");
    ew_jsonw_str(json, (struct ew_str){ew_buf_cstr(&joined), joined.bytes});
    ew_buf_fini(&joined);
}

/* ---- from the client's own body ---- */

/* Keys of other servers that OpenAI's own answers with an error: hints, all of them. */
static bool is_extension(const struct ew_splice *field)
{
    static const char *const keys[] = {"top_k", "min_p", "repeat_penalty", "repetition_penalty",
                                       "repeat_last_n"};
    for (size_t i = 0; i < EW_COUNT(keys); i++)
        if (ew_splice_is(field, keys[i]))
            return true;
    return false;
}

static void put_messages(struct ew_read *in, struct ew_jsonw *json, struct ew_str theirs,
                         const json_t *messages)
{
    struct ew_splice splice;
    size_t count = json_array_size(messages);
    ew_jsonw_key(json, "messages");
    ew_jsonw_array(json);
    ew_splice_open(&splice, theirs);
    /* The last one is ours: a new one, or the client's own last one with more words. */
    for (size_t i = 0; i + 1 < count && ew_splice_next(&splice); i++)
        ew_jsonw_raw(json, splice.value);
    write_message(in, json, json_array_get(messages, count - 1));
    ew_jsonw_end(json);
}

/* Keys that we say ourselves; in a continuation, some more. */
static bool is_ours(const struct ew_splice *field, const struct ew_dialect_ask *ask)
{
    static const char *const keys[] = {"model",
                                       "stream",
                                       "stream_options",
                                       "max_tokens", /* from here on: of a continuation */
                                       "max_completion_tokens",
                                       "continue_final_message",
                                       "add_generation_prompt"};
    size_t count = ask->prefill.data ? EW_COUNT(keys) : 3;
    for (size_t i = 0; i < count; i++)
        if (ew_splice_is(field, keys[i]))
            return true;
    return false;
}

static void write_fields(struct ew_read *in, struct ew_jsonw *json,
                         const struct ew_dialect_ask *ask, const json_t *messages)
{
    bool continues = ask->prefill.data != NULL, chat = ask->request->kind == EW_REQUEST_CHAT;
    struct ew_splice splice;
    ew_splice_open(&splice, ask->body);
    while (ew_splice_next(&splice)) {
        if (is_ours(&splice, ask) || (ask->strict && is_extension(&splice)))
            continue;
        if (continues && chat && ew_splice_is(&splice, "messages"))
            put_messages(in, json, splice.value, messages);
        else if (continues && !chat && ew_splice_is(&splice, "prompt"))
            put_prompt(in, json, ask);
        else
            ew_jsonw_put_raw(json, splice.key, splice.value);
    }
    if (splice.broken || splice.closes != '}')
        ew_read_fail(in, NULL, NULL, "The body isn't a JSON object.");
    if (continues && ew_dialect_max_tokens(ask))
        ew_jsonw_put_u64(json, "max_tokens", ew_dialect_max_tokens(ask));
}

static void from_body(struct ew_read *in, struct ew_jsonw *json, const struct ew_dialect_ask *ask,
                      const json_t *messages)
{
    struct ew_splice splice;
    struct ew_str options = {0};
    if (ask->stream) {
        ew_splice_open(&splice, ask->body);
        while (ew_splice_next(&splice))
            if (ew_splice_is(&splice, "stream_options"))
                options = splice.value;
    }
    put_stream(json, ask, options);
    write_fields(in, json, ask, messages);
}

/* ---- from what the request has ---- */

static void put_choice(struct ew_jsonw *json, const struct ew_request *request)
{
    static const char *const names[] = {
        [EW_TOOLS_NONE] = "none", [EW_TOOLS_AUTO] = "auto", [EW_TOOLS_REQUIRED] = "required"};
    ew_jsonw_key(json, "tool_choice");
    if (request->tool_choice != EW_TOOLS_NAMED) {
        ew_jsonw_text(json, names[request->tool_choice]);
        return;
    }
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "type", "function");
    ew_jsonw_key(json, "function");
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "name", request->tool_name);
    ew_jsonw_end(json);
    ew_jsonw_end(json);
}

static void put_format(struct ew_jsonw *json, const struct ew_request *request)
{
    bool schema = request->format == EW_FORMAT_JSON_SCHEMA;
    if (request->format == EW_FORMAT_TEXT)
        return;
    ew_jsonw_key(json, "response_format");
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "type", schema ? "json_schema" : "json_object");
    if (schema) {
        ew_jsonw_key(json, "json_schema");
        ew_jsonw_object(json);
        ew_jsonw_put_text(json, "name", "answer");
        ew_jsonw_key(json, "schema");
        ew_jsonw_raw(json, request->schema);
        ew_jsonw_end(json);
    }
    ew_jsonw_end(json);
}

static void put_unless(struct ew_jsonw *json, const char *key, double value, double usual)
{
    enum { FLOAT_DIGITS = 7 }; /* 0.8f is .8, not .800000012 */
    if (value != usual) {
        ew_jsonw_put_digits(json, key, value, FLOAT_DIGITS);
    }
}

/* What OpenAI's own bounds are is what they get: Ollama has none. */
static double within(double value, double min, double max)
{
    return fmin(fmax(value, min), max);
}

static void put_sampling(struct ew_jsonw *json, const struct ew_dialect_ask *ask)
{
    const struct ew_request *request = ask->request;
    const struct ew_sampling *s = &request->sampling;
    put_unless(json, "temperature", within(s->temperature, 0, 2), 1);
    put_unless(json, "top_p", s->top_p, 1);
    put_unless(json, "presence_penalty", within(s->presence_penalty, -2, 2), 0);
    put_unless(json, "frequency_penalty", within(s->frequency_penalty, -2, 2), 0);
    if (request->has_seed)
        ew_jsonw_put_int(json, "seed", (int64_t)s->seed);
    if (ask->strict)
        return;
    if (s->top_k)
        ew_jsonw_put_int(json, "top_k", s->top_k);
    put_unless(json, "min_p", s->min_p, 0);
    put_unless(json, "repeat_penalty", s->repeat_penalty, 1);
    put_unless(json, "repetition_penalty", s->repeat_penalty, 1); /* vLLM's name for it */
    if (s->repeat_penalty != 1 || s->presence_penalty != 0 || s->frequency_penalty != 0)
        ew_jsonw_put_int(json, "repeat_last_n", s->penalty_last);
}

static void put_bias(struct ew_jsonw *json, const struct ew_sampling *s)
{
    if (!s->bias_count)
        return;
    ew_jsonw_key(json, "logit_bias");
    ew_jsonw_object(json);
    for (size_t i = 0; i < s->bias_count; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", (int)s->bias[i].token);
        ew_jsonw_put_real(json, key, s->bias[i].add);
    }
    ew_jsonw_end(json);
}

static void put_logprobs(struct ew_jsonw *json, const struct ew_request *request)
{
    if (!request->logprobs)
        return;
    if (request->kind == EW_REQUEST_COMPLETION) {
        ew_jsonw_put_int(json, "logprobs", request->top_logprobs);
        return;
    }
    ew_jsonw_put_bool(json, "logprobs", true);
    if (request->top_logprobs)
        ew_jsonw_put_int(json, "top_logprobs", request->top_logprobs);
}

static void put_rest(struct ew_jsonw *json, const struct ew_dialect_ask *ask)
{
    const struct ew_request *request = ask->request;
    uint32_t max_tokens = ew_dialect_max_tokens(ask);
    if (!max_tokens && request->kind == EW_REQUEST_COMPLETION)
        max_tokens = COMPLETION_TOKENS_DEFAULT;
    if (max_tokens)
        ew_jsonw_put_u64(json, "max_tokens", max_tokens);
    if (request->n > 1)
        ew_jsonw_put_u64(json, "n", request->n);
    if (request->stop_count) {
        ew_jsonw_key(json, "stop");
        ew_jsonw_array(json);
        for (size_t i = 0; i < request->stop_count; i++)
            ew_jsonw_text(json, request->stops[i]);
        ew_jsonw_end(json);
    }
    put_sampling(json, ask);
    put_bias(json, &request->sampling);
    put_logprobs(json, request);
    if (request->user)
        ew_jsonw_put_text(json, "user", request->user);
}

static void from_request(struct ew_read *in, struct ew_jsonw *json,
                         const struct ew_dialect_ask *ask, const json_t *messages)
{
    const struct ew_request *request = ask->request;
    put_stream(json, ask, (struct ew_str){0});
    if (request->kind == EW_REQUEST_COMPLETION) {
        put_prompt(in, json, ask);
    } else {
        ew_jsonw_key(json, "messages");
        ew_jsonw_array(json);
        for (size_t i = 0; i < json_array_size(messages); i++)
            write_message(in, json, json_array_get(messages, i));
        ew_jsonw_end(json);
    }
    if (request->tools.data) {
        ew_jsonw_key(json, "tools");
        ew_jsonw_raw(json, request->tools);
        put_choice(json, request);
        if (!request->parallel_tool_calls)
            ew_jsonw_put_bool(json, "parallel_tool_calls", false);
    }
    put_format(json, request);
    put_rest(json, ask);
}

/* ---- the door ---- */

static const char *lacks(const struct ew_request *request)
{
    return request->load_only ? "keep_alive" : NULL;
}

/* What the way that it is to be said can't say. */
static const char *can_not(const struct ew_dialect_ask *ask)
{
    const struct ew_request *request = ask->request;
    bool completion = request->kind == EW_REQUEST_COMPLETION;
    bool one_text = request->prompt_count == 1 && !request->prompts[0].tokens;
    if (lacks(request))
        return lacks(request);
    if (ask->prefill.data && ask->strict)
        return "prefill";
    if (ew_dialect_unlike(ask))
        return ew_dialect_unlike(ask);
    if (completion && !one_text && (ask->prefill.data || !ask->body.data))
        return "prompt";
    return NULL;
}

static int compose(const struct ew_dialect_ask *ask, struct ew_buf *body, struct ew_fault *fault)
{
    *fault = (struct ew_fault){0};
    if (can_not(ask))
        return ew_dialect_refuse(fault, &ew_dialect_openai, can_not(ask));
    struct ew_read in = {.fault = fault};
    struct ew_write text;
    json_t *messages = NULL;
    bool chat = ask->request->kind == EW_REQUEST_CHAT;
    if (chat && (ask->prefill.data || !ask->body.data)) {
        messages = ew_dialect_messages(ask, fault);
        if (!messages)
            return -1;
    }
    ew_write_begin(&text, body);
    ew_jsonw_object(&text.json);
    ew_jsonw_put_text(&text.json, "model", ask->model);
    if (ask->body.data)
        from_body(&in, &text.json, ask, messages);
    else
        from_request(&in, &text.json, ask, messages);
    if (chat && ask->prefill.data)
        put_continuation(&text.json);
    ew_jsonw_end(&text.json);
    json_decref(messages);
    int rc = ew_write_end(&text);
    if (rc && !ew_read_failed(&in))
        return ew_dialect_too_large(fault);
    return ew_write_undo(&text, ew_read_failed(&in) ? -1 : 0);
}

static const struct ew_dialect_own own = {
    .lacks = lacks,
    .whole = ew_openai_answer_whole,
    .event = ew_openai_answer_event,
    .list_key = "data",
    .name_key = "id",
};

const struct ew_dialect ew_dialect_openai = {
    .name = "openai",
    .framing = EW_FRAMING_SSE,
    .auth = EW_AUTH_BEARER,
    .chat_path = "/chat/completions",
    .completion_path = "/completions",
    .models_path = "/models",
    .compose = compose,
    .own = &own,
};
