/* http_server.c - the listening socket, who may come in, and the server's life.
 *
 * Accepting fails when descriptors or memory are out; the socket then stays readable, and a loop
 * that tried again at once would spin. So accepting rests for ACCEPT_REST_MS: some connection will
 * have been closed, and until then clients wait in the kernel's queue.
 * Limits: ACCEPTS_MAX a turn, so that a flood of connections doesn't starve those that are there;
 * REFUSALS_MAX beyond connections_max are told so by a 503, the rest is closed in silence. */
#include "net/http_int.h"
#include "net/tcp.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    BACKLOG = 1024,
    OTHER_FILES = 256, /* of the process: refusals, models, the ledger */
    ACCEPTS_MAX = 64,
    ACCEPT_REST_MS = 50,
    REFUSALS_MAX = 128,
    HEAD_BYTES_MAX = EW_HTTP_ANSWER_HEADERS_MAX + 4096,
};

/* ---- listening ---- */

static int listen_at(const struct addrinfo *at)
{
    const int on = 1;
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, at->ai_addr, at->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

static int open_socket(struct ew_http_server *server, struct ew_err *err)
{
    const struct ew_http_params *params = &server->params;
    const struct addrinfo hints = {
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
    };
    struct addrinfo *found = NULL;
    char port[16];
    snprintf(port, sizeof port, "%d", params->port);
    int code = getaddrinfo(params->address, port, &hints, &found);
    if (code != 0)
        return ew_fail(err, EW_EINVAL, "address '%s', port %d: %s", params->address, params->port,
                       gai_strerror(code));
    server->fd = listen_at(found);
    int why = errno;
    freeaddrinfo(found);
    if (server->fd < 0)
        return ew_fail(err, EW_ENET, "can't listen on %s, port %d: %s", params->address,
                       params->port, strerror(why));
    return 0;
}

/* systemd's, or any parent's: it must listen, or accept would fail for ever. */
static int adopt_socket(struct ew_http_server *server, struct ew_err *err)
{
    int listens = 0;
    socklen_t bytes = sizeof listens;
    int fd = server->params.fd;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &bytes) < 0 || !listens)
        return ew_fail(err, EW_EINVAL, "descriptor %d isn't a socket that listens", fd);
    if (evutil_make_socket_nonblocking(fd) < 0 || evutil_make_socket_closeonexec(fd) < 0)
        return ew_fail(err, EW_EIO, "descriptor %d: %s", fd, strerror(errno));
    server->fd = fd;
    return 0;
}

static int port_of(int fd)
{
    struct sockaddr_storage at;
    socklen_t bytes = sizeof at;
    if (getsockname(fd, (struct sockaddr *)&at, &bytes) < 0)
        return 0;
    if (at.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&at)->sin6_port);
    return at.ss_family == AF_INET ? ntohs(((struct sockaddr_in *)&at)->sin_port) : 0;
}

/* ---- accepting ---- */

static void admit(struct ew_http_server *server, int fd, const struct sockaddr_storage *peer)
{
    int limit = server->params.connections_max;
    server->counts.accepted++;
    if (server->counts.connections < limit) {
        ew_http_conn_open(server, fd, peer, EW_HTTP_ADMIT);
    } else if (server->counts.connections < limit + REFUSALS_MAX) {
        ew_http_conn_open(server, fd, peer, EW_HTTP_REFUSE);
    } else {
        server->counts.refused++;
        close(fd);
    }
}

static void rest(struct ew_http_server *server)
{
    const struct timeval wait = {.tv_usec = ACCEPT_REST_MS * 1000};
    event_del(server->accept);
    event_add(server->accept_again, &wait);
}

/* Says whether there may be more. */
static bool accept_one(struct ew_http_server *server)
{
    struct sockaddr_storage peer = {0};
    socklen_t bytes = sizeof peer;
    int fd = accept4(server->fd, (struct sockaddr *)&peer, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        admit(server, fd, &peer);
        return true;
    }
    /* What else accept tells (accept(2)) is about that one connection: the next may be well. */
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        rest(server);
    else if (errno != EAGAIN && errno != EWOULDBLOCK)
        return true;
    return false;
}

static void on_accept(evutil_socket_t fd, short what, void *user)
{
    (void)fd, (void)what;
    for (int i = 0; i < ACCEPTS_MAX && accept_one(user); i++)
        ;
}

static void on_accept_again(evutil_socket_t fd, short what, void *user)
{
    struct ew_http_server *server = user;
    event_add(server->accept, NULL);
    on_accept(fd, what, user);
}

static void on_work(evutil_socket_t fd, short what, void *user)
{
    (void)fd, (void)what;
    struct ew_http_server *server = user;
    ew_http_outbox_send_all(server);
    /* Only those that are there now: what they cause is for the next turn. */
    struct ew_http_conn *last = TAILQ_LAST(&server->queue, ew_http_queue);
    for (struct ew_http_conn *conn; (conn = TAILQ_FIRST(&server->queue)) != NULL;) {
        bool done = conn == last;
        TAILQ_REMOVE(&server->queue, conn, queue);
        conn->queued = false;
        ew_http_conn_advance(conn);
        if (done)
            break;
    }
    ew_http_outbox_send_all(server);
    if (!TAILQ_EMPTY(&server->queue))
        event_active(server->work, EV_TIMEOUT, 1);
}

/* ---- life ---- */

/* A shell gives 1024 files, which is about select(2) and not about us; what the administrator
 * allows is the hard limit. Where that is too little, accepting rests when they are out. */
