/* template_filters.c - chat template: filters of one value. Those that walk are in template_seq.c.
 */
#include "model/template_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int change_case(struct render *r, const struct call *call, enum tmpl_case how,
                       struct value *out)
{
    struct value text;
    int code = ew__tmpl_str(r, &call->self, &text);
    return code ? code : ew__tmpl_case(r, value_text(&text), how, out);
}

static int run_upper(struct render *r, const struct call *call, struct value *out)
{
    return change_case(r, call, CASE_UPPER, out);
}

static int run_lower(struct render *r, const struct call *call, struct value *out)
{
    return change_case(r, call, CASE_LOWER, out);
}

static int run_capitalize(struct render *r, const struct call *call, struct value *out)
{
    return change_case(r, call, CASE_CAPITALIZE, out);
}

static int run_title(struct render *r, const struct call *call, struct value *out)
{
    return change_case(r, call, CASE_TITLE_WORDS, out);
}

static int run_string(struct render *r, const struct call *call, struct value *out)
{
    return ew__tmpl_str(r, &call->self, out);
}

/* Output isn't escaped here, so there is nothing to mark as safe. */
static int run_safe(struct render *r, const struct call *call, struct value *out)
{
    return ew__tmpl_str(r, &call->self, out);
}

static int run_trim(struct render *r, const struct call *call, struct value *out)
{
    struct value text;
    struct ew_str chars;
    bool given = call->argv[0].kind != V_UNSET && call->argv[0].kind != V_NONE;
    int code = ew__tmpl_str(r, &call->self, &text);
    if (code || (code = ew__tmpl_arg_str(r, &call->argv[0], "", &chars)) ||
        (code = ew__tmpl_step_strip(r, value_text(&text), chars)))
        return code;
    struct ew_str s =
        ew__tmpl_strip(value_text(&text), given ? &chars : NULL, STRIP_LEFT | STRIP_RIGHT);
    *out = value_str(s.data, s.bytes);
    return 0;
}

static int run_replace(struct render *r, const struct call *call, struct value *out)
{
    struct value text, from, to;
    int64_t count;
    int code = ew__tmpl_str(r, &call->self, &text);
    if (code || (code = ew__tmpl_str(r, &call->argv[0], &from)) ||
        (code = ew__tmpl_str(r, &call->argv[1], &to)) ||
        (code = ew__tmpl_arg_int(r, &call->argv[2], -1, &count)))
        return code;
    return ew__tmpl_replace(r, value_text(&text), value_text(&from), value_text(&to), count, out);
}

static int run_escape(struct render *r, const struct call *call, struct value *out)
{
    static const struct {
        const char *from, *to;
    } marks[] = {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"'", "&#39;"}, {"\"", "&#34;"}};
    int code = ew__tmpl_str(r, &call->self, out);
    for (size_t i = 0; i < EW_COUNT(marks) && !code; i++)
        code = ew__tmpl_replace(r, value_text(out), (struct ew_str){marks[i].from, 1},
                                (struct ew_str){marks[i].to, strlen(marks[i].to)}, -1, out);
    return code;
}

static int run_indent(struct render *r, const struct call *call, struct value *out)
{
    struct value text, lines, pad = value_str(" ", 1);
    int64_t width;
    int code = ew__tmpl_str(r, &call->self, &text);
    if (code || (code = ew__tmpl_splitlines(r, value_text(&text), false, &lines)))
        return code;
    if (call->argv[0].kind == V_STR) {
        pad = call->argv[0];
    } else {
        struct value space = value_str(" ", 1), times;
        if ((code = ew__tmpl_arg_int(r, &call->argv[0], 4, &width)))
            return code;
        times = value_int(width);
        if ((code = ew__tmpl_binary(r, OP_MUL, &space, &times, &pad)))
            return code;
    }
    bool first = ew__tmpl_arg_flag(&call->argv[1], false);
    bool blank = ew__tmpl_arg_flag(&call->argv[2], false);
    bool ends = text.bytes == 0 || text.s[text.bytes - 1] == '\n';
    struct ew_buf buf;
    ew__tmpl_text_begin(r, &buf);
    if (first)
        code = ew__tmpl_add(r, &buf, pad.s, pad.bytes);
    for (uint32_t i = 0; i < lines.list->count && !code; i++) {
        const struct value *line = &lines.list->items[i];
        if (i)
            code = ew__tmpl_add(r, &buf, "\n", 1);
        if (!code && i && (blank || line->bytes))
            code = ew__tmpl_add(r, &buf, pad.s, pad.bytes);
        if (!code)
            code = ew__tmpl_add(r, &buf, line->s, line->bytes);
    }
    if (!code && ends && lines.list->count) /* the empty line after the last newline */
        code = ew__tmpl_add(r, &buf, "\n", 1);
    if (!code && ends && lines.list->count && blank)
        code = ew__tmpl_add(r, &buf, pad.s, pad.bytes);
    return ew__tmpl_text_end(r, &buf, code, out);
}

