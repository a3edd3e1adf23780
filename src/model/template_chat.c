/* template_chat.c - chat template: a conversation, as clients write it in JSON, to its text.
 *
 * Messages and tools are parsed apart from each other, so that neither can spill into the rest of
 * the context and a fault is told with its place. Two things are done to them. A last message of
 * the assistant is continued: a mark stands at its end while the template is rendered, and the
 * text is cut there, which is right whatever the template puts behind a message, and whether it
 * trims or not. And the arguments of calls, text in the API, are objects here, since most
 * templates print them by tojson; where a template can't take that, it gets them as text. */
#include "model/template_int.h"

#include <stdio.h>
#include <string.h>

enum {
    MARK_BYTES = 64,
    MARK_TRIES = 1000 /* a conversation that has all of these marks in it isn't one */
};

enum arguments_form { ARGUMENTS_OBJECTS, ARGUMENTS_TEXT };

struct chat {
    struct render r;
    const struct ew_template_chat *given;
    struct value messages, tools;
    enum arguments_form form;
    uint32_t converted; /* arguments that became objects */
    bool continues;
    char mark[MARK_BYTES];
};

static int fail_at(struct chat *c, uint32_t index, const char *what)
{
    return ew_fail(&c->r.err, EW_EINVAL, "messages[%u]%s", index, what);
}

static struct value *get(const struct value *object, const char *name)
{
    return object->kind == V_DICT ? ew__tmpl_get_name(object->dict, name, strlen(name)) : NULL;
}

static int put(struct chat *c, struct dict *dict, const char *name, struct value value)
{
    struct value key = value_str(name, strlen(name));
    return ew__tmpl_put(&c->r, dict, &key, &value);
}

static int check_message(struct chat *c, uint32_t index)
{
    const struct value *message = &c->messages.list->items[index];
    if (message->kind != V_DICT)
        return fail_at(c, index, " isn't an object");
    const struct value *role = get(message, "role"), *content = get(message, "content");
    if (!role || role->kind != V_STR)
        return fail_at(c, index, ".role isn't a string");
    if (content && content->kind != V_STR && content->kind != V_NONE && content->kind != V_LIST)
        return fail_at(c, index, ".content is neither a string nor a list of parts nor null");
    return 0;
}

static int convert_arguments(struct chat *c, const struct value *call)
{
    const struct value *function = get(call, "function");
    struct value *arguments = get(function ? function : call, "arguments"), parsed;
    if (!arguments || arguments->kind != V_STR)
        return 0;
    int code = ew__tmpl_json_parse(&c->r, "arguments", value_text(arguments), &parsed);
    if (code == EW_EINVAL || (!code && parsed.kind != V_DICT)) {
        c->r.err = (struct ew_err){0}; /* a model wrote it: the template may still want it */
        return 0;
    }
    if (!code) {
        *arguments = parsed;
        c->converted++;
    }
    return code;
}

static int convert_calls(struct chat *c, const struct value *message)
{
    const struct value *calls = get(message, "tool_calls");
    int code = 0;
    for (uint32_t i = 0; calls && calls->kind == V_LIST && i < calls->list->count && !code; i++)
        code = convert_arguments(c, &calls->list->items[i]);
    return code;
}

/* A mark that nothing in the conversation could be taken for. */
static int choose_mark(struct chat *c)
{
    struct ew_str text = c->given->messages;
    for (int i = 0; i < MARK_TRIES; i++) {
        snprintf(c->mark, sizeof c->mark, "edgewise-continues-here-%d-", i);
        if (!ew__tmpl_find(text, (struct ew_str){c->mark, strlen(c->mark)}))
            return 0;
    }
    return ew_fail(&c->r.err, EW_EINVAL, "the last message can't be continued");
}

static int append_mark(struct chat *c, struct value *text)
{
    struct ew_buf buf;
    ew__tmpl_text_begin(&c->r, &buf);
    int code = ew__tmpl_add(&c->r, &buf, text->s, text->bytes);
    if (!code)
        code = ew__tmpl_add(&c->r, &buf, c->mark, strlen(c->mark));
    return ew__tmpl_text_end(&c->r, &buf, code, text);
}

/* The text that is continued: a content, or the last part's. */
static struct value *last_text(const struct value *message)
{
    struct value *content = get(message, "content");
    if (content && content->kind == V_LIST && content->list->count) {
        struct value *text = get(&content->list->items[content->list->count - 1], "text");
        return text && text->kind == V_STR ? text : NULL;
    }
    return content && content->kind == V_STR ? content : NULL;
}

