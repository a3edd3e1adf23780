/* http_conn.c - one connection: bytes in, requests to the caller, bytes out, and its end.
 *
 * Everything that may free a connection happens at the bottom of an event's stack, never inside a
 * call of the caller's: such calls only mark it and put it into the server's queue, which the loop
 * works off at its next turn.
 *
 * While a request is being answered reading goes on, up to EW_HTTP_READ_AHEAD: that is how a client
 * that hangs up is noticed. Behind a full read-ahead the kernel doesn't tell through libevent (a
 * reset is reported as readable to nobody, and the loop would spin), so there, and there alone, the
 * socket is asked every WATCH_S.
 *
 * What is sent goes to the socket at once; only what that doesn't take waits in the bufferevent,
 * whose write timeout is for readers that stand still. A timer is set anew only when it has to fire
 * earlier than it would: in steady traffic it costs nothing. */
#include "net/http_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECES_MAX = 4 };
static const double watch_s = 0.025;      /* gone is told within 50 ms */
static const double linger_s = 3;         /* for a client that still sends to read our answer */
static const double drain_fresh_s = 0.25; /* connected, but its request isn't here yet */

static struct evbuffer *output(const struct ew_http_conn *conn)
{
    return bufferevent_get_output(conn->bev);
}

static int socket_of(const struct ew_http_conn *conn)
{
    return (int)bufferevent_getfd(conn->bev);
}

/* ---- time ---- */

static void arm(struct ew_http_conn *conn, uint64_t now_ns)
{
    uint64_t wait_ns = conn->deadline_ns > now_ns ? conn->deadline_ns - now_ns : 0;
    const struct timeval wait = {
        .tv_sec = (time_t)(wait_ns / EW_NS_PER_S),
        .tv_usec = (suseconds_t)(wait_ns % EW_NS_PER_S / 1000),
    };
    conn->armed_ns = conn->deadline_ns;
    event_add(conn->timer, &wait);
}

static void set_deadline(struct ew_http_conn *conn, uint64_t from_ns, double seconds)
{
    conn->deadline_ns = from_ns + (uint64_t)(seconds * 1e9);
    if (!conn->armed_ns || conn->deadline_ns < conn->armed_ns)
        arm(conn, ew_clock_now_ns(&ew_clock_real));
}

static uint64_t now(void)
{
    return ew_clock_now_ns(&ew_clock_real);
}

/* ---- requests ---- */

static void recycle(struct ew_http_server *server, struct ew_http_request *request)
{
    request->state = EW_HTTP_UNUSED;
    request->conn = NULL;
    if (server->spare_count >= EW_HTTP_SPARES_MAX) {
        ew_http_parse_fini(&request->parse);
        ew_buf_fini(&request->headers);
        free(request);
        return;
    }
    ew_http_parse_reset(&request->parse);
    ew_buf_clear(&request->headers);
    SLIST_INSERT_HEAD(&server->spares, request, spare);
    server->spare_count++;
}

static struct ew_http_request *begin_request(struct ew_http_conn *conn)
{
    struct ew_http_server *server = conn->server;
    struct ew_http_request *request = SLIST_FIRST(&server->spares);
    if (request) {
        SLIST_REMOVE_HEAD(&server->spares, spare);
        server->spare_count--;
    } else {
        request = calloc(1, sizeof *request);
        if (!request)
            return NULL;
        ew_http_parse_init(&request->parse, server->params.body_bytes_max);
        ew_buf_init(&request->headers, EW_HTTP_ANSWER_HEADERS_MAX);
    }
    request->state = EW_HTTP_RECEIVING;
    request->conn = conn;
    request->user = NULL;
    request->arrival_ns = now();
    request->body_ns = 0;
    request->continued = request->wants_drained = false;
    return request;
}

/* ---- the end ---- */

