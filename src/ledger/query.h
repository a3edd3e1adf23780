/* query.h - asks the ledger: rows and sums, while the server writes on.
 *
 * Reads only. Rows are handed over one at a time and nothing is gathered, so the length of the
 * ledger costs time, not memory. A ledger of an older edgewise lacks columns: they are unknown. */
#ifndef EW_QUERY_H
#define EW_QUERY_H

#include "flow/record.h"

struct ew_query; /* one thread's */

/* What isn't set doesn't limit; ew_query_filter_init sets nothing. Texts are borrowed. */
struct ew_query_filter {
    int64_t since_ms, until_ms; /* arrived in [since, until); EW_RECORD_UNKNOWN: not set */
    const char *client, *model, *device, *reason, *request_id;
    int status_min, status_max; /* 0: not set */
    int64_t limit;              /* the latest so many; 0: all */
};

enum ew_query_group {
    EW_QUERY_ALL,
    EW_QUERY_CLIENT,
    EW_QUERY_MODEL,
    EW_QUERY_DEVICE,
    EW_QUERY_PLACE, /* engine, device, cloud */
    EW_QUERY_REASON,
    EW_QUERY_DAY, /* local days */
    EW_QUERY_STATUS,
};

struct ew_query_quantiles {
    double p50, p95; /* linear between neighbours; NAN: no row has the value */
};

/* Sums are over the rows that have the value; unknown where none has. */
struct ew_query_sum {
    char group[97]; /* "": the rows that don't have it, or all */
    int64_t requests, errors /* status 400 and above */;
    int64_t prompt_tokens, cached_tokens, output_tokens;
    double energy_j, cost_cents;
    double edge_cents, cloud_cents;       /* predicted, of the cheapest of each kind */
    int64_t energy_unknown, cost_unknown; /* rows that have none */
    int64_t tokens_estimated;             /* rows whose tokens nobody counted */
    struct ew_query_quantiles ttft_ms, total_ms;
};

/* For so long a file is waited for that another process has for itself: one that is being made or
 * recovered. */
#define EW_QUERY_PATIENCE_MS 5000
int ew_query_open(struct ew_query **gives, const char *path, int patience_ms, struct ew_err *err);
void ew_query_close(struct ew_query **query);

void ew_query_filter_init(struct ew_query_filter *filter);
/* "24h", "7d", "30m", "90s" (ago), "now", "today", "yesterday", "2026-11-24", "2026-11-24T10:30",
 * "2026-11-24 10:30:15"; local time, UTC with a Z behind. */
int ew_query_time(const char *text, int64_t now_ms, int64_t *out_ms, struct ew_err *err);
/* "404", "4xx". */
int ew_query_status(struct ew_query_filter *filter, const char *text, struct ew_err *err);

/* In order of arrival. What `take` returns ends the query unless it is 0, and is returned. */
int ew_query_rows(struct ew_query *query, const struct ew_query_filter *filter,
                  int (*take)(void *user, const struct ew_record *record, struct ew_err *err),
                  void *user, struct ew_err *err);
/* What one answer took, of all that a place began; unknown as in the record. */
struct ew_query_use {
    char client[64], device[64];
    double ended_ms; /* Unix time */
    int64_t prompt_tokens, output_tokens;
    double energy_j, cost_cents;
};
/* Of those that arrived since, in the order in which they ended, among the latest so many rows of
 * the ledger. `left_out`: there are older ones. */
int ew_query_uses(struct ew_query *query, int64_t since_ms, int64_t rows_max, bool *left_out,
                  int (*take)(void *user, const struct ew_query_use *use, struct ew_err *err),
                  void *user, struct ew_err *err);
/* In order of the group; the limit of the filter doesn't count. */
int ew_query_sums(struct ew_query *query, const struct ew_query_filter *filter,
                  enum ew_query_group group,
                  int (*take)(void *user, const struct ew_query_sum *sum, struct ew_err *err),
                  void *user, struct ew_err *err);

#endif
