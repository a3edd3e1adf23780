/* ledger.c - the thread between the spool and the store.
 *
 * It sleeps until there is a row, lets more gather for GATHER_MS (durable: not at all;
 * what comes while the disk is busy makes the next group), and writes them in one transaction. Rows
 * leave the spool only once they are committed, so whatever happens to the store, they are still
 * there to be written again. An illness is an episode: said when it begins, when it has begun to
 * cost rows, and when it is over, with the sums.
 *
 * Threads: the mutex guards spool, counters and `stopping`; the store and the episode are the
 * writer's alone. Callbacks are made without the mutex. */
#include "ledger/ledger.h"

#include "base/clock.h"
#include "ledger/spool.h"
#include "ledger/store.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define MS(ms) ((uint64_t)(ms)*EW_NS_PER_MS)

enum {
    GATHER_MS = EW_LEDGER_COMMIT_MS / 2, /* the rest is for a busy machine to wake us and write */
    GROUP_ROWS = 4096,                   /* of one transaction: some 30 ms of work */
    RETRY_FIRST_MS = 50,                 /* after a failure, doubling to */
    RETRY_MAX_MS = 1000,     /* so that rows aren't lost long after the disk has room again */
    BUSY_QUIET_MS = 1000,    /* a lock this short is no trouble */
    LOSS_SAID_MS = 60000,    /* at most one sentence a minute about rows lost */
    ASIDE_MS = 60000,        /* a second damaged file within a minute: the disk, not the file */
    TRIM_EVERY_MS = 3600000, /* retention is looked at, and then */
    TRIM_REST_MS = 200,      /* between two batches */
    TRIM_TARGET_MS = 20,     /* of one batch, which commits must wait for */
    TRIM_ROWS_MIN = 16,
    TRIM_ROWS_MAX = 2048,
};
#define DAY_MS 86400000

struct ew_ledger {
    char path[PATH_MAX];
    struct ew_ledger_params params;
    pthread_t thread;

    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct ew_spool spool;
    uint64_t first_ns; /* when the oldest waiting row was put */
    uint64_t written, lost;
    uint64_t stop_ns; /* 0, or when the writer must end */
    bool well;
    char trouble[240];

    /* The writer's own. */
    struct ew_store *store;
    uint64_t ill_since_ns, retry_ns, retry_ms; /* 0: well */
    uint64_t lost_before, lost_said, lost_said_ns, aside_ns, trim_ns;
    int trim_rows;
    bool ill_said;
};

static uint64_t now_ns(void)
{
    return ew_clock_now_ns(&ew_clock_real);
}

/* ---- what is said ---- */

__attribute__((format(printf, 2, 3))) static void say(struct ew_ledger *ledger, const char *format,
                                                      ...)
{
    char sentence[PATH_MAX + 400];
    va_list list;
    int n = snprintf(sentence, sizeof sentence, "ledger %s: ", ledger->path);
    va_start(list, format);
    vsnprintf(sentence + n, sizeof sentence - (size_t)n, format, list);
    va_end(list);
    if (ledger->params.trouble)
        ledger->params.trouble(ledger->params.user, sentence);
}

static void say_lost(struct ew_ledger *ledger, uint64_t lost)
{
    uint64_t now = now_ns();
    if (lost == ledger->lost_said ||
        (ledger->lost_said_ns && now - ledger->lost_said_ns < MS(LOSS_SAID_MS)))
        return;
    say(ledger, "more rows wait than fit in memory: %" PRIu64 " more lost",
        lost - ledger->lost_said);
    ledger->lost_said = lost;
    ledger->lost_said_ns = now;
}

