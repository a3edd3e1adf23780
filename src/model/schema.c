/* schema.c - JSON Schema to rules: what its keywords mean together.
 *
 * docs/GRAMMAR.md lists the keywords. Those that assert something and aren't held are refused by
 * name; what only describes is passed over, and so are words that JSON Schema doesn't know, as it
 * says. A reference is a call of a rule where it stands alone; whatever brings schemas together
 * through references is a rule by the list of them, so that recursive schemas come to an end. A
 * schema that leads back to itself without anything in between is refused. */
#include "model/schema_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TYPE_NULL = 1,
    TYPE_BOOL = 2,
    TYPE_INT = 4,
    TYPE_NUM = 8,
    TYPE_STR = 16,
    TYPE_OBJ = 32,
    TYPE_ARR = 64,
    TYPE_ALL = 127,
    PATH_BYTES = 120
};

/* ---- errors ---- */

/* The way from `at` to the schema `node`, as a JSON pointer. */
static bool find_path(const struct value *at, const struct value *node, char *path, size_t used,
                      uint32_t depth)
{
    bool is = at == node || (at->kind == V_DICT && node->kind == V_DICT && at->dict == node->dict);
    path[used] = '\0';
    if (is || depth > SCHEMA_DEPTH_MAX)
        return is;
    uint32_t count = at->kind == V_DICT   ? at->dict->count
                     : at->kind == V_LIST ? at->list->count
                                          : 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct value *child;
        int n;
        if (at->kind == V_DICT) {
            struct ew_str key = value_text(&at->dict->pairs[i].key);
            child = &at->dict->pairs[i].value;
            n = snprintf(path + used, PATH_BYTES - used, "/%.*s", (int)key.bytes, key.data);
        } else {
            child = &at->list->items[i];
            n = snprintf(path + used, PATH_BYTES - used, "/%u", i);
        }
        size_t to = used + (size_t)n < PATH_BYTES ? used + (size_t)n : PATH_BYTES - 1;
        if (find_path(child, node, path, to, depth + 1))
            return true;
    }
    path[used] = '\0';
    return false;
}

static void name_place(struct schema *s, const struct value *node, char path[PATH_BYTES])
{
    if (!find_path(&s->root, node, path, 0, 0) || !*path)
        snprintf(path, PATH_BYTES, "its top");
    for (char *c = path; *c; c++)
        if ((unsigned char)*c < 0x20)
            *c = ' ';
}

uint32_t ew__schema_wrong(struct schema *s, const struct value *node, const char *keyword,
                          const char *expected)
{
    char path[PATH_BYTES];
    if (s->b->code)
        return 0;
    name_place(s, node, path);
    return ew__gr_fail(s->b, EW_EFORMAT, "schema keyword \"%s\" at %s: %s", keyword, path,
                       expected);
}

uint32_t ew__schema_unsupported(struct schema *s, const struct value *node, const char *keyword,
                                const char *why)
{
    char path[PATH_BYTES];
    if (s->b->code)
        return 0;
    name_place(s, node, path);
    return ew__gr_fail(s->b, EW_EUNSUPPORTED, "schema keyword \"%s\" at %s%s%s", keyword, path,
                       why ? ": " : " isn't supported", why ? why : "");
}

/* ---- keywords ---- */

struct value *ew__schema_get(const struct value *node, const char *keyword)
{
    return ew__tmpl_get_name(node->dict, keyword, strlen(keyword));
}

static const char *const refused[] = {"not",
                                      "if",
                                      "then",
                                      "else",
                                      "patternProperties",
                                      "propertyNames",
                                      "uniqueItems",
                                      "contains",
                                      "minContains",
                                      "maxContains",
                                      "dependentRequired",
                                      "dependentSchemas",
                                      "dependencies",
                                      "unevaluatedProperties",
                                      "unevaluatedItems",
                                      "minProperties",
                                      "maxProperties",
                                      "$dynamicRef",
                                      "$recursiveRef",
                                      "additionalItems"};

