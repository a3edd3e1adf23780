/* template_globals.c - chat template: the functions that every template can call.
 *
 * strftime_now is there only when the context has a string of that name, "YYYY-MM-DD HH:MM:SS"
 * (the time may be left out): a render reads no clock, so that the same context always gives the
 * same text. */
#include "model/template_int.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int run_range(struct render *r, const struct call *call, struct value *out)
{
    int64_t start = 0, stop, step;
    bool one = call->argv[1].kind == V_UNSET;
    for (int i = 0; i < 3; i++)
        if (call->argv[i].kind != V_UNSET && call->argv[i].kind != V_INT &&
            call->argv[i].kind != V_BOOL)
            return TYPE_FAIL(r, "range of '%s'", ew__tmpl_kind(&call->argv[i]));
    int code = ew__tmpl_arg_int(r, &call->argv[one ? 0 : 1], 0, &stop);
    if (!code && !one)
        code = ew__tmpl_arg_int(r, &call->argv[0], 0, &start);
    if (!code)
        code = ew__tmpl_arg_int(r, &call->argv[2], 1, &step);
    if (!code && step == 0)
        code = TYPE_FAIL(r, "range with step 0");
    if (!code)
        code = ew__tmpl_list(r, V_LIST, 0, out);
    while (!code && (step > 0 ? start < stop : start > stop)) {
        struct value i = value_int(start);
        if (out->list->count == TMPL_RANGE_MAX)
            return ew__tmpl_fail(r, EW_ELIMIT, "a range of more than %d", TMPL_RANGE_MAX);
        code = ew__tmpl_push(r, out->list, &i);
        if (__builtin_add_overflow(start, step, &start))
            break;
    }
    return code;
}

static int put_pairs(struct render *r, const struct value *from, struct dict *dict)
{
    const struct value *items;
    uint32_t count;
    if (from->kind == V_DICT) {
        int code = 0;
        for (uint32_t i = 0; i < from->dict->count && !code; i++)
            code = ew__tmpl_put(r, dict, &from->dict->pairs[i].key, &from->dict->pairs[i].value);
        return code;
    }
    int code = ew__tmpl_items(r, from, &items, &count);
    for (uint32_t i = 0; i < count && !code; i++) {
        const struct value *pair;
        uint32_t parts;
        code = ew__tmpl_items(r, &items[i], &pair, &parts);
        if (!code && parts != 2)
            code = TYPE_FAIL(r, "dict: item %u isn't a pair", i);
        if (!code)
            code = ew__tmpl_put(r, dict, &pair[0], &pair[1]);
    }
    return code;
}

static int make_dict(struct render *r, const struct call *call, enum value_kind kind,
                     struct value *out)
{
    if (call->count > 1)
        return TYPE_FAIL(r, "dict: %u arguments, at most 1", call->count);
    int code = ew__tmpl_dict(r, kind, out);
    if (!code && call->count)
        code = put_pairs(r, &call->args[0], out->dict);
    for (uint32_t i = 0; i < call->kwarg_count && !code; i++)
        code = ew__tmpl_put(r, out->dict, &call->kwargs[i].name, &call->kwargs[i].value);
    return code;
}

static int run_dict(struct render *r, const struct call *call, struct value *out)
{
    return make_dict(r, call, V_DICT, out);
}

static int run_namespace(struct render *r, const struct call *call, struct value *out)
{
    return make_dict(r, call, V_SPACE, out);
}

static int run_raise(struct render *r, const struct call *call, struct value *out)
{
    struct value text;
    int code = ew__tmpl_str(r, &call->argv[0], &text);
    (void)out;
    if (code)
        return code;
    int shown = text.bytes < 200 ? (int)text.bytes : 200;
    return TYPE_FAIL(r, "%.*s", shown, text.s);
}

/* `digits` digits at *at, and what separates them from the next; false when they aren't there. */
static bool take_number(struct ew_str s, size_t *at, int digits, const char *then, int *out)
{
    *out = 0;
    for (int i = 0; i < digits; i++, ++*at) {
        if (*at >= s.bytes || s.data[*at] < '0' || s.data[*at] > '9')
            return false;
        *out = *out * 10 + (s.data[*at] - '0');
    }
    if (!*then)
        return true;
    return *at < s.bytes && strchr(then, s.data[(*at)++]) != NULL;
}

