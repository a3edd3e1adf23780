/* dial.c - resolve, connect, shake hands, ask, and hand the connection over; dial.h says what for.
 *
 * The addresses of a name are tried in turn, each with its share of what is left of the time; what
 * is told when none works is what the last one said. An answer that isn't 101 is read to its end,
 * or to BODY_BYTES_MAX of it, since its body says why ("the token was used already").
 * Limits: one request, whose answer's head is EW_HTTP_HEADER_BYTES_MAX at most. */
#include "net/dial.h"
#include "net/http_parse.h"
#include "net/resolve.h"
#include "net/tcp.h"
#include "net/upstream_int.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <jansson.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

enum {
    BODY_BYTES_MAX = 16 << 10,
    REQUEST_BYTES_MAX = 32 << 10,
    PROTOCOL_BYTES = 40,
};

struct ew_dial {
    struct ew_loop *loop;
    struct ew_resolver *resolver;
    SSL_CTX *tls;
    int active;
    LIST_HEAD(, ew_dial_call) calls; /* also those that ended, and still wait for the resolver */
};

struct ew_dial_call {
    struct ew_dial *dial;
    struct ew_upstream_url url; /* its path isn't kept */
    char protocol[PROTOCOL_BYTES];
    void *user;
    void (*done)(void *user, const struct ew_dial_result *result);
    uint64_t until_ns;
    struct event *timer;
    struct ew_resolved addresses;
    int tries;
    bool resolving, ended; /* ended while resolving: freed when that is done */
    bool connected;
    struct bufferevent *bev;
    struct ew_buf request, body;
    struct ew_http_parse parse;
    struct ew_dial_result result;
    LIST_ENTRY(ew_dial_call) link;
};

/* ---- the end ---- */

static void drop_bev(struct ew_dial_call *call)
{
    if (call->bev)
        bufferevent_free(call->bev);
    call->bev = NULL;
}

static void free_call(struct ew_dial_call *call)
{
    LIST_REMOVE(call, link);
    drop_bev(call);
    if (call->timer)
        event_free(call->timer);
    ew_buf_fini(&call->request);
    ew_buf_fini(&call->body);
    ew_http_parse_fini(&call->parse);
    free(call);
}

/* The resolver can't be called back: what it works for stays until it is done. */
static void let_go(struct ew_dial_call *call)
{
    call->dial->active--;
    call->ended = true;
    event_del(call->timer);
    drop_bev(call);
    if (!call->resolving)
        free_call(call);
}

static const char *header_of(const struct ew_dial_result *result, const char *name)
{
    const struct ew_dial_call *call =
        (const void *)((const char *)result - offsetof(struct ew_dial_call, result));
    return call->parse.phase == EW_HTTP_DONE ? ew_http_parse_header(&call->parse, name) : NULL;
}

static void finish(struct ew_dial_call *call)
{
    call->result.header = header_of;
    if (call->result.why[0])
        drop_bev(call);
    call->result.bev = call->bev;
    call->bev = NULL;
    call->done(call->user, &call->result);
    let_go(call);
}

static void fail(struct ew_dial_call *call, const char *why)
{
    snprintf(call->result.why, sizeof call->result.why, "%.100s: %.190s", call->url.name, why);
    finish(call);
}

/* ---- the answer ---- */

/* {"error": {"message": "…"}}, {"error": "…"}, or a text of one line. */
static const char *message_of(json_t *root, struct ew_buf *body)
{
    json_t *error = json_object_get(root, "error");
    const char *message = json_string_value(json_object_get(error, "message"));
    message = message ? message : json_string_value(error);
    if (message || root)
        return message ? message : "";
    for (size_t i = 0; i < body->bytes; i++)
        if ((unsigned char)body->data[i] < ' ')
            body->data[i] = '\0';
    return ew_buf_cstr(body);
}

