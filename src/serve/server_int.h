/* server_int.h - what the files of the server share: its state, on the loop's thread. */
#ifndef EW_SERVER_INT_H
#define EW_SERVER_INT_H

#include <pthread.h>

#include "api/wire.h"
#include "base/rng.h"
#include "base/spares.h"
#include "ledger/ledger.h"
#include "net/http_server.h"
#include "serve/fleet.h"
#include "serve/grammars.h"
#include "serve/jobs.h"
#include "serve/metrics.h"
#include "serve/models.h"
#include "serve/queue.h"
#include "serve/quotas.h"
#include "serve/server.h"
#include "serve/worker.h"

struct ew_exchange;
struct ew_join_out;
struct ew_tokens;

enum ew_server_state {
    EW_SERVER_STARTING, /* the first model is being loaded */
    EW_SERVER_SERVING,
    EW_SERVER_DRAINING, /* nobody new; what is here is answered */
    EW_SERVER_ENDING,   /* the time for that is over: what is here is broken off */
};

struct ew_server {
    const struct ew_server_params *params;
    struct ew_config *config;
    enum ew_server_state state;
    struct ew_loop *loop;
    struct ew_http_server *http;
    struct ew_jobs *jobs;
    struct ew_worker *loader, *preparer;
    struct ew_grammars *grammars;
    struct ew_models *models; /* of the built-in engine; none where there is no engine */
    struct ew_upstreams *upstreams;
    struct ew_fleet *fleet;
    struct ew_tokens *tokens;     /* NULL: no device may join */
    struct ew_join_out *join_out; /* NULL: we join nobody */
    struct ew_queue *queue;
    struct ew_quotas *quotas;
    struct ew_metrics *metrics;
    struct ew_ledger *ledger; /* NULL: no account is kept */
    struct ew_loop_timer *tick, *watchdog;
    uint64_t drain_ns, grace_ns; /* when a drain is over; when even the last words are */
    struct ew_rng rng;
    uint64_t own;                        /* its id, another one at each start: onward.h */
    struct ew_exchange *exchanges;       /* every request that isn't answered yet */
    uint32_t exchange_count, committing; /* of these, only their row is waited for */
    struct ew_spares exchange_spares, relay_spares;
    char url[128];    /* http://127.0.0.1:8080 */
    uint64_t look_ns; /* when models and files are looked at next */
    bool tick_is_soon;
    struct ew_models_waiter first_waiter; /* of the first model */
    bool first_asked;                     /* and not told yet */
    struct ew_err failed;                 /* why the server can't go on; code 0: it can */
    /* Rows that are safe, told by the ledger's thread. */
    pthread_mutex_t committed_lock;
    struct ew_exchange *committed;
    struct ew_loop_wake *committed_wake;
    /* reload.c: the file as it was when it was last read, and when it was last looked at. */
    uint64_t file_stamp, stamp_seen;
    bool reload_wanted;
};

/* The built-in engine as configured; a device without models where there is none. */
const struct ew_config_device *ew_server_engine(const struct ew_config *config);
/* "req_" or another start, and 24 hexadecimal digits. */
void ew_server_id(struct ew_server *server, const char *start, char *id, size_t size);
/* Something is there that time decides about: look at it soon. */
void ew_server_tick_soon(struct ew_server *server);
/* The last exchange has gone, or might have: a drain may be over. */
void ew_server_check_drained(struct ew_server *server);

#endif
