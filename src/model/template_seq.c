/* template_seq.c - chat template: filters that walk over lists, objects and strings.
 *
 * map, select, reverse and their like give an iterator as in Jinja: walked once, without a length,
 * true even when it is empty. Templates written for Jinja rely on that, if only by accident. */
#include "model/template_int.h"

#include <stdlib.h>
#include <string.h>

/* ---- what an item is judged by ---- */

/* "a.b.0" of an item; V_UNSET or none: the item itself. */
static int attribute(struct render *r, const struct value *item, const struct value *path,
                     struct value *out)
{
    *out = *item;
    if (path->kind == V_UNSET || path->kind == V_NONE)
        return 0;
    if (path->kind != V_STR)
        return ew__tmpl_get_item(r, item, path, out);
    struct ew_str s = value_text(path);
    for (size_t at = 0; at <= s.bytes;) {
        const char *dot = memchr(s.data + at, '.', s.bytes - at);
        size_t end = dot ? (size_t)(dot - s.data) : s.bytes;
        struct value key = value_str(s.data + at, end - at);
        bool digits = end > at && end - at < 10;
        int64_t index = 0;
        for (size_t i = at; i < end && digits; i++) {
            digits = s.data[i] >= '0' && s.data[i] <= '9';
            index = index * 10 + (s.data[i] - '0');
        }
        if (digits)
            key = value_int(index);
        int code = ew__tmpl_get_item(r, out, &key, out);
        if (code)
            return code;
        at = end + 1;
    }
    return 0;
}

/* The attribute, in lower case unless case counts: what sort, min and unique compare. */
static int sort_key(struct render *r, const struct value *item, const struct value *path,
                    bool case_counts, struct value *out)
{
    int code = attribute(r, item, path, out);
    if (code || case_counts || out->kind != V_STR)
        return code;
    return ew__tmpl_case(r, value_text(out), CASE_LOWER, out);
}

static int give_list(struct render *r, const struct value *from, enum value_kind kind,
                     struct value *out)
{
    const struct value *items;
    uint32_t count;
    struct value list;
    int code = ew__tmpl_items(r, from, &items, &count);
    if (!code)
        code = ew__tmpl_list(r, kind, count, &list);
    for (uint32_t i = 0; i < count && !code; i++)
        code = ew__tmpl_push(r, list.list, &items[i]);
    if (!code)
        *out = list;
    return code;
}

/* ---- parts ---- */

static int run_list(struct render *r, const struct call *call, struct value *out)
{
    return give_list(r, &call->self, V_LIST, out);
}

static int run_length(struct render *r, const struct call *call, struct value *out)
{
    int64_t n;
    int code = ew__tmpl_length(r, &call->self, &n);
    *out = value_int(code ? 0 : n);
    return code;
}

static int run_first(struct render *r, const struct call *call, struct value *out)
{
    struct list *list = call->self.list;
    const struct value *items;
    uint32_t count;
    *out = value_undefined("first item", 10);
    if (call->self.kind == V_ITER) { /* takes only that one */
        if (list->taken < list->count)
            *out = list->items[list->taken++];
        return 0;
    }
    int code = ew__tmpl_items(r, &call->self, &items, &count);
    if (!code && count)
        *out = items[0];
    return code;
}

static int run_last(struct render *r, const struct call *call, struct value *out)
{
    const struct value *items;
    uint32_t count;
    *out = value_undefined("last item", 9);
    if (call->self.kind == V_ITER)
        return TYPE_FAIL(r, "last: a generator can't be walked backwards");
    int code = ew__tmpl_items(r, &call->self, &items, &count);
    if (!code && count)
        *out = items[count - 1];
    return code;
}

static int run_reverse(struct render *r, const struct call *call, struct value *out)
{
    static const struct value back[3] = {{0}, {0}, {.kind = V_INT, .i = -1}};
    if (call->self.kind == V_STR)
        return ew__tmpl_slice(r, &call->self, back, out);
    int code = give_list(r, &call->self, V_ITER, out);
    if (code)
        return code;
    struct list *list = out->list;
    for (uint32_t i = 0; i < list->count / 2; i++) {
        struct value other = list->items[list->count - 1 - i];
        list->items[list->count - 1 - i] = list->items[i];
        list->items[i] = other;
    }
    return 0;
}