static void check_keywords(struct schema *s, const struct value *node)
{
    for (size_t i = 0; i < EW_COUNT(refused) && !s->b->code; i++) {
        const struct value *v = ew__schema_get(node, refused[i]);
        if (v && !(strcmp(refused[i], "uniqueItems") == 0 && v->kind == V_BOOL && !v->b))
            ew__schema_unsupported(s, node, refused[i], NULL);
    }
}

const struct value *ew__schema_only(struct schema *s, const struct conj *c, const char *keyword,
                                    const struct value **where)
{
    const struct value *found = NULL;
    for (uint32_t i = 0; i < c->count; i++) {
        const struct value *v = ew__schema_get(c->items[i].node, keyword);
        bool same = true;
        if (v && found && (ew__tmpl_equal(&s->r, v, found, &same) || !same)) {
            ew__schema_unsupported(s, c->items[i].node, keyword,
                                   "two different ones at once aren't supported");
            return found;
        }
        if (v) {
            found = v;
            *where = c->items[i].node;
        }
    }
    return found;
}

bool ew__schema_length(struct schema *s, const struct conj *c, const char *keyword,
                       enum schema_bound bound, uint64_t *out)
{
    bool found = false;
    for (uint32_t i = 0; i < c->count; i++) {
        const struct value *v = ew__schema_get(c->items[i].node, keyword);
        if (!v)
            continue;
        bool whole =
            v->kind == V_FLOAT && v->f >= 0 && v->f < 1e15 && v->f == (double)(int64_t)v->f;
        if (!whole && (v->kind != V_INT || v->i < 0)) {
            ew__schema_wrong(s, c->items[i].node, keyword, "expected a whole number from 0 on");
            return false;
        }
        uint64_t value = whole ? (uint64_t)v->f : (uint64_t)v->i;
        if (!found || (bound == SCHEMA_LEAST ? value > *out : value < *out))
            *out = value;
        found = true;
    }
    return found;
}

/* ---- conjunctions ---- */

void ew__schema_add(struct schema *s, struct conj *c, const struct value *node, int parent)
{
    if (s->b->code)
        return;
    if (node->kind == V_BOOL) {
        c->never |= !node->b;
        return;
    }
    if (node->kind != V_DICT) {
        ew__gr_fail(s->b, EW_EFORMAT, "a schema is a%s %s: expected an object, true or false",
                    strchr("aeiou", *ew__tmpl_kind(node)) ? "n" : "", ew__tmpl_kind(node));
        return;
    }
    for (int p = parent; p >= 0; p = c->items[p].parent)
        if (c->items[p].node->dict == node->dict) {
            ew__schema_wrong(s, node, "$ref", "the schema leads back to itself");
            return;
        }
    for (uint32_t i = 0; i < c->count; i++)
        if (c->items[i].node->dict == node->dict)
            return;
    if (c->count == SCHEMA_ITEMS_MAX) {
        ew__gr_fail(s->b, EW_ELIMIT, "more than %d schemas hold for one value", SCHEMA_ITEMS_MAX);
        return;
    }
    check_keywords(s, node);
    c->items[c->count++] = (struct schema_item){.node = node, .parent = (int16_t)parent};
}

static const struct value *child(const struct value *at, const char *name, size_t bytes)
{
    if (at->kind == V_DICT)
        return ew__tmpl_get_name(at->dict, name, bytes);
    if (at->kind != V_LIST || !bytes || bytes > 6)
        return NULL;
    uint32_t index = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (name[i] < '0' || name[i] > '9')
            return NULL;
        index = index * 10 + (uint32_t)(name[i] - '0');
    }
    return index < at->list->count ? &at->list->items[index] : NULL;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

/* One part of a JSON pointer in a URI: %xx, then ~1 and ~0. Bytes written. */
static size_t unescape(const char *from, size_t bytes, char *to)
{
    size_t used = 0;
    for (size_t i = 0; i < bytes; i++) {
        char c = from[i];
        if (c == '%' && i + 2 < bytes && hex_digit(from[i + 1]) >= 0 &&
            hex_digit(from[i + 2]) >= 0) {
            c = (char)(hex_digit(from[i + 1]) * 16 + hex_digit(from[i + 2]));
            i += 2;
        }
        if (used && to[used - 1] == '~' && (c == '0' || c == '1'))
            to[used - 1] = c == '0' ? '~' : '/';
        else
            to[used++] = c;
    }
    return used;
}

