/* join_in.c - who is let in, and as whom. */
#include "serve/join_in.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/log.h"
#include "serve/token.h"

static int refuse(struct ew_fault *fault, int status, const char *code, const char *why)
{
    ew_fault_set(fault, status, code, NULL, "%s", why);
    return -1;
}

/* A device throws away what a 401 was said to: only where it is no good for ever. */
static int bad_token(struct ew_fault *fault, const struct ew_err *err)
{
    return err->code == EW_EINVAL ? refuse(fault, 401, "invalid_token", err->text)
                                  : refuse(fault, 503, NULL, err->text);
}

static const char *token_of(const struct ew_http_request *http)
{
    static const char bearer[] = "Bearer ";
    const char *given = ew_http_header(http, "Authorization");
    bool is = given && strncasecmp(given, bearer, sizeof bearer - 1) == 0;
    return is ? given + sizeof bearer - 1 : "";
}

/* The token's name, else what the device calls itself, else a new one. */
static void choose_name(struct ew_server *server, const struct ew_http_request *http,
                        char name[EW_TOKEN_NAME_BYTES])
{
    static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    const char *own = ew_http_header(http, "X-Edgewise-Name");
    if (*name)
        return;
    if (own && *own && strlen(own) < EW_TOKEN_NAME_BYTES && strspn(own, chars) == strlen(own))
        snprintf(name, EW_TOKEN_NAME_BYTES, "%s", own);
    else
        snprintf(name, EW_TOKEN_NAME_BYTES, "device-%08llx",
                 (unsigned long long)(ew_rng_next(&server->rng) & 0xffffffffu));
}

int ew_join_in(struct ew_server *server, struct ew_http_request *http, struct ew_fault *fault)
{
    char name[EW_TOKEN_NAME_BYTES] = "", membership[EW_TOKEN_BYTES];
    const char *upgrade = ew_http_header(http, "Upgrade");
    struct ew_err err = {0};
    enum ew_token_kind kind;
    int64_t now_s = (int64_t)time(NULL);
    if (!server->tokens)
        return refuse(fault, 404, "unknown_url",
                      "This server takes no devices in: it has no join.secret");
    if (!upgrade || strcasecmp(upgrade, EW_JOIN_PROTOCOL) != 0) {
        ew_http_add_header(http, "Upgrade", EW_JOIN_PROTOCOL);
        return refuse(fault, 426, NULL, "This address is for `edgewise serve --join`");
    }
    if (server->state >= EW_SERVER_DRAINING)
        return refuse(fault, 503, NULL, "The server is shutting down.");
    if (!ew_http_may_upgrade(http)) /* before a token is used up for it */
        return refuse(fault, 426, NULL, "The connection can't change direction");
    if (ew_tokens_check(server->tokens, token_of(http), now_s, &kind, name, &err))
        return bad_token(fault, &err);
    choose_name(server, http, name);
    struct ew_member *member = ew_fleet_join(server->fleet, name, kind == EW_TOKEN_MEMBER, &err);
    if (!member)
        return err.code == EW_EINVAL ? refuse(fault, 409, "name_taken", err.text)
                                     : refuse(fault, 503, NULL, err.text);
    if (ew_tokens_make(server->tokens, EW_TOKEN_MEMBER, name, now_s, membership, &err))
        return refuse(fault, 503, NULL, err.text);
    /* Nobody came between: all this is one turn of the loop. */
    if (ew_tokens_use(server->tokens, token_of(http), now_s, &err))
        return bad_token(fault, &err);
    ew_http_add_header(http, "X-Edgewise-Name", name);
    ew_http_add_header(http, "X-Edgewise-Membership", membership);
    struct bufferevent *connection = ew_http_upgrade(http, EW_JOIN_PROTOCOL);
    if (!connection)
        return refuse(fault, 503, NULL, "no memory for a connection");
    if (ew_upstreams_adopt(server->upstreams, member->origin, connection, &err))
        ew_log(EW_LOG_WARNING, "%s: %s", name, err.text);
    else
        ew_fleet_joined(member);
    return 0;
}
