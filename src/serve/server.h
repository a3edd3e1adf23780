/* server.h - the server: an HTTP door, models behind it, a row in the ledger for each request.
 *
 *     struct ew_server_params params = {.config = config, .reload = again, .user = me};
 *     failed = ew_server_run(&params, &err);       until SIGTERM or SIGINT, and all is answered
 *
 * Threads: the caller's becomes the event loop (sockets, timers, signals, the state of requests);
 * the server starts one that computes (jobs.h), one that loads models and one that prepares prompts
 * (worker.h); the ledger has its own. docs/TOUR.md tells a request's way through them. */
#ifndef EW_SERVER_H
#define EW_SERVER_H

#include "flow/config.h"

struct ew_server_params {
    struct ew_config *config; /* taken, also when this fails */
    /* The configuration made anew, of file and options as at the start; called on SIGHUP and when
     * config->file has changed. NULL: nothing to reload. */
    int (*reload)(void *user, struct ew_config **gives, struct ew_err *err);
    void *user;
    const char *isa; /* instruction set of the engine; NULL: the best */
    /* To join a front as a device (join_out.h): its URL; NULL: none. */
    const char *join, *join_token, *join_name, *join_ca;
    int listen_fd; /* > 0: a socket that listens already, from systemd; taken */
};

/* 0 after a drain: SIGTERM or SIGINT came, and what ran was answered or, at the end of the time for
 * that, broken off. Says "listening on http://ADDRESS:PORT" on stderr when the first model is
 * loaded. Fails when it can't start: an address in use, a first model that can't be loaded. */
int ew_server_run(const struct ew_server_params *params, struct ew_err *err);

#endif
