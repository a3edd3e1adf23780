/* test_ledger.c - rows survive: locks, full disks, damage, deletion, and the death of the process.
 * Also store.c's schema: made, completed, refused. */
#include "ledger/ledger.h"
#include "ledger/store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char root[64], path[128];

/* What the callbacks heard, under a mutex: they come from the ledger's thread. */
static struct {
    pthread_mutex_t mutex;
    char said[8192];
    _Atomic int sentences, done, given_up;
    intptr_t last_token;
    bool in_order;
} heard = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void on_trouble(void *user, const char *sentence)
{
    (void)user;
    pthread_mutex_lock(&heard.mutex);
    size_t used = strlen(heard.said);
    snprintf(heard.said + used, sizeof heard.said - used, "%s\n", sentence);
    heard.sentences++;
    pthread_mutex_unlock(&heard.mutex);
}

static void on_done(void *user, void *token, bool committed)
{
    (void)user;
    pthread_mutex_lock(&heard.mutex);
    heard.done += committed;
    heard.given_up += !committed;
    heard.in_order = heard.in_order && (intptr_t)token > heard.last_token;
    heard.last_token = (intptr_t)token;
    pthread_mutex_unlock(&heard.mutex);
}

static bool has_said(const char *text)
{
    pthread_mutex_lock(&heard.mutex);
    bool yes = strstr(heard.said, text) != NULL;
    pthread_mutex_unlock(&heard.mutex);
    return yes;
}

static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/ew-test-ledger-XXXXXX");
    heard.said[0] = '\0';
    heard.sentences = heard.done = heard.given_up = 0;
    heard.last_token = 0;
    heard.in_order = true;
    if (!mkdtemp(root))
        return -1;
    snprintf(path, sizeof path, "%s/ledger.db", root);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[200];
    snprintf(command, sizeof command, "chmod -R u+w %s; rm -rf %s", root, root);
    return system(command);
}

static void wait_ms(int ms)
{
    struct timespec rest = {ms / 1000, ms % 1000 * 1000000l};
    nanosleep(&rest, NULL);
}

static int64_t now_ms(clockid_t clock)
{
    struct timespec at;
    clock_gettime(clock, &at);
    return (int64_t)at.tv_sec * 1000 + at.tv_nsec / 1000000;
}

/* Polls up to ten seconds. */
#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        for (int turn_ = 0; turn_ < 1000 && !(condition); turn_++)                                 \
            wait_ms(10);                                                                           \
        assert_true(condition);                                                                    \
    } while (0)

static struct ew_ledger *open_with(bool durable, uint32_t keep_days)
{
    struct ew_ledger *ledger = NULL;
    struct ew_err err = {0};
    struct ew_ledger_params params = {.path = path,
                                      .durable = durable,
                                      .keep_days = keep_days,
                                      .done = on_done,
                                      .trouble = on_trouble};
    assert_int_equal(ew_ledger_open(&ledger, &params, &err), 0);
    return ledger;
}

static struct ew_record row_of(int64_t n)
{
    struct ew_record record;
    ew_record_init(&record);
    snprintf(record.request_id, sizeof record.request_id, "req-%lld", (long long)n);
    snprintf(record.client, sizeof record.client, "kiosk");
    snprintf(record.model, sizeof record.model, "smollm2-135m");
    record.arrived_ms = now_ms(CLOCK_REALTIME);
    record.status = 200;
    record.prompt_tokens = n;
    record.total_ms = 12.5;
    return record;
}

static void put_rows(struct ew_ledger *ledger, int from, int count)
{
    for (int i = from; i < from + count; i++) {
        struct ew_record record = row_of(i);
        assert_true(ew_ledger_put(ledger, &record, NULL));
    }
}

static struct ew_ledger_state state_of(struct ew_ledger *ledger)
{
    struct ew_ledger_state state;
    ew_ledger_state(ledger, &state);
    return state;
}

static sqlite3 *connect_to(const char *file)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    return db;
}

static int64_t ask(const char *file, const char *sql)
{
    sqlite3 *db = connect_to(file);
    sqlite3_stmt *statement = NULL;
    int64_t value = -1;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return value;
}

