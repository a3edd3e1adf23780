/* template_methods.c - chat template: methods of strings, dicts, lists and the loop.
 *
 * Those that would change a value are refused, as the immutable sandbox of Jinja does; the
 * exceptions are append and pop of a list, which templates in the wild use and other runtimes
 * allow: they can only touch this render's own copy. */
#include "model/template_int.h"

#include <string.h>

/* ---- strings ---- */

static int strip(struct render *r, const struct call *call, unsigned sides, struct value *out)
{
    struct ew_str chars;
    bool given = call->argv[0].kind != V_UNSET && call->argv[0].kind != V_NONE;
    int code = ew__tmpl_arg_str(r, &call->argv[0], "", &chars);
    if (code || (code = ew__tmpl_step_strip(r, value_text(&call->self), chars)))
        return code;
    struct ew_str s = ew__tmpl_strip(value_text(&call->self), given ? &chars : NULL, sides);
    *out = value_str(s.data, s.bytes);
    return 0;
}

static int run_strip(struct render *r, const struct call *call, struct value *out)
{
    return strip(r, call, STRIP_LEFT | STRIP_RIGHT, out);
}

static int run_lstrip(struct render *r, const struct call *call, struct value *out)
{
    return strip(r, call, STRIP_LEFT, out);
}

static int run_rstrip(struct render *r, const struct call *call, struct value *out)
{
    return strip(r, call, STRIP_RIGHT, out);
}

static int push_text(struct render *r, struct list *list, const char *from, const char *to)
{
    struct value part = value_str(from, (size_t)(to - from));
    return ew__tmpl_push(r, list, &part);
}

static int split_at(struct render *r, struct ew_str s, struct ew_str sep, int64_t max,
                    struct list *list)
{
    const char *from = s.data, *end = s.data + s.bytes, *hit;
    int code = 0;
    while (!code && max-- != 0 &&
           (hit = ew__tmpl_find((struct ew_str){from, (size_t)(end - from)}, sep))) {
        code = push_text(r, list, from, hit);
        from = hit + sep.bytes;
    }
    return code ? code : push_text(r, list, from, end);
}

static int split_space(struct render *r, struct ew_str s, int64_t max, struct list *list)
{
    const char *end = s.data + s.bytes;
    int code = 0;
    for (;;) {
        s = (struct ew_str){s.data, (size_t)(end - s.data)};
        s = ew__tmpl_strip(s, NULL, STRIP_LEFT);
        if (!s.bytes || code)
            return code;
        if (max-- == 0)
            return push_text(r, list, s.data, end);
        size_t at = 0;
        while (at < s.bytes) {
            uint32_t c;
            size_t n = ew__tmpl_decode(s.data + at, s.bytes - at, &c);
            if (ew__tmpl_is_space(c))
                break;
            at += n;
        }
        code = push_text(r, list, s.data, s.data + at);
        s.data += at;
    }
}

static void turn_around(struct list *list)
{
    for (uint32_t i = 0; i < list->count / 2; i++) {
        struct value other = list->items[i];
        list->items[i] = list->items[list->count - 1 - i];
        list->items[list->count - 1 - i] = other;
    }
}

/* From the right, parts pushed last first. */
static int rsplit(struct render *r, struct ew_str s, const struct ew_str *sep, int64_t max,
                  struct list *list)
{
    int code = 0;
    if (!sep)
        s = ew__tmpl_strip(s, NULL, STRIP_RIGHT);
    while (!code && max != 0) {
        struct ew_str left = s;
        size_t hit = s.bytes, width = 1;
        bool found = false;
        for (size_t at = s.bytes; at-- > 0 && !found;) {
            if (sep) {
                found = s.bytes - at >= sep->bytes && !memcmp(s.data + at, sep->data, sep->bytes);
                width = sep->bytes;
            } else if (((unsigned char)s.data[at] & 0xc0) != 0x80) {
                uint32_t c;
                width = ew__tmpl_decode(s.data + at, s.bytes - at, &c);
                found = ew__tmpl_is_space(c);
            }
            hit = at;
        }
        if (!found)
            break;
        code = ew__tmpl_step_bytes(r, (s.bytes - hit) * width);
        if (!code)
            code = push_text(r, list, s.data + hit + width, s.data + s.bytes);
        left.bytes = hit;
        s = sep ? left : ew__tmpl_strip(left, NULL, STRIP_RIGHT);
        max--;
    }
    if (!code && (sep || s.bytes))
        code = push_text(r, list, s.data, s.data + s.bytes);
    turn_around(list);
    return code;
}

