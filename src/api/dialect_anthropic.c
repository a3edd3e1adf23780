/* dialect_anthropic.c - asking in the words of Anthropic's Messages API.
 *
 * Messages are blocks, of the user and of the assistant in turn: system messages are lifted out of
 * them, results of tools are the user's, neighbours of one role become one message. max_tokens must
 * be said. What changes what an answer is and can't be said makes the dialect unable; seed, user,
 * min_p and repeat_penalty are hints and left out.
 *
 * Anthropic's own models take less and less: since 4.5 temperature or top_p, since 4.6 no words
 * to begin with, since 4.7 no sampling, since 5.5 no forced calls (platform.claude.com, guide to
 * migration and overviews of models, read in 2026). What generation a model is of is in its name;
 * others that speak this API, with models of other names, are taken to know all of it. */
#include "api/dialect_anthropic_int.h"

#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_TOKENS_DEFAULT = 4096, /* every model of it can say so much */
    FLOAT_DIGITS = 7,          /* 0.7f is .7, not .699999988 */
    /* The last generations that take it: 100 for each, and its part. */
    PREFILL_LAST = 405,
    SAMPLING_LAST = 406,
    FORCED_LAST = 504,
};

/* "claude-haiku-4-5-20251001" is 405, "claude-3-opus-20240229" 300, "claude-next" the newest there
 * could be; of another name: 0. */
static int generation_of(const char *model)
{
    const char *at = strstr(model, "claude");
    int parts[2] = {-1, 0};
    if (!at)
        return 0;
    for (int i = 0; i < 2; i++) {
        while (*at && !(at[0] == '-' && isdigit((unsigned char)at[1])) && (i == 0 || *at != '-'))
            at++;
        if (!*at)
            break;
        char *end;
        long number = strtol(at + 1, &end, 10);
        if (end == at + 1 || end - at > 3) /* a date */
            break;
        parts[i] = (int)number;
        at = end;
    }
    return parts[0] < 0 ? INT_MAX : parts[0] * 100 + parts[1];
}

/* ---- messages ---- */

struct turns {
    struct ew_read in;
    struct ew_jsonw *json;
    const char *role; /* of the message that is open; NULL: none is */
};

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* Opens a block in a message of that role. */
static void open_block(struct turns *turns, const char *role, const char *type)
{
    struct ew_jsonw *json = turns->json;
    if (!turns->role || strcmp(turns->role, role) != 0) {
        if (turns->role) {
            ew_jsonw_end(json);
            ew_jsonw_end(json);
        }
        ew_jsonw_object(json);
        ew_jsonw_put_text(json, "role", role);
        ew_jsonw_key(json, "content");
        ew_jsonw_array(json);
        turns->role = role;
    }
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "type", type);
}

/* Empty ones are refused there. */
static void write_text(struct turns *turns, const char *role, const char *text)
{
    if (!*text)
        return;
    open_block(turns, role, "text");
    ew_jsonw_put_text(turns->json, "text", text);
    ew_jsonw_end(turns->json);
}

/* Ids have these characters alone; the same of call and result stay the same. */
static void put_id(struct ew_jsonw *json, const char *key, const char *id)
{
    char clean[256];
    size_t bytes = 0;
    for (; id[bytes] && bytes + 1 < sizeof clean; bytes++) {
        unsigned char c = (unsigned char)id[bytes];
        clean[bytes] = isalnum(c) || c == '_' || c == '-' ? (char)c : '_';
    }
    clean[bytes] = '\0';
    ew_jsonw_put_text(json, key, clean);
}

static void write_call(struct turns *turns, const json_t *call)
{
    json_t *arguments = ew_dialect_arguments(call);
    open_block(turns, "assistant", "tool_use");
    put_id(turns->json, "id", text_of(call, "id"));
    ew_jsonw_put_text(turns->json, "name", text_of(json_object_get(call, "function"), "name"));
    ew_jsonw_key(turns->json, "input");
    ew_read_copy(&turns->in, turns->json, arguments, "arguments");
    ew_jsonw_end(turns->json);
    json_decref(arguments);
}

static void write_result(struct turns *turns, const json_t *message)
{
    open_block(turns, "user", "tool_result");
    put_id(turns->json, "tool_use_id", text_of(message, "tool_call_id"));
    if (*text_of(message, "content"))
        ew_jsonw_put_text(turns->json, "content", text_of(message, "content"));
    ew_jsonw_end(turns->json);
}

static void write_message(struct turns *turns, const json_t *message)
{
    const char *role = text_of(message, "role");
    const json_t *calls = json_object_get(message, "tool_calls");
    if (strcmp(role, "tool") == 0)
        write_result(turns, message);
    else if (strcmp(role, "system") != 0)
        write_text(turns, role, text_of(message, "content"));
    for (size_t i = 0; i < json_array_size(calls); i++)
        write_call(turns, json_array_get(calls, i));
}

