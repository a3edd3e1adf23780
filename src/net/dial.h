/* dial.h - a connection that we open to be asked over: a device's to the front that it joins.
 *
 *     ew_dial_open(&dial, loop, ca_file, &err);
 *     ew_dial_begin(dial, &ask, &call, &err);      done, once: a connection, or why there is none
 *     ew_dial_close(&dial);
 *
 * One request of HTTP/1.1 goes out, with "Connection: Upgrade"; when its answer is 101 to the same
 * protocol, the connection is the caller's: reading is off, callbacks are none, and what the other
 * side has said already waits in its input (ew_http_server_adopt begins with that). Over https the
 * certificate is verified, name and all, by the system's authorities or by ca_file alone. `done` is
 * called on the loop, never from inside a call of the caller's. */
#ifndef EW_DIAL_H
#define EW_DIAL_H

#include "base/buf.h"
#include "net/http_server.h"
#include "net/loop.h"

struct bufferevent;
struct ew_dial;
struct ew_dial_call;

struct ew_dial_result {
    struct bufferevent *bev; /* given; NULL: it failed */
    int status;              /* of the answer; 0: there was none */
    char why[300];           /* a sentence; with a status, its body's message. "" when it worked */
    /* Of the answer's head, while `done` runs; NULL: it has no such header. */
    const char *(*header)(const struct ew_dial_result *result, const char *name);
};

struct ew_dial_ask {
    const char *url;                      /* http or https; copied */
    const char *protocol;                 /* "edgewise/1" */
    const struct ew_http_header *headers; /* copied; Host, Connection, Upgrade are made */
    size_t header_count;
    double timeout_s; /* for all of it */
    void *user;
    void (*done)(void *user, const struct ew_dial_result *result);
};

/* EW_EINVAL: ca_file has no certificate. NULL: the system's authorities. */
int ew_dial_open(struct ew_dial **gives, struct ew_loop *loop, const char *ca_file,
                 struct ew_err *err);
void ew_dial_close(struct ew_dial **dial); /* no call is left */
int ew_dial_begin(struct ew_dial *dial, const struct ew_dial_ask *ask, struct ew_dial_call **gives,
                  struct ew_err *err);
void ew_dial_cancel(struct ew_dial_call **call); /* before done; NULL is fine */

#endif
