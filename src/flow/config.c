/* config.c - edgewise.yaml: read by schema, its values taken by the rows of config_keys.h, and what
 * holds between them checked. Every error names file, line and key.
 *
 * A reader keeps where it is as a path ("clients[1].key_hash"); only an error turns that into a
 * line. */
#include "flow/config_keys.h"

#include "base/args.h"
#include "base/file.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 96, KEYS_MAX = 64 /* of all sections */ };

struct reader {
    struct ew_str text;
    const char *file; /* as errors call it */
    char base[PATH_MAX];
    char at[PATH_BYTES]; /* the mapping under the pen: "policy.queue" */
    struct ew_err *err;
};

/* ---- errors with a line ---- */

__attribute__((format(printf, 3, 4))) static int wrong(struct reader *reader, const char *key,
                                                       const char *format, ...)
{
    char path[PATH_BYTES + 64], sentence[200];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    snprintf(path, sizeof path, "%s%s%s", reader->at,
             reader->at[0] && key[0] && key[0] != '[' ? "." : "", key);
    return ew_fail(reader->err, EW_EFORMAT, "%s:%zu: %s: %s", reader->file,
                   ew_data_line_at(reader->text, path), path, sentence);
}

/* ---- sections ---- */

/* Whether the row is one of those that the generic taking knows. */
static bool is_scalar(const struct ew_config_key *key)
{
    return key->kind != EW_CONFIG_LIST && key->kind != EW_CONFIG_MODEL;
}

static int take_presets(void *target, enum ew_config_section_id id, struct ew_err *err)
{
    const struct ew_config_section *section = &ew_config_sections[id];
    int rc = 0;
    for (size_t i = 0; i < section->key_count && !rc; i++)
        if (section->keys[i].preset)
            rc = ew_config_take(target, &section->keys[i], section->keys[i].preset, "", err);
    return rc;
}

/* raw NULL: the section isn't in the file. */
static int take_section(struct reader *reader, void *target, const void *raw,
                        enum ew_config_section_id id)
{
    const struct ew_config_section *section = &ew_config_sections[id];
    for (size_t i = 0; raw && i < section->key_count; i++) {
        const struct ew_config_key *key = &section->keys[i];
        struct ew_err err = {0};
        if (!is_scalar(key))
            continue;
        char *text;
        memcpy(&text, (const char *)raw + key->raw, sizeof text);
        if (!text || ew_config_take(target, key, text, reader->base, &err) == 0)
            continue;
        return err.code == EW_EFORMAT ? wrong(reader, key->name, "%s", err.text)
                                      : ew_fail(reader->err, err.code, "%s", err.text);
    }
    return 0;
}

static int take_list(struct reader *reader, char ***field, unsigned *count, char *const *raw,
                     unsigned raw_count, const char *key, unsigned max)
{
    if (raw_count > max)
        return wrong(reader, key, "at most %u entries, not %u", max, raw_count);
    *field = calloc(raw_count ? raw_count : 1, sizeof **field);
    if (!*field)
        return ew_fail(reader->err, EW_ENOMEM, "no memory for %s", key);
    for (unsigned i = 0; i < raw_count; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s[%u]", key, i);
        if (!raw[i] || !raw[i][0])
            return wrong(reader, path, "a text, not ''");
        for (unsigned j = 0; j < i; j++)
            if (strcmp(raw[i], raw[j]) == 0)
                return wrong(reader, path, "%.64s stands here twice", raw[i]);
        int rc = ew_config_set_text(&(*field)[i], raw[i], reader->err);
        if (rc)
            return rc;
        *count = i + 1;
    }
    return 0;
}

/* "dir/x.gguf" in the file lies beside the file; "x" is a name. */
static int resolve(struct reader *reader, char **field)
{
    char *was = *field;
    if (!was || !ew_config_is_path(was))
        return 0;
    int rc = ew_config_resolve(field, was, reader->base, reader->err);
    if (rc)
        *field = was;
    else
        free(was);
    return rc;
}

static int take_device(struct reader *reader, struct ew_config_device *device,
                       const struct ew_config_raw_device *raw)
{
    int rc = take_presets(device, EW_CONFIG_DEVICE, reader->err);
    if (!rc)
        rc = take_section(reader, device, raw, EW_CONFIG_DEVICE);
    if (rc)
        return rc;
    if (raw->model && raw->models)
        return wrong(reader, "models", "model is there, too; one of them is enough");
    if (!raw->model && !raw->models_count)
        return wrong(reader, raw->models ? "models" : "",
                     "no model: it needs model: NAME, or "
                     "models: [NAME, …]");
    if (raw->profile && raw->watts)
        return wrong(reader, "watts", "profile is there, too; one of them says the watts");
    rc = raw->model ? take_list(reader, &device->models, &device->model_count,
                                (char *const[]){raw->model}, 1, "model", 1)
                    : take_list(reader, &device->models, &device->model_count, raw->models,
                                raw->models_count, "models", EW_CONFIG_MODELS_MAX);
    for (unsigned i = 0; i < device->model_count && !rc; i++)
        rc = resolve(reader, &device->models[i]);
    return rc ? rc : resolve(reader, &device->profile);
}