static void fail_by_answer(struct ew_dial_call *call)
{
    char why[250];
    json_t *root = json_loadb(ew_buf_cstr(&call->body), call->body.bytes, 0, NULL);
    const char *message = message_of(root, &call->body);
    call->result.status = call->parse.code;
    snprintf(why, sizeof why, "HTTP %d%s%.200s", call->parse.code, *message ? ": " : "", message);
    json_decref(root);
    fail(call, why);
}

static void take_whole(struct ew_dial_call *call)
{
    const char *protocol = ew_http_parse_header(&call->parse, "Upgrade");
    if (call->parse.code != 101) {
        fail_by_answer(call);
        return;
    }
    call->result.status = 101;
    if (!protocol || strcasecmp(protocol, call->protocol) != 0) {
        fail(call, "it changes to another protocol than was asked");
        return;
    }
    bufferevent_disable(call->bev, EV_READ);
    bufferevent_setcb(call->bev, NULL, NULL, NULL, NULL);
    finish(call);
}

static void on_read(struct bufferevent *bev, void *user)
{
    struct ew_dial_call *call = user;
    struct evbuffer *input = bufferevent_get_input(bev);
    struct ew_http_parse *parse = &call->parse;
    struct evbuffer_iovec piece;
    while (parse->phase < EW_HTTP_DONE && evbuffer_peek(input, -1, NULL, &piece, 1) > 0) {
        size_t used = ew_http_parse_feed(parse, piece.iov_base, piece.iov_len);
        if (parse->piece.bytes &&
            ew_buf_add(&call->body, parse->piece.data, parse->piece.bytes, NULL) != 0)
            parse->phase = EW_HTTP_DONE; /* enough of a body that only says why not */
        evbuffer_drain(input, used);
    }
    if (parse->phase == EW_HTTP_FAILED)
        fail(call, "its answer isn't HTTP");
    else if (parse->phase == EW_HTTP_DONE)
        take_whole(call);
}

/* ---- connecting ---- */

static void try_next(struct ew_dial_call *call, const char *why);

static const char *why_tls(struct bufferevent *bev, char *text, size_t size)
{
    SSL *ssl = bufferevent_openssl_get_ssl(bev);
    long verified = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
    unsigned long code = ssl ? bufferevent_get_openssl_error(bev) : 0;
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    if (verified != X509_V_OK)
        snprintf(text, size, "its certificate: %s", X509_verify_cert_error_string(verified));
    else if (reason)
        snprintf(text, size, "TLS: %s", reason);
    else
        return NULL;
    return text;
}

static void arm(struct ew_dial_call *call, double share)
{
    uint64_t now_ns = ew_clock_now_ns(&ew_clock_real);
    double left_s = call->until_ns > now_ns ? (double)(call->until_ns - now_ns) * 1e-9 : 0;
    const double wait_s = left_s * share;
    const struct timeval wait = {
        .tv_sec = (time_t)wait_s,
        .tv_usec = (suseconds_t)((wait_s - (double)(time_t)wait_s) * 1e6),
    };
    event_add(call->timer, &wait);
}

static void send_request(struct ew_dial_call *call)
{
    call->connected = true;
    arm(call, 1);
    ew_tcp_set_options((int)bufferevent_getfd(call->bev));
    if (evbuffer_add(bufferevent_get_output(call->bev), call->request.data, call->request.bytes) <
        0)
        fail(call, "no memory for the request");
}

static void on_event(struct bufferevent *bev, short what, void *user)
{
    struct ew_dial_call *call = user;
    char text[200];
    int code = EVUTIL_SOCKET_ERROR();
    if (what & BEV_EVENT_CONNECTED) {
        send_request(call);
        return;
    }
    if (!(what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)))
        return;
    ew_http_parse_closed(&call->parse);
    const char *tls = why_tls(bev, text, sizeof text);
    if (call->parse.phase == EW_HTTP_DONE)
        take_whole(call);
    else if (call->connected || tls)
        fail(call, tls ? tls : "it closed the connection before it answered");
    else
        try_next(call, code ? strerror(code) : "it closed the connection");
}

