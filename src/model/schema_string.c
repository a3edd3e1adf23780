/* schema_string.c - strings: lengths, patterns, and the formats that are held.
 *
 * Formats are patterns of our own, narrower than their standards where that is simpler (years from
 * 1000 to 2999, e-mail addresses of plain letters): what comes out always matches. Formats that
 * JSON Schema names and that aren't here are refused; others are descriptions. */
#include "model/schema_int.h"

#include <stdio.h>
#include <string.h>

#define MONTHS_31  "(0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])"
#define MONTHS_30  "(0[469]|11)-(0[1-9]|[12]\\d|30)"
#define FEBRUARY   "02-(0[1-9]|1\\d|2[0-8])"
#define LEAP_YEARS "([12]\\d(0[48]|[2468][048]|[13579][26])|(12|16|20|24|28)00)"
#define DATE       "([12]\\d{3}-(" MONTHS_31 "|" MONTHS_30 "|" FEBRUARY ")|" LEAP_YEARS "-02-29)"
#define HOURS      "([01]\\d|2[0-3]):[0-5]\\d"
#define TIME       HOURS ":[0-5]\\d(\\.\\d{1,6})?(Z|[+-]" HOURS ")"
#define LABEL      "[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?"
#define HOST       LABEL "(\\." LABEL "){1,3}"
#define BYTE       "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"

static const struct {
    const char *name, *pattern; /* NULL: not held */
} formats[] = {
    {"date", "^" DATE "$"},
    {"time", "^" TIME "$"},
    {"date-time", "^" DATE "T" TIME "$"},
    {"duration", "^P(\\d{1,4}W|\\d{1,4}D|(\\d{1,4}D)?T(\\d{1,4}H(\\d{1,4}M(\\d{1,4}S)?)?"
                 "|\\d{1,4}M(\\d{1,4}S)?|\\d{1,4}S))$"},
    {"uuid", "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"},
    {"email", "^[A-Za-z0-9][A-Za-z0-9_+-]{0,30}(\\.[A-Za-z0-9_+-]{1,30}){0,2}@" HOST "$"},
    {"hostname", "^" HOST "$"},
    {"ipv4", "^" BYTE "(\\." BYTE "){3}$"},
    {"ipv6", "^[0-9a-f]{1,4}(:[0-9a-f]{1,4}){7}$"},
    {"uri", "^https?://" HOST "(/[A-Za-z0-9._~-]{0,100}){0,8}(\\?[A-Za-z0-9._~=&-]{1,200})?$"},
    {"idn-email", NULL},
    {"idn-hostname", NULL},
    {"iri", NULL},
    {"iri-reference", NULL},
    {"uri-reference", NULL},
    {"uri-template", NULL},
    {"json-pointer", NULL},
    {"relative-json-pointer", NULL},
    {"regex", NULL},
};

/* The pattern that a format stands for; empty: it only describes. */
static struct ew_str pattern_of(struct schema *s, const struct value *where,
                                const struct value *format)
{
    if (format->kind != V_STR)
        ew__schema_wrong(s, where, "format", "expected a string");
    for (size_t i = 0; i < EW_COUNT(formats) && format->kind == V_STR; i++) {
        if (!ew_str_is(value_text(format), formats[i].name))
            continue;
        if (formats[i].pattern)
            return (struct ew_str){formats[i].pattern, strlen(formats[i].pattern)};
        char why[80];
        snprintf(why, sizeof why, "\"%s\" isn't supported", formats[i].name);
        ew__schema_unsupported(s, where, "format", why);
    }
    return (struct ew_str){NULL, 0};
}

uint32_t ew__schema_string(struct schema *s, const struct conj *c, uint32_t next)
{
    struct gr_builder *b = s->b;
    const struct value *where = NULL, *format_where = NULL;
    const struct value *pattern = ew__schema_only(s, c, "pattern", &where);
    const struct value *format = ew__schema_only(s, c, "format", &format_where);
    struct ew_str text = {NULL, 0};
    const char *keyword = "pattern";
    uint64_t least = 0, most = GRAMMAR_NO_MAX;
    bool bounded = ew__schema_length(s, c, "minLength", SCHEMA_LEAST, &least);
    if (ew__schema_length(s, c, "maxLength", SCHEMA_MOST, &most)) {
        bounded = true;
        if (most >= GRAMMAR_NO_MAX)
            most = GRAMMAR_NO_MAX - 1; /* shorter than asked for always matches */
    }
    if (format && (text = pattern_of(s, format_where, format)).data) {
        keyword = "format";
        if (pattern)
            return ew__schema_unsupported(s, where, "pattern", "beside format it isn't supported");
        where = format_where;
    }
    if (pattern && pattern->kind != V_STR)
        return ew__schema_wrong(s, where, "pattern", "expected a string");
    if (pattern)
        text = value_text(pattern);
    if (s->b->code)
        return 0;
    if (text.data && bounded)
        return ew__schema_unsupported(s, where, keyword,
                                      "beside minLength or maxLength it isn't supported");
    uint32_t quote = ew__gr_range(b, '"', '"', next);
    if (text.data)
        return ew__gr_range(b, '"', '"', ew__schema_pattern(s, where, keyword, text, quote));
    if (!least && most == GRAMMAR_NO_MAX)
        return ew__gr_call(b, b->string, next);
    if (least > most)
        return 0;
    return ew__gr_range(b, '"', '"',
                        ew__gr_call(b, ew__gr_repeat(b, b->character, least, most), quote));
}
