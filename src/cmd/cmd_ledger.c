/* cmd_ledger.c - `edgewise ledger`: what was asked, answered, and what it took. */
#include "cmd/cmd.h"

#include "base/args.h"
#include "base/file.h"
#include "cmd/ledger_print.h"
#include "cmd/ledger_why.h"
#include "ledger/ledger.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ROWS_SHOWN = 20 };

struct wish {
    struct ew_query_filter filter;
    const char *since, *until, *status, *db, *sum, *delete_before;
    int limit; /* -1: not given */
    bool why;  /* of one request; else rows or sums */
    bool json, csv, columns, yes;
    char path[PATH_MAX];
    int64_t delete_ms;
};

static const char *const groups[] = {"all",    "client", "model",  "device", "place",
                                     "reason", "day",    "status", NULL};

static int read_times(struct wish *wish, struct ew_err *err)
{
    int64_t now_ms = (int64_t)time(NULL) * 1000;
    int rc = 0;
    if (wish->since)
        rc = ew_query_time(wish->since, now_ms, &wish->filter.since_ms, err);
    if (rc == 0 && wish->until)
        rc = ew_query_time(wish->until, now_ms, &wish->filter.until_ms, err);
    if (rc == 0 && wish->delete_before)
        rc = ew_query_time(wish->delete_before, now_ms, &wish->delete_ms, err);
    if (rc == 0 && wish->status)
        rc = ew_query_status(&wish->filter, wish->status, err);
    return rc;
}

static int check(struct wish *wish, struct ew_err *err)
{
    int rc = read_times(wish, err);
    bool table = !wish->json && !wish->csv;
    if (rc)
        return rc;
    if (wish->why &&
        (wish->csv || wish->sum || wish->columns || wish->delete_before || wish->limit >= 0))
        return ew_fail(err, EW_EINVAL, "why tells of one request, in words or as --json");
    if (wish->json && wish->csv)
        return ew_fail(err, EW_EINVAL, "one of --json and --csv");
    if (wish->csv && (wish->sum || wish->columns))
        return ew_fail(err, EW_EINVAL, "--csv is for rows; --json has sums and columns");
    if (wish->delete_before &&
        (wish->since || wish->until || wish->status || wish->sum || wish->filter.client ||
         wish->filter.model || wish->filter.device || wish->filter.reason))
        return ew_fail(err, EW_EINVAL, "--delete-before knows no filter: all rows before go");
    if (table && !wish->sum && (wish->limit == 0 || wish->limit > EW_LEDGER_TABLE_ROWS_MAX))
        return ew_fail(err, EW_EINVAL, "for more than %d rows take --csv or --json",
                       EW_LEDGER_TABLE_ROWS_MAX);
    wish->filter.limit = wish->limit >= 0 ? wish->limit : table ? ROWS_SHOWN : 0;
    return 0;
}

static int find_path(struct wish *wish, struct ew_err *err)
{
    char folder[PATH_MAX - 16];
    if (wish->db) {
        int n = snprintf(wish->path, sizeof wish->path, "%s", wish->db);
        return (size_t)n < sizeof wish->path ? 0 : ew_fail(err, EW_EINVAL, "--db: too long a path");
    }
    int rc = ew_file_dir(EW_FILE_DATA, folder, sizeof folder, err);
    if (rc == 0)
        snprintf(wish->path, sizeof wish->path, "%s/ledger.db", folder);
    return rc;
}

/* Only what is a ledger gets here: the query was opened. */
static int delete_rows(struct wish *wish, struct ew_query *query, struct ew_err *err)
{
    uint64_t deleted = 0;
    int rc = wish->yes ? ew_ledger_forget(wish->path, wish->delete_ms, &deleted, err)
                       : ew_ledger_refuse_to_delete(query, wish->delete_ms, err);
    if (rc == 0)
        printf("%" PRIu64 " rows deleted\n", deleted);
    return rc;
}

static int work(struct wish *wish, struct ew_err *err)
{
    struct ew_query *query = NULL;
    enum ew_ledger_form form = wish->json  ? EW_LEDGER_JSON
                               : wish->csv ? EW_LEDGER_CSV
                                           : EW_LEDGER_TABLE;
    if (wish->columns)
        return ew_ledger_print_columns(form, err);
    int rc = find_path(wish, err), group = EW_QUERY_ALL;
    if (rc == 0)
        rc = ew_query_open(&query, wish->path, EW_QUERY_PATIENCE_MS, err);
    while (wish->sum && strcmp(groups[group], wish->sum)) /* one of them: args checked */
        group++;
    if (rc == 0 && wish->why)
        rc = ew_ledger_why(query, &wish->filter, wish->json, err);
    else if (rc == 0 && wish->delete_before)
        rc = delete_rows(wish, query, err);
    else if (rc == 0 && wish->sum)
        rc = ew_ledger_print_sums(query, &wish->filter, (enum ew_query_group)group,
                                  group == EW_QUERY_ALL ? NULL : wish->sum, form, err);
    else if (rc == 0)
        rc = ew_ledger_print_rows(query, &wish->filter, form, err);
    ew_query_close(&query);
    return rc;
}

