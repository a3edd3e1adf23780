/* store.c - opens, fills and trims the database file.
 *
 * WAL, so that readers never wait for us nor we for them. synchronous=NORMAL: a commit is in the
 * kernel's hands, so no death of the process loses it; a loss of power may lose the last seconds.
 * EW_STORE_DURABLE is synchronous=FULL: each commit waits for the disk.
 *
 * A file deleted while it is open would swallow rows without a word, so each commit looks before
 * and after whether the path still leads to the file that we have. */
#include "ledger/store.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct ew_store {
    sqlite3 *db;
    sqlite3_stmt *insert;
    char path[PATH_MAX];     /* as it was given, "./" in front of what isn't absolute */
    char wal[PATH_MAX + 16]; /* its -wal; "" where the file system can't have one */
    dev_t device;
    ino_t inode;
};

static const char sql_create[] = "CREATE TABLE IF NOT EXISTS requests(id INTEGER PRIMARY KEY"
#define TEXT(name, size, meaning) ", " #name " TEXT"
#define INT(name, meaning)        ", " #name " INTEGER"
#define REAL(name, meaning)       ", " #name " REAL"
    EW_RECORD_FIELDS(TEXT, INT, REAL)
#undef TEXT
#undef INT
#undef REAL
        ")";

static const char sql_insert[] = "INSERT INTO requests(id"
#define TEXT(name, size, meaning) ", " #name
#define INT(name, meaning)        ", " #name
#define REAL(name, meaning)       ", " #name
    EW_RECORD_FIELDS(TEXT, INT, REAL)
#undef TEXT
#undef INT
#undef REAL
        ") VALUES(NULL"
#define TEXT(name, size, meaning) ",?"
#define INT(name, meaning)        ",?"
#define REAL(name, meaning)       ",?"
    EW_RECORD_FIELDS(TEXT, INT, REAL)
#undef TEXT
#undef INT
#undef REAL
        ")";

/* By time alone: one more for each client or model took two fifths of what a row costs, and people
 * ask for a time in which the others' rows are soon passed over. Older ledgers have them. */
static const char sql_indexes[] =
    "CREATE INDEX IF NOT EXISTS requests_arrived ON requests(arrived_ms);"
    "DROP INDEX IF EXISTS requests_client;"
    "DROP INDEX IF EXISTS requests_model;";

/* ---- what is wrong ---- */

static enum ew_store_ill ill_of_errno(int number)
{
    return number == ENOSPC || number == EDQUOT || number == EFBIG ? EW_STORE_FULL
                                                                   : EW_STORE_FAILED;
}

/* The system's own error, which SQLITE_IOERR alone doesn't tell: kept with the file it befell. */
static int system_errno(sqlite3 *db)
{
    static const int which[] = {SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_FCNTL_FILE_POINTER};
    int number = sqlite3_system_errno(db);
    for (size_t i = 0; number == 0 && i < EW_COUNT(which); i++) {
        sqlite3_file *file = NULL;
        if (sqlite3_file_control(db, "main", which[i], &file) == SQLITE_OK && file &&
            file->pMethods)
            file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &number);
    }
    return number;
}

static enum ew_store_ill ill_of(int code, int system)
{
    switch (code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return EW_STORE_BUSY;
    case SQLITE_FULL:
        return EW_STORE_FULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return EW_STORE_CORRUPT;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return ill_of_errno(system);
    default:
        return code == SQLITE_READONLY_DBMOVED ? EW_STORE_GONE : EW_STORE_FAILED;
    }
}

static int fail(struct ew_store *store, enum ew_store_ill *ill, struct ew_err *err)
{
    int code = sqlite3_extended_errcode(store->db), system = 0;
    if ((code & 0xFF) == SQLITE_IOERR || (code & 0xFF) == SQLITE_CANTOPEN)
        system = system_errno(store->db);
    *ill = ill_of(code, system);
    switch (*ill) {
    case EW_STORE_BUSY:
        return ew_fail(err, EW_EIO, "another process has locked it");
    case EW_STORE_FULL:
        return ew_fail(err, EW_EIO, "no room on the disk");
    case EW_STORE_CORRUPT:
        return ew_fail(err, EW_EFORMAT, "it is damaged (%s)", sqlite3_errmsg(store->db));
    default:
        return ew_fail(err, EW_EIO, "%s%s%s", sqlite3_errmsg(store->db), system ? ": " : "",
                       system ? strerror(system) : "");
    }
}