static bool parse_time(struct ew_str s, struct tm *tm)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    static const int shift[] = {0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4};
    size_t at = 0;
    int year, month, day;
    *tm = (struct tm){0};
    if (!take_number(s, &at, 4, "-", &year) || !take_number(s, &at, 2, "-", &month) ||
        !take_number(s, &at, 2, "", &day) || month < 1 || month > 12 || day < 1 || year < 1)
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day > days[month - 1] + (leap && month == 2))
        return false;
    if (at < s.bytes && (s.data[at] == 'T' || s.data[at] == ' ')) {
        at++;
        if (!take_number(s, &at, 2, ":", &tm->tm_hour) ||
            !take_number(s, &at, 2, ":", &tm->tm_min) || !take_number(s, &at, 2, "", &tm->tm_sec))
            return false;
    }
    tm->tm_year = year - 1900;
    tm->tm_mon = month - 1;
    tm->tm_mday = day;
    tm->tm_yday = day - 1 + (leap && month > 2);
    for (int m = 0; m < month - 1; m++)
        tm->tm_yday += days[m];
    int y = month < 3 ? year - 1 : year; /* day of the week: Sakamoto's congruence */
    tm->tm_wday = (y + y / 4 - y / 100 + y / 400 + shift[month - 1] + day) % 7;
    return at == s.bytes && tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec < 60;
}

static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const weekdays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                       "Thursday", "Friday", "Saturday"};

/* One directive, in English whatever the process's locale; empty when it isn't known. */
static void time_part(char c, bool no_pad, const struct tm *tm, char text[32])
{
    int hour12 = tm->tm_hour % 12 == 0 ? 12 : tm->tm_hour % 12;
    int year = tm->tm_year + 1900, number = -1, width = no_pad ? 1 : 2;
    text[0] = '\0';
    if (c == 'd' || c == 'e')
        number = tm->tm_mday;
    else if (c == 'm')
        number = tm->tm_mon + 1;
    else if (c == 'H')
        number = tm->tm_hour;
    else if (c == 'I')
        number = hour12;
    else if (c == 'M')
        number = tm->tm_min;
    else if (c == 'S')
        number = tm->tm_sec;
    else if (c == 'y')
        number = year % 100;
    else if (c == 'j')
        number = tm->tm_yday + 1;
    if (number >= 0 && c == 'e')
        snprintf(text, 32, "%*d", width, number);
    else if (number >= 0)
        snprintf(text, 32, "%0*d", c == 'j' && !no_pad ? 3 : width, number);
    else if (c == 'Y')
        snprintf(text, 32, "%d", year);
    else if (c == 'B' || c == 'b')
        snprintf(text, 32, c == 'B' ? "%s" : "%.3s", months[tm->tm_mon]);
    else if (c == 'A' || c == 'a')
        snprintf(text, 32, c == 'A' ? "%s" : "%.3s", weekdays[tm->tm_wday]);
    else if (c == 'p')
        snprintf(text, 32, "%s", tm->tm_hour < 12 ? "AM" : "PM");
    else if (c == 'F')
        snprintf(text, 32, "%d-%02d-%02d", year, tm->tm_mon + 1, tm->tm_mday);
    else if (c == 'T')
        snprintf(text, 32, "%02d:%02d:%02d", tm->tm_hour, tm->tm_min, tm->tm_sec);
    else if (c == '%')
        snprintf(text, 32, "%%");
}

static int run_strftime_now(struct render *r, const struct call *call, struct value *out)
{
    struct ew_str format;
    struct tm tm;
    int code = ew__tmpl_arg_str(r, &call->argv[0], NULL, &format);
    if (code)
        return code;
    if (!parse_time(r->now, &tm))
        return TYPE_FAIL(r, "strftime_now of the context isn't YYYY-MM-DD HH:MM:SS");
    struct ew_buf buf;
    ew__tmpl_text_begin(r, &buf);
    for (size_t i = 0; i < format.bytes && !code; i++) {
        char text[32];
        if (format.data[i] != '%') {
            code = ew__tmpl_add(r, &buf, format.data + i, 1);
            continue;
        }
        bool no_pad = i + 1 < format.bytes && format.data[i + 1] == '-';
        i += no_pad ? 2 : 1;
        time_part(i < format.bytes ? format.data[i] : '\0', no_pad, &tm, text);
        code = text[0] ? ew__tmpl_add(r, &buf, text, strlen(text))
                       : ew__tmpl_fail(r, EW_EUNSUPPORTED, "strftime_now: unknown directive");
    }
    return ew__tmpl_text_end(r, &buf, code, out);
}

const struct builtin *ew__tmpl_find_global(struct ew_str name)
{
    static const struct builtin rows[] = {
        {"range", run_range, "start stop step", 1},
        {"dict", run_dict, "*", 0},
        {"namespace", run_namespace, "*", 0},
        {"raise_exception", run_raise, "message", 1},
        {"strftime_now", run_strftime_now, "format", 1},
    };
    return ew__tmpl_find_in(rows, EW_COUNT(rows), name);
}
