/* reload.c - reads the configuration again, and takes of it what a running server can. */
#include "serve/reload.h"

#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "serve/notify.h"

enum { PLACES_DEFAULT = 16 };

struct ew_queue_params ew_reload_queue_params(const struct ew_config *config)
{
    const struct ew_config_device *engine = ew_server_engine(config);
    uint32_t places = engine->concurrency ? engine->concurrency : PLACES_DEFAULT;
    return (struct ew_queue_params){
        .places = places < EW_STREAMS_MAX ? places : EW_STREAMS_MAX,
        .waiting_max = config->on_full == EW_ON_FULL_REJECT ? 0 : config->queue_max,
        .timeout_s = config->queue_timeout_s,
    };
}

/* What tells one state of the file from another; 0: it isn't there. */
static uint64_t stamp_of(const char *path)
{
    struct stat s;
    if (!path || stat(path, &s))
        return 0;
    uint64_t sum = (uint64_t)s.st_mtim.tv_sec * EW_NS_PER_S + (uint64_t)s.st_mtim.tv_nsec;
    return ((sum * 31 + (uint64_t)s.st_size) * 31 + (uint64_t)s.st_ino) | 1;
}

static bool differs(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) != 0 : a != b;
}

/* What only a start can change stays as it is, and who wrote the file hears of it. */
static void keep_what_is_fixed(const struct ew_config *old, struct ew_config *config)
{
    const char *what = differs(old->listen, config->listen)                ? "listen"
                       : differs(old->ledger, config->ledger)              ? "ledger"
                       : old->ledger_durable != config->ledger_durable     ? "accounting.durable"
                       : old->ledger_keep_days != config->ledger_keep_days ? "accounting.keep"
                       : !old->tls_certificate != !config->tls_certificate ? "tls"
                       : old->body_bytes_max != config->body_bytes_max     ? "limits.body"
                       : old->connections_max != config->connections_max   ? "limits.connections"
                                                                           : NULL;
    config->ledger_durable = old->ledger_durable; /* the store was opened so */
    if (what)
        ew_log(EW_LOG_WARNING, "%s: a change of %s takes effect at the next start", config->file,
               what);
}

static int take(struct ew_server *server, struct ew_config *config, struct ew_err *err)
{
    struct ew_config *old = server->config;
    int failed = 0;
    /* What may fail for the file's sake comes first; after it, only want of memory can. */
    if (old->tls_certificate && config->tls_certificate)
        failed = ew_http_server_tls(server->http, config->tls_certificate, config->tls_key, err);
    if (!failed)
        failed = ew_fleet_set(server->fleet, config, err);
    if (!failed)
        failed = ew_quotas_set(server->quotas, config, err);
    if (!failed)
        failed = ew_models_set(server->models, ew_server_engine(config), err);
    if (failed)
        return failed;
    struct ew_queue_params params = ew_reload_queue_params(config);
    keep_what_is_fixed(old, config);
    ew_queue_set(server->queue, &params);
    server->config = config;
    ew_config_close(&old);
    return 0;
}

static void reload(struct ew_server *server)
{
    struct ew_config *config = NULL;
    struct ew_err err = {0};
    server->reload_wanted = false;
    server->file_stamp = server->stamp_seen = stamp_of(server->config->file);
    ew_notify_reloading();
    int failed = server->params->reload(server->params->user, &config, &err);
    if (!failed && (failed = take(server, config, &err)))
        ew_config_close(&config);
    ew_metrics_reload(server->metrics, !failed);
    if (failed)
        ew_log(EW_LOG_ERROR, "the configuration stays as it was: %s", err.text);
    else
        ew_log(EW_LOG_INFO, "%s is in force: version %s", server->config->file,
               server->config->version);
    ew_notify_ready();
}

static void on_hangup(void *user)
{
    struct ew_server *server = user;
    if (!server->params->reload) {
        ew_log(EW_LOG_WARNING, "SIGHUP: there is no file to read again");
        return;
    }
    server->reload_wanted = true;
    ew_reload_look(server);
}

int ew_reload_begin(struct ew_server *server, struct ew_err *err)
{
    server->file_stamp = server->stamp_seen = stamp_of(server->config->file);
    return ew_loop_signal(server->loop, SIGHUP, on_hangup, server, err);
}

void ew_reload_look(struct ew_server *server)
{
    if (!server->params->reload || server->state >= EW_SERVER_DRAINING)
        return;
    uint64_t stamp = stamp_of(server->config->file);
    /* An editor writes in pieces: a change counts once it has been the same for two looks. */
    if (stamp && stamp != server->file_stamp && stamp == server->stamp_seen)
        server->reload_wanted = true;
    server->stamp_seen = stamp;
    if (server->reload_wanted && !ew_models_busy(server->models))
        reload(server);
}
