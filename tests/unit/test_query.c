/* test_query.c - filters, sums and quantiles against those made by hand; files that are no use. */
#include "ledger/ledger.h"
#include "ledger/query.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROWS = 100, MINUTE_MS = 60000 };
#define START_MS 1790000000000 /* 2026-09-21T13:33:20Z */

static char root[64], path[128];

/* Row i: every third of kiosk, else phone; every tenth 499 without energy and first token. */
static struct ew_record row_of(int i)
{
    struct ew_record record;
    ew_record_init(&record);
    snprintf(record.request_id, sizeof record.request_id, "req-%d", i);
    snprintf(record.client, sizeof record.client, "%s", i % 3 ? "phone" : "kiosk");
    if (i % 2)
        snprintf(record.model, sizeof record.model, "smollm2-135m");
    snprintf(record.place, sizeof record.place, "%s", i % 4 ? "device" : "cloud");
    snprintf(record.reason, sizeof record.reason, "%s", i % 4 ? "selected" : "capacity");
    record.edge_cents = .25;
    record.arrived_ms = START_MS + (int64_t)i * MINUTE_MS * 30;
    record.status = i % 10 ? 200 : 499;
    record.prompt_tokens = i;
    record.output_tokens = 10;
    snprintf(record.tokens_kind, sizeof record.tokens_kind, "%s", i % 5 ? "counted" : "estimated");
    record.total_ms = 99 - i; /* arrives in falling order */
    if (i % 10) {
        record.ttft_ms = i;
        record.energy_j = 0.5;
    }
    return record;
}

