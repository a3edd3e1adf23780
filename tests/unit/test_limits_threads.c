/* test_limits_threads.c - eight threads with clocks that disagree hammer the limits of one holder
 * (limits.c, window.c) behind a mutex. What was admitted is judged afterwards against a plain list:
 * in no window more than its limit, what was told as a wait right to the nanosecond, and what was
 * settled is what is left. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/err.h"
#include "base/rng.h"
#include "policy/limits.h"

#define MS 1000000ull

enum { THREADS = 8, TRIES = 3000, OPEN_MAX = 16, ENTRIES_MAX = 2048, PROBE_EVERY = 8 };

/* Amounts are eighths, so that sums are exact and may be compared so. */
static const struct ew_limit asked[] = {
    {EW_LIMIT_REQUESTS, 20, 1000 * MS}, {EW_LIMIT_REQUESTS, 90, 7000 * MS},
    {EW_LIMIT_TOKENS, 5000, 2000 * MS}, {EW_LIMIT_JOULES, 700, 1500 * MS},
    {EW_LIMIT_CENTS, 40, 5000 * MS},
};
enum { WINDOWS = EW_COUNT(asked) };

typedef struct ew_window_entry entries_of[WINDOWS][ENTRIES_MAX];

/* What happened, in the order in which it did. */
struct event {
    enum { ADMITTED, SETTLED } kind;
    size_t index;   /* of the admission */
    uint64_t at_ns; /* as the windows took it */
    struct ew_amounts amounts;
};

struct world {
    pthread_mutex_t mutex;
    struct ew_limits limits;
    entries_of entries;
    uint64_t time_ns;
    struct event events[2 * THREADS * TRIES];
    size_t event_count, admissions;
};

struct worker {
    pthread_t thread;
    struct world *world;
    struct ew_rng rng;
    struct {
        struct ew_reservation reservation;
        size_t index;
    } open[OPEN_MAX];
    size_t open_count;
    /* What it saw, for asserts must not be made here. */
    unsigned refused, probed, too_early, too_late, never;
    struct ew_limits copy;
    entries_of entries;
};

static double eighths(struct ew_rng *rng, double most)
{
    return (double)ew_rng_below(rng, (uint64_t)(most * 8) + 1) / 8;
}

/* Now and then a request that is more than a window ever admits. */
static struct ew_amounts random_amounts(struct ew_rng *rng)
{
    double most = ew_rng_below(rng, 50) == 0 ? 6000 : 900;
    return (struct ew_amounts){.of = {[EW_LIMIT_REQUESTS] = 1,
                                      [EW_LIMIT_TOKENS] = (double)ew_rng_below(rng, (uint64_t)most),
                                      [EW_LIMIT_JOULES] = eighths(rng, 100),
                                      [EW_LIMIT_CENTS] = eighths(rng, 4)}};
}

static void copy_limits(struct worker *w)
{
    w->copy = w->world->limits;
    memcpy(w->entries, w->world->entries, sizeof w->entries);
    for (size_t i = 0; i < WINDOWS; i++)
        w->copy.windows[i].entries = w->entries[i];
}

static bool admits_copy(struct worker *w, const struct ew_amounts *amounts, uint64_t now_ns)
{
    struct ew_limits_refusal refusal;
    struct ew_reservation reservation;
    copy_limits(w);
    return ew_limits_reserve(&w->copy, amounts, now_ns, &reservation, &refusal);
}

/* If nothing else came: then, and neither 10 ms nor 1 ns before. */
static void probe(struct worker *w, const struct ew_amounts *amounts, uint64_t wait_ns)
{
    uint64_t now_ns = w->world->limits.windows[0].now_ns;
    w->probed++;
    w->too_early += !admits_copy(w, amounts, now_ns + wait_ns);
    w->too_late += admits_copy(w, amounts, now_ns + wait_ns - 1);
    if (wait_ns > 10 * MS)
        w->too_late += admits_copy(w, amounts, now_ns + wait_ns - 10 * MS);
}

static void note(struct world *world, size_t index, int kind, const struct ew_amounts *amounts)
{
    world->events[world->event_count++] = (struct event){.kind = kind ? SETTLED : ADMITTED,
                                                         .index = index,
                                                         .at_ns = world->limits.windows[0].now_ns,
                                                         .amounts = *amounts};
}

static void settle_one(struct worker *w, uint64_t now_ns)
{
    struct world *world = w->world;
    size_t which = ew_rng_below(&w->rng, w->open_count);
    struct ew_amounts actual = w->open[which].reservation.amounts;
    actual.of[EW_LIMIT_REQUESTS] = (double)ew_rng_below(&w->rng, 2); /* never begun: given back */
    actual.of[EW_LIMIT_TOKENS] =
        (double)ew_rng_below(&w->rng, (uint64_t)actual.of[EW_LIMIT_TOKENS] + 1);
    actual.of[EW_LIMIT_JOULES] = eighths(&w->rng, actual.of[EW_LIMIT_JOULES]);
    actual.of[EW_LIMIT_CENTS] = eighths(&w->rng, actual.of[EW_LIMIT_CENTS]);
    ew_limits_settle(&world->limits, &w->open[which].reservation, &actual, now_ns);
    note(world, w->open[which].index, SETTLED, &actual);
    w->open[which] = w->open[--w->open_count];
}

