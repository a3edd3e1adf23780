/* engine_options.c - from MODEL and options to an open model; errors and ^C alike in all
 * commands. */
#include "cmd/engine_options.h"

#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "flow/catalog.h"

int ew_engine_open(struct ew_model **gives, const char *model,
                   const struct ew_engine_options *options, bool vocab_only, struct ew_err *err)
{
    char path[PATH_MAX];
    *gives = NULL;
    int failed = ew_catalog_find(model, path, sizeof path, err);
    if (failed)
        return failed;
    struct ew_model_params params = {
        .threads = options->threads,
        .isa = options->isa,
        .ctx = (uint32_t)options->ctx,
        .vocab_only = vocab_only,
    };
    return ew_model_open(gives, path, &params, err);
}

int ew_engine_failed(const char *command, const struct ew_err *err)
{
    fprintf(stderr, "edgewise %s: %s\n", command, err->text);
    return ew_error_exit(err->code);
}

static _Atomic(struct ew_session *) interrupted;
static atomic_int interrupts;

static void on_interrupt(int number)
{
    struct ew_session *session = atomic_load(&interrupted);
    if (!session)
        return;
    if (atomic_fetch_add(&interrupts, 1))
        _exit(128 + number);
    ew_session_cancel(session);
}

void ew_engine_cancel_on_interrupt(struct ew_session *session)
{
    atomic_store(&interrupts, 0);
    atomic_store(&interrupted, session);
    struct sigaction action = {.sa_handler = on_interrupt};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}