static int run(struct wish *wish, const struct ew_args *args)
{
    struct ew_err err = {0};
    if (args->word_count) {
        if (strcmp(args->words[0], "why") != 0)
            return ew_args_wrong(args, "what stands without -- is why, and a request's id");
        wish->why = true;
        wish->filter.request_id = args->word_count == 2 ? args->words[1] : NULL;
    }
    if (check(wish, &err))
        return ew_args_wrong(args, "%s", err.text);
    int rc = work(wish, &err);
    if (rc)
        fprintf(stderr, "edgewise ledger: %s\n", err.text);
    return ew_error_exit(rc);
}

static const char about_why[] =
    "Tells of one request who answered and why: each decision on its way, in it each\n"
    "place with what it was predicted to take and what spoke against it; what failed;\n"
    "what was predicted and what it was; what the cheapest device and cloud would cost.\n\n"
    "REQUEST_ID is in the answer's header X-Edgewise-Request-Id. Without one it is the\n"
    "latest request in the ledger, or the latest that --reason, --status, --client and\n"
    "their like mean: the first line says which, and how long ago it came. Its row is\n"
    "written a tenth of a second after the answer.";

int ew_cmd_ledger(int argc, char **argv)
{
    int status;
    const bool why = argc > 1 && strcmp(argv[1], "why") == 0;
    struct wish wish = {.limit = -1};
    ew_query_filter_init(&wish.filter);
    const struct ew_opt options[] = {
        {"since", 's', "TIME",
         "arrived then or later: 24h, 7d, today, yesterday,\n"
         "2026-11-24, 2026-11-24T10:30 (local time; UTC with a Z behind)",
         .text = &wish.since},
        {"until", 'u', "TIME", "arrived before", .text = &wish.until},
        {"client", 'c', "NAME", "of that client", .text = &wish.filter.client},
        {"model", 'm', "NAME", "that model was asked for", .text = &wish.filter.model},
        {"device", 'd', "NAME", "that device answered", .text = &wish.filter.device},
        {"reason", 'r', "WORD", "answered (or not) for that reason", .text = &wish.filter.reason},
        {"status", 0, "CODE", "a status like 200 or 499, or all of 4xx", .text = &wish.status},
        {"limit", 'n', "N", "the latest N (20; with --csv and --json all)", .integer = &wish.limit,
         .max = INT_MAX},
        {"sum", 0, "BY",
         "sums instead of rows, by all, client, model, device, place\n"
         "(engine, device or cloud), reason, day or status",
         .text = &wish.sum, .choices = groups},
        {"csv", 0, NULL, "rows as CSV with all columns", .flag = &wish.csv},
        {"json", 0, NULL, "print the result as JSON", .flag = &wish.json},
        {"columns", 0, NULL, "say what the columns mean", .flag = &wish.columns},
        {"db", 0, "PATH", "the ledger ($XDG_DATA_HOME/edgewise/ledger.db)", .text = &wish.db},
        {"delete-before", 0, "TIME", "delete what arrived before; needs --yes",
         .text = &wish.delete_before},
        {"yes", 0, NULL, "it is meant", .flag = &wish.yes},
        {0},
    };
    struct ew_args args = {
        .command = "ledger",
        .words_usage = why ? "why [REQUEST_ID]" : "[why [REQUEST_ID]]",
        .words_max = 2,
        .about =
            why ? about_why
                : "Shows what the server answered, for whom, how fast and at what cost, one row a\n"
                  "request, also those that were refused or failed. Reads while the server "
                  "writes.\n"
                  "why tells of one request, the latest if none is named, who answered, why, and\n"
                  "what others would have taken (edgewise ledger why --help).",
        .options = options,
        .examples = "  edgewise ledger\n"
                    "  edgewise ledger --since today --sum client\n"
                    "  edgewise ledger --since 7d --status 4xx\n"
                    "  edgewise ledger why\n"
                    "  edgewise ledger why req_4f215bad25eb6a96302ac002\n"
                    "  edgewise ledger why --reason failover\n"
                    "  edgewise ledger --since 2026-11-01 --until 2026-12-01 --csv >november.csv\n"
                    "  edgewise ledger --delete-before 90d --yes\n",
    };
    return ew_args_read(&args, argc, argv, &status) ? status : run(&wish, &args);
}