/* A short lock is no illness worth a word, unless it has cost rows. */
static void fall_ill(struct ew_ledger *ledger, enum ew_store_ill ill, const struct ew_err *err,
                     uint64_t lost)
{
    uint64_t now = now_ns();
    bool anew = !ledger->ill_since_ns;
    if (anew) {
        ledger->ill_since_ns = now;
        ledger->lost_before = ledger->lost_said;
    }
    ledger->retry_ms = anew ? RETRY_FIRST_MS : ledger->retry_ms * 2;
    ledger->retry_ms = ledger->retry_ms > RETRY_MAX_MS ? RETRY_MAX_MS : ledger->retry_ms;
    ledger->retry_ns = now + MS(ledger->retry_ms);
    bool quiet = ill == EW_STORE_BUSY && now - ledger->ill_since_ns < MS(BUSY_QUIET_MS);
    if (ledger->ill_said || (quiet && lost == ledger->lost_said))
        return;
    ledger->ill_said = true;
    pthread_mutex_lock(&ledger->mutex);
    ledger->well = false;
    snprintf(ledger->trouble, sizeof ledger->trouble, "%s", err->text);
    pthread_mutex_unlock(&ledger->mutex);
    say(ledger, "%s; rows wait in memory", err->text);
}

static void get_well(struct ew_ledger *ledger, uint64_t lost)
{
    if (ledger->ill_said) {
        pthread_mutex_lock(&ledger->mutex);
        ledger->well = true;
        ledger->trouble[0] = '\0';
        pthread_mutex_unlock(&ledger->mutex);
        say(ledger, "well again; %" PRIu64 " rows were lost", lost - ledger->lost_before);
        ledger->lost_said = lost;
        ledger->lost_said_ns = 0;
    }
    ledger->ill_since_ns = ledger->retry_ns = ledger->retry_ms = 0;
    ledger->ill_said = false;
    say_lost(ledger, lost);
}

/* ---- the store, in sickness and in health ---- */

static void put_aside(struct ew_ledger *ledger, enum ew_store_ill *ill, struct ew_err *err)
{
    char to[PATH_MAX + 64], why[240];
    uint64_t now = now_ns();
    if (ledger->aside_ns && now - ledger->aside_ns < MS(ASIDE_MS))
        return;
    snprintf(why, sizeof why, "%s", err->text);
    if (ew_store_put_aside(ledger->path, to, sizeof to, err)) {
        *ill = EW_STORE_REFUSED;
        return;
    }
    ledger->aside_ns = now;
    *ill = EW_STORE_GONE;
    say(ledger, "%s; it was moved to %s and a new one begun", why, to);
}

/* A store that is open and believed well, or an illness. */
static int have_store(struct ew_ledger *ledger, enum ew_store_ill *ill, struct ew_err *err)
{
    enum ew_store_sync sync = ledger->params.durable ? EW_STORE_DURABLE : EW_STORE_QUICK;
    int rc = ledger->store ? 0 : ew_store_open(&ledger->store, ledger->path, sync, ill, err);
    if (rc && *ill == EW_STORE_CORRUPT) {
        put_aside(ledger, ill, err);
        if (*ill == EW_STORE_GONE)
            rc = ew_store_open(&ledger->store, ledger->path, sync, ill, err);
    }
    return rc;
}

/* A full disk or a lock leaves the connection sound; all else is better opened anew. */
static void drop_store(struct ew_ledger *ledger, enum ew_store_ill *ill, struct ew_err *err)
{
    if (*ill == EW_STORE_BUSY || *ill == EW_STORE_FULL)
        return;
    ew_store_close(&ledger->store);
    if (*ill == EW_STORE_GONE)
        say(ledger, "%s; a new one is begun", err->text);
    if (*ill == EW_STORE_CORRUPT)
        put_aside(ledger, ill, err);
}

static int write_rows(struct ew_ledger *ledger, struct ew_spool_cursor rows, enum ew_store_ill *ill,
                      struct ew_err *err)
{
    int rc = have_store(ledger, ill, err);
    return rc ? rc : ew_store_write(ledger->store, rows, ill, err);
}

static void answer(struct ew_ledger *ledger, struct ew_spool_row *row, bool committed)
{
    void *token = row->token;
    row->token = NULL;
    if (token && ledger->params.done)
        ledger->params.done(ledger->params.user, token, committed);
}