static int64_t count_rows(void)
{
    return ask(path, "SELECT count(*) FROM requests");
}

static void run_sql(const char *file, const char *sql)
{
    sqlite3 *db = connect_to(file);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void write_file(const char *file, const char *text, long at)
{
    int fd = open(file, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, text, strlen(text), at), (ssize_t)strlen(text));
    close(fd);
}

/* Full path of the first file in root whose name has `part` in it. */
static bool find_file(const char *part, char *out, size_t size)
{
    char command[200];
    snprintf(command, sizeof command, "ls -d %s/*%s* 2>/dev/null | head -1", root, part);
    FILE *list = popen(command, "r");
    out[0] = '\0';
    if (list && fgets(out, (int)size, list))
        out[strcspn(out, "\n")] = '\0';
    pclose(list);
    return out[0] != '\0';
}

/* ---- the plain course ---- */

static void test_rows_are_there_soon_after_they_were_put(void **state)
{
    (void)state;
    struct ew_ledger *ledger = open_with(false, 0);
    WAIT_FOR(access(path, F_OK) == 0);
    put_rows(ledger, 1, 100);
    WAIT_FOR(state_of(ledger).written == 100);
    assert_int_equal(count_rows(), 100);
    assert_int_equal(state_of(ledger).waiting, 0);
    assert_true(state_of(ledger).well);
    put_rows(ledger, 101, 5000); /* more than one group; close writes the rest */
    ew_ledger_close(&ledger, 10);
    assert_null(ledger);
    assert_int_equal(count_rows(), 5100);
    assert_int_equal(ask(path, "SELECT count(DISTINCT request_id) FROM requests"), 5100);
    assert_int_equal(heard.sentences, 0);
}

static void test_what_is_unknown_is_null_and_what_is_known_is_exact(void **state)
{
    (void)state;
    struct ew_ledger *ledger = open_with(false, 0);
    struct ew_record record = row_of(1);
    snprintf(record.prompt, sizeof record.prompt, "%s", "caf\xC3\xA9 'quoted' \"twice\"; DROP");
    record.energy_j = 0.1;
    record.cost_cents = 0;
    assert_true(ew_ledger_put(ledger, &record, NULL));
    ew_ledger_close(&ledger, 10);
    assert_int_equal(ask(path,
                         "SELECT prompt = 'café ''quoted'' \"twice\"; DROP' AND energy_j = 0.1 "
                         "AND cost_cents = 0 AND status = 200 AND total_ms = 12.5 "
                         "FROM requests"),
                     1);
    assert_int_equal(ask(path,
                         "SELECT device IS NULL AND cached_tokens IS NULL AND ttft_ms IS NULL "
                         "AND load_ms IS NULL AND energy_kind IS NULL FROM requests"),
                     1);
}

static void test_the_file_is_its_owners_alone(void **state)
{
    (void)state;
    struct stat about;
    mode_t mask = umask(0);
    struct ew_ledger *ledger = open_with(false, 0);
    put_rows(ledger, 1, 1);
    WAIT_FOR(state_of(ledger).written == 1);
    umask(mask);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    char wal[160];
    snprintf(wal, sizeof wal, "%s-wal", path);
    assert_int_equal(stat(wal, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    ew_ledger_close(&ledger, 10);
}

static void test_names_that_sqlite_takes_for_something_else_are_files(void **state)
{
    (void)state;
    char here[4096];
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(root), 0);
    snprintf(path, sizeof path, "file:odd?mode=memory");
    struct ew_ledger *ledger = open_with(false, 0);
    put_rows(ledger, 1, 1);
    ew_ledger_close(&ledger, 10);
    assert_int_equal(access("./file:odd?mode=memory", F_OK), 0);
    assert_int_equal(chdir(here), 0);
}

static void test_paths_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    struct ew_ledger *ledger = NULL;
    char longest[5000];
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    const char *const paths[] = {"", NULL, root, "nowhere/", longest};
    for (size_t i = 0; i < EW_COUNT(paths); i++) {
        struct ew_err err = {0};
        struct ew_ledger_params params = {.path = paths[i]};
        assert_int_equal(ew_ledger_open(&ledger, &params, &err), EW_EINVAL);
        assert_null(ledger);
        assert_true(err.text[0]);
    }
}