static int split(struct render *r, const struct call *call, bool right, struct value *out)
{
    struct ew_str sep, s = value_text(&call->self);
    bool given = call->argv[0].kind != V_UNSET && call->argv[0].kind != V_NONE;
    int64_t max;
    int code = ew__tmpl_arg_str(r, &call->argv[0], "", &sep);
    if (code || (code = ew__tmpl_arg_int(r, &call->argv[1], -1, &max)) ||
        (code = ew__tmpl_list(r, V_LIST, 0, out)) || (code = ew__tmpl_step_bytes(r, s.bytes)))
        return code;
    if (given && !sep.bytes)
        return TYPE_FAIL(r, "split by an empty string");
    if (right)
        return rsplit(r, s, given ? &sep : NULL, max, out->list);
    return given ? split_at(r, s, sep, max, out->list) : split_space(r, s, max, out->list);
}

static int run_split(struct render *r, const struct call *call, struct value *out)
{
    return split(r, call, false, out);
}

static int run_rsplit(struct render *r, const struct call *call, struct value *out)
{
    return split(r, call, true, out);
}

static int run_splitlines(struct render *r, const struct call *call, struct value *out)
{
    return ew__tmpl_splitlines(r, value_text(&call->self), ew__tmpl_arg_flag(&call->argv[0], false),
                               out);
}

static int has_affix(struct render *r, const struct call *call, bool at_end, struct value *out)
{
    const struct value *affixes = &call->argv[0];
    uint32_t count = 1;
    bool holds = false;
    if (affixes->kind == V_TUPLE) {
        count = affixes->list->count;
        affixes = affixes->list->items;
    }
    for (uint32_t i = 0; i < count && !holds; i++) {
        struct ew_str affix, s = value_text(&call->self);
        int code = ew__tmpl_arg_str(r, &affixes[i], NULL, &affix);
        if (!code)
            code = ew__tmpl_step_bytes(r, affix.bytes);
        if (code)
            return code;
        holds = affix.bytes <= s.bytes &&
                !memcmp(s.data + (at_end ? s.bytes - affix.bytes : 0), affix.data, affix.bytes);
    }
    *out = value_bool(holds);
    return 0;
}

static int run_startswith(struct render *r, const struct call *call, struct value *out)
{
    return has_affix(r, call, false, out);
}

static int run_endswith(struct render *r, const struct call *call, struct value *out)
{
    return has_affix(r, call, true, out);
}

static int remove_affix(struct render *r, const struct call *call, bool at_end, struct value *out)
{
    struct ew_str affix;
    int code = ew__tmpl_arg_str(r, &call->argv[0], NULL, &affix);
    if (code || (code = has_affix(r, call, at_end, out)))
        return code;
    bool has = out->b;
    *out = call->self;
    out->bytes -= has ? (uint32_t)affix.bytes : 0;
    out->s += has && !at_end ? affix.bytes : 0;
    return 0;
}

static int run_removeprefix(struct render *r, const struct call *call, struct value *out)
{
    return remove_affix(r, call, false, out);
}

static int run_removesuffix(struct render *r, const struct call *call, struct value *out)
{
    return remove_affix(r, call, true, out);
}

static int run_upper(struct render *r, const struct call *call, struct value *out)
{
    return ew__tmpl_case(r, value_text(&call->self), CASE_UPPER, out);
}

