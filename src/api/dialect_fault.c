/* dialect_fault.c - what another server says that went wrong, as a fault of ours.
 *
 * The ways that are known: {"error": {"message", "type", "code", "param"}} of OpenAI and of all who
 * are compatible with it, Anthropic's (the same, of other types), Google's (a list of them, with
 * "status"), vLLM's older one (flat), Ollama's {"error": "words"}, FastAPI's {"detail": …}.
 *
 * Its words pass on, but what looks like a key or an address in them doesn't: clouds repeat a wrong
 * key, or parts of it, and engines say where parts of them run. */
#include "api/dialect_int.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum {
    OVERLOADED_HTTP = 529, /* Anthropic's */
    UNKNOWN_HTTP = 502,    /* it failed, and doesn't say how */
};

/* ---- keys and addresses ---- */

static bool is_key_letter(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.' || c == '*' || c == '+' ||
           c == '/' || c == '=' || c == '~';
}

/* A part between hyphens that is long, and mixes letters and digits: no word, no name of a model,
 * whose parts are short. */
static bool has_random_part(const char *word, size_t bytes)
{
    enum { PART_BYTES = 20 };
    size_t run = 0, digits = 0;
    for (size_t i = 0; i < bytes; i++) {
        bool plain = isalnum((unsigned char)word[i]);
        digits = plain ? digits + (isdigit((unsigned char)word[i]) != 0) : 0;
        run = plain ? run + 1 : 0;
        if (run >= PART_BYTES && digits && digits < run)
            return true;
    }
    return false;
}

/* How a key begins. In the midst of a word ("task-12", but also an escaped line end that stuck to
 * it) there must be a digit behind. */
static bool starts_like_key(const char *word, size_t bytes, bool inside)
{
    static const char *const starts[] = {"sk-",  "sk_",  "pk-", "pplx-", "AIza",
                                         "gsk_", "xai-", "hf_", "ew-",   "nvapi-"};
    enum { KEY_BYTES = 10 };
    bool digit = false;
    for (size_t i = 0; i < bytes && inside && !digit; i++)
        digit = isdigit((unsigned char)word[i]) != 0;
    for (size_t i = 0; i < EW_COUNT(starts); i++)
        if (bytes >= KEY_BYTES && strncmp(word, starts[i], strlen(starts[i])) == 0)
            return !inside || digit;
    return false;
}

static bool looks_like_key(const char *word, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (starts_like_key(word + i, bytes - i, i && isalnum((unsigned char)word[i - 1])))
            return true;
    /* Ids of requests are for asking their support. */
    return strncmp(word, "req_", 4) != 0 && has_random_part(word, bytes);
}

/* Four numbers with points between. */
static bool has_address(const char *word, size_t bytes)
{
    size_t numbers = 0, digits = 0;
    for (size_t i = 0; i <= bytes; i++) {
        if (i < bytes && isdigit((unsigned char)word[i])) {
            digits++;
            continue;
        }
        bool goes_on = i + 1 < bytes && word[i] == '.' && isdigit((unsigned char)word[i + 1]);
        numbers = digits && digits <= 3 ? numbers + 1 : 0;
        digits = 0;
        if (!goes_on && numbers == 4)
            return true;
        if (!goes_on)
            numbers = 0;
    }
    return false;
}

/* Cuts what doesn't fit; never in the midst of a mask. */
static void copy_masked(char *out, size_t size, const char *text)
{
    size_t at = 0;
    bool bearer = false; /* the word before was "Bearer": this one is a key, however it looks */
    while (*text && at + 1 < size) {
        size_t bytes = 0;
        while (is_key_letter(text[bytes]))
            bytes++;
        const char *mask = bytes && (bearer || looks_like_key(text, bytes)) ? "[key]"
                           : has_address(text, bytes)                       ? "[address]"
                                                                            : NULL;
        if (bytes)
            bearer = bytes == 6 && strncasecmp(text, "bearer", bytes) == 0;
        const char *from = mask ? mask : text;
        size_t count = mask ? strlen(mask) : bytes ? bytes : 1;
        text += bytes ? bytes : 1;
        if (count > size - 1 - at) {
            if (mask)
                break;
            count = size - 1 - at;
        }
        memcpy(out + at, from, count);
        at += count;
    }
    out[at] = '\0';
}

/* ---- what it means ---- */

