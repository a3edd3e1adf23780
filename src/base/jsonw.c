/* jsonw.c - commas, indentation, escapes and numbers of JSON (RFC 8259). */
#include "base/jsonw.h"

#include "base/json_plain.h"
#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ew_jsonw_init(struct ew_jsonw *json, struct ew_buf *out, enum ew_jsonw_style style)
{
    *json = (struct ew_jsonw){.out = out, .style = style};
}

/* Room for so many bytes, which the caller fills; NULL: there is none, as noted. */
static char *room(struct ew_jsonw *json, size_t bytes)
{
    struct ew_buf *out = json->out;
    if (json->err.code)
        return NULL;
    if (!out->data || bytes > out->capacity - out->bytes || bytes > out->max - out->bytes)
        return ew_buf_extend(out, bytes, &json->err);
    char *at = out->data + out->bytes;
    at[bytes] = '\0';
    out->bytes += bytes;
    return at;
}

static void put(struct ew_jsonw *json, const char *data, size_t bytes)
{
    char *at = room(json, bytes);
    if (at && bytes)
        memcpy(at, data, bytes);
}

static void put_text(struct ew_jsonw *json, const char *text)
{
    put(json, text, strlen(text));
}

static void put_char(struct ew_jsonw *json, char c)
{
    char *at = room(json, 1);
    if (at)
        *at = c;
}

static void new_line(struct ew_jsonw *json, int depth)
{
    put_text(json, "\n");
    for (int i = 0; i < depth; i++)
        put_text(json, "  ");
}

/* What stands between the value or key before and one that comes now. */
static void separate(struct ew_jsonw *json, bool opens)
{
    bool filled = json->level[json->depth].filled, pretty = json->style == EW_JSONW_PRETTY;
    bool object = json->level[json->depth].object;
    EW_ASSERT(json->depth > 0 || !filled); /* one value on top */
    json->level[json->depth].filled = true;
    if (filled)
        put_char(json, ',');
    if (json->depth == 0 || !pretty)
        return;
    if (object || opens || json->level[json->depth].broken) {
        json->level[json->depth].broken = true;
        new_line(json, json->depth);
    } else if (filled) {
        put_text(json, " ");
    }
}

static void value_starts(struct ew_jsonw *json, bool opens)
{
    if (json->after_key) {
        json->after_key = false;
        return;
    }
    EW_ASSERT(!json->level[json->depth].object); /* objects need keys */
    separate(json, opens);
}

static void open_level(struct ew_jsonw *json, bool object)
{
    value_starts(json, true);
    EW_ASSERT(json->depth < EW_JSONW_DEPTH_MAX);
    json->depth++;
    json->level[json->depth].object = object;
    json->level[json->depth].filled = json->level[json->depth].broken = false;
    put_char(json, object ? '{' : '[');
}

void ew_jsonw_object(struct ew_jsonw *json)
{
    open_level(json, true);
}

void ew_jsonw_array(struct ew_jsonw *json)
{
    open_level(json, false);
}

void ew_jsonw_end(struct ew_jsonw *json)
{
    EW_ASSERT(json->depth > 0 && !json->after_key);
    bool object = json->level[json->depth].object, broken = json->level[json->depth].broken;
    json->depth--;
    if (broken)
        new_line(json, json->depth);
    put_char(json, object ? '}' : ']');
}

int ew_jsonw_finish(struct ew_jsonw *json, struct ew_err *err)
{
    EW_ASSERT(json->depth == 0 && !json->after_key);
    put_text(json, "\n");
    if (json->err.code && err)
        *err = json->err;
    return json->err.code;
}

static const char *escape_of(unsigned char c, char *number, size_t max)
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        snprintf(number, max, "\\u%04x", c);
        return number;
    }
}

