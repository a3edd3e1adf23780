/* dialect_ollama.c - asking in Ollama's words, and reading its lines: Ollama, and what is
 * compatible with it, edgewise included.
 *
 * Its defaults aren't OpenAI's (temperature .8, top_k 40, a penalty on repeats), and a model's own
 * file may change them again: so every option is said, also where it is at a client's default. Raw
 * prompts go to /api/generate, chats to /api/chat; a last message of the assistant's is continued.
 *
 * Calls come whole, each with an object for arguments, often without an id. That a tool was called
 * is told by its being there: the reason is "stop". */
#include "api/dialect_int.h"
#include "api/dialect_openai_int.h"

#include <math.h>
#include <string.h>

enum { FLOAT_DIGITS = 7 }; /* 0.8f is .8, not .800000012 */

/* ---- asking ---- */

static void write_calls(struct ew_read *in, struct ew_jsonw *json, const json_t *calls)
{
    ew_jsonw_key(json, "tool_calls");
    ew_jsonw_array(json);
    for (size_t i = 0; i < json_array_size(calls); i++) {
        const json_t *call = json_array_get(calls, i);
        const json_t *function = json_object_get(call, "function");
        json_t *arguments = ew_dialect_arguments(call);
        ew_jsonw_object(json);
        ew_jsonw_put_text(json, "id", json_string_value(json_object_get(call, "id")));
        ew_jsonw_key(json, "function");
        ew_jsonw_object(json);
        ew_jsonw_put_text(json, "name", json_string_value(json_object_get(function, "name")));
        ew_jsonw_key(json, "arguments");
        ew_read_copy(in, json, arguments, "arguments");
        ew_jsonw_end(json);
        ew_jsonw_end(json);
        json_decref(arguments);
    }
    ew_jsonw_end(json);
}

static void write_message(struct ew_read *in, struct ew_jsonw *json, const json_t *message)
{
    const char *content = json_string_value(json_object_get(message, "content"));
    const json_t *calls = json_object_get(message, "tool_calls");
    const char *role = json_string_value(json_object_get(message, "role"));
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "role", role);
    ew_jsonw_put_text(json, "content", content ? content : "");
    if (json_array_size(calls))
        write_calls(in, json, calls);
    if (role && strcmp(role, "tool") == 0) {
        const json_t *name = json_object_get(message, "name");
        const json_t *id = json_object_get(message, "tool_call_id");
        if (name)
            ew_jsonw_put_text(json, "tool_name", json_string_value(name));
        if (id)
            ew_jsonw_put_text(json, "tool_call_id", json_string_value(id));
    }
    ew_jsonw_end(json);
}

static void write_messages(struct ew_read *in, struct ew_jsonw *json,
                           const struct ew_dialect_ask *ask)
{
    json_t *messages = ew_dialect_messages(ask, in->fault);
    ew_jsonw_key(json, "messages");
    ew_jsonw_array(json);
    for (size_t i = 0; i < json_array_size(messages); i++)
        write_message(in, json, json_array_get(messages, i));
    ew_jsonw_end(json);
    json_decref(messages);
}

static void write_prompt(struct ew_jsonw *json, const struct ew_dialect_ask *ask)
{
    const struct ew_request *request = ask->request;
    struct ew_buf text;
    ew_jsonw_put_bool(json, "raw", true);
    ew_buf_init(&text, json->out->max);
    if (request->prompt_count && !json->err.code)
        (void)ew_buf_add(&text, request->prompts[0].text.data, request->prompts[0].text.bytes,
                         &json->err);
    if (ask->prefill.data && !json->err.code)
        (void)ew_buf_add(&text, ask->prefill.data, ask->prefill.bytes, &json->err);
    ew_jsonw_key(json, "prompt");
    ew_jsonw_str(json, (struct ew_str){ew_buf_cstr(&text), text.bytes});
    ew_buf_fini(&text);
}