static void try_one(struct worker *w, uint64_t now_ns)
{
    struct world *world = w->world;
    struct ew_amounts amounts = random_amounts(&w->rng);
    struct ew_limits_refusal refusal;
    struct ew_reservation reservation;
    if (ew_limits_reserve(&world->limits, &amounts, now_ns, &reservation, &refusal)) {
        w->open[w->open_count].reservation = reservation;
        w->open[w->open_count++].index = world->admissions;
        note(world, world->admissions++, ADMITTED, &amounts);
    } else if (refusal.wait_ns == EW_WINDOW_NEVER) {
        w->never++;
    } else if (w->refused++ % PROBE_EVERY == 0) {
        probe(w, &amounts, refusal.wait_ns);
    }
}

static void *work(void *argument)
{
    struct worker *w = argument;
    struct world *world = w->world;
    for (int i = 0; i < TRIES; i++) {
        pthread_mutex_lock(&world->mutex);
        world->time_ns += ew_rng_below(&w->rng, 12 * MS);
        if (ew_rng_below(&w->rng, 500) == 0) /* a quiet hour */
            world->time_ns += ew_rng_below(&w->rng, 20000 * MS);
        /* This thread's clock: up to 0.3 s behind the others', or 0.1 s ahead. */
        uint64_t now_ns = world->time_ns + ew_rng_below(&w->rng, 400 * MS) - 300 * MS;
        if (w->open_count == OPEN_MAX || (w->open_count && ew_rng_below(&w->rng, 3) == 0))
            settle_one(w, now_ns);
        else
            try_one(w, now_ns);
        pthread_mutex_unlock(&world->mutex);
    }
    pthread_mutex_lock(&world->mutex);
    while (w->open_count)
        settle_one(w, world->time_ns);
    pthread_mutex_unlock(&world->mutex);
    return NULL;
}

static void open_world(struct world *world)
{
    memset(world, 0, sizeof *world);
    pthread_mutex_init(&world->mutex, NULL);
    world->time_ns = 1000 * MS;
    ew_limits_init(&world->limits);
    for (size_t i = 0; i < WINDOWS; i++) {
        assert_in_range(ew_limits_entries(&asked[i]), 1, ENTRIES_MAX);
        assert_true(ew_limits_add(&world->limits, &asked[i], world->entries[i]));
    }
}

/* Replays the list, with everything added up anew at each admission; *left: what is in the window
 * at the end. */
static void judge(const struct world *world, const struct ew_limit *limit, uint64_t end_ns,
                  double *left)
{
    static struct {
        uint64_t at_ns;
        double amount;
    } list[THREADS * TRIES];
    size_t count = 0, first = 0;
    uint64_t last_ns = 0;
    for (size_t e = 0; e < world->event_count; e++) {
        const struct event *event = &world->events[e];
        assert_true(event->at_ns >= last_ns);
        last_ns = event->at_ns;
        if (event->kind == SETTLED) {
            list[event->index].amount = event->amounts.of[limit->kind];
            continue;
        }
        assert_int_equal(event->index, count);
        list[count].at_ns = event->at_ns;
        list[count++].amount = event->amounts.of[limit->kind];
        double sum = 0;
        while (event->at_ns - list[first].at_ns >= limit->per_ns)
            first++;
        for (size_t i = first; i < count; i++)
            sum += list[i].amount;
        if (sum > limit->max)
            fail_msg("%g %s within %llu ms", sum, ew_limit_name(limit->kind),
                     (unsigned long long)(limit->per_ns / MS));
    }
    *left = 0;
    for (size_t i = first; i < count; i++)
        if (end_ns - list[i].at_ns < limit->per_ns)
            *left += list[i].amount;
}

static void eight_threads_never_get_more_than_the_limit(void **state)
{
    static struct world world;
    static struct worker workers[THREADS];
    unsigned probed = 0, never = 0;
    (void)state;
    open_world(&world);
    for (int i = 0; i < THREADS; i++) {
        workers[i].world = &world;
        ew_rng_init(&workers[i].rng, (uint64_t)i + 1);
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].too_early, 0);
        assert_int_equal(workers[i].too_late, 0);
        probed += workers[i].probed;
        never += workers[i].never;
    }
    assert_true(world.admissions > 1000 && probed > 100 && never > 10);
    uint64_t now_ns = world.limits.windows[0].now_ns;
    for (size_t i = 0; i < WINDOWS; i++) {
        double left;
        judge(&world, &asked[i], now_ns, &left);
        assert_true(ew_window_used(&world.limits.windows[i], now_ns) == left);
        assert_true(ew_window_used(&world.limits.windows[i], now_ns + asked[i].per_ns) == 0);
    }
    print_message("%zu admitted, %u waits probed\n", world.admissions, probed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eight_threads_never_get_more_than_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
