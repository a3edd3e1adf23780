/* queue.h - who is answered now, and who waits: fair among clients, bounded, with a deadline.
 *
 * A place is one stream of the built-in engine; who is answered elsewhere takes none, but counts as
 * running for its client. An item (a request) takes as many places as it has streams; it may start
 * when one is free, and what has no place yet then waits inside the engine. Whether an item can
 * start, and where, the caller is asked (`fits`). Asked first is the waiting client that runs
 * least; among equals, whose turn was longest ago. So fifty requests of one client don't keep the
 * single request of another waiting. When all places are taken and a client with nothing running
 * waits for one, the youngest request of the client that runs most makes room (ew_queue_victim): it
 * is paused, not lost, and comes first when its client's turn comes. Room is made only for a
 * request that never ran: two who take several places each would otherwise make room for one
 * another for ever.
 *
 * Pure: time comes in as now_ns, nothing is allocated but a record for each client that has
 * something here. Items are embedded in what they stand for. One thread. */
#ifndef EW_QUEUE_H
#define EW_QUEUE_H

#include "base/err.h"

struct ew_queue_params {
    uint32_t places;
    uint32_t waiting_max; /* 0: nobody waits (ew_queue_has_room) */
    double timeout_s;     /* of waiting for the first start */
};

struct ew_queue_client;
struct ew_queue_item {
    struct ew_queue_client *client; /* NULL: not in a queue */
    struct ew_queue_item *before, *next;
    uint32_t places;
    bool runs, started; /* started: has run before, and has no deadline any more */
    bool here;          /* runs in the engine, or could: the caller says it while it waits */
    bool fixed;         /* can't make room now */
    uint64_t deadline_ns;
};

struct ew_queue;

int ew_queue_open(struct ew_queue **gives, const struct ew_queue_params *params,
                  struct ew_err *err);
void ew_queue_close(struct ew_queue **queue); /* empty by then */
/* Takes effect for what comes after; who waits already keeps its deadline. */
void ew_queue_set(struct ew_queue *queue, const struct ew_queue_params *params);

/* At the end of its client's line. `key` says whose it is. Fails for want of memory alone: whether
 * it may wait is asked with ew_queue_has_room. */
int ew_queue_put(struct ew_queue *queue, struct ew_queue_item *item, uint64_t key, uint32_t places,
                 uint64_t now_ns, struct ew_err *err);
bool ew_queue_has_room(const struct ew_queue *queue);   /* for one more to wait */
bool ew_queue_has_place(const struct ew_queue *queue);  /* of the engine */
uint32_t ew_queue_places(const struct ew_queue *queue); /* of the engine that are taken */
uint32_t ew_queue_places_max(const struct ew_queue *queue);
/* Back to the front of its client's line, from where it ran (or from nowhere: then as by put, but
 * without a deadline; item->client is NULL where there was no memory). */
void ew_queue_back(struct ew_queue *queue, struct ew_queue_item *item, uint64_t key);
/* Where a waiting item can go now. It may not change the queue. */
enum ew_queue_fit { EW_QUEUE_STAYS, EW_QUEUE_HERE, EW_QUEUE_ELSEWHERE };
typedef enum ew_queue_fit ew_queue_fits_fn(void *user, struct ew_queue_item *item);
/* Who starts now, and runs from now on; NULL: nobody waits, or nobody fits. */
struct ew_queue_item *ew_queue_next(struct ew_queue *queue, ew_queue_fits_fn *fits, void *user);
/* This one starts, whoever else waits. */
void ew_queue_start(struct ew_queue *queue, struct ew_queue_item *item, enum ew_queue_fit where);
/* Who must make room in the engine, put back in line; NULL: nobody has to. */
struct ew_queue_item *ew_queue_victim(struct ew_queue *queue);
/* Whose deadline is over, out of the queue; NULL: nobody's. */
struct ew_queue_item *ew_queue_expired(struct ew_queue *queue, uint64_t now_ns);
/* Leaves, wherever it was; one that isn't here is fine. A start that ends tells how fast the queue
 * drains. */
void ew_queue_leave(struct ew_queue *queue, struct ew_queue_item *item, uint64_t now_ns);

uint32_t ew_queue_waiting(const struct ew_queue *queue);
uint32_t ew_queue_running(const struct ew_queue *queue); /* items */
/* When somebody who is refused now might try again: what waits over the measured rate at which
 * requests end; 1 to 300 seconds. */
double ew_queue_retry_s(const struct ew_queue *queue);

#endif
