/* schema_object.c - objects and arrays.
 *
 * Properties come in the order of the schema; each optional one may be left out. Where a schema
 * names properties and says nothing of others, there are none: a weak model would else invent some
 * without end; additionalProperties that aren't false let them follow. Their names are never those
 * of the named ones. The same goes for items behind prefixItems. */
#include "model/schema_int.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES_MAX = 256 }; /* where other names must be told from it: the C stack */

/* ---- names of additional properties ---- */

struct names {
    struct gr_builder *b;
    const struct ew_str *list; /* ascending by bytes, so by characters, too */
    uint32_t free;             /* any rest of a string and its closing quote, then what follows */
    uint32_t next;
};

/* Characters that a string holds as they are. */
static uint32_t plain(struct gr_builder *b, uint32_t lo, uint32_t hi, uint32_t next)
{
    static const uint32_t parts[][2] = {{0x20, 0x21}, {0x23, 0x5b}, {0x5d, 0x10ffff}};
    uint32_t ways = 0;
    for (size_t i = 0; i < EW_COUNT(parts); i++) {
        uint32_t from = lo > parts[i][0] ? lo : parts[i][0];
        uint32_t to = hi < parts[i][1] ? hi : parts[i][1];
        if (from <= to)
            ways = ew__gr_union(b, ways, ew__gr_points(b, from, to, next));
    }
    return ways;
}

/* From byte `at` on, a name that isn't one of [from, to), which agree before it. Without escapes,
 * so that each name has one spelling, until it has become different from all. */
static uint32_t other_name(const struct names *n, uint32_t from, uint32_t to, size_t at)
{
    uint32_t ways = 0, low = 0;
    bool ends = false;
    for (uint32_t i = from; i < to && !n->b->code;) {
        if (n->list[i].bytes == at) {
            ends = true;
            i++;
            continue;
        }
        uint32_t point, other, stop = i + 1;
        size_t bytes = ew__tmpl_decode(n->list[i].data + at, n->list[i].bytes - at, &point);
        for (; stop < to; stop++) {
            ew__tmpl_decode(n->list[stop].data + at, n->list[stop].bytes - at, &other);
            if (other != point)
                break;
        }
        uint32_t rest = other_name(n, i, stop, at + bytes);
        ways = ew__gr_union(n->b, ways, plain(n->b, point, point, rest));
        if (point > low)
            ways = ew__gr_union(n->b, ways, plain(n->b, low, point - 1, n->free));
        low = point + 1;
        i = stop;
    }
    ways = ew__gr_union(n->b, ways, plain(n->b, low, 0x10ffff, n->free));
    return ends ? ways : ew__gr_union(n->b, ways, ew__gr_range(n->b, '"', '"', n->next));
}

