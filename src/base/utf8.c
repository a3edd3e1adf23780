/* utf8.c - decoding by the table of well-formed byte sequences (Unicode standard, table 3-7).
 *
 * The lead byte fixes the length and, for E0, ED, F0 and F4, the range of the second byte; all
 * later bytes are 80..BF. Whatever leaves that table is broken at the byte that leaves it, which
 * then starts anew. */
#include "base/utf8.h"

#include <string.h>

static const char replacement[] = "\xEF\xBF\xBD";
enum { REPLACEMENT_POINT = 0xFFFD, REPLACEMENT_BYTES = 3 };

/* Bytes of the character that a lead byte opens, 0: none does. */
static int lead_bytes(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (lead < 0xC2) /* continuations, and leads of overlong forms */
        return 0;
    return lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
}

static bool second_fits(unsigned char lead, unsigned char second)
{
    unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    return second >= low && second <= high;
}

struct ew_utf8_char ew_utf8_next(const char *data, size_t bytes)
{
    const unsigned char *at = (const unsigned char *)data;
    int wanted = lead_bytes(at[0]);
    struct ew_utf8_char c = {EW_UTF8_BROKEN, 1, REPLACEMENT_POINT};
    if (wanted <= 1) {
        if (wanted)
            c = (struct ew_utf8_char){EW_UTF8_WHOLE, 1, at[0]};
        return c;
    }
    uint32_t point = at[0] & (0x7Fu >> wanted);
    for (; c.bytes < wanted; c.bytes++) {
        if ((size_t)c.bytes == bytes) {
            c.state = EW_UTF8_CUT;
            return c;
        }
        unsigned char next = at[c.bytes];
        if (c.bytes == 1 ? !second_fits(at[0], next) : (next & 0xC0) != 0x80)
            return c;
        point = point << 6 | (next & 0x3Fu);
    }
    c.state = EW_UTF8_WHOLE;
    c.point = point;
    return c;
}

size_t ew_utf8_valid(const char *data, size_t bytes)
{
    size_t at = 0;
    while (at < bytes) {
        uint64_t eight; /* ASCII goes by eight bytes at a time */
        if (bytes - at >= sizeof eight) {
            memcpy(&eight, data + at, sizeof eight);
            if (!(eight & 0x8080808080808080u)) {
                at += sizeof eight;
                continue;
            }
        }
        struct ew_utf8_char c = ew_utf8_next(data + at, bytes - at);
        if (c.state != EW_UTF8_WHOLE)
            break;
        at += (size_t)c.bytes;
    }
    return at;
}

int ew_utf8_repair(struct ew_buf *out, const char *data, size_t bytes, struct ew_err *err)
{
    while (bytes) {
        size_t whole = ew_utf8_valid(data, bytes);
        int code = ew_buf_add(out, data, whole, err);
        if (code)
            return code;
        data += whole;
        bytes -= whole;
        if (!bytes)
            break;
        struct ew_utf8_char c = ew_utf8_next(data, bytes);
        code = ew_buf_add(out, replacement, REPLACEMENT_BYTES, err);
        if (code)
            return code;
        data += c.bytes;
        bytes -= (size_t)c.bytes;
    }
    return 0;
}

/* Moves bytes of data behind what is held until the character there is decided. */
static int finish_held(struct ew_utf8_stream *stream, const char **data, size_t *bytes,
                       struct ew_buf *out, struct ew_err *err)
{
    while (stream->bytes && *bytes) {
        stream->held[stream->bytes] = **data;
        struct ew_utf8_char c = ew_utf8_next(stream->held, (size_t)stream->bytes + 1);
        if (c.state == EW_UTF8_BROKEN) { /* by the new byte, which isn't part of it */
            stream->bytes = 0;
            return ew_buf_add(out, replacement, REPLACEMENT_BYTES, err);
        }
        stream->bytes++;
        (*data)++;
        (*bytes)--;
        if (c.state == EW_UTF8_WHOLE) {
            stream->bytes = 0;
            return ew_buf_add(out, stream->held, (size_t)c.bytes, err);
        }
    }
    return 0;
}

int ew_utf8_push(struct ew_utf8_stream *stream, const char *data, size_t bytes, struct ew_buf *out,
                 struct ew_err *err)
{
    int code = finish_held(stream, &data, &bytes, out, err);
    if (code || !bytes)
        return code;
    /* A cut start can only be the last three bytes. */
    size_t done = bytes;
    for (size_t back = 1; back < EW_UTF8_MAX && back <= bytes; back++) {
        size_t at = bytes - back;
        if (((unsigned char)data[at] & 0xC0) == 0x80)
            continue;
        if (ew_utf8_next(data + at, back).state == EW_UTF8_CUT)
            done = at;
        break;
    }
    code = ew_utf8_repair(out, data, done, err);
    if (code)
        return code;
    stream->bytes = (int)(bytes - done);
    memcpy(stream->held, data + done, bytes - done);
    return 0;
}

int ew_utf8_flush(struct ew_utf8_stream *stream, struct ew_buf *out, struct ew_err *err)
{
    if (!stream->bytes)
        return 0;
    stream->bytes = 0;
    return ew_buf_add(out, replacement, REPLACEMENT_BYTES, err);
}
