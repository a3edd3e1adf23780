/* store.h - the ledger's file: an SQLite database that is ours, and what can be wrong with it.
 *
 * One thread uses a store. Every failure says which illness it is, for the writer treats them
 * differently: it waits for a lock to go, for room on the disk, for a person; a corrupt file it
 * puts aside. The table is `requests`, a column for each of EW_RECORD_FIELDS, unknown is NULL.
 *
 * Columns are only ever added, and a file that lacks one gets it when it is opened to write, so
 * old and new programs share files; EW_STORE_VERSION (user_version) rises only when that no longer
 * holds. Databases of others are told by application_id and never touched. */
#ifndef EW_STORE_H
#define EW_STORE_H

#include "base/err.h"
#include "ledger/spool.h"

enum {
    EW_STORE_APPLICATION = 0x4557414c, /* "EWAL" */
    EW_STORE_VERSION = 1,
    EW_STORE_BUSY_MS = 100, /* that long SQLite itself waits for a lock */
};

enum ew_store_ill {
    EW_STORE_WELL,
    EW_STORE_BUSY,    /* another process holds it */
    EW_STORE_FULL,    /* no room on the disk, or a quota */
    EW_STORE_CORRUPT, /* damaged: put it aside */
    EW_STORE_REFUSED, /* not ours, or of a newer edgewise: only a person can help */
    EW_STORE_GONE,    /* deleted or replaced under our feet: open again */
    EW_STORE_FAILED,  /* anything else: permissions, a failing disk */
};

enum ew_store_sync { EW_STORE_QUICK, EW_STORE_DURABLE };

struct ew_store;

/* Makes folders and file (mode 0600) where there are none. */
int ew_store_open(struct ew_store **gives, const char *path, enum ew_store_sync sync,
                  enum ew_store_ill *ill, struct ew_err *err);
void ew_store_close(struct ew_store **store);
/* All rows of the walk or none, committed when it returns 0. */
int ew_store_write(struct ew_store *store, struct ew_spool_cursor rows, enum ew_store_ill *ill,
                   struct ew_err *err);
/* Deletes at most `limit` rows that arrived before, and gives as many pages back to the disk. */
int ew_store_trim(struct ew_store *store, int64_t before_ms, int limit, int *deleted,
                  enum ew_store_ill *ill, struct ew_err *err);
/* Moves a file that is no use out of the way, -wal and all; `to` says where. Refuses what doesn't
 * look as if it had been a ledger: the path may be wrong, and the file somebody's. */
int ew_store_put_aside(const char *path, char *to, size_t size, struct ew_err *err);

#endif
