/* ledger_print.c - prints the ledger as it is read: JSON and CSV row by row, tables at the end.
 *
 * JSON is one array with an object a line, so that line tools work on it, too. */
#include "cmd/ledger_print.h"

#include "base/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    LINE_BYTES_MAX = 256 << 10, /* of one row: the prompt six times escaped fits */
    CLIENT_BYTES = 15,          /* as much of a name as a table shows */
    MODEL_BYTES = 23,
    DEVICE_BYTES = 15,
    REASON_BYTES = 15,
};

/* Where the rows go. */
struct sheet {
    enum ew_ledger_form form;
    const char *group_name;
    struct ew_table table;
    struct ew_buf line; /* JSON and CSV */
    uint64_t rows;
};

static int flush(struct sheet *sheet, struct ew_err *err)
{
    size_t bytes = sheet->line.bytes;
    if (bytes && fwrite(sheet->line.data, 1, bytes, stdout) != bytes)
        return ew_fail(err, EW_EIO, "standard output can't be written");
    ew_buf_clear(&sheet->line);
    return 0;
}

/* "[" or "," in front of an object, each of which has a line of its own. */
static int begin_object(struct sheet *sheet, struct ew_jsonw *json, struct ew_err *err)
{
    int rc = ew_buf_text(&sheet->line, sheet->rows++ ? "," : "[", err);
    ew_jsonw_init(json, &sheet->line, EW_JSONW_COMPACT);
    return rc;
}

static int end_object(struct sheet *sheet, struct ew_jsonw *json, struct ew_err *err)
{
    int rc = ew_jsonw_finish(json, err);
    return rc ? rc : flush(sheet, err);
}

static int end_sheet(struct sheet *sheet, int rc, struct ew_err *err)
{
    if (rc == 0 && sheet->form == EW_LEDGER_TABLE)
        rc = ew_table_print(&sheet->table, stdout, err);
    if (rc == 0 && sheet->form == EW_LEDGER_JSON)
        rc = ew_buf_text(&sheet->line, sheet->rows ? "]\n" : "[]\n", err);
    if (rc == 0)
        rc = flush(sheet, err);
    if (sheet->form == EW_LEDGER_TABLE)
        ew_table_fini(&sheet->table);
    ew_buf_fini(&sheet->line);
    return rc;
}

/* ---- cells ---- */

static void text_cell(struct ew_table *table, const char *text, size_t bytes_max)
{
    char cell[97];
    struct ew_str all = {text, strlen(text)};
    ew_record_set(cell, bytes_max + 1 < sizeof cell ? bytes_max + 1 : sizeof cell, all);
    ew_table_cell(table, "%s", *cell ? cell : "-");
}

static void int_cell(struct ew_table *table, int64_t value)
{
    if (value == EW_RECORD_UNKNOWN)
        ew_table_cell(table, "-");
    else
        ew_table_cell(table, "%" PRId64, value);
}

/* Nobody counted them, or not all of them: "~292". */
static void tokens_cell(struct ew_table *table, int64_t tokens, bool estimated)
{
    if (estimated && tokens > 0)
        ew_table_cell(table, "~%" PRId64, tokens);
    else
        int_cell(table, tokens);
}

static void real_cell(struct ew_table *table, double value, int digits)
{
    if (isnan(value))
        ew_table_cell(table, "-");
    else if (digits)
        ew_table_cell(table, "%.*g", digits, value);
    else
        ew_table_cell(table, "%.0f", value);
}

static void time_cell(struct ew_table *table, int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm local;
    char cell[40] = "-";
    if (ms != EW_RECORD_UNKNOWN && localtime_r(&seconds, &local))
        strftime(cell, sizeof cell, "%m-%d %H:%M:%S", &local);
    ew_table_cell(table, "%s", cell);
}

/* ---- rows ---- */

