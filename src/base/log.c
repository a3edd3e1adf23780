/* log.c - a sentence is formatted, cleaned, dressed for its reader, and written by one write().
 *
 * It may allocate: a log line is never on the path of a token. Limits: sentences of 1 KiB; escaped
 * they may take four times that. */
#include "base/log.h"

#include "base/jsonw.h"
#include "base/utf8.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SENTENCE_MAX = 1024, LINE_MAX_BYTES = 4 * SENTENCE_MAX + 256, TIME_BYTES = 32 };

const char *const ew_log_level_names[] = {"error", "warning", "info", "debug", NULL};
const char *const ew_log_form_names[] = {"plain", "timed", "json", NULL};

/* The process has one stderr, and so one way of writing to it. */
static enum ew_log_level level_most = EW_LOG_WARNING;
static enum ew_log_form form_now = EW_LOG_PLAIN;

/* systemd.exec(5): JOURNAL_STREAM is "device:inode" of the socket that it gave us as stderr. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat about;
    char own[48];
    if (!stream || fstat(STDERR_FILENO, &about))
        return false;
    snprintf(own, sizeof own, "%llu:%llu", (unsigned long long)about.st_dev,
             (unsigned long long)about.st_ino);
    return strcmp(stream, own) == 0;
}

void ew_log_open(enum ew_log_level most, enum ew_log_form form)
{
    level_most = most;
    form_now = form == EW_LOG_PLAIN && stderr_is_journal() ? EW_LOG_JOURNAL : form;
}

bool ew_log_wants(enum ew_log_level level)
{
    return level <= level_most;
}

/* ---- cleaning ---- */

/* Bytes of a credential's beginning at `at`, behind which its secret part follows; 0: none here. */
static size_t credential(struct ew_str text, size_t at)
{
    static const char *const starts[] = {"Bearer ", "sk-", "ew-"};
    for (size_t i = 0; i < EW_COUNT(starts); i++) {
        size_t bytes = strlen(starts[i]);
        if (text.bytes - at > bytes && memcmp(text.data + at, starts[i], bytes) == 0 &&
            (i == 0 || at == 0 || !isalnum((unsigned char)text.data[at - 1])))
            return bytes;
    }
    return 0;
}

static size_t word_bytes(struct ew_str text, size_t at)
{
    size_t n = 0;
    while (at + n < text.bytes && !strchr(" \t\r\n\"',;", text.data[at + n]))
        n++;
    return n;
}

/* Shorter words behind "sk-" are prose. */
enum { SECRET_MIN = 8 };

static int put_char(struct ew_buf *out, struct ew_str text, size_t at, size_t *bytes,
                    struct ew_err *err)
{
    struct ew_utf8_char c = ew_utf8_next(text.data + at, text.bytes - at);
    *bytes = (size_t)c.bytes;
    if (c.state != EW_UTF8_WHOLE)
        return ew_buf_text(out, "\xef\xbf\xbd", err);
    if (c.point == '\n')
        return ew_buf_text(out, "\\n", err);
    /* C0, DEL, C1, and the marks that turn a terminal's text around. */
    if (c.point < 0x20 || (c.point >= 0x7f && c.point < 0xa0))
        return ew_buf_printf(out, err, "\\x%02x", (unsigned)c.point);
    if ((c.point >= 0x202a && c.point <= 0x202e) || (c.point >= 0x2066 && c.point <= 0x2069) ||
        c.point == 0x2028 || c.point == 0x2029)
        return ew_buf_printf(out, err, "\\u%04x", (unsigned)c.point);
    return ew_buf_add(out, text.data + at, (size_t)c.bytes, err);
}

int ew_log_clean(struct ew_buf *out, struct ew_str text, struct ew_err *err)
{
    int rc = 0;
    for (size_t at = 0, bytes; at < text.bytes && !rc; at += bytes) {
        size_t start = credential(text, at), secret = start ? word_bytes(text, at + start) : 0;
        if (secret >= SECRET_MIN) {
            bytes = start + secret;
            rc = ew_buf_printf(out, err, "%s***", text.data[at] == 'B' ? "Bearer " : "");
        } else {
            rc = put_char(out, text, at, &bytes, err);
        }
    }
    return rc;
}

/* ---- lines ---- */

/* RFC 3339, to the millisecond. */
static void time_text(char text[TIME_BYTES])
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t n = strftime(text, TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + n, TIME_BYTES - n, ".%03dZ", (int)(now.tv_nsec / 1000000));
}

static int json_line(struct ew_buf *out, enum ew_log_level level, struct ew_str sentence)
{
    struct ew_jsonw json;
    char time[TIME_BYTES];
    time_text(time);
    ew_jsonw_init(&json, out, EW_JSONW_COMPACT);
    ew_jsonw_object(&json);
    ew_jsonw_put_text(&json, "time", time);
    ew_jsonw_put_text(&json, "level", ew_log_level_names[level]);
    ew_jsonw_key(&json, "message");
    ew_jsonw_str(&json, sentence);
    ew_jsonw_end(&json);
    return ew_jsonw_finish(&json, NULL);
}

static int text_line(struct ew_buf *out, enum ew_log_level level, struct ew_str sentence)
{
    /* syslog's: err, warning, info, debug. */
    static const int priorities[] = {3, 4, 6, 7};
    static const char *const names[] = {"error: ", "warning: ", "", "debug: "};
    char time[TIME_BYTES] = "";
    if (form_now == EW_LOG_TIMED)
        time_text(time);
    int rc = form_now == EW_LOG_JOURNAL ? ew_buf_printf(out, NULL, "<%d>", priorities[level])
                                        : ew_buf_printf(out, NULL, "%s%sedgewise: %s", time,
                                                        *time ? " " : "", names[level]);
    rc = rc ? rc : ew_buf_add(out, sentence.data, sentence.bytes, NULL);
    return rc ? rc : ew_buf_text(out, "\n", NULL);
}

/* One call, so that lines of threads don't mix; a pipe takes 4 KiB whole. */
static void write_line(const struct ew_buf *line)
{
    ssize_t n;
    do
        n = write(STDERR_FILENO, line->data, line->bytes);
    while (n < 0 && errno == EINTR);
}

void ew_log(enum ew_log_level level, const char *format, ...)
{
    if (!ew_log_wants(level))
        return;
    int errno_was = errno;
    char text[SENTENCE_MAX];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct ew_buf clean, line;
    ew_buf_init(&clean, LINE_MAX_BYTES);
    ew_buf_init(&line, 2 * LINE_MAX_BYTES);
    struct ew_str whole = {text, n < 0 ? 0 : n < SENTENCE_MAX ? (size_t)n : SENTENCE_MAX - 1};
    int rc = ew_log_clean(&clean, whole, NULL);
    struct ew_str sentence = {ew_buf_cstr(&clean), clean.bytes};
    if (!rc)
        rc = form_now == EW_LOG_JSON ? json_line(&line, level, sentence)
                                     : text_line(&line, level, sentence);
    if (!rc)
        write_line(&line);
    ew_buf_fini(&clean);
    ew_buf_fini(&line);
    errno = errno_was;
}

uint64_t ew_log_rate(struct ew_log_rate *rate, uint64_t now_ns, uint64_t interval_ns)
{
    if (now_ns < rate->next_ns) {
        rate->silent++;
        return 0;
    }
    uint64_t stands_for = rate->silent + 1;
    *rate = (struct ew_log_rate){.next_ns = now_ns + interval_ns};
    return stands_for;
}
