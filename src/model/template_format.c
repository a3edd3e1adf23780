/* template_format.c - chat template: "%s" % x, and "{}".format(x), in the forms that templates
 * use: %s %r %d %i %f %x with a width and precision; {} {0} {name} without a format after a colon.
 */
#include "model/template_int.h"

#include <stdio.h>
#include <string.h>

enum { WIDTH_MAX = 1000 };

struct spec {
    bool left, zero, plus;
    int width, precision; /* precision -1: none */
    char type;
};

/* After the '%'; returns the bytes it took, 0 when malformed. */
static size_t parse_spec(const char *s, size_t n, struct spec *out)
{
    size_t i = 0;
    *out = (struct spec){.precision = -1};
    for (; i < n && (s[i] == '-' || s[i] == '0' || s[i] == '+'); i++) {
        out->left |= s[i] == '-';
        out->zero |= s[i] == '0';
        out->plus |= s[i] == '+';
    }
    for (; i < n && s[i] >= '0' && s[i] <= '9' && out->width <= WIDTH_MAX; i++)
        out->width = out->width * 10 + (s[i] - '0');
    if (i < n && s[i] == '.') {
        out->precision = 0;
        for (i++; i < n && s[i] >= '0' && s[i] <= '9' && out->precision <= WIDTH_MAX; i++)
            out->precision = out->precision * 10 + (s[i] - '0');
    }
    if (i == n || out->width > WIDTH_MAX || out->precision > 100)
        return 0;
    out->type = s[i];
    return i + 1;
}

static int convert(struct render *r, const struct spec *spec, const struct value *v,
                   struct value *out)
{
    double f = 0;
    char text[512]; /* the largest double has 309 digits, and at most 100 follow the point */
    if (spec->type == 's' || spec->type == 'r') {
        struct ew_buf buf;
        ew__tmpl_text_begin(r, &buf);
        int code = spec->type == 's' ? ew__tmpl_print(r, v, &buf) : ew__tmpl_repr(r, v, &buf, 0);
        code = ew__tmpl_text_end(r, &buf, code, out);
        if (!code && spec->precision >= 0)
            out->bytes = (uint32_t)ew__tmpl_offset(value_text(out), (size_t)spec->precision);
        return code;
    }
    if (!ew__tmpl_number(v, &f))
        return TYPE_FAIL(r, "'%%%c' of '%s'", spec->type, ew__tmpl_kind(v));
    int64_t i = 0;
    bool is_int = ew__tmpl_integer(v, &i);
    if (!is_int && spec->type != 'f' && !(f > -9e18 && f < 9e18))
        return TYPE_FAIL(r, "an integer beyond 64 bits");
    i = is_int || spec->type == 'f' ? i : (int64_t)f;
    const char *sign = spec->plus && (is_int ? i >= 0 : f >= 0) ? "+" : "";
    if (spec->type == 'd' || spec->type == 'i')
        snprintf(text, sizeof text, "%s%lld", sign, (long long)i);
    else if (spec->type == 'x' && i >= 0 && is_int)
        snprintf(text, sizeof text, "%s%llx", sign, (unsigned long long)i);
    else if (spec->type == 'f')
        snprintf(text, sizeof text, "%s%.*f", sign, spec->precision < 0 ? 6 : spec->precision, f);
    else
        return ew__tmpl_fail(r, EW_EUNSUPPORTED, "formatting with '%%%c'", spec->type);
    return ew__tmpl_copy(r, text, strlen(text), out);
}

static int add_padded(struct render *r, const struct spec *spec, struct ew_str s,
                      struct ew_buf *buf)
{
    int code = 0;
    int64_t pad = spec->width - (int64_t)ew__tmpl_count(s);
    bool zero = spec->zero && !spec->left && spec->type != 's' && spec->type != 'r';
    if (zero && s.bytes && (s.data[0] == '-' || s.data[0] == '+')) {
        code = ew__tmpl_add(r, buf, s.data++, 1);
        s.bytes--;
    }
    for (int64_t i = 0; i < pad && !spec->left && !code; i++)
        code = ew__tmpl_add(r, buf, zero ? "0" : " ", 1);
    if (!code)
        code = ew__tmpl_add(r, buf, s.data, s.bytes);
    for (int64_t i = 0; i < pad && spec->left && !code; i++)
        code = ew__tmpl_add(r, buf, " ", 1);
    return code;
}

