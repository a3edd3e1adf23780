/* template_print.c - chat template: values to text, as Python's str() and repr() write them. */
#include "model/template_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ew__tmpl_text_begin(struct render *r, struct ew_buf *buf)
{
    ew_buf_init(buf, r->arena.max - r->arena.used);
}

int ew__tmpl_add(struct render *r, struct ew_buf *buf, const void *data, size_t bytes)
{
    struct ew_err err = {0};
    int code = ew_buf_add(buf, data, bytes, &err);
    return code ? ew__tmpl_fail(r, code, "the text grows too long: %s", err.text) : 0;
}

int ew__tmpl_text_end(struct render *r, struct ew_buf *buf, int code, struct value *out)
{
    if (!code)
        code = ew__tmpl_copy(r, ew_buf_cstr(buf), buf->bytes, out);
    ew_buf_fini(buf);
    return code;
}

/* The shortest digits that read back as f, in Python's layout. */
void ew__tmpl_format_float(double f, char text[32])
{
    if (isnan(f) || isinf(f)) {
        snprintf(text, 32, "%s", isnan(f) ? "nan" : f < 0 ? "-inf" : "inf");
        return;
    }
    char sci[32] = "";
    int digits = 1;
    for (; digits <= 17; digits++) {
        snprintf(sci, sizeof sci, "%.*e", digits - 1, f);
        if (strtod(sci, NULL) == f)
            break;
    }
    int exponent = (int)strtol(strchr(sci, 'e') + 1, NULL, 10);
    if (exponent < -4 || exponent >= 16) {
        snprintf(text, 32, "%s", sci);
        return;
    }
    int decimals = digits - 1 - exponent;
    snprintf(text, 32, "%.*f", decimals > 1 ? decimals : 1, f);
}

static int add_text(struct render *r, struct ew_buf *out, const char *text)
{
    return ew__tmpl_add(r, out, text, strlen(text));
}

static int repr_str(struct render *r, struct ew_str s, struct ew_buf *out)
{
    bool single = memchr(s.data, '\'', s.bytes) != NULL;
    char quote = single && !memchr(s.data, '"', s.bytes) ? '"' : '\'';
    int code = ew__tmpl_add(r, out, &quote, 1);
    for (size_t at = 0; at < s.bytes && !code;) {
        uint32_t c;
        size_t n = ew__tmpl_decode(s.data + at, s.bytes - at, &c);
        char text[12];
        if (c == (unsigned char)quote || c == '\\')
            snprintf(text, sizeof text, "\\%c", (int)c);
        else if (c == '\n' || c == '\r' || c == '\t')
            snprintf(text, sizeof text, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        else if (!ew__tmpl_is_printable(c))
            snprintf(text, sizeof text,
                     c < 0x100     ? "\\x%02x"
                     : c < 0x10000 ? "\\u%04x"
                                   : "\\U%08x",
                     c);
        else
            text[0] = '\0';
        code = text[0] ? add_text(r, out, text) : ew__tmpl_add(r, out, s.data + at, n);
        at += n;
    }
    return code ? code : ew__tmpl_add(r, out, &quote, 1);
}

static int repr_list(struct render *r, const struct value *v, struct ew_buf *out, uint32_t depth)
{
    bool tuple = v->kind == V_TUPLE;
    int code = add_text(r, out, tuple ? "(" : "[");
    for (uint32_t i = 0; i < v->list->count && !code; i++) {
        if (i)
            code = add_text(r, out, ", ");
        if (!code)
            code = ew__tmpl_repr(r, &v->list->items[i], out, depth + 1);
    }
    if (!code && tuple && v->list->count == 1)
        code = add_text(r, out, ",");
    return code ? code : add_text(r, out, tuple ? ")" : "]");
}

static int repr_dict(struct render *r, const struct dict *dict, struct ew_buf *out, uint32_t depth)
{
    int code = add_text(r, out, "{");
    for (uint32_t i = 0; i < dict->count && !code; i++) {
        if (i)
            code = add_text(r, out, ", ");
        if (!code)
            code = ew__tmpl_repr(r, &dict->pairs[i].key, out, depth + 1);
        if (!code)
            code = add_text(r, out, ": ");
        if (!code)
            code = ew__tmpl_repr(r, &dict->pairs[i].value, out, depth + 1);
    }
    return code ? code : add_text(r, out, "}");
}

static int repr_scalar(struct render *r, const struct value *v, struct ew_buf *out)
{
    char text[64];
    if (v->kind == V_NONE)
        return add_text(r, out, "None");
    if (v->kind == V_BOOL)
        return add_text(r, out, v->b ? "True" : "False");
    if (v->kind == V_INT)
        snprintf(text, sizeof text, "%lld", (long long)v->i);
    else if (v->kind == V_FLOAT)
        ew__tmpl_format_float(v->f, text);
    else /* no address: a render is the same each time */
        snprintf(text, sizeof text, "<%s>", ew__tmpl_kind(v));
    return add_text(r, out, text);
}

int ew__tmpl_repr(struct render *r, const struct value *v, struct ew_buf *out, uint32_t depth)
{
    int code = ew__tmpl_step(r, 1);
    if (code)
        return code;
    if (depth > TMPL_VALUE_DEPTH_MAX)
        return ew__tmpl_fail(r, EW_ELIMIT, "values nested deeper than %d", TMPL_VALUE_DEPTH_MAX);
    switch (v->kind) {
    case V_UNDEFINED:
        return add_text(r, out, "Undefined");
    case V_STR:
        return repr_str(r, value_text(v), out);
    case V_LIST:
    case V_TUPLE:
        return repr_list(r, v, out, depth);
    case V_SPACE:
        code = add_text(r, out, "<Namespace ");
        if (!code)
            code = repr_dict(r, v->dict, out, depth);
        return code ? code : add_text(r, out, ">");
    case V_DICT:
        return repr_dict(r, v->dict, out, depth);
    default:
        return repr_scalar(r, v, out);
    }
}

int ew__tmpl_print(struct render *r, const struct value *v, struct ew_buf *out)
{
    if (v->kind == V_UNDEFINED)
        return 0;
    if (v->kind == V_STR)
        return ew__tmpl_add(r, out, v->s, v->bytes);
    return ew__tmpl_repr(r, v, out, 0);
}

int ew__tmpl_str(struct render *r, const struct value *v, struct value *out)
{
    if (v->kind == V_STR) {
        *out = *v;
        return 0;
    }
    if (v->kind == V_UNDEFINED) {
        *out = value_str("", 0);
        return 0;
    }
    struct ew_buf buf;
    ew__tmpl_text_begin(r, &buf);
    return ew__tmpl_text_end(r, &buf, ew__tmpl_print(r, v, &buf), out);
}