static void write_options(struct ew_jsonw *json, const struct ew_dialect_ask *ask)
{
    const struct ew_request *request = ask->request;
    const struct ew_sampling *s = &request->sampling;
    uint32_t max_tokens = ew_dialect_max_tokens(ask);
    ew_jsonw_key(json, "options");
    ew_jsonw_object(json);
    ew_jsonw_put_int(json, "num_predict", max_tokens ? (int64_t)max_tokens : -1);
    ew_jsonw_put_digits(json, "temperature", s->temperature, FLOAT_DIGITS);
    ew_jsonw_put_int(json, "top_k", s->top_k);
    ew_jsonw_put_digits(json, "top_p", s->top_p, FLOAT_DIGITS);
    ew_jsonw_put_digits(json, "min_p", s->min_p, FLOAT_DIGITS);
    ew_jsonw_put_digits(json, "repeat_penalty", s->repeat_penalty, FLOAT_DIGITS);
    ew_jsonw_put_int(json, "repeat_last_n", s->penalty_last);
    ew_jsonw_put_digits(json, "presence_penalty", s->presence_penalty, FLOAT_DIGITS);
    ew_jsonw_put_digits(json, "frequency_penalty", s->frequency_penalty, FLOAT_DIGITS);
    if (request->has_seed)
        ew_jsonw_put_int(json, "seed", (int64_t)s->seed);
    if (request->stop_count) {
        ew_jsonw_key(json, "stop");
        ew_jsonw_array(json);
        for (size_t i = 0; i < request->stop_count; i++)
            ew_jsonw_text(json, request->stops[i]);
        ew_jsonw_end(json);
    }
    ew_jsonw_end(json);
}

static void write_format(struct ew_jsonw *json, const struct ew_request *request)
{
    if (request->format == EW_FORMAT_JSON_OBJECT)
        ew_jsonw_put_text(json, "format", "json");
    if (request->format == EW_FORMAT_JSON_SCHEMA) {
        ew_jsonw_key(json, "format");
        ew_jsonw_raw(json, request->schema);
    }
}

static void write_logprobs(struct ew_jsonw *json, const struct ew_request *request)
{
    if (!request->logprobs)
        return;
    ew_jsonw_put_bool(json, "logprobs", true);
    if (request->top_logprobs)
        ew_jsonw_put_int(json, "top_logprobs", request->top_logprobs);
}

static const char *lacks(const struct ew_request *request)
{
    bool tools = request->tools.data != NULL;
    bool text = request->prompt_count == 1 && !request->prompts[0].tokens;
    if (request->n > 1)
        return "n";
    if (request->kind == EW_REQUEST_COMPLETION && !request->load_only && !text)
        return "prompt";
    if (request->echo)
        return "echo";
    if (request->sampling.bias_count)
        return "logit_bias";
    if (tools &&
        (request->tool_choice == EW_TOOLS_REQUIRED || request->tool_choice == EW_TOOLS_NAMED))
        return "tool_choice";
    return tools && request->tool_choice != EW_TOOLS_NONE && !request->parallel_tool_calls
               ? "parallel_tool_calls"
               : NULL;
}

static int compose(const struct ew_dialect_ask *ask, struct ew_buf *body, struct ew_fault *fault)
{
    const struct ew_request *request = ask->request;
    const char *lack = lacks(request) ? lacks(request) : ew_dialect_unlike(ask);
    *fault = (struct ew_fault){0};
    if (lack)
        return ew_dialect_refuse(fault, &ew_dialect_ollama, lack);
    struct ew_read in = {.fault = fault};
    struct ew_write text;
    ew_write_begin(&text, body);
    ew_jsonw_object(&text.json);
    ew_jsonw_put_text(&text.json, "model", ask->model);
    ew_jsonw_put_bool(&text.json, "stream", ask->stream);
    if (request->kind == EW_REQUEST_COMPLETION)
        write_prompt(&text.json, ask);
    else
        write_messages(&in, &text.json, ask);
    /* The choice "none" can't be said but by not telling of them. */
    if (request->tools.data && request->tool_choice != EW_TOOLS_NONE) {
        ew_jsonw_key(&text.json, "tools");
        ew_jsonw_raw(&text.json, request->tools);
    }
    write_format(&text.json, request);
    write_logprobs(&text.json, request);
    if (!isnan(request->keep_alive_s))
        ew_jsonw_put_real(&text.json, "keep_alive", request->keep_alive_s);
    write_options(&text.json, ask);
    ew_jsonw_end(&text.json);
    int rc = ew_write_end(&text);
    if (rc && !ew_read_failed(&in))
        return ew_dialect_too_large(fault);
    return ew_write_undo(&text, ew_read_failed(&in) ? -1 : 0);
}

/* ---- reading ---- */