/* Rows stay, but nobody waits for them longer than `patience`. */
static void answer_late(struct ew_ledger *ledger, struct ew_spool_cursor all, uint64_t patience_ns)
{
    uint64_t now = now_ns();
    struct ew_spool_row *row;
    while ((row = ew_spool_next(&all)) && now - row->put_ns >= patience_ns)
        answer(ledger, row, false);
}

static void write_group(struct ew_ledger *ledger)
{
    struct ew_err err = {0};
    enum ew_store_ill ill = EW_STORE_WELL;
    struct ew_spool_row *row;
    pthread_mutex_lock(&ledger->mutex);
    struct ew_spool_cursor rows = ew_spool_walk(&ledger->spool, GROUP_ROWS), again;
    pthread_mutex_unlock(&ledger->mutex);

    int rc = write_rows(ledger, rows, &ill, &err);
    if (rc && ledger->store)
        drop_store(ledger, &ill, &err);
    if (rc && ill == EW_STORE_GONE) { /* at once: the path is free, or has a new file */
        ill = EW_STORE_WELL;
        rc = write_rows(ledger, rows, &ill, &err);
        if (rc && ill == EW_STORE_CORRUPT)
            ill = EW_STORE_FAILED;
    }
    for (again = rows; !rc && (row = ew_spool_next(&again));)
        answer(ledger, row, true);

    pthread_mutex_lock(&ledger->mutex);
    if (!rc) {
        ew_spool_drop(&ledger->spool, rows.rows);
        ledger->written += rows.rows;
        struct ew_spool_cursor next = ew_spool_walk(&ledger->spool, 1);
        ledger->first_ns = next.rows ? ew_spool_next(&next)->put_ns : 0;
    }
    struct ew_spool_cursor all = ew_spool_walk(&ledger->spool, SIZE_MAX);
    uint64_t lost = ledger->lost;
    pthread_mutex_unlock(&ledger->mutex);

    if (rc) {
        fall_ill(ledger, ill, &err, lost);
        answer_late(ledger, all, MS(EW_LEDGER_PATIENCE_MS));
        say_lost(ledger, lost);
    } else {
        get_well(ledger, lost);
    }
}

/* ---- retention ---- */

/* One batch; its size follows how long the last one took. */
static void trim(struct ew_ledger *ledger)
{
    struct ew_err err = {0};
    enum ew_store_ill ill = EW_STORE_WELL;
    int deleted = 0;
    int64_t before_ms = (int64_t)time(NULL) * 1000 - (int64_t)ledger->params.keep_days * DAY_MS;
    uint64_t start = now_ns();
    int rc = have_store(ledger, &ill, &err);
    if (rc == 0)
        rc = ew_store_trim(ledger->store, before_ms, ledger->trim_rows, &deleted, &ill, &err);
    if (rc && ledger->store)
        drop_store(ledger, &ill, &err);
    uint64_t now = now_ns(), took = now - start;
    bool more = rc == 0 && deleted == ledger->trim_rows;
    ledger->trim_ns = now + MS(more ? TRIM_REST_MS : TRIM_EVERY_MS);
    if (took > MS(TRIM_TARGET_MS) && ledger->trim_rows > TRIM_ROWS_MIN)
        ledger->trim_rows /= 2;
    else if (more && took < MS(TRIM_TARGET_MS / 4) && ledger->trim_rows < TRIM_ROWS_MAX)
        ledger->trim_rows *= 2;
}

/* ---- the thread ---- */

/* When there is something to do next; UINT64_MAX: not before a row comes. Under the mutex. */
static uint64_t due_ns(const struct ew_ledger *ledger)
{
    uint64_t due = ledger->params.keep_days ? ledger->trim_ns : UINT64_MAX, write = UINT64_MAX;
    if (ledger->retry_ns)
        due = UINT64_MAX;
    if (ledger->spool.rows) {
        bool at_once =
            ledger->params.durable || ledger->spool.rows >= GROUP_ROWS || ledger->stop_ns;
        write = ledger->first_ns + (at_once ? 0 : MS(GATHER_MS));
        write = write < ledger->retry_ns ? ledger->retry_ns : write;
    }
    return write < due ? write : due;
}

