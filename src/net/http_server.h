/* http_server.h - HTTP/1.1 on a libevent loop: requests in whole, answers out whole or in pieces.
 *
 *     ew_http_server_open(&server, loop, &params, &err);     listens; params.handle gets requests
 *     void handle(void *user, struct ew_http_request *request)
 *         ew_http_reply(request, 200, body)                  at once, or any time later:
 *         ew_http_stream_start(request, 200, type); ew_http_stream_write(…); ew_http_stream_end(…)
 *
 * All calls are on the loop's thread. How long a request lives:
 * - From `handle` on it is the caller's, and so is everything it tells (method, body, headers).
 * - It ends by ew_http_reply, ew_http_stream_end or ew_http_abort; or because its client is gone or
 *   the server is closed: then `gone` is called, once. It never is after the caller ended it.
 * - After its end the pointer is dead (in `gone`: after it has returned; there it may be read, but
 *   not answered). Answering twice is a bug, and asserted as far as that can be seen.
 * - `handle`, `gone` and `drained` are never called from inside a call of the caller's, but for
 *   `gone` from ew_http_server_close. The server may be neither closed nor drained inside them.
 * - A write to a client that has just hung up succeeds and goes nowhere; `gone` follows.
 * A client is gone when its socket is closed, reset, or half closed: who has shut down its sending
 * side while waiting has, in practice, hung up. `gone` comes within 50 ms of it. Pipelined requests
 * wait until the answer before theirs has been sent.
 *
 * Why not evhttp: it answers HTML to what it refuses itself, doesn't tell of a client that hangs up
 * while its answer is computed, and ends the process when told to look. */
#ifndef EW_HTTP_SERVER_H
#define EW_HTTP_SERVER_H

#include "base/buf.h"
#include "base/clock.h"

#define EW_HTTP_HEADER_BYTES_MAX (32u << 10) /* request line and headers together */
#define EW_HTTP_HEADERS_MAX      100
/* A reader so slow that this much waits in our memory is told nothing more: stream_write says
 * EW_ELIMIT and its caller hangs up or waits for `drained`. No single write may be larger. */
#define EW_HTTP_UNSENT_MAX (1u << 20)

struct event_base;
struct ew_http_server;
struct ew_http_request;

struct ew_http_header {
    const char *name, *value; /* name in the client's spelling */
};

struct ew_http_params {
    const char *address; /* "127.0.0.1", "::1", "0.0.0.0"; strings are borrowed during open */
    int port;            /* 0: any free one */
    int fd;              /* > 0: this socket listens already (systemd socket activation) */
    const char *tls_certificate, *tls_key; /* PEM files; NULL: plain */
    size_t body_bytes_max;                 /* 413 above it, before it is read */
    int connections_max;                   /* 503 to more */
    /* For the request's head since its first byte (408); for all of its body after that (408);
     * between requests; for a reader that takes nothing at all of what waits for it. */
    double header_timeout_s, body_timeout_s, idle_timeout_s, write_timeout_s;
    void *user;
    void (*handle)(void *user, struct ew_http_request *request);
    void (*gone)(void *user, struct ew_http_request *request);
    /* Nothing is unsent any more, after ew_http_stream_write had said EW_ELIMIT or
     * ew_http_stream_backs_up true. May be NULL. */
    void (*drained)(void *user, struct ew_http_request *request);
    /* The JSON body of an error that the server answers itself (malformed, 408, 413, 431, 503). */
    void (*error)(void *user, int status, const char *message, struct ew_buf *body);
};

/* Listens. The process ignores SIGPIPE from now on: any write to a client may meet its end; and its
 * soft limit of files is raised to what connections_max needs, as far as the hard one allows. */
int ew_http_server_open(struct ew_http_server **gives, struct event_base *loop,
                        const struct ew_http_params *params, struct ew_err *err);
int ew_http_server_port(const struct ew_http_server *server);
/* No new connections; idle ones are closed; each other one is after its answer. Done when counts
 * say that no connection is left: that is the caller's to bound. */
void ew_http_server_drain(struct ew_http_server *server);
/* New certificate files; the old ones stay on failure. */
int ew_http_server_tls(struct ew_http_server *server, const char *certificate, const char *key,
                       struct ew_err *err);
struct ew_http_counts {
    uint64_t accepted, requests, malformed, refused;
    int connections, active; /* now; active: a request is being answered */
};
void ew_http_server_counts(const struct ew_http_server *server, struct ew_http_counts *out);
/* A connection that we opened ourselves becomes one of the server's: its peer asks over it. Taken,
 * also when this fails (EW_ELIMIT: connections_max); bytes that it has read already are the first
 * request's. Between requests it may rest as long as it likes. `closed` may be NULL; else it is
 * called when the connection has ended, once, never from inside a call of the caller's but for
 * ew_http_server_close. `peer` is what ew_http_peer tells. */
struct bufferevent;
int ew_http_server_adopt(struct ew_http_server *server, struct bufferevent *takes, const char *peer,
                         void (*closed)(void *user), void *user, struct ew_err *err);
/* Connections too, at once; `gone` is called for requests that aren't answered. */
void ew_http_server_close(struct ew_http_server **server);

const char *ew_http_method(const struct ew_http_request *request);
const char *ew_http_path(const struct ew_http_request *request);  /* without the query, decoded */
const char *ew_http_query(const struct ew_http_request *request); /* "" without one */
struct ew_str ew_http_body(const struct ew_http_request *request);
const char *ew_http_header(const struct ew_http_request *request,
                           const char *name);                       /* NULL: none */
const char *ew_http_peer(const struct ew_http_request *request);    /* address without port */
uint64_t ew_http_arrival_ns(const struct ew_http_request *request); /* of its first byte */
void ew_http_set_user(struct ew_http_request *request, void *user);
void *ew_http_user(const struct ew_http_request *request);

/* A header of the answer, before it starts; not Date, Connection, Transfer-Encoding nor those of
 * the content. Control characters in the value are dropped; beyond 16 kB so is the header. */
void ew_http_add_header(struct ew_http_request *request, const char *name, const char *value);
/* Ends the request. HEAD gets the headers only. */
void ew_http_reply(struct ew_http_request *request, int status, const char *type,
                   struct ew_str body);
/* Chunked (HTTP/1.0: until the connection closes). */
void ew_http_stream_start(struct ew_http_request *request, int status, const char *type);
/* EW_ELIMIT: too much waits unsent; nothing was added. */
int ew_http_stream_write(struct ew_http_request *request, struct ew_str data, struct ew_err *err);
size_t ew_http_stream_unsent(const struct ew_http_request *request);
/* Whether more than `bytes` are unsent; `drained` is called then, too, once nothing is. */
bool ew_http_stream_backs_up(struct ew_http_request *request, size_t bytes);
void ew_http_stream_end(struct ew_http_request *request);
/* Ends the request by 101 Switching Protocols, to `protocol`: its connection is the caller's from
 * now on, with whatever of the answer is still to be sent and whatever the client has said behind
 * its request. Reading is off, callbacks and timeouts are none. NULL: the connection is to be
 * closed after this request (HTTP/1.0, "Connection: close", draining), which is still to be
 * answered. */
struct bufferevent *ew_http_upgrade(struct ew_http_request *request, const char *protocol);
bool ew_http_may_upgrade(const struct ew_http_request *request); /* but for want of memory */
/* Ends the request: cuts the connection in the midst of an answer, so that its client can tell. */
void ew_http_abort(struct ew_http_request *request);

#endif