static const struct value *resolve(struct schema *s, const struct value *node)
{
    enum { PART_MAX = 1024 };
    const struct value *ref = ew__schema_get(node, "$ref"), *at = &s->root;
    char part[PART_MAX];
    if (ref->kind != V_STR) {
        ew__schema_wrong(s, node, "$ref", "expected a string");
        return NULL;
    }
    const char *p = ref->s, *end = p + ref->bytes;
    if (p == end || *p != '#' || (end - p > 1 && p[1] != '/')) {
        ew__schema_unsupported(s, node, "$ref",
                               "only references inside the schema (\"#/...\") are");
        return NULL;
    }
    for (p++; p < end && at;) {
        const char *slash = memchr(p + 1, '/', (size_t)(end - p - 1));
        const char *stop = slash ? slash : end;
        size_t bytes = (size_t)(stop - p - 1);
        at = bytes > PART_MAX ? NULL : child(at, part, unescape(p + 1, bytes, part));
        p = stop;
    }
    if (!at)
        ew__schema_wrong(s, node, "$ref", "nothing is where it points");
    return at;
}

/* Adds what references and allOf bring, until all are there. */
static void flatten(struct schema *s, struct conj *c)
{
    for (uint32_t i = 0; i < c->count && !s->b->code; i++) {
        const struct value *node = c->items[i].node;
        const struct value *all = ew__schema_get(node, "allOf");
        if (ew__schema_get(node, "$ref")) {
            const struct value *target = resolve(s, node);
            if (target)
                ew__schema_add(s, c, target, (int)i);
        }
        if (all && all->kind != V_LIST)
            ew__schema_wrong(s, node, "allOf", "expected an array of schemas");
        for (uint32_t k = 0; all && all->kind == V_LIST && k < all->list->count; k++)
            ew__schema_add(s, c, &all->list->items[k], (int)i);
    }
}

static const char *const choices[] = {"anyOf", "oneOf"};

/* Whether it reaches a reference before anything is read. */
static bool refers(const struct value *node, uint32_t depth)
{
    static const char *const lists[] = {"allOf", "anyOf", "oneOf"};
    if (node->kind != V_DICT)
        return false;
    if (ew__schema_get(node, "$ref") || depth == SCHEMA_DEPTH_MAX)
        return true;
    for (size_t i = 0; i < EW_COUNT(lists); i++) {
        const struct value *list = ew__schema_get(node, lists[i]);
        for (uint32_t k = 0; list && list->kind == V_LIST && k < list->list->count; k++)
            if (refers(&list->list->items[k], depth + 1))
                return true;
    }
    return false;
}

/* ---- one kind of value ---- */

static unsigned type_named(struct ew_str name)
{
    static const struct {
        const char *name;
        unsigned type;
    } rows[] = {{"null", TYPE_NULL},   {"boolean", TYPE_BOOL},
                {"integer", TYPE_INT}, {"number", TYPE_INT | TYPE_NUM},
                {"string", TYPE_STR},  {"object", TYPE_OBJ},
                {"array", TYPE_ARR}};
    for (size_t i = 0; i < EW_COUNT(rows); i++)
        if (ew_str_is(name, rows[i].name))
            return rows[i].type;
    return 0;
}

static unsigned types_of(struct schema *s, const struct value *node, const struct value *type)
{
    unsigned types = 0;
    if (type->kind == V_STR)
        types = type_named(value_text(type));
    for (uint32_t i = 0; type->kind == V_LIST && i < type->list->count; i++) {
        const struct value *one = &type->list->items[i];
        unsigned named = one->kind == V_STR ? type_named(value_text(one)) : 0;
        if (!named)
            return ew__schema_wrong(s, node, "type", "expected names of types");
        types |= named;
    }
    return types ? types : ew__schema_wrong(s, node, "type", "expected the name of a type");
}