static struct bufferevent *new_bev(struct ew_dial_call *call)
{
    struct event_base *base = ew_loop_base(call->dial->loop);
    if (!call->url.https)
        return bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    SSL *ssl = SSL_new(call->dial->tls);
    if (!ssl)
        return NULL;
    /* An address is looked for among a certificate's addresses, a name among its names. */
    bool is_address = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), call->url.host) == 1;
    if (!is_address && (SSL_set1_host(ssl, call->url.host) != 1 ||
                        SSL_set_tlsext_host_name(ssl, call->url.host) != 1)) {
        SSL_free(ssl);
        return NULL;
    }
    struct bufferevent *bev = bufferevent_openssl_socket_new(
        base, -1, ssl, BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
    if (bev)
        bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    return bev;
}

static void try_next(struct ew_dial_call *call, const char *why)
{
    drop_bev(call);
    if (call->tries == call->addresses.count) {
        fail(call, why);
        return;
    }
    arm(call, 1.0 / (call->addresses.count - call->tries));
    struct ew_resolve_address *address = &call->addresses.addresses[call->tries++];
    call->connected = false;
    call->bev = new_bev(call);
    if (!call->bev) {
        fail(call, "no memory for a connection");
        return;
    }
    bufferevent_setcb(call->bev, on_read, NULL, on_event, call);
    bufferevent_enable(call->bev, EV_READ | EV_WRITE);
    if (bufferevent_socket_connect(call->bev, (struct sockaddr *)&address->to,
                                   (int)address->bytes) < 0)
        try_next(call, strerror(errno));
}

static void on_resolved(void *user, const struct ew_resolved *resolved)
{
    struct ew_dial_call *call = user;
    char why[200];
    call->resolving = false;
    if (call->ended) {
        free_call(call);
        return;
    }
    call->addresses = *resolved;
    snprintf(why, sizeof why, "no address: %s", resolved->why);
    try_next(call, why);
}

static void on_timer(evutil_socket_t fd, short what, void *user)
{
    (void)fd, (void)what;
    struct ew_dial_call *call = user;
    if (!call->bev && !call->resolving)
        try_next(call, "no address"); /* the first, of those that needn't be looked up */
    else if (call->resolving)
        fail(call, "no address was found in time");
    else if (call->connected)
        fail(call, "it didn't answer in time");
    else
        try_next(call, "no connection in time");
}

/* ---- the beginning ---- */

static int write_request(struct ew_dial_call *call, const struct ew_dial_ask *ask,
                         struct ew_err *err)
{
    struct ew_buf *to = &call->request;
    int code = ew_buf_printf(to, err,
                             "GET %s%.*s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\n"
                             "Upgrade: %s\r\n",
                             *call->url.path == '/' ? "" : "/", (int)call->url.path_bytes,
                             call->url.path, call->url.name, ask->protocol);
    for (size_t i = 0; i < ask->header_count && code == 0; i++)
        code = ew_buf_printf(to, err, "%s: %s\r\n", ask->headers[i].name, ask->headers[i].value);
    return code != 0 ? code : ew_buf_text(to, "\r\n", err);
}

static int start(struct ew_dial_call *call, struct ew_err *err)
{
    if (ew_resolver_digits(call->url.host, call->url.port, &call->addresses)) {
        event_active(call->timer, EV_TIMEOUT, 1);
        return 0;
    }
    memset(&call->addresses, 0, sizeof call->addresses);
    call->resolving = true;
    arm(call, 1);
    int code = ew_resolver_ask(call->dial->resolver, call->url.host, call->url.port, on_resolved,
                               call, err);
    if (code != 0)
        call->resolving = false;
    return code;
}