static void add_arguments(struct ew_answer *answer, struct ew_answer_call *call,
                          const json_t *arguments)
{
    if (json_is_string(arguments)) /* as OpenAI's; whether it is an object is seen at the end */
        ew_answer_call_add(
            answer, &call->arguments,
            (struct ew_str){json_string_value(arguments), json_string_length(arguments)});
    else if (arguments && !json_is_null(arguments))
        ew_answer_call_object(answer, call, arguments);
}

static void read_call(struct ew_answer *answer, const json_t *told)
{
    const json_t *function = ew_answer_object(answer, told, "function");
    const char *name = ew_answer_word(answer, function, "name");
    struct ew_str id = ew_answer_text(answer, told, "id");
    /* Each is a new one, whatever index it has. */
    struct ew_answer_call *call = ew_answer_call(answer, 0, answer->choices[0].call_count, id);
    ew_answer_stir(answer);
    if (!call)
        return;
    if (name)
        ew_answer_call_add(answer, &call->name, (struct ew_str){name, strlen(name)});
    add_arguments(answer, call, json_object_get(function, "arguments"));
}

static void read_message(struct ew_answer *answer, const json_t *message)
{
    const json_t *calls = ew_answer_array(answer, message, "tool_calls");
    if (ew_answer_text(answer, message, "thinking").bytes)
        ew_answer_stir(answer);
    ew_answer_say(answer, 0, ew_answer_text(answer, message, "content"));
    for (size_t i = 0; i < json_array_size(calls); i++)
        read_call(answer, json_array_get(calls, i));
}

static void read_logprobs(struct ew_answer *answer, const json_t *root)
{
    const json_t *tokens = NULL;
    if (answer->request->logprobs)
        tokens = ew_answer_array(answer, root, "logprobs");
    struct ew_delta *delta = json_array_size(tokens) ? ew_answer_delta(answer, 0) : NULL;
    if (delta)
        ew_openai_answer_tokens(answer, tokens, delta);
}

static enum ew_finish finish_of(const struct ew_answer *answer, const char *reason)
{
    if (answer->choices[0].call_count)
        return EW_FINISH_TOOL_CALLS;
    return reason && strcmp(reason, "length") == 0 ? EW_FINISH_LENGTH : EW_FINISH_STOP;
}

/* The last line: why, and what it took. An edgewise device tells more. */
static void read_done(struct ew_answer *answer, const json_t *root)
{
    struct ew_answer_news *news = &answer->news;
    uint32_t prompt, output;
    ew_answer_finish(answer, 0, finish_of(answer, ew_answer_word(answer, root, "done_reason")));
    bool known = ew_answer_count(answer, root, "prompt_eval_count", &prompt);
    known = ew_answer_count(answer, root, "eval_count", &output) && known;
    ew_answer_extra(answer, root);
    if (!known || ew_answer_failed(answer))
        return;
    news->has_usage = true;
    news->prompt_tokens = prompt;
    news->output_tokens = output;
}

static void read_line(struct ew_answer *answer)
{
    const json_t *root = ew_answer_load(answer), *done = json_object_get(root, "done");
    if (!root || ew_answer_refused(answer, root))
        return;
    bool raw = answer->request->kind == EW_REQUEST_COMPLETION;
    const json_t *message = ew_answer_object(answer, root, "message");
    struct ew_str text = ew_answer_text(answer, root, "response");
    if (raw ? !text.data : !message)
        ew_answer_fail(answer, "the answer has no '%s'", raw ? "response" : "message");
    else if (done && !json_is_boolean(done))
        ew_answer_fail(answer, "'done' of the answer is %s, not a boolean",
                       ew_read_type_words(done));
    if (raw)
        ew_answer_say(answer, 0, text);
    else
        read_message(answer, message);
    read_logprobs(answer, root);
    if (json_is_true(done))
        read_done(answer, root);
}

static void read_event(struct ew_answer *answer, const char *name)
{
    (void)name; /* lines have none */
    read_line(answer);
    answer->news.ended = json_is_true(json_object_get(answer->root, "done"));
}

static const struct ew_dialect_own own = {
    .lacks = lacks,
    .whole = read_line,
    .event = read_event,
    .list_key = "models",
    .name_key = "name",
};

const struct ew_dialect ew_dialect_ollama = {
    .name = "ollama",
    .framing = EW_FRAMING_LINES,
    .auth = EW_AUTH_BEARER,
    .chat_path = "/api/chat",
    .completion_path = "/api/generate",
    .models_path = "/api/tags",
    .compose = compose,
    .own = &own,
};