/* Keywords that say something about values of one type alone. */
static const struct {
    const char *keyword;
    unsigned type;
} typed[] = {{"properties", TYPE_OBJ},
             {"required", TYPE_OBJ},
             {"additionalProperties", TYPE_OBJ},
             {"items", TYPE_ARR},
             {"prefixItems", TYPE_ARR},
             {"minItems", TYPE_ARR},
             {"maxItems", TYPE_ARR},
             {"minLength", TYPE_STR},
             {"maxLength", TYPE_STR},
             {"pattern", TYPE_STR},
             {"format", TYPE_STR},
             {"minimum", TYPE_INT | TYPE_NUM},
             {"maximum", TYPE_INT | TYPE_NUM},
             {"exclusiveMinimum", TYPE_INT | TYPE_NUM},
             {"exclusiveMaximum", TYPE_INT | TYPE_NUM},
             {"multipleOf", TYPE_INT | TYPE_NUM}};

/* What may be there; *hinted: types that keywords speak of. */
static unsigned collect_types(struct schema *s, const struct conj *c, unsigned *hinted)
{
    unsigned types = TYPE_ALL;
    bool told = false;
    *hinted = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        const struct value *node = c->items[i].node, *type = ew__schema_get(node, "type");
        if (type) {
            types &= types_of(s, node, type);
            told = true;
        }
        for (size_t k = 0; k < EW_COUNT(typed); k++)
            if (ew__schema_get(node, typed[k].keyword))
                *hinted |= typed[k].type;
    }
    /* Without a type, keywords would let everything else pass: what they speak of is meant. */
    return !told && *hinted ? *hinted : types;
}

static bool is_type(const struct value *v, unsigned types)
{
    switch (v->kind) {
    case V_NONE:
        return types & TYPE_NULL;
    case V_BOOL:
        return types & TYPE_BOOL;
    case V_INT:
        return types & TYPE_INT;
    case V_FLOAT:
        return types & TYPE_NUM;
    case V_STR:
        return types & TYPE_STR;
    case V_DICT:
        return types & TYPE_OBJ;
    default:
        return types & TYPE_ARR;
    }
}

static uint32_t one_value(struct schema *s, const struct value *v, uint32_t next)
{
    static const struct tmpl_json how = {.item_separator = {",", 1}, .key_separator = {":", 1}};
    struct ew_buf text;
    ew_buf_init(&text, GRAMMAR_SCHEMA_BYTES_MAX);
    uint32_t at = 0;
    if (ew__tmpl_json_dump(&s->r, v, &how, &text, 0))
        ew__gr_fail(s->b, EW_ELIMIT, "%s", s->r.err.text);
    else
        at = ew__gr_text(s->b, ew_buf_cstr(&text), text.bytes, next);
    ew_buf_fini(&text);
    return at;
}

/* Whether all other lists of the conjunction have the value, too. */
static bool in_all(struct schema *s, const struct conj *c, const struct value *v)
{
    for (uint32_t i = 0; i < c->count; i++) {
        const struct value *list = ew__schema_get(c->items[i].node, "enum");
        const struct value *only = ew__schema_get(c->items[i].node, "const");
        bool same = false, is = !list;
        if (only && (ew__tmpl_equal(&s->r, v, only, &same) || !same || only->kind != v->kind))
            return false;
        for (uint32_t k = 0; list && k < list->list->count && !is; k++) {
            const struct value *item = &list->list->items[k];
            is = item->kind == v->kind && !ew__tmpl_equal(&s->r, v, item, &same) && same;
        }
        if (!is)
            return false;
    }
    return true;
}

static uint32_t choose(struct schema *s, const struct conj *c, const struct value *values,
                       uint32_t count, unsigned types, bool lone, uint32_t next)
{
    uint32_t ways = 0;
    for (uint32_t i = 0; i < count && !s->b->code; i++)
        if (is_type(&values[i], types) && (lone || in_all(s, c, &values[i])))
            ways = ew__gr_union(s->b, one_value(s, &values[i], next), ways);
    return ways;
}

