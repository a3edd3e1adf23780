/* template_value.c - chat template: values, with the semantics of Python's.
 *
 * Nothing is ever freed before the render ends, so values are shared freely: a slice of a string
 * points into it. Only lists can change (append, pop), and what reads one reads it by count. */
#include "model/template_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DICT_LINEAR = 8 }; /* pairs that are found by looking at each */

const char *ew__tmpl_kind(const struct value *v)
{
    static const char *const names[] = {
        "nothing", "undefined", "NoneType", "bool",      "int",  "float", "str",      "list",
        "tuple",   "generator", "dict",     "namespace", "loop", "macro", "function", "method"};
    return names[v->kind];
}

bool ew__tmpl_truth(const struct value *v)
{
    switch (v->kind) {
    case V_UNSET:
    case V_UNDEFINED:
    case V_NONE:
        return false;
    case V_BOOL:
        return v->b;
    case V_INT:
        return v->i != 0;
    case V_FLOAT:
        return v->f != 0;
    case V_STR:
        return v->bytes != 0;
    case V_LIST:
    case V_TUPLE:
        return v->list->count != 0;
    case V_DICT:
        return v->dict->count != 0;
    case V_LOOP:
        return v->loop->count != 0;
    default:
        return true;
    }
}

bool ew__tmpl_integer(const struct value *v, int64_t *out)
{
    if (v->kind != V_INT && v->kind != V_BOOL)
        return false;
    *out = v->kind == V_INT ? v->i : v->b;
    return true;
}

bool ew__tmpl_number(const struct value *v, double *out)
{
    int64_t i;
    if (v->kind == V_FLOAT) {
        *out = v->f;
        return true;
    }
    if (!ew__tmpl_integer(v, &i))
        return false;
    *out = (double)i;
    return true;
}

/* ---- equality and order ---- */

static int equal(struct render *r, const struct value *a, const struct value *b, uint32_t depth,
                 bool *out);

static int equal_lists(struct render *r, const struct list *a, const struct list *b, uint32_t depth,
                       bool *out)
{
    *out = a->count == b->count;
    for (uint32_t i = 0; i < a->count && *out; i++) {
        int code = equal(r, &a->items[i], &b->items[i], depth + 1, out);
        if (code)
            return code;
    }
    return 0;
}

static int equal_dicts(struct render *r, const struct dict *a, const struct dict *b, uint32_t depth,
                       bool *out)
{
    *out = a->count == b->count;
    for (uint32_t i = 0; i < a->count && *out; i++) {
        const struct value *other = ew__tmpl_get(b, &a->pairs[i].key);
        *out = other != NULL;
        int code = other ? equal(r, &a->pairs[i].value, other, depth + 1, out) : 0;
        if (code)
            return code;
    }
    return 0;
}

static int equal(struct render *r, const struct value *a, const struct value *b, uint32_t depth,
                 bool *out)
{
    double x, y;
    int64_t i, j;
    int code = ew__tmpl_step(r, 1);
    if (code)
        return code;
    if (depth > TMPL_VALUE_DEPTH_MAX)
        return ew__tmpl_fail(r, EW_ELIMIT, "values nested deeper than %d", TMPL_VALUE_DEPTH_MAX);
    if (ew__tmpl_integer(a, &i) && ew__tmpl_integer(b, &j)) {
        *out = i == j;
        return 0;
    }
    if (ew__tmpl_number(a, &x) && ew__tmpl_number(b, &y)) {
        *out = x == y;
        return 0;
    }
    *out = false;
    if (a->kind != b->kind)
        return 0;
    switch (a->kind) {
    case V_STR:
        *out = a->bytes == b->bytes && (!a->bytes || memcmp(a->s, b->s, a->bytes) == 0);
        return ew__tmpl_step_bytes(r, a->bytes == b->bytes ? a->bytes : 0);
    case V_LIST:
    case V_TUPLE:
        return equal_lists(r, a->list, b->list, depth, out);
    case V_DICT:
        return equal_dicts(r, a->dict, b->dict, depth, out);
    case V_UNDEFINED:
    case V_NONE:
        *out = true;
        return 0;
    default:
        *out = a->list == b->list;
        return 0;
    }
}