static void test_durable_rows_are_answered_in_order_when_they_are_safe(void **state)
{
    (void)state;
    struct ew_ledger *ledger = open_with(true, 0);
    for (intptr_t i = 1; i <= 500; i++) {
        struct ew_record record = row_of(i);
        assert_true(ew_ledger_put(ledger, &record, (void *)i));
    }
    WAIT_FOR(state_of(ledger).written == 500);
    assert_int_equal(count_rows(), 500);
    ew_ledger_close(&ledger, 10);
    assert_int_equal(heard.done, 500);
    assert_int_equal(heard.given_up, 0);
    assert_true(heard.in_order);
}

static void *put_many(void *user)
{
    for (int i = 0; i < 2000; i++) {
        struct ew_record record = row_of(i);
        ew_ledger_put(user, &record, NULL);
    }
    return NULL;
}

static void test_any_thread_may_put(void **state)
{
    (void)state;
    struct ew_ledger *ledger = open_with(false, 0);
    pthread_t threads[4];
    for (size_t i = 0; i < EW_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, put_many, ledger), 0);
    for (size_t i = 0; i < EW_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    ew_ledger_close(&ledger, 20);
    assert_int_equal(count_rows(), 8000);
}

/* ---- faults ---- */

static void test_a_lock_of_another_process_only_delays(void **state)
{
    (void)state;
    struct ew_ledger *ledger = open_with(true, 0);
    put_rows(ledger, 1, 1);
    WAIT_FOR(state_of(ledger).written == 1);
    sqlite3 *db = connect_to(path);
    assert_int_equal(sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    struct ew_record record = row_of(2);
    assert_true(ew_ledger_put(ledger, &record, (void *)2));
    WAIT_FOR(has_said("another process has locked it"));
    assert_false(state_of(ledger).well);
    assert_string_equal(state_of(ledger).trouble, "another process has locked it");
    WAIT_FOR(heard.given_up == 1); /* nobody waits for ever */
    assert_int_equal(state_of(ledger).waiting, 1);
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    sqlite3_close(db);
    WAIT_FOR(state_of(ledger).written == 2);
    assert_true(state_of(ledger).well);
    ew_ledger_close(&ledger, 10);
    assert_int_equal(count_rows(), 2);
    assert_int_equal(heard.done, 0); /* once a row, not twice */
    assert_int_equal(heard.sentences, 2);
}

static void test_a_long_reader_delays_nothing(void **state)
{
    (void)state;
    struct ew_ledger *ledger = open_with(false, 0);
    put_rows(ledger, 1, 10);
    WAIT_FOR(state_of(ledger).written == 10);
    sqlite3 *db = connect_to(path);
    assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT count(*) FROM requests", NULL, NULL, NULL),
                     SQLITE_OK);
    put_rows(ledger, 11, 10);
    WAIT_FOR(state_of(ledger).written == 20);
    sqlite3_close(db);
    ew_ledger_close(&ledger, 10);
    assert_int_equal(heard.sentences, 0);
}

static void test_a_file_deleted_or_replaced_is_made_anew(void **state)
{
    (void)state;
    struct ew_ledger *ledger = open_with(false, 0);
    put_rows(ledger, 1, 10);
    WAIT_FOR(state_of(ledger).written == 10);
    assert_int_equal(unlink(path), 0);
    put_rows(ledger, 11, 7);
    WAIT_FOR(state_of(ledger).written == 17);
    assert_int_equal(count_rows(), 7);
    assert_true(has_said("it was deleted; a new one is begun"));
    char moved[160];
    snprintf(moved, sizeof moved, "%s.old", path);
    assert_int_equal(rename(path, moved), 0);
    write_file(path, "", 0);
    put_rows(ledger, 18, 3);
    WAIT_FOR(state_of(ledger).written == 20);
    assert_int_equal(count_rows(), 3);
    assert_true(has_said("another file has taken its place"));
    ew_ledger_close(&ledger, 10);
    assert_int_equal(ask(moved, "SELECT count(*) FROM requests"), 7); /* what it had, it has */
}

