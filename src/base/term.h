/* term.h - what the other end of a file descriptor can show. */
#ifndef EW_TERM_H
#define EW_TERM_H

#include <stdbool.h>
#include <stddef.h>

bool ew_term_is(int fd); /* a terminal, and not TERM=dumb: lines may be drawn over */
/* A terminal, unless NO_COLOR is set and not empty (https://no-color.org). */
bool ew_term_colors(int fd);
/* Columns: $COLUMNS, what the terminal says, or 80. */
int ew_term_columns(int fd);
/* Columns that UTF-8 text takes: marks take none, East Asian wide characters and emoji two. The
 * ranges are rough; tables stay aligned for what people write, not for every code point. */
int ew_term_width(const char *text, size_t bytes);

#endif