static int take_row(void *user, const struct ew_record *record, struct ew_err *err)
{
    struct sheet *sheet = user;
    struct ew_table *table = &sheet->table;
    struct ew_jsonw json;
    int rc;
    switch (sheet->form) {
    case EW_LEDGER_JSON:
        rc = begin_object(sheet, &json, err);
        ew_record_json(&json, record);
        return rc ? rc : end_object(sheet, &json, err);
    case EW_LEDGER_CSV:
        rc = ew_record_csv(&sheet->line, record, err);
        return rc ? rc : flush(sheet, err);
    case EW_LEDGER_TABLE:
        break;
    }
    time_cell(table, record->arrived_ms);
    text_cell(table, record->client, CLIENT_BYTES);
    text_cell(table, record->model, MODEL_BYTES);
    text_cell(table, record->device, DEVICE_BYTES);
    text_cell(table, record->reason, REASON_BYTES);
    int_cell(table, record->status);
    tokens_cell(table, record->prompt_tokens, ew_record_estimated(record));
    tokens_cell(table, record->output_tokens, ew_record_estimated(record));
    real_cell(table, record->ttft_ms, 0);
    real_cell(table, record->total_ms, 0);
    real_cell(table, record->energy_j, 3);
    real_cell(table, record->cost_cents, 3);
    return table->err.code;
}

int ew_ledger_print_rows(struct ew_query *query, const struct ew_query_filter *filter,
                         enum ew_ledger_form form, struct ew_err *err)
{
    static const struct ew_table_column columns[] = {
        {"arrived", EW_TABLE_LEFT}, {"client", EW_TABLE_LEFT},  {"model", EW_TABLE_LEFT},
        {"device", EW_TABLE_LEFT},  {"reason", EW_TABLE_LEFT},  {"status", EW_TABLE_RIGHT},
        {"in", EW_TABLE_RIGHT},     {"out", EW_TABLE_RIGHT},    {"ttft ms", EW_TABLE_RIGHT},
        {"all ms", EW_TABLE_RIGHT}, {"joules", EW_TABLE_RIGHT}, {"cents", EW_TABLE_RIGHT}};
    struct sheet sheet = {.form = form};
    int rc = 0;
    ew_buf_init(&sheet.line, LINE_BYTES_MAX);
    if (form == EW_LEDGER_TABLE)
        ew_table_init(&sheet.table, columns, EW_COUNT(columns));
    if (form == EW_LEDGER_CSV)
        rc = ew_record_csv_header(&sheet.line, err);
    if (rc == 0)
        rc = ew_query_rows(query, filter, take_row, &sheet, err);
    return end_sheet(&sheet, rc, err);
}

/* ---- sums ---- */

static void known_int(struct ew_jsonw *json, const char *key, int64_t value)
{
    ew_jsonw_key(json, key);
    if (value == EW_RECORD_UNKNOWN)
        ew_jsonw_null(json);
    else
        ew_jsonw_int(json, value);
}

static void quantiles(struct ew_jsonw *json, const char *key, struct ew_query_quantiles q)
{
    ew_jsonw_key(json, key);
    ew_jsonw_object(json);
    ew_jsonw_put_digits(json, "p50", q.p50, 6);
    ew_jsonw_put_digits(json, "p95", q.p95, 6);
    ew_jsonw_end(json);
}

static int sum_object(struct sheet *sheet, const struct ew_query_sum *sum, struct ew_err *err)
{
    struct ew_jsonw json;
    int rc = begin_object(sheet, &json, err);
    ew_jsonw_object(&json);
    if (sheet->group_name)
        ew_jsonw_put_text(&json, sheet->group_name, *sum->group ? sum->group : NULL);
    ew_jsonw_put_int(&json, "requests", sum->requests);
    ew_jsonw_put_int(&json, "errors", sum->errors);
    known_int(&json, "prompt_tokens", sum->prompt_tokens);
    known_int(&json, "cached_tokens", sum->cached_tokens);
    known_int(&json, "output_tokens", sum->output_tokens);
    ew_jsonw_put_int(&json, "tokens_estimated", sum->tokens_estimated);
    ew_jsonw_put_digits(&json, "energy_j", sum->energy_j, 9);
    ew_jsonw_put_int(&json, "energy_unknown", sum->energy_unknown);
    ew_jsonw_put_digits(&json, "cost_cents", sum->cost_cents, 9);
    ew_jsonw_put_int(&json, "cost_unknown", sum->cost_unknown);
    ew_jsonw_put_digits(&json, "edge_cents", sum->edge_cents, 9);
    ew_jsonw_put_digits(&json, "cloud_cents", sum->cloud_cents, 9);
    quantiles(&json, "ttft_ms", sum->ttft_ms);
    quantiles(&json, "total_ms", sum->total_ms);
    ew_jsonw_end(&json);
    return rc ? rc : end_object(sheet, &json, err);
}

