/* http_int.h - what the files of the HTTP server share: server, connection, request.
 *
 * http_server.c listens and counts, http_conn.c moves bytes and knows when a connection ends,
 * http_input.c has what came and isn't parsed yet, http_outbox.c keeps what is said until the
 * turn's end, http_reply.c writes answers, http_tls.c makes certificates usable. A connection is
 * small and holds a request only while there is one: idle connections are many, requests few. */
#ifndef EW_HTTP_INT_H
#define EW_HTTP_INT_H

#include "net/http_parse.h"
#include "net/http_server.h"

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
    EW_HTTP_ANSWER_HEADERS_MAX = 16 << 10, /* what callers add, in bytes */
    EW_HTTP_READ_AHEAD = 16 << 10,         /* of a client, while it is being answered */
    EW_HTTP_SPARES_MAX = 64, /* requests kept for the next ones: at most 1.1 MB with their bytes */
};

struct bufferevent;
struct evbuffer;
struct event;
struct ew_http_letter;
struct ew_http_outbox;

enum ew_http_request_state {
    EW_HTTP_UNUSED,    /* a spare, or just ended: whoever still calls has a bug */
    EW_HTTP_RECEIVING, /* not the caller's yet */
    EW_HTTP_ASKED,     /* handed to the caller; nothing of an answer yet */
    EW_HTTP_STREAMING,
};

struct ew_http_request {
    enum ew_http_request_state state;
    struct ew_http_conn *conn;
    void *user;
    uint64_t arrival_ns, body_ns; /* of the first byte; of the head's end, 0: not yet */
    bool continued;               /* "100 Continue" was sent */
    bool wants_drained;           /* a write was refused, or much is unsent */
    struct ew_buf headers;        /* that the caller added */
    struct ew_http_parse parse;
    SLIST_ENTRY(ew_http_request) spare;
};

enum ew_http_conn_state {
    EW_HTTP_READING,   /* waits for a request, or for the rest of one */
    EW_HTTP_ANSWERING, /* the caller has it */
    EW_HTTP_LINGERING, /* our side is shut; waits for the client to close, so that it reads all */
};

struct ew_http_conn {
    struct ew_http_server *server;
    struct bufferevent *bev;         /* NULL: given away, and to be freed soon */
    struct event *readable;          /* NULL: bev reads */
    struct ew_str piece;             /* just read into the server's bytes, not parsed yet */
    struct evbuffer *kept;           /* read before that; NULL: nothing ever was */
    SSL *ssl;                        /* owned by bev; NULL: plain */
    struct ew_http_request *request; /* owned; NULL: idle */
    struct event *timer;
    uint64_t deadline_ns, armed_ns; /* 0: none */
    uint64_t opened_ns;
    enum ew_http_conn_state state;
    bool closing;   /* after what is still to be sent */
    bool ended;     /* the client has shut its side, after its last request */
    bool paused;    /* reading rests: enough waits to be parsed */
    bool broken;    /* can't be used any more; is freed soon */
    bool reset;     /* so that the client sees an error, not an end */
    bool fresh;     /* has asked nothing yet */
    bool advancing; /* ew_http_conn_advance is below us on the stack */
    bool queued;
    bool adopted;               /* opened by ourselves: rests between requests without a limit */
    void (*closed)(void *user); /* of an adopted one; NULL: nobody wants to know */
    void *closed_user;
    struct ew_http_letter *letter; /* what waits for the turn's end; NULL: nothing */
    char peer[INET6_ADDRSTRLEN];
    LIST_ENTRY(ew_http_conn) link;
    TAILQ_ENTRY(ew_http_conn) queue;
};

LIST_HEAD(ew_http_conns, ew_http_conn);
TAILQ_HEAD(ew_http_queue, ew_http_conn);
SLIST_HEAD(ew_http_spares, ew_http_request);

