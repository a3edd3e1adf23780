/* template.c - chat template: its door, its memory, its limits, and the template of those models
 * that have none. */
#include "model/template_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES_FIRST = 32 << 10, CHUNK_BYTES_MAX = 1 << 20, ALIGNMENT = 16 };

const char ew_template_chatml[] =
    "{% for message in messages %}"
    "<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}"
    "{{ message.content }}"
    "{% else %}"
    "{% for part in message.content or [] %}{{ part.text if part.text is string }}{% endfor %}"
    "{% endif %}"
    "<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}"
    "<|im_start|>assistant\n"
    "{% endif %}";

/* ---- the arena ---- */

struct tmpl_chunk {
    struct tmpl_chunk *next;
    size_t used, size;
};

static size_t chunk_header(void)
{
    return (sizeof(struct tmpl_chunk) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

void *ew__tmpl_alloc(struct tmpl_arena *arena, size_t bytes, struct ew_err *err)
{
    if (bytes > arena->max - arena->used) {
        ew_fail(err, EW_ELIMIT, "chat template: needs more than %zu bytes", arena->max);
        return NULL;
    }
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct tmpl_chunk *chunk = arena->chunks;
    if (!chunk || bytes > chunk->size - chunk->used) {
        size_t size = chunk ? chunk->size * 2 : CHUNK_BYTES_FIRST;
        size = size > CHUNK_BYTES_MAX ? CHUNK_BYTES_MAX : size;
        size = size < bytes ? bytes : size;
        chunk = malloc(chunk_header() + size);
        if (!chunk) {
            ew_fail(err, EW_ENOMEM, "no memory for a chat template");
            return NULL;
        }
        *chunk = (struct tmpl_chunk){.next = arena->chunks, .size = size};
        arena->chunks = chunk;
    }
    void *at = (char *)chunk + chunk_header() + chunk->used;
    chunk->used += bytes;
    arena->used = bytes > arena->max - arena->used ? arena->max : arena->used + bytes;
    return memset(at, 0, bytes);
}

void ew__tmpl_free(struct tmpl_arena *arena)
{
    while (arena->chunks) {
        struct tmpl_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        free(chunk);
    }
    arena->used = 0;
}

/* ---- a render's budget and errors ---- */

int ew__tmpl_fail(struct render *r, int code, const char *format, ...)
{
    char text[sizeof r->err.text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20)
            *c = ' '; /* an error is one line */
    return ew_fail(&r->err, code, "chat template, line %u: %s", r->line, text);
}

void *ew__tmpl_take(struct render *r, size_t bytes)
{
    struct ew_err err = {0};
    void *at = ew__tmpl_alloc(&r->arena, bytes, &err);
    if (!at && err.code == EW_ELIMIT)
        ew__tmpl_fail(r, EW_ELIMIT, "values need more than %zu bytes", r->arena.max);
    else if (!at)
        r->err = err;
    return at;
}

int ew__tmpl_step(struct render *r, uint64_t count)
{
    r->steps += count;
    return r->steps > TMPL_STEPS_MAX
               ? ew__tmpl_fail(r, EW_ELIMIT, "more than %d steps", TMPL_STEPS_MAX)
               : 0;
}

int ew__tmpl_step_bytes(struct render *r, size_t bytes)
{
    return ew__tmpl_step(r, bytes / TMPL_STEP_BYTES);
}

int ew__tmpl_step_key(struct render *r, const struct value *key)
{
    return ew__tmpl_step(r, 1 + (key->kind == V_STR ? key->bytes / TMPL_STEP_BYTES : 0));
}

/* ---- open ---- */

/* Newlines of all kinds become '\n', and one at the end is dropped, as Jinja does. */
static int normalise(struct parser *p, struct ew_str source, struct ew_str *out)
{
    char *to = ew__tmpl_alloc(&p->tmpl->arena, source.bytes + 1, p->err);
    if (!to)
        return p->err->code;
    size_t used = 0;
    for (size_t i = 0; i < source.bytes; i++) {
        char c = source.data[i];
        if (c == '\r' && i + 1 < source.bytes && source.data[i + 1] == '\n')
            continue;
        to[used++] = c;
        if (c == '\r')
            to[used - 1] = '\n';
    }
    if (used > 0 && to[used - 1] == '\n')
        used--;
    *out = (struct ew_str){to, used};
    return 0;
}

int ew_template_open(struct ew_template **gives, const char *source, size_t bytes,
                     struct ew_err *err)
{
    struct ew_err own = {0};
    struct parser p = {.err = err ? err : &own, .scratch = {.max = TMPL_PARSE_BYTES_MAX}};
    struct ew_str text;
    *gives = NULL;
    if (bytes > TMPL_SOURCE_BYTES_MAX)
        return ew_fail(err, EW_ELIMIT, "chat template: %zu bytes, at most %d", bytes,
                       TMPL_SOURCE_BYTES_MAX);
    struct ew_template *tmpl = calloc(1, sizeof *tmpl);
    if (!tmpl)
        return ew_fail(err, EW_ENOMEM, "no memory for a chat template");
    tmpl->arena.max = TMPL_PARSE_BYTES_MAX;
    p.tmpl = tmpl;
    int code = normalise(&p, (struct ew_str){source, bytes}, &text);
    if (!code)
        code = ew__tmpl_lex(&p, text);
    if (!code)
        code = ew__tmpl_parse(&p);
    ew__tmpl_free(&p.scratch);
    if (code)
        ew_template_close(&tmpl);
    *gives = tmpl;
    return code;
}

void ew_template_close(struct ew_template **tmpl)
{
    if (!*tmpl)
        return;
    ew__tmpl_free(&(*tmpl)->arena);
    free(*tmpl);
    *tmpl = NULL;
}

/* ---- render ---- */

/* Every name that the template uses gets its value: the context's, or a function of ours. */
static int bind_globals(struct render *r, const struct dict *context)
{
    const struct ew_template *tmpl = r->tmpl;
    r->globals = ew__tmpl_take(r, tmpl->symbol_count * sizeof *r->globals);
    if (!r->globals)
        return r->err.code;
    const struct value *now = ew__tmpl_get_name(context, "strftime_now", 12);
    if (now && now->kind == V_STR)
        r->now = value_text(now);
    for (uint32_t i = 0; i < tmpl->symbol_count; i++) {
        struct ew_str name = tmpl->symbols[i];
        const struct value *given = ew__tmpl_get_name(context, name.data, name.bytes);
        const struct builtin *func = ew__tmpl_find_global(name);
        bool is_clock = ew_str_is(name, "strftime_now");
        if (given && !is_clock)
            r->globals[i] = *given;
        else if (func && (!is_clock || r->now.data))
            r->globals[i] = (struct value){.kind = V_FUNC, .func = func};
        else if (ew_str_is(name, "tools") || ew_str_is(name, "documents"))
            r->globals[i] = value_none(); /* transformers always passes these two */
        else
            r->globals[i] = value_undefined(name.data, name.bytes);
    }
    return 0;
}

int ew__tmpl_render(struct render *r, const struct dict *context, struct ew_err *err)
{
    size_t before = r->out->bytes;
    int code = bind_globals(r, context);
    if (!code)
        code = ew__tmpl_run(r, r->tmpl->body);
    ew__tmpl_free(&r->arena);
    if (!code)
        return 0;
    EW_ASSERT(code < 0); /* break and continue stop at their loop */
    r->out->bytes = before;
    if (r->out->data)
        r->out->data[before] = '\0';
    return ew_fail(err, code, "%s", r->err.text);
}

int ew_template_render(const struct ew_template *tmpl, const char *context, size_t bytes,
                       struct ew_buf *out, struct ew_err *err)
{
    if (bytes > TMPL_VALUE_BYTES_MAX)
        return ew_fail(err, EW_ELIMIT, "chat template's context: %zu bytes, at most %d", bytes,
                       TMPL_VALUE_BYTES_MAX);
    struct render r = {.tmpl = tmpl, .out = out, .arena = {.max = TMPL_VALUE_BYTES_MAX}};
    struct value root;
    int code =
        ew__tmpl_json_parse(&r, "chat template's context", (struct ew_str){context, bytes}, &root);
    if (!code && root.kind != V_DICT)
        code = ew_fail(&r.err, EW_EINVAL, "chat template's context isn't an object");
    if (!code)
        return ew__tmpl_render(&r, root.dict, err);
    ew__tmpl_free(&r.arena);
    return ew_fail(err, code, "%s", r.err.text);
}