static int run_join(struct render *r, const struct call *call, struct value *out)
{
    const struct value *items;
    uint32_t count;
    struct value glue = value_str("", 0);
    struct ew_buf buf;
    int code = ew__tmpl_items(r, &call->self, &items, &count);
    if (!code && call->argv[0].kind != V_UNSET)
        code = ew__tmpl_str(r, &call->argv[0], &glue);
    if (code)
        return code;
    ew__tmpl_text_begin(r, &buf);
    for (uint32_t i = 0; i < count && !code; i++) {
        struct value item;
        if (i)
            code = ew__tmpl_add(r, &buf, glue.s, glue.bytes);
        if (!code)
            code = attribute(r, &items[i], &call->argv[1], &item);
        if (!code)
            code = ew__tmpl_print(r, &item, &buf);
        if (!code)
            code = ew__tmpl_step(r, 1);
    }
    return ew__tmpl_text_end(r, &buf, code, out);
}

/* ---- map, select, reject ---- */

static int call_filter(struct render *r, const struct builtin *builtin, const struct call *from,
                       uint32_t skip, const struct value *input, struct value *out)
{
    struct call call = {.self = *input, .kwargs = from->kwargs, .kwarg_count = from->kwarg_count};
    call.args = from->count > skip ? from->args + skip : NULL;
    call.count = from->count > skip ? from->count - skip : 0;
    return ew__tmpl_invoke(r, builtin, &call, out);
}

static int unknown(struct render *r, const char *what, const struct value *name)
{
    int shown = name->bytes < 40 ? (int)name->bytes : 40;
    return ew__tmpl_fail(r, EW_EUNSUPPORTED, "unknown %s '%.*s'", what, shown, name->s);
}

static int run_map(struct render *r, const struct call *call, struct value *out)
{
    const struct value *path = call->count ? NULL : ew__tmpl_kwarg(call, "attribute");
    const struct value *fallback = ew__tmpl_kwarg(call, "default"), *items;
    const struct builtin *builtin = NULL;
    uint32_t count;
    struct value list;
    if (!ew__tmpl_truth(&call->self)) /* none as well: Jinja looks no further */
        return ew__tmpl_list(r, V_ITER, 0, out);
    if (!path) {
        if (!call->count || call->args[0].kind != V_STR)
            return TYPE_FAIL(r, "map: needs a filter's name, or attribute");
        builtin = ew__tmpl_find_filter(value_text(&call->args[0]));
        if (!builtin)
            return unknown(r, "filter", &call->args[0]);
    }
    int code = ew__tmpl_items(r, &call->self, &items, &count);
    if (code || (code = ew__tmpl_list(r, V_ITER, count, &list)))
        return code;
    for (uint32_t i = 0; i < count && !code; i++) {
        struct value one;
        code = builtin ? call_filter(r, builtin, call, 1, &items[i], &one)
                       : attribute(r, &items[i], path, &one);
        if (!code && !builtin && one.kind == V_UNDEFINED && fallback)
            one = *fallback;
        if (!code)
            code = ew__tmpl_push(r, list.list, &one);
    }
    *out = list;
    return code;
}

/* select and reject (skip 0), selectattr and rejectattr (skip 1: the attribute comes first). */
static int sift(struct render *r, const struct call *call, uint32_t skip, bool keep,
                struct value *out)
{
    const struct builtin *test = NULL;
    const struct value *items;
    uint32_t count;
    struct value list;
    if (!ew__tmpl_truth(&call->self))
        return ew__tmpl_list(r, V_ITER, 0, out);
    if (call->count < skip)
        return TYPE_FAIL(r, "selectattr: needs an attribute");
    if (call->count > skip) {
        const struct value *name = &call->args[skip];
        if (name->kind != V_STR)
            return TYPE_FAIL(r, "select: needs a test's name");
        test = ew__tmpl_find_test(value_text(name));
        if (!test)
            return unknown(r, "test", name);
    }
    int code = ew__tmpl_items(r, &call->self, &items, &count);
    if (code || (code = ew__tmpl_list(r, V_ITER, 0, &list)))
        return code;
    for (uint32_t i = 0; i < count && !code; i++) {
        struct value judged = items[i], holds;
        if (skip)
            code = attribute(r, &items[i], &call->args[0], &judged);
        holds = judged;
        if (!code && test)
            code = call_filter(r, test, call, skip + 1, &judged, &holds);
        if (!code && ew__tmpl_truth(&holds) == keep)
            code = ew__tmpl_push(r, list.list, &items[i]);
        if (!code)
            code = ew__tmpl_step(r, 1);
    }
    *out = list;
    return code;
}