struct ew_http_server {
    struct event_base *loop;
    struct ew_http_params params;
    int fd; /* listens; -1: draining */
    int port;
    SSL_CTX *tls; /* NULL: plain */
    struct event *accept, *accept_again, *work;
    bool draining;
    int calling; /* depth of callbacks of the caller's */
    struct ew_http_conns conns;
    struct ew_http_outbox *outbox;
    struct ew_http_queue queue; /* have something to do, but not from inside a caller's call */
    struct ew_http_spares spares;
    int spare_count;
    struct ew_http_counts counts;
    struct ew_buf head;             /* of the answer being written */
    char bytes[EW_HTTP_READ_AHEAD]; /* read just now, of whoever is parsed */
    char date[48];                  /* "Date: …\r\n" of date_s */
    int64_t date_s;
};

/* http_conn.c */
enum ew_http_admission { EW_HTTP_ADMIT, EW_HTTP_REFUSE };
void ew_http_conn_open(struct ew_http_server *server, int fd, const struct sockaddr_storage *peer,
                       enum ew_http_admission admission);
/* NULL: no memory, and the bufferevent is freed. */
struct ew_http_conn *ew_http_conn_adopt(struct ew_http_server *server, struct bufferevent *takes);
void ew_http_conn_free(struct ew_http_conn *conn); /* gone is told if the caller had a request */
void ew_http_conn_drain(struct ew_http_conn *conn);
void ew_http_conn_advance(struct ew_http_conn *conn); /* conn may be freed by it */
/* At the end of this turn of the loop, or now; in order. */
void ew_http_conn_send(struct ew_http_conn *conn, struct iovec *pieces, int count);
void ew_http_conn_send_now(struct ew_http_conn *conn, struct iovec *pieces, int count);
size_t ew_http_conn_unsent(const struct ew_http_conn *conn);
void ew_http_conn_came(struct ew_http_conn *conn); /* there is input; conn may be freed by it */
void ew_http_conn_event(struct ew_http_conn *conn, short what); /* BEV_EVENT_…; the same */
/* The request of this connection is answered, whole or not. */
void ew_http_conn_ended(struct ew_http_conn *conn);
void ew_http_conn_break(struct ew_http_conn *conn); /* frees it, but not now */

/* http_input.c */
int ew_http_input_open(struct ew_http_conn *conn); /* begins to read; -1: no memory */
void ew_http_input_close(struct ew_http_conn *conn);
size_t ew_http_input_bytes(const struct ew_http_conn *conn);
struct ew_str ew_http_input_peek(const struct ew_http_conn *conn); /* the first of it */
void ew_http_input_drain(struct ew_http_conn *conn, size_t bytes); /* that many of the first */
void ew_http_input_clear(struct ew_http_conn *conn);
int ew_http_input_keep(struct ew_http_conn *conn); /* what isn't parsed; -1: no memory */
/* To the bufferevent, which is to be somebody else's and doesn't read; -1: no memory. */
int ew_http_input_give(struct ew_http_conn *conn);
void ew_http_input_rest(struct ew_http_conn *conn); /* doesn't read, until: */
void ew_http_input_go_on(struct ew_http_conn *conn);

/* http_outbox.c */
int ew_http_outbox_open(struct ew_http_outbox **gives, struct ew_err *err);
void ew_http_outbox_close(struct ew_http_outbox **outbox);
/* False: it is to be sent now. */
bool ew_http_outbox_put(struct ew_http_conn *conn, const struct iovec *pieces, int count);
void ew_http_outbox_send(struct ew_http_conn *conn); /* what waits of it */
void ew_http_outbox_send_all(struct ew_http_server *server);
size_t ew_http_outbox_bytes(const struct ew_http_conn *conn);

/* http_reply.c */
/* The server's own answer to a request that it doesn't hand on; closes afterwards. */
void ew_http_refuse(struct ew_http_conn *conn, int status, const char *message);

/* http_tls.c */
int ew_http_tls_open(SSL_CTX **gives, const char *certificate, const char *key, struct ew_err *err);

#endif
