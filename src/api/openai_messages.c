/* openai_messages.c - the messages of a chat, made into what a model's template reads.
 *
 * Contents become strings (parts of text are joined by a newline, as peers do), "developer" becomes
 * "system" and "function" becomes "tool", which is what templates know. The arguments of earlier
 * calls come as a string with JSON in it; templates write them with tojson, so where the string is
 * an object, the object is passed on: a string would be quoted twice. */
#include "api/openai_int.h"

#include <string.h>

static const char roles[] = "'system', 'assistant', 'user', 'function', 'tool', and 'developer'";

const char *ew_openai_role_ours(struct ew_str theirs)
{
    static const struct {
        const char *theirs, *ours;
    } names[] = {
        {"user", "user"},        {"assistant", "assistant"}, {"system", "system"},
        {"developer", "system"}, {"tool", "tool"},           {"function", "tool"},
    };
    for (size_t i = 0; i < EW_COUNT(names); i++)
        if (ew_str_is(theirs, names[i].theirs))
            return names[i].ours;
    return NULL;
}

const char *ew_openai_role(struct ew_read *in, const json_t *message, const char *where)
{
    const char *role = NULL;
    if (ew_read_need(in, message, where, "role"))
        role = ew_read_text(in, message, where, "role");
    if (!role)
        return NULL;
    const char *ours = ew_openai_role_ours((struct ew_str){role, strlen(role)});
    char path[EW_READ_PATH_BYTES];
    ew_read_path(path, where, "role");
    if (!ours)
        ew_read_wrong_value(in, path, role, roles);
    return ours;
}

/* The text of one part of a content, "" with a fault. */
static const char *part_text(struct ew_read *in, const json_t *part, const char *where)
{
    if (!ew_read_is_object(in, part, where) || !ew_read_need(in, part, where, "type"))
        return "";
    const char *type = ew_read_text(in, part, where, "type");
    if (!type)
        return "";
    bool refusal = strcmp(type, "refusal") == 0;
    if (!refusal && strcmp(type, "text") != 0) {
        ew_read_fail(in, "unsupported_value", where,
                     "Invalid content type: '%s' has the type '%.32s', but the models here read "
                     "text only.",
                     where, type);
        return "";
    }
    const char *key = refusal ? "refusal" : "text";
    if (!ew_read_need(in, part, where, key))
        return "";
    const char *text = ew_read_text(in, part, where, key);
    return text ? text : "";
}

static void write_parts(struct ew_read *in, struct ew_jsonw *json, const json_t *parts,
                        const char *where)
{
    struct ew_buf joined;
    int rc = 0;
    ew_buf_init(&joined, in->text_bytes_max);
    for (size_t i = 0; i < json_array_size(parts) && !ew_read_failed(in); i++) {
        char path[EW_READ_PATH_BYTES];
        snprintf(path, sizeof path, "%.60s[%zu]", where, i);
        if (i)
            rc |= ew_buf_text(&joined, "\n", NULL);
        rc |= ew_buf_text(&joined, part_text(in, json_array_get(parts, i), path), NULL);
    }
    ew_jsonw_str(json, (struct ew_str){ew_buf_cstr(&joined), joined.bytes});
    if (rc && !ew_read_failed(in))
        ew_fault_set(in->fault, 503, NULL, where, "There is no memory for '%s'.", where);
    ew_buf_fini(&joined);
}

enum content_need { CONTENT_NEEDED, CONTENT_OPTIONAL };

static void write_content(struct ew_read *in, struct ew_jsonw *json, const json_t *message,
                          const char *where, enum content_need need)
{
    const json_t *content = ew_read_get(in, message, "content");
    char path[EW_READ_PATH_BYTES];
    ew_read_path(path, where, "content");
    ew_jsonw_key(json, "content");
    if (json_is_array(content)) {
        write_parts(in, json, content, path);
        return;
    }
    if (json_is_string(content)) {
        ew_jsonw_text(json, ew_read_string(in, content, path));
        return;
    }
    ew_jsonw_null(json);
    if (content)
        ew_read_wrong_type(in, path, "one of a string or array of objects", content);
    else if (need == CONTENT_NEEDED && json_object_get(message, "content"))
        ew_read_fail(in, "invalid_type", path,
                     "Invalid value for '%s': expected a string, got null.", path);
    else if (need == CONTENT_NEEDED)
        ew_read_fail(in, "missing_required_parameter", path, "Missing required parameter: '%s'.",
                     path);
}

