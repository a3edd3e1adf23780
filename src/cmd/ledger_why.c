/* ledger_why.c - tells a row's decisions in plain words: what was asked, who answered and why, what
 * each place was predicted to take, and what it took.
 *
 * The decisions are JSON that flow/decision.h describes, in a column that has room for so much: a
 * front with many devices fills it, and then the text ends within a candidate. What came before is
 * whole and is told. All texts are made harmless: a file may have been written by anybody. */
#include "cmd/ledger_why.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/table.h"
#include "flow/decision.h"
#include "flow/json_leaf.h"

enum {
    OUT_BYTES_MAX = 1 << 20, /* a row has 10 KB of texts; tables pad them */
    NAME_BYTES = 64,         /* of a device */
    FAILED_BYTES = 400,      /* why a place did */
    DEPTH_MAX = 16,          /* of the JSON; it has four */
};

/* ---- a text that was cut ---- */

struct brackets {
    char closing[DEPTH_MAX];
    int depth;
};

/* Where the last object ends that is whole, and what is open there; 0: none is. */
static size_t whole_bytes(const char *text, struct brackets *open)
{
    struct brackets now = {.depth = 0};
    size_t whole = 0;
    bool in_text = false;
    for (size_t i = 0; text[i]; i++) {
        char c = text[i];
        if (in_text) {
            if (c == '\\' && text[i + 1])
                i++;
            in_text = c != '"';
        } else if (c == '"') {
            in_text = true;
        } else if (c == '{' || c == '[') {
            if (now.depth == DEPTH_MAX)
                return whole;
            now.closing[now.depth++] = c == '{' ? '}' : ']';
        } else if (c == '}' || c == ']') {
            if (!now.depth || now.closing[now.depth - 1] != c)
                return whole;
            now.depth--;
            if (c == '}') {
                whole = i + 1;
                *open = now;
            }
        }
    }
    return whole;
}

static bool is_json(const char *text)
{
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    bool is = json_is_array(json);
    json_decref(json);
    return is;
}

bool ew_ledger_why_decisions(const char *text, struct ew_buf *out, bool *was_cut)
{
    struct brackets open = {.depth = 0};
    *was_cut = !is_json(text);
    if (!*was_cut)
        return ew_buf_text(out, text, NULL) == 0;
    int failed = ew_buf_add(out, text, whole_bytes(text, &open), NULL);
    while (!failed && open.depth)
        failed = ew_buf_add(out, &open.closing[--open.depth], 1, NULL);
    return !failed && is_json(ew_buf_cstr(out));
}

/* ---- what JSON says ---- */

static void text_of(const json_t *object, const char *key, char *text, size_t size)
{
    const json_t *value = json_object_get(object, key);
    struct ew_str str = {json_string_value(value), json_string_length(value)};
    ew_record_set(text, size, str);
}

static double number_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

/* "12.3 J", "unknown" */
static const char *figure(char text[32], double value, const char *unit)
{
    if (isnan(value))
        snprintf(text, 32, "unknown");
    else
        snprintf(text, 32, value < 1000 ? "%.3g%s%s" : "%.0f%s%s", value, *unit ? " " : "", unit);
    return text;
}

/* The sentence of a word; the word itself where it is none of ours. */
static const char *reason_sentence(const char *word)
{
    for (int i = EW_REASON_NONE + 1; i < EW_REASON_COUNT; i++)
        if (strcmp(ew_reason_name((enum ew_reason)i), word) == 0)
            return ew_reason_sentence((enum ew_reason)i);
    return word;
}

static const char *refusal_sentence(const char *word)
{
    for (int i = EW_REFUSAL_NONE + 1; i < EW_REFUSAL_COUNT; i++)
        if (strcmp(ew_refusal_name((enum ew_refusal)i), word) == 0)
            return ew_refusal_sentence((enum ew_refusal)i);
    return *word ? word : ew_refusal_sentence(EW_REFUSAL_NONE);
}

