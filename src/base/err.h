/* err.h - how anything here says that it failed.
 *
 * `return ew_fail(err, EW_EFORMAT, "tensor %s: %u dims, at most 4", name, n);` is the whole idiom:
 * it writes the sentence and returns the code. err may be NULL. Codes: EW_ERRORS in edgewise.h. */
#ifndef EW_ERR_H
#define EW_ERR_H

#include "edgewise.h"

int ew_fail(struct ew_err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts "what: " in front of the sentence that is there; returns its code. */
int ew_fail_in(struct ew_err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

int ew_error_http(int code);
int ew_error_exit(int code);

/* For bugs only; stays in release builds. Bad input, a full disk, a lost peer: never. */
#define EW_ASSERT(cond)                                                                            \
    do {                                                                                           \
        if (!(cond))                                                                               \
            ew_assert_failed(#cond, __FILE__, __LINE__);                                           \
    } while (0)
_Noreturn void ew_assert_failed(const char *cond, const char *file, int line);

#define EW_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