/* True: enum or const say all; *out is where their values begin. */
static bool listed(struct schema *s, const struct conj *c, unsigned types, unsigned hinted,
                   uint32_t next, uint32_t *out)
{
    const struct value *found = NULL, *where = NULL;
    uint32_t lists = 0, count = 0;
    *out = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        const struct value *node = c->items[i].node;
        const struct value *list = ew__schema_get(node, "enum"),
                           *only = ew__schema_get(node, "const");
        if (list && list->kind != V_LIST)
            return ew__schema_wrong(s, node, "enum", "expected an array"), true;
        if (list && list->list->count > GRAMMAR_ENUM_MAX)
            return ew__gr_fail(s->b, EW_ELIMIT, "an enum of %u values, at most %d",
                               list->list->count, GRAMMAR_ENUM_MAX),
                   true;
        lists += (list != NULL) + (only != NULL);
        if (only || (list && !found)) {
            where = node;
            found = only ? only : list->list->items;
            count = only ? 1 : list->list->count;
        }
    }
    if (!lists)
        return false;
    if (hinted & types)
        for (size_t k = 0; k < EW_COUNT(typed); k++)
            for (uint32_t i = 0; i < c->count; i++)
                if (typed[k].type & types && ew__schema_get(c->items[i].node, typed[k].keyword))
                    return ew__schema_unsupported(s, where, typed[k].keyword,
                                                  "beside enum or const it isn't supported"),
                           true;
    *out = choose(s, c, found, count, types, lists == 1, next);
    return true;
}

static uint32_t plain_value(struct schema *s, const struct conj *c, uint32_t next)
{
    unsigned hinted, types = collect_types(s, c, &hinted);
    uint32_t ways = 0;
    if (s->b->code || listed(s, c, types, hinted, next, &ways))
        return ways;
    if (types == TYPE_ALL && !hinted)
        return ew__gr_call(s->b, s->b->any, next);
    if (types & TYPE_OBJ)
        ways = ew__gr_union(s->b, ways, ew__schema_object(s, c, next));
    if (types & TYPE_ARR)
        ways = ew__gr_union(s->b, ways, ew__schema_array(s, c, next));
    if (types & TYPE_STR)
        ways = ew__gr_union(s->b, ways, ew__schema_string(s, c, next));
    if (types & (TYPE_INT | TYPE_NUM))
        ways = ew__gr_union(
            s->b, ways,
            ew__schema_number(s, c, types & TYPE_NUM ? SCHEMA_NUMBER : SCHEMA_INTEGER, next));
    if (types & TYPE_BOOL) {
        ways = ew__gr_union(s->b, ways, ew__gr_text(s->b, "true", 4, next));
        ways = ew__gr_union(s->b, ways, ew__gr_text(s->b, "false", 5, next));
    }
    if (types & TYPE_NULL)
        ways = ew__gr_union(s->b, ways, ew__gr_text(s->b, "null", 4, next));
    return ways;
}

/* ---- all of it ---- */

/* Here references are followed in place: this is what a rule consists of. */
static uint32_t expanded(struct schema *s, const struct conj *given, uint32_t next)
{
    struct conj c = *given;
    flatten(s, &c);
    if (c.never || s->b->code)
        return 0;
    for (uint32_t i = 0; i < c.count; i++) {
        for (unsigned k = 0; k < EW_COUNT(choices); k++) {
            const struct value *node = c.items[i].node, *list = ew__schema_get(node, choices[k]);
            uint32_t ways = 0;
            if (!list || c.items[i].done & 1u << k)
                continue;
            if (list->kind != V_LIST || !list->list->count)
                return ew__schema_wrong(s, node, choices[k], "expected an array of schemas");
            c.items[i].done |= (uint16_t)(1u << k);
            for (uint32_t n = 0; n < list->list->count && !s->b->code; n++) {
                struct conj one = c;
                if (s->alternatives++ == GRAMMAR_ALTERNATIVES_MAX)
                    return ew__gr_fail(s->b, EW_ELIMIT,
                                       "the schema has more than %d alternatives, multiplied out",
                                       GRAMMAR_ALTERNATIVES_MAX);
                ew__schema_add(s, &one, &list->list->items[n], (int)i);
                ways = ew__gr_union(s->b, ways, expanded(s, &one, next));
            }
            return ways;
        }
    }
    return plain_value(s, &c, next);
}