/* ---- words ---- */

/* Of a request that nobody named: whether it's the one that was meant. */
static void say_age(struct ew_buf *out, int64_t arrived_ms)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"days", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}};
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - arrived_ms;
    size_t i = 0;
    if (arrived_ms == EW_RECORD_UNKNOWN || ms < 0)
        return;
    while (i + 1 < EW_COUNT(units) && ms < 2 * units[i].ms)
        i++;
    ew_buf_printf(out, NULL, ", %" PRId64 " %s ago,", ms / units[i].ms, units[i].name);
}

static void say_asked(struct ew_buf *out, const struct ew_record *r, bool named)
{
    time_t seconds = (time_t)(r->arrived_ms / 1000);
    struct tm local;
    char when[40] = "at a time that isn't known";
    if (r->arrived_ms != EW_RECORD_UNKNOWN && localtime_r(&seconds, &local))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &local);
    ew_buf_printf(out, NULL, "%s came %s", r->request_id, when);
    if (!named)
        say_age(out, r->arrived_ms);
    if (*r->client || *r->peer)
        ew_buf_printf(out, NULL, " from %s%s%s", r->client, *r->client && *r->peer ? " at " : "",
                      r->peer);
    if (*r->route)
        ew_buf_printf(out, NULL, ", for %s", r->route);
    ew_buf_text(out, ".\n", NULL);
    if (!*r->model)
        return;
    ew_buf_printf(out, NULL, "It asked %s", r->model);
    if (r->choices > 1)
        ew_buf_printf(out, NULL, " for %" PRId64 " answers", r->choices);
    if (r->stream == 1)
        ew_buf_text(out, ", streamed", NULL);
    if (r->prompt_tokens != EW_RECORD_UNKNOWN)
        ew_buf_printf(out, NULL, "; the prompt had %s%" PRId64 " tokens",
                      ew_record_estimated(r) ? "~" : "", r->prompt_tokens);
    if (*r->tokens_kind)
        ew_buf_printf(out, NULL, " (%s)", r->tokens_kind);
    ew_buf_text(out, ".\n", NULL);
}

static void say_answered(struct ew_buf *out, const struct ew_record *r)
{
    if (*r->device)
        ew_buf_printf(out, NULL, "%s%s%s%s answered", r->device, *r->place ? " (" : "", r->place,
                      *r->place ? ")" : "");
    else
        ew_buf_text(out, "Nobody answered", NULL);
    if (r->status != EW_RECORD_UNKNOWN)
        ew_buf_printf(out, NULL, ": %" PRId64, r->status);
    if (*r->finish)
        ew_buf_printf(out, NULL, ", %s", r->finish);
    if (r->output_tokens != EW_RECORD_UNKNOWN)
        ew_buf_printf(out, NULL, ", %s%" PRId64 " tokens",
                      ew_record_estimated(r) && r->output_tokens ? "~" : "", r->output_tokens);
    ew_buf_text(out, ".\n", NULL);
    if (*r->error)
        ew_buf_printf(out, NULL, "The client was told: %s\n", r->error);
    if (r->attempts > 1)
        ew_buf_printf(out, NULL, "%" PRId64 " places were asked, one after the other.\n",
                      r->attempts);
    if (*r->reason)
        ew_buf_printf(out, NULL, "Why: %s.\n", reason_sentence(r->reason));
}

