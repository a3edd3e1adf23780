/* openai_tools.c - tools, the choice among them, and the form that the answer shall have.
 *
 * Whether a schema can be held to is the grammar's business, which knows its keywords; here it only
 * must be an object. */
#include "api/openai_int.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES_MAX = 64 };

/* The names of tools and schemas, as OpenAI has them. */
static void check_name(struct ew_read *in, const char *name, const char *path)
{
    size_t bytes = name ? strlen(name) : 1;
    for (const char *at = name; at && *at; at++)
        if (!isalnum((unsigned char)*at) && *at != '_' && *at != '-')
            ew_read_fail(in, "invalid_value", path,
                         "Invalid '%s': string does not match pattern. Expected a string that "
                         "matches the pattern '^[a-zA-Z0-9_-]+$'.",
                         path);
    if (bytes == 0)
        ew_read_fail(in, "empty_string", path,
                     "Invalid '%s': empty string. Expected a string with minimum length 1, but got "
                     "an empty string instead.",
                     path);
    if (bytes > NAME_BYTES_MAX)
        ew_read_fail(in, "string_above_max_length", path,
                     "Invalid '%s': string too long. Expected a string with maximum length %d, but "
                     "got a string with length %zu instead.",
                     path, NAME_BYTES_MAX, bytes);
}

static void check_type(struct ew_read *in, const json_t *object, const char *where)
{
    char path[EW_READ_PATH_BYTES];
    ew_read_path(path, where, "type");
    ew_read_need(in, object, where, "type");
    const char *type = ew_read_text(in, object, where, "type");
    if (type && strcmp(type, "function") != 0)
        ew_read_wrong_value(in, path, type, "'function'");
}

static void check_tool(struct ew_read *in, const json_t *tool, const char *where)
{
    if (!ew_read_is_object(in, tool, where))
        return;
    char path[EW_READ_PATH_BYTES];
    check_type(in, tool, where);
    ew_read_path(path, where, "function");
    ew_read_need(in, tool, where, "function");
    const json_t *function = ew_read_object(in, tool, where, "function");
    if (!function || !ew_read_need(in, function, path, "name"))
        return;
    const char *name = ew_read_text(in, function, path, "name");
    (void)ew_read_text(in, function, path, "description");
    (void)ew_read_object(in, function, path, "parameters");
    ew_read_path(path, where, "function.name");
    check_name(in, name, path);
}

/* Of a tool, or a choice of one, that was checked. */
static const char *name_of(const json_t *tool)
{
    return json_string_value(json_object_get(json_object_get(tool, "function"), "name"));
}

static bool has_tool(const json_t *tools, const char *name)
{
    for (size_t i = 0; i < json_array_size(tools); i++)
        if (strcmp(name_of(json_array_get(tools, i)), name) == 0)
            return true;
    return false;
}

/* The name in a choice, which must be of one of the tools; NULL with a fault. */
static const char *chosen_name(struct ew_read *in, const json_t *choice, const char *where,
                               const json_t *tools)
{
    char path[EW_READ_PATH_BYTES];
    check_type(in, choice, where);
    ew_read_path(path, where, "function");
    ew_read_need(in, choice, where, "function");
    const json_t *function = ew_read_object(in, choice, where, "function");
    if (!function || !ew_read_need(in, function, path, "name"))
        return NULL;
    const char *name = ew_read_text(in, function, path, "name");
    if (name && !has_tool(tools, name))
        ew_read_fail(in, "invalid_value", "tool_choice",
                     "Tool choice '%.64s' not found in 'tools' parameter.", name);
    return name;
}

/* What isn't allowed isn't told to the model either; the rest keeps the order of the tools. */
static void keep_tools(struct ew_read *in, const json_t *allowed, const json_t *tools)
{
    json_t *kept = json_array();
    for (size_t i = 0; kept && i < json_array_size(tools); i++)
        if (has_tool(allowed, name_of(json_array_get(tools, i))) &&
            json_array_append(kept, json_array_get(tools, i)))
            ew_fault_set(in->fault, 503, NULL, NULL, "There is no memory for the request.");
    if (!kept)
        ew_fault_set(in->fault, 503, NULL, NULL, "There is no memory for the request.");
    in->request->tools = ew_read_json(in, kept, "tools");
    json_decref(kept);
}

static void choose_among(struct ew_read *in, const json_t *choice, const json_t *tools)
{
    static const char where[] = "tool_choice.allowed_tools";
    ew_read_need(in, choice, "tool_choice", "allowed_tools");
    const json_t *holder = ew_read_object(in, choice, "tool_choice", "allowed_tools");
    if (!holder || !ew_read_need(in, holder, where, "mode") ||
        !ew_read_need(in, holder, where, "tools"))
        return;
    const char *mode = ew_read_text(in, holder, where, "mode");
    bool required = mode && strcmp(mode, "required") == 0;
    if (mode && !required && strcmp(mode, "auto") != 0)
        ew_read_wrong_value(in, "tool_choice.allowed_tools.mode", mode, "'auto' and 'required'");
    const json_t *allowed = ew_read_array(in, holder, where, "tools", EW_REQUEST_TOOLS_MAX);
    if (allowed && json_array_size(allowed) == 0)
        ew_read_fail(in, "empty_array", "tool_choice.allowed_tools.tools",
                     "Invalid 'tool_choice.allowed_tools.tools': empty array. Expected an array "
                     "with minimum length 1, but got an empty array instead.");
    for (size_t i = 0; i < json_array_size(allowed) && !ew_read_failed(in); i++) {
        char path[EW_READ_PATH_BYTES];
        snprintf(path, sizeof path, "%s.tools[%zu]", where, i);
        if (ew_read_is_object(in, json_array_get(allowed, i), path))
            (void)chosen_name(in, json_array_get(allowed, i), path, tools);
    }
    if (ew_read_failed(in))
        return;
    keep_tools(in, allowed, tools);
    in->request->tool_choice = required ? EW_TOOLS_REQUIRED : EW_TOOLS_AUTO;
}

