/* upstream.h - requests to other servers, on the loop's thread: devices nearby and clouds.
 *
 *     ew_upstreams_open(&upstreams, loop, &err);
 *     ew_upstream_begin(upstreams, &ask, &call, &err);       head, then data …, then end: once
 *     ew_upstream_cancel(&call);                             nothing is called any more
 *
 * One interface over two clients. Plain HTTP, the devices of a local network, goes over a client of
 * our own on the loop's sockets (upstream_http.c): connections are kept and used again, and a
 * chunk is passed on when it is read, not when a buffer is full. https goes through libcurl's
 * multi interface on the same loop (upstream_curl.c): certificates, proxies, HTTP/2. A device that
 * dialled in to us is asked over the connections that it opened (ew_upstreams_adopt).
 *
 * `head`, `data` and `end` are never called from inside a call of the caller's; inside them the
 * call may be cancelled. After `end` the call is dead; it isn't to be cancelled then. Nothing is
 * tried twice here, but for one case: a kept connection that the server closed within a second,
 * before it sent anything, is replaced by a new one: the request crossed the server's goodbye and
 * wasn't read. Everything has a limit: those below, and those of the ask. */
#ifndef EW_UPSTREAM_H
#define EW_UPSTREAM_H

#include "base/buf.h"
#include "net/http_server.h"
#include "net/loop.h"

enum {
    EW_UPSTREAM_HEAD_BYTES_MAX = 64 << 10, /* of an answer's head */
    EW_UPSTREAM_IDLE_MAX = 32,             /* kept connections of one origin */
    EW_UPSTREAM_ADOPTED_MAX = 64,          /* connections that one device opened */
    EW_UPSTREAM_HEADERS_MAX = 16,          /* of an ask */
    EW_UPSTREAM_URL_MAX = 2048,
};
#define EW_UPSTREAM_IDLE_S 55.0 /* kept so long; less than the 60 and more of common servers */

/* Why it failed: a word for metrics, and whether the server may have read the request. */
#define EW_UPSTREAM_FAILURES(X)                                                                    \
    X(NONE, "none")                                                                                \
    X(RESOLVE, "resolve") /* no address for the name */                                            \
    X(CONNECT, "connect") /* refused, unreachable, reset before the request was out */             \
    X(CONNECT_TIMEOUT, "connect_timeout")                                                          \
    X(TLS, "tls")                   /* certificate, handshake */                                   \
    X(HEAD_TIMEOUT, "head_timeout") /* accepted, then silent */                                    \
    X(STALL, "stall")               /* the body stood still */                                     \
    X(CUT, "cut")                   /* ended before it was whole */                                \
    X(MALFORMED, "malformed")       /* isn't HTTP */                                               \
    X(TOO_LARGE, "too_large")       /* head or body beyond its limit */                            \
    X(MEMORY, "memory")

enum ew_upstream_failure {
#define X(name, word) EW_UPSTREAM_##name,
    EW_UPSTREAM_FAILURES(X)
#undef X
};
const char *ew_upstream_failure_name(enum ew_upstream_failure failure);

struct ew_upstreams;
struct ew_upstream_call;

/* What is known when the head is there; valid during `head`. */
struct ew_upstream_head {
    int status;
    const char *type;     /* media type in lower case, without parameters: "text/event-stream" */
    double retry_after_s; /* NAN: not told (seconds, or a date made seconds; Retry-After-Ms, too) */
    uint64_t at_ns;       /* when it came, by ew_clock_real */
    const char *(*header)(const struct ew_upstream_head *head, const char *name); /* NULL: none */
    const void *own;
};

struct ew_upstream_result {
    enum ew_upstream_failure failure; /* NONE: the answer came whole */
    char why[280];                    /* a sentence, without secrets; "" when whole */
    char cause[160]; /* the same, or just its kind, without addresses: for who isn't to know them */
    uint64_t connected_ns, sent_ns, head_ns, ended_ns; /* stamps by ew_clock_real; 0: not reached */
    bool reused;                                       /* over a kept connection */
};

struct ew_upstream_ask {
    const char *url;    /* whole: "http://10.0.0.5:8080/v1/chat/completions"; copied. Where `origin`
                           is set, its path alone is used, and needn't have more */
    const char *origin; /* NULL; or the name of a device that dialled in: ew_upstreams_adopt */
    const char *method; /* "GET", "POST" */
    struct ew_str body; /* borrowed until the call has ended; .data NULL: none */
    /* Copied; Host, Content-Length are made, and refused here like Connection and Expect. */
    const struct ew_http_header *headers;
    size_t header_count;
    /* All three above 0. */
    double connect_timeout_s; /* name, connection, TLS */
    double head_timeout_s;    /* from the request being out to the answer's head */
    double stall_timeout_s;   /* between two pieces of the body, or of the request going out */
    size_t body_bytes_max;    /* of the answer; 0: no limit */
    const char *ca_file; /* PEM, for https with an authority of one's own; NULL: the system's */
    void *user;
    void (*head)(void *user, const struct ew_upstream_head *head); /* of 1xx nothing is told */
    void (*data)(void *user, struct ew_str bytes);
    void (*end)(void *user, const struct ew_upstream_result *result);
};

int ew_upstreams_open(struct ew_upstreams **gives, struct ew_loop *loop, struct ew_err *err);
void ew_upstreams_close(struct ew_upstreams **upstreams); /* no call is left */

/* EW_EINVAL: the URL is none of http or https, or has a password in it; a header or a timeout isn't
 * one. What fails later is told by `end`. */
int ew_upstream_begin(struct ew_upstreams *upstreams, const struct ew_upstream_ask *ask,
                      struct ew_upstream_call **gives, struct ew_err *err);
/* The connection is closed within this turn of the loop: the server sees it. NULL is fine. */
void ew_upstream_cancel(struct ew_upstream_call **call);
/* Whether the server may have read all of the request. */
bool ew_upstream_is_sent(const struct ew_upstream_call *call);
/* A reader that is slow: no more data until resumed (the server is slowed by TCP); stalls don't
 * count meanwhile. */
void ew_upstream_pause(struct ew_upstream_call *call);
void ew_upstream_resume(struct ew_upstream_call *call);

struct ew_upstream_counts {
    uint64_t calls, failures, connections_opened, connections_reused;
    int active, idle; /* now */
};
void ew_upstreams_counts(const struct ew_upstreams *upstreams, struct ew_upstream_counts *out);

/* ---- devices that dial in ---- */

struct bufferevent;
/* A connection that the device opened, for calls whose `origin` is that name; taken, also when this
 * fails (EW_EINVAL: no name for a device, or the device spoke before it was asked; EW_ELIMIT:
 * EW_UPSTREAM_ADOPTED_MAX). Its peer closes it when it likes; `lost` is called when the last
 * connection of the name is gone, on the loop, never from inside a call of the caller's. A call
 * waits for a free one, at most its connect_timeout_s; where there is none at all, it fails at once
 * with CONNECT. */
int ew_upstreams_adopt(struct ew_upstreams *upstreams, const char *origin,
                       struct bufferevent *takes, struct ew_err *err);
void ew_upstreams_on_lost(struct ew_upstreams *upstreams,
                          void (*lost)(void *user, const char *origin), void *user);
/* Connections of that origin: idle and busy. */
int ew_upstreams_adopted(const struct ew_upstreams *upstreams, const char *origin);
/* Closes them all; calls over them fail with CUT. */
void ew_upstreams_drop(struct ew_upstreams *upstreams, const char *origin);

#endif
