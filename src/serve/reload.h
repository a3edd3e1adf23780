/* reload.h - another configuration while the server runs: on SIGHUP, or when the file has changed.
 *
 * What is under way goes on as it began. A file that can't be taken leaves the old configuration in
 * force, and the log says why. The address, the ledger and the limits of the network are those of
 * the start; the log says so where a new file has others. */
#ifndef EW_RELOAD_H
#define EW_RELOAD_H

#include "serve/server_int.h"

int ew_reload_begin(struct ew_server *server,
                    struct ew_err *err);       /* SIGHUP, and the file's stamp */
void ew_reload_look(struct ew_server *server); /* has the file changed? Call every second or so */
struct ew_queue_params ew_reload_queue_params(const struct ew_config *config);

#endif