static int run_default(struct render *r, const struct call *call, struct value *out)
{
    (void)r;
    bool replaces = call->self.kind == V_UNDEFINED ||
                    (ew__tmpl_arg_flag(&call->argv[1], false) && !ew__tmpl_truth(&call->self));
    *out = !replaces                       ? call->self
           : call->argv[0].kind == V_UNSET ? value_str("", 0)
                                           : call->argv[0];
    return 0;
}

/* The filter's own signature and what transformers gives it: no escaping of HTML, text as it is. */
static int run_tojson(struct render *r, const struct call *call, struct value *out)
{
    const struct value *indent = &call->argv[1], *separators = &call->argv[2];
    struct tmpl_json how = {.ensure_ascii = ew__tmpl_arg_flag(&call->argv[0], false),
                            .sort_keys = ew__tmpl_arg_flag(&call->argv[3], false),
                            .item_separator = {", ", 2},
                            .key_separator = {": ", 2}};
    struct ew_buf buf;
    int code = 0;
    if (indent->kind == V_STR) {
        how.pretty = true;
        how.indent = value_text(indent);
    } else if (indent->kind != V_UNSET && indent->kind != V_NONE) {
        struct value pad, space = value_str(" ", 1);
        if ((code = ew__tmpl_binary(r, OP_MUL, &space, indent, &pad)))
            return code;
        how.pretty = true;
        how.indent = value_text(&pad);
    }
    if (how.pretty)
        how.item_separator = (struct ew_str){",", 1};
    if (separators->kind != V_UNSET && separators->kind != V_NONE) {
        const struct value *items;
        uint32_t count;
        if ((code = ew__tmpl_items(r, separators, &items, &count)))
            return code;
        if (count != 2 || items[0].kind != V_STR || items[1].kind != V_STR)
            return TYPE_FAIL(r, "tojson: separators are two strings");
        how.item_separator = value_text(&items[0]);
        how.key_separator = value_text(&items[1]);
    }
    ew__tmpl_text_begin(r, &buf);
    code = ew__tmpl_json_dump(r, &call->self, &how, &buf, 0);
    return ew__tmpl_text_end(r, &buf, code, out);
}

/* The number that a text spells, or false. */
static bool spelled(const struct value *v, double *f, int64_t *i, bool *is_int)
{
    struct ew_str s = ew__tmpl_strip(value_text(v), NULL, STRIP_LEFT | STRIP_RIGHT);
    char text[64], *end;
    if (s.bytes == 0 || s.bytes >= sizeof text || memchr(s.data, 'x', s.bytes) ||
        memchr(s.data, 'X', s.bytes))
        return false;
    memcpy(text, s.data, s.bytes);
    text[s.bytes] = '\0';
    size_t sign = text[0] == '-' || text[0] == '+';
    *is_int = s.bytes > sign && s.bytes - sign <= 18 &&
              strspn(text + sign, "0123456789") == s.bytes - sign;
    *i = *is_int ? strtoll(text, NULL, 10) : 0;
    *f = strtod(text, &end);
    return *end == '\0';
}

static int run_int(struct render *r, const struct call *call, struct value *out)
{
    double f = 0;
    int64_t i = 0;
    bool is_int = ew__tmpl_integer(&call->self, &i);
    bool known = is_int || ew__tmpl_number(&call->self, &f) ||
                 (call->self.kind == V_STR && spelled(&call->self, &f, &i, &is_int));
    (void)r;
    if (known && !is_int) {
        known = isfinite(f) && fabs(f) < 9e18;
        i = known ? (int64_t)f : 0;
    }
    *out = known ? value_int(i) : call->argv[0].kind == V_UNSET ? value_int(0) : call->argv[0];
    return 0;
}

