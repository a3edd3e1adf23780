/* state.h - how this server is, for a front that looks at it: GET /v1/edgewise/status.
 *
 * fleet_probe.c of the front reads what is written here; docs/API.md has its keys. */
#ifndef EW_STATE_H
#define EW_STATE_H

#include "serve/server_int.h"

int ew_state_write(struct ew_server *server, struct ew_buf *out);

/* All models that can be asked for here, once each: the engine's, then other places'. Gives
 * malloc'ed entries whose texts are borrowed; NULL: no memory. */
struct ew_wire_model *ew_state_models(struct ew_server *server, bool loaded_only, size_t *count);

#endif