int ew__tmpl_equal(struct render *r, const struct value *a, const struct value *b, bool *out)
{
    return equal(r, a, b, 0, out);
}

static int compare(struct render *r, const struct value *a, const struct value *b, uint32_t depth,
                   int *out)
{
    double x, y;
    int64_t i, j;
    int code = ew__tmpl_step(r, 1);
    if (code)
        return code;
    if (depth > TMPL_VALUE_DEPTH_MAX)
        return ew__tmpl_fail(r, EW_ELIMIT, "values nested deeper than %d", TMPL_VALUE_DEPTH_MAX);
    if (ew__tmpl_integer(a, &i) && ew__tmpl_integer(b, &j)) {
        *out = (i > j) - (i < j);
        return 0;
    }
    if (ew__tmpl_number(a, &x) && ew__tmpl_number(b, &y)) {
        *out = (x > y) - (x < y);
        return 0;
    }
    if (a->kind == V_STR && b->kind == V_STR) { /* UTF-8 sorts as its code points do */
        uint32_t n = a->bytes < b->bytes ? a->bytes : b->bytes;
        int by = n ? memcmp(a->s, b->s, n) : 0;
        *out = by ? by : (a->bytes > b->bytes) - (a->bytes < b->bytes);
        return ew__tmpl_step_bytes(r, n);
    }
    if (a->kind != b->kind || (a->kind != V_LIST && a->kind != V_TUPLE))
        return TYPE_FAIL(r, "'%s' and '%s' have no order", ew__tmpl_kind(a), ew__tmpl_kind(b));
    const struct list *l = a->list, *m = b->list;
    for (uint32_t k = 0; k < l->count && k < m->count; k++) {
        bool same;
        if ((code = equal(r, &l->items[k], &m->items[k], depth + 1, &same)))
            return code;
        if (!same)
            return compare(r, &l->items[k], &m->items[k], depth + 1, out);
    }
    *out = (l->count > m->count) - (l->count < m->count);
    return 0;
}

int ew__tmpl_compare(struct render *r, const struct value *a, const struct value *b, int *out)
{
    return compare(r, a, b, 0, out);
}

int ew__tmpl_contains(struct render *r, const struct value *object, const struct value *item,
                      bool *out)
{
    if (object->kind == V_STR) {
        if (item->kind != V_STR)
            return TYPE_FAIL(r, "'in' of a string needs a string, not '%s'", ew__tmpl_kind(item));
        *out = ew__tmpl_find(value_text(object), value_text(item)) != NULL;
        return ew__tmpl_step_bytes(r, object->bytes);
    }
    if (object->kind == V_DICT) {
        *out = ew__tmpl_get(object->dict, item) != NULL;
        return ew__tmpl_step_key(r, item);
    }
    const struct value *items;
    uint32_t count;
    int code = ew__tmpl_items(r, object, &items, &count);
    *out = false;
    for (uint32_t i = 0; i < count && !code && !*out; i++)
        code = ew__tmpl_equal(r, &items[i], item, out);
    return code;
}

/* ---- strings, lists ---- */

int ew__tmpl_copy(struct render *r, const char *data, size_t bytes, struct value *out)
{
    char *copy = ew__tmpl_take(r, bytes + 1);
    if (!copy)
        return r->err.code;
    if (bytes)
        memcpy(copy, data, bytes);
    *out = value_str(copy, bytes);
    return 0;
}

