/* upstream_int.h - what the files of the client share: calls, connections, origins.
 *
 * upstream.c begins calls, keeps their time and tells their end; upstream_ask.c checks what is
 * asked; upstream_origin.c knows servers, their addresses and which of their connections are free;
 * upstream_http.c moves bytes, and upstream_curl.c lets libcurl do all that for https. Whatever may
 * be found out inside a call of the caller's (a refused connection) is only noted there, and the
 * call put into the work queue, which the loop does at its next turn. */
#ifndef EW_UPSTREAM_INT_H
#define EW_UPSTREAM_INT_H

#include "base/clock.h"
#include "net/http_parse.h"
#include "net/resolve.h"
#include "net/upstream.h"

#include <sys/queue.h>

enum {
    EW_UPSTREAM_NAME_MAX = EW_RESOLVE_HOST_BYTES + EW_RESOLVE_PORT_BYTES + 2, /* "[…]:80" */
    EW_UPSTREAM_READ_BYTES = 64 << 10, /* at a time; one buffer for all connections */
};

struct event;
struct ew_upstream_conn;
struct ew_upstream_origin;
struct ew_upstream_curl;
struct ew_upstream_transfer;

TAILQ_HEAD(ew_upstream_calls, ew_upstream_call);
TAILQ_HEAD(ew_upstream_conns, ew_upstream_conn);
LIST_HEAD(ew_upstream_origins, ew_upstream_origin);

enum ew_upstream_phase {
    EW_UPSTREAM_SPARE,
    EW_UPSTREAM_CONNECTING, /* waits for an address, or for a connection */
    EW_UPSTREAM_SENDING,
    EW_UPSTREAM_AWAITING, /* the head */
    EW_UPSTREAM_TAKING,   /* the body */
    EW_UPSTREAM_FAILED,   /* its end is still to be told */
};

struct ew_upstream_call {
    struct ew_upstreams *upstreams;
    enum ew_upstream_phase phase;
    struct ew_upstream_ask ask; /* without its url, origin, method and headers: not ours */
    struct ew_upstream_result result;
    struct ew_upstream_head head;
    char type[64]; /* of the answer's body */
    bool paused, heard, replayed, head_asked;

    struct event *timer;
    uint64_t deadline_ns, armed_ns; /* 0: none */
    uint64_t connect_by_ns;

    const char *name;                      /* of the server, for sentences */
    struct ew_upstream_transfer *transfer; /* libcurl's; else NULL */
    struct ew_upstream_origin *origin;     /* else NULL */
    struct ew_upstream_conn *conn;         /* NULL: waits for one, among the origin's */
    struct ew_buf request;                 /* the head of it; of libcurl's, the server's name */
    struct ew_http_parse parse;

    bool queued, waiting;
    unsigned turn;                       /* of the work queue, in which it was put there */
    TAILQ_ENTRY(ew_upstream_call) queue; /* of work */
    TAILQ_ENTRY(ew_upstream_call) wait;  /* of its origin, for a connection */
    TAILQ_ENTRY(ew_upstream_call) link;  /* among all calls, or all spares */
};

struct ew_upstream_conn {
    struct ew_upstream_origin *origin;
    struct ew_upstream_call *call; /* NULL: idle */
    int fd;                        /* -1: adopted */
    struct bufferevent *bev;       /* of an adopted one; NULL: it has these */
    struct event *readable, *writable;
    bool connecting, reading, unwritable;
    bool busy;   /* its bytes are being told: freed later */
    bool dead;   /* to be freed by whoever is busy */
    int address; /* of the origin's: to which it connects */
    int tries;   /* of addresses */
    size_t sent; /* of request and body together */
    uint64_t idle_ns;
    struct ew_buf held;                 /* came, while the call is paused */
    bool late;                          /* its request leaves at the end of the turn */
    TAILQ_ENTRY(ew_upstream_conn) link; /* idle or busy, of the origin */
    TAILQ_ENTRY(ew_upstream_conn) late_link;
};

/* ADOPTED: a device that dialled in; it has the connections that it opened, and no others. */
enum ew_upstream_kind { EW_UPSTREAM_DIALLED, EW_UPSTREAM_ADOPTED };

struct ew_upstream_origin {
    struct ew_upstreams *upstreams;
    char name[EW_UPSTREAM_NAME_MAX]; /* "host:port", as the URL writes it */
    char host[EW_RESOLVE_HOST_BYTES], port[EW_RESOLVE_PORT_BYTES];
    struct ew_resolved addresses;
    uint64_t resolved_ns; /* 0: never */
    int preferred;        /* address that took the last connection */
    bool looking_up;
    enum ew_upstream_kind kind;
    bool lost; /* has no connection left, which is still to be told */
    int idle_count;
    struct ew_upstream_conns idle, in_use; /* idle: the last used first */
    struct ew_upstream_calls waiting;      /* the oldest first */
    LIST_ENTRY(ew_upstream_origin) link;
};

enum { EW_UPSTREAM_BUCKETS = 256 };

