/* err.c - error sentences and the one table that maps a code to text, HTTP and exit status. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    int code, http, status;
    const char *text;
} errors[] = {
#define X(name, number, http, status, text) {number, http, status, text},
    EW_ERRORS(X)
#undef X
};

int ew_fail(struct ew_err *err, int code, const char *format, ...)
{
    if (!err)
        return code;
    va_list args;
    va_start(args, format);
    err->code = code;
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return code;
}

int ew_fail_in(struct ew_err *err, int code, const char *format, ...)
{
    if (!err)
        return code;
    char was[sizeof err->text];
    memcpy(was, err->text, sizeof was);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    /* What doesn't fit is cut: the sentence in front is the one that names the file. */
    if (n >= 0 && (size_t)n < sizeof err->text &&
        snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", was) < 0)
        err->text[n] = '\0';
    err->code = code;
    return code;
}

const char *ew_error_text(int code)
{
    for (size_t i = 0; i < EW_COUNT(errors); i++)
        if (errors[i].code == code)
            return errors[i].text;
    return code == 0 ? "no error" : "unknown error";
}

int ew_error_http(int code)
{
    for (size_t i = 0; i < EW_COUNT(errors); i++)
        if (errors[i].code == code)
            return errors[i].http;
    return code == 0 ? 200 : 500;
}

int ew_error_exit(int code)
{
    for (size_t i = 0; i < EW_COUNT(errors); i++)
        if (errors[i].code == code)
            return errors[i].status;
    return code == 0 ? 0 : 1;
}

_Noreturn void ew_assert_failed(const char *cond, const char *file, int line)
{
    fprintf(stderr, "edgewise: bug: %s:%d: %s doesn't hold\n", file, line, cond);
    abort();
}