static int by_bytes(const void *x, const void *y)
{
    const struct ew_str *a = x, *b = y;
    size_t n = a->bytes < b->bytes ? a->bytes : b->bytes;
    int by = n ? memcmp(a->data, b->data, n) : 0;
    return by ? by : (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

/* A whole name in its quotes that isn't in the dict. */
static uint32_t name_beside(struct schema *s, const struct dict *named, uint32_t next)
{
    struct gr_builder *b = s->b;
    if (!named->count)
        return ew__gr_call(b, b->string, next);
    struct ew_str *list = calloc(named->count, sizeof *list);
    if (!list)
        return ew__gr_fail(b, EW_ENOMEM, "no memory for a grammar");
    for (uint32_t i = 0; i < named->count; i++) {
        list[i] = value_text(&named->pairs[i].key);
        if (list[i].bytes > NAME_BYTES_MAX)
            ew__gr_fail(b, EW_ELIMIT,
                        "a property's name of %zu bytes, at most %d where others may follow",
                        list[i].bytes, NAME_BYTES_MAX);
    }
    qsort(list, named->count, sizeof *list, by_bytes);
    uint32_t more = ew__gr_fork(b);
    ew__gr_join(b, more, ew__gr_range(b, '"', '"', next), ew__gr_call(b, b->character, more));
    const struct names n = {.b = b, .list = list, .free = more, .next = next};
    uint32_t at = ew__gr_range(b, '"', '"', other_name(&n, 0, named->count, 0));
    free(list);
    return at;
}

/* ---- objects ---- */

struct object {
    struct value names; /* a dict, in order; the value says whether it is required */
    bool closed, open, names_given;
    struct conj others; /* what additional properties must be */
};

static int put(struct schema *s, struct object *o, const struct value *name, bool required)
{
    struct value *known = ew__tmpl_get(o->names.dict, name);
    struct value v = value_bool(required || (known && known->b));
    int code = ew__tmpl_put(&s->r, o->names.dict, name, &v);
    if (code)
        ew__gr_fail(s->b, EW_ELIMIT, "%s", s->r.err.text);
    return code;
}

static void collect_one(struct schema *s, struct object *o, const struct value *node)
{
    const struct value *properties = ew__schema_get(node, "properties");
    const struct value *more = ew__schema_get(node, "additionalProperties");
    if (properties && properties->kind != V_DICT) {
        ew__schema_wrong(s, node, "properties", "expected an object");
        return;
    }
    o->names_given |= properties && properties->dict->count;
    for (uint32_t i = 0; properties && i < properties->dict->count; i++)
        if (put(s, o, &properties->dict->pairs[i].key, false))
            return;
    if (more && more->kind == V_BOOL && !more->b)
        o->closed = true;
    else if (more) {
        o->open = true;
        ew__schema_add(s, &o->others, more, -1);
    }
}

static void collect_required(struct schema *s, struct object *o, const struct value *node)
{
    const struct value *required = ew__schema_get(node, "required");
    if (required && required->kind != V_LIST)
        ew__schema_wrong(s, node, "required", "expected an array of names");
    for (uint32_t i = 0; required && !s->b->code && i < required->list->count; i++) {
        if (required->list->items[i].kind != V_STR)
            ew__schema_wrong(s, node, "required", "expected an array of names");
        else if (put(s, o, &required->list->items[i], true))
            return;
    }
}

/* What the property must be, by all schemas of the conjunction. */
static void collect_property(struct schema *s, const struct conj *c, const struct value *name,
                             struct conj *out)
{
    *out = (struct conj){.count = 0};
    for (uint32_t i = 0; i < c->count; i++) {
        const struct value *node = c->items[i].node;
        const struct value *properties = ew__schema_get(node, "properties");
        const struct value *more = ew__schema_get(node, "additionalProperties");
        const struct value *own = properties ? ew__tmpl_get(properties->dict, name) : NULL;
        if (own || more)
            ew__schema_add(s, out, own ? own : more, -1);
    }
}

/* From the name on: "name": value, then next. 0: it can't be there. */
static uint32_t member(struct schema *s, const struct value *name, const struct conj *value,
                       uint32_t next)
{
    static const struct tmpl_json how = {.item_separator = {",", 1}, .key_separator = {":", 1}};
    struct ew_buf text;
    uint32_t at = ew__gr_one_space(s->b, ew__schema_value(s, value, next));
    ew_buf_init(&text, 8 << 20);
    if (ew__tmpl_json_dump(&s->r, name, &how, &text, 0))
        ew__gr_fail(s->b, EW_ELIMIT, "%s", s->r.err.text);
    at = ew__gr_range(s->b, ':', ':', at);
    at = ew__gr_text(s->b, ew_buf_cstr(&text), text.bytes, at);
    ew_buf_fini(&text);
    return at;
}

static uint32_t behind_comma(struct gr_builder *b, uint32_t next)
{
    return ew__gr_range(b, ',', ',', next ? ew__gr_space(b, next) : 0);
}

static uint32_t build_object(struct schema *s, const struct conj *c, const struct object *o,
                             uint32_t next)
{
    struct gr_builder *b = s->b;
    bool more = !o->closed && (o->open || !o->names_given);
    uint32_t close = ew__gr_range(b, '}', '}', next);
    /* Behind a member, and where none was yet. */
    uint32_t some = ew__gr_space(b, close), none = close;
    if (more) {
        uint32_t loop = ew__gr_fork(b);
        uint32_t value = ew__gr_one_space(b, ew__schema_value(s, &o->others, loop));
        uint32_t other = name_beside(s, o->names.dict, ew__gr_range(b, ':', ':', value));
        ew__gr_join(b, loop, some, behind_comma(b, other));
        some = loop;
        none = ew__gr_union(b, close, other);
    }
    for (uint32_t i = o->names.dict->count; i-- > 0 && !b->code;) {
        const struct pair *p = &o->names.dict->pairs[i];
        struct conj value;
        collect_property(s, c, &p->key, &value);
        uint32_t at = member(s, &p->key, &value, some), comma = behind_comma(b, at);
        some = p->value.b ? comma : ew__gr_union(b, some, comma);
        none = p->value.b ? at : ew__gr_union(b, none, at);
    }
    return ew__gr_range(b, '{', '{', none ? ew__gr_space(b, none) : 0);
}

uint32_t ew__schema_object(struct schema *s, const struct conj *c, uint32_t next)
{
    struct object o = {.closed = false};
    bool told = false;
    if (ew__tmpl_dict(&s->r, V_DICT, &o.names))
        return ew__gr_fail(s->b, EW_ELIMIT, "%s", s->r.err.text);
    for (uint32_t i = 0; i < c->count && !s->b->code; i++) {
        collect_one(s, &o, c->items[i].node);
        told |= ew__schema_get(c->items[i].node, "required") != NULL;
    }
    for (uint32_t i = 0; i < c->count && !s->b->code; i++)
        collect_required(s, &o, c->items[i].node);
    if (s->b->code)
        return 0;
    if (!told && !o.names_given && !o.closed && !o.open)
        return ew__gr_call(s->b, s->b->object, next);
    return build_object(s, c, &o, next);
}

/* ---- arrays ---- */

/* Schemas of item `index`; from the last prefix on, those of all others. *told: any is given. */
static void collect_item(struct schema *s, const struct conj *c, uint32_t index, struct conj *out,
                         bool *told)
{
    *out = (struct conj){.count = 0};
    *told = false;
    for (uint32_t i = 0; i < c->count; i++) {
        const struct value *node = c->items[i].node;
        const struct value *prefix = ew__schema_get(node, "prefixItems");
        const struct value *items = ew__schema_get(node, "items");
        if (prefix && prefix->kind != V_LIST)
            ew__schema_wrong(s, node, "prefixItems", "expected an array of schemas");
        else if (prefix && index < prefix->list->count)
            items = &prefix->list->items[index];
        if (items && items->kind == V_LIST)
            ew__schema_unsupported(s, node, "items", "an array of schemas is prefixItems today");
        else if (items)
            ew__schema_add(s, out, items, -1);
        *told |= items != NULL;
    }
}

/* `,` and an item, at least `least` times and at most `most`, then `end`. */
static uint32_t more_items(struct schema *s, const struct conj *item, uint64_t least, uint64_t most,
                           uint32_t end)
{
    struct gr_builder *b = s->b;
    if (most == 0)
        return end;
    if (least == 0 && most == GRAMMAR_NO_MAX) {
        uint32_t loop = ew__gr_fork(b);
        ew__gr_join(b, loop, end, behind_comma(b, ew__schema_value(s, item, loop)));
        return loop;
    }
    uint32_t accept = ew__gr_accept(b);
    uint32_t start = behind_comma(b, ew__schema_value(s, item, accept));
    uint32_t rule = ew__gr_rule(b);
    if (b->code)
        return 0;
    b->rules[rule].node = start;
    return ew__gr_call(b, ew__gr_repeat(b, rule, least, most), end);
}

static uint64_t less(uint64_t from, uint64_t by)
{
    return from == GRAMMAR_NO_MAX ? from : from > by ? from - by : 0;
}

uint32_t ew__schema_array(struct schema *s, const struct conj *c, uint32_t next)
{
    struct gr_builder *b = s->b;
    struct conj item;
    uint64_t least = 0, most = GRAMMAR_NO_MAX, prefix = 0;
    bool told;
    ew__schema_length(s, c, "minItems", SCHEMA_LEAST, &least);
    if (ew__schema_length(s, c, "maxItems", SCHEMA_MOST, &most) && most >= GRAMMAR_NO_MAX)
        most = GRAMMAR_NO_MAX - 1; /* fewer than asked for always match */
    for (uint32_t i = 0; i < c->count; i++) {
        const struct value *v = ew__schema_get(c->items[i].node, "prefixItems");
        if (v && v->kind == V_LIST && v->list->count > prefix)
            prefix = v->list->count;
    }
    collect_item(s, c, UINT32_MAX, &item, &told);
    if (s->b->code)
        return 0;
    if (prefix && !told)
        item.never = true;
    if (!prefix && !told && least == 0 && most == GRAMMAR_NO_MAX)
        return ew__gr_call(b, b->array, next);
    if (prefix > most)
        prefix = most;
    uint64_t before = prefix ? prefix : 1; /* items that don't stand behind a comma of more_items */
    uint32_t close = ew__gr_range(b, ']', ']', next), end = ew__gr_space(b, close), at = end;
    if (!item.never)
        at = more_items(s, &item, less(least, before), less(most, before), end);
    else if (least > prefix)
        at = 0;
    for (uint64_t i = before; i-- > 0 && !b->code && most;) {
        collect_item(s, c, prefix ? (uint32_t)i : UINT32_MAX, &item, &told);
        at = ew__schema_value(s, &item, at);
        if (i)
            at = behind_comma(b, at);
        if (i && i >= least)
            at = ew__gr_union(b, at, end);
    }
    if (!most)
        at = 0;
    if (!least)
        at = ew__gr_union(b, at, close);
    return ew__gr_range(b, '[', '[', at ? ew__gr_space(b, at) : 0);
}
