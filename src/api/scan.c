/* scan.c - see scan.h. Values nest at most DEPTH_MAX deep where they are skipped. */
#include "api/scan.h"

#include <string.h>

#include "base/json_plain.h"
#include "base/utf8.h"

enum { DEPTH_MAX = 16, DIGITS_MAX = 18 };

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline void skip_space(struct ew_scan *s)
{
    while (s->at < s->end && is_space(*s->at))
        s->at++;
}

char ew_scan_peek(struct ew_scan *s)
{
    skip_space(s);
    return s->at < s->end && !s->odd ? *s->at : '\0';
}

static bool take(struct ew_scan *s, char c)
{
    bool there = ew_scan_peek(s) == c;
    s->at += there;
    return there;
}

static void expect(struct ew_scan *s, char c)
{
    s->odd = !take(s, c) || s->odd;
}

static void word(struct ew_scan *s, const char *text)
{
    size_t bytes = strlen(text);
    s->odd = (size_t)(s->end - s->at) < bytes || memcmp(s->at, text, bytes) != 0 || s->odd;
    s->at += s->odd ? 0 : bytes;
}

void ew_scan_open(struct ew_scan *s, struct ew_str text)
{
    *s = (struct ew_scan){.at = text.data, .end = text.data + text.bytes};
}

bool ew_scan_done(struct ew_scan *s)
{
    skip_space(s);
    return !s->odd && s->at == s->end;
}

/* ---- strings ---- */

/* Behind an escape's backslash. */
static void escape(struct ew_scan *s)
{
    s->odd = s->at == s->end || !strchr("\"\\/bfnrt", *s->at) || !*s->at;
    s->at += !s->odd;
}

static struct ew_str string(struct ew_scan *s)
{
    expect(s, '"');
    const char *from = s->at;
    s->escaped = false;
    while (!s->odd) {
        s->at += ew_json_plain(s->at, (size_t)(s->end - s->at));
        if (s->at == s->end || *s->at == '"')
            break;
        if (*s->at == '\\') {
            s->at++;
            s->escaped = true;
            escape(s);
            continue;
        }
        struct ew_utf8_char c = ew_utf8_next(s->at, (size_t)(s->end - s->at));
        s->odd = c.state != EW_UTF8_WHOLE || (unsigned char)*s->at < 0x20;
        s->at += c.bytes;
    }
    struct ew_str raw = {from, (size_t)(s->at - from)};
    s->odd = s->odd || s->at == s->end;
    s->at += !s->odd;
    return raw;
}

void ew_scan_text(struct ew_scan *s, struct ew_str *raw)
{
    *raw = (struct ew_str){NULL, 0};
    if (!ew_scan_null(s))
        *raw = string(s);
}

size_t ew_scan_unescape(struct ew_str raw, char *out)
{
    static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    size_t bytes = 0;
    for (size_t i = 0; i < raw.bytes; i++) {
        char c = raw.data[i];
        out[bytes++] = c == '\\' ? meanings[strchr(escapes, raw.data[++i]) - escapes] : c;
    }
    return bytes;
}

/* ---- numbers ---- */

static size_t digits(struct ew_scan *s)
{
    const char *from = s->at;
    while (s->at < s->end && is_digit(*s->at))
        s->at++;
    s->odd = s->odd || s->at == from || s->at - from > DIGITS_MAX;
    return (size_t)(s->at - from);
}

/* Its whole part; the sign is read. */
static void whole_part(struct ew_scan *s)
{
    const char *from = s->at;
    s->odd = (digits(s) > 1 && *from == '0') || s->odd;
}

static void number(struct ew_scan *s)
{
    s->at += *s->at == '-';
    whole_part(s);
    if (s->at < s->end && *s->at == '.') {
        s->at++;
        (void)digits(s);
    }
    s->odd = s->odd || (s->at < s->end && (*s->at == 'e' || *s->at == 'E'));
}

bool ew_scan_whole(struct ew_scan *s, int64_t *value)
{
    if (ew_scan_null(s))
        return false;
    bool minus = take(s, '-');
    const char *from = s->at;
    whole_part(s);
    s->odd = s->odd || (s->at < s->end && (*s->at == '.' || *s->at == 'e' || *s->at == 'E'));
    *value = 0;
    for (; !s->odd && from < s->at; from++)
        *value = *value * 10 + (*from - '0');
    *value = minus ? -*value : *value;
    return !s->odd;
}

/* ---- objects and arrays ---- */

bool ew_scan_enter(struct ew_scan *s, char opens)
{
    s->first = take(s, opens);
    return s->first;
}

/* What stands before the next part; false: the end has come. */
static bool next(struct ew_scan *s, char closes)
{
    bool first = s->first;
    s->first = false;
    if (s->odd || take(s, closes))
        return false;
    if (!first)
        expect(s, ',');
    return !s->odd;
}

bool ew_scan_item(struct ew_scan *s)
{
    return next(s, ']');
}

bool ew_scan_key(struct ew_scan *s, struct ew_str *key)
{
    if (!next(s, '}'))
        return false;
    *key = string(s);
    s->odd = s->odd || s->escaped;
    expect(s, ':');
    return !s->odd;
}

bool ew_scan_null(struct ew_scan *s)
{
    if (ew_scan_peek(s) != 'n')
        return false;
    word(s, "null");
    return true;
}

static void plain_value(struct ew_scan *s)
{
    char c = ew_scan_peek(s);
    if (c == '"')
        (void)string(s);
    else if (c == '-' || is_digit(c))
        number(s);
    else
        word(s, c == 't' ? "true" : c == 'f' ? "false" : "null");
}

void ew_scan_skip(struct ew_scan *s)
{
    char closes[DEPTH_MAX];
    int depth = 0;
    do {
        char c = ew_scan_peek(s);
        if (c == '{' || c == '[') {
            if (depth == DEPTH_MAX) {
                s->odd = true;
                return;
            }
            closes[depth++] = c == '{' ? '}' : ']';
            (void)ew_scan_enter(s, c);
        } else {
            plain_value(s);
        }
        struct ew_str key;
        while (depth && !(closes[depth - 1] == '}' ? ew_scan_key(s, &key) : ew_scan_item(s)))
            depth--;
    } while (depth && !s->odd);
}