/* "load-aware took agx: the policy's selection among several." */
static void say_decision(struct ew_buf *out, const json_t *decision, size_t number)
{
    char select[32], action[16], chosen[NAME_BYTES], reason[32], wait[32];
    text_of(decision, "select", select, sizeof select);
    text_of(decision, "action", action, sizeof action);
    text_of(decision, "chosen", chosen, sizeof chosen);
    text_of(decision, "reason", reason, sizeof reason);
    double wait_s = number_of(decision, "wait_s");
    ew_buf_printf(out, NULL, "\n%zu. ", number);
    if (strcmp(action, "go") == 0)
        ew_buf_printf(out, NULL, "%s took %s: ", select, *chosen ? chosen : "a place");
    else if (strcmp(action, "queue") == 0)
        ew_buf_text(out, "It had to wait: ", NULL);
    else
        ew_buf_text(out, "It was refused: ", NULL);
    ew_buf_text(out, reason_sentence(reason), NULL);
    if (strcmp(action, "go") != 0 && !isnan(wait_s))
        ew_buf_printf(out, NULL, "; worth another try after %s", figure(wait, wait_s, "s"));
    ew_buf_text(out, ".\n", NULL);
}

static void add_number(struct ew_table *table, const json_t *candidate, const char *key)
{
    double value = number_of(candidate, key);
    if (isnan(value))
        ew_table_cell(table, "-");
    else
        ew_table_cell(table, "%.3g", value);
}

static void add_candidate(struct ew_table *table, const json_t *candidate, const char *chosen)
{
    char name[NAME_BYTES], refusal[32], wait[32];
    text_of(candidate, "name", name, sizeof name);
    text_of(candidate, "refusal", refusal, sizeof refusal);
    double wait_s = number_of(candidate, "wait_s");
    ew_table_cell(table, "%s%s", name,
                  json_is_true(json_object_get(candidate, "cloud")) ? " (cloud)" : "");
    add_number(table, candidate, "ttft_s");
    add_number(table, candidate, "total_s");
    add_number(table, candidate, "joules");
    add_number(table, candidate, "cents");
    add_number(table, candidate, "quality");
    if (*chosen && strcmp(name, chosen) == 0)
        ew_table_cell(table, "chosen");
    else if (*refusal && !isnan(wait_s))
        ew_table_cell(table, "%s, for %s", refusal_sentence(refusal), figure(wait, wait_s, "s"));
    else
        ew_table_cell(table, "%s", refusal_sentence(refusal));
}

static int say_candidates(struct ew_buf *out, const json_t *decision, struct ew_err *err)
{
    static const struct ew_table_column columns[] = {
        {"place", EW_TABLE_LEFT},   {"first s", EW_TABLE_RIGHT}, {"all s", EW_TABLE_RIGHT},
        {"joules", EW_TABLE_RIGHT}, {"cents", EW_TABLE_RIGHT},   {"quality", EW_TABLE_RIGHT},
        {"verdict", EW_TABLE_LEFT}};
    const json_t *candidates = json_object_get(decision, "candidates"), *candidate;
    struct ew_table table;
    char chosen[NAME_BYTES], failed[FAILED_BYTES], took[32];
    size_t i;
    text_of(decision, "chosen", chosen, sizeof chosen);
    if (!json_array_size(candidates))
        return ew_buf_text(out, "No place was known.\n", err);
    ew_table_init(&table, columns, EW_COUNT(columns));
    json_array_foreach(candidates, i, candidate) add_candidate(&table, candidate, chosen);
    int rc = ew_table_format(&table, out, err);
    ew_table_fini(&table);
    double others = number_of(decision, "others");
    if (!rc && others > 0)
        rc = ew_buf_printf(out, err, "%.0f more aren't told.\n", others);
    text_of(decision, "failed", failed, sizeof failed);
    double joules = number_of(decision, "failed_j");
    if (!rc && *failed)
        rc = ew_buf_printf(out, err, "Then %s\n", failed);
    if (!rc && *failed && !isnan(joules))
        rc = ew_buf_printf(out, err, "That took %s.\n", figure(took, joules, "J"));
    return rc;
}