static int run(struct ew_store *store, const char *sql, enum ew_store_ill *ill, struct ew_err *err)
{
    return sqlite3_exec(store->db, sql, NULL, NULL, NULL) ? fail(store, ill, err) : 0;
}

static int ask(struct ew_store *store, const char *sql, int64_t *out, enum ew_store_ill *ill,
               struct ew_err *err)
{
    sqlite3_stmt *statement = NULL;
    int rc = 0;
    if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL))
        return fail(store, ill, err);
    int step = sqlite3_step(statement);
    if (step == SQLITE_ROW)
        *out = sqlite3_column_int64(statement, 0);
    else if (step != SQLITE_DONE)
        rc = fail(store, ill, err);
    sqlite3_finalize(statement);
    return rc;
}

/* ---- opening ---- */

/* SQLite would make the file readable for all whom the umask lets; who asked what is nobody's
 * business. Also gives better words for what can't be opened than SQLite does. */
static int make_file(const char *path, enum ew_store_ill *ill, struct ew_err *err)
{
    char folder[PATH_MAX];
    struct stat about;
    *ill = EW_STORE_FAILED;
    if (stat(path, &about) == 0 && S_ISDIR(about.st_mode))
        return ew_fail(err, EW_EINVAL, "it is a folder, not a file");
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash && slash != folder) {
        *slash = '\0';
        int rc = ew_file_mkdirs(folder, err);
        if (rc)
            return rc;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        *ill = ill_of_errno(errno);
        return ew_fail(err, EW_EIO, "%s", strerror(errno));
    }
    close(fd);
    return 0;
}

/* Columns that this program knows and the file doesn't. */
static int add_columns(struct ew_store *store, enum ew_store_ill *ill, struct ew_err *err)
{
    static const char *const types[] = {"TEXT", "INTEGER", "REAL"};
    for (size_t i = 0; i < EW_RECORD_FIELD_COUNT; i++) {
        char sql[200];
        int64_t there = 0;
        snprintf(sql, sizeof sql,
                 "SELECT count(*) FROM pragma_table_info('requests') WHERE name = '%s'",
                 ew_record_fields[i].name);
        int rc = ask(store, sql, &there, ill, err);
        snprintf(sql, sizeof sql, "ALTER TABLE requests ADD COLUMN %s %s", ew_record_fields[i].name,
                 types[ew_record_fields[i].kind]);
        if (rc == 0 && !there)
            rc = run(store, sql, ill, err);
        if (rc)
            return rc;
    }
    return 0;
}

static int make_schema(struct ew_store *store, enum ew_store_ill *ill, struct ew_err *err)
{
    char sql[120];
    snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d",
             EW_STORE_APPLICATION, EW_STORE_VERSION);
    int rc = run(store, "BEGIN IMMEDIATE", ill, err);
    if (rc == 0)
        rc = run(store, sql_create, ill, err);
    if (rc == 0)
        rc = add_columns(store, ill, err);
    if (rc == 0)
        rc = run(store, sql_indexes, ill, err);
    if (rc == 0)
        rc = run(store, sql, ill, err);
    return rc ? rc : run(store, "COMMIT", ill, err);
}

/* Whose file is it? */
static int check_owner(struct ew_store *store, bool *is_new, enum ew_store_ill *ill,
                       struct ew_err *err)
{
    int64_t application = 0, version = 0, tables = 0;
    int rc = ask(store, "PRAGMA application_id", &application, ill, err);
    if (rc == 0)
        rc = ask(store, "PRAGMA user_version", &version, ill, err);
    if (rc == 0)
        rc = ask(store, "SELECT count(*) FROM sqlite_master", &tables, ill, err);
    if (rc)
        return rc;
    *is_new = tables == 0 && application == 0 && version == 0;
    *ill = EW_STORE_REFUSED;
    if (!*is_new && application != EW_STORE_APPLICATION)
        return ew_fail(err, EW_EUNSUPPORTED,
                       "it is a database of another program; the ledger needs a file of its own");
    if (version > EW_STORE_VERSION)
        return ew_fail(err, EW_EUNSUPPORTED,
                       "a newer edgewise wrote it (version %lld, this one knows %d): "
                       "update edgewise or name another file",
                       (long long)version, EW_STORE_VERSION);
    *ill = EW_STORE_WELL;
    return 0;
}

