/* serve_options.h - the options of `edgewise serve`, and the configuration that file and options
 * make together. */
#ifndef EW_SERVE_OPTIONS_H
#define EW_SERVE_OPTIONS_H

#include "base/log.h"
#include "cmd/energy_options.h"
#include "cmd/engine_options.h"
#include "flow/config.h"

struct ew_serve_options {
    struct ew_engine_options engine;
    struct ew_energy_options energy; /* tariff below 0: not given */
    const char *config;              /* NULL: none was named */
    const char *listen, *memory, *ledger, *queue_timeout;
    const char *new_key, *new_token;
    const char *join, *token, *name, *join_ca;
    int port, streams, queue_max; /* below 0: not given; streams: 0 */
    int on_full;                  /* enum ew_on_full; below 0: not given */
    bool durable, insecure, check, schema;
    struct ew_arg_list origins;
    int log_level, log_form;
    char **models; /* words of the command line; borrowed */
    unsigned model_count;
};

struct ew_serve_options ew_serve_options_default(void);
extern const char *const ew_serve_on_full_names[];

/* Rows for the command's table. */
#define EW_SERVE_OPTIONS(o)                                                                        \
    {"config", 'C', "FILE", "read edgewise.yaml; options override it", .text = &(o)->config},      \
        {"port",                                                                                   \
         'p',                                                                                      \
         "N",                                                                                      \
         "listen there; 0 picks a free one (8080)",                                                \
         .integer = &(o)->port,                                                                    \
         .min = 0,                                                                                 \
         .max = 65535},                                                                            \
        {"listen",                                                                                 \
         'l',                                                                                      \
         "ADDRESS",                                                                                \
         "and at that address, as 0.0.0.0 or [::1]:80 (127.0.0.1)",                                \
         .text = &(o)->listen,                                                                     \
         .elsewhere = "host hostname bind address addr"},                                          \
        EW_ENGINE_OPTIONS(&(o)->engine, "positions of one conversation (4096, or the model's)"),   \
        {"streams",                                                                                \
         's',                                                                                      \
         "N",                                                                                      \
         "answers computed together (16)",                                                         \
         .integer = &(o)->streams,                                                                 \
         .min = 1,                                                                                 \
         .max = EW_STREAMS_MAX},                                                                   \
        {"memory", 'm', "SIZE", "all models together, as 2G (what is available)",                  \
         .text = &(o)->memory},                                                                    \
        {"on-full",                                                                                \
         0,                                                                                        \
         "WHAT",                                                                                   \
         "when devices are busy: queue, reject or cloud (queue)",                                  \
         .choice = &(o)->on_full,                                                                  \
         .choices = ew_serve_on_full_names},                                                       \
        {"queue-max",  0, "N", "requests that wait (64)", .integer = &(o)->queue_max, .min = 0,    \
         .max = 100000},                                                                           \
        {"queue-timeout", 0, "TIME", "the longest that one waits, as 10s (60s)",                   \
         .text = &(o)->queue_timeout},                                                             \
        {"ledger", 0, "FILE", "the account, or none (edgewise/ledger.db in $XDG_DATA_HOME)",       \
         .text = &(o)->ledger},                                                                    \
        {"durable", 0, NULL, "an answer ends only when its row is safe on the disk",               \
         .flag = &(o)->durable},                                                                   \
        {"insecure", 0, NULL, "serve an address that others reach without keys",                   \
         .flag = &(o)->insecure},                                                                  \
        {"cors-origin", 0, "ORIGIN", "web pages from there may ask; may be repeated; '*': all",    \
         .list = &(o)->origins},                                                                   \
        EW_ENERGY_OPTIONS(&(o)->energy),                                                           \
        {"log-level",                                                                              \
         0,                                                                                        \
         "LEVEL",                                                                                  \
         "error, warning, info or debug (info)",                                                   \
         .choice = &(o)->log_level,                                                                \
         .choices = ew_log_level_names},                                                           \
        {"log-format",                                                                             \
         0,                                                                                        \
         "FORM",                                                                                   \
         "plain, timed or json (plain)",                                                           \
         .choice = &(o)->log_form,                                                                 \
         .choices = ew_log_form_names},                                                            \
        {"check", 0, NULL, "say whether file and options are fine, and serve nothing",             \
         .flag = &(o)->check},                                                                     \
        {"new-key", 0, "NAME", "make a key for a client, print it (once) and its YAML lines",      \
         .text = &(o)->new_key},                                                                   \
        {"join", 0, "URL", "join that front as a device: it asks over connections that we open",   \
         .text = &(o)->join},                                                                      \
        {"token", 0, "TOKEN", "what lets us in there (or EDGEWISE_JOIN_TOKEN); once is enough",    \
         .text = &(o)->token},                                                                     \
        {"name", 0, "NAME", "what to be called there (the host's name)", .text = &(o)->name},      \
        {"join-ca", 0, "FILE", "PEM of the front's own certificate authority",                     \
         .text = &(o)->join_ca},                                                                   \
        {"new-token", 0, "NAME", "of a front: print a token that lets one device join, as NAME",   \
         .text = &(o)->new_token},                                                                 \
    {                                                                                              \
        "schema", 0, NULL, "print the JSON Schema of edgewise.yaml", .flag = &(o)->schema          \
    }

/* The file (--config, or without MODEL and it the user's own), then the options over it; checked.
 * What ew_server_run calls to reload: `options` is a struct ew_serve_options. */
int ew_serve_options_config(void *options, struct ew_config **gives, struct ew_err *err);

#endif
