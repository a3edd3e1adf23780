/* template_json.c - chat template: JSON in (the context) and out (the filter tojson).
 *
 * The engine library has no JSON library, so the context is read by this small strict parser:
 * RFC 8259, depth bounded, values straight into the render's arena, strings without an escape
 * pointing into the context's own text. Of a repeated key the last value counts, as in Python.
 * Integers beyond 64 bits become floats. tojson writes what json.dumps of Python writes with
 * ensure_ascii off unless asked, which is what transformers makes of it. */
#include "model/template_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    struct render *r;
    const char *what; /* is read, for errors */
    const char *at, *end, *begin;
    uint32_t depth;
};

static int read_value(struct reader *x, struct value *out);

static int fail(struct reader *x, const char *what)
{
    return ew_fail(&x->r->err, EW_EINVAL, "%s, byte %zu: %s", x->what, (size_t)(x->at - x->begin),
                   what);
}

static void skip_space(struct reader *x)
{
    while (x->at < x->end && (*x->at == ' ' || *x->at == '\n' || *x->at == '\t' || *x->at == '\r'))
        x->at++;
}

static bool skip(struct reader *x, char c)
{
    skip_space(x);
    if (x->at == x->end || *x->at != c)
        return false;
    x->at++;
    return true;
}

static int read_hex(struct reader *x, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++, x->at++) {
        char c = x->at < x->end ? *x->at : '\0';
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return fail(x, "a malformed \\u escape");
        *out = *out * 16 + (uint32_t)digit;
    }
    return 0;
}

/* After "\u"; a pair of surrogates is one character, half of one is U+FFFD. */
static int read_unicode(struct reader *x, char *to, size_t *used)
{
    uint32_t c, low;
    int code = read_hex(x, &c);
    if (code)
        return code;
    if (c >= 0xd800 && c < 0xdc00 && x->end - x->at >= 6 && x->at[0] == '\\' && x->at[1] == 'u') {
        const char *before = x->at;
        x->at += 2;
        if ((code = read_hex(x, &low)))
            return code;
        if (low >= 0xdc00 && low < 0xe000)
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        else
            x->at = before;
    }
    *used += ew__tmpl_encode(c, to + *used);
    return 0;
}

static int read_escaped(struct reader *x, const char *from, size_t raw_bytes, struct value *out)
{
    static const char names[] = "\"\\/bfnrt", chars[] = "\"\\/\b\f\n\r\t";
    char *to = ew__tmpl_take(x->r, raw_bytes + 1); /* an escape is never shorter than its UTF-8 */
    if (!to)
        return x->r->err.code;
    size_t used = 0;
    for (x->at = from; *x->at != '"';) {
        if (*x->at != '\\') {
            to[used++] = *x->at++;
            continue;
        }
        x->at++;
        const char *simple = *x->at ? strchr(names, *x->at) : NULL;
        if (simple) {
            to[used++] = chars[simple - names];
            x->at++;
        } else if (*x->at++ == 'u') {
            int code = read_unicode(x, to, &used);
            if (code)
                return code;
        } else {
            return fail(x, "an unknown escape");
        }
    }
    x->at++;
    *out = value_str(to, used);
    return 0;
}

/* After the opening quote. */
static int read_string(struct reader *x, struct value *out)
{
    const char *from = x->at;
    bool escaped = false;
    while (x->at < x->end && *x->at != '"') {
        if ((unsigned char)*x->at < 0x20)
            return fail(x, "a control character in a string");
        if (*x->at == '\\') {
            escaped = true;
            x->at++;
        }
        x->at++;
    }
    if (x->at >= x->end) {
        x->at = x->end;
        return fail(x, "a string without its end");
    }
    size_t bytes = (size_t)(x->at - from);
    if (escaped)
        return read_escaped(x, from, bytes, out);
    x->at++;
    *out = value_str(from, bytes);
    return 0;
}

static size_t skip_digits(struct reader *x)
{
    const char *from = x->at;
    while (x->at < x->end && *x->at >= '0' && *x->at <= '9')
        x->at++;
    return (size_t)(x->at - from);
}

static int read_number(struct reader *x, struct value *out)
{
    const char *from = x->at;
    bool minus = *x->at == '-', exact = true;
    x->at += minus;
    const char *digits = x->at;
    size_t count = skip_digits(x);
    if (!count || (count > 1 && *digits == '0'))
        return fail(x, "a malformed number");
    int64_t i = 0;
    for (size_t k = 0; k < count && exact; k++)
        exact = !__builtin_mul_overflow(i, 10, &i) &&
                !__builtin_sub_overflow(i, digits[k] - '0', &i); /* negative: has one more */
    if (exact && !minus)
        exact = !__builtin_sub_overflow(0, i, &i);
    if (x->at < x->end && *x->at == '.') {
        x->at++;
        exact = false;
        if (!skip_digits(x))
            return fail(x, "a malformed number");
    }
    if (x->at < x->end && (*x->at == 'e' || *x->at == 'E')) {
        x->at++;
        x->at += x->at < x->end && (*x->at == '+' || *x->at == '-');
        exact = false;
        if (!skip_digits(x))
            return fail(x, "a malformed number");
    }
    char text[320]; /* more digits than a double tells apart */
    size_t n = (size_t)(x->at - from);
    if (!exact && n >= sizeof text)
        return fail(x, "a number with too many digits");
    *out = value_int(i);
    if (!exact) {
        memcpy(text, from, n);
        text[n] = '\0';
        *out = value_float(strtod(text, NULL));
    }
    return 0;
}

