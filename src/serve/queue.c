/* queue.c - clients in a ring, each with a line of those who wait and a list of those who run. */
#include "serve/queue.h"

#include "base/clock.h"

#include <stdlib.h>

/* Weight of the newest interval in the mean: ten or so endings decide. */
#define RATE_WEIGHT .1
/* Before anything has ended: a guess, and a short one, since a retry is cheap. */
#define RETRY_S_FIRST 1.0
#define RETRY_S_MAX   300.0
/* Of one client's line, so many are asked whether they fit before its turn is over. */
enum { LOOKS_MAX = 16 };

struct line {
    struct ew_queue_item *first, *last;
};

struct ew_queue_client {
    uint64_t key;
    struct ew_queue_client *before, *next; /* ring; whose turn ended longest ago is first */
    struct line waits, runs;               /* runs: youngest first */
    uint32_t places, here;                 /* of those who run, all of them; in the engine */
    bool passed;                           /* ew_queue_next has asked: nobody fits */
};

struct ew_queue {
    struct ew_queue_params params;
    struct ew_queue_client *first, *last;
    uint32_t waiting, running, places; /* places: of the engine */
    double interval_s;                 /* mean time between two endings; 0: not known */
    uint64_t ended_ns;
};

/* ---- lines ---- */

static void put_first(struct line *line, struct ew_queue_item *item)
{
    item->before = NULL;
    item->next = line->first;
    *(line->first ? &line->first->before : &line->last) = item;
    line->first = item;
}

static void put_last(struct line *line, struct ew_queue_item *item)
{
    item->next = NULL;
    item->before = line->last;
    *(line->last ? &line->last->next : &line->first) = item;
    line->last = item;
}

static void take(struct line *line, struct ew_queue_item *item)
{
    *(item->before ? &item->before->next : &line->first) = item->next;
    *(item->next ? &item->next->before : &line->last) = item->before;
    item->before = item->next = NULL;
}

/* ---- clients ---- */

static void append(struct ew_queue *queue, struct ew_queue_client *client)
{
    client->next = NULL;
    client->before = queue->last;
    *(queue->last ? &queue->last->next : &queue->first) = client;
    queue->last = client;
}

static void unlink_client(struct ew_queue *queue, struct ew_queue_client *client)
{
    *(client->before ? &client->before->next : &queue->first) = client->next;
    *(client->next ? &client->next->before : &queue->last) = client->before;
}

static void turn_over(struct ew_queue *queue, struct ew_queue_client *client)
{
    unlink_client(queue, client);
    append(queue, client);
}

static struct ew_queue_client *find(const struct ew_queue *queue, uint64_t key)
{
    struct ew_queue_client *client = queue->first;
    while (client && client->key != key)
        client = client->next;
    return client;
}

static struct ew_queue_client *find_or_make(struct ew_queue *queue, uint64_t key)
{
    struct ew_queue_client *client = find(queue, key);
    if (client || !(client = calloc(1, sizeof *client)))
        return client;
    client->key = key;
    append(queue, client);
    return client;
}

static void forget_idle(struct ew_queue *queue, struct ew_queue_client *client)
{
    if (client->waits.first || client->runs.first)
        return;
    unlink_client(queue, client);
    free(client);
}

/* ---- the queue ---- */

int ew_queue_open(struct ew_queue **gives, const struct ew_queue_params *params, struct ew_err *err)
{
    struct ew_queue *queue = calloc(1, sizeof *queue);
    if (!queue)
        return ew_fail(err, EW_ENOMEM, "no memory for a queue");
    ew_queue_set(queue, params);
    *gives = queue;
    return 0;
}

void ew_queue_close(struct ew_queue **queue)
{
    if (!*queue)
        return;
    EW_ASSERT(!(*queue)->first);
    free(*queue);
    *queue = NULL;
}

void ew_queue_set(struct ew_queue *queue, const struct ew_queue_params *params)
{
    EW_ASSERT(params->places > 0);
    queue->params = *params;
}

static void start(struct ew_queue *queue, struct ew_queue_item *item, enum ew_queue_fit where)
{
    struct ew_queue_client *client = item->client;
    put_first(&client->runs, item);
    item->runs = item->started = true;
    item->here = where == EW_QUEUE_HERE;
    client->places += item->places;
    client->here += item->here ? item->places : 0;
    queue->places += item->here ? item->places : 0;
    queue->running++;
}

static void stop(struct ew_queue *queue, struct ew_queue_item *item)
{
    struct ew_queue_client *client = item->client;
    take(&client->runs, item);
    item->runs = false;
    client->places -= item->places;
    client->here -= item->here ? item->places : 0;
    queue->places -= item->here ? item->places : 0;
    queue->running--;
}

int ew_queue_put(struct ew_queue *queue, struct ew_queue_item *item, uint64_t key, uint32_t places,
                 uint64_t now_ns, struct ew_err *err)
{
    EW_ASSERT(!item->client && places > 0);
    struct ew_queue_client *client = find_or_make(queue, key);
    if (!client)
        return ew_fail(err, EW_ENOMEM, "no memory for a place in the queue");
    *item = (struct ew_queue_item){.client = client, .places = places};
    item->deadline_ns = now_ns + (uint64_t)(queue->params.timeout_s * EW_NS_PER_S);
    put_last(&client->waits, item);
    queue->waiting++;
    return 0;
}

