/* upstream_ask.c - what a caller asks, checked; and what a server says of when to come back.
 *
 * A URL or a header may come from a configuration or, in part, from a client: whatever could end a
 * line of the request's head is refused here, before anything is sent. What is refused isn't
 * repeated in the error: it may hold a key. */
#include "net/upstream_int.h"

#include <curl/curl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define RETRY_AFTER_MAX_S (366 * 86400.0) /* a date further away is a fault of some clock */

/* ---- URLs ---- */

static int take_port(struct ew_upstream_url *out, const char *digits, size_t bytes,
                     struct ew_err *err)
{
    char text[8] = "";
    if (bytes == 0) { /* "host:" is allowed (RFC 3986, 3.2.3) */
        snprintf(out->port, sizeof out->port, "%s", out->https ? "443" : "80");
        return 0;
    }
    memcpy(text, digits, bytes < sizeof text ? bytes : sizeof text - 1);
    long port = strtol(text, NULL, 10);
    if (bytes >= EW_RESOLVE_PORT_BYTES || strspn(text, "0123456789") != bytes || port < 1 ||
        port > 65535)
        return ew_fail(err, EW_EINVAL, "the URL's port isn't a number from 1 to 65535");
    memcpy(out->port, text, bytes + 1);
    return 0;
}

static int take_authority(struct ew_upstream_url *out, const char *text, size_t bytes,
                          struct ew_err *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-._~%:[]";
    if (memchr(text, '@', bytes))
        return ew_fail(err, EW_EINVAL, "the URL has a name or password in it: use a header");
    if (bytes >= sizeof out->name)
        return ew_fail(err, EW_EINVAL, "the URL's host is longer than any");
    for (size_t i = 0; i < bytes; i++)
        out->name[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]);
    out->name[bytes] = '\0';
    const char *host = out->name, *end = host + strcspn(host, ":");
    if (*host == '[') {
        end = strchr(++host, ']');
        end = end ? end : host;
    }
    size_t host_bytes = (size_t)(end - host);
    const char *after = end + (*end == ']');
    if (host_bytes == 0 || host_bytes >= sizeof out->host || (*after && *after != ':') ||
        out->name[strspn(out->name, letters)])
        return ew_fail(err, EW_EINVAL, "the URL's host isn't a name or an address");
    memcpy(out->host, host, host_bytes);
    out->host[host_bytes] = '\0';
    after += *after == ':';
    return take_port(out, after, strlen(after), err);
}

static int check_bytes(const char *url, struct ew_err *err)
{
    size_t bytes = strlen(url);
    if (bytes >= EW_UPSTREAM_URL_MAX)
        return ew_fail(err, EW_EINVAL, "the URL is longer than %d bytes", EW_UPSTREAM_URL_MAX - 1);
    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char)url[i] <= ' ' || (unsigned char)url[i] >= 0x7f)
            return ew_fail(err, EW_EINVAL, "the URL has a character that none may have");
    return 0;
}

static int take_url(struct ew_upstream_url *out, const char *url, struct ew_err *err)
{
    int code = check_bytes(url, err);
    if (code != 0)
        return code;
    *out = (struct ew_upstream_url){.https = strncasecmp(url, "https://", 8) == 0};
    if (!out->https && strncasecmp(url, "http://", 7) != 0)
        return ew_fail(err, EW_EINVAL, "the URL begins with neither http:// nor https://");
    const char *authority = url + (out->https ? 8 : 7);
    size_t authority_bytes = strcspn(authority, "/?#");
    out->path = authority + authority_bytes;
    out->path_bytes = strcspn(out->path, "#");
    return take_authority(out, authority, authority_bytes, err);
}

/* ---- the rest ---- */

static bool is_token(const char *text)
{
    const char *at = text;
    while (ew_http_token[(unsigned char)*at])
        at++;
    return at > text && !*at;
}

