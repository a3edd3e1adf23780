/* ledger.h - the rows that say what happened, in SQLite, off the hot path.
 *
 * ew_ledger_put copies the row into a bounded spool and returns at once; a thread of the ledger's
 * writes what has gathered in one transaction (WAL), at most EW_LEDGER_COMMIT_MS after the first of
 * them. A disk that is full, a file that is locked or corrupt: the rows wait in the spool (in
 * memory, bounded) and are written when it is well again; what no longer fits is counted as lost,
 * and said. Serving never stops for the ledger. */
#ifndef EW_LEDGER_H
#define EW_LEDGER_H

#include "base/err.h"
#include "flow/record.h"

enum {
    EW_LEDGER_COMMIT_MS = 50,         /* a kill loses no row put longer ago than twice this */
    EW_LEDGER_SPOOL_ROWS = 100000,    /* in memory, packed: some 300 bytes, decision and prompt */
    EW_LEDGER_SPOOL_BYTES = 32 << 20, /* whichever is reached first */
    EW_LEDGER_PATIENCE_MS = 2000,     /* a token hears by then, written or not */
};

struct ew_ledger;

struct ew_ledger_params {
    const char *path;
    bool durable;       /* synchronous=FULL; `done` tells when a row is safe */
    uint32_t keep_days; /* rows older are deleted now and then; 0: kept for ever */
    /* Called on the ledger's thread, once for each row put with a token: when it is committed, or
     * when the store has been ill for EW_LEDGER_PATIENCE_MS since (committed is false then; the row
     * waits on, and is written when the store is well), or when it is given up. In order. */
    void (*done)(void *user, void *token, bool committed);
    /* Called on the ledger's thread when the store fails, when rows begin to be lost, and when it
     * is well again: a sentence each, not one a row. */
    void (*trouble)(void *user, const char *sentence);
    void *user;
};

/* Succeeds also where the file can't be opened now (that is `trouble`), but not where the path
 * makes no sense: empty, too long, a folder. Everything is copied but `user`. */
int ew_ledger_open(struct ew_ledger **gives, const struct ew_ledger_params *params,
                   struct ew_err *err);
/* Any thread. token NULL: `done` isn't called. False: the spool is full, the row is lost. */
bool ew_ledger_put(struct ew_ledger *ledger, const struct ew_record *record, void *token);
struct ew_ledger_state {
    uint64_t written, waiting, lost;
    bool well;
    char trouble[240]; /* "" when well */
};
void ew_ledger_state(struct ew_ledger *ledger, struct ew_ledger_state *out);
/* Writes what waits, for at most `seconds`. */
void ew_ledger_close(struct ew_ledger **ledger, double seconds);

/* Deletes the rows that arrived before, in small steps, so that a server that writes to the file
 * goes on; the file shrinks. What isn't a ledger is refused. */
int ew_ledger_forget(const char *path, int64_t before_ms, uint64_t *deleted, struct ew_err *err);

#endif
