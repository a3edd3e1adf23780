/* serve_options.c - file and options -> one configuration, at the start and at each reload. */
#include "cmd/serve_options.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

const char *const ew_serve_on_full_names[] = {"queue", "reject", "cloud", NULL};

struct ew_serve_options ew_serve_options_default(void)
{
    return (struct ew_serve_options){.energy = {.tariff_cents_per_kwh = -1},
                                     .port = -1,
                                     .queue_max = -1,
                                     .on_full = -1,
                                     .log_level = EW_LOG_INFO,
                                     .log_form = EW_LOG_PLAIN};
}

/* "ADDRESS", "ADDRESS:PORT" and --port over what the file says. */
static int apply_listen(struct ew_config *config, const struct ew_serve_options *o,
                        struct ew_err *err)
{
    char host[128], with_port[160];
    int port, ignored;
    bool is_public;
    struct ew_err own = {0};
    int rc = ew_config_address(config->listen, host, sizeof host, &port, &is_public, err);
    if (rc)
        return rc;
    if (o->listen && ew_config_address(o->listen, host, sizeof host, &port, &is_public, NULL)) {
        bool bare = strchr(o->listen, ':') && o->listen[0] != '[';
        snprintf(with_port, sizeof with_port, bare ? "[%.128s]:0" : "%.128s:0", o->listen);
        if (ew_config_address(with_port, host, sizeof host, &ignored, &is_public, &own))
            return ew_fail(err, EW_EINVAL,
                           "--listen takes an address, as 127.0.0.1, 0.0.0.0 or "
                           "[::1]:8080, not '%.60s'",
                           o->listen);
    }
    if (o->port >= 0)
        port = o->port;
    snprintf(with_port, sizeof with_port, strchr(host, ':') ? "[%s]:%d" : "%s:%d", host, port);
    return ew_config_set_text(&config->listen, with_port, err);
}

static int apply_device(struct ew_config_device *device, const struct ew_serve_options *o,
                        struct ew_err *err)
{
    struct ew_err own = {0};
    if (o->engine.threads)
        device->threads = o->engine.threads;
    if (o->engine.ctx)
        device->ctx = (uint32_t)o->engine.ctx;
    if (o->streams > 0)
        device->concurrency = (uint32_t)o->streams;
    if (o->memory && ew_config_size(o->memory, &device->memory_max, &own))
        return ew_fail(err, EW_EINVAL, "--memory takes %s", own.text);
    if (o->energy.profile && o->energy.watts > 0)
        return ew_fail(err, EW_EINVAL, "one of --profile and --watts");
    if (!o->energy.profile && !(o->energy.watts > 0))
        return 0;
    device->watts = o->energy.watts;
    return ew_config_set_text(&device->profile, o->energy.profile, err);
}

/* What would silently be of no effect. */
static int check_use(const struct ew_config *config, const struct ew_serve_options *o,
                     struct ew_err *err)
{
    bool of_engine = o->engine.threads || o->engine.ctx || o->streams > 0 || o->memory ||
                     o->energy.profile || o->energy.watts > 0;
    if (of_engine && !ew_config_engine(config))
        return ew_fail(err, EW_EINVAL,
                       "--threads, --ctx, --streams, --memory, --profile and --watts are of the "
                       "engine built in, and there is none: each device has its own");
    if (!o->join && (o->token || o->name || o->join_ca))
        return ew_fail(err, EW_EINVAL, "--token, --name and --join-ca go with --join URL");
    if (o->join && strncmp(o->join, "http://", 7) != 0 && strncmp(o->join, "https://", 8) != 0)
        return ew_fail(err, EW_EINVAL,
                       "--join takes the front's address, as https://front.example:8080, not "
                       "'%.60s'",
                       o->join);
    return 0;
}

static int apply_policy(struct ew_config *config, const struct ew_serve_options *o,
                        struct ew_err *err)
{
    struct ew_err own = {0};
    if (o->on_full >= 0)
        config->on_full = (enum ew_on_full)o->on_full;
    if (o->queue_max >= 0)
        config->queue_max = (uint32_t)o->queue_max;
    if (o->queue_timeout && ew_config_duration(o->queue_timeout, &config->queue_timeout_s, &own))
        return ew_fail(err, EW_EINVAL, "--queue-timeout takes %s", own.text);
    if (o->energy.tariff_cents_per_kwh >= 0)
        config->tariff_cents_per_kwh = o->energy.tariff_cents_per_kwh;
    return 0;
}

static int apply(struct ew_config *config, const struct ew_serve_options *o, struct ew_err *err)
{
    int rc = apply_listen(config, o, err);
    if (!rc && o->model_count)
        rc = ew_config_set_models(config, o->models, o->model_count, err);
    for (unsigned i = 0; i < config->device_count && !rc; i++)
        if (!config->devices[i].url)
            rc = apply_device(&config->devices[i], o, err);
    rc = rc ? rc : check_use(config, o, err);
    rc = rc ? rc : apply_policy(config, o, err);
    if (!rc && o->ledger)
        rc = ew_config_set_text(&config->ledger, strcmp(o->ledger, "none") ? o->ledger : "", err);
    for (size_t i = 0; i < o->origins.count && !rc; i++)
        rc = ew_config_add_origin(config, o->origins.items[i], err);
    config->ledger_durable |= o->durable;
    config->insecure |= o->insecure;
    return rc ? rc : ew_config_check(config, err);
}

/* Where the file is that was asked for; "" where options are all there is. */
static int find_file(const struct ew_serve_options *o, char *path, size_t size, struct ew_err *err)
{
    char folder[PATH_MAX];
    path[0] = '\0';
    if (o->config || o->model_count) {
        if (!o->config)
            return 0;
        return (size_t)snprintf(path, size, "%s", o->config) < size
                   ? 0
                   : ew_fail(err, EW_ELIMIT, "--config: a path longer than %zu bytes", size);
    }
    int rc = ew_file_dir(EW_FILE_CONFIG, folder, sizeof folder, err);
    if (rc)
        return rc;
    if ((size_t)snprintf(path, size, "%s/edgewise.yaml", folder) < size && access(path, F_OK) == 0)
        return 0;
    return ew_fail(err, EW_EINVAL,
                   "which model? as edgewise serve smollm2-135m, or --config FILE; there is no "
                   "%.100s",
                   path);
}

int ew_serve_options_config(void *options, struct ew_config **gives, struct ew_err *err)
{
    const struct ew_serve_options *o = options;
    char path[PATH_MAX];
    struct ew_config *config = NULL;
    int rc = find_file(o, path, sizeof path, err);
    if (!rc)
        rc = path[0] ? ew_config_open(&config, path, err) : ew_config_default(&config, err);
    rc = rc ? rc : apply(config, o, err);
    if (rc)
        ew_config_close(&config);
    *gives = config;
    return rc;
}