static int check_header(const struct ew_http_header *header, struct ew_err *err)
{
    static const char *const ours[] = {"Host", "Content-Length", "Transfer-Encoding", "Connection",
                                       "Expect"};
    if (!is_token(header->name))
        return ew_fail(err, EW_EINVAL, "a header of the request has a name that none may have");
    for (size_t i = 0; i < EW_COUNT(ours); i++)
        if ((*header->name | 32) == (*ours[i] | 32) && strcasecmp(header->name, ours[i]) == 0)
            return ew_fail(err, EW_EINVAL, "the header %s is made here", ours[i]);
    for (const char *at = header->value; *at; at++)
        if (((unsigned char)*at < ' ' && *at != '\t') || *at == 0x7f)
            return ew_fail(err, EW_EINVAL, "the value of the header %.40s has a control character",
                           header->name);
    return 0;
}

int ew_upstream_check_origin(const char *origin, struct ew_err *err)
{
    if (!is_token(origin) || strlen(origin) >= EW_UPSTREAM_NAME_MAX)
        return ew_fail(err, EW_EINVAL, "a device's name is made of letters, digits and -_.");
    return 0;
}

/* Of what is asked of a device that dialled in, the path alone counts. */
static int take_path(struct ew_upstream_url *out, const struct ew_upstream_ask *ask,
                     struct ew_err *err)
{
    if (*ask->url != '/')
        return take_url(out, ask->url, err);
    int code = check_bytes(ask->url, err);
    *out = (struct ew_upstream_url){.path = ask->url, .path_bytes = strcspn(ask->url, "#")};
    return code;
}

static int check_headers(const struct ew_http_header *headers, size_t count, struct ew_err *err)
{
    if (count > EW_UPSTREAM_HEADERS_MAX)
        return ew_fail(err, EW_EINVAL, "%zu headers are more than %d", count,
                       EW_UPSTREAM_HEADERS_MAX);
    int code = 0;
    for (size_t i = 0; i < count && code == 0; i++)
        code = check_header(&headers[i], err);
    return code;
}

int ew_upstream_check_request(const char *url, const struct ew_http_header *headers, size_t count,
                              struct ew_upstream_url *out, struct ew_err *err)
{
    int code = check_headers(headers, count, err);
    return code != 0 ? code : take_url(out, url, err);
}

int ew_upstream_check(const struct ew_upstream_ask *ask, struct ew_upstream_url *out,
                      struct ew_err *err)
{
    EW_ASSERT(ask->head && ask->data && ask->end);
    if (!(ask->connect_timeout_s > 0 && ask->head_timeout_s > 0 && ask->stall_timeout_s > 0))
        return ew_fail(err, EW_EINVAL, "a request to another server has three timeouts above 0 s");
    if (!is_token(ask->method))
        return ew_fail(err, EW_EINVAL, "the method has a character that none may have");
    if (!ask->origin)
        return ew_upstream_check_request(ask->url, ask->headers, ask->header_count, out, err);
    int code = check_headers(ask->headers, ask->header_count, err);
    if (code == 0)
        code = ew_upstream_check_origin(ask->origin, err);
    return code != 0 ? code : take_path(out, ask, err);
}

/* ---- when to come back ---- */

/* A number of seconds or milliseconds, fractions too; below 0: not one. */
static double take_number(const char *text)
{
    char *end;
    if (!text || *text < '0' || *text > '9')
        return -1;
    double number = strtod(text, &end);
    return *end == '\0' && isfinite(number) ? number : -1;
}

/* A date is meant by the server's own clock, which its Date tells. */
static double until_date(const struct ew_upstream_head *head, const char *text)
{
    time_t then = text ? curl_getdate(text, NULL) : -1;
    if (then < 0)
        return NAN;
    const char *date = head->header(head, "Date");
    time_t now = date ? curl_getdate(date, NULL) : -1;
    if (now < 0)
        now = time(NULL);
    return then > now ? (double)(then - now) : 0;
}

double ew_upstream_retry_after(const struct ew_upstream_head *head)
{
    const char *text = head->header(head, "Retry-After");
    double ms = take_number(head->header(head, "Retry-After-Ms")), s = take_number(text);
    double wait = ms >= 0 ? ms / 1000 : s >= 0 ? s : until_date(head, text);
    return wait > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : wait;
}
