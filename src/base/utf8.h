/* utf8.h - UTF-8 from strangers: decode, repair, and join what a stream cut in two.
 *
 * "Broken" follows the Unicode standard (3.9, U+FFFD substitution of maximal subparts), which is
 * also what browsers and Python's errors='replace' do: overlong forms, surrogates and code points
 * above U+10FFFF are broken, and each longest start of a character that could have become one is
 * replaced once. */
#ifndef EW_UTF8_H
#define EW_UTF8_H

#include "base/buf.h"

enum {
    EW_UTF8_MAX = 4 /* bytes of a character */
};

enum ew_utf8_state {
    EW_UTF8_WHOLE,  /* a character */
    EW_UTF8_BROKEN, /* bytes that no continuation can make one of */
    EW_UTF8_CUT     /* a fine start, but the text ends */
};

struct ew_utf8_char {
    enum ew_utf8_state state;
    int bytes;      /* it takes, 1 .. 4 */
    uint32_t point; /* U+FFFD unless whole */
};

/* The character at the start of data; bytes > 0. */
struct ew_utf8_char ew_utf8_next(const char *data, size_t bytes);
/* How many bytes at the start are whole characters. */
size_t ew_utf8_valid(const char *data, size_t bytes);
/* Appends the text with everything broken (also what is cut at the end) replaced by U+FFFD. */
int ew_utf8_repair(struct ew_buf *out, const char *data, size_t bytes, struct ew_err *err);

/* Tokens end anywhere, also inside a character; users see whole characters. All zero to begin. */
struct ew_utf8_stream {
    char held[EW_UTF8_MAX]; /* the start of a character whose rest is still to come */
    int bytes;
};

/* Appends to out what is complete by now: whole characters, and U+FFFD for what is broken. Holds
 * back at most three bytes. */
int ew_utf8_push(struct ew_utf8_stream *stream, const char *data, size_t bytes, struct ew_buf *out,
                 struct ew_err *err);
/* The stream has ended: what is still held becomes U+FFFD. */
int ew_utf8_flush(struct ew_utf8_stream *stream, struct ew_buf *out, struct ew_err *err);

#endif
