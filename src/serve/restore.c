/* restore.c - from rows of the ledger to entries of windows. */
#include "serve/restore.h"

#include <math.h>

#include "base/log.h"
#include "ledger/query.h"

enum {
    PATIENCE_MS = 1000, /* for a file that another process has for itself */
    LONG_MS = 1000,     /* a start that this made so much longer is worth a word */
};

struct world {
    struct ew_quotas *quotas;
    struct ew_fleet *fleet;
    uint64_t now_ns;
    double now_ms, longest_ms, first_ms;
    uint64_t rows; /* that count */
};

static double known_or_0(double value)
{
    return isnan(value) ? 0 : value;
}

static double tokens(int64_t count)
{
    return count == EW_RECORD_UNKNOWN ? 0 : (double)count;
}

static int take(void *user, const struct ew_query_use *use, struct ew_err *err)
{
    struct world *w = user;
    const struct ew_amounts amounts = {
        .of = {[EW_LIMIT_REQUESTS] = 1,
               [EW_LIMIT_TOKENS] = tokens(use->prompt_tokens) + tokens(use->output_tokens),
               [EW_LIMIT_JOULES] = known_or_0(use->energy_j),
               [EW_LIMIT_CENTS] = known_or_0(use->cost_cents)}};
    double age_ms = w->now_ms - use->ended_ms;
    (void)err;
    /* A row of the future: the clock was put back. It counts as one of now, so that this opens no
     * budget; one that is further away than any window is long comes of a clock that was wrong, and
     * would close budgets with each start until its time has come: it doesn't count. */
    if (!(fabs(age_ms) < w->longest_ms))
        return 0;
    if (!w->rows++)
        w->first_ms = use->ended_ms;
    uint64_t age_ns = age_ms > 0 ? (uint64_t)(age_ms * EW_NS_PER_MS) : 0;
    ew_quotas_restore(w->quotas, use->client, &amounts, age_ns, w->now_ns);
    ew_fleet_restore(w->fleet, use->device, &amounts, age_ns, w->now_ns);
    return 0;
}

static int read_ledger(struct world *w, const char *path, bool *left_out, struct ew_err *err)
{
    struct ew_query *query = NULL;
    int failed = ew_query_open(&query, path, PATIENCE_MS, err);
    if (!failed)
        failed = ew_query_uses(query, (int64_t)(w->now_ms - w->longest_ms), EW_RESTORE_ROWS_MAX,
                               left_out, take, w, err);
    ew_query_close(&query);
    return failed;
}

void ew_restore_windows(struct ew_quotas *quotas, struct ew_fleet *fleet, const char *ledger,
                        uint64_t now_ns, int64_t now_ms)
{
    uint64_t clients_ns = ew_quotas_longest_ns(quotas), places_ns = ew_fleet_longest_ns(fleet);
    uint64_t longest_ns = clients_ns > places_ns ? clients_ns : places_ns;
    struct world w = {.quotas = quotas,
                      .fleet = fleet,
                      .now_ns = now_ns,
                      .now_ms = (double)now_ms,
                      .longest_ms = (double)longest_ns / EW_NS_PER_MS};
    struct ew_err err = {0};
    bool left_out = false;
    uint64_t begin_ns = ew_clock_now_ns(&ew_clock_real);
    if (!longest_ns)
        return;
    int failed = read_ledger(&w, ledger, &left_out, &err);
    double took_ms = (double)(ew_clock_now_ns(&ew_clock_real) - begin_ns) / EW_NS_PER_MS;
    if (failed && err.code != EW_ENOTFOUND) /* a first start has none */
        ew_log(EW_LOG_WARNING, "limits and budgets %s: %s",
               w.rows ? "know some of what was used before" : "begin empty", err.text);
    else if (left_out && !w.rows)
        ew_log(EW_LOG_WARNING, "limits and budgets begin empty: none of the latest rows of the "
                               "ledger is an answer's");
    else if (left_out)
        ew_log(
            EW_LOG_WARNING,
            "limits and budgets know the latest %d answers of the ledger alone: those of the last "
            "%.1f hours",
            EW_RESTORE_ROWS_MAX, (w.now_ms - w.first_ms) / 3.6e6);
    if (took_ms >= LONG_MS)
        ew_log(EW_LOG_INFO, "%.1f s were needed to read the ledger for limits and budgets",
               took_ms / 1000);
}