static int read_list(struct reader *x, struct value *out)
{
    int code = ew__tmpl_list(x->r, V_LIST, 0, out);
    if (code || skip(x, ']'))
        return code;
    do {
        struct value item;
        if ((code = read_value(x, &item)) || (code = ew__tmpl_push(x->r, out->list, &item)))
            return code;
    } while (skip(x, ','));
    return skip(x, ']') ? 0 : fail(x, "expected ',' or ']'");
}

static int read_dict(struct reader *x, struct value *out)
{
    int code = ew__tmpl_dict(x->r, V_DICT, out);
    if (code || skip(x, '}'))
        return code;
    do {
        struct value key, value;
        if (!skip(x, '"'))
            return fail(x, "expected a key");
        if ((code = read_string(x, &key)))
            return code;
        if (!skip(x, ':'))
            return fail(x, "expected ':'");
        if ((code = read_value(x, &value)) || (code = ew__tmpl_put(x->r, out->dict, &key, &value)))
            return code;
    } while (skip(x, ','));
    return skip(x, '}') ? 0 : fail(x, "expected ',' or '}'");
}

static int read_word(struct reader *x, struct value *out)
{
    static const struct {
        const char *text;
        uint32_t kind;
        bool b;
    } words[] = {{"true", V_BOOL, true}, {"false", V_BOOL, false}, {"null", V_NONE, false}};
    for (size_t i = 0; i < EW_COUNT(words); i++) {
        size_t n = strlen(words[i].text);
        if ((size_t)(x->end - x->at) >= n && !memcmp(x->at, words[i].text, n)) {
            x->at += n;
            *out = (struct value){.kind = words[i].kind, .b = words[i].b};
            return 0;
        }
    }
    return fail(x, "expected a value");
}

static int read_value(struct reader *x, struct value *out)
{
    if (x->depth == TMPL_VALUE_DEPTH_MAX)
        return fail(x, "nested too deep");
    x->depth++;
    int code;
    if (skip(x, '{'))
        code = read_dict(x, out);
    else if (skip(x, '['))
        code = read_list(x, out);
    else if (skip(x, '"'))
        code = read_string(x, out);
    else if (x->at < x->end && (*x->at == '-' || (*x->at >= '0' && *x->at <= '9')))
        code = read_number(x, out);
    else
        code = read_word(x, out);
    x->depth--;
    return code;
}

int ew__tmpl_json_parse(struct render *r, const char *what, struct ew_str text, struct value *out)
{
    struct reader x = {
        .r = r, .what = what, .at = text.data, .begin = text.data, .end = text.data + text.bytes};
    int code = read_value(&x, out);
    if (code)
        return code;
    skip_space(&x);
    return x.at == x.end ? 0 : fail(&x, "more after the value");
}

/* ---- out ---- */

static int put(struct render *r, struct ew_buf *out, const char *text)
{
    return ew__tmpl_add(r, out, text, strlen(text));
}

static int dump_char(struct render *r, uint32_t c, struct ew_buf *out)
{
    static const char names[] = "\"\\bfnrt", chars[] = "\"\\\b\f\n\r\t";
    char text[16];
    const char *simple = c && c < 0x80 ? strchr(chars, (int)c) : NULL;
    if (simple)
        snprintf(text, sizeof text, "\\%c", names[simple - chars]);
    else if (c < 0x10000)
        snprintf(text, sizeof text, "\\u%04x", c);
    else
        snprintf(text, sizeof text, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
                 0xdc00 + ((c - 0x10000) & 0x3ff));
    return put(r, out, text);
}

static int dump_string(struct render *r, struct ew_str s, bool ascii, struct ew_buf *out)
{
    int code = put(r, out, "\"");
    size_t plain = 0; /* where the bytes begin that can go out as they are */
    for (size_t at = 0; at < s.bytes && !code;) {
        uint32_t c;
        size_t n = ew__tmpl_decode(s.data + at, s.bytes - at, &c);
        if (c < 0x20 || c == '"' || c == '\\' || (ascii && c >= 0x7f)) {
            code = ew__tmpl_add(r, out, s.data + plain, at - plain);
            if (!code)
                code = dump_char(r, c, out);
            plain = at + n;
        }
        at += n;
    }
    if (!code)
        code = ew__tmpl_add(r, out, s.data + plain, s.bytes - plain);
    return code ? code : put(r, out, "\"");
}