int ew_dial_begin(struct ew_dial *dial, const struct ew_dial_ask *ask, struct ew_dial_call **gives,
                  struct ew_err *err)
{
    struct ew_upstream_url url;
    *gives = NULL;
    int code = ew_upstream_check_request(ask->url, ask->headers, ask->header_count, &url, err);
    if (code != 0)
        return code;
    if (!(ask->timeout_s > 0) || strlen(ask->protocol) >= PROTOCOL_BYTES)
        return ew_fail(err, EW_EINVAL, "a connection to be asked over has a time and a protocol");
    struct ew_dial_call *call = calloc(1, sizeof *call);
    if (!call)
        return ew_fail(err, EW_ENOMEM, "no memory for a connection");
    LIST_INSERT_HEAD(&dial->calls, call, link);
    call->dial = dial;
    call->url = url;
    call->user = ask->user;
    call->done = ask->done;
    call->until_ns = ew_clock_now_ns(&ew_clock_real) + (uint64_t)(ask->timeout_s * 1e9);
    snprintf(call->protocol, sizeof call->protocol, "%s", ask->protocol);
    ew_buf_init(&call->request, REQUEST_BYTES_MAX);
    ew_buf_init(&call->body, BODY_BYTES_MAX);
    ew_http_parse_init_answer(&call->parse, EW_HTTP_HEADER_BYTES_MAX);
    ew_http_parse_begin_answer(&call->parse, SIZE_MAX, EW_HTTP_ASKED_ALL);
    call->timer = evtimer_new(ew_loop_base(dial->loop), on_timer, call);
    code = call->timer ? write_request(call, ask, err)
                       : ew_fail(err, EW_ENOMEM, "no memory for a connection");
    call->url.path = NULL; /* it was borrowed */
    if (code == 0)
        code = start(call, err);
    if (code != 0) {
        free_call(call);
        return code;
    }
    dial->active++;
    *gives = call;
    return 0;
}

void ew_dial_cancel(struct ew_dial_call **owned)
{
    struct ew_dial_call *call = *owned;
    *owned = NULL;
    if (call)
        let_go(call);
}

/* ---- life ---- */

static int trust(SSL_CTX *tls, const char *ca_file, struct ew_err *err)
{
    ERR_clear_error();
    int trusted =
        ca_file ? SSL_CTX_load_verify_file(tls, ca_file) : SSL_CTX_set_default_verify_paths(tls);
    ERR_clear_error();
    if (trusted != 1)
        return ew_fail(err, EW_EINVAL, "%s has no certificates in PEM",
                       ca_file ? ca_file : "the system");
    return 0;
}

static int open_tls(struct ew_dial *dial, const char *ca_file, struct ew_err *err)
{
    static const unsigned char spoken[] = "\x08http/1.1";
    dial->tls = SSL_CTX_new(TLS_client_method());
    if (!dial->tls || SSL_CTX_set_min_proto_version(dial->tls, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_alpn_protos(dial->tls, spoken, sizeof spoken - 1) != 0)
        return ew_fail(err, EW_ENOMEM, "TLS can't be set up");
    SSL_CTX_set_verify(dial->tls, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(dial->tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(dial->tls, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF |
                                       SSL_OP_NO_COMPRESSION);
    return trust(dial->tls, ca_file, err);
}

int ew_dial_open(struct ew_dial **gives, struct ew_loop *loop, const char *ca_file,
                 struct ew_err *err)
{
    *gives = NULL;
    struct ew_dial *dial = calloc(1, sizeof *dial);
    if (!dial)
        return ew_fail(err, EW_ENOMEM, "no memory for connections");
    dial->loop = loop;
    LIST_INIT(&dial->calls);
    signal(SIGPIPE, SIG_IGN); /* any write to the other side may meet its end */
    int code = open_tls(dial, ca_file, err);
    if (code == 0)
        code = ew_resolver_open(&dial->resolver, loop, err);
    if (code != 0)
        ew_dial_close(&dial);
    *gives = dial;
    return code;
}

void ew_dial_close(struct ew_dial **owned)
{
    struct ew_dial *dial = *owned;
    if (!dial)
        return;
    EW_ASSERT(dial->active == 0);
    *owned = NULL;
    ew_resolver_close(&dial->resolver);
    while (!LIST_EMPTY(&dial->calls))
        free_call(LIST_FIRST(&dial->calls));
    SSL_CTX_free(dial->tls);
    free(dial);
}
