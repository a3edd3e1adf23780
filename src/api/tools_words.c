/* tools_words.c - tools to a schema, and to words.
 *
 * The schema of a forced call is {"name": the tool's, "arguments": its parameters}, one for each
 * tool that may be called. "$ref" in parameters is meant from their own root: what "$defs" has
 * moves to the root of all, under a name with the tool's in front, and references follow.
 *
 * In words, calls and results are written as Hermes taught it, which small models were trained on
 * most; results become the user's words, since templates without tools seldom know the role. */
#include "api/tools.h"

#include "api/read.h"

#include <stdio.h>
#include <string.h>

#include "flow/json_leaf.h"

enum { SPREAD = EW_READ_TEXT_SPREAD, EXTRA = 1 << 16, REF_BYTES_MAX = 300 };

static const char before_call[] = "<tool_call>\n", after_call[] = "\n</tool_call>";

/* The function of the tool at `i`. The request's tools were checked when they were read. */
static const json_t *function_at(const json_t *tools, size_t i)
{
    return json_object_get(json_array_get(tools, i), "function");
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static int load(struct ew_str text, json_t **out, struct ew_err *err)
{
    *out = json_loadb(text.data ? text.data : "[]", text.data ? text.bytes : 2, 0, NULL);
    if (!json_is_array(*out))
        return ew_fail(err, EW_EINVAL, "messages and tools must be arrays of JSON");
    return 0;
}

/* ---- the schema ---- */

static bool is_definitions(const char *key)
{
    return strcmp(key, "$defs") == 0 || strcmp(key, "definitions") == 0;
}

/* "#/$defs/x" of the tool f -> "#/$defs/f.x"; any other reference, and without a
 * tool any at all, stays as it is. */
static void write_reference(struct ew_jsonw *json, const char *text, const char *tool)
{
    static const char *const starts[] = {"#/$defs/", "#/definitions/"};
    for (size_t i = 0; tool && i < EW_COUNT(starts); i++)
        if (strncmp(text, starts[i], strlen(starts[i])) == 0) {
            char moved[REF_BYTES_MAX];
            snprintf(moved, sizeof moved, "#/$defs/%s.%s", tool, text + strlen(starts[i]));
            ew_jsonw_text(json, moved);
            return;
        }
    ew_jsonw_text(json, text);
}

enum depth { DEPTH_ROOT, DEPTH_INNER };

static void write_schema(struct ew_jsonw *json, const json_t *value, const char *tool,
                         enum depth depth)
{
    if (json_is_object(value)) {
        const char *key;
        json_t *item;
        ew_jsonw_object(json);
        json_object_foreach((json_t *)value, key, item)
        {
            if (depth == DEPTH_ROOT && is_definitions(key))
                continue;
            ew_jsonw_key(json, key);
            if (strcmp(key, "$ref") == 0 && json_is_string(item))
                write_reference(json, json_string_value(item), tool);
            else
                write_schema(json, item, tool, DEPTH_INNER);
        }
        ew_jsonw_end(json);
    } else if (json_is_array(value)) {
        ew_jsonw_array(json);
        for (size_t i = 0; i < json_array_size(value); i++)
            write_schema(json, json_array_get(value, i), tool, DEPTH_INNER);
        ew_jsonw_end(json);
    } else {
        ew_json_leaf(json, value);
    }
}

static void put_raw(struct ew_jsonw *json, const char *key, const char *value)
{
    ew_jsonw_key(json, key);
    ew_jsonw_raw(json, (struct ew_str){value, strlen(value)});
}

static void write_call_schema(struct ew_jsonw *json, enum ew_tools_hold hold,
                              const json_t *function)
{
    const char *name = text_of(function, "name");
    const json_t *parameters = json_object_get(function, "parameters");
    ew_jsonw_put_text(json, "type", "object");
    ew_jsonw_key(json, "properties");
    ew_jsonw_object(json);
    ew_jsonw_key(json, "name");
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "const", name);
    ew_jsonw_end(json);
    if (hold == EW_TOOLS_HOLD_NAMES) {
        put_raw(json, "arguments", "{\"type\":\"object\"}");
    } else if (json_object_size(parameters)) {
        ew_jsonw_key(json, "arguments");
        write_schema(json, parameters, name, DEPTH_ROOT);
    } else { /* OpenAI: a function without parameters has an empty list of them */
        put_raw(json, "arguments",
                "{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}");
    }
    ew_jsonw_end(json);
    put_raw(json, "required", "[\"name\",\"arguments\"]");
    ew_jsonw_put_bool(json, "additionalProperties", false);
}