static void choose_object(struct ew_read *in, const json_t *choice, const json_t *tools)
{
    const char *type = json_string_value(json_object_get(choice, "type"));
    if (type && strcmp(type, "allowed_tools") == 0) {
        choose_among(in, choice, tools);
        return;
    }
    in->request->tool_choice = EW_TOOLS_NAMED;
    in->request->tool_name = chosen_name(in, choice, "tool_choice", tools);
}

static void read_choice(struct ew_read *in, const json_t *root, const json_t *tools)
{
    static const char *const names[] = {"none", "auto", "required"}; /* by enum ew_tool_choice */
    const json_t *choice = ew_read_get(in, root, "tool_choice");
    if (!choice)
        return;
    const char *word = json_is_string(choice) ? ew_read_string(in, choice, "tool_choice") : NULL;
    /* "none" without tools says nothing new; agents that have run out of tools send "auto". */
    bool idle = word && (strcmp(word, "none") == 0 || strcmp(word, "auto") == 0);
    if (json_array_size(tools) == 0) {
        if (!idle)
            ew_read_fail(in, NULL, "tool_choice",
                         "Invalid value for 'tool_choice': 'tool_choice' is only allowed when "
                         "'tools' are specified.");
        return;
    }
    if (json_is_object(choice)) {
        choose_object(in, choice, tools);
        return;
    }
    if (!json_is_string(choice))
        ew_read_wrong_type(in, "tool_choice", "one of 'none', 'auto', 'required' or an object",
                           choice);
    for (size_t i = 0; word && i < EW_COUNT(names); i++)
        if (strcmp(word, names[i]) == 0) {
            in->request->tool_choice = (enum ew_tool_choice)i;
            return;
        }
    if (word)
        ew_read_wrong_value(in, "tool_choice", word, "'none', 'auto', and 'required'");
}

static void refuse_functions(struct ew_read *in, const json_t *root)
{
    static const struct {
        const char *key, *instead;
    } old[] = {{"functions", "tools"}, {"function_call", "tool_choice"}};
    for (size_t i = 0; i < EW_COUNT(old); i++)
        if (ew_read_get(in, root, old[i].key))
            ew_read_fail(in, "unsupported_parameter", old[i].key,
                         "Unsupported parameter: '%s' is not supported. Use '%s' instead.",
                         old[i].key, old[i].instead);
}

static void read_schema(struct ew_read *in, const json_t *format)
{
    static const char where[] = "response_format.json_schema";
    ew_read_need(in, format, "response_format", "json_schema");
    const json_t *holder = ew_read_object(in, format, "response_format", "json_schema");
    if (!holder || !ew_read_need(in, holder, where, "name"))
        return;
    bool strict = false;
    check_name(in, ew_read_text(in, holder, where, "name"), "response_format.json_schema.name");
    ew_read_flag(in, holder, where, "strict", &strict); /* every schema is held to, strict or not */
    ew_read_need(in, holder, where, "schema");
    const json_t *schema = ew_read_object(in, holder, where, "schema");
    in->request->format = EW_FORMAT_JSON_SCHEMA;
    if (schema)
        in->request->schema = ew_read_json(in, schema, "response_format.json_schema.schema");
}

static void read_format(struct ew_read *in, const json_t *root)
{
    const json_t *format = ew_read_object(in, root, "", "response_format");
    if (!format || !ew_read_need(in, format, "response_format", "type"))
        return;
    const char *type = ew_read_text(in, format, "response_format", "type");
    if (!type)
        return;
    if (strcmp(type, "json_schema") == 0)
        read_schema(in, format);
    else if (strcmp(type, "json_object") == 0)
        in->request->format = EW_FORMAT_JSON_OBJECT;
    else if (strcmp(type, "text") != 0)
        ew_read_wrong_value(in, "response_format.type", type,
                            "'json_object', 'json_schema', and 'text'");
}

const json_t *ew_openai_tools_list(struct ew_read *in, const json_t *root)
{
    const json_t *tools = ew_read_array(in, root, "", "tools", EW_REQUEST_TOOLS_MAX);
    for (size_t i = 0; tools && i < json_array_size(tools); i++) {
        char where[32];
        snprintf(where, sizeof where, "tools[%zu]", i);
        check_tool(in, json_array_get(tools, i), where);
    }
    in->request->parallel_tool_calls = true;
    in->request->tool_choice = json_array_size(tools) ? EW_TOOLS_AUTO : EW_TOOLS_NONE;
    if (!ew_read_failed(in) && json_array_size(tools))
        in->request->tools = ew_read_json(in, tools, "tools");
    return tools;
}

void ew_openai_tools_read(struct ew_read *in, const json_t *root)
{
    refuse_functions(in, root);
    const json_t *tools = ew_openai_tools_list(in, root);
    ew_read_flag(in, root, "", "parallel_tool_calls", &in->request->parallel_tool_calls);
    if (!ew_read_failed(in))
        read_choice(in, root, tools);
    read_format(in, root);
}
