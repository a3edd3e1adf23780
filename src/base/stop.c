/* stop.c - holds back the longest end of the text that begins a stop string.
 *
 * `held` always is such an end, so after each byte there are three cases: a stop string is
 * complete; the end grew; or some bytes at its front can't belong to a stop string and go out. */
#include "base/stop.h"

#include <string.h>

int ew_stop_init(struct ew_stop *stop, const char *const *strings, size_t count, struct ew_err *err)
{
    *stop = (struct ew_stop){.count = count};
    if (count > EW_STOP_COUNT_MAX)
        return ew_fail(err, EW_EINVAL, "%zu stop strings, at most %d", count, EW_STOP_COUNT_MAX);
    for (size_t i = 0; i < count; i++) {
        size_t bytes = strlen(strings[i]);
        if (bytes < 1 || bytes > EW_STOP_BYTES_MAX)
            return ew_fail(err, EW_EINVAL, "stop string %zu has %zu bytes, allowed 1 to %d", i + 1,
                           bytes, EW_STOP_BYTES_MAX);
        stop->strings[i] = strings[i];
        stop->bytes[i] = bytes;
    }
    return 0;
}

/* Bytes of the longest stop string that `held` ends with; 0: none. */
static size_t complete(const struct ew_stop *stop)
{
    size_t longest = 0;
    for (size_t i = 0; i < stop->count; i++) {
        size_t n = stop->bytes[i];
        if (n > longest && n <= stop->held_bytes &&
            memcmp(stop->held + stop->held_bytes - n, stop->strings[i], n) == 0)
            longest = n;
    }
    return longest;
}

/* Whether what is held from `from` on begins a stop string. */
static bool begins(const struct ew_stop *stop, size_t from)
{
    size_t n = stop->held_bytes - from;
    for (size_t i = 0; i < stop->count; i++)
        if (n < stop->bytes[i] && memcmp(stop->held + from, stop->strings[i], n) == 0)
            return true;
    return false;
}

static int release(struct ew_stop *stop, size_t bytes, struct ew_buf *out, struct ew_err *err)
{
    int failed = ew_buf_add(out, stop->held, bytes, err);
    stop->held_bytes -= bytes;
    memmove(stop->held, stop->held + bytes, stop->held_bytes);
    return failed;
}

int ew_stop_push(struct ew_stop *stop, const char *text, size_t bytes, struct ew_buf *out,
                 struct ew_err *err)
{
    if (!stop->count)
        return ew_buf_add(out, text, bytes, err);
    int failed = 0;
    for (size_t i = 0; i < bytes && !stop->met && !failed; i++) {
        stop->held[stop->held_bytes++] = text[i];
        size_t ended = complete(stop), from = 0;
        if (ended) {
            stop->met = true;
            failed = release(stop, stop->held_bytes - ended, out, err);
            stop->held_bytes = 0;
            continue;
        }
        while (from < stop->held_bytes && !begins(stop, from))
            from++;
        if (from)
            failed = release(stop, from, out, err);
    }
    return failed;
}

int ew_stop_flush(struct ew_stop *stop, struct ew_buf *out, struct ew_err *err)
{
    return release(stop, stop->held_bytes, out, err);
}