static int run_lower(struct render *r, const struct call *call, struct value *out)
{
    return ew__tmpl_case(r, value_text(&call->self), CASE_LOWER, out);
}

static int run_capitalize(struct render *r, const struct call *call, struct value *out)
{
    return ew__tmpl_case(r, value_text(&call->self), CASE_CAPITALIZE, out);
}

static int run_title(struct render *r, const struct call *call, struct value *out)
{
    return ew__tmpl_case(r, value_text(&call->self), CASE_TITLE, out);
}

static int run_replace(struct render *r, const struct call *call, struct value *out)
{
    struct ew_str from, to;
    int64_t count;
    int code = ew__tmpl_arg_str(r, &call->argv[0], NULL, &from);
    if (code || (code = ew__tmpl_arg_str(r, &call->argv[1], NULL, &to)) ||
        (code = ew__tmpl_arg_int(r, &call->argv[2], -1, &count)))
        return code;
    return ew__tmpl_replace(r, value_text(&call->self), from, to, count, out);
}

static int run_find(struct render *r, const struct call *call, struct value *out)
{
    struct ew_str what, s = value_text(&call->self);
    int code = ew__tmpl_arg_str(r, &call->argv[0], NULL, &what);
    if (code)
        return code;
    const char *hit = ew__tmpl_find(s, what);
    *out = value_int(hit ? (int64_t)ew__tmpl_count((struct ew_str){s.data, (size_t)(hit - s.data)})
                         : -1);
    return ew__tmpl_step_bytes(r, s.bytes);
}

static int run_count(struct render *r, const struct call *call, struct value *out)
{
    struct ew_str what, s = value_text(&call->self);
    int64_t count = 0;
    int code = ew__tmpl_arg_str(r, &call->argv[0], NULL, &what);
    if (code || (code = ew__tmpl_step_bytes(r, s.bytes)))
        return code;
    for (const char *hit; what.bytes && (hit = ew__tmpl_find(s, what)); count++) {
        size_t skip = (size_t)(hit - s.data) + what.bytes;
        s = (struct ew_str){s.data + skip, s.bytes - skip};
    }
    *out = value_int(what.bytes ? count : (int64_t)ew__tmpl_count(s) + 1);
    return 0;
}

static int run_join(struct render *r, const struct call *call, struct value *out)
{
    const struct value *items;
    uint32_t count;
    struct ew_buf buf;
    int code = ew__tmpl_items(r, &call->argv[0], &items, &count);
    if (code)
        return code;
    ew__tmpl_text_begin(r, &buf);
    for (uint32_t i = 0; i < count && !code; i++) {
        if (items[i].kind != V_STR)
            code = TYPE_FAIL(r, "join: item %u is '%s'", i, ew__tmpl_kind(&items[i]));
        if (!code && i)
            code = ew__tmpl_add(r, &buf, call->self.s, call->self.bytes);
        if (!code)
            code = ew__tmpl_add(r, &buf, items[i].s, items[i].bytes);
        if (!code)
            code = ew__tmpl_step(r, 1);
    }
    return ew__tmpl_text_end(r, &buf, code, out);
}

/* Are all characters, at least one, of a class? */
static int all_are(struct render *r, const struct call *call, bool (*is)(uint32_t c),
                   struct value *out)
{
    struct ew_str s = value_text(&call->self);
    bool holds = s.bytes > 0;
    for (size_t at = 0; at < s.bytes && holds;) {
        uint32_t c;
        at += ew__tmpl_decode(s.data + at, s.bytes - at, &c);
        holds = is(c);
    }
    *out = value_bool(holds);
    return ew__tmpl_step_bytes(r, s.bytes);
}

static bool is_ascii_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

static int run_isdigit(struct render *r, const struct call *call, struct value *out)
{
    return all_are(r, call, is_ascii_digit, out);
}

static int run_isspace(struct render *r, const struct call *call, struct value *out)
{
    return all_are(r, call, ew__tmpl_is_space, out);
}

