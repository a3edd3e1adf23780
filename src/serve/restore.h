/* restore.h - limits and budgets go on after a restart: their windows are filled from the ledger.
 *
 * An answer counts for its client, and for the place that answered it last, from its end on: a
 * little longer than it did in the server that answered it, never shorter. What has no row isn't
 * known: what was under way when a server was killed, and tries that failed at other places before;
 * joules and cents that a row doesn't tell count as none.
 * What cannot be read isn't known either: the server serves all the same, and says so. */
#ifndef EW_RESTORE_H
#define EW_RESTORE_H

#include "serve/fleet.h"
#include "serve/quotas.h"

/* The latest so many answers are read: a start must not wait for a month of a busy front. 0.3 s
 * where the file is in memory and clients are few, some seconds on a memory card. */
enum { EW_RESTORE_ROWS_MAX = 200000 };

/* Before the first request. Nothing is read where nobody has a limit. */
void ew_restore_windows(struct ew_quotas *quotas, struct ew_fleet *fleet, const char *ledger,
                        uint64_t now_ns, int64_t now_ms);

#endif