static int take_sum(void *user, const struct ew_query_sum *sum, struct ew_err *err)
{
    struct sheet *sheet = user;
    struct ew_table *table = &sheet->table;
    if (sheet->form == EW_LEDGER_JSON)
        return sum_object(sheet, sum, err);
    text_cell(table, sheet->group_name ? sum->group : "all", MODEL_BYTES);
    int_cell(table, sum->requests);
    int_cell(table, sum->errors);
    tokens_cell(table, sum->prompt_tokens, sum->tokens_estimated > 0);
    tokens_cell(table, sum->output_tokens, sum->tokens_estimated > 0);
    real_cell(table, sum->energy_j, 4);
    real_cell(table, sum->cost_cents, 3);
    int_cell(table, sum->energy_unknown);
    real_cell(table, sum->ttft_ms.p50, 0);
    real_cell(table, sum->ttft_ms.p95, 0);
    real_cell(table, sum->total_ms.p50, 0);
    real_cell(table, sum->total_ms.p95, 0);
    return table->err.code;
}

int ew_ledger_print_sums(struct ew_query *query, const struct ew_query_filter *filter,
                         enum ew_query_group group, const char *group_name,
                         enum ew_ledger_form form, struct ew_err *err)
{
    const struct ew_table_column columns[] = {
        {group_name ? group_name : "", EW_TABLE_LEFT},
        {"reqs", EW_TABLE_RIGHT},
        {"errors", EW_TABLE_RIGHT},
        {"in", EW_TABLE_RIGHT},
        {"out", EW_TABLE_RIGHT},
        {"joules", EW_TABLE_RIGHT},
        {"cents", EW_TABLE_RIGHT},
        {"no J", EW_TABLE_RIGHT}, /* rows whose energy isn't known */
        {"ttft 50", EW_TABLE_RIGHT},
        {"95 %", EW_TABLE_RIGHT},
        {"all 50", EW_TABLE_RIGHT},
        {"95 %", EW_TABLE_RIGHT}};
    struct sheet sheet = {.form = form, .group_name = group_name};
    ew_buf_init(&sheet.line, LINE_BYTES_MAX);
    if (form == EW_LEDGER_TABLE)
        ew_table_init(&sheet.table, columns, EW_COUNT(columns));
    return end_sheet(&sheet, ew_query_sums(query, filter, group, take_sum, &sheet, err), err);
}

/* ---- what would be deleted ---- */

static int keep_count(void *user, const struct ew_query_sum *sum, struct ew_err *err)
{
    (void)err;
    *(int64_t *)user = sum->requests;
    return 0;
}

int ew_ledger_refuse_to_delete(struct ew_query *query, int64_t before_ms, struct ew_err *err)
{
    struct ew_query_filter filter;
    int64_t count = 0;
    ew_query_filter_init(&filter);
    filter.until_ms = before_ms;
    int rc = ew_query_sums(query, &filter, EW_QUERY_ALL, keep_count, &count, err);
    return rc ? rc
              : ew_fail(err, EW_EINVAL,
                        "--delete-before would delete %" PRId64 " rows; with --yes it does", count);
}

/* ---- columns ---- */

int ew_ledger_print_columns(enum ew_ledger_form form, struct ew_err *err)
{
    static const char *const kinds[] = {"text", "integer", "real"};
    static const struct ew_table_column columns[] = {
        {"column", EW_TABLE_LEFT}, {"type", EW_TABLE_LEFT}, {"is", EW_TABLE_LEFT}};
    struct sheet sheet = {.form = form};
    int rc = 0;
    ew_buf_init(&sheet.line, LINE_BYTES_MAX);
    if (form == EW_LEDGER_TABLE)
        ew_table_init(&sheet.table, columns, EW_COUNT(columns));
    for (size_t i = 0; rc == 0 && i < EW_RECORD_FIELD_COUNT; i++) {
        const struct ew_record_field *field = &ew_record_fields[i];
        struct ew_jsonw json;
        if (form == EW_LEDGER_TABLE) {
            ew_table_cell(&sheet.table, "%s", field->name);
            ew_table_cell(&sheet.table, "%s", kinds[field->kind]);
            ew_table_cell(&sheet.table, "%s", field->meaning);
            continue;
        }
        rc = begin_object(&sheet, &json, err);
        ew_jsonw_object(&json);
        ew_jsonw_put_text(&json, "column", field->name);
        ew_jsonw_put_text(&json, "type", kinds[field->kind]);
        ew_jsonw_put_text(&json, "is", field->meaning);
        ew_jsonw_end(&json);
        if (rc == 0)
            rc = end_object(&sheet, &json, err);
    }
    return end_sheet(&sheet, rc, err);
}
