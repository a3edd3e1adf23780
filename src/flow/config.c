/* config.c - edgewise.yaml: read by schema, its values taken by the rows of config_keys.h, and what
 * holds between them checked. Every error names file, line and key. Devices and clouds:
 * config_fleet.c. */
#include "flow/config_int.h"

#include "base/args.h"
#include "base/file.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS_MAX = 192 /* of all sections */, SENTENCE_BYTES = 200 };

/* ---- errors with a line ---- */

/* "FILE:LINE: PATH"; line 0: it is looked for. */
static void locate(const struct ew_config_reader *reader, size_t line, const char *key,
                   char text[EW_CONFIG_WHERE_BYTES])
{
    char path[EW_CONFIG_AT_BYTES + 64];
    snprintf(path, sizeof path, "%s%s%.60s", reader->at,
             reader->at[0] && key[0] && key[0] != '[' ? "." : "", key);
    snprintf(text, EW_CONFIG_WHERE_BYTES, "%s:%zu: %s", reader->file,
             line ? line : ew_data_line_at(reader->text, path), path);
}

static int say(struct ew_config_reader *reader, size_t line, const char *key, const char *sentence)
{
    char where[EW_CONFIG_WHERE_BYTES];
    locate(reader, line, key, where);
    return ew_fail(reader->err, EW_EFORMAT, "%s: %s", where, sentence);
}

int ew_config_keep_where(const struct ew_config_reader *reader, const char *key, char **gives)
{
    char where[EW_CONFIG_WHERE_BYTES];
    locate(reader, 0, key, where);
    return ew_config_set_text(gives, where, reader->err);
}