static int percent(struct render *r, struct ew_str format, const struct value *args, uint32_t count,
                   struct ew_buf *buf)
{
    uint32_t used = 0;
    for (size_t i = 0; i < format.bytes;) {
        int code;
        if (format.data[i] != '%' || (i + 1 < format.bytes && format.data[i + 1] == '%')) {
            if ((code = ew__tmpl_add(r, buf, format.data + i, 1)))
                return code;
            i += format.data[i] == '%' ? 2 : 1;
            continue;
        }
        struct spec spec;
        struct value text;
        size_t took = parse_spec(format.data + i + 1, format.bytes - i - 1, &spec);
        if (!took)
            return TYPE_FAIL(r, "a malformed format");
        if (used == count)
            return TYPE_FAIL(r, "more formats than values");
        if ((code = convert(r, &spec, &args[used++], &text)) ||
            (code = add_padded(r, &spec, value_text(&text), buf)) || (code = ew__tmpl_step(r, 1)))
            return code;
        i += 1 + took;
    }
    return used == count ? 0 : TYPE_FAIL(r, "more values than formats");
}

int ew__tmpl_percent(struct render *r, struct ew_str format, const struct value *args,
                     struct value *out)
{
    struct ew_buf buf;
    bool tuple = args->kind == V_TUPLE;
    ew__tmpl_text_begin(r, &buf);
    int code =
        percent(r, format, tuple ? args->list->items : args, tuple ? args->list->count : 1, &buf);
    return ew__tmpl_text_end(r, &buf, code, out);
}

/* What "{field}" stands for: by number, by name, or the next one. */
static const struct value *find_field(const struct call *call, struct ew_str field, uint32_t *next)
{
    uint32_t index = 0;
    if (!field.bytes)
        return *next < call->count ? &call->args[(*next)++] : NULL;
    bool digits = field.bytes < 9;
    for (size_t i = 0; i < field.bytes && digits; i++) {
        digits = field.data[i] >= '0' && field.data[i] <= '9';
        index = index * 10 + (uint32_t)(field.data[i] - '0');
    }
    if (digits)
        return index < call->count ? &call->args[index] : NULL;
    for (uint32_t i = 0; i < call->kwarg_count; i++)
        if (call->kwargs[i].name.bytes == field.bytes &&
            !memcmp(call->kwargs[i].name.s, field.data, field.bytes))
            return &call->kwargs[i].value;
    return NULL;
}

static int braces(struct render *r, const struct call *call, struct ew_buf *buf)
{
    struct ew_str s = value_text(&call->self);
    uint32_t next = 0;
    for (size_t i = 0; i < s.bytes;) {
        char c = s.data[i];
        bool brace = c == '{' || c == '}';
        int code;
        if (!brace || (i + 1 < s.bytes && s.data[i + 1] == c)) {
            if ((code = ew__tmpl_add(r, buf, &c, 1)))
                return code;
            i += brace ? 2 : 1;
            continue;
        }
        const char *close = c == '{' ? memchr(s.data + i, '}', s.bytes - i) : NULL;
        if (!close)
            return TYPE_FAIL(r, "format: a brace that is alone");
        struct ew_str field = {s.data + i + 1, (size_t)(close - s.data) - i - 1};
        for (size_t k = 0; k < field.bytes; k++)
            if (strchr(":!.[{", field.data[k]))
                return ew__tmpl_fail(r, EW_EUNSUPPORTED, "format: only plain {} and {name}");
        const struct value *v = find_field(call, field, &next);
        if (!v)
            return TYPE_FAIL(r, "format: no value for a field");
        if ((code = ew__tmpl_print(r, v, buf)) || (code = ew__tmpl_step(r, 1)))
            return code;
        i += field.bytes + 2;
    }
    return 0;
}

int ew__tmpl_braces(struct render *r, const struct call *call, struct value *out)
{
    struct ew_buf buf;
    ew__tmpl_text_begin(r, &buf);
    int code = braces(r, call, &buf);
    return ew__tmpl_text_end(r, &buf, code, out);
}
