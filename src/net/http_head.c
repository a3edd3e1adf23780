/* http_head.c - what the head of a request or an answer means: how long its body is, what it is
 * for, and whether the connection goes on. Only headers that decide one of these are looked at.
 *
 * A request that says its length twice, or in two ways, is refused even where both agree: two
 * readers that pick differently are how requests are smuggled past a proxy (RFC 9112, 11.2). */
#include "net/http_head.h"

#include <string.h>
#include <strings.h>

enum {
    LENGTH_DIGITS_MAX = 18, /* below 2^63 */
    OF_ANSWERS = 3,         /* of the known headers; the others mean something in requests only */
};

static void take_length(struct ew_http_parse *parse, const char *value)
{
    size_t digits = strspn(value, "0123456789");
    if (parse->has_length)
        ew_http_parse_fail(parse, 400, "there is more than one Content-Length");
    else if (!digits || value[digits])
        ew_http_parse_fail(parse, 400, "Content-Length isn't a number");
    else if (digits > LENGTH_DIGITS_MAX)
        ew_http_parse_fail(parse, 413, "the body is larger than this server takes");
    else
        for (size_t i = 0; i < digits; i++)
            parse->body_bytes = parse->body_bytes * 10 + (uint64_t)(value[i] - '0');
    parse->has_length = true;
}

static void take_coding(struct ew_http_parse *parse, const char *value)
{
    if (parse->has_coding)
        ew_http_parse_fail(parse, 400, "there is more than one Transfer-Encoding");
    else if (strcasecmp(value, "chunked") != 0)
        ew_http_parse_fail(parse, 501, "the only Transfer-Encoding known here is chunked");
    parse->has_coding = parse->chunked = true;
}

/* "host:port" of a URI, "[::1]:80" included; no user, no spaces, no lists. */
static bool is_authority(const char *text, size_t bytes)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "-._~:[]%!$&'()*+;=";
    return strspn(text, allowed) >= bytes;
}

static void take_host(struct ew_http_parse *parse, const char *value)
{
    if (parse->hosts++)
        ew_http_parse_fail(parse, 400, "the request has more than one Host");
    else if (!is_authority(value, strlen(value)))
        ew_http_parse_fail(parse, 400, "Host isn't a name with or without a port");
}

static bool word_is(const char *word, size_t bytes, const char *what)
{
    return strlen(what) == bytes && strncasecmp(word, what, bytes) == 0;
}

static void take_connection(struct ew_http_parse *parse, const char *value)
{
    for (const char *at = value + strspn(value, ", \t"); *at; at += strspn(at, ", \t")) {
        size_t bytes = strcspn(at, ", \t");
        parse->says_close |= word_is(at, bytes, "close");
        parse->says_keep |= word_is(at, bytes, "keep-alive");
        at += bytes;
    }
}

static void take_expect(struct ew_http_parse *parse, const char *value)
{
    if (strcasecmp(value, "100-continue") != 0)
        ew_http_parse_fail(parse, 417, "the only expectation known here is 100-continue");
    parse->expects_continue = parse->minor > 0; /* HTTP/1.0 can't wait for it */
}

void ew_http_head_field(struct ew_http_parse *parse, const char *name, const char *value)
{
    static const struct {
        const char *name;
        void (*take)(struct ew_http_parse *parse, const char *value);
    } known[] = {
        {"content-length", take_length}, {"transfer-encoding", take_coding},
        {"connection", take_connection}, {"host", take_host},
        {"expect", take_expect},
    };
    const size_t count = parse->is_answer ? OF_ANSWERS : EW_COUNT(known);
    for (size_t i = 0; i < count; i++)
        if ((*name | ' ') == *known[i].name && strcasecmp(name, known[i].name) == 0)
            known[i].take(parse, value);
}

/* ---- the target ---- */

static int hex_value(char c)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) % 16 : -1;
}