int ew_config_wrong(struct ew_config_reader *reader, const char *key, const char *format, ...)
{
    char sentence[SENTENCE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    return say(reader, 0, key, sentence);
}

int ew_config_wrong_on(struct ew_config_reader *reader, size_t line, const char *key,
                       const char *format, ...)
{
    char sentence[SENTENCE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    return say(reader, line, key, sentence);
}

/* ---- sections ---- */

/* Whether the row is one of those that the generic taking knows. */
static bool is_scalar(const struct ew_config_key *key)
{
    return key->kind != EW_CONFIG_LIST && key->kind != EW_CONFIG_MODEL &&
           key->kind != EW_CONFIG_MAP;
}

int ew_config_presets(void *target, enum ew_config_section_id id, struct ew_err *err)
{
    const struct ew_config_section *section = &ew_config_sections[id];
    int rc = 0;
    for (size_t i = 0; i < section->key_count && !rc; i++) {
        const struct ew_config_key *key = &section->keys[i];
        if (key->preset)
            rc = ew_config_take(target, key, key->preset, "", err);
        else if (key->kind == EW_CONFIG_MAYBE)
            *(double *)(void *)((char *)target + key->field) = NAN;
    }
    return rc;
}

int ew_config_take_section(struct ew_config_reader *reader, void *target, const void *raw,
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
        return err.code == EW_EFORMAT ? ew_config_wrong(reader, key->name, "%s", err.text)
                                      : ew_fail(reader->err, err.code, "%s", err.text);
    }
    return 0;
}

int ew_config_take_list(struct ew_config_reader *reader, char ***field, unsigned *count,
                        char *const *raw, unsigned raw_count, const char *key, unsigned max)
{
    if (raw_count > max)
        return ew_config_wrong(reader, key, "at most %u entries, not %u", max, raw_count);
    *field = calloc(raw_count ? raw_count : 1, sizeof **field);
    if (!*field)
        return ew_fail(reader->err, EW_ENOMEM, "no memory for %s", key);
    for (unsigned i = 0; i < raw_count; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s[%u]", key, i);
        if (!raw[i] || !raw[i][0])
            return ew_config_wrong(reader, path, "a text, not ''");
        for (unsigned j = 0; j < i; j++)
            if (strcmp(raw[i], raw[j]) == 0)
                return ew_config_wrong(reader, path, "%.64s stands here twice", raw[i]);
        int rc = ew_config_set_text(&(*field)[i], raw[i], reader->err);
        if (rc)
            return rc;
        *count = i + 1;
    }
    return 0;
}

/* ---- clients ---- */

static int check_client(struct ew_config_reader *reader, const struct ew_config *config,
                        unsigned index)
{
    const struct ew_config_client *client = &config->clients[index];
    if (!client->name)
        return ew_config_wrong(reader, "", "a client needs a name");
    if (!client->key_hash)
        return ew_config_wrong(reader, "",
                               "client %.63s has no key_hash; make one: "
                               "edgewise serve --new-key %.63s",
                               client->name, client->name);
    for (unsigned i = 0; i < index; i++) {
        if (strcmp(config->clients[i].name, client->name) == 0)
            return ew_config_wrong(reader, "name", "%.63s is the name of clients[%u] already",
                                   client->name, i);
        if (strcmp(config->clients[i].key_hash, client->key_hash) == 0)
            return ew_config_wrong(reader, "key_hash", "clients[%u] has this key already", i);
    }
    return 0;
}

static int take_client(struct ew_config_reader *reader, struct ew_config *config, unsigned index,
                       const struct ew_config_raw_client *raw)
{
    struct ew_config_client *client = &config->clients[index];
    int rc = ew_config_presets(client, EW_CONFIG_CLIENT, reader->err);
    rc = rc ? rc : ew_config_take_section(reader, client, raw, EW_CONFIG_CLIENT);
    rc = rc ? rc : check_client(reader, config, index);
    return rc ? rc
              : ew_config_take_limits(reader, client->limits, &client->limit_count, raw->limits,
                                      raw->limits_count);
}

static int take_clients(struct ew_config_reader *reader, struct ew_config *config,
                        const struct ew_config_raw *raw)
{
    if (raw->clients_count > EW_CONFIG_CLIENTS_MAX)
        return ew_config_wrong(reader, "clients", "at most %d, not %u", EW_CONFIG_CLIENTS_MAX,
                               raw->clients_count);
    config->clients = calloc(raw->clients_count ? raw->clients_count : 1, sizeof *config->clients);
    if (!config->clients)
        return ew_fail(reader->err, EW_ENOMEM, "no memory for clients");
    int rc = 0;
    for (unsigned i = 0; i < raw->clients_count && !rc; i++) {
        config->client_count = i + 1;
        snprintf(reader->at, sizeof reader->at, "clients[%u]", i);
        rc = take_client(reader, config, i, &raw->clients[i]);
    }
    return rc;
}

/* ---- all of it ---- */

static const char *origin_fault(const char *origin)
{
    if (strcmp(origin, "*") == 0)
        return NULL;
    const char *host = strstr(origin, "://");
    if (!host || !host[3] || strpbrk(host + 3, "/?# \t\r\n\"'") || host == origin)
        return "an origin is scheme and host, as https://app.example, without a path; or \"*\"";
    return NULL;
}

static int take_cors(struct ew_config_reader *reader, struct ew_config *config,
                     const struct ew_config_raw_cors *raw)
{
    if (!raw)
        return 0;
    snprintf(reader->at, sizeof reader->at, "cors");
    int rc = ew_config_take_list(reader, &config->cors_origins, &config->cors_count, raw->origins,
                                 raw->origins_count, "origins", EW_CONFIG_ORIGINS_MAX);
    for (unsigned i = 0; i < config->cors_count && !rc; i++) {
        char path[32];
        snprintf(path, sizeof path, "origins[%u]", i);
        const char *fault = origin_fault(config->cors_origins[i]);
        rc = fault
                 ? ew_config_wrong(reader, path, "%s, not '%.60s'", fault, config->cors_origins[i])
                 : 0;
    }
    return rc;
}

/* The sections of one mapping each. */
static int take_mappings(struct ew_config_reader *reader, struct ew_config *config,
                         const struct ew_config_raw *raw)
{
    const struct ew_config_raw_policy *policy = raw->policy;
    const struct {
        const char *at;
        const void *raw;
        enum ew_config_section_id id;
    } mappings[] = {
        {"tls", raw->tls, EW_CONFIG_TLS},
        {"accounting", raw->accounting, EW_CONFIG_ACCOUNTING},
        {"join", raw->join, EW_CONFIG_JOIN},
        {"policy", policy, EW_CONFIG_POLICY},
        {"policy.queue", policy ? policy->queue : NULL, EW_CONFIG_QUEUE},
        {"policy.timeouts", policy ? policy->timeouts : NULL, EW_CONFIG_TIMEOUTS},
        {"limits", raw->limits, EW_CONFIG_LIMITS},
    };
    int rc = 0;
    for (size_t i = 0; i < EW_COUNT(mappings) && !rc; i++) {
        snprintf(reader->at, sizeof reader->at, "%s", mappings[i].at);
        rc = ew_config_take_section(reader, config, mappings[i].raw, mappings[i].id);
        if (!rc && mappings[i].id == EW_CONFIG_TLS && raw->tls &&
            !(config->tls_certificate && config->tls_key))
            rc = ew_config_wrong(reader, "", "it needs both certificate and key");
        if (!rc && mappings[i].id == EW_CONFIG_JOIN && raw->join && !config->join_secret)
            rc = ew_config_wrong(reader, "", "it needs secret: FILE");
    }
    return rc;
}

/* Where there are clouds, they are what they are there for. */
static int take_on_full(struct ew_config_reader *reader, struct ew_config *config,
                        const struct ew_config_raw_policy *raw)
{
    snprintf(reader->at, sizeof reader->at, "policy");
    if ((!raw || !raw->on_full) && config->cloud_count)
        config->on_full = EW_ON_FULL_CLOUD;
    if (config->on_full == EW_ON_FULL_CLOUD && !config->cloud_count)
        return ew_config_wrong(reader, "on_full", "cloud, and there are no clouds");
    return 0;
}

static int take_all(struct ew_config_reader *reader, struct ew_config *config,
                    const struct ew_config_raw *raw)
{
    struct ew_err own = {0};
    int rc = ew_config_take_section(reader, config, raw, EW_CONFIG_TOP);
    if (!rc && raw->listen &&
        ew_config_address(config->listen, NULL, 0, &(int){0}, &(bool){false}, &own))
        rc = ew_config_wrong(reader, "listen", "%s", own.text);
    rc = rc ? rc : take_mappings(reader, config, raw);
    rc = rc ? rc : take_cors(reader, config, raw->cors);
    reader->at[0] = '\0';
    rc = rc ? rc : ew_config_take_devices(reader, config, raw);
    reader->at[0] = '\0';
    rc = rc ? rc : ew_config_take_clouds(reader, config, raw);
    rc = rc ? rc : take_on_full(reader, config, raw->policy);
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
        rc = ew_config_presets(config, of_config[i], err);
    if (rc)
        ew_config_close(&config);
    else
        snprintf(config->version, sizeof config->version, "options");
    *gives = config;
    return rc;
}

static int start(struct ew_config_reader *reader, struct ew_config *config)
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
    if (strcmp(key, "key") == 0 || strcmp(key, "api_key") == 0) {
        snprintf(text, size, "; keys don't stand here: key_env or key_file says where one is");
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

static int load(struct ew_config_reader *reader, struct ew_config_raw **raw)
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
    struct ew_config_reader reader = {.text = {text, bytes}, .file = file, .err = err};
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
    ew_config_free_fleet(c);
    for (unsigned i = 0; i < c->client_count; i++) {
        free(c->clients[i].name);
        free(c->clients[i].key_hash);
    }
    free_list(c->cors_origins, c->cors_count);
    free(c->clients);
    free(c->file);
    free(c->listen);
    free(c->tls_certificate);
    free(c->tls_key);
    free(c->ledger);
    free(c->prices);
    free(c->join_secret);
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

/* The engine's device, made behind the others where there is none. */
static int engine_device(struct ew_config *config, struct ew_config_device **device,
                         struct ew_err *err)
{
    for (unsigned i = 0; i < config->device_count; i++)
        if (!config->devices[i].url) {
            *device = &config->devices[i];
            return 0;
        }
    unsigned count = config->device_count;
    struct ew_config_device *list = realloc(config->devices, (count + 1) * sizeof *list);
    if (!list)
        return ew_fail(err, EW_ENOMEM, "no memory for a device");
    config->devices = list;
    config->device_count = count + 1;
    list[count] = (struct ew_config_device){.concurrency = EW_CONFIG_STREAMS};
    *device = &list[count];
    return ew_config_presets(*device, EW_CONFIG_DEVICE, err);
}

int ew_config_set_models(struct ew_config *config, char *const *models, unsigned count,
                         struct ew_err *err)
{
    struct ew_config_device *device = NULL;
    if (count > EW_CONFIG_MODELS_MAX)
        return ew_fail(err, EW_ELIMIT, "at most %d models, not %u", EW_CONFIG_MODELS_MAX, count);
    int rc = engine_device(config, &device, err);
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
