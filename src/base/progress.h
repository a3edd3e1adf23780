/* progress.h - a bar with rate and time left, for work that takes long.
 *
 * It is drawn on stderr when that is a terminal, over itself, ten times a second at most, and is
 * wiped at the end; anywhere else nothing is written. Colours aren't used. */
#ifndef EW_PROGRESS_H
#define EW_PROGRESS_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>

enum ew_progress_unit {
    EW_PROGRESS_COUNT, /* of things: "12/300" */
    EW_PROGRESS_BYTES  /* "1.2 MB/105.5 MB", decimal prefixes */
};

struct ew_progress {
    const struct ew_clock *clock; /* borrowed */
    const char *what;             /* borrowed: "smollm2-135m" */
    enum ew_progress_unit unit;
    uint64_t first, done, total; /* first: done before we began; total 0: not known */
    uint64_t start_ns, drawn_ns;
    bool drawn, live;
};

void ew_progress_begin(struct ew_progress *progress, const char *what, uint64_t first,
                       uint64_t total, enum ew_progress_unit unit);
void ew_progress_set(struct ew_progress *progress, uint64_t done);
void ew_progress_end(struct ew_progress *progress);

/* The line as drawn at a time, at most `columns` wide. */
void ew_progress_line(const struct ew_progress *progress, uint64_t now_ns, int columns, char *text,
                      size_t max);

#endif