uint32_t ew__schema_rule(struct schema *s, const struct conj *c)
{
    for (uint32_t i = 0; i < s->rule_count; i++) {
        const struct conj *known = &s->rules[i].conj;
        bool same = known->count == c->count && known->never == c->never;
        for (uint32_t k = 0; k < c->count && same; k++)
            same = known->items[k].node->dict == c->items[k].node->dict;
        if (same)
            return s->rules[i].rule;
    }
    uint32_t rule = ew__gr_rule(s->b);
    if (!s->b->code)
        s->rules[s->rule_count++] = (struct schema_rule){*c, rule};
    return rule;
}

uint32_t ew__schema_value(struct schema *s, const struct conj *c, uint32_t next)
{
    bool refer = false;
    if (s->b->code || c->never || !next)
        return 0;
    for (uint32_t i = 0; i < c->count && !refer; i++)
        refer = refers(c->items[i].node, 0);
    if (refer)
        return ew__gr_call(s->b, ew__schema_rule(s, c), next);
    return expanded(s, c, next);
}

static int read_schema(struct schema *s, const struct ew_grammar_params *params, struct ew_err *err)
{
    struct ew_str text = {params->schema, params->schema_bytes};
    if (text.bytes > GRAMMAR_SCHEMA_BYTES_MAX)
        return ew_fail(err, EW_ELIMIT, "a schema of %zu bytes, at most %d", text.bytes,
                       GRAMMAR_SCHEMA_BYTES_MAX);
    size_t valid = ew_utf8_valid(text.data, text.bytes);
    if (valid < text.bytes)
        return ew_fail(err, EW_EFORMAT, "schema, byte %zu: not UTF-8", valid);
    int code = ew__tmpl_json_parse(&s->r, "schema", text, &s->root);
    return code ? ew_fail(err, code == EW_EINVAL ? EW_EFORMAT : code, "%s", s->r.err.text) : 0;
}

/* Where an answer of this form begins. Its rules are built before another form's schema is read:
 * references are meant from the root of their own. */
static uint32_t build_form(struct schema *s, const struct ew_grammar_params *params)
{
    struct gr_builder *b = s->b;
    struct conj top = {.count = 0};
    const char *before = params->before ? params->before : "";
    const char *after = params->after ? params->after : "";
    uint32_t end = ew__gr_text(b, after, strlen(after), ew__gr_accept(b)), value;
    uint32_t first = s->rule_count;
    if (params->schema) {
        ew__schema_add(s, &top, &s->root, -1);
        value = ew__schema_value(s, &top, end);
    } else {
        value = ew__gr_call(b, b->object, end);
    }
    for (uint32_t i = first; i < s->rule_count && !b->code; i++) {
        uint32_t rule = s->rules[i].rule, node = expanded(s, &s->rules[i].conj, ew__gr_accept(b));
        b->rules[rule].node = node;
    }
    return ew__gr_text(b, before, strlen(before), value);
}

int ew__schema_build(struct gr_builder *b, const struct ew_grammar_params *params,
                     struct ew_err *err)
{
    struct schema s = {.b = b, .r = {.arena = {.max = GRAMMAR_VALUE_BYTES_MAX}}};
    s.rules = calloc(GRAMMAR_RULES_MAX, sizeof *s.rules);
    int code = s.rules ? 0 : ew_fail(err, EW_ENOMEM, "no memory for a schema");
    uint32_t ways = 0;
    ew__gr_json(b);
    for (const struct ew_grammar_params *form = params; form && !code && !b->code;
         form = form->otherwise) {
        if (form->schema)
            code = read_schema(&s, form, err);
        if (!code)
            ways = ew__gr_union(b, ways, build_form(&s, form));
    }
    uint32_t root = ew__gr_rule(b); /* the last of all */
    if (!code && b->code)
        code = ew_fail(err, b->code, "%s", b->err.text);
    if (!code)
        b->rules[root].node = ways;
    ew__tmpl_free(&s.r.arena);
    free(s.rules);
    return code;
}