static const struct {
    const char *word; /* its type, code or status */
    int status;
    const char *code; /* ours; NULL: as the status has it */
} kinds[] = {
    {"context_length_exceeded", 400, "context_length_exceeded"},
    {"exceed_context_size_error", 400, "context_length_exceeded"}, /* llama-server */
    {"model_not_found", 404, "model_not_found"},
    {"insufficient_quota", 429, "insufficient_quota"},
    {"invalid_api_key", 401, "invalid_api_key"},
    {"content_filter", 400, "content_filter"},
    {"rate_limit_exceeded", 429, NULL},
    {"rate_limit_error", 429, NULL},
    {"RESOURCE_EXHAUSTED", 429, NULL},
    {"overloaded_error", 503, "overloaded"},
    {"unavailable_error", 503, NULL}, /* llama-server: its model is being loaded */
    {"UNAVAILABLE", 503, NULL},
    {"timeout_error", 504, NULL},
    {"authentication_error", 401, NULL},
    {"permission_error", 403, NULL},
    {"billing_error", 402, NULL},
    {"not_found_error", 404, NULL},
    {"request_too_large", 413, NULL},
    {"invalid_request_error", 400, NULL},
};

/* Those who don't say it by a code. */
static bool is_about_context(const char *message)
{
    static const char *const words[] = {"maximum context length", "prompt is too long",
                                        "available context size", "exceed context limit"};
    for (size_t i = 0; i < EW_COUNT(words); i++)
        if (strcasestr(message, words[i]))
            return true;
    return false;
}

static const char *word_of(const json_t *object, const char *key)
{
    const char *word = json_string_value(json_object_get(object, key));
    return word ? word : "";
}

/* The row of what it says itself; EW_COUNT(kinds): none. */
static size_t kind_of(const json_t *error)
{
    const char *says[] = {word_of(error, "code"), word_of(error, "type"), word_of(error, "status")};
    for (size_t i = 0; i < EW_COUNT(kinds); i++)
        for (size_t k = 0; k < EW_COUNT(says); k++)
            if (strcmp(says[k], kinds[i].word) == 0)
                return i;
    return EW_COUNT(kinds);
}

static const char *message_of(const json_t *root, const json_t *error)
{
    const json_t *detail = json_object_get(root, "detail"), *first = json_array_get(detail, 0);
    const char *texts[] = {
        json_string_value(error), json_string_value(json_object_get(error, "message")),
        json_string_value(detail), json_string_value(json_object_get(first, "msg")),
        json_string_value(json_object_get(root, "message"))};
    for (size_t i = 0; i < EW_COUNT(texts); i++)
        if (texts[i] && *texts[i])
            return texts[i];
    return NULL;
}

static void fill(struct ew_fault *fault, int status, const json_t *root, const json_t *error)
{
    const char *message = message_of(root, error);
    const json_t *number = json_object_get(error, "code");
    int answered = status;
    size_t kind = kind_of(error);
    const char *code = kind < EW_COUNT(kinds) ? kinds[kind].code : NULL;
    bool unknown = status < 400 || status > 599;
    if (unknown && kind < EW_COUNT(kinds))
        status = kinds[kind].status;
    else if (unknown && json_integer_value(number) >= 400 && json_integer_value(number) <= 599)
        status = (int)json_integer_value(number);
    else if (unknown)
        status = UNKNOWN_HTTP;
    if (status == OVERLOADED_HTTP)
        status = 503;
    if (!code && message && status < 500 && is_about_context(message))
        code = "context_length_exceeded";
    char words[sizeof fault->message], param[sizeof fault->param];
    copy_masked(param, sizeof param, word_of(error, "param"));
    copy_masked(words, sizeof words, message ? message : "");
    if (message)
        ew_fault_set(fault, status, code, param, "%s", words);
    else
        ew_fault_set(fault, status, code, param, "It answered with status %d.",
                     answered ? answered : status);
}

bool ew_dialect_fault_read(const json_t *root, int status, struct ew_fault *fault)
{
    const json_t *error = json_object_get(root, "error");
    bool flat = strcmp(word_of(root, "object"), "error") == 0;
    if (!flat && (!error || json_is_null(error)))
        return false;
    fill(fault, status, root, flat ? root : error);
    return true;
}

void ew_dialect_fault(const struct ew_dialect *dialect, int status, struct ew_str body,
                      struct ew_fault *fault)
{
    (void)dialect; /* compatible ones mix the ways of several */
    json_t *root = json_loadb(body.data ? body.data : "", body.bytes, JSON_ALLOW_NUL, NULL);
    const json_t *first = json_is_array(root) ? json_array_get(root, 0) : root;
    if (!ew_dialect_fault_read(first, status, fault))
        fill(fault, status, first, NULL);
    json_decref(root);
}
