/* http_input.c - what a client has sent and nobody has parsed yet.
 *
 * Without TLS the socket is read into a buffer that all connections share and parsed from there:
 * one system call, and no memory, for a request that comes in one piece. What can't be parsed yet,
 * since an answer goes on, is kept by the connection. Through TLS, and on a connection that was
 * opened by ourselves, libevent reads. */
#include "net/http_int.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <string.h>

/* NULL: nothing was ever kept. */
static struct evbuffer *kept(const struct ew_http_conn *conn)
{
    return conn->readable ? conn->kept : bufferevent_get_input(conn->bev);
}

static size_t kept_bytes(const struct ew_http_conn *conn)
{
    struct evbuffer *buffer = kept(conn);
    return buffer ? evbuffer_get_length(buffer) : 0;
}

size_t ew_http_input_bytes(const struct ew_http_conn *conn)
{
    return kept_bytes(conn) + conn->piece.bytes;
}

struct ew_str ew_http_input_peek(const struct ew_http_conn *conn)
{
    struct evbuffer_iovec first;
    if (!kept_bytes(conn))
        return conn->piece;
    if (evbuffer_peek(kept(conn), -1, NULL, &first, 1) < 1)
        return (struct ew_str){NULL, 0};
    return (struct ew_str){first.iov_base, first.iov_len};
}

void ew_http_input_drain(struct ew_http_conn *conn, size_t bytes)
{
    size_t before = kept_bytes(conn), first = bytes < before ? bytes : before;
    if (first)
        evbuffer_drain(kept(conn), first);
    if (bytes == first)
        return;
    conn->piece.data += bytes - first;
    conn->piece.bytes -= bytes - first;
}

void ew_http_input_clear(struct ew_http_conn *conn)
{
    ew_http_input_drain(conn, ew_http_input_bytes(conn));
}

int ew_http_input_keep(struct ew_http_conn *conn)
{
    const struct ew_str piece = conn->piece;
    conn->piece = (struct ew_str){NULL, 0};
    if (!piece.bytes)
        return 0;
    if (!conn->kept)
        conn->kept = evbuffer_new();
    return conn->kept ? evbuffer_add(conn->kept, piece.data, piece.bytes) : -1;
}

static void on_readable(evutil_socket_t fd, short what, void *user)
{
    (void)what;
    struct ew_http_conn *conn = user;
    char *bytes = conn->server->bytes;
    ssize_t n = recv(fd, bytes, EW_HTTP_READ_AHEAD, MSG_DONTWAIT);
    if (n > 0) {
        conn->piece = (struct ew_str){bytes, (size_t)n};
        ew_http_conn_came(conn);
    } else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
        ew_http_conn_event(conn, n == 0 ? BEV_EVENT_EOF : BEV_EVENT_ERROR);
    }
}

int ew_http_input_open(struct ew_http_conn *conn)
{
    struct event_base *loop = conn->server->loop;
    if (conn->ssl || conn->adopted)
        return bufferevent_enable(conn->bev, EV_READ);
    conn->readable =
        event_new(loop, bufferevent_getfd(conn->bev), EV_READ | EV_PERSIST, on_readable, conn);
    return conn->readable ? event_add(conn->readable, NULL) : -1;
}

void ew_http_input_close(struct ew_http_conn *conn)
{
    if (conn->readable)
        event_free(conn->readable);
    if (conn->kept)
        evbuffer_free(conn->kept);
    conn->readable = NULL;
    conn->kept = NULL;
}

int ew_http_input_give(struct ew_http_conn *conn)
{
    struct evbuffer *to = bufferevent_get_input(conn->bev);
    if (ew_http_input_keep(conn) != 0)
        return -1;
    if (conn->kept) {
        evbuffer_unfreeze(to, 0); /* else libevent alone may add to it */
        int failed = evbuffer_add_buffer(to, conn->kept);
        evbuffer_freeze(to, 0);
        if (failed)
            return -1;
    }
    ew_http_input_rest(conn);
    ew_http_input_close(conn);
    return 0;
}

void ew_http_input_rest(struct ew_http_conn *conn)
{
    if (conn->readable)
        event_del(conn->readable);
    else
        bufferevent_disable(conn->bev, EV_READ);
}

void ew_http_input_go_on(struct ew_http_conn *conn)
{
    if (conn->readable)
        event_add(conn->readable, NULL);
    else
        bufferevent_enable(conn->bev, EV_READ);
}