static void test_a_wal_deleted_loses_no_row(void **state)
{
    (void)state;
    char wal[160];
    struct ew_ledger *ledger = open_with(false, 0);
    put_rows(ledger, 1, 10);
    WAIT_FOR(state_of(ledger).written == 10);
    snprintf(wal, sizeof wal, "%s-wal", path);
    assert_int_equal(unlink(wal), 0);
    put_rows(ledger, 11, 10);
    WAIT_FOR(state_of(ledger).written == 20);
    ew_ledger_close(&ledger, 10);
    assert_int_equal(count_rows(), 20);
}

static void make_ledger(int rows)
{
    struct ew_ledger *ledger = open_with(false, 0);
    put_rows(ledger, 1, rows);
    ew_ledger_close(&ledger, 20);
    assert_int_equal(count_rows(), rows);
}

static void test_a_destroyed_header_puts_the_file_aside(void **state)
{
    (void)state;
    char aside[300], text[64] = "";
    make_ledger(100);
    write_file(path, "this was the header of a database", 0);
    struct ew_ledger *ledger = open_with(false, 0);
    put_rows(ledger, 1, 5);
    ew_ledger_close(&ledger, 10);
    assert_int_equal(count_rows(), 5);
    assert_true(has_said("it was moved to"));
    assert_true(find_file("ledger.db.corrupt-", aside, sizeof aside));
    int fd = open(aside, O_RDONLY);
    assert_int_equal(read(fd, text, 33), 33); /* the evidence is as it was */
    close(fd);
    assert_string_equal(text, "this was the header of a database");
}

static void test_damage_in_the_middle_puts_the_file_aside_and_loses_no_new_row(void **state)
{
    (void)state;
    char aside[300], junk[4097];
    make_ledger(3000);
    memset(junk, 'x', sizeof junk - 1);
    junk[sizeof junk - 1] = '\0';
    int64_t pages = ask(path, "PRAGMA page_count");
    for (int64_t page = 1; page < pages; page++) /* all but the first */
        write_file(path, junk, page * 4096);
    struct ew_ledger *ledger = open_with(false, 0);
    put_rows(ledger, 1, 50);
    ew_ledger_close(&ledger, 10);
    assert_int_equal(count_rows(), 50);
    assert_true(find_file("ledger.db.corrupt-", aside, sizeof aside));
    assert_int_equal(ask(path, "SELECT count(*) FROM pragma_integrity_check WHERE "
                               "integrity_check = 'ok'"),
                     1);
}

static void test_a_file_that_never_was_a_ledger_is_left_alone(void **state)
{
    (void)state;
    char text[32] = "";
    snprintf(path, sizeof path, "%s/notes.txt", root);
    write_file(path, "dear diary, this is text of somebody's\n", 0);
    struct ew_ledger *ledger = open_with(false, 0);
    put_rows(ledger, 1, 5);
    WAIT_FOR(has_said("isn't a database, and is left as it is"));
    ew_ledger_close(&ledger, 0.3);
    int fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, text, 10), 10);
    close(fd);
    assert_string_equal(text, "dear diary");
    assert_true(has_said("5 more rows were lost"));
}

static void test_a_database_of_others_is_left_alone(void **state)
{
    (void)state;
    run_sql(path, "CREATE TABLE requests(a); INSERT INTO requests VALUES(1)");
    struct ew_ledger *ledger = open_with(false, 0);
    put_rows(ledger, 1, 5);
    WAIT_FOR(has_said("a database of another program"));
    assert_int_equal(state_of(ledger).waiting, 5);
    ew_ledger_close(&ledger, 0.3);
    assert_int_equal(count_rows(), 1);
}

