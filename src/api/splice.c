/* splice.c - see splice.h. Nothing recurses: depth is a count. */
#include "api/splice.h"

#include <jansson.h>
#include <string.h>

#include "base/json_plain.h"

static inline bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static void skip_space(struct ew_splice *s)
{
    while (s->at < s->end && is_space(*s->at))
        s->at++;
}

/* Behind the string that begins at `at`; NULL: it doesn't end. */
static const char *string_end(const char *at, const char *end)
{
    for (at++; at < end; at++) {
        at += ew_json_plain(at, (size_t)(end - at));
        if (at == end)
            break;
        if (*at == '"')
            return at + 1;
        if (*at == '\\' && ++at == end)
            break;
    }
    return NULL;
}

/* Behind the value that begins at `at`; NULL: it doesn't end, or there is none. */
static const char *value_end(const char *at, const char *end)
{
    const char *from = at;
    size_t depth = 0;
    while (at < end) {
        char c = *at;
        if (c == '"') {
            at = string_end(at, end);
            if (!at)
                return NULL;
        } else if (c == '{' || c == '[') {
            depth++;
            at++;
        } else if (depth && (c == '}' || c == ']')) {
            depth--;
            at++;
        } else if (!depth && (c == ',' || c == '}' || c == ']' || is_space(c))) {
            return at > from ? at : NULL;
        } else {
            at++;
            continue; /* in a number or a word, or between the parts of something deeper */
        }
        if (!depth)
            return at;
    }
    return NULL;
}

void ew_splice_open(struct ew_splice *s, struct ew_str text)
{
    *s = (struct ew_splice){.at = text.data, .end = text.data + text.bytes};
    skip_space(s);
    if (s->at < s->end && *s->at == '{')
        s->closes = '}';
    else if (s->at < s->end && *s->at == '[')
        s->closes = ']';
    else
        s->broken = true;
    s->at += !s->broken;
}

/* Passes over one character, and the white space on both sides of it. */
static bool skip(struct ew_splice *s, char c)
{
    skip_space(s);
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    skip_space(s);
    return true;
}

static bool take_key(struct ew_splice *s)
{
    const char *from = s->at, *behind = NULL;
    if (from < s->end && *from == '"')
        behind = string_end(from, s->end);
    if (!behind)
        return false;
    s->key = (struct ew_str){from, (size_t)(behind - from)};
    s->escaped = memchr(from, '\\', s->key.bytes) != NULL;
    s->at = behind;
    return skip(s, ':');
}

bool ew_splice_next(struct ew_splice *s)
{
    if (s->broken || s->done)
        return false;
    s->done = skip(s, s->closes);
    if (s->done) {
        s->broken = s->at != s->end; /* something stands behind it */
        return false;
    }
    s->broken = s->begun && !skip(s, ',');
    s->begun = true;
    s->broken = s->broken || (s->closes == '}' && !take_key(s));
    const char *behind = s->broken ? NULL : value_end(s->at, s->end);
    s->broken = !behind || behind == s->end; /* what closes is still to come */
    if (s->broken)
        return false;
    s->value = (struct ew_str){s->at, (size_t)(behind - s->at)};
    s->at = behind;
    return true;
}

bool ew_splice_means(const struct ew_splice *s, const char *name)
{
    json_t *key = json_loadb(s->key.data, s->key.bytes, JSON_DECODE_ANY, NULL);
    bool same = json_string_length(key) == strlen(name) &&
                memcmp(json_string_value(key), name, strlen(name)) == 0;
    json_decref(key);
    return same;
}

int ew_splice_compact(struct ew_buf *out, struct ew_str text, struct ew_err *err)
{
    const char *at = text.data, *end = text.data + text.bytes;
    size_t before = out->bytes;
    int rc = 0;
    while (at < end && !rc) {
        const char *from = at;
        while (at < end && !is_space(*at))
            at = *at != '"' ? at + 1 : string_end(at, end) ? string_end(at, end) : end;
        rc = ew_buf_add(out, from, (size_t)(at - from), err);
        while (at < end && is_space(*at))
            at++;
    }
    if (rc && out->data) {
        out->bytes = before;
        out->data[before] = '\0';
    }
    return rc;
}