/* What was predicted of who answered, in the latest decision that took it. */
static const json_t *prediction(const json_t *decisions, const struct ew_record *r)
{
    for (size_t i = json_array_size(decisions); i-- > 0;) {
        const json_t *decision = json_array_get(decisions, i), *candidate;
        char name[NAME_BYTES];
        size_t k;
        json_array_foreach(json_object_get(decision, "candidates"), k, candidate)
        {
            text_of(candidate, "name", name, sizeof name);
            if (*r->device && strcmp(name, r->device) == 0)
                return candidate;
        }
    }
    return NULL;
}

static int say_actual(struct ew_buf *out, const struct ew_record *r, const json_t *decisions,
                      struct ew_err *err)
{
    static const struct ew_table_column columns[] = {
        {"", EW_TABLE_LEFT}, {"predicted", EW_TABLE_RIGHT}, {"was", EW_TABLE_RIGHT}};
    const json_t *said = prediction(decisions, r);
    const struct {
        const char *what, *key, *unit;
        double was;
    } rows[] = {{"first token", "ttft_s", "s", r->ttft_ms / 1e3},
                {"whole answer", "total_s", "s", r->total_ms / 1e3},
                {"energy", "joules", "J", r->energy_j},
                {"cost", "cents", "cents", r->cost_cents}};
    struct ew_table table;
    char text[32];
    if (!*r->device)
        return 0;
    ew_table_init(&table, columns, EW_COUNT(columns));
    for (size_t i = 0; i < EW_COUNT(rows); i++) {
        ew_table_cell(&table, "%s", rows[i].what);
        ew_table_cell(&table, "%s", figure(text, number_of(said, rows[i].key), rows[i].unit));
        ew_table_cell(&table, "%s", figure(text, rows[i].was, rows[i].unit));
    }
    int rc = ew_buf_printf(out, err, "\n%s:\n", r->device);
    rc = rc ? rc : ew_table_format(&table, out, err);
    ew_table_fini(&table);
    if (!rc && *r->energy_kind && !isnan(r->energy_j))
        rc = ew_buf_printf(out, err, "The energy is %s.\n", r->energy_kind);
    return rc;
}

static int say_instead(struct ew_buf *out, const struct ew_record *r, struct ew_err *err)
{
    char edge[32], cloud[32];
    if (isnan(r->edge_cents) && isnan(r->cloud_cents))
        return 0;
    return ew_buf_printf(out, err,
                         "\nThe cheapest device would have cost: %s.\n"
                         "The cheapest cloud would have cost: %s.\n",
                         figure(edge, r->edge_cents, "cents"),
                         figure(cloud, r->cloud_cents, "cents"));
}

static int say(struct ew_buf *out, const struct ew_record *r, const json_t *decisions, bool was_cut,
               bool named, struct ew_err *err)
{
    const json_t *decision;
    size_t i;
    int rc = 0;
    say_asked(out, r, named);
    say_answered(out, r);
    json_array_foreach(decisions, i, decision)
    {
        say_decision(out, decision, i + 1);
        rc = rc ? rc : say_candidates(out, decision, err);
    }
    if (was_cut)
        ew_buf_text(out, "\nWhat was decided is more than a row holds; the rest isn't kept.\n",
                    NULL);
    else if (!decisions)
        ew_buf_text(out, "There was nothing to decide, or an older edgewise wrote the row.\n",
                    NULL);
    rc = rc ? rc : say_actual(out, r, decisions, err);
    return rc ? rc : say_instead(out, r, err);
}

/* ---- the command ---- */

/* Those that the log leaves out are null. NULL ends the keys. */
static void write_keys(struct ew_jsonw *json, const json_t *object, const char *const *keys)
{
    for (; *keys; keys++) {
        ew_jsonw_key(json, *keys);
        ew_json_leaf(json, json_object_get(object, *keys));
    }
}