static int run_float(struct render *r, const struct call *call, struct value *out)
{
    double f = 0;
    int64_t i;
    bool is_int, known = ew__tmpl_number(&call->self, &f) ||
                         (call->self.kind == V_STR && spelled(&call->self, &f, &i, &is_int));
    (void)r;
    *out = known ? value_float(f) : call->argv[0].kind == V_UNSET ? value_float(0) : call->argv[0];
    return 0;
}

static int run_abs(struct render *r, const struct call *call, struct value *out)
{
    int64_t i;
    if (call->self.kind == V_FLOAT) {
        *out = value_float(fabs(call->self.f));
        return 0;
    }
    if (!ew__tmpl_integer(&call->self, &i) || i == INT64_MIN)
        return TYPE_FAIL(r, "abs of '%s'", ew__tmpl_kind(&call->self));
    *out = value_int(i < 0 ? -i : i);
    return 0;
}

static int run_round(struct render *r, const struct call *call, struct value *out)
{
    double f;
    int64_t places, i;
    struct ew_str how;
    int code = ew__tmpl_arg_int(r, &call->argv[0], 0, &places);
    if (code || (code = ew__tmpl_arg_str(r, &call->argv[1], "common", &how)))
        return code;
    if (!ew__tmpl_number(&call->self, &f))
        return TYPE_FAIL(r, "round of '%s'", ew__tmpl_kind(&call->self));
    bool common = ew_str_is(how, "common");
    if (common && places >= 0 && ew__tmpl_integer(&call->self, &i)) {
        *out = value_int(i);
        return 0;
    }
    if (places < -18 || places > 300)
        return TYPE_FAIL(r, "round to %lld places", (long long)places);
    if (common && ew__tmpl_integer(&call->self, &i)) { /* places < 0, half to even */
        double whole = pow(10, (double)-places);
        *out = value_int((int64_t)(nearbyint((double)i / whole) * whole));
        return 0;
    }
    double scale = pow(10, (double)places);
    if (common && places >= 0) { /* correct rounding of the decimal, half to even, is printf's */
        char text[700];
        snprintf(text, sizeof text, "%.*f", (int)places, f);
        *out = value_float(strtod(text, NULL));
    } else if (common) {
        *out = value_float(nearbyint(f * scale) / scale);
    } else if (ew_str_is(how, "floor") || ew_str_is(how, "ceil")) {
        *out = value_float((ew_str_is(how, "floor") ? floor(f * scale) : ceil(f * scale)) / scale);
    } else {
        return TYPE_FAIL(r, "round: the method is common, ceil or floor");
    }
    return 0;
}

static int run_format(struct render *r, const struct call *call, struct value *out)
{
    struct value format, args;
    int code = ew__tmpl_str(r, &call->self, &format);
    if (code || (code = ew__tmpl_list(r, V_TUPLE, call->count, &args)))
        return code;
    for (uint32_t i = 0; i < call->count && !code; i++)
        code = ew__tmpl_push(r, args.list, &call->args[i]);
    return code ? code : ew__tmpl_percent(r, value_text(&format), &args, out);
}

const struct builtin *ew__tmpl_find_filter(struct ew_str name)
{
    static const struct builtin rows[] = {
        {"trim", run_trim, "chars", 0},
        {"tojson", run_tojson, "ensure_ascii indent separators sort_keys", 0},
        {"default", run_default, "default_value boolean", 0},
        {"d", run_default, "default_value boolean", 0},
        {"upper", run_upper, "", 0},
        {"lower", run_lower, "", 0},
        {"capitalize", run_capitalize, "", 0},
        {"title", run_title, "", 0},
        {"string", run_string, "", 0},
        {"safe", run_safe, "", 0},
        {"escape", run_escape, "", 0},
        {"e", run_escape, "", 0},
        {"replace", run_replace, "old new count", 2},
        {"indent", run_indent, "width first blank", 0},
        {"int", run_int, "default base", 0},
        {"float", run_float, "default", 0},
        {"abs", run_abs, "", 0},
        {"round", run_round, "precision method", 0},
        {"format", run_format, "*", 0},
    };
    const struct builtin *found = ew__tmpl_find_in(rows, EW_COUNT(rows), name);
    return found ? found : ew__tmpl_find_seq_filter(name);
}
