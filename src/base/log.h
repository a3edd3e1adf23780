/* log.h - the story on stderr, a line an event.
 *
 * Whoever handles an error writes the line, never who returns it. A line is whole even when
 * threads write at once; control characters in what is quoted become '?', and what looks like a
 * credential (a Bearer token, a key that starts with sk-) becomes "***". That is a safety net:
 * secrets aren't passed here in the first place. */
#ifndef EW_LOG_H
#define EW_LOG_H

#include <stddef.h>

enum ew_log_level { EW_LOG_ERROR, EW_LOG_WARNING, EW_LOG_INFO, EW_LOG_DEBUG };

/* Lines above this level aren't written; EW_LOG_WARNING at start. Set once, before threads. */
void ew_log_set_level(enum ew_log_level most);

void ew_log(enum ew_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What ew_log does to a sentence, in place. */
void ew_log_clean(char *text);

#endif