static void put_messages(struct ew_jsonw *json, const json_t *messages, struct ew_fault *fault)
{
    struct turns turns = {.in = {.fault = fault}, .json = json};
    ew_jsonw_key(json, "messages");
    ew_jsonw_array(json);
    for (size_t i = 0; i < json_array_size(messages); i++)
        write_message(&turns, json_array_get(messages, i));
    if (turns.role) {
        ew_jsonw_end(json);
        ew_jsonw_end(json);
    }
    ew_jsonw_end(json);
}

static void put_system(struct ew_jsonw *json, const json_t *messages)
{
    struct ew_buf text;
    ew_buf_init(&text, json->out->max);
    for (size_t i = 0; i < json_array_size(messages) && !json->err.code; i++) {
        const json_t *message = json_array_get(messages, i);
        if (strcmp(text_of(message, "role"), "system") != 0 || !*text_of(message, "content"))
            continue;
        if (text.bytes)
            (void)ew_buf_text(&text, "\n\n", &json->err);
        if (!json->err.code)
            (void)ew_buf_text(&text, text_of(message, "content"), &json->err);
    }
    if (text.bytes)
        ew_jsonw_put_text(json, "system", ew_buf_cstr(&text));
    ew_buf_fini(&text);
}

/* ---- tools ---- */

/* The schema must say that it is one of an object. */
static void put_schema(struct ew_read *in, struct ew_jsonw *json, const json_t *schema)
{
    const char *key;
    json_t *value;
    ew_jsonw_key(json, "input_schema");
    ew_jsonw_object(json);
    if (!json_object_get(schema, "type"))
        ew_jsonw_put_text(json, "type", "object");
    json_object_foreach((json_t *)schema, key, value)
    {
        ew_jsonw_key(json, key);
        ew_read_copy(in, json, value, "parameters");
    }
    ew_jsonw_end(json);
}

static void put_choice(struct ew_jsonw *json, const struct ew_request *request)
{
    static const char *const types[] = {[EW_TOOLS_NONE] = "none",
                                        [EW_TOOLS_AUTO] = "auto",
                                        [EW_TOOLS_REQUIRED] = "any",
                                        [EW_TOOLS_NAMED] = "tool"};
    ew_jsonw_key(json, "tool_choice");
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "type", types[request->tool_choice]);
    if (request->tool_choice == EW_TOOLS_NAMED)
        ew_jsonw_put_text(json, "name", request->tool_name);
    if (request->tool_choice != EW_TOOLS_NONE && !request->parallel_tool_calls)
        ew_jsonw_put_bool(json, "disable_parallel_tool_use", true);
    ew_jsonw_end(json);
}

static void put_tools(struct ew_jsonw *json, const struct ew_request *request,
                      struct ew_fault *fault)
{
    struct ew_read in = {.fault = fault};
    if (!request->tools.data)
        return;
    json_t *tools = json_loadb(request->tools.data, request->tools.bytes, 0, NULL);
    ew_jsonw_key(json, "tools");
    ew_jsonw_array(json);
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *function = json_object_get(json_array_get(tools, i), "function");
        ew_jsonw_object(json);
        ew_jsonw_put_text(json, "name", text_of(function, "name"));
        if (*text_of(function, "description"))
            ew_jsonw_put_text(json, "description", text_of(function, "description"));
        put_schema(&in, json, json_object_get(function, "parameters"));
        ew_jsonw_end(json);
    }
    ew_jsonw_end(json);
    put_choice(json, request);
    if (!tools)
        ew_fault_set(fault, 503, NULL, "tools", "There is no memory for the tools.");
    json_decref(tools);
}

/* ---- the rest ---- */

/* Of temperature and top_p one, and the first of them. */
static void put_sampling(struct ew_jsonw *json, const struct ew_dialect_ask *ask)
{
    const struct ew_sampling *s = &ask->request->sampling;
    if (generation_of(ask->model) > SAMPLING_LAST)
        return;
    if (s->temperature != 1)
        ew_jsonw_put_digits(json, "temperature", fmin(fmax(s->temperature, 0), 1), FLOAT_DIGITS);
    else if (s->top_p != 1)
        ew_jsonw_put_digits(json, "top_p", s->top_p, FLOAT_DIGITS);
    if (s->top_k)
        ew_jsonw_put_int(json, "top_k", s->top_k);
}

static void put_stops(struct ew_jsonw *json, const struct ew_request *request)
{
    if (!request->stop_count)
        return;
    ew_jsonw_key(json, "stop_sequences");
    ew_jsonw_array(json);
    for (size_t i = 0; i < request->stop_count; i++)
        ew_jsonw_text(json, request->stops[i]);
    ew_jsonw_end(json);
}