bool ew_queue_has_room(const struct ew_queue *queue)
{
    return queue->waiting < queue->params.waiting_max;
}

bool ew_queue_has_place(const struct ew_queue *queue)
{
    return queue->places < queue->params.places;
}

uint32_t ew_queue_places(const struct ew_queue *queue)
{
    return queue->places;
}

uint32_t ew_queue_places_max(const struct ew_queue *queue)
{
    return queue->params.places;
}

void ew_queue_back(struct ew_queue *queue, struct ew_queue_item *item, uint64_t key)
{
    if (item->client && !item->runs)
        return;
    if (item->client) {
        stop(queue, item);
    } else if (!(item->client = find_or_make(queue, key))) {
        return; /* no memory for a record of its client: it is in no queue */
    }
    put_first(&item->client->waits, item);
    item->started = true;
    queue->waiting++;
}

/* The waiting client that runs least and wasn't asked yet; among equals, the ring's first. */
static struct ew_queue_client *neediest(const struct ew_queue *queue)
{
    struct ew_queue_client *best = NULL;
    for (struct ew_queue_client *c = queue->first; c; c = c->next)
        if (c->waits.first && !c->passed && (!best || c->places < best->places))
            best = c;
    return best;
}

void ew_queue_start(struct ew_queue *queue, struct ew_queue_item *item, enum ew_queue_fit where)
{
    EW_ASSERT(item->client && !item->runs && where != EW_QUEUE_STAYS);
    take(&item->client->waits, item);
    queue->waiting--;
    turn_over(queue, item->client);
    start(queue, item, where);
}

static struct ew_queue_item *start_one(struct ew_queue *queue, struct ew_queue_client *client,
                                       ew_queue_fits_fn *fits, void *user)
{
    int looks = 0;
    for (struct ew_queue_item *item = client->waits.first; item && looks < LOOKS_MAX;
         item = item->next, looks++) {
        enum ew_queue_fit where = fits(user, item);
        if (where == EW_QUEUE_STAYS)
            continue;
        ew_queue_start(queue, item, where);
        return item;
    }
    return NULL;
}

struct ew_queue_item *ew_queue_next(struct ew_queue *queue, ew_queue_fits_fn *fits, void *user)
{
    struct ew_queue_item *item = NULL;
    struct ew_queue_client *client;
    while (!item && (client = neediest(queue))) {
        client->passed = true;
        item = start_one(queue, client, fits, user);
    }
    for (client = queue->first; client; client = client->next)
        client->passed = false;
    return item;
}

struct ew_queue_item *ew_queue_victim(struct ew_queue *queue)
{
    struct ew_queue_client *most = NULL;
    struct ew_queue_item *youngest = NULL;
    bool needed = false;
    if (ew_queue_has_place(queue))
        return NULL;
    for (struct ew_queue_client *c = queue->first; c; c = c->next) {
        const struct ew_queue_item *item = c->waits.first;
        needed = needed || (item && item->here && !item->started && !c->places);
        if (!most || c->here > most->here)
            most = c;
    }
    if (!needed || !most || most->here < 2)
        return NULL;
    for (youngest = most->runs.first; youngest && (!youngest->here || youngest->fixed);)
        youngest = youngest->next;
    if (!youngest)
        return NULL;
    ew_queue_back(queue, youngest, most->key);
    turn_over(queue, most);
    return youngest;
}

struct ew_queue_item *ew_queue_expired(struct ew_queue *queue, uint64_t now_ns)
{
    for (struct ew_queue_client *c = queue->first; c; c = c->next)
        for (struct ew_queue_item *item = c->waits.first; item; item = item->next)
            if (!item->started && item->deadline_ns <= now_ns) {
                ew_queue_leave(queue, item, now_ns);
                return item;
            }
    return NULL;
}

static void learn_rate(struct ew_queue *queue, uint64_t now_ns)
{
    double s = (double)(now_ns - queue->ended_ns) / EW_NS_PER_S;
    /* A pause says nothing of how fast a queue drains: only endings under load count. */
    if (queue->ended_ns && queue->waiting)
        queue->interval_s += (queue->interval_s > 0 ? RATE_WEIGHT : 1) * (s - queue->interval_s);
    queue->ended_ns = now_ns;
}

void ew_queue_leave(struct ew_queue *queue, struct ew_queue_item *item, uint64_t now_ns)
{
    struct ew_queue_client *client = item->client;
    if (!client)
        return;
    if (item->runs) {
        stop(queue, item);
        turn_over(queue, client);
        learn_rate(queue, now_ns);
    } else {
        take(&client->waits, item);
        queue->waiting--;
    }
    item->client = NULL;
    forget_idle(queue, client);
}

uint32_t ew_queue_waiting(const struct ew_queue *queue)
{
    return queue->waiting;
}

uint32_t ew_queue_running(const struct ew_queue *queue)
{
    return queue->running;
}

double ew_queue_retry_s(const struct ew_queue *queue)
{
    double s = queue->interval_s * (queue->waiting + 1);
    return s < RETRY_S_FIRST ? RETRY_S_FIRST : s > RETRY_S_MAX ? RETRY_S_MAX : s;
}
