/* when.c - the times people type, as milliseconds since 1970.
 *
 * Local time, as they mean it; a Z behind is UTC. Days are calendar days, so "yesterday" is right
 * when clocks are put forward, too. */
#include "ledger/query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int nonsense(const char *text, struct ew_err *err)
{
    return ew_fail(err, EW_EINVAL,
                   "'%s' is no time: give one like 24h, 7d, today, 2026-11-24 or "
                   "2026-11-24T10:30",
                   text);
}

static bool is_ago(const char *text, int64_t now_ms, int64_t *out_ms)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 6 || strlen(text) != digits + 1) /* a million days are enough */
        return false;
    for (size_t i = 0; i < EW_COUNT(units); i++)
        if (text[digits] == units[i].unit) {
            *out_ms = now_ms - strtol(text, NULL, 10) * units[i].ms;
            return true;
        }
    return false;
}

static int64_t midnight_ms(int64_t now_ms, int days_before)
{
    time_t now = (time_t)(now_ms / 1000);
    struct tm local;
    localtime_r(&now, &local);
    local.tm_mday -= days_before;
    local.tm_hour = local.tm_min = local.tm_sec = 0;
    local.tm_isdst = -1;
    return (int64_t)mktime(&local) * 1000;
}

static bool is_date(const char *text, int64_t *out_ms)
{
    static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M",
                                        "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"};
    for (size_t i = 0; i < EW_COUNT(forms); i++) {
        struct tm given = {0};
        const char *end = strptime(text, forms[i], &given);
        if (!end || (*end && strcmp(end, "Z")))
            continue;
        struct tm made = given;
        made.tm_isdst = -1;
        *out_ms = (int64_t)(*end ? timegm(&made) : mktime(&made)) * 1000;
        /* The 31st of February is nobody's meaning. */
        return made.tm_mday == given.tm_mday && made.tm_mon == given.tm_mon;
    }
    return false;
}

int ew_query_time(const char *text, int64_t now_ms, int64_t *out_ms, struct ew_err *err)
{
    if (strcmp(text, "now") == 0)
        *out_ms = now_ms;
    else if (strcmp(text, "today") == 0)
        *out_ms = midnight_ms(now_ms, 0);
    else if (strcmp(text, "yesterday") == 0)
        *out_ms = midnight_ms(now_ms, 1);
    else if (!is_ago(text, now_ms, out_ms) && !is_date(text, out_ms))
        return nonsense(text, err);
    return 0;
}
