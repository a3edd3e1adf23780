/* query.c - the SQL behind `edgewise ledger`.
 *
 * Everything reads `r`, a view of the table that has each column of EW_RECORD_FIELDS, NULL where
 * the file has none; SQLite flattens it, so the indexes serve. Quantiles need order, not memory:
 * one statement gives the groups with their counts, others the values of all groups in the same
 * order, sorted within (by SQLite, on disk when they are many), and all are walked side by side in
 * one transaction, so that they see the same rows. */
#include "ledger/query.h"

#include "ledger/store.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    SQL_BYTES = 16384, /* columns take some 2 KB */
    COUNTS_AT = 10,    /* in a row of prepare_sums: how many have ttft_ms, then total_ms */
};

struct ew_query {
    sqlite3 *db;
    char view[SQL_BYTES / 4]; /* "WITH r AS (...) " */
};

static int fail(struct ew_query *query, struct ew_err *err)
{
    return ew_fail(err, EW_EIO, "the ledger can't be read: %s", sqlite3_errmsg(query->db));
}

/* ---- opening ---- */

static int64_t pragma(struct ew_query *query, const char *sql, int *code)
{
    sqlite3_stmt *statement = NULL;
    int64_t value = 0;
    *code = sqlite3_prepare_v2(query->db, sql, -1, &statement, NULL);
    if (*code == SQLITE_OK && (*code = sqlite3_step(statement)) == SQLITE_ROW) {
        value = sqlite3_column_int64(statement, 0);
        *code = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    return value;
}

static int check_file(const char *path, struct ew_err *err)
{
    struct stat about;
    if (stat(path, &about))
        return errno == ENOENT ? ew_fail(err, EW_ENOTFOUND,
                                         "there is no ledger %s: `edgewise serve` writes one; "
                                         "if it lies elsewhere, say --db PATH",
                                         path)
                               : ew_fail(err, EW_EIO, "ledger %s: %s", path, strerror(errno));
    if (S_ISREG(about.st_mode) && about.st_size == 0) /* made, and never written to */
        return ew_fail(err, EW_ENOTFOUND, "ledger %s: an empty file", path);
    if (!S_ISREG(about.st_mode))
        return ew_fail(err, EW_EINVAL, "ledger %s: not a file", path);
    return 0;
}

static int check_owner(struct ew_query *query, const char *path, struct ew_err *err)
{
    int code = SQLITE_OK;
    int64_t application = pragma(query, "PRAGMA application_id", &code);
    int64_t version = code ? 0 : pragma(query, "PRAGMA user_version", &code);
    if (code)
        return ew_fail(err, code == SQLITE_NOTADB ? EW_EFORMAT : EW_EIO, "ledger %s: %s", path,
                       sqlite3_errmsg(query->db));
    if (application != EW_STORE_APPLICATION)
        return ew_fail(err, EW_EFORMAT, "%s is a database, but not a ledger of edgewise", path);
    if (version > EW_STORE_VERSION)
        return ew_fail(err, EW_EUNSUPPORTED,
                       "a newer edgewise wrote %s (version %lld, this one knows %d)", path,
                       (long long)version, EW_STORE_VERSION);
    return 0;
}

static int make_view(struct ew_query *query, struct ew_err *err)
{
    size_t used = (size_t)snprintf(query->view, sizeof query->view, "WITH r AS (SELECT id");
    for (size_t i = 0; i < EW_RECORD_FIELD_COUNT; i++) {
        char sql[200];
        int code;
        const char *name = ew_record_fields[i].name;
        snprintf(sql, sizeof sql,
                 "SELECT count(*) FROM pragma_table_info('requests') WHERE name = '%s'", name);
        int64_t there = pragma(query, sql, &code);
        if (code)
            return fail(query, err);
        used += (size_t)snprintf(query->view + used, sizeof query->view - used,
                                 there ? ", %s" : ", NULL AS %s", name);
        EW_ASSERT(used < sizeof query->view);
    }
    used += (size_t)snprintf(query->view + used, sizeof query->view - used, " FROM requests) ");
    EW_ASSERT(used < sizeof query->view);
    return 0;
}

int ew_query_open(struct ew_query **gives, const char *path, int patience_ms, struct ew_err *err)
{
    char plain[PATH_MAX];
    *gives = NULL;
    int rc = check_file(path, err);
    if (rc)
        return rc;
    snprintf(plain, sizeof plain, "%s%s", *path == '/' ? "" : "./", path); /* never a URI */
    struct ew_query *query = calloc(1, sizeof *query);
    if (!query)
        return ew_fail(err, EW_ENOMEM, "no memory for a query");
    if (sqlite3_open_v2(plain, &query->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL))
        rc = ew_fail(err, EW_EIO, "ledger %s: %s", path, sqlite3_errmsg(query->db));
    if (rc == 0) {
        sqlite3_busy_timeout(query->db, patience_ms);
        rc = check_owner(query, path, err);
    }
    if (rc == 0)
        rc = make_view(query, err);
    if (rc)
        ew_query_close(&query);
    *gives = query;
    return rc;
}

void ew_query_close(struct ew_query **query)
{
    if (!*query)
        return;
    sqlite3_close((*query)->db);
    free(*query);
    *query = NULL;
}

/* ---- what is asked for ---- */

void ew_query_filter_init(struct ew_query_filter *filter)
{
    *filter =
        (struct ew_query_filter){.since_ms = EW_RECORD_UNKNOWN, .until_ms = EW_RECORD_UNKNOWN};
}

int ew_query_status(struct ew_query_filter *filter, const char *text, struct ew_err *err)
{
    bool digits = strlen(text) == 3 && text[0] >= '1' && text[0] <= '5';
    if (digits && strcmp(text + 1, "xx") == 0) {
        filter->status_min = (text[0] - '0') * 100;
        filter->status_max = filter->status_min + 99;
        return 0;
    }
    if (!digits || strspn(text, "0123456789") != 3)
        return ew_fail(err, EW_EINVAL, "'%s' is no status: give one like 200 or 4xx", text);
    filter->status_min = filter->status_max = (int)strtol(text, NULL, 10);
    return 0;
}

/* The conditions, with named parameters that bind_filter fills. */
static void where_sql(struct ew_buf *sql, const struct ew_query_filter *filter, const char *also)
{
    ew_buf_printf(sql, NULL, " WHERE %s", also);
    if (filter->since_ms != EW_RECORD_UNKNOWN)
        ew_buf_text(sql, " AND arrived_ms >= :since", NULL);
    if (filter->until_ms != EW_RECORD_UNKNOWN)
        ew_buf_text(sql, " AND arrived_ms < :until", NULL);
    if (filter->client)
        ew_buf_text(sql, " AND client = :client", NULL);
    if (filter->model)
        ew_buf_text(sql, " AND model = :model", NULL);
    if (filter->device)
        ew_buf_text(sql, " AND device = :device", NULL);
    if (filter->reason)
        ew_buf_text(sql, " AND reason = :reason", NULL);
    if (filter->request_id)
        ew_buf_text(sql, " AND request_id = :request_id", NULL);
    if (filter->status_min)
        ew_buf_text(sql, " AND status BETWEEN :low AND :high", NULL);
}

static void bind_int(sqlite3_stmt *statement, const char *name, int64_t value)
{
    int at = sqlite3_bind_parameter_index(statement, name);
    if (at)
        sqlite3_bind_int64(statement, at, value);
}

static void bind_text(sqlite3_stmt *statement, const char *name, const char *value)
{
    int at = sqlite3_bind_parameter_index(statement, name);
    if (at)
        sqlite3_bind_text(statement, at, value, -1, SQLITE_STATIC);
}

static int prepare(struct ew_query *query, const struct ew_buf *sql,
                   const struct ew_query_filter *filter, sqlite3_stmt **out, struct ew_err *err)
{
    EW_ASSERT(sql->bytes + 1 < SQL_BYTES); /* none of it is the user's */
    if (sqlite3_prepare_v2(query->db, sql->data, -1, out, NULL))
        return fail(query, err);
    bind_int(*out, ":since", filter->since_ms);
    bind_int(*out, ":until", filter->until_ms);
    bind_text(*out, ":client", filter->client);
    bind_text(*out, ":model", filter->model);
    bind_text(*out, ":device", filter->device);
    bind_text(*out, ":reason", filter->reason);
    bind_text(*out, ":request_id", filter->request_id);
    bind_int(*out, ":low", filter->status_min);
    bind_int(*out, ":high", filter->status_max);
    bind_int(*out, ":limit", filter->limit);
    return 0;
}

/* ---- rows ---- */

static int64_t int_at(sqlite3_stmt *statement, int column)
{
    return sqlite3_column_type(statement, column) == SQLITE_NULL
               ? EW_RECORD_UNKNOWN
               : sqlite3_column_int64(statement, column);
}

static double real_at(sqlite3_stmt *statement, int column)
{
    return sqlite3_column_type(statement, column) == SQLITE_NULL
               ? (double)NAN
               : sqlite3_column_double(statement, column);
}

static void text_at(sqlite3_stmt *statement, int column, char *to, size_t size)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    size_t bytes = text ? (size_t)sqlite3_column_bytes(statement, column) : 0;
    ew_record_set(to, size, (struct ew_str){text, bytes}); /* who knows who wrote it */
}