/* ---- dicts ---- */

static int run_get(struct render *r, const struct call *call, struct value *out)
{
    const struct value *found = ew__tmpl_get(call->self.dict, &call->argv[0]);
    *out = found ? *found : call->argv[1].kind == V_UNSET ? value_none() : call->argv[1];
    return ew__tmpl_step_key(r, &call->argv[0]);
}

enum side { KEYS, VALUES, ITEMS };

static int walk(struct render *r, const struct dict *dict, enum side side, struct value *out)
{
    int code = ew__tmpl_list(r, V_LIST, dict->count, out);
    for (uint32_t i = 0; i < dict->count && !code; i++) {
        const struct pair *pair = &dict->pairs[i];
        struct value one = side == KEYS ? pair->key : pair->value;
        if (side == ITEMS) {
            code = ew__tmpl_list(r, V_TUPLE, 2, &one);
            if (!code)
                code = ew__tmpl_push(r, one.list, &pair->key);
            if (!code)
                code = ew__tmpl_push(r, one.list, &pair->value);
        }
        if (!code)
            code = ew__tmpl_push(r, out->list, &one);
    }
    return code;
}

static int run_keys(struct render *r, const struct call *call, struct value *out)
{
    return walk(r, call->self.dict, KEYS, out);
}

static int run_values(struct render *r, const struct call *call, struct value *out)
{
    return walk(r, call->self.dict, VALUES, out);
}

static int run_items(struct render *r, const struct call *call, struct value *out)
{
    return walk(r, call->self.dict, ITEMS, out);
}

static int run_copy(struct render *r, const struct call *call, struct value *out)
{
    const struct dict *dict = call->self.dict;
    int code = ew__tmpl_dict(r, V_DICT, out);
    for (uint32_t i = 0; i < dict->count && !code; i++)
        code = ew__tmpl_put(r, out->dict, &dict->pairs[i].key, &dict->pairs[i].value);
    return code;
}

static int run_refuse(struct render *r, const struct call *call, struct value *out)
{
    (void)out;
    return TYPE_FAIL(r, "a method that would change a '%s'", ew__tmpl_kind(&call->self));
}

/* ---- lists ---- */

static int run_append(struct render *r, const struct call *call, struct value *out)
{
    *out = value_none();
    return ew__tmpl_push(r, call->self.list, &call->argv[0]);
}

static int run_pop(struct render *r, const struct call *call, struct value *out)
{
    struct list *list = call->self.list;
    int64_t at;
    int code = ew__tmpl_arg_int(r, &call->argv[0], -1, &at);
    if (code)
        return code;
    at += at < 0 ? list->count : 0;
    if (at < 0 || at >= list->count)
        return TYPE_FAIL(r, "pop: no such item");
    *out = list->items[at];
    list->count--;
    memmove(list->items + at, list->items + at + 1,
            (list->count - (size_t)at) * sizeof *list->items);
    return ew__tmpl_step_bytes(r, (list->count - (size_t)at) * sizeof *list->items);
}

static int run_list_count(struct render *r, const struct call *call, struct value *out)
{
    const struct list *list = call->self.list;
    int64_t count = 0;
    int code = 0;
    for (uint32_t i = 0; i < list->count && !code; i++) {
        bool same = false;
        code = ew__tmpl_equal(r, &list->items[i], &call->argv[0], &same);
        count += same;
    }
    *out = value_int(count);
    return code;
}

static int run_index(struct render *r, const struct call *call, struct value *out)
{
    const struct list *list = call->self.list;
    for (uint32_t i = 0; i < list->count; i++) {
        bool same = false;
        int code = ew__tmpl_equal(r, &list->items[i], &call->argv[0], &same);
        *out = value_int(i);
        if (code || same)
            return code;
    }
    return TYPE_FAIL(r, "index: it isn't in the list");
}

/* ---- the loop ---- */