/* What isn't plain from `from` on; what is fine as it is goes out in one piece. */
static void quote_rest(struct ew_jsonw *json, const char *data, size_t bytes, size_t i)
{
    size_t from = 0;
    while (i < bytes) {
        unsigned char c = (unsigned char)data[i];
        if (ew_json_is_plain(data[i])) {
            i += ew_json_plain(data + i, bytes - i);
            continue;
        }
        struct ew_utf8_char next = ew_utf8_next(data + i, bytes - i);
        bool whole = next.state == EW_UTF8_WHOLE;
        size_t at = i;
        i += (size_t)next.bytes;
        if (whole && c >= 0x80)
            continue;
        char number[8];
        put(json, data + from, at - from);
        put_text(json, whole ? escape_of(c, number, sizeof number) : "\xef\xbf\xbd");
        from = i;
    }
    put(json, data + from, bytes - from);
}

static void quote(struct ew_jsonw *json, const char *data, size_t bytes)
{
    size_t plain = ew_json_plain(data, bytes);
    if (plain < bytes) {
        put_char(json, '"');
        quote_rest(json, data, bytes, plain);
        put_char(json, '"');
        return;
    }
    char *at = room(json, bytes + 2);
    if (!at)
        return;
    *at = '"';
    if (bytes)
        memcpy(at + 1, data, bytes);
    at[bytes + 1] = '"';
}

static void key_starts(struct ew_jsonw *json)
{
    EW_ASSERT(json->level[json->depth].object && !json->after_key);
    separate(json, false);
}

/* Room for a key's comma and so many bytes more, in one; NULL: there is none. */
static char *key_room(struct ew_jsonw *json, size_t bytes)
{
    bool comma = json->level[json->depth].filled;
    EW_ASSERT(json->level[json->depth].object && !json->after_key);
    json->level[json->depth].filled = true;
    char *at = room(json, bytes + comma);
    if (at && comma)
        *at++ = ',';
    return at;
}

static void key_ends(struct ew_jsonw *json)
{
    put_char(json, ':');
    if (json->style == EW_JSONW_PRETTY)
        put_char(json, ' ');
    json->after_key = true;
}

void ew_jsonw_key_plain(struct ew_jsonw *json, struct ew_str key)
{
    if (json->style == EW_JSONW_PRETTY) {
        key_starts(json);
        quote(json, key.data, key.bytes);
        key_ends(json);
        return;
    }
    char *at = key_room(json, key.bytes + 3);
    json->after_key = true;
    if (!at)
        return;
    *at = '"';
    memcpy(at + 1, key.data, key.bytes);
    at[key.bytes + 1] = '"';
    at[key.bytes + 2] = ':';
}

void ew_jsonw_key_str(struct ew_jsonw *json, struct ew_str key)
{
    if (ew_json_plain(key.data, key.bytes) == key.bytes) {
        ew_jsonw_key_plain(json, key);
        return;
    }
    key_starts(json);
    quote(json, key.data, key.bytes);
    key_ends(json);
}

void ew_jsonw_str(struct ew_jsonw *json, struct ew_str text)
{
    value_starts(json, false);
    quote(json, text.data, text.bytes);
}

void ew_jsonw_text(struct ew_jsonw *json, const char *text)
{
    if (text)
        ew_jsonw_str(json, (struct ew_str){text, strlen(text)});
    else
        ew_jsonw_null(json);
}

void ew_jsonw_raw(struct ew_jsonw *json, struct ew_str value)
{
    value_starts(json, false);
    put(json, value.data, value.bytes);
}

static void plain(struct ew_jsonw *json, const char *text)
{
    ew_jsonw_raw(json, (struct ew_str){text, strlen(text)});
}

static void whole_number(struct ew_jsonw *json, uint64_t value, bool minus)
{
    char text[24] = "-";
    size_t size = minus ? 1 : 0;
    size += ew_str_u64(text + size, sizeof text - size, value);
    ew_jsonw_raw(json, (struct ew_str){text, size});
}

void ew_jsonw_int(struct ew_jsonw *json, int64_t value)
{
    whole_number(json, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0);
}

void ew_jsonw_u64(struct ew_jsonw *json, uint64_t value)
{
    whole_number(json, value, false);
}