static void want_files(int connections)
{
    struct rlimit files;
    const rlim_t wanted = (rlim_t)connections + OTHER_FILES;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur >= wanted)
        return;
    files.rlim_cur = files.rlim_max < wanted ? files.rlim_max : wanted;
    setrlimit(RLIMIT_NOFILE, &files);
}

static int open_events(struct ew_http_server *server, struct ew_err *err)
{
    server->accept = event_new(server->loop, server->fd, EV_READ | EV_PERSIST, on_accept, server);
    server->accept_again = evtimer_new(server->loop, on_accept_again, server);
    server->work = event_new(server->loop, -1, 0, on_work, server);
    if (ew_http_outbox_open(&server->outbox, err) != 0)
        return EW_ENOMEM;
    if (!server->accept || !server->accept_again || !server->work ||
        event_add(server->accept, NULL) < 0)
        return ew_fail(err, EW_ENOMEM, "no memory for a server");
    return 0;
}

int ew_http_server_open(struct ew_http_server **gives, struct event_base *loop,
                        const struct ew_http_params *params, struct ew_err *err)
{
    EW_ASSERT(params->handle && params->gone && params->error);
    *gives = NULL;
    /* libevent and OpenSSL write without MSG_NOSIGNAL: a client that hangs up would be our end. */
    signal(SIGPIPE, SIG_IGN);
    want_files(params->connections_max);
    struct ew_http_server *server = calloc(1, sizeof *server);
    if (!server)
        return ew_fail(err, EW_ENOMEM, "no memory for a server");
    server->loop = loop;
    server->params = *params;
    server->fd = -1;
    LIST_INIT(&server->conns);
    TAILQ_INIT(&server->queue);
    SLIST_INIT(&server->spares);
    ew_buf_init(&server->head, HEAD_BYTES_MAX);
    int code = 0;
    if (params->tls_certificate)
        code = ew_http_tls_open(&server->tls, params->tls_certificate, params->tls_key, err);
    if (code == 0)
        code = params->fd > 0 ? adopt_socket(server, err) : open_socket(server, err);
    if (code == 0) {
        ew_tcp_set_options(server->fd);
        server->port = port_of(server->fd);
        code = open_events(server, err);
    }
    /* Borrowed for this call alone. */
    server->params.address = server->params.tls_certificate = server->params.tls_key = NULL;
    if (code != 0)
        ew_http_server_close(&server);
    *gives = server;
    return code;
}

int ew_http_server_port(const struct ew_http_server *server)
{
    return server->port;
}

int ew_http_server_tls(struct ew_http_server *server, const char *certificate, const char *key,
                       struct ew_err *err)
{
    SSL_CTX *tls;
    if (!server->tls)
        return ew_fail(err, EW_EINVAL, "a server that began without TLS can't change to it");
    int code = ew_http_tls_open(&tls, certificate, key, err);
    if (code != 0)
        return code;
    SSL_CTX_free(server->tls); /* connections hold it as long as they need it */
    server->tls = tls;
    return 0;
}

static void stop_listening(struct ew_http_server *server)
{
    if (server->accept)
        event_free(server->accept);
    if (server->accept_again)
        event_free(server->accept_again);
    server->accept = server->accept_again = NULL;
    if (server->fd >= 0)
        close(server->fd);
    server->fd = -1;
}

int ew_http_server_adopt(struct ew_http_server *server, struct bufferevent *takes, const char *peer,
                         void (*closed)(void *user), void *user, struct ew_err *err)
{
    if (server->draining || server->counts.connections >= server->params.connections_max) {
        bufferevent_free(takes);
        return ew_fail(err, EW_ELIMIT, "the server takes no more connections");
    }
    struct ew_http_conn *conn = ew_http_conn_adopt(server, takes);
    if (!conn)
        return ew_fail(err, EW_ENOMEM, "no memory for a connection");
    server->counts.accepted++;
    conn->closed = closed;
    conn->closed_user = user;
    snprintf(conn->peer, sizeof conn->peer, "%s", peer);
    return 0;
}

void ew_http_server_drain(struct ew_http_server *server)
{
    if (server->draining)
        return;
    EW_ASSERT(!server->calling);
    /* Whom the kernel has connected already is a client like those before: closing would reset. */
    while (accept_one(server))
        ;
    server->draining = true;
    stop_listening(server);
    for (struct ew_http_conn *conn = LIST_FIRST(&server->conns), *next; conn; conn = next) {
        next = LIST_NEXT(conn, link);
        ew_http_conn_drain(conn);
    }
}

void ew_http_server_counts(const struct ew_http_server *server, struct ew_http_counts *out)
{
    *out = server->counts;
}

void ew_http_server_close(struct ew_http_server **owned)
{
    struct ew_http_server *server = *owned;
    if (!server)
        return;
    EW_ASSERT(!server->calling);
    *owned = NULL;
    while (!LIST_EMPTY(&server->conns))
        ew_http_conn_free(LIST_FIRST(&server->conns));
    stop_listening(server);
    for (struct ew_http_request *request; (request = SLIST_FIRST(&server->spares)) != NULL;) {
        SLIST_REMOVE_HEAD(&server->spares, spare);
        ew_http_parse_fini(&request->parse);
        ew_buf_fini(&request->headers);
        free(request);
    }
    if (server->work)
        event_free(server->work);
    ew_http_outbox_close(&server->outbox);
    ew_buf_fini(&server->head);
    SSL_CTX_free(server->tls);
    free(server);
}
