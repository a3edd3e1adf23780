/* routes.h - which path is what: who may ask, which wire it speaks, and the pages that need no
 * model. */
#ifndef EW_ROUTES_H
#define EW_ROUTES_H

#include "serve/server_int.h"

/* For the HTTP server's callbacks; user is the server. */
void ew_routes_handle(void *user, struct ew_http_request *http);
void ew_routes_error(void *user, int status, const char *message, struct ew_buf *body);
/* Ends the request with an error's answer, Retry-After included. wire NULL: OpenAI's. */
void ew_routes_fail(struct ew_http_request *http, const struct ew_wire *wire,
                    const struct ew_fault *fault);

#endif