struct ew_upstreams {
    struct ew_loop *loop;
    struct ew_resolver *resolver;
    struct event *work, *sweep, *leave;
    struct ew_upstream_curl *curl; /* NULL: not needed yet */
    bool sweeping, proxied;        /* http goes through a proxy */
    int lost_count;                /* of origins: their loss is to be told */
    void (*lost)(void *user, const char *origin);
    void *lost_user;
    unsigned turn; /* of work */
    int calling;   /* depth of callbacks of the caller's */
    int origin_count, spare_count;
    struct ew_upstream_origins origins[EW_UPSTREAM_BUCKETS];
    struct ew_upstream_calls calls, spares, queue;
    struct ew_upstream_conns late; /* whose requests leave at the end of the turn */
    int late_count;
    struct ew_upstream_counts counts;
    char *bytes; /* EW_UPSTREAM_READ_BYTES of them: what was just read */
};

/* upstream_ask.c: what is asked is checked before anything is done; what is told, read. */
struct ew_upstream_url {
    bool https;
    char name[EW_UPSTREAM_NAME_MAX]; /* "host:port" as it is written there, in lower case */
    char host[EW_RESOLVE_HOST_BYTES], port[EW_RESOLVE_PORT_BYTES];
    const char *path; /* in the URL, with the query and without the fragment; "" is "/" */
    size_t path_bytes;
};
int ew_upstream_check(const struct ew_upstream_ask *ask, struct ew_upstream_url *out,
                      struct ew_err *err);
int ew_upstream_check_request(const char *url, const struct ew_http_header *headers, size_t count,
                              struct ew_upstream_url *out, struct ew_err *err);
/* The name of a device that dials in. */
int ew_upstream_check_origin(const char *origin, struct ew_err *err);
double ew_upstream_retry_after(const struct ew_upstream_head *head); /* NAN: not told */

/* upstream.c */
void ew_upstream_set_deadline(struct ew_upstream_call *call, uint64_t from_ns, double seconds);
void ew_upstream_enqueue(struct ew_upstream_call *call);
/* Takes the call off its connection, which is closed; its end is told on the loop. */
void ew_upstream_fail(struct ew_upstream_call *call, enum ew_upstream_failure failure,
                      const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The call is off its connection, and its answer whole. */
void ew_upstream_done(struct ew_upstream_call *call);
/* Tells status, type and the rest; afterwards the call may be gone. */
void ew_upstream_tell_head(struct ew_upstream_call *call, int status,
                           const char *(*header)(const struct ew_upstream_head *head,
                                                 const char *name),
                           const void *own);

/* upstream_origin.c */
/* NULL: there is none. */
struct ew_upstream_origin *ew_upstream_origin_find(const struct ew_upstreams *upstreams,
                                                   const char *name, enum ew_upstream_kind kind);
/* The same, or a new one; NULL: no memory. */
struct ew_upstream_origin *ew_upstream_origin_make(struct ew_upstreams *upstreams, const char *name,
                                                   enum ew_upstream_kind kind);
/* Gives the call a connection, now or later. */
void ew_upstream_origin_serve(struct ew_upstream_call *call);
/* Another one than was kept, since that was closed. */
void ew_upstream_origin_replace(struct ew_upstream_call *call);
/* The connection isn't used: kept, or closed. */
void ew_upstream_origin_release(struct ew_upstream_conn *conn);
void ew_upstream_origin_forget(struct ew_upstream_call *call); /* doesn't wait any more */
void ew_upstream_origins_close(struct ew_upstreams *upstreams);
void ew_upstream_sweep(int fd, short what, void *user);

/* upstream_http.c */
void ew_upstream_leave(int fd, short what, void *user); /* requests that wait for the turn's end */
/* A connection to one of the origin's addresses, which are known. */
void ew_upstream_conn_open(struct ew_upstream_call *call);
/* The next address, or the failure. */
void ew_upstream_conn_late(struct ew_upstream_call *call);
void ew_upstream_conn_begin(struct ew_upstream_conn *conn, struct ew_upstream_call *call);
void ew_upstream_conn_free(struct ew_upstream_conn *conn);
void ew_upstream_conn_pause(struct ew_upstream_conn *conn);
void ew_upstream_conn_go_on(struct ew_upstream_conn *conn); /* not in a call of the caller's */
/* Bytes came: false when the connection is gone afterwards. */
bool ew_upstream_conn_take(struct ew_upstream_conn *conn, const char *data, size_t bytes);
void ew_upstream_conn_sent(struct ew_upstream_conn *conn); /* all of the request */
/* `code`: 0, the server said goodbye; else of errno. The connection is gone afterwards. */
void ew_upstream_conn_closed(struct ew_upstream_conn *conn, int code);

/* upstream_adopt.c */
void ew_upstream_adopted_send(struct ew_upstream_conn *conn);
void ew_upstream_adopted_read(struct ew_upstream_conn *conn); /* what waits; conn may be gone */
void ew_upstream_adopted_close(struct ew_upstream_conn *conn);
/* A connection went: perhaps the last one. */
void ew_upstream_adopted_count(struct ew_upstream_origin *origin);
void ew_upstream_adopted_tell(struct ew_upstreams *upstreams); /* what was lost */

/* upstream_curl.c */
int ew_upstream_curl_begin(struct ew_upstream_call *call, const struct ew_upstream_ask *ask,
                           struct ew_err *err);
void ew_upstream_curl_drop(struct ew_upstream_call *call);  /* ends the transfer, whole or not */
void ew_upstream_curl_go_on(struct ew_upstream_call *call); /* not in a call of the caller's */
bool ew_upstream_curl_has_address(const struct ew_upstream_call *call);
bool ew_upstream_curl_has_proxy(void); /* the environment names one, for http */
void ew_upstream_curl_close(struct ew_upstreams *upstreams);

#endif