/* In place. A control character in a path is never meant well; in a log it forges lines. */
static void decode_path(struct ew_http_parse *parse)
{
    char *to = parse->text.data + parse->path;
    for (const char *from = to; *from; from++) {
        int byte = (unsigned char)*from;
        if (byte == '%') {
            int high = hex_value(from[1]), low = high < 0 ? -1 : hex_value(from[2]);
            byte = low < 0 ? 0 : high * 16 + low;
            from += 2;
            if (byte < ' ' || byte == 0x7f) {
                ew_http_parse_fail(parse, 400, "the path has a bad percent escape");
                return;
            }
        }
        *to++ = (char)byte;
    }
    *to = '\0';
}

/* Skips "http://host:port" of an absolute-form target, which RFC 9112 (3.2.2) makes us take. An
 * empty path behind it is "/", written over the last byte of the host. */
static void skip_authority(struct ew_http_parse *parse)
{
    char *target = parse->text.data + parse->path;
    size_t scheme = strncasecmp(target, "http://", 7) == 0    ? 7
                    : strncasecmp(target, "https://", 8) == 0 ? 8
                                                              : 0;
    size_t bytes = strcspn(target + scheme, "/?");
    if (!scheme || !bytes || !is_authority(target + scheme, bytes)) {
        ew_http_parse_fail(parse, 400, "the request's target is neither a path nor a URL");
        return;
    }
    char *path = target + scheme + bytes;
    if (*path != '/') {
        char *query = path;
        path -= 1;
        *path = '/';
        if (*query == '?') {
            *query = '\0';
            parse->query = (uint16_t)(query + 1 - parse->text.data);
        }
    }
    parse->path = (uint16_t)(path - parse->text.data);
}

static void take_target(struct ew_http_parse *parse)
{
    char *text = parse->text.data, *target = text + parse->path;
    parse->query = (uint16_t)(parse->path + strlen(target)); /* "" */
    if (strcmp(target, "*") == 0 && strcmp(text, "OPTIONS") == 0)
        return;
    if (*target != '/')
        skip_authority(parse);
    if (parse->phase == EW_HTTP_FAILED)
        return;
    char *mark = strchr(text + parse->path, '?');
    if (mark) {
        *mark = '\0';
        parse->query = (uint16_t)(mark + 1 - text);
    }
    decode_path(parse);
}

/* RFC 9112, 6.3. */
static void end_answer(struct ew_http_parse *parse)
{
    bool bare = parse->head_only || parse->code < 200 || parse->code == 204 || parse->code == 304;
    if (bare)
        parse->chunked = parse->has_length = false;
    if (bare)
        parse->body_bytes = 0;
    else if (parse->has_coding && (parse->has_length || parse->minor == 0))
        ew_http_parse_fail(parse, 400,
                           "it has Transfer-Encoding beside a Content-Length, or in HTTP/1.0");
    else if (parse->has_length && parse->body_bytes > parse->body.max)
        ew_http_parse_fail(parse, 413, "its body is larger than is taken here");
    parse->until_close = !bare && !parse->has_length && !parse->chunked;
    if (parse->until_close)
        parse->body_bytes = UINT64_MAX;
    parse->keep_alive =
        !parse->says_close && !parse->until_close && (parse->minor > 0 || parse->says_keep);
}

void ew_http_head_end(struct ew_http_parse *parse)
{
    if (parse->is_answer) {
        end_answer(parse);
        return;
    }
    if (parse->has_coding && (parse->has_length || parse->minor == 0)) {
        ew_http_parse_fail(parse, 400,
                           "the request has Transfer-Encoding beside a Content-Length, "
                           "or in HTTP/1.0");
        return;
    }
    if (parse->minor > 0 && !parse->hosts) {
        ew_http_parse_fail(parse, 400, "the request has no Host");
        return;
    }
    take_target(parse);
    if (parse->phase != EW_HTTP_FAILED && parse->body_bytes > parse->body.max)
        ew_http_parse_fail(parse, 413, "the request's body is larger than this server takes");
    parse->head_only = strcmp(parse->text.data, "HEAD") == 0;
    parse->keep_alive = !parse->says_close && (parse->minor > 0 || parse->says_keep);
}