static int run_select(struct render *r, const struct call *call, struct value *out)
{
    return sift(r, call, 0, true, out);
}

static int run_reject(struct render *r, const struct call *call, struct value *out)
{
    return sift(r, call, 0, false, out);
}

static int run_selectattr(struct render *r, const struct call *call, struct value *out)
{
    return sift(r, call, 1, true, out);
}

static int run_rejectattr(struct render *r, const struct call *call, struct value *out)
{
    return sift(r, call, 1, false, out);
}

/* ---- order ---- */

struct keyed {
    struct value key, item;
};

/* Merge sort from the bottom: stable, and it can stop with an error. */
static int sort(struct render *r, struct keyed *from, uint32_t count, bool reverse)
{
    struct keyed *to = ew__tmpl_take(r, (count + (size_t)1) * sizeof *to);
    if (!to)
        return r->err.code;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t low = 0; low < count; low += 2 * width) {
            size_t mid = low + width < count ? low + width : count;
            size_t high = low + 2 * width < count ? low + 2 * width : count;
            for (size_t a = low, b = mid, at = low; at < high; at++) {
                int order = 0;
                int code = a < mid && b < high
                               ? ew__tmpl_compare(r, &from[b].key, &from[a].key, &order)
                               : 0;
                if (code)
                    return code;
                bool second = reverse ? order > 0 : order < 0;
                to[at] = b >= high || (a < mid && !second) ? from[a++] : from[b++];
            }
        }
        memcpy(from, to, count * sizeof *to);
    }
    return 0;
}

static int sorted(struct render *r, const struct value *items, uint32_t count,
                  const struct value *path, bool case_counts, bool reverse, struct value *out)
{
    struct value list;
    struct keyed *keyed = ew__tmpl_take(r, (count + (size_t)1) * sizeof *keyed);
    if (!keyed)
        return r->err.code;
    int code = ew__tmpl_list(r, V_LIST, count, &list);
    for (uint32_t i = 0; i < count && !code; i++) {
        keyed[i].item = items[i];
        code = sort_key(r, &items[i], path, case_counts, &keyed[i].key);
    }
    if (!code)
        code = sort(r, keyed, count, reverse);
    for (uint32_t i = 0; i < count && !code; i++)
        code = ew__tmpl_push(r, list.list, &keyed[i].item);
    *out = list;
    return code;
}

static int run_sort(struct render *r, const struct call *call, struct value *out)
{
    const struct value *items;
    uint32_t count;
    int code = ew__tmpl_items(r, &call->self, &items, &count);
    return code ? code
                : sorted(r, items, count, &call->argv[2], ew__tmpl_arg_flag(&call->argv[1], false),
                         ew__tmpl_arg_flag(&call->argv[0], false), out);
}

/* A dict's pairs as tuples. */
static int pairs_of(struct render *r, const struct dict *dict, enum value_kind kind,
                    struct value *out)
{
    int code = ew__tmpl_list(r, kind, dict->count, out);
    for (uint32_t i = 0; i < dict->count && !code; i++) {
        struct value pair;
        code = ew__tmpl_list(r, V_TUPLE, 2, &pair);
        if (!code)
            code = ew__tmpl_push(r, pair.list, &dict->pairs[i].key);
        if (!code)
            code = ew__tmpl_push(r, pair.list, &dict->pairs[i].value);
        if (!code)
            code = ew__tmpl_push(r, out->list, &pair);
    }
    return code;
}

static int run_dictsort(struct render *r, const struct call *call, struct value *out)
{
    struct value pairs, path = value_int(0);
    struct ew_str by;
    int code = ew__tmpl_arg_str(r, &call->argv[1], "key", &by);
    if (code)
        return code;
    if (call->self.kind != V_DICT)
        return TYPE_FAIL(r, "dictsort of '%s'", ew__tmpl_kind(&call->self));
    if (ew_str_is(by, "value"))
        path.i = 1;
    else if (!ew_str_is(by, "key"))
        return TYPE_FAIL(r, "dictsort: by is 'key' or 'value'");
    code = pairs_of(r, call->self.dict, V_LIST, &pairs);
    return code ? code
                : sorted(r, pairs.list->items, pairs.list->count, &path,
                         ew__tmpl_arg_flag(&call->argv[0], false),
                         ew__tmpl_arg_flag(&call->argv[2], false), out);
}