static bool may_call(const struct ew_request *request, const json_t *function)
{
    return request->tool_choice != EW_TOOLS_NAMED ||
           strcmp(text_of(function, "name"), request->tool_name) == 0;
}

static void write_definitions(struct ew_jsonw *json, const json_t *function)
{
    static const char *const holders[] = {"$defs", "definitions"};
    const char *tool = text_of(function, "name"), *key;
    json_t *item;
    for (size_t i = 0; i < EW_COUNT(holders); i++)
        json_object_foreach(json_object_get(json_object_get(function, "parameters"), holders[i]),
                            key, item)
        {
            char moved[REF_BYTES_MAX];
            snprintf(moved, sizeof moved, "%s.%s", tool, key);
            ew_jsonw_key(json, moved);
            write_schema(json, item, tool, DEPTH_INNER);
        }
}

static bool has_definitions(const struct ew_request *request, const json_t *tools)
{
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *parameters = json_object_get(function_at(tools, i), "parameters");
        if (may_call(request, function_at(tools, i)) &&
            (json_object_get(parameters, "$defs") || json_object_get(parameters, "definitions")))
            return true;
    }
    return false;
}

static void write_root(struct ew_jsonw *json, const struct ew_request *request,
                       enum ew_tools_hold hold, const json_t *tools, size_t count)
{
    ew_jsonw_object(json);
    if (count > 1) {
        ew_jsonw_key(json, "anyOf");
        ew_jsonw_array(json);
    }
    for (size_t i = 0; i < json_array_size(tools); i++) {
        if (!may_call(request, function_at(tools, i)))
            continue;
        if (count > 1)
            ew_jsonw_object(json);
        write_call_schema(json, hold, function_at(tools, i));
        if (count > 1)
            ew_jsonw_end(json);
        if (request->tool_choice == EW_TOOLS_NAMED)
            break; /* the first of that name */
    }
    if (count > 1)
        ew_jsonw_end(json);
    if (hold == EW_TOOLS_HOLD_ARGUMENTS && has_definitions(request, tools)) {
        ew_jsonw_key(json, "$defs");
        ew_jsonw_object(json);
        for (size_t i = 0; i < json_array_size(tools); i++)
            if (may_call(request, function_at(tools, i)))
                write_definitions(json, function_at(tools, i));
        ew_jsonw_end(json);
    }
    ew_jsonw_end(json);
}

int ew_tools_schema(const struct ew_request *request, enum ew_tools_hold hold,
                    struct ew_buf *schema, const char **before, const char **after,
                    struct ew_err *err)
{
    json_t *tools = NULL;
    struct ew_jsonw json;
    int rc = load(request->tools, &tools, err);
    size_t count = 0;
    for (size_t i = 0; !rc && i < json_array_size(tools); i++)
        count += may_call(request, function_at(tools, i));
    if (!rc && count == 0)
        rc = ew_fail(err, EW_ENOTFOUND, "no tool '%s' among the tools",
                     request->tool_name ? request->tool_name : "");
    if (!rc) {
        ew_jsonw_init(&json, schema, EW_JSONW_COMPACT);
        write_root(&json, request, hold, tools, request->tool_choice == EW_TOOLS_NAMED ? 1 : count);
        rc = ew_jsonw_finish(&json, err);
    }
    *before = before_call;
    *after = after_call;
    json_decref(tools);
    return rc;
}

/* ---- in words ---- */

static const char
    words_start[] = "You can call these functions:\n<tools>\n",
    words_end[] = "</tools>\nTo call one, write its name and its arguments as JSON, like this:\n"
                  "<tool_call>\n{\"name\": \"function\", \"arguments\": {\"key\": \"value\"}}"
                  "\n</tool_call>\nThe result is given to you in <tool_response>. If no function "
                  "is needed, answer as usual.";

static int add_json(struct ew_buf *out, const json_t *value, struct ew_err *err)
{
    struct ew_jsonw json;
    ew_jsonw_init(&json, out, EW_JSONW_COMPACT);
    write_schema(&json, value, NULL, DEPTH_INNER);
    return ew_jsonw_finish(&json, err);
}

