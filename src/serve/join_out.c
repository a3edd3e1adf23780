/* join_out.c - dials, keeps the membership, and dials again. */
#include "serve/join_out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "net/dial.h"
#include "net/sha256.h"
#include "serve/join_in.h"
#include "serve/token.h"

#define DIAL_TIMEOUT_S 10.0
#define AGAIN_S_FIRST  1.0
#define AGAIN_S_MAX    30.0
enum { SPARE_CONNECTIONS = 2, CONNECTIONS_MAX = 60, PATH_BYTES = 4096, URL_BYTES = 1024 };
#define FRONT_BYTES (URL_BYTES - sizeof EW_JOIN_PATH)

struct ew_join_out {
    struct ew_server *server;
    struct ew_dial *dial;
    struct ew_dial_call *call; /* one at a time: the first brings what the others show */
    char front[FRONT_BYTES], url[URL_BYTES], name[EW_TOKEN_NAME_BYTES], path[PATH_BYTES];
    /* "": none. The token is shown first, for whoever says one means it, and only once: it may have
     * been left where a service finds it at each start, and then the membership lets us in. */
    char token[EW_TOKEN_BYTES], member[EW_TOKEN_BYTES];
    uint32_t wanted, open;
    uint64_t again_ns; /* not before */
    double again_s;
    bool stopped, kept;
    bool told; /* the log knows that the front isn't there */
};

static uint64_t now(void)
{
    return ew_clock_now_ns(&ew_clock_real);
}

/* ---- the membership's file ---- */

static int find_path(struct ew_join_out *j, const char *front, struct ew_err *err)
{
    char folder[PATH_BYTES - 64], hex[EW_SHA256_HEX];
    int failed = ew_file_dir(EW_FILE_DATA, folder, sizeof folder, err);
    failed = failed ? failed : ew_sha256_bytes(front, strlen(front), hex, err);
    if (!failed)
        snprintf(j->path, sizeof j->path, "%s/join-%.16s.member", folder, hex);
    return failed;
}

static void read_member(struct ew_join_out *j)
{
    struct ew_buf text;
    ew_buf_init(&text, EW_TOKEN_BYTES);
    if (access(j->path, F_OK) == 0 && ew_file_read(&text, j->path, NULL) == 0)
        snprintf(j->member, sizeof j->member, "%.*s", (int)strcspn(ew_buf_cstr(&text), "\r\n"),
                 ew_buf_cstr(&text));
    ew_buf_fini(&text);
}

static void keep_member(struct ew_join_out *j, const char *member)
{
    struct ew_err err = {0};
    char folder[PATH_BYTES];
    if (strlen(member) >= sizeof j->member || strcmp(member, j->member) == 0)
        return;
    snprintf(j->member, sizeof j->member, "%s", member);
    if (j->kept) /* it is renewed with each connection: once a start is enough for the disk */
        return;
    j->kept = true;
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(j->path, '/') - j->path), j->path);
    mode_t old = umask(077);
    if (ew_file_mkdirs(folder, &err) || ew_file_write(j->path, member, strlen(member), &err))
        ew_log(EW_LOG_WARNING, "the membership can't be kept: %s", err.text);
    umask(old);
}

/* ---- dialling ---- */

static void on_closed(void *user)
{
    struct ew_join_out *j = user;
    j->open--;
    if (!j->stopped)
        ew_server_tick_soon(j->server);
}

/* What was shown is no good: there may be the other. */
static void refused(struct ew_join_out *j, const struct ew_dial_result *result)
{
    bool by_token = *j->token;
    char *shown = by_token ? j->token : j->member;
    explicit_bzero(shown, EW_TOKEN_BYTES);
    if (!by_token)
        unlink(j->path);
    bool more = by_token && *j->member;
    ew_log(more ? EW_LOG_WARNING : EW_LOG_ERROR, "joining %s%s", result->why,
           more ? "; its membership of before is shown instead"
                : "; a new token is needed, and a start with it");
}

static void later(struct ew_join_out *j, const struct ew_dial_result *result)
{
    if (result->status == 401) {
        refused(j, result);
        return;
    }
    if (!j->told)
        ew_log(EW_LOG_WARNING, "joining %s", result->why);
    j->told = true;
    j->again_s = j->again_s > 0 ? 2 * j->again_s : AGAIN_S_FIRST;
    if (j->again_s > AGAIN_S_MAX)
        j->again_s = AGAIN_S_MAX;
    j->again_ns = now() + (uint64_t)(j->again_s * EW_NS_PER_S);
}