/* The journal's mode as it came to be: not every file system has the shared memory WAL needs. */
static int set_journal(struct ew_store *store, enum ew_store_ill *ill, struct ew_err *err)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(store->db, "PRAGMA journal_mode = WAL", -1, &statement, NULL))
        return fail(store, ill, err);
    int step = sqlite3_step(statement), rc = 0;
    const char *mode = step == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    const char *file = sqlite3_db_filename(store->db, "main");
    if (step != SQLITE_ROW)
        rc = fail(store, ill, err);
    else if (mode && strcmp(mode, "wal") == 0 && file)
        snprintf(store->wal, sizeof store->wal, "%s-wal", file);
    sqlite3_finalize(statement);
    return rc;
}

static int set_up(struct ew_store *store, enum ew_store_sync sync, enum ew_store_ill *ill,
                  struct ew_err *err)
{
    struct stat about;
    bool is_new = false;
    sqlite3_extended_result_codes(store->db, 1);
    sqlite3_busy_timeout(store->db, EW_STORE_BUSY_MS);
    int rc = check_owner(store, &is_new, ill, err);
    if (rc == 0 && is_new) /* only before the first table */
        rc = run(store, "PRAGMA auto_vacuum = INCREMENTAL", ill, err);
    if (rc == 0)
        rc = set_journal(store, ill, err);
    if (rc == 0)
        rc = run(store,
                 sync == EW_STORE_DURABLE ? "PRAGMA synchronous = FULL"
                                          : "PRAGMA synchronous = NORMAL",
                 ill, err);
    if (rc == 0)
        rc = make_schema(store, ill, err);
    if (rc == 0 && sqlite3_prepare_v3(store->db, sql_insert, -1, SQLITE_PREPARE_PERSISTENT,
                                      &store->insert, NULL))
        rc = fail(store, ill, err);
    if (rc == 0 && stat(store->path, &about)) {
        *ill = EW_STORE_GONE;
        rc = ew_fail(err, EW_EIO, "it is gone");
    }
    if (rc == 0) {
        store->device = about.st_dev;
        store->inode = about.st_ino;
    }
    return rc;
}

int ew_store_open(struct ew_store **gives, const char *path, enum ew_store_sync sync,
                  enum ew_store_ill *ill, struct ew_err *err)
{
    *gives = NULL;
    *ill = EW_STORE_FAILED;
    struct ew_store *store = calloc(1, sizeof *store);
    if (!store)
        return ew_fail(err, EW_ENOMEM, "no memory for a ledger");
    /* A dot and slash in front: to SQLite "file:x" and ":memory:" are no files. */
    int rc = 0,
        n = snprintf(store->path, sizeof store->path, "%s%s", *path == '/' ? "" : "./", path);
    if (n < 0 || (size_t)n >= sizeof store->path)
        rc = ew_fail(err, EW_EINVAL, "the path is longer than %d bytes", PATH_MAX);
    if (rc == 0)
        rc = make_file(store->path, ill, err);
    if (rc == 0 &&
        sqlite3_open_v2(store->path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL))
        rc = store->db ? fail(store, ill, err) : ew_fail(err, EW_ENOMEM, "no memory for SQLite");
    if (rc == 0)
        rc = set_up(store, sync, ill, err);
    if (rc) {
        ew_store_close(&store);
        return rc;
    }
    *ill = EW_STORE_WELL;
    *gives = store;
    return 0;
}

/* Is what we have open what the path leads to? */
static int check_there(struct ew_store *store, enum ew_store_ill *ill, struct ew_err *err)
{
    struct stat about;
    *ill = EW_STORE_GONE;
    if (stat(store->path, &about))
        return ew_fail(err, EW_EIO, "it was deleted");
    if (about.st_dev != store->device || about.st_ino != store->inode)
        return ew_fail(err, EW_EIO, "another file has taken its place");
    if (store->wal[0] && access(store->wal, F_OK))
        return ew_fail(err, EW_EIO, "its -wal file was deleted");
    *ill = EW_STORE_WELL;
    return 0;
}

void ew_store_close(struct ew_store **store)
{
    enum ew_store_ill ill;
    if (!*store)
        return;
    sqlite3_finalize((*store)->insert);
    /* SQLite leaves the -wal of a file that was moved where it is, without the file's rows in the
     * file, and ready to be replayed into whatever lies there next. */
    if ((*store)->insert && check_there(*store, &ill, NULL))
        sqlite3_exec((*store)->db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL);
    sqlite3_close((*store)->db);
    free(*store);
    *store = NULL;
}

/* ---- writing ---- */