static int take_devices(struct reader *reader, struct ew_config *config,
                        const struct ew_config_raw *raw)
{
    if (raw->devices_count > EW_CONFIG_DEVICES_MAX)
        return wrong(reader, "devices[1]",
                     "one device at most: the engine built in; give that one "
                     "several models");
    config->devices = calloc(EW_CONFIG_DEVICES_MAX, sizeof *config->devices);
    if (!config->devices)
        return ew_fail(reader->err, EW_ENOMEM, "no memory for devices");
    int rc = 0;
    for (unsigned i = 0; i < raw->devices_count && !rc; i++) {
        config->device_count = i + 1;
        snprintf(reader->at, sizeof reader->at, "devices[%u]", i);
        rc = take_device(reader, &config->devices[i], &raw->devices[i]);
    }
    return rc;
}

static int check_client(struct reader *reader, const struct ew_config *config, unsigned index)
{
    const struct ew_config_client *client = &config->clients[index];
    if (!client->name)
        return wrong(reader, "", "a client needs a name");
    if (!client->key_hash)
        return wrong(reader, "",
                     "client %.63s has no key_hash; make one: "
                     "edgewise serve --new-key %.63s",
                     client->name, client->name);
    for (unsigned i = 0; i < index; i++) {
        if (strcmp(config->clients[i].name, client->name) == 0)
            return wrong(reader, "name", "%.63s is the name of clients[%u] already", client->name,
                         i);
        if (strcmp(config->clients[i].key_hash, client->key_hash) == 0)
            return wrong(reader, "key_hash", "clients[%u] has this key already", i);
    }
    return 0;
}

static int take_limits(struct reader *reader, struct ew_config_client *client,
                       const struct ew_config_raw_client *raw, unsigned index)
{
    if (raw->limits_count > EW_CONFIG_LIMITS_MAX)
        return wrong(reader, "limits", "at most %d, not %u", EW_CONFIG_LIMITS_MAX,
                     raw->limits_count);
    for (unsigned i = 0; i < raw->limits_count; i++) {
        struct ew_config_limit *limit = &client->limits[i];
        snprintf(reader->at, sizeof reader->at, "clients[%u].limits[%u]", index, i);
        int rc = take_section(reader, limit, &raw->limits[i], EW_CONFIG_CLIENT_LIMIT);
        if (rc)
            return rc;
        if (!limit->requests == !limit->tokens)
            return wrong(reader, "", "either requests: N or tokens: N");
        if (!(limit->per_s > 0))
            return wrong(reader, "", "it needs per: TIME, as 60s");
        client->limit_count = i + 1;
    }
    return 0;
}

static int take_clients(struct reader *reader, struct ew_config *config,
                        const struct ew_config_raw *raw)
{
    if (raw->clients_count > EW_CONFIG_CLIENTS_MAX)
        return wrong(reader, "clients", "at most %d, not %u", EW_CONFIG_CLIENTS_MAX,
                     raw->clients_count);
    config->clients = calloc(raw->clients_count ? raw->clients_count : 1, sizeof *config->clients);
    if (!config->clients)
        return ew_fail(reader->err, EW_ENOMEM, "no memory for clients");
    int rc = 0;
    for (unsigned i = 0; i < raw->clients_count && !rc; i++) {
        config->client_count = i + 1;
        snprintf(reader->at, sizeof reader->at, "clients[%u]", i);
        rc = take_section(reader, &config->clients[i], &raw->clients[i], EW_CONFIG_CLIENT);
        rc = rc ? rc : check_client(reader, config, i);
        rc = rc ? rc : take_limits(reader, &config->clients[i], &raw->clients[i], i);
    }
    return rc;
}

static const char *origin_fault(const char *origin)
{
    if (strcmp(origin, "*") == 0)
        return NULL;
    const char *host = strstr(origin, "://");
    if (!host || !host[3] || strpbrk(host + 3, "/?# \t\r\n\"'") || host == origin)
        return "an origin is scheme and host, as https://app.example, without a path; or \"*\"";
    return NULL;
}

static int take_cors(struct reader *reader, struct ew_config *config,
                     const struct ew_config_raw_cors *raw)
{
    if (!raw)
        return 0;
    snprintf(reader->at, sizeof reader->at, "cors");
    int rc = take_list(reader, &config->cors_origins, &config->cors_count, raw->origins,
                       raw->origins_count, "origins", EW_CONFIG_ORIGINS_MAX);
    for (unsigned i = 0; i < config->cors_count && !rc; i++) {
        char path[32];
        snprintf(path, sizeof path, "origins[%u]", i);
        const char *fault = origin_fault(config->cors_origins[i]);
        rc = fault ? wrong(reader, path, "%s, not '%.60s'", fault, config->cors_origins[i]) : 0;
    }
    return rc;
}