static int mark_end(struct chat *c)
{
    uint32_t count = c->messages.list->count;
    const struct value *last = count ? &c->messages.list->items[count - 1] : NULL;
    const struct value *calls = last ? get(last, "tool_calls") : NULL;
    if (!last || !ew_str_is(value_text(get(last, "role")), "assistant") ||
        (calls && ew__tmpl_truth(calls)))
        return 0; /* a call isn't continued: what follows it is a new turn */
    c->continues = true;
    int code = choose_mark(c);
    struct value *text = last_text(last);
    if (code)
        return code;
    return text ? append_mark(c, text)
                : put(c, last->dict, "content", value_str(c->mark, strlen(c->mark)));
}

static int read_list(struct chat *c, const char *what, struct ew_str text, struct value *out)
{
    if (text.bytes > TMPL_VALUE_BYTES_MAX)
        return ew_fail(&c->r.err, EW_ELIMIT, "%s: %zu bytes, at most %d", what, text.bytes,
                       TMPL_VALUE_BYTES_MAX);
    int code = ew__tmpl_json_parse(&c->r, what, text, out);
    return code || out->kind == V_LIST
               ? code
               : ew_fail(&c->r.err, EW_EINVAL, "%s: expected an array", what);
}

static int read_chat(struct chat *c)
{
    int code = read_list(c, "messages", c->given->messages, &c->messages);
    for (uint32_t i = 0; !code && i < c->messages.list->count; i++)
        if (!(code = check_message(c, i)) && c->form == ARGUMENTS_OBJECTS)
            code = convert_calls(c, &c->messages.list->items[i]);
    c->tools = value_none();
    if (!code && c->given->tools.data)
        code = read_list(c, "tools", c->given->tools, &c->tools);
    return code ? code : mark_end(c);
}

/* Cuts the text at the last mark in it. */
static int cut(const struct chat *c, size_t from, struct ew_buf *out, struct ew_err *err)
{
    size_t bytes = strlen(c->mark);
    for (size_t at = out->bytes; at-- > from;) {
        if (out->bytes - at < bytes || memcmp(out->data + at, c->mark, bytes))
            continue;
        out->bytes = at;
        out->data[at] = '\0';
        return 0;
    }
    out->bytes = from;
    return ew_fail(err, EW_EINVAL,
                   "the last message is the assistant's, and the model's template leaves it out: "
                   "it can't be continued");
}

static int render(struct chat *c, struct ew_err *err)
{
    struct value root;
    size_t from = c->r.out->bytes;
    int code = read_chat(c);
    if (!code)
        code = ew__tmpl_dict(&c->r, V_DICT, &root);
    if (code || (code = put(c, root.dict, "messages", c->messages)) ||
        (code = put(c, root.dict, "tools", c->tools)) ||
        (code = put(c, root.dict, "add_generation_prompt", value_bool(!c->continues))) ||
        (code =
             put(c, root.dict, "bos_token", value_str(c->given->bos.data, c->given->bos.bytes))) ||
        (code =
             put(c, root.dict, "eos_token", value_str(c->given->eos.data, c->given->eos.bytes)))) {
        ew__tmpl_free(&c->r.arena);
        return ew_fail(err, code, "%s", c->r.err.text);
    }
    code = ew__tmpl_render(&c->r, root.dict, err);
    return code || !c->continues ? code : cut(c, from, c->r.out, err);
}

int ew_template_chat(const struct ew_template *tmpl, const struct ew_template_chat *chat,
                     struct ew_buf *out, struct ew_err *err)
{
    struct chat c = {.given = chat};
    struct ew_err ignored;
    c.r = (struct render){.tmpl = tmpl, .out = out, .arena = {.max = TMPL_VALUE_BYTES_MAX}};
    int code = render(&c, err);
    if (code != EW_EINVAL || !c.converted)
        return code;
    struct chat again = {.given = chat, .form = ARGUMENTS_TEXT};
    again.r = (struct render){.tmpl = tmpl, .out = out, .arena = {.max = TMPL_VALUE_BYTES_MAX}};
    return render(&again, &ignored) ? code : 0;
}

bool ew_template_reads_tools(const struct ew_template *tmpl)
{
    return tmpl->reads_tools;
}
