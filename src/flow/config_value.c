/* config_value.c - the values of edgewise.yaml: text -> number, duration, size, path; and a key's
 * sentence for what it expects. */
#include "flow/config_keys.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXPECTS_MAX = 160, SHOWN_MAX = 60 /* of a wrong value, in the error */ };

struct unit {
    const char *name;
    double factor;
};

static const struct unit durations[] = {{"ms", 1e-3}, {"s", 1},     {"m", 60},
                                        {"h", 3600},  {"d", 86400}, {NULL, 0}};
static const struct unit sizes[] = {{"", 1},        {"K", 1024},       {"M", 1 << 20},
                                    {"G", 1 << 30}, {"T", 1ull << 40}, {NULL, 0}};

/* A decimal number and a unit of the table; 0 needs none. */
static bool take_unit(const char *text, const struct unit *units, double *value)
{
    char *end;
    errno = 0;
    double number = strtod(text, &end);
    if (!isdigit((unsigned char)text[0]) || errno || strpbrk(text, "xX") || !isfinite(number))
        return false;
    while (*end == ' ')
        end++;
    for (const struct unit *unit = units; unit->name; unit++)
        if (strcmp(end, unit->name) == 0) {
            *value = number * unit->factor;
            return true;
        }
    *value = 0;
    return number == 0 && !*end;
}

int ew_config_duration(const char *text, double *seconds, struct ew_err *err)
{
    return take_unit(text, durations, seconds)
               ? 0
               : ew_fail(err, EW_EFORMAT, "a duration as 500ms, 10s, 2m, 1h or 7d, not '%.*s'",
                         SHOWN_MAX, text);
}

int ew_config_size(const char *text, uint64_t *bytes, struct ew_err *err)
{
    double value;
    if (!take_unit(text, sizes, &value) || value > (double)(1ull << 60))
        return ew_fail(err, EW_EFORMAT, "a size as 512M or 2G (or bytes), not '%.*s'", SHOWN_MAX,
                       text);
    *bytes = (uint64_t)value;
    return 0;
}

/* ---- words of enums ---- */

const char *const *ew_config_words(enum ew_config_kind kind)
{
    static const char *const full[] = {[EW_ON_FULL_QUEUE] = "queue",
                                       [EW_ON_FULL_REJECT] = "reject",
                                       [EW_ON_FULL_CLOUD] = "cloud",
                                       NULL};
    static const char *const select[] = {
#define X(name, word, meaning) [EW_SELECT_##name] = word,
        EW_SELECTS(X)
#undef X
            NULL};
    static const char *const api[] = {[EW_API_OPENAI] = "openai",
                                      [EW_API_ANTHROPIC] = "anthropic",
                                      [EW_API_OLLAMA] = "ollama",
                                      NULL};
    static const char *const midstream[] = {
        [EW_MIDSTREAM_ERROR] = "error", [EW_MIDSTREAM_CONTINUE] = "continue", NULL};
    static const char *const sticky[] = {[EW_STICKY_PREFIX] = "prefix",
                                         [EW_STICKY_SESSION] = "session",
                                         [EW_STICKY_OFF] = "off",
                                         NULL};
    static const char *const *const words[EW_CONFIG_KINDS] = {[EW_CONFIG_FULL] = full,
                                                              [EW_CONFIG_SELECT] = select,
                                                              [EW_CONFIG_API] = api,
                                                              [EW_CONFIG_MIDSTREAM] = midstream,
                                                              [EW_CONFIG_STICKY] = sticky};
    return words[kind];
}

/* "queue, reject or cloud" */
static void show_words(char *text, size_t size, const char *const *words)
{
    size_t used = 0;
    for (size_t i = 0; words[i] && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s",
                                 !i             ? ""
                                 : words[i + 1] ? ", "
                                                : " or ",
                                 words[i]);
}

/* ---- ranges as people read them ---- */

static void show(char *text, size_t size, double value, const struct unit *units)
{
    const struct unit *best = units;
    for (const struct unit *unit = units; units && unit->name; unit++)
        if (value >= unit->factor && fmod(value, unit->factor) == 0)
            best = unit;
    snprintf(text, size, "%.15g%s", value == 0 || !units ? value : value / best->factor,
             value == 0 || !units ? "" : best->name);
}