static void on_done(void *user, const struct ew_dial_result *result)
{
    struct ew_join_out *j = user;
    struct ew_err err = {0};
    j->call = NULL;
    if (!result->bev) {
        later(j, result);
        return;
    }
    const char *member = result->header(result, "X-Edgewise-Membership");
    const char *name = result->header(result, "X-Edgewise-Name");
    if (!j->open)
        ew_log(EW_LOG_INFO, "joined %s as %s", j->front, name ? name : "?");
    if (member) {
        keep_member(j, member);
        explicit_bzero(j->token, sizeof j->token); /* it is used */
    }
    j->told = false;
    j->again_s = 0;
    if (ew_http_server_adopt(j->server->http, result->bev, EW_JOIN_OUT_PEER, on_closed, j, &err)) {
        ew_log(EW_LOG_WARNING, "joining %s: %s", j->front, err.text);
        j->again_ns = now() + (uint64_t)(AGAIN_S_FIRST * EW_NS_PER_S);
        return;
    }
    j->open++;
    ew_server_tick_soon(j->server);
}

static void dial(struct ew_join_out *j)
{
    char bearer[EW_TOKEN_BYTES + 16];
    struct ew_err err = {0};
    snprintf(bearer, sizeof bearer, "Bearer %s", *j->token ? j->token : j->member);
    const struct ew_http_header headers[] = {{"Authorization", bearer},
                                             {"X-Edgewise-Name", j->name}};
    const struct ew_dial_ask ask = {
        .url = j->url,
        .protocol = EW_JOIN_PROTOCOL,
        .headers = headers,
        .header_count = EW_COUNT(headers),
        .timeout_s = DIAL_TIMEOUT_S,
        .user = j,
        .done = on_done,
    };
    if (ew_dial_begin(j->dial, &ask, &j->call, &err)) {
        struct ew_dial_result result = {.status = 0};
        snprintf(result.why, sizeof result.why, "%s", err.text);
        later(j, &result);
    }
    explicit_bzero(bearer, sizeof bearer);
}

void ew_join_out_tick(struct ew_join_out *j, uint64_t now_ns)
{
    bool may = *j->member || *j->token;
    if (!j->stopped && may && !j->call && j->open < j->wanted && now_ns >= j->again_ns)
        dial(j);
}

/* ---- opening ---- */

static void set_name(struct ew_join_out *j, const char *name)
{
    if (name) {
        snprintf(j->name, sizeof j->name, "%s", name);
        return;
    }
    if (gethostname(j->name, sizeof j->name - 1))
        snprintf(j->name, sizeof j->name, "device");
    for (char *c = j->name; *c; c++)
        if (*c == '.')
            *c = '-';
}

static int set_front(struct ew_join_out *j, const char *front, struct ew_err *err)
{
    size_t bytes = strlen(front);
    while (bytes && front[bytes - 1] == '/')
        bytes--;
    if (bytes >= sizeof j->front)
        return ew_fail(err, EW_ELIMIT, "the address of the front is too long");
    snprintf(j->front, sizeof j->front, "%.*s", (int)bytes, front);
    snprintf(j->url, sizeof j->url, "%s" EW_JOIN_PATH, j->front);
    return 0;
}

int ew_join_out_open(struct ew_join_out **gives, struct ew_server *server,
                     const struct ew_join_out_params *params, struct ew_err *err)
{
    struct ew_join_out *j = calloc(1, sizeof *j);
    if (!j)
        return ew_fail(err, EW_ENOMEM, "no memory for joining");
    j->server = server;
    snprintf(j->token, sizeof j->token, "%s", params->token ? params->token : "");
    set_name(j, params->name);
    uint32_t wanted = ew_queue_places_max(server->queue) + SPARE_CONNECTIONS;
    j->wanted = wanted < CONNECTIONS_MAX ? wanted : CONNECTIONS_MAX;
    int failed = set_front(j, params->front, err);
    failed = failed ? failed : find_path(j, j->front, err);
    failed = failed ? failed : ew_dial_open(&j->dial, server->loop, params->ca, err);
    if (!failed)
        read_member(j);
    if (!failed && !*j->token && !*j->member)
        failed = ew_fail(err, EW_EINVAL,
                         "joining %s needs --token, as `edgewise serve --new-token` prints it on "
                         "the front",
                         params->front);
    if (failed)
        ew_join_out_close(&j);
    *gives = j;
    return failed;
}

void ew_join_out_stop(struct ew_join_out *j)
{
    j->stopped = true;
    ew_dial_cancel(&j->call);
    j->call = NULL;
}

void ew_join_out_close(struct ew_join_out **join)
{
    struct ew_join_out *j = *join;
    if (!j)
        return;
    ew_dial_cancel(&j->call);
    if (j->dial)
        ew_dial_close(&j->dial);
    explicit_bzero(j->token, sizeof j->token);
    free(j);
    *join = NULL;
}