static void write_arguments(struct ew_read *in, struct ew_jsonw *json, const char *text,
                            const char *where)
{
    json_t *value = text ? json_loads(text, JSON_ALLOW_NUL, NULL) : NULL;
    ew_jsonw_key(json, "arguments");
    if (json_is_object(value))
        ew_read_copy(in, json, value, where);
    else
        ew_jsonw_text(json, text ? text : "");
    json_decref(value);
}

static void write_call(struct ew_read *in, struct ew_jsonw *json, const json_t *call,
                       const char *where)
{
    const json_t *function = NULL;
    const char *id = NULL, *name = NULL, *arguments = NULL;
    char path[EW_READ_PATH_BYTES];
    ew_read_path(path, where, "function");
    if (ew_read_is_object(in, call, where) && ew_read_need(in, call, where, "id") &&
        ew_read_need(in, call, where, "function")) {
        id = ew_read_text(in, call, where, "id");
        function = ew_read_object(in, call, where, "function");
    }
    if (function && ew_read_need(in, function, path, "name") &&
        ew_read_need(in, function, path, "arguments")) {
        name = ew_read_text(in, function, path, "name");
        arguments = ew_read_text(in, function, path, "arguments");
    }
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "id", id);
    ew_jsonw_put_text(json, "type", "function");
    ew_jsonw_key(json, "function");
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "name", name);
    ew_read_path(path, where, "function.arguments");
    write_arguments(in, json, arguments, path);
    ew_jsonw_end(json);
    ew_jsonw_end(json);
}

static void write_calls(struct ew_read *in, struct ew_jsonw *json, const json_t *calls,
                        const char *where)
{
    if (!calls)
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

static void write_message(struct ew_read *in, struct ew_jsonw *json, const json_t *message,
                          const char *where)
{
    if (!ew_read_is_object(in, message, where))
        return;
    const char *role = ew_openai_role(in, message, where);
    const json_t *calls = NULL;
    if (!role)
        return;
    bool assistant = strcmp(role, "assistant") == 0, tool = strcmp(role, "tool") == 0;
    if (assistant)
        calls = ew_read_array(in, message, where, "tool_calls", EW_REQUEST_TOOLS_MAX);
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "role", role);
    write_content(in, json, message, where, calls ? CONTENT_OPTIONAL : CONTENT_NEEDED);
    const char *name = ew_read_text(in, message, where, "name");
    if (name)
        ew_jsonw_put_text(json, "name", name);
    write_calls(in, json, calls, where);
    bool by_id = tool && !ew_read_failed(in) &&
                 strcmp(json_string_value(json_object_get(message, "role")), "tool") == 0;
    if (by_id && ew_read_need(in, message, where, "tool_call_id"))
        ew_jsonw_put_text(json, "tool_call_id", ew_read_text(in, message, where, "tool_call_id"));
    else if (tool && !by_id) /* the old kind: told apart by the function's name */
        ew_read_need(in, message, where, "name");
    ew_jsonw_end(json);
}

void ew_openai_messages_read(struct ew_read *in, const json_t *root,
                             struct ew_openai_messages *plain)
{
    if (plain->aside.taken) {
        if (!ew_read_failed(in))
            in->request->messages = ew_read_keep(in, &plain->out);
        return;
    }
    if (!ew_read_need(in, root, "", "messages"))
        return;
    const json_t *messages = ew_read_array(in, root, "", "messages", EW_REQUEST_MESSAGES_MAX);
    if (!messages)
        return;
    if (json_array_size(messages) == 0)
        ew_read_fail(in, "empty_array", "messages",
                     "Invalid 'messages': empty array. Expected an array with minimum length 1, "
                     "but got an empty array instead.");
    struct ew_buf out;
    struct ew_jsonw json;
    ew_buf_init(&out, in->text_bytes_max);
    ew_jsonw_init(&json, &out, EW_JSONW_COMPACT);
    ew_jsonw_array(&json);
    for (size_t i = 0; i < json_array_size(messages) && !ew_read_failed(in); i++) {
        char where[32];
        size_t bytes = ew_str_copy(where, sizeof where, "messages[");
        bytes += ew_str_u64(where + bytes, sizeof where - bytes, i);
        (void)ew_str_copy(where + bytes, sizeof where - bytes, "]");
        write_message(in, &json, json_array_get(messages, i), where);
    }
    ew_jsonw_end(&json);
    if (ew_jsonw_finish(&json, NULL) && !ew_read_failed(in))
        ew_fault_set(in->fault, 503, NULL, "messages", "There is no memory for 'messages'.");
    if (ew_read_failed(in))
        ew_buf_fini(&out);
    else
        in->request->messages = ew_read_keep(in, &out);
}