static int run_items(struct render *r, const struct call *call, struct value *out)
{
    if (call->self.kind == V_UNDEFINED)
        return ew__tmpl_list(r, V_ITER, 0, out);
    if (call->self.kind != V_DICT)
        return TYPE_FAIL(r, "items of '%s'", ew__tmpl_kind(&call->self));
    return pairs_of(r, call->self.dict, V_ITER, out);
}

static int run_unique(struct render *r, const struct call *call, struct value *out)
{
    const struct value *items;
    uint32_t count;
    struct value list, keys;
    int code = ew__tmpl_items(r, &call->self, &items, &count);
    if (code || (code = ew__tmpl_list(r, V_ITER, 0, &list)) ||
        (code = ew__tmpl_list(r, V_LIST, 0, &keys)))
        return code;
    for (uint32_t i = 0; i < count && !code; i++) {
        struct value key;
        bool seen = false;
        code =
            sort_key(r, &items[i], &call->argv[1], ew__tmpl_arg_flag(&call->argv[0], false), &key);
        if (!code)
            code = ew__tmpl_contains(r, &keys, &key, &seen);
        if (!code && !seen)
            code = ew__tmpl_push(r, keys.list, &key);
        if (!code && !seen)
            code = ew__tmpl_push(r, list.list, &items[i]);
    }
    *out = list;
    return code;
}

static int extreme(struct render *r, const struct call *call, int sign, struct value *out)
{
    const struct value *items;
    uint32_t count;
    struct value best, key;
    int code = ew__tmpl_items(r, &call->self, &items, &count);
    *out = value_undefined("extreme of nothing", 18);
    for (uint32_t i = 0; i < count && !code; i++) {
        int order = 0;
        code =
            sort_key(r, &items[i], &call->argv[1], ew__tmpl_arg_flag(&call->argv[0], false), &key);
        if (!code && i)
            code = ew__tmpl_compare(r, &key, &best, &order);
        if (!code && (!i || order * sign > 0)) {
            best = key;
            *out = items[i];
        }
    }
    return code;
}

static int run_min(struct render *r, const struct call *call, struct value *out)
{
    return extreme(r, call, -1, out);
}

static int run_max(struct render *r, const struct call *call, struct value *out)
{
    return extreme(r, call, 1, out);
}

static int run_sum(struct render *r, const struct call *call, struct value *out)
{
    const struct value *items;
    uint32_t count;
    struct value total = call->argv[1].kind == V_UNSET ? value_int(0) : call->argv[1];
    int code = ew__tmpl_items(r, &call->self, &items, &count);
    for (uint32_t i = 0; i < count && !code; i++) {
        struct value item, before = total;
        code = attribute(r, &items[i], &call->argv[0], &item);
        if (!code)
            code = ew__tmpl_binary(r, OP_ADD, &before, &item, &total);
    }
    *out = total;
    return code;
}

const struct builtin *ew__tmpl_find_seq_filter(struct ew_str name)
{
    static const struct builtin rows[] = {
        {"length", run_length, "", 0},
        {"count", run_length, "", 0},
        {"list", run_list, "", 0},
        {"first", run_first, "", 0},
        {"last", run_last, "", 0},
        {"join", run_join, "d attribute", 0},
        {"reverse", run_reverse, "", 0},
        {"map", run_map, "*", 0},
        {"select", run_select, "*", 0},
        {"reject", run_reject, "*", 0},
        {"selectattr", run_selectattr, "*", 0},
        {"rejectattr", run_rejectattr, "*", 0},
        {"sort", run_sort, "reverse case_sensitive attribute", 0},
        {"dictsort", run_dictsort, "case_sensitive by reverse", 0},
        {"items", run_items, "", 0},
        {"unique", run_unique, "case_sensitive attribute", 0},
        {"min", run_min, "case_sensitive attribute", 0},
        {"max", run_max, "case_sensitive attribute", 0},
        {"sum", run_sum, "attribute start", 0},
    };
    return ew__tmpl_find_in(rows, EW_COUNT(rows), name);
}