static void read_record(sqlite3_stmt *statement, struct ew_record *record)
{
    for (int i = 0; i < EW_RECORD_FIELD_COUNT; i++) {
        char *to = (char *)record + ew_record_fields[i].offset;
        int64_t integer;
        double real;
        switch (ew_record_fields[i].kind) {
        case EW_RECORD_TEXT:
            text_at(statement, i + 1, to, ew_record_fields[i].size);
            break;
        case EW_RECORD_INT:
            integer = int_at(statement, i + 1);
            memcpy(to, &integer, sizeof integer);
            break;
        case EW_RECORD_REAL:
            real = real_at(statement, i + 1);
            memcpy(to, &real, sizeof real);
            break;
        }
    }
}

int ew_query_rows(struct ew_query *query, const struct ew_query_filter *filter,
                  int (*take)(void *user, const struct ew_record *record, struct ew_err *err),
                  void *user, struct ew_err *err)
{
    struct ew_buf sql;
    struct ew_record record;
    sqlite3_stmt *statement = NULL;
    ew_buf_init(&sql, SQL_BYTES);
    ew_buf_text(&sql, query->view, NULL);
    ew_buf_text(&sql, filter->limit ? "SELECT * FROM (SELECT * FROM r" : "SELECT * FROM r", NULL);
    where_sql(&sql, filter, "1");
    if (filter->limit)
        ew_buf_text(&sql, " ORDER BY arrived_ms DESC, id DESC LIMIT :limit)", NULL);
    ew_buf_text(&sql, " ORDER BY arrived_ms, id", NULL);
    int rc = prepare(query, &sql, filter, &statement, err), step = SQLITE_DONE;
    while (rc == 0 && (step = sqlite3_step(statement)) == SQLITE_ROW) {
        read_record(statement, &record);
        rc = take(user, &record, err);
    }
    if (rc == 0 && step != SQLITE_DONE)
        rc = fail(query, err);
    sqlite3_finalize(statement);
    ew_buf_fini(&sql);
    return rc;
}