static int run_cycle(struct render *r, const struct call *call, struct value *out)
{
    if (!call->count)
        return TYPE_FAIL(r, "loop.cycle without items");
    *out = call->args[call->self.loop->at % call->count];
    return 0;
}

static int run_changed(struct render *r, const struct call *call, struct value *out)
{
    struct loop *loop = call->self.loop;
    struct value now;
    bool same = false;
    int code = ew__tmpl_list(r, V_TUPLE, call->count, &now);
    for (uint32_t i = 0; i < call->count && !code; i++)
        code = ew__tmpl_push(r, now.list, &call->args[i]);
    if (!code && loop->changed.kind != V_UNSET)
        code = ew__tmpl_equal(r, &loop->changed, &now, &same);
    if (code)
        return code;
    loop->changed = now;
    *out = value_bool(!same);
    return 0;
}

static const struct builtin str_methods[] = {
    {"strip", run_strip, "chars", 0},
    {"lstrip", run_lstrip, "chars", 0},
    {"rstrip", run_rstrip, "chars", 0},
    {"split", run_split, "sep maxsplit", 0},
    {"rsplit", run_rsplit, "sep maxsplit", 0},
    {"splitlines", run_splitlines, "keepends", 0},
    {"startswith", run_startswith, "prefix", 1},
    {"endswith", run_endswith, "suffix", 1},
    {"removeprefix", run_removeprefix, "prefix", 1},
    {"removesuffix", run_removesuffix, "suffix", 1},
    {"upper", run_upper, "", 0},
    {"lower", run_lower, "", 0},
    {"capitalize", run_capitalize, "", 0},
    {"title", run_title, "", 0},
    {"replace", run_replace, "old new count", 2},
    {"find", run_find, "sub", 1},
    {"count", run_count, "sub", 1},
    {"join", run_join, "iterable", 1},
    {"format", ew__tmpl_braces, "*", 0},
    {"isdigit", run_isdigit, "", 0},
    {"isspace", run_isspace, "", 0},
};

static const struct builtin dict_methods[] = {
    {"get", run_get, "key default", 1}, {"items", run_items, "", 0},
    {"keys", run_keys, "", 0},          {"values", run_values, "", 0},
    {"copy", run_copy, "", 0},          {"pop", run_refuse, "*", 0},
    {"update", run_refuse, "*", 0},     {"clear", run_refuse, "*", 0},
    {"setdefault", run_refuse, "*", 0}, {"popitem", run_refuse, "*", 0},
};

static const struct builtin list_methods[] = {
    {"append", run_append, "item", 1}, {"count", run_list_count, "item", 1},
    {"index", run_index, "item", 1},   {"extend", run_refuse, "*", 0},
    {"insert", run_refuse, "*", 0},    {"pop", run_pop, "index", 0},
    {"remove", run_refuse, "*", 0},    {"reverse", run_refuse, "*", 0},
    {"sort", run_refuse, "*", 0},      {"clear", run_refuse, "*", 0},
};

static const struct builtin tuple_methods[] = {
    {"count", run_list_count, "item", 1},
    {"index", run_index, "item", 1},
};

static const struct builtin loop_methods[] = {
    {"cycle", run_cycle, "*", 0},
    {"changed", run_changed, "*", 0},
};

const struct builtin *ew__tmpl_find_method(enum value_kind kind, struct ew_str name)
{
    switch (kind) {
    case V_STR:
        return ew__tmpl_find_in(str_methods, EW_COUNT(str_methods), name);
    case V_DICT:
        return ew__tmpl_find_in(dict_methods, EW_COUNT(dict_methods), name);
    case V_LIST:
        return ew__tmpl_find_in(list_methods, EW_COUNT(list_methods), name);
    case V_TUPLE:
        return ew__tmpl_find_in(tuple_methods, EW_COUNT(tuple_methods), name);
    case V_LOOP:
        return ew__tmpl_find_in(loop_methods, EW_COUNT(loop_methods), name);
    default:
        return NULL;
    }
}
