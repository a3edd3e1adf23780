/* scan_tree.c - see scan_tree.h. Recurses DEPTH_MAX deep. */
#include "api/scan_tree.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 16, KEY_MAX = 64, NUMBER_MAX = 40 };

static json_t *read_value(struct ew_scan *s, int depth);

static json_t *read_string(struct ew_scan *s)
{
    struct ew_str raw;
    ew_scan_text(s, &raw);
    if (s->odd)
        return NULL;
    if (!s->escaped)
        return json_stringn_nocheck(raw.data, raw.bytes);
    char *text = malloc(raw.bytes);
    json_t *string = text ? json_stringn_nocheck(text, ew_scan_unescape(raw, text)) : NULL;
    free(text);
    return string;
}

static json_t *read_number(struct ew_scan *s)
{
    char text[NUMBER_MAX + 1];
    const char *from = s->at;
    ew_scan_skip(s);
    size_t bytes = (size_t)(s->at - from);
    if (s->odd || bytes > NUMBER_MAX)
        return NULL;
    memcpy(text, from, bytes);
    text[bytes] = '\0';
    return memchr(text, '.', bytes) ? json_real(strtod(text, NULL))
                                    : json_integer(strtoll(text, NULL, 10));
}

/* False: the tree has it. Of two the last one counts, which is jansson's business. */
static bool set_aside(struct ew_scan *s, struct ew_scan_aside *aside, struct ew_str key)
{
    const struct ew_scan before = *s;
    if (!aside || !ew_str_is(key, aside->key))
        return false;
    s->odd = aside->seen || s->odd;
    aside->seen = true;
    aside->taken = !s->odd && aside->take(aside->user, s);
    if (!aside->taken && !s->odd)
        *s = before;
    return aside->taken || s->odd;
}

static json_t *read_object(struct ew_scan *s, int depth, struct ew_scan_aside *aside)
{
    json_t *object = json_object();
    struct ew_str key;
    while (object && ew_scan_key(s, &key)) {
        char name[KEY_MAX];
        if (set_aside(s, aside, key))
            continue;
        json_t *value = key.bytes < KEY_MAX ? read_value(s, depth + 1) : NULL;
        memcpy(name, key.data, value ? key.bytes : 0);
        name[value ? key.bytes : 0] = '\0';
        if (!value || json_object_set_new_nocheck(object, name, value) != 0)
            s->odd = true;
    }
    return object;
}

static json_t *read_array(struct ew_scan *s, int depth)
{
    json_t *array = json_array();
    while (array && ew_scan_item(s)) {
        json_t *value = read_value(s, depth + 1);
        if (!value || json_array_append_new(array, value) != 0)
            s->odd = true;
    }
    return array;
}

/* NULL: odd, too deep, or no memory. */
static json_t *read_value(struct ew_scan *s, int depth)
{
    if (depth > DEPTH_MAX)
        return NULL;
    switch (ew_scan_peek(s)) {
    case '{':
        return ew_scan_enter(s, '{') ? read_object(s, depth, NULL) : NULL;
    case '[':
        return ew_scan_enter(s, '[') ? read_array(s, depth) : NULL;
    case '"':
        return read_string(s);
    case 't':
        ew_scan_skip(s);
        return json_true();
    case 'f':
        ew_scan_skip(s);
        return json_false();
    case 'n':
        ew_scan_skip(s);
        return json_null();
    default:
        return read_number(s);
    }
}

json_t *ew_scan_tree(struct ew_str text, struct ew_scan_aside *aside, json_error_t *error)
{
    const struct ew_str own = {text.data ? text.data : "", text.bytes};
    struct ew_scan scan;
    ew_scan_open(&scan, own);
    char opens = ew_scan_peek(&scan);
    json_t *root = NULL;
    if (opens == '{' && ew_scan_enter(&scan, '{'))
        root = read_object(&scan, 0, aside);
    else if (opens == '[')
        root = read_value(&scan, 0);
    if (root && ew_scan_done(&scan))
        return root;
    json_decref(root);
    if (aside)
        aside->taken = false;
    return json_loadb(own.data, own.bytes, JSON_ALLOW_NUL, error);
}