/* ---- what was used ---- */

/* Where the walk begins. Rows are numbered as they were written, so as requests ended: of the index
 * the numbers of the latest are read, and of the table one piece without a gap. Refused requests
 * have rows, too, and must not push the others out: ten times as many are looked at. */
static int first_row(struct ew_query *query, int64_t since_ms, int64_t rows_max, int64_t *first,
                     bool *left_out, struct ew_err *err)
{
    static const char sql[] =
        "SELECT min(id), count(*), (SELECT count(*) FROM "
        "(SELECT 1 FROM requests WHERE arrived_ms >= :since LIMIT 10 * :limit)) FROM (SELECT id "
        "FROM "
        "(SELECT id, device FROM requests WHERE arrived_ms >= :since ORDER BY arrived_ms DESC "
        "LIMIT 10 * :limit) WHERE device IS NOT NULL LIMIT :limit)";
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(query->db, sql, -1, &statement, NULL))
        return fail(query, err);
    bind_int(statement, ":since", since_ms);
    bind_int(statement, ":limit", rows_max + 1);
    int rc = sqlite3_step(statement) == SQLITE_ROW ? 0 : fail(query, err);
    bool more = !rc && sqlite3_column_int64(statement, 1) > rows_max;
    bool unseen = !rc && sqlite3_column_int64(statement, 2) == 10 * (rows_max + 1);
    *first = rc ? 0 : sqlite3_column_int64(statement, 0) + more;
    *left_out = more || unseen;
    sqlite3_finalize(statement);
    return rc;
}

