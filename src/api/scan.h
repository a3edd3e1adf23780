/* scan.h - one pass over a JSON text that is as it nearly always is; everything else is left to
 * jansson.
 *
 * A chunk of a stream has 200 bytes and is read once; a tree of it takes jansson 3 us, most of them
 * for memory, and a front passes tens of thousands of chunks in a second. Here nothing is built:
 * the caller asks for what it expects, in the order in which it comes.
 *
 * What is accepted is JSON, strictly (numbers, escapes, UTF-8, nothing behind the end). What isn't,
 * and what is unusual (\u escapes, keys with escapes, exponents, numbers of more than 18 digits,
 * deep nesting), sets `odd`: then nothing that was read counts, and whoever asked lets jansson read
 * the text and find the words for what is wrong with it. Family-private to src/api. */
#ifndef EW_SCAN_H
#define EW_SCAN_H

#include "base/buf.h"

struct ew_scan {
    const char *at, *end; /* what is still to be read */
    bool odd;
    bool first;   /* of an object or array: nothing has come yet */
    bool escaped; /* the latest string has a backslash in it */
};

void ew_scan_open(struct ew_scan *scan, struct ew_str text);
/* Whether all was read, white space at the end not counted. */
bool ew_scan_done(struct ew_scan *scan);

/* The byte that the next value begins with; NUL: none, or it is odd. */
char ew_scan_peek(struct ew_scan *scan);

/* '{' or '[' comes; false: something else does. */
bool ew_scan_enter(struct ew_scan *scan, char opens);
/* The next key of the object, its value being next; false: the object has ended. */
bool ew_scan_key(struct ew_scan *scan, struct ew_str *key);
/* There is a next item of the array; false: the array has ended. */
bool ew_scan_item(struct ew_scan *scan);

/* A string as it was written, without its quotes; .data NULL: null. */
void ew_scan_text(struct ew_scan *scan, struct ew_str *raw);
/* A whole number of at most 18 digits; false: null. */
bool ew_scan_whole(struct ew_scan *scan, int64_t *value);
bool ew_scan_null(struct ew_scan *scan); /* null comes, and was read */
void ew_scan_skip(struct ew_scan *scan); /* any value */

/* What a raw text means, in `out`, which has room for raw.bytes. Gives the bytes. */
size_t ew_scan_unescape(struct ew_str raw, char *out);

#endif