static int take_named(struct reader *reader, struct ew_config *config, const void *raw,
                      enum ew_config_section_id id, const char *at)
{
    snprintf(reader->at, sizeof reader->at, "%s", at);
    return take_section(reader, config, raw, id);
}

static int take_all(struct reader *reader, struct ew_config *config,
                    const struct ew_config_raw *raw)
{
    const struct ew_config_raw_policy *policy = raw->policy;
    struct ew_err own = {0};
    int rc = take_named(reader, config, raw, EW_CONFIG_TOP, "");
    if (!rc && raw->listen &&
        ew_config_address(config->listen, NULL, 0, &(int){0}, &(bool){false}, &own))
        rc = wrong(reader, "listen", "%s", own.text);
    rc = rc ? rc : take_named(reader, config, raw->tls, EW_CONFIG_TLS, "tls");
    if (!rc && raw->tls && !(config->tls_certificate && config->tls_key))
        rc = wrong(reader, "", "it needs both certificate and key");
    rc = rc ? rc : take_named(reader, config, raw->accounting, EW_CONFIG_ACCOUNTING, "accounting");
    rc = rc ? rc : take_named(reader, config, policy, EW_CONFIG_POLICY, "policy");
    rc = rc ? rc
            : take_named(reader, config, policy ? policy->queue : NULL, EW_CONFIG_QUEUE,
                         "policy.queue");
    rc = rc ? rc
            : take_named(reader, config, policy ? policy->timeouts : NULL, EW_CONFIG_TIMEOUTS,
                         "policy.timeouts");
    rc = rc ? rc : take_named(reader, config, raw->limits, EW_CONFIG_LIMITS, "limits");
    rc = rc ? rc : take_cors(reader, config, raw->cors);
    reader->at[0] = '\0';
    rc = rc ? rc : take_devices(reader, config, raw);
    reader->at[0] = '\0';
    return rc ? rc : take_clients(reader, config, raw);
}

/* ---- whole files ---- */

int ew_config_default(struct ew_config **gives, struct ew_err *err)
{
    static const enum ew_config_section_id of_config[] = {
        EW_CONFIG_TOP,   EW_CONFIG_TLS,      EW_CONFIG_ACCOUNTING, EW_CONFIG_POLICY,
        EW_CONFIG_QUEUE, EW_CONFIG_TIMEOUTS, EW_CONFIG_LIMITS,     EW_CONFIG_CORS};
    struct ew_config *config = calloc(1, sizeof *config);
    int rc = config ? 0 : ew_fail(err, EW_ENOMEM, "no memory for the configuration");
    for (size_t i = 0; i < EW_COUNT(of_config) && !rc; i++)
        rc = take_presets(config, of_config[i], err);
    if (rc)
        ew_config_close(&config);
    else
        snprintf(config->version, sizeof config->version, "options");
    *gives = config;
    return rc;
}

static int start(struct reader *reader, struct ew_config *config)
{
    char hex[65];
    const char *slash = strrchr(reader->file, '/');
    int bytes = slash ? (int)(slash - reader->file) + 1 : 0;
    snprintf(reader->base, sizeof reader->base, "%.*s", bytes, reader->file);
    int rc = ew_config_set_text(&config->file, reader->file, reader->err);
    rc = rc ? rc : ew_config_text_hash(reader->text, hex, reader->err);
    if (!rc)
        snprintf(config->version, sizeof config->version, "%.16s", hex);
    return rc;
}

/* "Unexpected key: threads" is told where that key belongs, or which one may be meant. */
static void say_where(const char *key, char *text, size_t size)
{
    const char *names[KEYS_MAX];
    size_t count = 0;
    if (strcmp(key, "port") == 0 || strcmp(key, "host") == 0 || strcmp(key, "address") == 0) {
        snprintf(text, size, "; it belongs into listen: 127.0.0.1:8080");
        return;
    }
    for (int id = 0; id < EW_CONFIG_SECTIONS; id++) {
        const struct ew_config_section *section = &ew_config_sections[id];
        if (id != EW_CONFIG_TOP)
            names[count++] = section->name;
        for (size_t i = 0; i < section->key_count; i++) {
            EW_ASSERT(count < KEYS_MAX);
            names[count++] = section->keys[i].name;
            if (strcmp(section->keys[i].name, key) == 0 && id != EW_CONFIG_TOP) {
                snprintf(text, size, "; it belongs below %s", section->name);
                return;
            }
        }
    }
    const char *near = ew_args_nearest(key, names, count);
    if (near)
        snprintf(text, size, "; did you mean %s?", near);
}