static int tell_tools(const json_t *tools, struct ew_buf *out, struct ew_err *err)
{
    int rc = ew_buf_text(out, words_start, err);
    for (size_t i = 0; !rc && i < json_array_size(tools); i++)
        rc = add_json(out, function_at(tools, i), err);
    return rc ? rc : ew_buf_text(out, words_end, err);
}

static int tell_calls(const json_t *message, struct ew_buf *out, struct ew_err *err)
{
    const json_t *calls = json_object_get(message, "tool_calls");
    int rc = ew_buf_text(out, text_of(message, "content"), err);
    for (size_t i = 0; !rc && i < json_array_size(calls); i++) {
        const json_t *function = json_object_get(json_array_get(calls, i), "function");
        json_t *call = json_pack("{s:O?, s:O?}", "name", json_object_get(function, "name"),
                                 "arguments", json_object_get(function, "arguments"));
        if (out->bytes)
            rc = ew_buf_text(out, "\n", err);
        if (!rc)
            rc = call ? ew_buf_text(out, before_call, err)
                      : ew_fail(err, EW_ENOMEM, "no memory for a call in words");
        if (!rc)
            rc = add_json(out, call, err);
        if (!rc)
            rc = ew_buf_text(out, after_call + 1, err);
        json_decref(call);
    }
    return rc;
}

static int tell_result(const json_t *message, struct ew_buf *out, struct ew_err *err)
{
    int rc = out->bytes ? ew_buf_text(out, "\n", err) : 0;
    if (!rc)
        rc = ew_buf_text(out, "<tool_response>\n", err);
    if (!rc)
        rc = ew_buf_text(out, text_of(message, "content"), err);
    return rc ? rc : ew_buf_text(out, "\n</tool_response>", err);
}

static void write_message(struct ew_jsonw *json, const char *role, const struct ew_buf *content)
{
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "role", role);
    ew_jsonw_put_text(json, "content", ew_buf_cstr(content));
    ew_jsonw_end(json);
}

/* The message at *at, and with it the results behind it: templates want turns to alternate. */
static int tell_message(const json_t *messages, size_t *at, struct ew_jsonw *json,
                        struct ew_buf *text, struct ew_err *err)
{
    const json_t *message = json_array_get(messages, *at);
    const char *role = text_of(message, "role");
    int rc = 0;
    ew_buf_clear(text);
    ++*at;
    if (strcmp(role, "tool") == 0) {
        rc = tell_result(message, text, err);
        while (!rc && *at < json_array_size(messages) &&
               strcmp(text_of(json_array_get(messages, *at), "role"), "tool") == 0)
            rc = tell_result(json_array_get(messages, (*at)++), text, err);
        role = "user";
    } else {
        rc = tell_calls(message, text, err);
    }
    if (!rc)
        write_message(json, role, text);
    return rc;
}

int ew_tools_in_words(const struct ew_request *request, struct ew_buf *messages, struct ew_err *err)
{
    json_t *list = NULL, *tools = NULL;
    struct ew_buf text;
    struct ew_jsonw json;
    size_t at = 0;
    bool told = request->tools.data && request->tool_choice != EW_TOOLS_NONE;
    ew_buf_init(&text, (request->messages.bytes + request->tools.bytes) * SPREAD + EXTRA);
    int rc = load(request->messages, &list, err);
    if (!rc)
        rc = load(request->tools, &tools, err);
    if (rc)
        goto out;
    ew_jsonw_init(&json, messages, EW_JSONW_COMPACT);
    ew_jsonw_array(&json);
    const json_t *first = json_array_get(list, 0);
    if (told) { /* the client's own system message first, in the same message */
        bool system = strcmp(text_of(first, "role"), "system") == 0;
        if (system)
            rc = ew_buf_text(&text, text_of(first, "content"), err);
        if (!rc && system)
            rc = ew_buf_text(&text, "\n\n", err);
        if (!rc)
            rc = tell_tools(tools, &text, err);
        write_message(&json, "system", &text);
        at = system;
    }
    while (!rc && at < json_array_size(list))
        rc = tell_message(list, &at, &json, &text, err);
    ew_jsonw_end(&json);
    if (!rc)
        rc = ew_jsonw_finish(&json, err);
out:
    ew_buf_fini(&text);
    json_decref(list);
    json_decref(tools);
    return rc;
}
