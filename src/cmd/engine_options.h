/* engine_options.h - the options of every command that runs the engine, and opening a model by
 * them. */
#ifndef EW_ENGINE_OPTIONS_H
#define EW_ENGINE_OPTIONS_H

#include "base/args.h"

struct ew_engine_options {
    int threads, ctx;
    const char *isa;
};

/* Rows for a command's option table; ctx_help says what --ctx means to it, and its default. */
#define EW_ENGINE_OPTIONS(o, ctx_help)                                                             \
    {                                                                                              \
        "threads",                                                                                 \
        't',                                                                                       \
        "N",                                                                                       \
        "compute on N threads (all usable cores)",                                                 \
        .integer = &(o)->threads,                                                                  \
        .min = 1,                                                                                  \
        .max = 256},                                                                               \
        {"ctx", 'c', "N", ctx_help, .integer = &(o)->ctx, .min = 16, .max = 1 << 20},              \
    {                                                                                              \
        "isa", 0, "NAME", "instruction set: scalar, avx2, avx512vnni (the best there is)",         \
            .text = &(o)->isa                                                                      \
    }

/* MODEL is a catalog name or a path. vocab_only: no weights. */
int ew_engine_open(struct ew_model **gives, const char *model,
                   const struct ew_engine_options *options, bool vocab_only, struct ew_err *err);

/* "edgewise COMMAND: the sentence", and the exit status that the code has. */
int ew_engine_failed(const char *command, const struct ew_err *err);

/* ^C cancels what the session is doing; a second one before the first has worked ends the program.
 * NULL: ^C is ignored until the next call. */
void ew_engine_cancel_on_interrupt(struct ew_session *session);

#endif
