/* stop.h - stop strings in a stream of text, none of which ever shows, not even in part.
 *
 * Text is pushed as it comes; what can't be the start of a stop string any more is passed on at
 * once, the rest is held back until it is known. The first stop string to be complete ends the
 * text; of several that end at the same byte the longest counts. */
#ifndef EW_STOP_H
#define EW_STOP_H

#include "base/buf.h"

enum {
    EW_STOP_COUNT_MAX = 16,  /* OpenAI allows 4, others up to 16 */
    EW_STOP_BYTES_MAX = 256, /* of one stop string: what may be held back */
};

struct ew_stop {
    const char *strings[EW_STOP_COUNT_MAX]; /* borrowed */
    size_t bytes[EW_STOP_COUNT_MAX], count;
    char held[EW_STOP_BYTES_MAX];
    size_t held_bytes;
    bool met;
};

int ew_stop_init(struct ew_stop *stop, const char *const *strings, size_t count,
                 struct ew_err *err);
/* Appends to out what may be shown. Once stop->met is true further text is swallowed. */
int ew_stop_push(struct ew_stop *stop, const char *text, size_t bytes, struct ew_buf *out,
                 struct ew_err *err);
/* The text has ended: what was held back is no stop string after all. */
int ew_stop_flush(struct ew_stop *stop, struct ew_buf *out, struct ew_err *err);

#endif
