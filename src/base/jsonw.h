/* jsonw.h - writes JSON, one call a value, into a buffer.
 *
 *     struct ew_jsonw json;
 *     ew_jsonw_init(&json, &buf, EW_JSONW_PRETTY);
 *     ew_jsonw_object(&json);
 *     ew_jsonw_put_text(&json, "model", name);
 *     ew_jsonw_key(&json, "ttft_ms");
 *     ew_jsonw_real(&json, ttft_ms);        unknown (NAN, infinite) is null, never 0
 *     ew_jsonw_end(&json);
 *     return ew_jsonw_finish(&json, err);
 *
 * The first failure (the buffer's limit) sticks and is told by finish; nothing in between needs a
 * check. Wrong order of calls is a bug and asserts. Text is UTF-8; bytes that aren't become U+FFFD,
 * so what comes out is always valid JSON. Depth is at most EW_JSONW_DEPTH_MAX. */
#ifndef EW_JSONW_H
#define EW_JSONW_H

#include "base/buf.h"

#define EW_JSONW_DEPTH_MAX 64 /* our own nests six deep; schemas that clients send, deeper */

enum ew_jsonw_style {
    EW_JSONW_COMPACT, /* one line, no spaces */
    EW_JSONW_PRETTY   /* two spaces a level; arrays of plain values stay on one line */
};

struct ew_jsonw {
    struct ew_buf *out; /* borrowed */
    enum ew_jsonw_style style;
    int depth;
    struct {
        bool object, filled, broken; /* broken: over many lines */
    } level[EW_JSONW_DEPTH_MAX + 1];
    bool after_key;
    struct ew_err err; /* the first failure */
};

void ew_jsonw_init(struct ew_jsonw *json, struct ew_buf *out, enum ew_jsonw_style style);
/* 0 or the first failure. Ends the text with a newline. */
int ew_jsonw_finish(struct ew_jsonw *json, struct ew_err *err);

void ew_jsonw_object(struct ew_jsonw *json);
void ew_jsonw_array(struct ew_jsonw *json);
void ew_jsonw_end(struct ew_jsonw *json); /* of the innermost object or array */
void ew_jsonw_key_str(struct ew_jsonw *json, struct ew_str key);
void ew_jsonw_key_plain(struct ew_jsonw *json, struct ew_str key); /* stands in JSON as it is */

void ew_jsonw_text(struct ew_jsonw *json, const char *text); /* NULL is null */
void ew_jsonw_str(struct ew_jsonw *json, struct ew_str text);
void ew_jsonw_int(struct ew_jsonw *json, int64_t value);
void ew_jsonw_u64(struct ew_jsonw *json, uint64_t value);
void ew_jsonw_bool(struct ew_jsonw *json, bool value);
void ew_jsonw_null(struct ew_jsonw *json);
/* The fewest digits that read back as the same double. */
void ew_jsonw_real(struct ew_jsonw *json, double value);
/* At most that many significant digits: for measurements, whose rest is noise. */
void ew_jsonw_digits(struct ew_jsonw *json, double value, int digits);
void ew_jsonw_raw(struct ew_jsonw *json, struct ew_str value); /* is JSON already */

/* Key and value at once, both JSON already. */
void ew_jsonw_put_raw(struct ew_jsonw *json, struct ew_str key, struct ew_str value);

/* Here, so that the compiler knows how long a literal is, and that no quote or backslash is in it:
 * then it goes out as it stands (nobody writes control characters into a key). */
static inline void ew_jsonw_key(struct ew_jsonw *json, const char *key)
{
    const struct ew_str text = {key, strlen(key)};
    if (__builtin_constant_p(text.bytes) && !strpbrk(key, "\"\\"))
        ew_jsonw_key_plain(json, text);
    else
        ew_jsonw_key_str(json, text);
}

static inline void ew_jsonw_put_text(struct ew_jsonw *json, const char *key, const char *text)
{
    ew_jsonw_key(json, key);
    ew_jsonw_text(json, text);
}

static inline void ew_jsonw_put_int(struct ew_jsonw *json, const char *key, int64_t value)
{
    ew_jsonw_key(json, key);
    ew_jsonw_int(json, value);
}

static inline void ew_jsonw_put_u64(struct ew_jsonw *json, const char *key, uint64_t value)
{
    ew_jsonw_key(json, key);
    ew_jsonw_u64(json, value);
}

static inline void ew_jsonw_put_bool(struct ew_jsonw *json, const char *key, bool value)
{
    ew_jsonw_key(json, key);
    ew_jsonw_bool(json, value);
}

static inline void ew_jsonw_put_real(struct ew_jsonw *json, const char *key, double value)
{
    ew_jsonw_key(json, key);
    ew_jsonw_real(json, value);
}

static inline void ew_jsonw_put_digits(struct ew_jsonw *json, const char *key, double value,
                                       int digits)
{
    ew_jsonw_key(json, key);
    ew_jsonw_digits(json, value, digits);
}

#endif