static void read_use(sqlite3_stmt *statement, struct ew_query_use *use)
{
    text_at(statement, 0, use->client, sizeof use->client);
    text_at(statement, 1, use->device, sizeof use->device);
    use->ended_ms = sqlite3_column_double(statement, 2) + sqlite3_column_double(statement, 3);
    use->prompt_tokens = int_at(statement, 4);
    use->output_tokens = int_at(statement, 5);
    use->energy_j = real_at(statement, 6);
    use->cost_cents = real_at(statement, 7);
}

int ew_query_uses(struct ew_query *query, int64_t since_ms, int64_t rows_max, bool *left_out,
                  int (*take)(void *user, const struct ew_query_use *use, struct ew_err *err),
                  void *user, struct ew_err *err)
{
    struct ew_buf sql;
    struct ew_query_use use;
    sqlite3_stmt *statement = NULL;
    int64_t first = 0;
    int step = SQLITE_DONE, rc = first_row(query, since_ms, rows_max, &first, left_out, err);
    if (rc)
        return rc;
    ew_buf_init(&sql, SQL_BYTES);
    ew_buf_printf(&sql, NULL,
                  "%sSELECT client, device, arrived_ms, total_ms, prompt_tokens, output_tokens, "
                  "energy_j, cost_cents FROM r WHERE id >= :first AND device IS NOT NULL AND "
                  "arrived_ms >= :since ORDER BY id",
                  query->view);
    if (sqlite3_prepare_v2(query->db, sql.data, -1, &statement, NULL))
        rc = fail(query, err);
    bind_int(statement, ":first", first);
    bind_int(statement, ":since", since_ms);
    while (rc == 0 && (step = sqlite3_step(statement)) == SQLITE_ROW) {
        read_use(statement, &use);
        rc = take(user, &use, err);
    }
    if (rc == 0 && step != SQLITE_DONE)
        rc = fail(query, err);
    sqlite3_finalize(statement);
    ew_buf_fini(&sql);
    return rc;
}

/* ---- sums ---- */

static const char *const group_sql[] = {
    [EW_QUERY_ALL] = "NULL",
    [EW_QUERY_CLIENT] = "client",
    [EW_QUERY_MODEL] = "model",
    [EW_QUERY_DEVICE] = "device",
    [EW_QUERY_PLACE] = "place",
    [EW_QUERY_REASON] = "reason",
    [EW_QUERY_DAY] = "date(arrived_ms / 1000, 'unixepoch', 'localtime')",
    [EW_QUERY_STATUS] = "status",
};

static int prepare_sums(struct ew_query *query, const struct ew_query_filter *filter,
                        enum ew_query_group group, sqlite3_stmt **out, struct ew_err *err)
{
    struct ew_buf sql;
    ew_buf_init(&sql, SQL_BYTES);
    ew_buf_printf(&sql, NULL,
                  "%sSELECT %s, count(*), count(CASE WHEN status >= 400 THEN 1 END), "
                  "sum(prompt_tokens), sum(cached_tokens), sum(output_tokens), sum(energy_j), "
                  "sum(cost_cents), count(*) - count(energy_j), count(*) - count(cost_cents), "
                  "count(ttft_ms), count(total_ms), sum(edge_cents), sum(cloud_cents), "
                  "count(CASE WHEN tokens_kind = 'estimated' THEN 1 END) FROM r",
                  query->view, group_sql[group]);
    where_sql(&sql, filter, "1");
    ew_buf_text(&sql, " GROUP BY 1 ORDER BY 1", NULL);
    int rc = prepare(query, &sql, filter, out, err);
    ew_buf_fini(&sql);
    return rc;
}

/* The values of one column, sorted within the groups. */
static int prepare_values(struct ew_query *query, const struct ew_query_filter *filter,
                          enum ew_query_group group, const char *column, sqlite3_stmt **out,
                          struct ew_err *err)
{
    struct ew_buf sql;
    char known[64];
    snprintf(known, sizeof known, "%s IS NOT NULL", column);
    ew_buf_init(&sql, SQL_BYTES);
    ew_buf_printf(&sql, NULL, "%sSELECT %s, %s FROM r", query->view, group_sql[group], column);
    where_sql(&sql, filter, known);
    ew_buf_text(&sql, " ORDER BY 1, 2", NULL);
    int rc = prepare(query, &sql, filter, out, err);
    ew_buf_fini(&sql);
    return rc;
}