int ew__tmpl_list(struct render *r, enum value_kind kind, uint32_t capacity, struct value *out)
{
    struct list *list = ew__tmpl_take(r, sizeof *list);
    if (!list)
        return r->err.code;
    if (capacity) {
        list->items = ew__tmpl_take(r, capacity * sizeof *list->items);
        if (!list->items)
            return r->err.code;
        list->capacity = capacity;
    }
    *out = (struct value){.kind = kind, .list = list};
    return 0;
}

int ew__tmpl_push(struct render *r, struct list *list, const struct value *item)
{
    if (list->count == list->capacity) {
        uint32_t capacity = list->capacity ? list->capacity * 2 : 4;
        struct value *items = ew__tmpl_take(r, capacity * sizeof *items);
        if (!items)
            return r->err.code;
        if (list->count)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = *item;
    return ew__tmpl_step(r, 1);
}

/* ---- dicts ---- */

static uint32_t hash(const struct value *key)
{
    uint64_t h = 1469598103934665603u; /* FNV-1a, 64 bits, folded */
    double f;
    if (key->kind == V_STR) {
        for (uint32_t i = 0; i < key->bytes; i++)
            h = (h ^ (unsigned char)key->s[i]) * 1099511628211u;
    } else if (ew__tmpl_number(key, &f)) { /* 1, 1.0 and true are one key */
        uint64_t bits;
        f = f == 0 ? 0 : f;
        memcpy(&bits, &f, sizeof bits);
        h = (h ^ bits) * 1099511628211u;
    }
    return (uint32_t)(h ^ h >> 32);
}

static bool same_key(const struct value *a, const struct value *b)
{
    double x, y;
    if (a->kind == V_STR && b->kind == V_STR)
        return a->bytes == b->bytes && (!a->bytes || memcmp(a->s, b->s, a->bytes) == 0);
    if (ew__tmpl_number(a, &x) && ew__tmpl_number(b, &y))
        return x == y && (a->kind != V_INT || b->kind != V_INT || a->i == b->i);
    return a->kind == V_NONE && b->kind == V_NONE;
}

/* Position + 1 of the key; 0 when it isn't there, and *slot is then where it belongs. */
static uint32_t find(const struct dict *dict, const struct value *key, uint32_t *slot,
                     uint32_t *probes)
{
    if (!dict->index) {
        for (uint32_t i = 0; i < dict->count; i++)
            if (same_key(&dict->pairs[i].key, key))
                return i + 1;
        return 0;
    }
    uint32_t mask = dict->index_size - 1, at = hash(key) & mask;
    for (*probes = 0; dict->index[at]; at = (at + 1) & mask, ++*probes)
        if (same_key(&dict->pairs[dict->index[at] - 1].key, key))
            return dict->index[at];
    *slot = at;
    return 0;
}

struct value *ew__tmpl_get(const struct dict *dict, const struct value *key)
{
    uint32_t slot, probes, at = find(dict, key, &slot, &probes);
    return at ? &dict->pairs[at - 1].value : NULL;
}

struct value *ew__tmpl_get_name(const struct dict *dict, const char *name, size_t bytes)
{
    struct value key = value_str(name, bytes);
    return ew__tmpl_get(dict, &key);
}

int ew__tmpl_dict(struct render *r, enum value_kind kind, struct value *out)
{
    struct dict *dict = ew__tmpl_take(r, sizeof *dict);
    if (!dict)
        return r->err.code;
    *out = (struct value){.kind = kind, .dict = dict};
    return 0;
}

static int grow_dict(struct render *r, struct dict *dict)
{
    uint32_t capacity = dict->capacity ? dict->capacity * 2 : DICT_LINEAR;
    struct pair *pairs = ew__tmpl_take(r, capacity * sizeof *pairs);
    if (!pairs)
        return r->err.code;
    if (dict->count)
        memcpy(pairs, dict->pairs, dict->count * sizeof *pairs);
    dict->pairs = pairs;
    dict->capacity = capacity;
    if (capacity == DICT_LINEAR)
        return 0;
    uint32_t *index = ew__tmpl_take(r, 2 * (size_t)capacity * sizeof *index);
    if (!index)
        return r->err.code;
    dict->index = index;
    dict->index_size = 2 * capacity;
    for (uint32_t i = 0; i < dict->count; i++) {
        uint32_t at = hash(&pairs[i].key) & (dict->index_size - 1), probes = 0;
        for (; index[at]; probes++)
            at = (at + 1) & (dict->index_size - 1);
        index[at] = i + 1;
        int code = ew__tmpl_step(r, 1 + probes);
        if (code)
            return code;
    }
    return 0;
}

int ew__tmpl_put(struct render *r, struct dict *dict, const struct value *key,
                 const struct value *value)
{
    double f;
    if (key->kind != V_STR && key->kind != V_NONE && !ew__tmpl_number(key, &f))
        return TYPE_FAIL(r, "'%s' can't be a key", ew__tmpl_kind(key));
    uint32_t slot = 0, probes = 0, at = find(dict, key, &slot, &probes);
    int code = ew__tmpl_step_key(r, key);
    if (!code)
        code = ew__tmpl_step(r, probes); /* keys made to collide pay for it */
    if (code)
        return code;
    if (at) {
        dict->pairs[at - 1].value = *value;
        return 0;
    }
    if (dict->count == dict->capacity) {
        if ((code = grow_dict(r, dict)))
            return code;
        find(dict, key, &slot, &probes);
    }
    dict->pairs[dict->count++] = (struct pair){*key, *value};
    if (dict->index)
        dict->index[slot] = dict->count;
    return 0;
}

/* ---- walking ---- */

static int characters(struct render *r, struct ew_str s, struct value *out)
{
    int code = ew__tmpl_list(r, V_LIST, (uint32_t)ew__tmpl_count(s), out);
    for (size_t at = 0; at < s.bytes && !code;) {
        uint32_t c;
        size_t n = ew__tmpl_decode(s.data + at, s.bytes - at, &c);
        struct value one = value_str(s.data + at, n);
        code = ew__tmpl_push(r, out->list, &one);
        at += n;
    }
    return code;
}

int ew__tmpl_items(struct render *r, const struct value *v, const struct value **items,
                   uint32_t *count)
{
    struct value list = *v;
    int code = 0;
    *items = NULL;
    *count = 0;
    if (v->kind == V_UNDEFINED)
        return 0;
    if (v->kind == V_ITER) {
        *count = v->list->count - v->list->taken;
        *items = *count ? v->list->items + v->list->taken : NULL;
        v->list->taken = v->list->count;
        return 0;
    }
    if (v->kind == V_STR) {
        code = characters(r, value_text(v), &list);
    } else if (v->kind == V_DICT) {
        code = ew__tmpl_list(r, V_LIST, v->dict->count, &list);
        for (uint32_t i = 0; i < v->dict->count && !code; i++)
            code = ew__tmpl_push(r, list.list, &v->dict->pairs[i].key);
    } else if (v->kind != V_LIST && v->kind != V_TUPLE) {
        return TYPE_FAIL(r, "'%s' can't be walked over", ew__tmpl_kind(v));
    }
    if (code)
        return code;
    *items = list.list->items;
    *count = list.list->count;
    return 0;
}

int ew__tmpl_length(struct render *r, const struct value *v, int64_t *out)
{
    switch (v->kind) {
    case V_UNDEFINED:
        *out = 0;
        return 0;
    case V_STR:
        *out = (int64_t)ew__tmpl_count(value_text(v));
        return ew__tmpl_step_bytes(r, v->bytes);
    case V_LIST:
    case V_TUPLE:
        *out = v->list->count;
        return 0;
    case V_DICT:
        *out = v->dict->count;
        return 0;
    case V_LOOP:
        *out = v->loop->count;
        return 0;
    default:
        return TYPE_FAIL(r, "'%s' has no length", ew__tmpl_kind(v));
    }
}
