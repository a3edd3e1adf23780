/* test_restore.c - what a ledger's rows make of limits and budgets, on a machine that was started a
 * moment ago; clocks that were changed; ledgers that are no use. */
#include "ledger/ledger.h"
#include "serve/restore.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW_MS 1790000000000
#define NOW_NS (5 * (uint64_t)EW_NS_PER_S) /* since the machine's start */
#define MINUTE (60 * (uint64_t)EW_NS_PER_S)
#define HOUR   (60 * MINUTE)

static char root[64], path[128];

static struct ew_config_client clients[] = {
    {.name = "kiosk",
     .limits = {{.requests = 3, .per_s = 60}, {.tokens = 1000, .per_s = 86400}},
     .limit_count = 2},
    {.name = "desk"},
};
static struct ew_config_device devices[] = {
    {.name = "agx",
     .url = "http://127.0.0.1:9/v1",
     .limits = {{.joules = 50, .per_s = 3600}},
     .limit_count = 1},
};
static struct ew_config_cloud clouds[] = {
    {.name = "sky",
     .url = "http://127.0.0.1:9/v1",
     .limits = {{.cents = 100, .per_s = 86400}},
     .limit_count = 1},
};
static const struct ew_config config = {.clients = clients,
                                        .client_count = 2,
                                        .devices = devices,
                                        .device_count = 1,
                                        .clouds = clouds,
                                        .cloud_count = 1};

struct world {
    struct ew_quotas *quotas;
    struct ew_fleet *fleet;
};

static struct world restored(int64_t now_ms)
{
    struct world w = {0};
    const struct ew_fleet_params params = {.seed = 1};
    assert_int_equal(ew_quotas_open(&w.quotas, &config, NULL), 0);
    assert_int_equal(ew_fleet_open(&w.fleet, &params, &config, NULL), 0);
    ew_restore_windows(w.quotas, w.fleet, path, NOW_NS, now_ms);
    return w;
}

static void leave(struct world *w)
{
    ew_quotas_close(&w->quotas);
    ew_fleet_close(&w->fleet);
}

/* Of the only window of a member. */
static double used(const struct world *w, const char *name, uint64_t now_ns)
{
    struct ew_member *m = ew_fleet_first(w->fleet);
    while (strcmp(m->name, name) != 0)
        m = m->next;
    return ew_window_used(&m->place.limits.windows[0], now_ns);
}

/* What a claim of so many tokens is refused for, "" where it isn't. */
static const char *refusal(const struct world *w, const char *client, double tokens,
                           uint64_t now_ns, double *wait_s)
{
    const struct ew_amounts amounts = {.of = {1, tokens, NAN, NAN}}, nothing = {{0}};
    struct ew_quotas_claim claim;
    static struct ew_fault fault;
    if (ew_quotas_claim(w->quotas, client, &amounts, now_ns, &claim, &fault)) {
        *wait_s = fault.retry_after_s;
        return fault.type;
    }
    ew_quotas_settle(w->quotas, &claim, &nothing, now_ns);
    return "";
}

struct row {
    const char *client, *device;
    int64_t ago_ms; /* it ended, having taken a second */
    double tokens, joules, cents;
};

static void write_rows(const struct row *rows, size_t count)
{
    struct ew_ledger *ledger = NULL;
    const struct ew_ledger_params params = {.path = path};
    assert_int_equal(ew_ledger_open(&ledger, &params, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        struct ew_record record;
        ew_record_init(&record);
        snprintf(record.client, sizeof record.client, "%s", rows[i].client);
        snprintf(record.device, sizeof record.device, "%s", rows[i].device);
        record.arrived_ms = NOW_MS - rows[i].ago_ms - 1000;
        record.total_ms = 1000;
        record.prompt_tokens = 10;
        record.output_tokens = (int64_t)rows[i].tokens - 10;
        record.energy_j = rows[i].joules;
        record.cost_cents = rows[i].cents;
        ew_ledger_put(ledger, &record, NULL);
    }
    ew_ledger_close(&ledger, 20);
}

static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/ew-test-restore-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    snprintf(path, sizeof path, "%s/ledger.db", root);
    return 0;
}