static void test_a_newer_file_is_refused_and_rows_wait(void **state)
{
    (void)state;
    make_ledger(3);
    run_sql(path, "PRAGMA user_version = 2");
    struct ew_ledger *ledger = open_with(false, 0);
    put_rows(ledger, 1, 5);
    WAIT_FOR(has_said("a newer edgewise wrote it (version 2, this one knows 1)"));
    assert_int_equal(count_rows(), 3);
    run_sql(path, "PRAGMA user_version = 1");
    WAIT_FOR(state_of(ledger).written == 5);
    ew_ledger_close(&ledger, 10);
    assert_int_equal(count_rows(), 8);
}

static void test_an_older_file_gets_the_columns_it_lacks(void **state)
{
    (void)state;
    make_ledger(3);
    run_sql(path,
            "ALTER TABLE requests DROP COLUMN load_ms; ALTER TABLE requests DROP COLUMN prompt");
    struct ew_ledger *ledger = open_with(false, 0);
    struct ew_record record = row_of(4);
    record.load_ms = 7;
    assert_true(ew_ledger_put(ledger, &record, NULL));
    ew_ledger_close(&ledger, 10);
    assert_int_equal(count_rows(), 4);
    assert_int_equal(ask(path, "SELECT count(*) FROM requests WHERE load_ms = 7"), 1);
    assert_int_equal(heard.sentences, 0);
}

static void test_a_folder_that_is_made_later_is_found(void **state)
{
    (void)state;
    char folder[100];
    snprintf(folder, sizeof folder, "%s/sub", root);
    snprintf(path, sizeof path, "%s/sub/deep/ledger.db", root);
    write_file(folder, "a file where a folder should be", 0);
    struct ew_ledger *ledger = open_with(false, 0);
    put_rows(ledger, 1, 5);
    WAIT_FOR(has_said("a file has that name"));
    assert_int_equal(unlink(folder), 0);
    WAIT_FOR(state_of(ledger).written == 5);
    ew_ledger_close(&ledger, 10);
    assert_int_equal(count_rows(), 5);
}

/* In a child, for limits and users can't be had back. */
static int in_child(void (*body)(void))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        body();
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