void ew_http_conn_free(struct ew_http_conn *conn)
{
    struct ew_http_server *server = conn->server;
    ew_http_outbox_send(conn);
    if (conn->state == EW_HTTP_ANSWERING) {
        server->counts.active--;
        server->calling++;
        server->params.gone(server->params.user, conn->request);
        server->calling--;
    }
    if (conn->request)
        recycle(server, conn->request);
    if (conn->queued)
        TAILQ_REMOVE(&server->queue, conn, queue);
    LIST_REMOVE(conn, link);
    server->counts.connections--;
    if (conn->reset && conn->bev) {
        const struct linger none = {.l_onoff = 1, .l_linger = 0};
        setsockopt(socket_of(conn), SOL_SOCKET, SO_LINGER, &none, sizeof none);
    }
    event_free(conn->timer);
    ew_http_input_close(conn);
    /* libevent closes the socket a turn of the loop later; the client needn't wait for that. */
    if (conn->bev && !conn->reset)
        shutdown(socket_of(conn), SHUT_RDWR);
    if (conn->bev)
        bufferevent_free(conn->bev);
    if (conn->closed) {
        server->calling++;
        conn->closed(conn->closed_user);
        server->calling--;
    }
    free(conn);
}

static void enqueue(struct ew_http_conn *conn)
{
    if (conn->queued)
        return;
    conn->queued = true;
    TAILQ_INSERT_TAIL(&conn->server->queue, conn, queue);
    event_active(conn->server->work, EV_TIMEOUT, 1);
}

void ew_http_conn_break(struct ew_http_conn *conn)
{
    conn->broken = true;
    enqueue(conn);
}

/* Closing at once would reset a connection whose client still sends, and the reset would overtake
 * our answer. So our side is shut, and what comes is thrown away until the client closes. */
static void linger(struct ew_http_conn *conn)
{
    conn->state = EW_HTTP_LINGERING;
    if (conn->ssl) {
        ERR_clear_error();
        SSL_shutdown(conn->ssl);
        ERR_clear_error();
    }
    shutdown(socket_of(conn), SHUT_WR);
    ew_http_input_clear(conn);
    set_deadline(conn, now(), linger_s);
}

/* ---- out ---- */

/* Says how many bytes of the pieces the socket took, which may be none. */
static size_t send_now(struct ew_http_conn *conn, struct iovec *pieces, int count)
{
    const struct msghdr message = {.msg_iov = pieces, .msg_iovlen = (size_t)count};
    ssize_t sent = sendmsg(socket_of(conn), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0)
        return (size_t)sent;
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR && errno != ENOBUFS)
        ew_http_conn_break(conn);
    return 0;
}

void ew_http_conn_send_now(struct ew_http_conn *conn, struct iovec *pieces, int count)
{
    EW_ASSERT(count <= PIECES_MAX);
    if (conn->broken)
        return;
    size_t sent = 0;
    if (!conn->ssl && evbuffer_get_length(output(conn)) == 0)
        sent = send_now(conn, pieces, count);
    for (int i = 0; i < count && !conn->broken; i++) {
        size_t skip = sent < pieces[i].iov_len ? sent : pieces[i].iov_len;
        sent -= skip;
        if (skip < pieces[i].iov_len &&
            evbuffer_add(output(conn), (const char *)pieces[i].iov_base + skip,
                         pieces[i].iov_len - skip) < 0)
            ew_http_conn_break(conn);
    }
    if (conn->state == EW_HTTP_READING) /* the next request may be there already */
        enqueue(conn);
}

void ew_http_conn_send(struct ew_http_conn *conn, struct iovec *pieces, int count)
{
    bool waits = !conn->broken && !conn->ssl && evbuffer_get_length(output(conn)) == 0;
    if (!waits || !ew_http_outbox_put(conn, pieces, count))
        ew_http_conn_send_now(conn, pieces, count);
}

size_t ew_http_conn_unsent(const struct ew_http_conn *conn)
{
    return evbuffer_get_length(output(conn)) + ew_http_outbox_bytes(conn);
}

void ew_http_conn_ended(struct ew_http_conn *conn)
{
    struct ew_http_server *server = conn->server;
    server->counts.active--;
    conn->state = EW_HTTP_READING;
    conn->deadline_ns = 0; /* watch's; what holds now is said when the loop comes by */
    recycle(server, conn->request);
    conn->request = NULL;
    if (!conn->advancing)
        enqueue(conn);
}

