/* unicode.h - the classes of characters by which pre-tokenizers split: \p{L}, \p{N}, \p{P} and \s
 * of the regular expressions that tokenizers are published with.
 *
 * Unicode 15.1, whatever the C library knows, so that the same text gives the same tokens on every
 * machine. The table is unicode_data.c. */
#ifndef EW_UNICODE_H
#define EW_UNICODE_H

#include <stddef.h>
#include <stdint.h>

enum ew_unicode_class {
    EW_UNICODE_OTHER,       /* marks, symbols, controls, separators that aren't white, unassigned */
    EW_UNICODE_LETTER,      /* general categories L* */
    EW_UNICODE_NUMBER,      /* N* */
    EW_UNICODE_PUNCTUATION, /* P* */
    EW_UNICODE_SPACE        /* the property White_Space, before any category */
};

/* Any number is a fine argument: beyond U+10FFFF is EW_UNICODE_OTHER. */
enum ew_unicode_class ew_unicode_class(uint32_t point);

extern const uint32_t ew_unicode_starts[]; /* private to unicode.c */
extern const size_t ew_unicode_start_count;

#endif