#define CHILD_CHECK(condition)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "line %d: %s\n%s", __LINE__, #condition, heard.said);                  \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static void fill_the_disk(void)
{
    struct rlimit limit = {256 << 10, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    struct ew_ledger *ledger = open_with(false, 0);
    setrlimit(RLIMIT_FSIZE, &limit);
    for (int i = 0; i < 5000; i++) {
        struct ew_record record = row_of(i);
        CHILD_CHECK(ew_ledger_put(ledger, &record, NULL));
        if (i % 100 == 0)
            wait_ms(2);
    }
    for (int i = 0; i < 1000 && !has_said("no room on the disk"); i++)
        wait_ms(10);
    CHILD_CHECK(has_said("no room on the disk"));
    struct ew_ledger_state before = state_of(ledger);
    CHILD_CHECK(before.waiting > 0 && before.waiting + before.written == 5000 && !before.lost);
    limit.rlim_cur = RLIM_INFINITY; /* somebody made room */
    setrlimit(RLIMIT_FSIZE, &limit);
    for (int i = 0; i < 1000 && state_of(ledger).waiting; i++)
        wait_ms(10);
    CHILD_CHECK(state_of(ledger).written == 5000 && state_of(ledger).well);
    ew_ledger_close(&ledger, 10);
    CHILD_CHECK(count_rows() == 5000 && has_said("well again; 0 rows were lost"));
    CHILD_CHECK(heard.sentences == 2);
}

static void test_a_full_disk_costs_no_row_that_fits_in_memory(void **state)
{
    (void)state;
    assert_int_equal(in_child(fill_the_disk), 0);
}

/* Where we are root, a limit of permissions binds us only as another user. */
static void write_read_only(void)
{
    CHILD_CHECK(chown(root, 65534, 65534) == 0 || getuid() != 0);
    CHILD_CHECK(chmod(root, 0500) == 0);
    CHILD_CHECK(getuid() != 0 || (setgid(65534) == 0 && setuid(65534) == 0));
    struct ew_ledger *ledger = open_with(false, 0);
    struct ew_record record = row_of(1);
    CHILD_CHECK(ew_ledger_put(ledger, &record, NULL));
    for (int i = 0; i < 1000 && !has_said("Permission denied"); i++)
        wait_ms(10);
    CHILD_CHECK(has_said("Permission denied"));
    CHILD_CHECK(chmod(root, 0700) == 0);
    for (int i = 0; i < 1000 && state_of(ledger).waiting; i++)
        wait_ms(10);
    ew_ledger_close(&ledger, 10);
    CHILD_CHECK(count_rows() == 1);
}

static void test_a_folder_without_permission_is_waited_for(void **state)
{
    (void)state;
    assert_int_equal(in_child(write_read_only), 0);
}

static void test_what_no_longer_fits_is_counted_and_said_once(void **state)
{
    (void)state;
    struct ew_ledger *ledger = open_with(false, 0);
    put_rows(ledger, 1, 1);
    WAIT_FOR(state_of(ledger).written == 1);
    sqlite3 *db = connect_to(path);
    assert_int_equal(sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    struct ew_record record = row_of(2);
    int put = 1, refused = 0;
    for (int i = 0; i < EW_LEDGER_SPOOL_ROWS + 500; i++)
        *(ew_ledger_put(ledger, &record, NULL) ? &put : &refused) += 1;
    assert_true(refused >= 500);
    WAIT_FOR(has_said("more rows wait than fit in memory"));
    assert_int_equal(state_of(ledger).lost, refused);
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    sqlite3_close(db);
    WAIT_FOR(state_of(ledger).waiting == 0);
    ew_ledger_close(&ledger, 30);
    assert_int_equal(count_rows(), put);
    char wanted[100];
    snprintf(wanted, sizeof wanted, "well again; %d rows were lost", refused);
    assert_true(has_said(wanted));
    assert_int_equal(heard.sentences, 3);
}

/* ---- retention ---- */

static void test_old_rows_go_and_young_ones_stay(void **state)
{
    (void)state;
    struct ew_ledger *ledger = open_with(false, 0);
    for (int i = 0; i < 600; i++) {
        struct ew_record record = row_of(i);
        record.arrived_ms -= i < 500 ? 8 * 86400000ll : 6 * 86400000ll;
        assert_true(ew_ledger_put(ledger, &record, NULL));
    }
    ew_ledger_close(&ledger, 10);
    assert_int_equal(count_rows(), 600);
    int64_t pages = ask(path, "PRAGMA page_count");
    ledger = open_with(false, 7);
    WAIT_FOR(count_rows() == 100);
    put_rows(ledger, 1, 1); /* it serves on meanwhile */
    WAIT_FOR(state_of(ledger).written == 1);
    ew_ledger_close(&ledger, 10);
    assert_true(ask(path, "PRAGMA page_count") < pages);
}

/* ---- kill -9 ---- */

enum { KILL_ROUNDS = 20 };

struct shared { /* with the child */
    _Atomic int64_t put, put_ms[1 << 16];
};

static void put_until_killed(struct shared *shared, int round)
{
    struct ew_ledger *ledger = open_with(false, 0);
    for (int i = 0; i < 1 << 16; i++) {
        struct ew_record record = row_of(i);
        record.choices = round;
        if (!ew_ledger_put(ledger, &record, NULL))
            _exit(3);
        shared->put_ms[i] = now_ms(CLOCK_MONOTONIC);
        shared->put = i + 1;
        if (i % 10 == 0)
            wait_ms(1);
    }
    for (;;)
        pause();
}

/* The promise is 2 * EW_LEDGER_COMMIT_MS; a busy machine may keep a thread waiting for longer. */
enum { GRACE_MS = 1000, GRACE_ROUNDS = 6 };

static void test_a_kill_loses_no_row_that_had_time_to_be_written(void **state)
{
    (void)state;
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(shared, MAP_FAILED);
    int64_t oldest_lost_ms = 0;
    for (int round = 0; round < GRACE_ROUNDS; round++) {
        shared->put = 0;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            put_until_killed(shared, round);
        while (shared->put < 50)
            wait_ms(1);
        wait_ms(GRACE_MS + 150 + round * 17 % 100);
        int64_t killed_ms = now_ms(CLOCK_MONOTONIC), safe = 0; /* we may sleep once it is sent */
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        while (safe < shared->put && killed_ms - shared->put_ms[safe] > GRACE_MS)
            safe++;
        char sql[160];
        snprintf(sql, sizeof sql,
                 "SELECT count(*) FROM requests WHERE choices = %d AND prompt_tokens < %lld", round,
                 (long long)safe);
        assert_true(safe > 0);
        assert_int_equal(ask(path, sql), safe);
        snprintf(sql, sizeof sql, "SELECT count(*) FROM requests WHERE choices = %d", round);
        int64_t written = ask(path, sql), ms = killed_ms - shared->put_ms[written];
        oldest_lost_ms = written < shared->put && ms > oldest_lost_ms ? ms : oldest_lost_ms;
    }
    printf("the oldest row that a kill lost was put %lld ms before\n", (long long)oldest_lost_ms);
    munmap(shared, sizeof *shared);
}

/* Each row that `done` was called for is there, however soon the kill comes after. */
static struct shared *told;
static void on_safe(void *user, void *token, bool committed)
{
    (void)user;
    if (committed)
        told->put = (intptr_t)token;
}

static void test_durable_loses_nothing_that_was_answered(void **state)
{
    (void)state;
    told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(told, MAP_FAILED);
    for (int round = 0; round < KILL_ROUNDS; round++) {
        told->put = 0;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct ew_ledger *ledger = NULL;
            struct ew_ledger_params params = {.path = path, .durable = true, .done = on_safe};
            if (ew_ledger_open(&ledger, &params, NULL))
                _exit(3);
            for (intptr_t i = 1;; i++) {
                struct ew_record record = row_of(i);
                record.choices = round;
                ew_ledger_put(ledger, &record, (void *)i);
                wait_ms(1);
            }
        }
        while (told->put < 5 + round)
            wait_ms(1);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        char sql[160];
        snprintf(sql, sizeof sql,
                 "SELECT count(*) FROM requests WHERE choices = %d AND prompt_tokens <= %lld",
                 round, (long long)told->put);
        assert_int_equal(ask(path, sql), told->put);
    }
    munmap(told, sizeof *told);
}

int main(void)
{
#define ROOM(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        ROOM(test_rows_are_there_soon_after_they_were_put),
        ROOM(test_what_is_unknown_is_null_and_what_is_known_is_exact),
        ROOM(test_the_file_is_its_owners_alone),
        ROOM(test_names_that_sqlite_takes_for_something_else_are_files),
        ROOM(test_paths_that_make_no_sense_are_refused),
        ROOM(test_durable_rows_are_answered_in_order_when_they_are_safe),
        ROOM(test_any_thread_may_put),
        ROOM(test_a_lock_of_another_process_only_delays),
        ROOM(test_a_long_reader_delays_nothing),
        ROOM(test_a_file_deleted_or_replaced_is_made_anew),
        ROOM(test_a_wal_deleted_loses_no_row),
        ROOM(test_a_destroyed_header_puts_the_file_aside),
        ROOM(test_damage_in_the_middle_puts_the_file_aside_and_loses_no_new_row),
        ROOM(test_a_file_that_never_was_a_ledger_is_left_alone),
        ROOM(test_a_database_of_others_is_left_alone),
        ROOM(test_a_newer_file_is_refused_and_rows_wait),
        ROOM(test_an_older_file_gets_the_columns_it_lacks),
        ROOM(test_a_folder_that_is_made_later_is_found),
        ROOM(test_a_full_disk_costs_no_row_that_fits_in_memory),
        ROOM(test_a_folder_without_permission_is_waited_for),
        ROOM(test_what_no_longer_fits_is_counted_and_said_once),
        ROOM(test_old_rows_go_and_young_ones_stay),
        ROOM(test_a_kill_loses_no_row_that_had_time_to_be_written),
        ROOM(test_durable_loses_nothing_that_was_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