void ew_config_expects(const struct ew_config_key *key, char *text, size_t size)
{
    static const struct {
        const char *what;
        const struct unit *units;
    } kinds[] = {
        [EW_CONFIG_TEXT] = {"a text", NULL},
        [EW_CONFIG_NAME] = {"a name: at most 63 letters, digits, dots, dashes and underscores",
                            NULL},
        [EW_CONFIG_PATH] = {"a path", NULL},
        [EW_CONFIG_LEDGER] = {"a path, or none", NULL},
        [EW_CONFIG_HASH] = {"64 hexadecimal digits (edgewise serve --new-key NAME makes them)",
                            NULL},
        [EW_CONFIG_WHOLE] = {"a whole number", NULL},
        [EW_CONFIG_REAL] = {"a number", NULL},
        [EW_CONFIG_BOOL] = {"true or false", NULL},
        [EW_CONFIG_DURATION] = {"a duration", durations},
        [EW_CONFIG_DAYS] = {"whole days, as 30d,", NULL},
        [EW_CONFIG_SIZE] = {"a size", sizes},
        [EW_CONFIG_MAYBE] = {"a number", NULL},
        [EW_CONFIG_URL] = {"an address as http://10.0.0.5:8080/v1 or https://host.example/v1",
                           NULL},
        [EW_CONFIG_ENV] = {"the name of an environment variable", NULL},
        [EW_CONFIG_MODEL] = {"a catalog name or a path", NULL},
        [EW_CONFIG_LIST] = {"a list of texts", NULL},
        [EW_CONFIG_MAP] = {"texts by names, as {a: b}", NULL},
    };
    char min[32], max[32];
    bool range = key->max > 0 && key->kind != EW_CONFIG_NAME && key->kind != EW_CONFIG_LIST &&
                 key->kind != EW_CONFIG_MAP;
    const char *unit = key->kind == EW_CONFIG_DAYS && range ? "d" : "";
    if (ew_config_words(key->kind)) {
        show_words(text, size, ew_config_words(key->kind));
        return;
    }
    show(min, sizeof min, key->min, kinds[key->kind].units);
    show(max, sizeof max, key->max, kinds[key->kind].units);
    if (range)
        snprintf(text, size, "%s from %s to %s%s", kinds[key->kind].what, min, max, unit);
    else
        snprintf(text, size, "%s", kinds[key->kind].what);
}

/* ---- taking ---- */

static bool in_range(const struct ew_config_key *key, double value)
{
    return key->max == 0 || (value >= key->min && value <= key->max);
}

static bool take_number(void *field, const struct ew_config_key *key, const char *text)
{
    double value = 0;
    char *end = NULL;
    if (key->kind == EW_CONFIG_DURATION || key->kind == EW_CONFIG_DAYS) {
        if (!take_unit(text, durations, &value))
            return false;
    } else if (key->kind == EW_CONFIG_SIZE) {
        if (!take_unit(text, sizes, &value))
            return false;
    } else {
        value = strtod(text, &end);
        if (!isdigit((unsigned char)text[0]) || *end || strpbrk(text, "xX") || !isfinite(value))
            return false;
    }
    if (key->kind == EW_CONFIG_DAYS)
        value /= 86400;
    bool whole = key->kind == EW_CONFIG_WHOLE || key->kind == EW_CONFIG_DAYS;
    if (!in_range(key, value) || (whole && value != floor(value)))
        return false;
    if (whole)
        *(uint32_t *)field = (uint32_t)value;
    else if (key->kind == EW_CONFIG_SIZE)
        *(uint64_t *)field = (uint64_t)value;
    else
        *(double *)field = value;
    return true;
}

static bool is_name(const char *text, double max)
{
    static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    return *text && strlen(text) <= max && strspn(text, chars) == strlen(text);
}

static bool is_hash(const char *text)
{
    return strlen(text) == 64 && strspn(text, "0123456789abcdefABCDEF") == 64;
}

static bool is_env(const char *text)
{
    static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    return *text && !isdigit((unsigned char)*text) && strspn(text, chars) == strlen(text);
}

/* A port, and behind it a path or nothing. */
static bool is_port(const char *text)
{
    char *end;
    long port = strtol(text, &end, 10);
    return isdigit((unsigned char)*text) && port >= 1 && port <= 65535 && (!*end || *end == '/');
}

/* Scheme, host, perhaps port and path: no user, query or fragment, which have no use here and may
 * hide a key. */
