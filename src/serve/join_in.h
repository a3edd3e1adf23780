/* join_in.h - the front's side of devices that dial in: GET /v1/edgewise/join.
 *
 * A device behind NAT can't be dialled, so it dials: its request shows a token (token.h) and asks
 * for the connection. Let in, it gets its name and its membership, and the connection turns round:
 * from then on we send requests over it, and the device answers. It opens as many as it can answer
 * at once. What it is and how busy, the usual looks tell (fleet_probe.c). */
#ifndef EW_JOIN_IN_H
#define EW_JOIN_IN_H

#include "serve/server_int.h"

#define EW_JOIN_PROTOCOL "edgewise/1"
#define EW_JOIN_PATH     "/v1/edgewise/join"

/* 0, and the request is no longer an HTTP exchange; or -1 and why not. */
int ew_join_in(struct ew_server *server, struct ew_http_request *http, struct ew_fault *fault);

#endif