struct place { /* of a quantile among n sorted values */
    int64_t low;
    double part; /* of the way to the next */
    double value;
};

static struct place place_of(double p, int64_t n)
{
    double at = p * (double)(n - 1);
    return (struct place){(int64_t)floor(at), at - floor(at), NAN};
}

static void visit(struct place *place, int64_t i, double value)
{
    if (i == place->low)
        place->value = value;
    else if (i == place->low + 1 && place->part > 0)
        place->value += (value - place->value) * place->part;
}

/* Walks over the next n values. */
static int read_quantiles(struct ew_query *query, sqlite3_stmt *values, int64_t n,
                          struct ew_query_quantiles *out, struct ew_err *err)
{
    struct place p50 = place_of(0.5, n), p95 = place_of(0.95, n);
    for (int64_t i = 0; i < n; i++) {
        if (sqlite3_step(values) != SQLITE_ROW)
            return fail(query, err);
        visit(&p50, i, sqlite3_column_double(values, 1));
        visit(&p95, i, sqlite3_column_double(values, 1));
    }
    *out = (struct ew_query_quantiles){p50.value, p95.value};
    return 0;
}

static int read_sum(struct ew_query *query, sqlite3_stmt *sums, sqlite3_stmt *ttft,
                    sqlite3_stmt *total, struct ew_query_sum *sum, struct ew_err *err)
{
    *sum = (struct ew_query_sum){
        .requests = sqlite3_column_int64(sums, 1),
        .errors = sqlite3_column_int64(sums, 2),
        .prompt_tokens = int_at(sums, 3),
        .cached_tokens = int_at(sums, 4),
        .output_tokens = int_at(sums, 5),
        .energy_j = real_at(sums, 6),
        .cost_cents = real_at(sums, 7),
        .energy_unknown = sqlite3_column_int64(sums, 8),
        .cost_unknown = sqlite3_column_int64(sums, 9),
        .edge_cents = real_at(sums, COUNTS_AT + 2),
        .cloud_cents = real_at(sums, COUNTS_AT + 3),
        .tokens_estimated = sqlite3_column_int64(sums, COUNTS_AT + 4),
    };
    text_at(sums, 0, sum->group, sizeof sum->group);
    int rc = read_quantiles(query, ttft, sqlite3_column_int64(sums, COUNTS_AT), &sum->ttft_ms, err);
    return rc ? rc
              : read_quantiles(query, total, sqlite3_column_int64(sums, COUNTS_AT + 1),
                               &sum->total_ms, err);
}

int ew_query_sums(struct ew_query *query, const struct ew_query_filter *filter,
                  enum ew_query_group group,
                  int (*take)(void *user, const struct ew_query_sum *sum, struct ew_err *err),
                  void *user, struct ew_err *err)
{
    sqlite3_stmt *sums = NULL, *ttft = NULL, *total = NULL;
    struct ew_query_sum sum;
    int step = SQLITE_DONE, rc = 0;
    if (sqlite3_exec(query->db, "BEGIN", NULL, NULL, NULL))
        return fail(query, err);
    rc = prepare_sums(query, filter, group, &sums, err);
    if (rc == 0)
        rc = prepare_values(query, filter, group, "ttft_ms", &ttft, err);
    if (rc == 0)
        rc = prepare_values(query, filter, group, "total_ms", &total, err);
    while (rc == 0 && (step = sqlite3_step(sums)) == SQLITE_ROW) {
        rc = read_sum(query, sums, ttft, total, &sum, err);
        if (rc == 0 && sum.requests) /* without a group there is a row even of nothing */
            rc = take(user, &sum, err);
    }
    if (rc == 0 && step != SQLITE_DONE)
        rc = fail(query, err);
    sqlite3_finalize(sums);
    sqlite3_finalize(ttft);
    sqlite3_finalize(total);
    sqlite3_exec(query->db, "COMMIT", NULL, NULL, NULL);
    return rc;
}