/* ---- in ---- */

/* Reading rests while the read-ahead is full. libevent's own watermark isn't used for that: as long
 * as it is met, the callback is called again and again. */
static void bound_input(struct ew_http_conn *conn)
{
    bool full = ew_http_input_bytes(conn) >= EW_HTTP_READ_AHEAD;
    if (full == conn->paused || conn->ended)
        return;
    conn->paused = full;
    if (full)
        ew_http_input_rest(conn);
    else
        ew_http_input_go_on(conn);
}

/* While the caller works: a client whose bytes fill the read-ahead must be asked whether it's still
 * there. */
static void watch(struct ew_http_conn *conn)
{
    conn->deadline_ns = 0;
    if (conn->paused)
        set_deadline(conn, now(), watch_s);
}

static void hand_over(struct ew_http_conn *conn)
{
    struct ew_http_server *server = conn->server;
    struct ew_http_request *request = conn->request;
    server->counts.requests++;
    server->counts.active++;
    conn->closing = !request->parse.keep_alive || server->draining;
    conn->fresh = false;
    conn->state = EW_HTTP_ANSWERING;
    request->state = EW_HTTP_ASKED;
    server->calling++;
    server->params.handle(server->params.user, request);
    server->calling--;
}

/* The request isn't whole yet: until when it must be. */
static void await_rest(struct ew_http_conn *conn)
{
    static char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct ew_http_request *request = conn->request;
    const struct ew_http_parse *parse = &request->parse;
    if (parse->phase != EW_HTTP_BODY) {
        set_deadline(conn, request->arrival_ns, conn->server->params.header_timeout_s);
        return;
    }
    if (parse->expects_continue && !request->continued && parse->body.bytes == 0) {
        struct iovec piece = {go_on, sizeof go_on - 1};
        request->continued = true;
        ew_http_conn_send(conn, &piece, 1);
    }
    if (!request->body_ns)
        request->body_ns = now();
    set_deadline(conn, request->body_ns, conn->server->params.body_timeout_s);
}

static void await(struct ew_http_conn *conn)
{
    const struct ew_http_params *params = &conn->server->params;
    if (conn->request && conn->request->parse.phase != EW_HTTP_START)
        await_rest(conn);
    else if (conn->server->draining && !conn->fresh)
        ew_http_conn_break(conn);
    else if (conn->adopted)
        conn->deadline_ns = 0;
    else if (!conn->fresh) /* else the time since it was opened, or since draining, goes on */
        set_deadline(conn, now(), params->idle_timeout_s);
}

/* Feeds what has come to the parser, a piece of memory at a time, until it's empty or a request is
 * whole. */
static void parse_input(struct ew_http_conn *conn)
{
    struct ew_str piece;
    if (!conn->request)
        conn->request = begin_request(conn);
    if (!conn->request) {
        conn->broken = true;
        return;
    }
    struct ew_http_parse *parse = &conn->request->parse;
    while (parse->phase < EW_HTTP_DONE && (piece = ew_http_input_peek(conn)).bytes)
        ew_http_input_drain(conn, ew_http_parse_feed(parse, piece.data, piece.bytes));
    if (parse->phase == EW_HTTP_FAILED)
        ew_http_refuse(conn, parse->status, parse->message);
    else if (parse->phase == EW_HTTP_DONE)
        hand_over(conn);
}

/* That it goes on is the write timeout's business, but for a TLS client that hasn't even agreed on
 * how to: nothing is written to it, so nothing times out. */
static void keep_writing(struct ew_http_conn *conn)
{
    if (!conn->fresh)
        conn->deadline_ns = 0;
}