static int dump_break(struct render *r, const struct tmpl_json *how, struct ew_buf *out,
                      uint32_t depth)
{
    int code = how->pretty ? put(r, out, "\n") : 0;
    for (uint32_t i = 0; i < depth && how->pretty && !code; i++)
        code = ew__tmpl_add(r, out, how->indent.data, how->indent.bytes);
    return code;
}

static int dump_list(struct render *r, const struct list *list, const struct tmpl_json *how,
                     struct ew_buf *out, uint32_t depth)
{
    if (!list->count)
        return put(r, out, "[]");
    int code = put(r, out, "[");
    for (uint32_t i = 0; i < list->count && !code; i++) {
        if (i)
            code = ew__tmpl_add(r, out, how->item_separator.data, how->item_separator.bytes);
        if (!code)
            code = dump_break(r, how, out, depth + 1);
        if (!code)
            code = ew__tmpl_json_dump(r, &list->items[i], how, out, depth + 1);
    }
    if (!code)
        code = dump_break(r, how, out, depth);
    return code ? code : put(r, out, "]");
}

static int dump_key(struct render *r, const struct value *key, const struct tmpl_json *how,
                    struct ew_buf *out)
{
    if (key->kind == V_STR)
        return dump_string(r, value_text(key), how->ensure_ascii, out);
    int code = put(r, out, "\""); /* a number, true or null: quoted as JSON writes it */
    if (!code)
        code = ew__tmpl_json_dump(r, key, how, out, 0);
    return code ? code : put(r, out, "\"");
}

static int by_key(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    uint32_t n = x->key.bytes < y->key.bytes ? x->key.bytes : y->key.bytes;
    int by = n ? memcmp(x->key.s, y->key.s, n) : 0;
    return by ? by : (x->key.bytes > y->key.bytes) - (x->key.bytes < y->key.bytes);
}

static int sorted_pairs(struct render *r, const struct dict *dict, const struct pair **out)
{
    struct pair *pairs = ew__tmpl_take(r, dict->count * sizeof *pairs);
    if (!pairs)
        return r->err.code;
    for (uint32_t i = 0; i < dict->count; i++) {
        pairs[i] = dict->pairs[i];
        if (pairs[i].key.kind != V_STR)
            return TYPE_FAIL(r, "only keys that are strings can be sorted");
    }
    qsort(pairs, dict->count, sizeof *pairs, by_key);
    *out = pairs;
    return 0;
}

static int dump_dict(struct render *r, const struct dict *dict, const struct tmpl_json *how,
                     struct ew_buf *out, uint32_t depth)
{
    if (!dict->count)
        return put(r, out, "{}");
    const struct pair *pairs = dict->pairs;
    int code = how->sort_keys ? sorted_pairs(r, dict, &pairs) : 0;
    if (!code)
        code = put(r, out, "{");
    for (uint32_t i = 0; i < dict->count && !code; i++) {
        if (i)
            code = ew__tmpl_add(r, out, how->item_separator.data, how->item_separator.bytes);
        if (!code)
            code = dump_break(r, how, out, depth + 1);
        if (!code)
            code = dump_key(r, &pairs[i].key, how, out);
        if (!code)
            code = ew__tmpl_add(r, out, how->key_separator.data, how->key_separator.bytes);
        if (!code)
            code = ew__tmpl_json_dump(r, &pairs[i].value, how, out, depth + 1);
    }
    if (!code)
        code = dump_break(r, how, out, depth);
    return code ? code : put(r, out, "}");
}

int ew__tmpl_json_dump(struct render *r, const struct value *v, const struct tmpl_json *how,
                       struct ew_buf *out, uint32_t depth)
{
    char text[32];
    int code = ew__tmpl_step(r, 1);
    if (code)
        return code;
    if (depth > TMPL_VALUE_DEPTH_MAX)
        return ew__tmpl_fail(r, EW_ELIMIT, "values nested deeper than %d", TMPL_VALUE_DEPTH_MAX);
    switch (v->kind) {
    case V_NONE:
        return put(r, out, "null");
    case V_BOOL:
        return put(r, out, v->b ? "true" : "false");
    case V_INT:
        snprintf(text, sizeof text, "%lld", (long long)v->i);
        return put(r, out, text);
    case V_FLOAT:
        ew__tmpl_format_float(v->f, text);
        return put(r, out,
                   isnan(v->f)    ? "NaN"
                   : !isinf(v->f) ? text
                   : v->f < 0     ? "-Infinity"
                                  : "Infinity");
    case V_STR:
        code = ew__tmpl_step_bytes(r, v->bytes);
        return code ? code : dump_string(r, value_text(v), how->ensure_ascii, out);
    case V_LIST:
    case V_TUPLE:
        return dump_list(r, v->list, how, out, depth);
    case V_DICT:
        return dump_dict(r, v->dict, how, out, depth);
    default:
        return TYPE_FAIL(r, "tojson: '%s' isn't JSON", ew__tmpl_kind(v));
    }
}