static int load(struct reader *reader, struct ew_config_raw **raw)
{
    static const char unexpected[] = "Unexpected key: ";
    struct ew_err err = {0};
    int rc = ew_data_yaml(reader->text, reader->file, &ew_config_raw_schema, (void **)raw, &err);
    const char *at = strstr(err.text, unexpected);
    char hint[80] = "";
    if (rc && at)
        say_where(at + sizeof unexpected - 1, hint, sizeof hint);
    return rc ? ew_fail(reader->err, rc, "%.150s%s", err.text, hint) : 0;
}

int ew_config_parse(struct ew_config **gives, const char *text, size_t bytes, const char *file,
                    struct ew_err *err)
{
    struct ew_config *config = NULL;
    struct ew_config_raw *raw = NULL;
    struct reader reader = {.text = {text, bytes}, .file = file, .err = err};
    int rc = load(&reader, &raw);
    rc = rc ? rc : ew_config_default(&config, err);
    rc = rc ? rc : start(&reader, config);
    rc = rc ? rc : take_all(&reader, config, raw);
    ew_data_free(&ew_config_raw_schema, raw, 0);
    if (rc)
        ew_config_close(&config);
    *gives = config;
    return rc;
}

int ew_config_open(struct ew_config **gives, const char *path, struct ew_err *err)
{
    struct ew_buf text;
    ew_buf_init(&text, EW_CONFIG_BYTES_MAX);
    int rc = ew_file_read(&text, path, err);
    *gives = NULL;
    if (!rc)
        rc = ew_config_parse(gives, ew_buf_cstr(&text), text.bytes, path, err);
    ew_buf_fini(&text);
    return rc;
}

static void free_list(char **list, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        free(list[i]);
    free(list);
}

void ew_config_close(struct ew_config **config)
{
    struct ew_config *c = *config;
    if (!c)
        return;
    for (unsigned i = 0; i < c->device_count; i++) {
        free(c->devices[i].name);
        free(c->devices[i].profile);
        free_list(c->devices[i].models, c->devices[i].model_count);
    }
    for (unsigned i = 0; i < c->client_count; i++) {
        free(c->clients[i].name);
        free(c->clients[i].key_hash);
    }
    free_list(c->cors_origins, c->cors_count);
    free(c->devices);
    free(c->clients);
    free(c->file);
    free(c->listen);
    free(c->tls_certificate);
    free(c->tls_key);
    free(c->ledger);
    free(c);
    *config = NULL;
}

/* ---- options that override ---- */

int ew_config_set_text(char **field, const char *text, struct ew_err *err)
{
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy)
        return ew_fail(err, EW_ENOMEM, "no memory for the configuration");
    free(*field);
    *field = copy;
    return 0;
}

int ew_config_set_models(struct ew_config *config, char *const *models, unsigned count,
                         struct ew_err *err)
{
    int rc = 0;
    if (count > EW_CONFIG_MODELS_MAX)
        return ew_fail(err, EW_ELIMIT, "at most %d models, not %u", EW_CONFIG_MODELS_MAX, count);
    if (!config->devices)
        config->devices = calloc(EW_CONFIG_DEVICES_MAX, sizeof *config->devices);
    if (!config->devices)
        return ew_fail(err, EW_ENOMEM, "no memory for a device");
    struct ew_config_device *device = &config->devices[0];
    if (!config->device_count) {
        config->device_count = 1;
        rc = take_presets(device, EW_CONFIG_DEVICE, err);
    }
    char **list = rc ? NULL : calloc(count ? count : 1, sizeof *list);
    if (!list)
        return rc ? rc : ew_fail(err, EW_ENOMEM, "no memory for models");
    free_list(device->models, device->model_count);
    device->models = list;
    device->model_count = count;
    for (unsigned i = 0; i < count && !rc; i++)
        rc = ew_config_set_text(&list[i], models[i], err);
    return rc;
}

int ew_config_add_origin(struct ew_config *config, const char *origin, struct ew_err *err)
{
    const char *fault = origin_fault(origin);
    if (fault)
        return ew_fail(err, EW_EINVAL, "%s, not '%.60s'", fault, origin);
    if (config->cors_count == EW_CONFIG_ORIGINS_MAX)
        return ew_fail(err, EW_ELIMIT, "at most %d origins", EW_CONFIG_ORIGINS_MAX);
    char **list = realloc(config->cors_origins, (config->cors_count + 1) * sizeof *list);
    if (!list)
        return ew_fail(err, EW_ENOMEM, "no memory for origins");
    config->cors_origins = list;
    list[config->cors_count] = NULL;
    int rc = ew_config_set_text(&list[config->cors_count], origin, err);
    config->cors_count += rc == 0;
    return rc;
}