/* Says whether there is more to do at once. */
static bool step(struct ew_http_conn *conn)
{
    if (conn->state != EW_HTTP_READING)
        return false;
    size_t waiting = ew_http_input_bytes(conn);
    if (conn->closing) {
        ew_http_input_clear(conn);
        if (ew_http_conn_unsent(conn) > 0)
            keep_writing(conn);
        else if (conn->ended)
            conn->broken = true;
        else
            linger(conn);
        return false;
    }
    if (ew_http_conn_unsent(conn) > 0) {
        keep_writing(conn);
        return false;
    }
    if (waiting == 0) {
        await(conn);
        return false;
    }
    parse_input(conn);
    return true;
}

void ew_http_conn_advance(struct ew_http_conn *conn)
{
    conn->advancing = true;
    while (!conn->broken && step(conn))
        ;
    conn->advancing = false;
    if (conn->broken || ew_http_input_keep(conn) != 0) {
        ew_http_conn_free(conn);
        return;
    }
    bound_input(conn);
    if (conn->state == EW_HTTP_ANSWERING)
        watch(conn);
}

void ew_http_conn_drain(struct ew_http_conn *conn)
{
    char byte;
    if (conn->state != EW_HTTP_READING || conn->closing ||
        (conn->request && conn->request->parse.phase != EW_HTTP_START) ||
        ew_http_conn_unsent(conn) > 0)
        return;
    if (conn->fresh)
        set_deadline(conn, now(), drain_fresh_s);
    else if (recv(socket_of(conn), &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
        ew_http_conn_free(conn);
    /* Else a request is in the socket already: it is answered. */
}

/* ---- what the loop tells ---- */

void ew_http_conn_came(struct ew_http_conn *conn)
{
    if (conn->state == EW_HTTP_LINGERING)
        ew_http_input_clear(conn);
    else
        ew_http_conn_advance(conn);
}

static void on_read(struct bufferevent *bev, void *user)
{
    (void)bev;
    ew_http_conn_came(user);
}

static void on_written(struct bufferevent *bev, void *user)
{
    (void)bev;
    struct ew_http_conn *conn = user;
    struct ew_http_server *server = conn->server;
    struct ew_http_request *request = conn->request;
    if (conn->state == EW_HTTP_ANSWERING && request->wants_drained && server->params.drained &&
        ew_http_conn_unsent(conn) == 0) {
        request->wants_drained = false;
        server->calling++;
        server->params.drained(server->params.user, request);
        server->calling--;
    }
    ew_http_conn_advance(conn);
}

void ew_http_conn_event(struct ew_http_conn *conn, short what)
{
    if (what & BEV_EVENT_CONNECTED) {
        return; /* TLS is agreed on; the time for the request's head runs since the beginning */
    } else if ((what & BEV_EVENT_EOF) && conn->state == EW_HTTP_READING &&
               ew_http_conn_unsent(conn) > 0) {
        /* All answers were given, the last one isn't read yet: who asks by `nc -N` gets it. */
        ew_http_input_rest(conn);
        conn->closing = conn->ended = true;
    } else {
        conn->reset = (what & BEV_EVENT_TIMEOUT) != 0;
        ew_http_conn_free(conn);
    }
}

static void on_event(struct bufferevent *bev, short what, void *user)
{
    (void)bev;
    ew_http_conn_event(user, what);
}

/* The client of a request that is being answered has closed, behind bytes we haven't read. */
static bool has_hung_up(const struct ew_http_conn *conn)
{
    struct pollfd ask = {.fd = socket_of(conn), .events = POLLRDHUP};
    return poll(&ask, 1, 0) > 0 && (ask.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static void on_timer(evutil_socket_t fd, short what, void *user)
{
    (void)fd, (void)what;
    struct ew_http_conn *conn = user;
    uint64_t now_ns = now();
    conn->armed_ns = 0;
    if (!conn->deadline_ns)
        return;
    if (conn->deadline_ns > now_ns) {
        arm(conn, now_ns);
    } else if (conn->state == EW_HTTP_ANSWERING) {
        if (has_hung_up(conn))
            ew_http_conn_free(conn);
        else
            watch(conn);
    } else if (conn->state == EW_HTTP_READING && conn->request && !conn->closing &&
               conn->request->parse.phase != EW_HTTP_START) {
        ew_http_refuse(conn, 408, "the request didn't come in time");
        ew_http_conn_advance(conn);
    } else {
        ew_http_conn_free(conn);
    }
}

/* ---- the beginning ---- */

static void name_peer(struct ew_http_conn *conn, const struct sockaddr_storage *peer)
{
    const void *bytes = &((const struct sockaddr_in *)peer)->sin_addr;
    int family = peer->ss_family;
    if (family == AF_INET6) {
        const struct in6_addr *six = &((const struct sockaddr_in6 *)peer)->sin6_addr;
        bytes = six;
        if (IN6_IS_ADDR_V4MAPPED(six)) { /* the same client as by IPv4 */
            bytes = six->s6_addr + 12;
            family = AF_INET;
        }
    }
    if (!inet_ntop(family, bytes, conn->peer, sizeof conn->peer))
        conn->peer[0] = '\0';
}

static struct bufferevent *open_bufferevent(struct ew_http_conn *conn, int fd)
{
    struct ew_http_server *server = conn->server;
    if (!server->tls)
        return bufferevent_socket_new(server->loop, fd, BEV_OPT_CLOSE_ON_FREE);
    SSL *ssl = SSL_new(server->tls);
    if (!ssl)
        return NULL;
    struct bufferevent *bev = bufferevent_openssl_socket_new(
        server->loop, fd, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    if (bev) {
        bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
        conn->ssl = ssl;
    } /* else libevent has freed ssl */
    return bev;
}

/* NULL: no memory. */
static struct ew_http_conn *new_conn(struct ew_http_server *server)
{
    struct ew_http_conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        return NULL;
    conn->server = server;
    conn->timer = evtimer_new(server->loop, on_timer, conn);
    if (conn->timer)
        return conn;
    free(conn);
    return NULL;
}

/* It has its bufferevent, and is one of the server's from now on. */
static void begin(struct ew_http_conn *conn)
{
    struct ew_http_server *server = conn->server;
    double patience_s = server->params.write_timeout_s;
    const struct timeval write_wait = {
        .tv_sec = (time_t)patience_s,
        .tv_usec = (suseconds_t)((patience_s - (double)(time_t)patience_s) * 1e6),
    };
    conn->opened_ns = now();
    LIST_INSERT_HEAD(&server->conns, conn, link);
    server->counts.connections++;
    bufferevent_setcb(conn->bev, on_read, on_written, on_event, conn);
    bufferevent_set_timeouts(conn->bev, NULL, &write_wait);
    if (bufferevent_enable(conn->bev, EV_WRITE) != 0 || ew_http_input_open(conn) != 0)
        ew_http_conn_break(conn);
}

void ew_http_conn_open(struct ew_http_server *server, int fd, const struct sockaddr_storage *peer,
                       enum ew_http_admission admission)
{
    struct ew_http_conn *conn = new_conn(server);
    if (conn)
        conn->bev = open_bufferevent(conn, fd);
    if (!conn || !conn->bev) { /* no memory: this client is sent away, the others are served on */
        if (conn)
            event_free(conn->timer);
        free(conn);
        close(fd);
        return;
    }
    name_peer(conn, peer);
    conn->fresh = true;
    begin(conn);
    set_deadline(conn, conn->opened_ns, server->params.header_timeout_s);
    if (admission == EW_HTTP_REFUSE) {
        ew_http_refuse(conn, 503, "this server has as many connections as it takes");
        ew_http_conn_advance(conn);
    }
}

struct ew_http_conn *ew_http_conn_adopt(struct ew_http_server *server, struct bufferevent *takes)
{
    struct ew_http_conn *conn = new_conn(server);
    if (!conn) {
        bufferevent_free(takes);
        return NULL;
    }
    conn->bev = takes;
    conn->ssl = bufferevent_openssl_get_ssl(takes);
    conn->adopted = true;
    begin(conn);
    enqueue(conn); /* what was read already is looked at, but not inside this call */
    return conn;
}
