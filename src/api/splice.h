/* splice.h - the top of a JSON text by its bytes: which keys stand where, so that a few can be
 * replaced and all others pass as they came.
 *
 *     ew_splice_open(&s, body);
 *     while (ew_splice_next(&s))
 *         if (!ew_splice_is(&s, "usage"))
 *             ew_jsonw_put_raw(&json, s.key, s.value);
 *     if (s.broken) …
 *
 * A tree of jansson's, written again, would have other digits in its numbers and the last of two
 * equal keys; and it takes three times as long. The text is one that jansson has read, or will:
 * here only strings and brackets are looked at, so that what is no JSON may pass; it never makes
 * anything be read that isn't in it. Family-private to src/api. */
#ifndef EW_SPLICE_H
#define EW_SPLICE_H

#include "base/buf.h"

struct ew_splice {
    const char *at, *end; /* what is still to be read */
    char closes;          /* '}' or ']' */
    bool begun, done;
    bool escaped;        /* the key has a backslash in it */
    bool broken;         /* it is neither object nor array, or ends too early */
    struct ew_str key;   /* with its quotes, as it was written; of an array's items: .data NULL */
    struct ew_str value; /* as it was written */
};

bool ew_splice_means(const struct ew_splice *splice, const char *name); /* of one with escapes */
void ew_splice_open(struct ew_splice *splice, struct ew_str text);
/* The next field of the object, or item of the array; false: there is none. */
bool ew_splice_next(struct ew_splice *splice);
/* Whether the key means that name, which is ASCII; "us\u0061ge" does mean usage. */
static inline bool ew_splice_is(const struct ew_splice *splice, const char *name)
{
    const struct ew_str key = splice->key;
    bool same = key.bytes == strlen(name) + 2 && memcmp(key.data + 1, name, key.bytes - 2) == 0;
    return splice->escaped ? ew_splice_means(splice, name) : same;
}

/* Appends the text without the white space between its parts: one line. */
int ew_splice_compact(struct ew_buf *out, struct ew_str text, struct ew_err *err);

#endif
