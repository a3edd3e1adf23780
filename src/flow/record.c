/* record.c - what is done with all columns of a row alike: named, filled, written as JSON and CSV.
 *
 * Everything walks the table that the X-macro of record.h gives, so a new column needs a line there
 * and none here. Texts are those of strangers (a model's name, a prompt): they are made harmless
 * once, when they are set. */
#include "flow/record.h"

#include "base/json_plain.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

const struct ew_record_field ew_record_fields[EW_RECORD_FIELD_COUNT] = {
#define TEXT(name, bytes, meaning)                                                                 \
    {#name, EW_RECORD_TEXT, offsetof(struct ew_record, name), bytes, meaning},
#define INT(name, meaning)                                                                         \
    {#name, EW_RECORD_INT, offsetof(struct ew_record, name), sizeof(int64_t), meaning},
#define REAL(name, meaning)                                                                        \
    {#name, EW_RECORD_REAL, offsetof(struct ew_record, name), sizeof(double), meaning},
    EW_RECORD_FIELDS(TEXT, INT, REAL)
#undef TEXT
#undef INT
#undef REAL
};

int ew_record_find(const char *name)
{
    for (int i = 0; i < EW_RECORD_FIELD_COUNT; i++)
        if (strcmp(ew_record_fields[i].name, name) == 0)
            return i;
    return -1;
}

/* ---- text of strangers ---- */

static bool is_control(uint32_t point)
{
    return point < 0x20 || (point >= 0x7F && point < 0xA0) || point == 0x2028 || point == 0x2029;
}

void ew_record_set(char *to, size_t size, struct ew_str text)
{
    size_t used = text.bytes < size ? ew_json_plain(text.data, text.bytes) : 0;
    if (used)
        memcpy(to, text.data, used);
    for (size_t at = used; at < text.bytes;) {
        char plain = text.data[at];
        if (plain >= 0x20 && plain < 0x7F && used + 1 < size) { /* nearly all of all text */
            to[used++] = plain;
            at++;
            continue;
        }
        struct ew_utf8_char c = ew_utf8_next(text.data + at, text.bytes - at);
        const char *bytes = text.data + at;
        size_t count = (size_t)c.bytes;
        if (c.state != EW_UTF8_WHOLE) {
            bytes = "\xEF\xBF\xBD";
            count = 3;
        } else if (is_control(c.point)) {
            bytes = " ";
            count = 1;
        }
        if (used + count >= size)
            break;
        memcpy(to + used, bytes, count);
        used += count;
        at += (size_t)c.bytes;
    }
    to[used] = '\0';
}

/* ---- JSON and CSV ---- */

void ew_record_json(struct ew_jsonw *json, const struct ew_record *record)
{
    ew_jsonw_object(json);
    for (size_t i = 0; i < EW_RECORD_FIELD_COUNT; i++) {
        ew_jsonw_key(json, ew_record_fields[i].name);
        switch (ew_record_fields[i].kind) {
        case EW_RECORD_TEXT: {
            const char *text = ew_record_text(record, i);
            ew_jsonw_text(json, *text ? text : NULL);
            break;
        }
        case EW_RECORD_INT:
            if (ew_record_int(record, i) == EW_RECORD_UNKNOWN)
                ew_jsonw_null(json);
            else
                ew_jsonw_int(json, ew_record_int(record, i));
            break;
        case EW_RECORD_REAL:
            ew_jsonw_real(json, ew_record_real(record, i));
            break;
        }
    }
    ew_jsonw_end(json);
}

static int csv_text(struct ew_buf *out, const char *text, struct ew_err *err)
{
    const char *guard = *text && strchr("=+-@", *text) ? "'" : "";
    if (!strpbrk(text, ",\"\r\n"))
        return ew_buf_printf(out, err, "%s%s", guard, text);
    int rc = ew_buf_printf(out, err, "\"%s", guard);
    while (rc == 0 && *text) {
        size_t plain = strcspn(text, "\"");
        rc = ew_buf_add(out, text, plain, err);
        text += plain;
        if (rc == 0 && *text) {
            rc = ew_buf_text(out, "\"\"", err);
            text++;
        }
    }
    return rc ? rc : ew_buf_text(out, "\"", err);
}

/* The fewest digits that read back as the same number. */
static int csv_real(struct ew_buf *out, double value, struct ew_err *err)
{
    struct ew_jsonw json;
    if (!isfinite(value))
        return 0;
    ew_jsonw_init(&json, out, EW_JSONW_COMPACT);
    ew_jsonw_real(&json, value);
    int rc = ew_jsonw_finish(&json, err);
    if (rc == 0 && out->bytes && out->data[out->bytes - 1] == '\n') /* finish ends the line */
        out->data[--out->bytes] = '\0';
    return rc;
}

int ew_record_csv_header(struct ew_buf *out, struct ew_err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < EW_RECORD_FIELD_COUNT; i++)
        rc = ew_buf_printf(out, err, "%s%s", i ? "," : "", ew_record_fields[i].name);
    return rc ? rc : ew_buf_text(out, "\r\n", err);
}

int ew_record_csv(struct ew_buf *out, const struct ew_record *record, struct ew_err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < EW_RECORD_FIELD_COUNT; i++) {
        rc = i ? ew_buf_text(out, ",", err) : 0;
        if (rc)
            break;
        switch (ew_record_fields[i].kind) {
        case EW_RECORD_TEXT:
            rc = csv_text(out, ew_record_text(record, i), err);
            break;
        case EW_RECORD_INT:
            if (ew_record_int(record, i) != EW_RECORD_UNKNOWN)
                rc = ew_buf_printf(out, err, "%" PRId64, ew_record_int(record, i));
            break;
        case EW_RECORD_REAL:
            rc = csv_real(out, ew_record_real(record, i), err);
            break;
        }
    }
    return rc ? rc : ew_buf_text(out, "\r\n", err);
}