void ew_jsonw_bool(struct ew_jsonw *json, bool value)
{
    ew_jsonw_raw(json, value ? (struct ew_str){"true", 4} : (struct ew_str){"false", 5});
}

void ew_jsonw_null(struct ew_jsonw *json)
{
    ew_jsonw_raw(json, (struct ew_str){"null", 4});
}

static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

/* Many are whole, and printf takes its time. False: it is none of at most so many digits. */
static bool whole_real(struct ew_jsonw *json, double value, int digits)
{
    double limit = digits < 15 ? powers[digits] : 1e15;
    if (!(fabs(value) < limit) || value != (double)(int64_t)value || (value == 0 && signbit(value)))
        return false;
    ew_jsonw_int(json, (int64_t)value);
    return true;
}

/* m, a number of `digits` digits, with a point before the last `decimals` of them; zeros at the end
 * of decimals are left out. */
static void point(struct ew_jsonw *json, uint64_t m, int digits, int decimals, bool minus)
{
    char text[40], *end = text + sizeof text, *at = end;
    int places = digits > decimals ? digits : decimals + 1;
    for (int i = 0; i < places; i++, m /= 10) {
        if (i == decimals && decimals > 0 && at != end)
            *--at = '.';
        if (i < decimals && m % 10 == 0 && at == end)
            continue; /* a zero at the end */
        *--at = (char)('0' + m % 10);
    }
    if (minus)
        *--at = '-';
    ew_jsonw_raw(json, (struct ew_str){at, (size_t)(end - at)});
}

/* "%.*g" without printf, which takes ten times as long; false: a rounding too close to call, or a
 * number that %g writes with an exponent. Scaling has one rounding, of 2^-53: what lies further
 * than `near` from the middle between two numbers of so many digits can't be on its other side. */
static bool short_real(struct ew_jsonw *json, double value, int digits)
{
    enum { DIGITS_MAX = 9 };
    const double near = 1e-6, size = fabs(value);
    if (digits > DIGITS_MAX || !(size >= 1e-4 && size < powers[digits]))
        return false;
    int exponent = digits - 1; /* of its first digit */
    while (exponent >= 0 && size < powers[exponent])
        exponent--;
    while (exponent < 0 && size * powers[-exponent] < 1)
        exponent--;
    int decimals = digits - 1 - exponent;
    double scaled = size * powers[decimals], whole = floor(scaled), rest = scaled - whole;
    if (fabs(rest - .5) < near || whole + 1 >= powers[digits] || whole < powers[digits - 1])
        return false;
    point(json, (uint64_t)whole + (rest > .5), digits, decimals, value < 0);
    return true;
}

void ew_jsonw_digits(struct ew_jsonw *json, double value, int digits)
{
    char text[40];
    EW_ASSERT(digits >= 1 && digits <= 17);
    if (!isfinite(value)) {
        ew_jsonw_null(json);
    } else if (!whole_real(json, value, digits) && !short_real(json, value, digits)) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        plain(json, text);
    }
}

void ew_jsonw_real(struct ew_jsonw *json, double value)
{
    char text[40];
    if (!isfinite(value)) {
        ew_jsonw_null(json);
        return;
    }
    if (whole_real(json, value, 15))
        return;
    int digits = 15; /* every decimal of 15 digits survives; 17 always suffice for a double */
    do
        snprintf(text, sizeof text, "%.*g", digits, value);
    while (strtod(text, NULL) != value && ++digits <= 17);
    plain(json, text);
}

void ew_jsonw_put_raw(struct ew_jsonw *json, struct ew_str key, struct ew_str value)
{
    if (json->style == EW_JSONW_PRETTY) {
        key_starts(json);
        put(json, key.data, key.bytes);
        key_ends(json);
        ew_jsonw_raw(json, value);
        return;
    }
    char *at = key_room(json, key.bytes + 1 + value.bytes);
    if (!at)
        return;
    memcpy(at, key.data, key.bytes);
    at[key.bytes] = ':';
    memcpy(at + key.bytes + 1, value.data, value.bytes);
}
