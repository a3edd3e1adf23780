/* log.h - the story on stderr, a line an event.
 *
 * Whoever handles an error writes the line, never who returns it. A line is whole even when
 * threads write at once (one write() each), and it stays one line whatever is quoted in it: control
 * characters are escaped ("\n", "\x1b"), bytes that aren't UTF-8 become U+FFFD, and what looks like
 * a credential (a Bearer token, a key that starts with sk- or ew-) becomes "***". That is a safety
 * net: secrets aren't passed here in the first place. Limit: 1 KiB a line; what is longer is cut.
 *
 *     ew_log_open(EW_LOG_INFO, EW_LOG_PLAIN);
 *     ew_log(EW_LOG_WARNING, "%s can't be read: %s", path, err.text);
 *
 * A log that can't be written (a full disk, a closed pipe) is given up, line by line: serving
 * doesn't stop for it. */
#ifndef EW_LOG_H
#define EW_LOG_H

#include "base/buf.h"

enum ew_log_level { EW_LOG_ERROR, EW_LOG_WARNING, EW_LOG_INFO, EW_LOG_DEBUG };

enum ew_log_form {
    EW_LOG_PLAIN,   /* "edgewise: warning: …" */
    EW_LOG_TIMED,   /* the same behind the time in UTC, for files */
    EW_LOG_JSON,    /* {"time": …, "level": …, "message": …} */
    EW_LOG_JOURNAL, /* "<4>…": systemd knows time and name already */
};

/* NULL-terminated, in the order of the enums: for options. The journal's form isn't asked for. */
extern const char *const ew_log_level_names[], *const ew_log_form_names[];

/* Set once, before threads. Until then: warnings and errors, plain. Where stderr is the journal's
 * own socket (JOURNAL_STREAM names it), PLAIN means JOURNAL. */
void ew_log_open(enum ew_log_level most, enum ew_log_form form);
bool ew_log_wants(enum ew_log_level level);

void ew_log(enum ew_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For what may happen thousands of times a second. All zero to begin; one thread. Gives how many
 * lines to write now: 0, be silent; 1, this one; n > 1, this one, which stands for n. */
struct ew_log_rate {
    uint64_t next_ns;
    uint64_t silent;
};
uint64_t ew_log_rate(struct ew_log_rate *rate, uint64_t now_ns, uint64_t interval_ns);

/* What ew_log does to a sentence before it is written; fails only by the buffer's limit. */
int ew_log_clean(struct ew_buf *out, struct ew_str text, struct ew_err *err);

#endif
