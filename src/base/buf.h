/* buf.h - growable bytes with a ceiling.
 *
 * Every buffer is born with the most it may hold, so that no input makes the process grow without
 * a stated limit. The bytes are always followed by a NUL, so `data` is a C string once anything was
 * added (and "" before). A failed add leaves the buffer as it was. */
#ifndef EW_BUF_H
#define EW_BUF_H

#include "base/err.h"

#include <string.h>

struct ew_buf {
    char *data;      /* owned; NULL until the first add */
    size_t bytes;    /* used */
    size_t capacity; /* allocated, NUL not counted */
    size_t max;      /* never more than this */
};

/* Bytes somewhere else, not NUL-terminated: always a borrow. */
struct ew_str {
    const char *data;
    size_t bytes;
};

void ew_buf_init(struct ew_buf *buf, size_t max);
void ew_buf_fini(struct ew_buf *buf);
void ew_buf_clear(struct ew_buf *buf); /* keeps the allocation */
int ew_buf_printf(struct ew_buf *buf, struct ew_err *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Room for `bytes` more, uninitialised, counted as used; NULL (and err) when that is too much. */
void *ew_buf_extend(struct ew_buf *buf, size_t bytes, struct ew_err *err);
const char *ew_buf_cstr(const struct ew_buf *buf); /* never NULL */

int ew_buf_add_slowly(struct ew_buf *buf, const void *data, size_t bytes, struct ew_err *err);

/* Nearly always there is room, and most of what is added is a few bytes: here, so that the length
 * of a literal, and its copying, are the compiler's business. */
static inline int ew_buf_add(struct ew_buf *buf, const void *data, size_t bytes, struct ew_err *err)
{
    if (!buf->data || bytes > buf->max - buf->bytes || bytes > buf->capacity - buf->bytes)
        return ew_buf_add_slowly(buf, data, bytes, err);
    memcpy(buf->data + buf->bytes, data, bytes);
    buf->bytes += bytes;
    buf->data[buf->bytes] = '\0';
    return 0;
}

static inline int ew_buf_text(struct ew_buf *buf, const char *text, struct ew_err *err)
{
    return ew_buf_add(buf, text, strlen(text), err);
}

static inline bool ew_str_is(struct ew_str str, const char *text)
{
    return str.bytes == strlen(text) && memcmp(str.data, text, str.bytes) == 0;
}

/* As snprintf with "%s", "%.*s", "%0*llx" and "%llu" does, for what each request needs: printf
 * takes ten times as long. What doesn't fit is cut. They say how many bytes are there now. */
size_t ew_str_copy(char *to, size_t size, const char *text);
size_t ew_str_cut(char *to, size_t size, struct ew_str text);
size_t ew_str_hex(char *to, size_t size, uint64_t value, unsigned digits); /* the lowest so many */
size_t ew_str_u64(char *to, size_t size, uint64_t value);

#endif
