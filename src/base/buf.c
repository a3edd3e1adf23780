/* buf.c - growable bytes with a ceiling: doubling, never past `max`. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_FIRST = 256 };

void ew_buf_init(struct ew_buf *buf, size_t max)
{
    *buf = (struct ew_buf){.max = max};
}

void ew_buf_fini(struct ew_buf *buf)
{
    free(buf->data);
    *buf = (struct ew_buf){.max = buf->max};
}

void ew_buf_clear(struct ew_buf *buf)
{
    buf->bytes = 0;
    if (buf->data)
        buf->data[0] = '\0';
}

void *ew_buf_extend(struct ew_buf *buf, size_t bytes, struct ew_err *err)
{
    if (bytes > buf->max - buf->bytes) {
        ew_fail(err, EW_ELIMIT, "%zu bytes and %zu more: the limit is %zu", buf->bytes, bytes,
                buf->max);
        return NULL;
    }
    size_t need = buf->bytes + bytes;
    if (!buf->data || need > buf->capacity) {
        size_t capacity = buf->capacity ? buf->capacity : CAPACITY_FIRST;
        while (capacity < need)
            capacity = capacity > buf->max / 2 ? buf->max : capacity * 2;
        char *data = realloc(buf->data, capacity + 1);
        if (!data) {
            ew_fail(err, EW_ENOMEM, "no memory for a buffer of %zu bytes", capacity);
            return NULL;
        }
        buf->data = data;
        buf->capacity = capacity;
    }
    char *at = buf->data + buf->bytes;
    buf->bytes = need;
    buf->data[need] = '\0';
    return at;
}

int ew_buf_add_slowly(struct ew_buf *buf, const void *data, size_t bytes, struct ew_err *err)
{
    struct ew_err own;
    void *at = ew_buf_extend(buf, bytes, err ? err : &own);
    if (!at)
        return err ? err->code : own.code;
    if (bytes)
        memcpy(at, data, bytes);
    return 0;
}

int ew_buf_printf(struct ew_buf *buf, struct ew_err *err, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0) {
        va_end(again);
        return ew_fail(err, EW_EINVAL, "text that can't be formatted");
    }
    struct ew_err own = {0};
    char *at = ew_buf_extend(buf, (size_t)n, err ? err : &own);
    if (at)
        vsnprintf(at, (size_t)n + 1, format, again);
    va_end(again);
    return at ? 0 : err ? err->code : own.code;
}

const char *ew_buf_cstr(const struct ew_buf *buf)
{
    return buf->data ? buf->data : "";
}

size_t ew_str_copy(char *to, size_t size, const char *text)
{
    return ew_str_cut(to, size, (struct ew_str){text, strnlen(text, size - 1)});
}

size_t ew_str_cut(char *to, size_t size, struct ew_str text)
{
    size_t bytes = text.bytes < size ? text.bytes : size - 1;
    if (bytes)
        memcpy(to, text.data, bytes);
    to[bytes] = '\0';
    return bytes;
}

size_t ew_str_hex(char *to, size_t size, uint64_t value, unsigned digits)
{
    char text[16];
    EW_ASSERT(digits <= sizeof text);
    for (unsigned i = 0; i < digits; i++, value >>= 4)
        text[digits - 1 - i] = "0123456789abcdef"[value & 15];
    return ew_str_cut(to, size, (struct ew_str){text, digits});
}

size_t ew_str_u64(char *to, size_t size, uint64_t value)
{
    char text[20], *end = text + sizeof text, *at = end;
    do
        *--at = (char)('0' + value % 10);
    while (value /= 10);
    return ew_str_cut(to, size, (struct ew_str){at, (size_t)(end - at)});
}