static void write_decision(struct ew_jsonw *json, const json_t *decision)
{
    static const char *const head[] = {"select", "action",     "chosen",      "reason",
                                       "wait_s", "edge_cents", "cloud_cents", NULL};
    static const char *const each[] = {"name",    "cloud",  "refusal", "wait_s",  "score", "ttft_s",
                                       "total_s", "joules", "cents",   "quality", "pcr",   NULL};
    static const char *const tail[] = {"others", NULL};
    static const char *const failure[] = {"failed", "failed_j", NULL};
    const json_t *candidate;
    size_t i;
    ew_jsonw_object(json);
    write_keys(json, decision, head);
    ew_jsonw_key(json, "candidates");
    ew_jsonw_array(json);
    json_array_foreach(json_object_get(decision, "candidates"), i, candidate)
    {
        ew_jsonw_object(json);
        write_keys(json, candidate, each);
        ew_jsonw_end(json);
    }
    ew_jsonw_end(json);
    write_keys(json, decision, tail);
    if (json_object_get(decision, "failed"))
        write_keys(json, decision, failure);
    ew_jsonw_end(json);
}

static int say_json(struct ew_buf *out, const struct ew_record *r, const json_t *decisions,
                    bool was_cut, struct ew_err *err)
{
    const json_t *decision;
    size_t i;
    struct ew_jsonw json;
    ew_jsonw_init(&json, out, EW_JSONW_COMPACT);
    ew_jsonw_object(&json);
    ew_jsonw_key(&json, "request");
    ew_record_json(&json, r);
    ew_jsonw_key(&json, "decisions");
    ew_jsonw_array(&json);
    json_array_foreach(decisions, i, decision) write_decision(&json, decision);
    ew_jsonw_end(&json);
    ew_jsonw_put_bool(&json, "cut", was_cut);
    ew_jsonw_end(&json);
    return ew_jsonw_finish(&json, err);
}

static int keep(void *user, const struct ew_record *record, struct ew_err *err)
{
    (void)err;
    *(struct ew_record *)user = *record;
    return 0;
}

static int not_found(struct ew_query *query, const char *request_id, struct ew_err *err)
{
    struct ew_query_filter all;
    struct ew_record any;
    ew_query_filter_init(&all);
    all.limit = 1;
    ew_record_init(&any);
    int rc = ew_query_rows(query, &all, keep, &any, err);
    if (rc)
        return rc;
    if (!*any.request_id)
        return ew_fail(err, EW_ENOTFOUND,
                       "the ledger is empty: no request has ended yet (its row is written a tenth "
                       "of a second later)");
    return ew_fail(err, EW_ENOTFOUND, "the ledger has no %s%.60s",
                   request_id ? "request " : "such request", request_id ? request_id : "");
}

int ew_ledger_why(struct ew_query *query, const struct ew_query_filter *wanted, bool as_json,
                  struct ew_err *err)
{
    struct ew_query_filter filter = *wanted;
    struct ew_record record;
    struct ew_buf out, decisions;
    bool was_cut = false;
    filter.limit = 1; /* the latest: found from the end of the file */
    ew_record_init(&record);
    int rc = ew_query_rows(query, &filter, keep, &record, err);
    if (!rc && !*record.request_id)
        rc = not_found(query, filter.request_id, err);
    if (rc)
        return rc;
    ew_buf_init(&out, OUT_BYTES_MAX);
    ew_buf_init(&decisions, OUT_BYTES_MAX);
    if (*record.decision && !ew_ledger_why_decisions(record.decision, &decisions, &was_cut))
        ew_buf_clear(&decisions);
    json_t *json = decisions.bytes ? json_loads(decisions.data, 0, NULL) : NULL;
    rc = as_json ? say_json(&out, &record, json, was_cut, err)
                 : say(&out, &record, json, was_cut, filter.request_id, err);
    json_decref(json);
    if (!rc && fwrite(ew_buf_cstr(&out), 1, out.bytes, stdout) != out.bytes)
        rc = ew_fail(err, EW_EIO, "standard output can't be written");
    ew_buf_fini(&out);
    ew_buf_fini(&decisions);
    return rc;
}