static void sleep_until(struct ew_ledger *ledger, uint64_t ns)
{
    struct timespec at = {(time_t)(ns / EW_NS_PER_S), (long)(ns % EW_NS_PER_S)};
    if (ns == UINT64_MAX)
        pthread_cond_wait(&ledger->wake, &ledger->mutex);
    else
        pthread_cond_timedwait(&ledger->wake, &ledger->mutex, &at);
}

/* True: write or trim; false: the end. */
static bool wait_for_work(struct ew_ledger *ledger, bool *writes)
{
    pthread_mutex_lock(&ledger->mutex);
    for (;;) {
        uint64_t now = now_ns(), due = due_ns(ledger);
        bool over = ledger->stop_ns && (ledger->spool.rows == 0 || now >= ledger->stop_ns);
        *writes = ledger->spool.rows > 0 && due <= now;
        if (over || due <= now) {
            pthread_mutex_unlock(&ledger->mutex);
            return !over;
        }
        sleep_until(ledger, ledger->stop_ns && ledger->stop_ns < due ? ledger->stop_ns : due);
    }
}

static void *writer(void *user)
{
    struct ew_ledger *ledger = user;
    struct ew_err err = {0};
    enum ew_store_ill ill = EW_STORE_WELL;
    bool writes;
    if (have_store(ledger, &ill, &err)) /* what is wrong is said before the first row */
        fall_ill(ledger, ill, &err, 0);
    while (wait_for_work(ledger, &writes)) {
        if (writes)
            write_group(ledger);
        else
            trim(ledger);
    }
    pthread_mutex_lock(&ledger->mutex);
    struct ew_spool_cursor rest = ew_spool_walk(&ledger->spool, SIZE_MAX);
    ledger->lost += rest.rows;
    uint64_t lost = ledger->lost - ledger->lost_said;
    pthread_mutex_unlock(&ledger->mutex);
    answer_late(ledger, rest, 0);
    if (lost)
        say(ledger, "closed; %" PRIu64 " more rows were lost", lost);
    ew_store_close(&ledger->store);
    return NULL;
}

/* ---- the door ---- */

static int check_path(const char *path, struct ew_err *err)
{
    enum { SUFFIX_BYTES = 64 }; /* ".corrupt-20261124T001500Z-2-wal" */
    struct stat about;
    if (!path || !*path)
        return ew_fail(err, EW_EINVAL, "the ledger needs a path");
    size_t bytes = strlen(path);
    if (bytes > PATH_MAX - SUFFIX_BYTES)
        return ew_fail(err, EW_EINVAL, "the ledger's path is longer than %d bytes",
                       PATH_MAX - SUFFIX_BYTES);
    if (path[bytes - 1] == '/' || (stat(path, &about) == 0 && S_ISDIR(about.st_mode)))
        return ew_fail(err, EW_EINVAL, "ledger %s: a folder; give a file in it", path);
    return 0;
}

static int start(struct ew_ledger *ledger, struct ew_err *err)
{
    pthread_condattr_t how;
    pthread_condattr_init(&how);
    pthread_condattr_setclock(&how, CLOCK_MONOTONIC); /* as ew_clock_real */
    pthread_cond_init(&ledger->wake, &how);
    pthread_condattr_destroy(&how);
    pthread_mutex_init(&ledger->mutex, NULL);
    sigset_t all, before; /* signals are for the threads that expect them */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&ledger->thread, NULL, writer, ledger);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc ? ew_fail(err, EW_ENOMEM, "no thread for the ledger: %s", strerror(rc)) : 0;
}