static int bind_column(void *user, int column, union ew_spool_value value)
{
    sqlite3_stmt *insert = user;
    switch (ew_record_fields[column].kind) {
    case EW_RECORD_TEXT:
        return value.text.bytes ? sqlite3_bind_text(insert, column + 1, value.text.data,
                                                    (int)value.text.bytes, SQLITE_STATIC)
                                : sqlite3_bind_null(insert, column + 1);
    case EW_RECORD_INT:
        return value.integer == EW_RECORD_UNKNOWN
                   ? sqlite3_bind_null(insert, column + 1)
                   : sqlite3_bind_int64(insert, column + 1, value.integer);
    default:
        return isfinite(value.real) ? sqlite3_bind_double(insert, column + 1, value.real)
                                    : sqlite3_bind_null(insert, column + 1);
    }
}

static void roll_back(struct ew_store *store)
{
    sqlite3_reset(store->insert);
    if (!sqlite3_get_autocommit(store->db))
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
}

int ew_store_write(struct ew_store *store, struct ew_spool_cursor rows, enum ew_store_ill *ill,
                   struct ew_err *err)
{
    int rc = check_there(store, ill, err);
    if (rc == 0)
        rc = run(store, "BEGIN IMMEDIATE", ill, err);
    const struct ew_spool_row *row;
    while (rc == 0 && (row = ew_spool_next(&rows))) {
        if (ew_spool_columns(row, bind_column, store->insert) ||
            sqlite3_step(store->insert) != SQLITE_DONE)
            rc = fail(store, ill, err);
        sqlite3_reset(store->insert);
    }
    if (rc == 0)
        rc = run(store, "COMMIT", ill, err);
    if (rc)
        roll_back(store);
    /* Deleted meanwhile: what was committed is in nobody's file. */
    return rc ? rc : check_there(store, ill, err);
}

int ew_store_trim(struct ew_store *store, int64_t before_ms, int limit, int *deleted,
                  enum ew_store_ill *ill, struct ew_err *err)
{
    char sql[200];
    *deleted = 0;
    snprintf(sql, sizeof sql,
             "DELETE FROM requests WHERE id IN (SELECT id FROM requests "
             "WHERE arrived_ms < %lld ORDER BY arrived_ms LIMIT %d)",
             (long long)before_ms, limit);
    int rc = run(store, sql, ill, err);
    if (rc)
        return rc;
    *deleted = sqlite3_changes(store->db);
    /* A row is a tenth of a page and its places in the indexes a fiftieth: this keeps pace. */
    snprintf(sql, sizeof sql, "PRAGMA incremental_vacuum(%d)", limit / 4 + 8);
    return run(store, sql, ill, err);
}

/* ---- what is of no use ---- */

/* A damaged ledger lies where ledgers do: it has a -wal beside it or a database's name. */
static bool was_a_ledger(const char *path)
{
    static const char *const names[] = {".db", ".sqlite", ".sqlite3"};
    char beside[PATH_MAX + 8];
    for (size_t i = 0; i < EW_COUNT(names); i++) {
        size_t a = strlen(path), b = strlen(names[i]);
        if (a > b && strcmp(path + a - b, names[i]) == 0)
            return true;
    }
    snprintf(beside, sizeof beside, "%s-wal", path);
    return access(beside, F_OK) == 0;
}

int ew_store_put_aside(const char *path, char *to, size_t size, struct ew_err *err)
{
    static const char *const parts[] = {"-wal", "-shm", ""}; /* the file itself last */
    char real[PATH_MAX], stamp[40], from[PATH_MAX + 8], target[PATH_MAX + 80];
    time_t now = time(NULL);
    struct tm utc;
    if (!realpath(path, real))
        return ew_fail(err, EW_EIO, "%s", strerror(errno));
    if (!was_a_ledger(real))
        return ew_fail(err, EW_EUNSUPPORTED, "it isn't a database, and is left as it is");
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &utc));
    snprintf(to, size, "%s.corrupt-%s", real, stamp);
    for (int n = 2; access(to, F_OK) == 0; n++) /* nothing is ever written over */
        snprintf(to, size, "%s.corrupt-%s-%d", real, stamp, n);
    for (size_t i = 0; i < EW_COUNT(parts); i++) {
        snprintf(from, sizeof from, "%s%s", real, parts[i]);
        snprintf(target, sizeof target, "%s%s", to, parts[i]);
        if (rename(from, target) && !(errno == ENOENT && *parts[i]))
            return ew_fail(err, EW_EIO, "it can't be put aside: %s", strerror(errno));
    }
    return 0;
}
