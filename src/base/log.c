/* log.c - one line to stderr by one write, cleaned first. Limit: 1 KiB a line. */
#include "base/log.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LINE_MAX_BYTES = 1024 };

static enum ew_log_level level_most = EW_LOG_WARNING;

void ew_log_set_level(enum ew_log_level most)
{
    level_most = most;
}

/* Replaces the word at `at` by three stars; gives what follows. */
static char *hide(char *at)
{
    size_t bytes = strcspn(at, " \t\r\n\"',;");
    if (bytes < 3)
        return at + bytes;
    memcpy(at, "***", 3);
    memmove(at + 3, at + bytes, strlen(at + bytes) + 1);
    return at + 3;
}

void ew_log_clean(char *text)
{
    static const char bearer[] = "Bearer ", key[] = "sk-";
    for (char *at = text; *at;) {
        if (strncmp(at, bearer, sizeof bearer - 1) == 0) {
            at = hide(at + sizeof bearer - 1);
        } else if (strncmp(at, key, sizeof key - 1) == 0 &&
                   (at == text || !isalnum((unsigned char)at[-1]))) {
            at = hide(at);
        } else {
            if ((unsigned char)*at < 0x20 || *at == 0x7f)
                *at = '?';
            at++;
        }
    }
}

void ew_log(enum ew_log_level level, const char *format, ...)
{
    static const char *const names[] = {"error: ", "warning: ", "", "debug: "};
    if (level > level_most)
        return;
    char text[LINE_MAX_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ew_log_clean(text);
    fprintf(stderr, "edgewise: %s%s\n", names[level], text);
}