static void free_ledger(struct ew_ledger *ledger)
{
    pthread_cond_destroy(&ledger->wake);
    pthread_mutex_destroy(&ledger->mutex);
    ew_spool_fini(&ledger->spool);
    free(ledger);
}

int ew_ledger_open(struct ew_ledger **gives, const struct ew_ledger_params *params,
                   struct ew_err *err)
{
    *gives = NULL;
    int rc = check_path(params->path, err);
    struct ew_ledger *ledger = rc ? NULL : calloc(1, sizeof *ledger);
    if (!ledger)
        return rc ? rc : ew_fail(err, EW_ENOMEM, "no memory for a ledger");
    snprintf(ledger->path, sizeof ledger->path, "%s", params->path);
    ledger->params = *params;
    ledger->params.path = ledger->path;
    ledger->well = true;
    ledger->trim_rows = TRIM_ROWS_MIN;
    ew_spool_init(&ledger->spool, EW_LEDGER_SPOOL_ROWS, EW_LEDGER_SPOOL_BYTES);
    rc = start(ledger, err);
    if (rc)
        free_ledger(ledger);
    else
        *gives = ledger;
    return rc;
}

bool ew_ledger_put(struct ew_ledger *ledger, const struct ew_record *record, void *token)
{
    uint64_t now = now_ns();
    pthread_mutex_lock(&ledger->mutex);
    bool fits = ew_spool_put(&ledger->spool, record, token, now);
    size_t rows = ledger->spool.rows;
    if (!fits)
        ledger->lost++;
    else if (rows == 1)
        ledger->first_ns = now;
    pthread_mutex_unlock(&ledger->mutex);
    if (fits && (rows == 1 || rows == GROUP_ROWS))
        pthread_cond_signal(&ledger->wake);
    return fits;
}

void ew_ledger_state(struct ew_ledger *ledger, struct ew_ledger_state *out)
{
    pthread_mutex_lock(&ledger->mutex);
    *out = (struct ew_ledger_state){.written = ledger->written,
                                    .waiting = ledger->spool.rows,
                                    .lost = ledger->lost,
                                    .well = ledger->well};
    memcpy(out->trouble, ledger->trouble, sizeof out->trouble);
    pthread_mutex_unlock(&ledger->mutex);
}

void ew_ledger_close(struct ew_ledger **ledger, double seconds)
{
    if (!*ledger)
        return;
    seconds = seconds > 0 && seconds < 3600 ? seconds : seconds > 0 ? 3600 : 0;
    pthread_mutex_lock(&(*ledger)->mutex);
    (*ledger)->stop_ns = now_ns() + (uint64_t)(seconds * 1e9);
    pthread_mutex_unlock(&(*ledger)->mutex);
    pthread_cond_signal(&(*ledger)->wake);
    pthread_join((*ledger)->thread, NULL);
    free_ledger(*ledger);
    *ledger = NULL;
}

int ew_ledger_forget(const char *path, int64_t before_ms, uint64_t *deleted, struct ew_err *err)
{
    enum { BATCH_ROWS = 500, PATIENCE_MS = 10000 };
    struct ew_store *store = NULL;
    enum ew_store_ill ill = EW_STORE_WELL;
    uint64_t start = now_ns();
    *deleted = 0;
    int rc, count = 0;
    do {
        rc = store ? 0 : ew_store_open(&store, path, EW_STORE_QUICK, &ill, err);
        if (rc == 0)
            rc = ew_store_trim(store, before_ms, BATCH_ROWS, &count, &ill, err);
        *deleted += (uint64_t)(rc ? 0 : count);
        if (rc == 0)
            start = now_ns();                          /* patience is for a lock that doesn't go */
        nanosleep(&(struct timespec){0, MS(5)}, NULL); /* the server's turn */
    } while ((rc == 0 && count == BATCH_ROWS) ||
             (rc && ill == EW_STORE_BUSY && now_ns() - start < MS(PATIENCE_MS)));
    ew_store_close(&store);
    return rc ? ew_fail_in(err, rc, "ledger %s", path) : 0;
}
