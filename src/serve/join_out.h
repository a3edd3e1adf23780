/* join_out.h - the device's side of joining a front: `edgewise serve MODEL --join FRONT --token T`.
 *
 * We dial, the front asks over what we dialled: that works behind NAT and needs no open port. The
 * first connection shows the join token and brings the membership, which is kept in a file
 * (join-….member in $XDG_DATA_HOME/edgewise), so that a restart needs no new token; the others show
 * the membership. As many are kept open as the device answers at once, and two for looks; one that
 * ends is dialled anew, later and later while the front doesn't answer. Requests that come this way
 * are the client "front": who has the front's keys was its business. */
#ifndef EW_JOIN_OUT_H
#define EW_JOIN_OUT_H

#include "serve/server_int.h"

struct ew_join_out;

struct ew_join_out_params {
    const char *front; /* "https://front.example:8443" */
    const char *token; /* NULL: a membership of before */
    const char *name;  /* what we would like to be called; NULL: the host's name */
    const char *ca;    /* PEM of the front's authority; NULL: the system's */
};

#define EW_JOIN_OUT_PEER "front" /* ew_http_peer of what comes this way */

int ew_join_out_open(struct ew_join_out **gives, struct ew_server *server,
                     const struct ew_join_out_params *params, struct ew_err *err);
/* No more dialling: the server ends. */
void ew_join_out_stop(struct ew_join_out *join);
void ew_join_out_close(struct ew_join_out **join); /* after the HTTP server is closed */
void ew_join_out_tick(struct ew_join_out *join, uint64_t now_ns);

#endif