/* ---- what it can't say ---- */

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n\v\f")] == '\0';
}

static const char *lacks(const struct ew_request *request)
{
    const struct ew_sampling *s = &request->sampling;
    if (request->load_only)
        return "keep_alive";
    if (request->kind == EW_REQUEST_COMPLETION)
        return "prompt";
    if (request->n > 1)
        return "n";
    if (request->logprobs)
        return "logprobs";
    if (request->format != EW_FORMAT_TEXT)
        return "response_format";
    if (s->bias_count)
        return "logit_bias";
    if (s->presence_penalty != 0)
        return "presence_penalty";
    if (s->frequency_penalty != 0)
        return "frequency_penalty";
    for (size_t i = 0; i < request->stop_count; i++)
        if (is_blank(request->stops[i]))
            return "stop"; /* refused there */
    return NULL;
}

/* What these messages, or this model, make impossible. */
static const char *can_not(const struct ew_dialect_ask *ask, const json_t *messages)
{
    const struct ew_request *request = ask->request;
    int generation = generation_of(ask->model);
    const char *first = NULL, *last = "", *words = "";
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const json_t *message = json_array_get(messages, i);
        const char *role = text_of(message, "role");
        if (strcmp(role, "tool") == 0 && !*text_of(message, "tool_call_id"))
            return "messages"; /* a result of no call */
        bool calls = json_array_size(json_object_get(message, "tool_calls"));
        bool empty = !calls && strcmp(role, "tool") != 0 && !*text_of(message, "content");
        if (empty || strcmp(role, "system") == 0)
            continue;
        first = first ? first : role;
        last = role;
        words = text_of(message, "content");
    }
    if (!first || strcmp(first, "assistant") == 0)
        return "messages"; /* the user begins */
    bool begun = strcmp(last, "assistant") == 0;
    size_t bytes = strlen(words);
    if (begun && (generation > PREFILL_LAST || (bytes && isspace((unsigned char)words[bytes - 1]))))
        return ask->prefill.data ? "prefill" : "messages";
    bool forced =
        request->tool_choice == EW_TOOLS_REQUIRED || request->tool_choice == EW_TOOLS_NAMED;
    return forced && generation > FORCED_LAST ? "tool_choice" : NULL;
}

/* ---- the door ---- */

static int write_all(const struct ew_dialect_ask *ask, const json_t *messages, struct ew_buf *body,
                     struct ew_fault *fault)
{
    const struct ew_request *request = ask->request;
    uint32_t max_tokens = ew_dialect_max_tokens(ask);
    struct ew_write text;
    struct ew_jsonw *json = &text.json;
    ew_write_begin(&text, body);
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "model", ask->model);
    ew_jsonw_put_u64(json, "max_tokens", max_tokens ? max_tokens : MAX_TOKENS_DEFAULT);
    if (ask->stream)
        ew_jsonw_put_bool(json, "stream", true);
    put_system(json, messages);
    put_messages(json, messages, fault);
    put_tools(json, request, fault);
    put_stops(json, request);
    put_sampling(json, ask);
    ew_jsonw_end(json);
    int rc = ew_write_end(&text);
    if (rc && !fault->status)
        return ew_dialect_too_large(fault);
    return ew_write_undo(&text, fault->status ? -1 : 0);
}

static int compose(const struct ew_dialect_ask *ask, struct ew_buf *body, struct ew_fault *fault)
{
    const char *lack = lacks(ask->request);
    *fault = (struct ew_fault){0};
    if (!lack)
        lack = ew_dialect_unlike(ask);
    if (lack)
        return ew_dialect_refuse(fault, &ew_dialect_anthropic, lack);
    json_t *messages = ew_dialect_messages(ask, fault);
    if (!messages)
        return -1;
    lack = can_not(ask, messages);
    int rc = lack ? ew_dialect_refuse(fault, &ew_dialect_anthropic, lack)
                  : write_all(ask, messages, body, fault);
    json_decref(messages);
    return rc;
}

static const struct ew_dialect_own own = {
    .lacks = lacks,
    .whole = ew_anthropic_answer_whole,
    .event = ew_anthropic_answer_event,
    .list_key = "data",
    .name_key = "id",
};

const struct ew_dialect ew_dialect_anthropic = {
    .name = "anthropic",
    .framing = EW_FRAMING_SSE,
    .auth = EW_AUTH_X_API_KEY,
    .chat_path = "/messages",
    .models_path = "/models?limit=1000", /* the most; 20 without it */
    .version_header = "anthropic-version",
    .version = "2023-06-01",
    .compose = compose,
    .own = &own,
};
