/* exchange.h - one request for an answer of a model, from its arrival to its row in the ledger.
 *
 *     arrived -> QUEUED (until policy says where) -> RELAYING (another place answers)
 *                                                 -> LOADING (the engine's model) -> PREPARING
 *                                                    (tokens) -> RUNNING
 *             -> ENDING -> COMMITTING (its row, where answers wait for that) -> answered and gone
 *
 * Where nobody but the engine has the model, it is loaded and the prompt prepared before QUEUED:
 * then its tokens are known exactly when it is decided. A place that fails before the first token
 * has reached the client sends the request back to QUEUED, for another place.
 *
 * It leaves that way at any point: refused, out of time, its client gone, the server at its end.
 * Then what was begun is taken back, the row is written all the same, and who is still there is
 * told. RUNNING and QUEUED alternate when it makes room for another client; STALLED is a reader
 * who doesn't read: its places are free until it does. On the loop's thread. */
#ifndef EW_EXCHANGE_H
#define EW_EXCHANGE_H

#include "api/tools.h"
#include "serve/relay.h"
#include "serve/route.h"
#include "serve/server_int.h"

/* Bytes that wait for a slow reader, while its answer is computed. */
enum { EW_EXCHANGE_OUT_MAX = 1 << 20 };

enum ew_exchange_state {
    EW_EXCHANGE_LOADING,
    EW_EXCHANGE_PREPARING,
    EW_EXCHANGE_QUEUED,
    EW_EXCHANGE_RUNNING,
    EW_EXCHANGE_RELAYING,
    EW_EXCHANGE_STALLED,
    EW_EXCHANGE_ENDING, /* the worker or the engine still has it */
    EW_EXCHANGE_COMMITTING,
};

/* What is told of one choice. */
struct ew_exchange_choice {
    struct ew_tools *tools; /* NULL: its text is plain */
    struct ew_buf plain;    /* what tools left of the newest text; all of it, when not streamed */
    size_t calls_told;
    size_t text_offset;
    enum ew_finish finish;
    bool begun;
};

struct ew_exchange {
    struct ew_server *server;
    struct ew_exchange *before, *next, *next_committed;
    struct ew_http_request *http; /* NULL: its client is gone */
    const struct ew_wire *wire;
    const char *route;
    enum ew_exchange_state state;
    char id[40], reply_id[48], client[64], peer[48];
    uint64_t key; /* whose it is, to the queue */
    /* Of the configuration with which it began. */
    char policy[24];
    double tariff_cents_per_kwh;
    bool keeps_prompt, durable;
    uint64_t deadline_ns, patience_ns; /* of the answer; of what comes before it begins */
    /* Its way. */
    struct ew_route way;
    struct ew_relay *relay, *relay_before; /* of the place that answers; one that broke off */
    bool speaks_openai;         /* its client: what another place says can be passed on as it is */
    bool may_wait;              /* there was room in the queue when it came */
    bool computes;              /* the engine has its job */
    uint32_t tokens_seen;       /* of the engine's answer, by policy */
    struct ew_usage usage;      /* once it has ended */
    struct ew_usage spent;      /* by places that broke off in the midst */
    double lost_j, lost_cents;  /* by places that failed before, as far as it is known */
    struct ew_fault last_fault; /* of the place that failed last; status 0: none did */
    struct ew_job job;
    struct ew_models_entry *model; /* held, or waited for */
    struct ew_models_waiter waiter;
    struct ew_task task; /* preparing */
    struct ew_grammars_entry *grammar;
    struct ew_queue_item item;
    struct ew_quotas_claim claim;
    struct ew_exchange_choice *choices; /* [job.stream_count] */
    struct ew_fault prepared;           /* the worker's */
    struct ew_fault fault;              /* status 0: nothing is wrong */
    bool holds_model, started, gone;    /* started: the stream's head is out */
    struct ew_buf out;                  /* what a slow reader hasn't taken; scratch otherwise */
    /* Stamps; 0: didn't come to it. */
    int64_t arrived_ms;
    uint64_t arrived_ns, loading_ns, loaded_ns, queued_ns, begun_ns, ended_ns;
};

/* Takes the request over. */
void ew_exchange_begin(struct ew_server *server, struct ew_http_request *http,
                       const struct ew_wire *wire, const char *route, const char *client);
/* For the loop's callbacks. */
void ew_exchange_gone(struct ew_exchange *exchange);
void ew_exchange_drained(struct ew_exchange *exchange);
void ew_exchange_news(void *server);           /* jobs has some */
void ew_exchange_committed(void *server);      /* the ledger has some */
void ew_exchange_places_changed(void *server); /* a place has come, or is well again */
void ew_exchange_tick(struct ew_server *server, uint64_t now_ns);
/* Ends it with that fault, whatever it is at. */
void ew_exchange_fail(struct ew_exchange *exchange, const struct ew_fault *fault);

/* Its model of the engine, then its tokens. */
void ew_exchange_load(struct ew_exchange *exchange);
/* Nobody else has a part of it any more: its row, then the end of its answer. */
void ew_exchange_conclude(struct ew_exchange *exchange);

/* exchange_place.c: where it goes. The exchange may be no more after any of these. */
void ew_exchange_enqueue(struct ew_exchange *exchange); /* and decides at once, where it can */
void ew_exchange_pump(struct ew_server *server);        /* who waits and has a place now, goes */
void ew_exchange_compute(struct ew_exchange *exchange); /* it is prepared, and has its place */
void ew_exchange_overloaded(struct ew_exchange *exchange, const char *why);
void ew_exchange_expire(struct ew_server *server, uint64_t now_ns);
/* The place failed, and nothing was told yet: as if it had just come, but for that place. */
void ew_exchange_elsewhere(struct ew_exchange *exchange, const struct ew_fault *fault,
                           enum ew_outcome outcome, enum ew_route_again again);
/* For relay.c: the other place has answered, or failed. */
void ew_exchange_relayed(struct ew_exchange *exchange);

/* exchange_tell.c: what its client reads. */
struct ew_reply ew_exchange_reply(const struct ew_exchange *exchange);
struct ew_usage ew_exchange_usage(const struct ew_exchange *exchange);        /* as far as it is */
struct ew_usage ew_exchange_engine_usage(const struct ew_exchange *exchange); /* its part of it */
enum ew_finish ew_exchange_finish(const struct ew_exchange *exchange); /* of its first choice */
/* The head of a stream goes out, once. */
int ew_exchange_start_stream(struct ew_exchange *exchange);
int ew_exchange_make_choices(struct ew_exchange *exchange, struct ew_err *err);
void ew_exchange_drop_choices(struct ew_exchange *exchange);
/* The newest pieces; to the client when streamed. EW_ELIMIT: it doesn't read fast enough. */
int ew_exchange_tell(struct ew_exchange *exchange, struct ew_err *err);
/* What is in `out` goes on its way as far as it does. */
int ew_exchange_write(struct ew_exchange *exchange, struct ew_err *err);
/* The end of the answer into `out`; may find a fault yet. Then it is sent, and http is dead. */
void ew_exchange_compose_end(struct ew_exchange *exchange);
void ew_exchange_tell_end(struct ew_exchange *exchange);

#endif