static int teardown(void **state)
{
    char command[100];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

static void windows_go_on_where_they_were(void **state)
{
    static const struct row rows[] = {
        {"kiosk", "sky", 86400000, 10, NAN, 7},       /* a day ago: gone by now */
        {"kiosk", "sky", 20 * 3600000, 400, NAN, 60}, /* four hours are left */
        {"desk", "agx", 50 * 60000, 20, 30, .01},     /* ten minutes */
        {"kiosk", "agx", 45000, 300, NAN, NAN},       /* unknown joules count as none */
        {"kiosk", "", 40000, 999, NAN, NAN},          /* refused, so never begun */
        {"kiosk", "sky", 20000, 200, NAN, 40},
        {"stranger", "gone", 10000, 1e6, 1e6, 1e6}, /* of another configuration */
        {"kiosk", "here", 5000, 50, 5, .1},
    };
    double wait_s;
    (void)state;
    write_rows(rows, EW_COUNT(rows));
    struct world w = restored(NOW_MS);
    assert_true(used(&w, "sky", NOW_NS) == 100);
    assert_true(used(&w, "sky", NOW_NS + 4 * HOUR - 1) == 100);
    assert_true(used(&w, "sky", NOW_NS + 4 * HOUR) == 40);
    assert_true(used(&w, "agx", NOW_NS) == 30);
    assert_true(used(&w, "agx", NOW_NS + 10 * MINUTE) == 0);
    assert_string_equal(refusal(&w, "kiosk", 1, NOW_NS, &wait_s), "requests");
    assert_true(wait_s == 15);
    assert_string_equal(refusal(&w, "kiosk", 51, NOW_NS + MINUTE, &wait_s), "tokens");
    assert_true(wait_s == 4 * 3600 - 60);
    assert_string_equal(refusal(&w, "kiosk", 50, NOW_NS + MINUTE, &wait_s), "");
    assert_string_equal(refusal(&w, "desk", 1e9, NOW_NS, &wait_s), "");
    leave(&w);
}

static void a_clock_that_was_put_back_opens_no_budget(void **state)
{
    static const struct row rows[] = {
        {"desk", "sky", -3600000, 10, NAN, 30},          /* in an hour, says the ledger */
        {"desk", "sky", -400LL * 86400000, 10, NAN, 50}, /* of a clock that was wrong */
        {"desk", "sky", 2 * 3600000, 10, NAN, 5},
    };
    (void)state;
    write_rows(rows, EW_COUNT(rows));
    struct world w = restored(NOW_MS);
    assert_true(used(&w, "sky", NOW_NS) == 35);
    assert_true(used(&w, "sky", NOW_NS + 24 * HOUR - 1) == 35);
    assert_true(used(&w, "sky", NOW_NS + 24 * HOUR) == 0);
    leave(&w);
    w = restored(0); /* a clock that nobody has set: all is far away */
    assert_true(used(&w, "sky", NOW_NS) == 0);
    leave(&w);
}

static void run_sql(const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* So many rows that arrived after all others; device: "NULL" is that of a refused request. */
static void add_rows(int count, const char *device)
{
    char sql[400];
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
             "INSERT INTO requests(arrived_ms, total_ms, client, device) "
             "SELECT %lld, 1, 'desk', %s FROM n",
             count, (long long)NOW_MS - 100, device);
    run_sql(sql);
}

static void a_long_ledger_is_read_from_its_latest_answers(void **state)
{
    static const struct row rows[] = {
        {"desk", "sky", 3000, 10, NAN, 1},
        {"desk", "sky", 2000, 10, NAN, 2},
        {"desk", "sky", 1000, 10, NAN, 4},
    };
    (void)state;
    write_rows(rows, EW_COUNT(rows));
    add_rows(EW_RESTORE_ROWS_MAX - 3, "'agx'");
    struct world w = restored(NOW_MS);
    assert_true(used(&w, "sky", NOW_NS) == 7);
    leave(&w);
    add_rows(1, "'agx'");
    w = restored(NOW_MS);
    assert_true(used(&w, "sky", NOW_NS) == 6);
    leave(&w);
}

static void refused_requests_push_no_answers_out(void **state)
{
    static const struct row row = {"desk", "sky", 3000, 10, NAN, 7};
    (void)state;
    write_rows(&row, 1);
    add_rows(EW_RESTORE_ROWS_MAX + 5, "NULL");
    struct world w = restored(NOW_MS);
    assert_true(used(&w, "sky", NOW_NS) == 7);
    leave(&w);
}

static void write_text(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void a_ledger_that_is_no_use_leaves_windows_empty(void **state)
{
    static const struct row row = {"desk", "sky", 1000, 10, NAN, 50};
    sqlite3 *other;
    struct world w;
    (void)state;
    w = restored(NOW_MS); /* there is none */
    leave(&w);
    write_text("");
    w = restored(NOW_MS);
    leave(&w);
    write_text("this is a text and by no means a database, however long it is read for rows");
    w = restored(NOW_MS);
    assert_true(used(&w, "sky", NOW_NS) == 0);
    leave(&w);
    write_text("");
    write_rows(&row, 1);
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(other, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE", NULL, NULL, NULL),
        SQLITE_OK);
    w = restored(NOW_MS);
    assert_true(used(&w, "sky", NOW_NS) == 0);
    leave(&w);
    sqlite3_close(other);
    w = restored(NOW_MS);
    assert_true(used(&w, "sky", NOW_NS) == 50);
    leave(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(windows_go_on_where_they_were, setup, teardown),
        cmocka_unit_test_setup_teardown(a_clock_that_was_put_back_opens_no_budget, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_ledger_is_read_from_its_latest_answers, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(refused_requests_push_no_answers_out, setup, teardown),
        cmocka_unit_test_setup_teardown(a_ledger_that_is_no_use_leaves_windows_empty, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
