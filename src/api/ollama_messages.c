/* ollama_messages.c - Ollama's messages, made into what a model's template reads.
 *
 * They are OpenAI's but for this: contents are strings, the arguments of earlier calls are objects,
 * calls need no id, and a result says the name of its tool ("tool_name"). */
#include "api/ollama_int.h"
#include "api/openai_int.h"

#include <string.h>

static const char no_images[] = "the models here read text only";

static void write_call(struct ew_read *in, struct ew_jsonw *json, const json_t *call,
                       const char *where)
{
    char path[EW_READ_PATH_BYTES];
    const json_t *function = NULL, *arguments = NULL;
    const char *name = NULL, *id = NULL;
    ew_read_path(path, where, "function");
    if (ew_read_is_object(in, call, where) && ew_read_need(in, call, where, "function")) {
        id = ew_read_text(in, call, where, "id");
        function = ew_read_object(in, call, where, "function");
    }
    if (function && ew_read_need(in, function, path, "name")) {
        name = ew_read_text(in, function, path, "name");
        arguments = ew_read_object(in, function, path, "arguments");
    }
    ew_jsonw_object(json);
    if (id)
        ew_jsonw_put_text(json, "id", id);
    ew_jsonw_put_text(json, "type", "function");
    ew_jsonw_key(json, "function");
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "name", name);
    ew_jsonw_key(json, "arguments");
    ew_read_path(path, where, "function.arguments");
    if (arguments) {
        ew_read_copy(in, json, arguments, path);
    } else {
        ew_jsonw_object(json);
        ew_jsonw_end(json);
    }
    ew_jsonw_end(json);
    ew_jsonw_end(json);
}

static void write_calls(struct ew_read *in, struct ew_jsonw *json, const json_t *message,
                        const char *where)
{
    const json_t *calls = ew_read_array(in, message, where, "tool_calls", EW_REQUEST_TOOLS_MAX);
    if (!json_array_size(calls))
        return;
    ew_jsonw_key(json, "tool_calls");
    ew_jsonw_array(json);
    for (size_t i = 0; i < json_array_size(calls) && !ew_read_failed(in); i++) {
        char path[EW_READ_PATH_BYTES];
        snprintf(path, sizeof path, "%.40s.tool_calls[%zu]", where, i);
        write_call(in, json, json_array_get(calls, i), path);
    }
    ew_jsonw_end(json);
}

static void write_plain(struct ew_jsonw *json, const char *role, const char *content)
{
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "role", role);
    ew_jsonw_put_text(json, "content", content);
}

static void write_message(struct ew_read *in, struct ew_jsonw *json, const json_t *message,
                          const char *where)
{
    if (!ew_read_is_object(in, message, where))
        return;
    const char *role = ew_openai_role(in, message, where);
    const char *content = ew_read_text(in, message, where, "content");
    const char *name = ew_read_text(in, message, where, "tool_name");
    const char *id = ew_read_text(in, message, where, "tool_call_id");
    ew_ollama_refuse(in, message, where, "images", no_images);
    if (!role)
        return;
    write_plain(json, role, content ? content : "");
    if (strcmp(role, "assistant") == 0)
        write_calls(in, json, message, where);
    if (name)
        ew_jsonw_put_text(json, "name", name);
    if (id)
        ew_jsonw_put_text(json, "tool_call_id", id);
    ew_jsonw_end(json);
}

struct text {
    struct ew_buf out;
    struct ew_jsonw json;
};

static void begin(struct ew_read *in, struct text *text)
{
    ew_buf_init(&text->out, in->text_bytes_max);
    ew_jsonw_init(&text->json, &text->out, EW_JSONW_COMPACT);
    ew_jsonw_array(&text->json);
}

static void keep(struct ew_read *in, struct text *text)
{
    ew_jsonw_end(&text->json);
    if (ew_jsonw_finish(&text->json, NULL) && !ew_read_failed(in))
        ew_fault_set(in->fault, 503, NULL, "messages", "There is no memory for the messages.");
    if (ew_read_failed(in))
        ew_buf_fini(&text->out);
    else
        in->request->messages = ew_read_keep(in, &text->out);
}

void ew_ollama_messages_read(struct ew_read *in, const json_t *root)
{
    const json_t *messages = ew_read_array(in, root, "", "messages", EW_REQUEST_MESSAGES_MAX);
    if (!json_array_size(messages)) {
        ew_ollama_load_only(in);
        return;
    }
    struct text text;
    begin(in, &text);
    for (size_t i = 0; i < json_array_size(messages) && !ew_read_failed(in); i++) {
        char where[32];
        snprintf(where, sizeof where, "messages[%zu]", i);
        write_message(in, &text.json, json_array_get(messages, i), where);
    }
    keep(in, &text);
}

void ew_ollama_prompt_messages(struct ew_read *in, const char *system, const char *prompt)
{
    struct text text;
    begin(in, &text);
    if (system && *system) {
        write_plain(&text.json, "system", system);
        ew_jsonw_end(&text.json);
    }
    write_plain(&text.json, "user", prompt);
    ew_jsonw_end(&text.json);
    keep(in, &text);
}