static int setup(void **state)
{
    (void)state;
    struct ew_ledger *ledger = NULL;
    setenv("TZ", "UTC", 1);
    snprintf(root, sizeof root, "/tmp/ew-test-query-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    snprintf(path, sizeof path, "%s/ledger.db", root);
    struct ew_ledger_params params = {.path = path};
    if (ew_ledger_open(&ledger, &params, NULL))
        return -1;
    for (int i = 0; i < ROWS; i++) {
        struct ew_record record = row_of(i);
        ew_ledger_put(ledger, &record, NULL);
    }
    ew_ledger_close(&ledger, 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

static struct ew_query *open_ledger(void)
{
    struct ew_query *query = NULL;
    struct ew_err err = {0};
    assert_int_equal(ew_query_open(&query, path, EW_QUERY_PATIENCE_MS, &err), 0);
    return query;
}

struct seen {
    int rows, stop_at;
    struct ew_record first, last;
    bool in_order;
};

static int see_row(void *user, const struct ew_record *record, struct ew_err *err)
{
    struct seen *seen = user;
    if (seen->rows++ == 0)
        seen->first = *record;
    else
        seen->in_order = seen->in_order && record->arrived_ms > seen->last.arrived_ms;
    seen->last = *record;
    return seen->rows == seen->stop_at ? ew_fail(err, EW_ECANCELED, "enough") : 0;
}

static struct seen look(const struct ew_query_filter *filter)
{
    struct seen seen = {.in_order = true};
    struct ew_query *query = open_ledger();
    assert_int_equal(ew_query_rows(query, filter, see_row, &seen, NULL), 0);
    ew_query_close(&query);
    assert_true(seen.in_order);
    return seen;
}

static void test_rows_come_back_as_they_were_put(void **state)
{
    (void)state;
    struct ew_query_filter filter;
    ew_query_filter_init(&filter);
    struct seen seen = look(&filter);
    struct ew_record first = row_of(0), last = row_of(ROWS - 1);
    assert_int_equal(seen.rows, ROWS);
    assert_string_equal(seen.first.request_id, first.request_id);
    assert_string_equal(seen.first.model, "");
    assert_true(isnan(seen.first.ttft_ms) && isnan(seen.first.energy_j));
    assert_int_equal(seen.first.cached_tokens, EW_RECORD_UNKNOWN);
    assert_string_equal(seen.last.model, last.model);
    assert_int_equal(seen.last.arrived_ms, last.arrived_ms);
    assert_true(seen.last.ttft_ms == last.ttft_ms && seen.last.energy_j == 0.5);
}

static void test_filters_let_through_what_they_name(void **state)
{
    (void)state;
    static const struct {
        int since, until; /* rows; -1: not set */
        const char *client, *model, *device, *status;
        int64_t limit;
        int wanted;
    } cases[] = {
        {10, 20, NULL, NULL, NULL, NULL, 0, 10},
        {-1, 1, NULL, NULL, NULL, NULL, 0, 1},
        {-1, -1, "kiosk", NULL, NULL, NULL, 0, 34},
        {-1, -1, "phone", NULL, NULL, NULL, 7, 7},
        {-1, -1, NULL, "smollm2-135m", NULL, NULL, 0, 50},
        {-1, -1, NULL, NULL, "here", NULL, 0, 0},
        {-1, -1, NULL, NULL, NULL, "499", 0, 10},
        {-1, -1, NULL, NULL, NULL, "4xx", 0, 10},
        {-1, -1, NULL, NULL, NULL, "2xx", 0, 90},
        {-1, -1, NULL, NULL, NULL, "404", 0, 0},
        {-1, -1, "' OR 1 --", NULL, NULL, NULL, 0, 0},
        {-1, -1, NULL, NULL, NULL, NULL, 1000, 100},
        {50, -1, "kiosk", "smollm2-135m", NULL, "2xx", 3, 3},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        struct ew_query_filter filter;
        ew_query_filter_init(&filter);
        if (cases[i].since >= 0)
            filter.since_ms = row_of(cases[i].since).arrived_ms;
        if (cases[i].until >= 0)
            filter.until_ms = row_of(cases[i].until).arrived_ms;
        filter.client = cases[i].client;
        filter.model = cases[i].model;
        filter.device = cases[i].device;
        filter.limit = cases[i].limit;
        if (cases[i].status)
            assert_int_equal(ew_query_status(&filter, cases[i].status, NULL), 0);
        assert_int_equal(look(&filter).rows, cases[i].wanted);
    }
}

static void test_one_request_and_one_reason_are_found(void **state)
{
    (void)state;
    struct ew_query_filter filter;
    ew_query_filter_init(&filter);
    filter.request_id = "req-42";
    filter.limit = 1;
    struct seen seen = look(&filter);
    assert_int_equal(seen.rows, 1);
    assert_int_equal(seen.last.arrived_ms, row_of(42).arrived_ms);
    assert_true(seen.last.edge_cents == .25 && isnan(seen.last.cloud_cents));
    filter.request_id = "req-4";
    filter.reason = "selected"; /* it was the other */
    assert_int_equal(look(&filter).rows, 0);
    filter.request_id = NULL;
    filter.limit = 0;
    filter.reason = "capacity";
    assert_int_equal(look(&filter).rows, 25);
}

static void test_a_limit_keeps_the_latest(void **state)
{
    (void)state;
    struct ew_query_filter filter;
    ew_query_filter_init(&filter);
    filter.limit = 3;
    struct seen seen = look(&filter);
    assert_string_equal(seen.first.request_id, "req-97");
    assert_string_equal(seen.last.request_id, "req-99");
}

static void test_the_taker_may_stop(void **state)
{
    (void)state;
    struct ew_query_filter filter;
    struct seen seen = {.stop_at = 5};
    struct ew_err err = {0};
    struct ew_query *query = open_ledger();
    ew_query_filter_init(&filter);
    assert_int_equal(ew_query_rows(query, &filter, see_row, &seen, &err), EW_ECANCELED);
    assert_int_equal(seen.rows, 5);
    ew_query_close(&query);
}

struct sums {
    struct ew_query_sum sum[16];
    size_t count;
};

static int keep_sum(void *user, const struct ew_query_sum *sum, struct ew_err *err)
{
    (void)err;
    struct sums *sums = user;
    assert_true(sums->count < EW_COUNT(sums->sum));
    sums->sum[sums->count++] = *sum;
    return 0;
}

static struct sums add_up(const struct ew_query_filter *filter, enum ew_query_group group)
{
    struct sums sums = {.count = 0};
    struct ew_query *query = open_ledger();
    assert_int_equal(ew_query_sums(query, filter, group, keep_sum, &sums, NULL), 0);
    ew_query_close(&query);
    return sums;
}

static void test_sums_and_quantiles_are_those_made_by_hand(void **state)
{
    (void)state;
    struct ew_query_filter filter;
    ew_query_filter_init(&filter);
    struct sums all = add_up(&filter, EW_QUERY_ALL);
    assert_int_equal(all.count, 1);
    const struct ew_query_sum *sum = &all.sum[0];
    assert_string_equal(sum->group, "");
    assert_int_equal(sum->requests, 100);
    assert_int_equal(sum->errors, 10);
    assert_int_equal(sum->prompt_tokens, 4950);
    assert_int_equal(sum->output_tokens, 1000);
    assert_int_equal(sum->cached_tokens, EW_RECORD_UNKNOWN); /* no row has it: not 0 */
    assert_true(sum->energy_j == 45 && sum->energy_unknown == 10);
    assert_true(isnan(sum->cost_cents) && sum->cost_unknown == 100);
    assert_int_equal(sum->tokens_estimated, 20);
    assert_true(sum->total_ms.p50 == 49.5);
    assert_true(fabs(sum->total_ms.p95 - 94.05) < 1e-9);
    assert_true(sum->ttft_ms.p50 == 50); /* 1..99 without the tens: between 49 and 51 */
    assert_true(fabs(sum->ttft_ms.p95 - 94.55) < 1e-9);
}

static void test_groups_have_their_own_sums(void **state)
{
    (void)state;
    struct ew_query_filter filter;
    ew_query_filter_init(&filter);
    struct sums clients = add_up(&filter, EW_QUERY_CLIENT);
    assert_int_equal(clients.count, 2);
    assert_string_equal(clients.sum[0].group, "kiosk");
    assert_int_equal(clients.sum[0].requests, 34);
    assert_true(clients.sum[0].total_ms.p50 == 49.5); /* 0, 3 .. 99 */
    assert_string_equal(clients.sum[1].group, "phone");
    assert_int_equal(clients.sum[1].requests, 66);
    struct sums models = add_up(&filter, EW_QUERY_MODEL);
    assert_int_equal(models.count, 2);
    assert_string_equal(models.sum[0].group, ""); /* rows without one come first */
    assert_true(models.sum[0].total_ms.p50 == 50 && models.sum[1].total_ms.p50 == 49);
    struct sums days = add_up(&filter, EW_QUERY_DAY);
    assert_int_equal(days.count, 3);
    assert_string_equal(days.sum[0].group, "2026-09-21");
    assert_int_equal(days.sum[0].requests + days.sum[1].requests + days.sum[2].requests, 100);
    struct sums statuses = add_up(&filter, EW_QUERY_STATUS);
    assert_string_equal(statuses.sum[1].group, "499");
    assert_true(isnan(statuses.sum[1].ttft_ms.p50) && isnan(statuses.sum[1].energy_j));
    struct sums devices = add_up(&filter, EW_QUERY_DEVICE);
    assert_int_equal(devices.count, 1);
    struct sums places = add_up(&filter, EW_QUERY_PLACE);
    assert_int_equal(places.count, 2);
    assert_string_equal(places.sum[0].group, "cloud");
    assert_int_equal(places.sum[0].requests, 25);
    assert_true(places.sum[0].edge_cents == 6.25 && isnan(places.sum[0].cloud_cents));
    assert_string_equal(add_up(&filter, EW_QUERY_REASON).sum[1].group, "selected");
    filter.client = "nobody";
    assert_int_equal(add_up(&filter, EW_QUERY_ALL).count, 0);
    assert_int_equal(add_up(&filter, EW_QUERY_DAY).count, 0);
}

static void run_sql(const char *file, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void test_a_ledger_of_before_lacks_columns_and_is_read(void **state)
{
    (void)state;
    struct ew_query_filter filter;
    ew_query_filter_init(&filter);
    run_sql(path, "ALTER TABLE requests DROP COLUMN energy_j; "
                  "ALTER TABLE requests DROP COLUMN device");
    assert_int_equal(look(&filter).rows, 100);
    assert_true(isnan(look(&filter).last.energy_j));
    assert_int_equal(add_up(&filter, EW_QUERY_DEVICE).sum[0].energy_unknown, 100);
    filter.device = "here";
    assert_int_equal(look(&filter).rows, 0);
}

static void test_what_is_no_ledger_is_told_apart(void **state)
{
    (void)state;
    struct ew_query *query = NULL;
    char other[160];
    struct ew_err err = {0};
    snprintf(other, sizeof other, "%s/none.db", root);
    assert_int_equal(ew_query_open(&query, other, EW_QUERY_PATIENCE_MS, &err), EW_ENOTFOUND);
    assert_non_null(strstr(err.text, "there is no ledger"));
    assert_int_equal(access(other, F_OK), -1); /* asking makes no file */
    assert_int_equal(ew_query_open(&query, root, EW_QUERY_PATIENCE_MS, &err), EW_EINVAL);
    FILE *text = fopen(other, "w");
    fclose(text);
    assert_int_equal(ew_query_open(&query, other, EW_QUERY_PATIENCE_MS, &err), EW_ENOTFOUND);
    assert_non_null(strstr(err.text, "an empty file"));
    snprintf(other, sizeof other, "%s/other.db", root);
    run_sql(other, "CREATE TABLE requests(a)");
    assert_int_equal(ew_query_open(&query, other, EW_QUERY_PATIENCE_MS, &err), EW_EFORMAT);
    assert_non_null(strstr(err.text, "not a ledger of edgewise"));
    snprintf(other, sizeof other, "%s/text", root);
    text = fopen(other, "w");
    fputs("this is a text and by no means a database", text);
    fclose(text);
    assert_int_equal(ew_query_open(&query, other, EW_QUERY_PATIENCE_MS, &err), EW_EFORMAT);
    run_sql(path, "PRAGMA user_version = 9");
    assert_int_equal(ew_query_open(&query, path, EW_QUERY_PATIENCE_MS, &err), EW_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "version 9"));
    assert_null(query);
}

static void test_forgetting_deletes_what_came_before_and_no_more(void **state)
{
    (void)state;
    struct ew_query_filter filter;
    uint64_t deleted = 0;
    struct ew_err err = {0};
    ew_query_filter_init(&filter);
    assert_int_equal(ew_ledger_forget(path, row_of(40).arrived_ms, &deleted, &err), 0);
    assert_int_equal(deleted, 40);
    assert_string_equal(look(&filter).first.request_id, "req-40");
    assert_int_equal(ew_ledger_forget(path, row_of(40).arrived_ms, &deleted, &err), 0);
    assert_int_equal(deleted, 0);
}

static void test_a_reader_sees_what_a_writer_adds(void **state)
{
    (void)state;
    struct ew_query_filter filter;
    struct ew_ledger *ledger = NULL;
    struct ew_ledger_params params = {.path = path};
    struct ew_ledger_state now = {0};
    ew_query_filter_init(&filter);
    assert_int_equal(ew_ledger_open(&ledger, &params, NULL), 0);
    for (int i = ROWS; i < ROWS + 10; i++) {
        struct ew_record record = row_of(i);
        assert_true(ew_ledger_put(ledger, &record, NULL));
    }
    for (int turn = 0; turn < 1000 && now.written < 10; turn++) {
        usleep(10000);
        ew_ledger_state(ledger, &now);
    }
    assert_int_equal(look(&filter).rows, ROWS + 10);
    ew_ledger_close(&ledger, 10);
}

int main(void)
{
#define ROOM(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        ROOM(test_rows_come_back_as_they_were_put),
        ROOM(test_filters_let_through_what_they_name),
        ROOM(test_one_request_and_one_reason_are_found),
        ROOM(test_a_limit_keeps_the_latest),
        ROOM(test_the_taker_may_stop),
        ROOM(test_sums_and_quantiles_are_those_made_by_hand),
        ROOM(test_groups_have_their_own_sums),
        ROOM(test_a_ledger_of_before_lacks_columns_and_is_read),
        ROOM(test_what_is_no_ledger_is_told_apart),
        ROOM(test_forgetting_deletes_what_came_before_and_no_more),
        ROOM(test_a_reader_sees_what_a_writer_adds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