static bool is_url(const char *text)
{
    static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    const char *host = strncmp(text, "http://", 7) == 0    ? text + 7
                       : strncmp(text, "https://", 8) == 0 ? text + 8
                                                           : NULL;
    if (!host)
        return false;
    for (const char *c = host; *c; c++)
        if (*c <= ' ' || *c >= 0x7f || strchr("?#@\\\"<>", *c))
            return false;
    size_t bytes = strspn(host, chars);
    if (*host == '[') {
        bytes = 1 + strspn(host + 1, "0123456789abcdefABCDEF:.");
        if (bytes < 3 || host[bytes++] != ']')
            return false;
    }
    const char *rest = host + bytes;
    return bytes && (*rest == ':' ? is_port(rest + 1) : !*rest || *rest == '/');
}

/* Of the kinds that aren't text. */
static bool take_plain(void *field, const struct ew_config_key *key, const char *text)
{
    const char *const *words = ew_config_words(key->kind);
    if (key->kind == EW_CONFIG_BOOL) {
        *(bool *)field = strcmp(text, "true") == 0;
        return *(bool *)field || strcmp(text, "false") == 0;
    }
    if (!words)
        return take_number(field, key, text);
    for (unsigned i = 0; words[i]; i++)
        if (strcmp(text, words[i]) == 0) {
            *(unsigned *)field = i; /* the type of an enum without negative values */
            return true;
        }
    return false;
}

static bool ends_with(const char *text, const char *suffix)
{
    size_t bytes = strlen(text), n = strlen(suffix);
    return bytes > n && strcmp(text + bytes - n, suffix) == 0;
}

bool ew_config_is_path(const char *word)
{
    return strchr(word, '/') || word[0] == '.' || ends_with(word, ".gguf") ||
           ends_with(word, ".yaml");
}

int ew_config_resolve(char **gives, const char *path, const char *base, struct ew_err *err)
{
    size_t bytes = strlen(path) + strlen(base) + 1;
    *gives = malloc(bytes);
    if (!*gives)
        return ew_fail(err, EW_ENOMEM, "no memory for a path");
    snprintf(*gives, bytes, "%s%s", path[0] == '/' ? "" : base, path);
    return 0;
}

static int take_text(char **field, const struct ew_config_key *key, const char *text,
                     const char *base, struct ew_err *err)
{
    char *value = NULL;
    bool none = key->kind == EW_CONFIG_LEDGER && strcmp(text, "none") == 0;
    bool path = key->kind == EW_CONFIG_PATH || key->kind == EW_CONFIG_LEDGER;
    int rc = path && !none ? ew_config_resolve(&value, text, base, err)
                           : ew_config_set_text(&value, none ? "" : text, err);
    if (rc)
        return rc;
    for (char *c = value; key->kind == EW_CONFIG_HASH && *c; c++)
        *c = (char)tolower((unsigned char)*c);
    for (size_t n = strlen(value); key->kind == EW_CONFIG_URL && value[n - 1] == '/'; n--)
        value[n - 1] = '\0';
    free(*field);
    *field = value;
    return 0;
}

int ew_config_take(void *target, const struct ew_config_key *key, const char *text,
                   const char *base, struct ew_err *err)
{
    void *field = (char *)target + key->field;
    bool fine = true, is_text = false;
    switch (key->kind) {
    case EW_CONFIG_TEXT:
    case EW_CONFIG_PATH:
    case EW_CONFIG_LEDGER:
        fine = *text, is_text = true;
        break;
    case EW_CONFIG_NAME:
        fine = is_name(text, key->max), is_text = true;
        break;
    case EW_CONFIG_HASH:
        fine = is_hash(text), is_text = true;
        break;
    case EW_CONFIG_URL:
        fine = is_url(text), is_text = true;
        break;
    case EW_CONFIG_ENV:
        fine = is_env(text), is_text = true;
        break;
    default:
        fine = take_plain(field, key, text);
    }
    if (fine)
        return is_text ? take_text(field, key, text, base, err) : 0;
    char expects[EXPECTS_MAX];
    ew_config_expects(key, expects, sizeof expects);
    /* Where a key may have been put by mistake, the value isn't shown. */
    if (key->kind == EW_CONFIG_ENV)
        return ew_fail(err, EW_EFORMAT, "%s that has the key, not the key itself", expects);
    if (key->kind == EW_CONFIG_URL && strpbrk(text, "@?#"))
        return ew_fail(err, EW_EFORMAT, "%s; without user, ? and #", expects);
    return ew_fail(err, EW_EFORMAT, "%s, not '%.*s'", expects, SHOWN_MAX, text);
}
