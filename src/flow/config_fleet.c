/* config_fleet.c - who answers: the devices and clouds of edgewise.yaml, their limits and budgets.
 *
 * A device is the built-in engine or, with `url`, another; a key of the one isn't for the other,
 * for whoever wrote it meant something that wouldn't happen. Two things have a form that libcyaml
 * has no schema for (free keys, one thing or a list of them): they are read from the tree. */
#include "flow/config_int.h"

#include "flow/price.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STREAMS_MAX = 64 /* of the built-in engine */ };

/* ---- what both have ---- */

bool ew_config_name_taken(const struct ew_config *config, const char *name, unsigned devices,
                          unsigned clouds, char place[32])
{
    for (unsigned i = 0; i < devices; i++)
        if (strcmp(config->devices[i].name, name) == 0) {
            snprintf(place, 32, "devices[%u]", i);
            return true;
        }
    for (unsigned i = 0; i < clouds; i++)
        if (strcmp(config->clouds[i].name, name) == 0) {
            snprintf(place, 32, "clouds[%u]", i);
            return true;
        }
    return false;
}

static int check_name(struct ew_config_reader *reader, const struct ew_config *config,
                      const char *name, unsigned devices, unsigned clouds)
{
    char place[32];
    return ew_config_name_taken(config, name, devices, clouds, place)
               ? ew_config_wrong(reader, "name", "%.63s is the name of %s already", name, place)
               : 0;
}

static int check_upstream(struct ew_config_reader *reader, const char *url, const char *key_env,
                          const char *key_file, const char *ca, char **key_at)
{
    if (key_env && key_file)
        return ew_config_wrong(reader, "key_file", "key_env is there, too; one of them is enough");
    if (ca && strncmp(url, "https://", 8) != 0)
        return ew_config_wrong(reader, "ca", "only an https url has a certificate to check");
    if (key_env || key_file)
        return ew_config_keep_where(reader, key_env ? "key_env" : "key_file", key_at);
    return 0;
}

int ew_config_take_limits(struct ew_config_reader *reader, struct ew_config_limit *limits,
                          unsigned *count, const struct ew_config_raw_limit *raw,
                          unsigned raw_count)
{
    char holder[EW_CONFIG_AT_BYTES - 32];
    int rc = 0;
    if (*count + raw_count > EW_CONFIG_LIMITS_MAX)
        return ew_config_wrong(reader, "limits", "at most %d (budgets count), not %u",
                               EW_CONFIG_LIMITS_MAX, *count + raw_count);
    snprintf(holder, sizeof holder, "%.*s", (int)sizeof holder - 1, reader->at);
    for (unsigned i = 0; i < raw_count && !rc; i++) {
        struct ew_config_limit *limit = &limits[*count];
        snprintf(reader->at, sizeof reader->at, "%s.limits[%u]", holder, i);
        rc = ew_config_take_section(reader, limit, &raw[i], EW_CONFIG_DEVICE_LIMIT);
        int kinds = !!raw[i].requests + !!raw[i].tokens + !!raw[i].joules + !!raw[i].cents;
        if (!rc && kinds != 1)
            rc = ew_config_wrong(reader, "", "one of requests, tokens, joules and cents: N");
        if (!rc && !(limit->per_s > 0))
            rc = ew_config_wrong(reader, "", "it needs per: TIME, as 60s");
        *count += !rc;
    }
    snprintf(reader->at, sizeof reader->at, "%s", holder);
    return rc;
}

/* ---- devices ---- */

/* "dir/x.gguf" in the file lies beside the file; "x" is a name. */
static int resolve(struct ew_config_reader *reader, char **field)
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

/* Keys of the built-in engine beside a url, and the other way round. */
static int check_keys(struct ew_config_reader *reader, const struct ew_config_raw_device *raw)
{
    const struct {
        const char *key, *value;
        bool of_engine;
    } keys[] = {{"threads", raw->threads, true},    {"ctx", raw->ctx, true},
                {"memory", raw->memory, true},      {"idle_unload", raw->idle_unload, true},
                {"api", raw->api, false},           {"key_env", raw->key_env, false},
                {"key_file", raw->key_file, false}, {"ca", raw->ca, false}};
    for (size_t i = 0; i < EW_COUNT(keys); i++)
        if (keys[i].value && keys[i].of_engine == (raw->url != NULL))
            return ew_config_wrong(reader, keys[i].key,
                                   raw->url ? "only of the engine built in, not beside a url"
                                            : "only beside a url");
    if (raw->model && raw->models)
        return ew_config_wrong(reader, "models", "model is there, too; one of them is enough");
    if (!raw->url && !raw->model && !raw->models_count)
        return ew_config_wrong(reader, raw->models ? "models" : "",
                               "no model: it needs model: NAME, or models: [NAME, …]; or url: "
                               "ADDRESS of another engine");
    if (raw->profile && raw->watts)
        return ew_config_wrong(reader, "watts",
                               "profile is there, too; one of them says the watts");
    return raw->url && !raw->name ? ew_config_wrong(reader, "", "it needs a name") : 0;
}

static int take_concurrency(struct ew_config_reader *reader, struct ew_config_device *device)
{
    if (device->url)
        return 0;
    if (!device->concurrency)
        device->concurrency = EW_CONFIG_STREAMS;
    return device->concurrency <= STREAMS_MAX
               ? 0
               : ew_config_wrong(reader, "concurrency", "of the engine at most %d, not %u",
                                 STREAMS_MAX, device->concurrency);
}

static int take_models(struct ew_config_reader *reader, struct ew_config_device *device,
                       const struct ew_config_raw_device *raw)
{
    int rc = raw->model
                 ? ew_config_take_list(reader, &device->models, &device->model_count,
                                       (char *const[]){raw->model}, 1, "model", 1)
                 : ew_config_take_list(reader, &device->models, &device->model_count, raw->models,
                                       raw->models_count, "models", EW_CONFIG_MODELS_MAX);
    for (unsigned i = 0; i < device->model_count && !rc && !device->url; i++)
        rc = resolve(reader, &device->models[i]);
    return rc;
}

static int take_device(struct ew_config_reader *reader, struct ew_config_device *device,
                       const struct ew_config_raw_device *raw)
{
    int rc = ew_config_presets(device, EW_CONFIG_DEVICE, reader->err);
    rc = rc ? rc : ew_config_take_section(reader, device, raw, EW_CONFIG_DEVICE);
    rc = rc ? rc : check_keys(reader, raw);
    rc = rc ? rc : take_concurrency(reader, device);
    rc = rc ? rc : take_models(reader, device, raw);
    rc = rc ? rc : resolve(reader, &device->profile);
    if (!rc && device->url)
        rc = check_upstream(reader, device->url, device->key_env, device->key_file, device->ca,
                            &device->key_at);
    return rc ? rc
              : ew_config_take_limits(reader, device->limits, &device->limit_count, raw->limits,
                                      raw->limits_count);
}

int ew_config_take_devices(struct ew_config_reader *reader, struct ew_config *config,
                           const struct ew_config_raw *raw)
{
    int engine = -1, rc = 0;
    if (raw->devices_count > EW_CONFIG_DEVICES_MAX)
        return ew_config_wrong(reader, "devices", "at most %d, not %u", EW_CONFIG_DEVICES_MAX,
                               raw->devices_count);
    config->devices = calloc(raw->devices_count + 1, sizeof *config->devices);
    if (!config->devices)
        return ew_fail(reader->err, EW_ENOMEM, "no memory for devices");
    for (unsigned i = 0; i < raw->devices_count && !rc; i++) {
        config->device_count = i + 1;
        snprintf(reader->at, sizeof reader->at, "devices[%u]", i);
        if (!raw->devices[i].url && engine >= 0)
            return ew_config_wrong(reader, "",
                                   "the engine built in is devices[%d] already: give that one "
                                   "several models, or this one a url",
                                   engine);
        engine = raw->devices[i].url ? engine : (int)i;
        rc = take_device(reader, &config->devices[i], &raw->devices[i]);
        rc = rc ? rc : check_name(reader, config, config->devices[i].name, i, 0);
    }
    return rc;
}

/* ---- clouds ---- */

static int take_name(struct ew_config_reader *reader, struct ew_config_cloud *cloud,
                     const struct ew_data_pair *pair)
{
    struct ew_config_name *name = &cloud->names[cloud->name_count];
    if (!pair->key || !*pair->key || !pair->value || !*pair->value)
        return ew_config_wrong_on(reader, pair->line, "models",
                                  "a text by a name, as \"*\": gpt-5.4-mini");
    if (strlen(pair->key) > EW_CONFIG_TEXT_MAX || strlen(pair->value) > EW_CONFIG_TEXT_MAX)
        return ew_config_wrong_on(reader, pair->line, "models", "names have at most %d bytes",
                                  EW_CONFIG_TEXT_MAX);
    for (unsigned i = 0; i < cloud->name_count; i++)
        if (strcmp(cloud->names[i].asked, pair->key) == 0)
            return ew_config_wrong_on(reader, pair->line, "models", "%.64s stands here twice",
                                      pair->key);
    cloud->name_count++;
    int rc = ew_config_set_text(&name->asked, pair->key, reader->err);
    return rc ? rc : ew_config_set_text(&name->there, pair->value, reader->err);
}

static int take_names(struct ew_config_reader *reader, struct ew_config_cloud *cloud,
                      struct ew_data_tree *tree)
{
    char path[EW_CONFIG_AT_BYTES + 16];
    struct ew_data_pair pair;
    size_t count;
    snprintf(path, sizeof path, "%s.models", reader->at);
    enum ew_data_kind kind = ew_data_tree_kind(tree, path, &count);
    if (kind == EW_DATA_NOTHING)
        return 0;
    if (kind != EW_DATA_MAP || !count)
        return ew_config_wrong(reader, "models", "texts by names, as {\"*\": gpt-5.4-mini}");
    if (count > EW_CONFIG_NAMES_MAX)
        return ew_config_wrong(reader, "models", "at most %d entries, not %zu", EW_CONFIG_NAMES_MAX,
                               count);
    cloud->names = calloc(count, sizeof *cloud->names);
    if (!cloud->names)
        return ew_fail(reader->err, EW_ENOMEM, "no memory for the models of a cloud");
    int rc = 0;
    for (size_t i = 0; i < count && !rc && ew_data_tree_pair(tree, path, i, &pair); i++)
        rc = take_name(reader, cloud, &pair);
    return rc;
}

/* The mapping under the pen -> a limit in cents. */
static int take_budget(struct ew_config_reader *reader, struct ew_config_limit *limit,
                       struct ew_data_tree *tree)
{
    const struct ew_config_section *section = &ew_config_sections[EW_CONFIG_BUDGET];
    struct ew_config_raw_budget raw = {0};
    struct ew_data_pair pair;
    for (size_t i = 0; ew_data_tree_pair(tree, reader->at, i, &pair); i++) {
        size_t k = 0;
        while (k < section->key_count && (!pair.key || strcmp(section->keys[k].name, pair.key)))
            k++;
        if (k == section->key_count)
            return ew_config_wrong_on(reader, pair.line, "", "it takes usd and per, not %.60s",
                                      pair.key ? pair.key : "that");
        char *seen, *slot = (char *)&raw + section->keys[k].raw;
        memcpy(&seen, slot, sizeof seen);
        if (seen || !pair.value)
            return ew_config_wrong_on(reader, pair.line, pair.key,
                                      seen ? "it stands here twice" : "it takes one value");
        memcpy(slot, &pair.value, sizeof pair.value);
    }
    int rc = ew_config_take_section(reader, limit, &raw, EW_CONFIG_BUDGET);
    if (!rc && !(raw.usd && raw.per))
        rc = ew_config_wrong(reader, "", "it needs both usd and per, as {usd: 5, per: 24h}");
    limit->cents *= 100; /* the key is in dollars */
    return rc;
}

static int take_budgets(struct ew_config_reader *reader, struct ew_config_cloud *cloud,
                        struct ew_data_tree *tree)
{
    char holder[EW_CONFIG_AT_BYTES - 32];
    size_t count, ignored;
    int rc = 0;
    snprintf(holder, sizeof holder, "%.*s", (int)sizeof holder - 1, reader->at);
    snprintf(reader->at, sizeof reader->at, "%s.budget", holder);
    enum ew_data_kind kind = ew_data_tree_kind(tree, reader->at, &count);
    if (kind == EW_DATA_VALUE)
        rc = ew_config_wrong(reader, "", "it takes {usd: 5, per: 24h}, or a list of such");
    else if (kind != EW_DATA_LIST)
        count = kind == EW_DATA_MAP;
    if (!rc && count > EW_CONFIG_LIMITS_MAX)
        rc = ew_config_wrong(reader, "", "at most %d, not %zu", EW_CONFIG_LIMITS_MAX, count);
    for (size_t i = 0; i < count && !rc; i++) {
        if (kind == EW_DATA_LIST)
            snprintf(reader->at, sizeof reader->at, "%s.budget[%u]", holder, (unsigned)i);
        if (ew_data_tree_kind(tree, reader->at, &ignored) != EW_DATA_MAP)
            rc = ew_config_wrong(reader, "", "it takes {usd: 5, per: 24h}");
        rc = rc ? rc : take_budget(reader, &cloud->limits[i], tree);
        cloud->limit_count = (unsigned)i + 1;
    }
    snprintf(reader->at, sizeof reader->at, "%s", holder);
    if (!rc && count && !cloud->price) /* what isn't known can't be kept to */
        rc = ew_config_wrong(reader, "", "a budget needs a price, as openai/gpt-5.4-mini");
    return rc;
}

static int take_url(struct ew_config_reader *reader, struct ew_config_cloud *cloud)
{
    static const char *const known[] = {[EW_API_OPENAI] = "https://api.openai.com/v1",
                                        [EW_API_ANTHROPIC] = "https://api.anthropic.com/v1",
                                        [EW_API_OLLAMA] = NULL};
    if (cloud->url)
        return 0;
    return known[cloud->api] ? ew_config_set_text(&cloud->url, known[cloud->api], reader->err)
                             : ew_config_wrong(reader, "", "it needs a url");
}

static int take_cloud(struct ew_config_reader *reader, struct ew_config_cloud *cloud,
                      const struct ew_config_raw_cloud *raw, struct ew_data_tree *tree)
{
    int rc = ew_config_presets(cloud, EW_CONFIG_CLOUD, reader->err);
    rc = rc ? rc : ew_config_take_section(reader, cloud, raw, EW_CONFIG_CLOUD);
    if (!rc && !cloud->name)
        rc = ew_config_wrong(reader, "", "it needs a name");
    rc = rc ? rc : take_url(reader, cloud);
    if (!rc)
        rc = check_upstream(reader, cloud->url, cloud->key_env, cloud->key_file, cloud->ca,
                            &cloud->key_at);
    rc = rc ? rc : take_names(reader, cloud, tree);
    rc = rc ? rc : take_budgets(reader, cloud, tree);
    return rc ? rc
              : ew_config_take_limits(reader, cloud->limits, &cloud->limit_count, raw->limits,
                                      raw->limits_count);
}

/* A price that isn't in the table would be noticed when the first answer has no cost. */
static int check_prices(struct ew_config_reader *reader, const struct ew_config *config)
{
    struct ew_price_table *table = NULL;
    const struct ew_price *price;
    struct ew_err own = {0};
    int rc = 0;
    reader->at[0] = '\0';
    if (ew_price_open(&table, config->prices, &own))
        return ew_config_wrong(reader, "prices", "%.170s", own.text);
    for (unsigned i = 0; i < config->cloud_count && !rc; i++) {
        snprintf(reader->at, sizeof reader->at, "clouds[%u]", i);
        if (config->clouds[i].price &&
            ew_price_find(table, config->clouds[i].price, NULL, &price, &own))
            rc = ew_config_wrong(reader, "price", "%.190s", own.text);
    }
    ew_price_close(&table);
    return rc;
}

int ew_config_take_clouds(struct ew_config_reader *reader, struct ew_config *config,
                          const struct ew_config_raw *raw)
{
    struct ew_data_tree *tree = NULL;
    if (raw->clouds_count > EW_CONFIG_CLOUDS_MAX)
        return ew_config_wrong(reader, "clouds", "at most %d, not %u", EW_CONFIG_CLOUDS_MAX,
                               raw->clouds_count);
    config->clouds = calloc(raw->clouds_count + 1, sizeof *config->clouds);
    if (!config->clouds)
        return ew_fail(reader->err, EW_ENOMEM, "no memory for clouds");
    int rc = raw->clouds_count ? ew_data_tree_open(&tree, reader->text, reader->err) : 0;
    for (unsigned i = 0; i < raw->clouds_count && !rc; i++) {
        config->cloud_count = i + 1;
        snprintf(reader->at, sizeof reader->at, "clouds[%u]", i);
        rc = take_cloud(reader, &config->clouds[i], &raw->clouds[i], tree);
        rc = rc ? rc : check_name(reader, config, config->clouds[i].name, config->device_count, i);
    }
    ew_data_tree_close(&tree);
    if (rc || (!config->prices && !config->cloud_count))
        return rc;
    return check_prices(reader, config);
}

/* ---- the end ---- */

static void free_list(char **list, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        free(list[i]);
    free(list);
}

static void free_device(struct ew_config_device *device)
{
    free(device->name);
    free(device->url);
    free(device->key_env);
    free(device->key_file);
    free(device->key_at);
    free(device->ca);
    free(device->profile);
    free_list(device->models, device->model_count);
}

static void free_cloud(struct ew_config_cloud *cloud)
{
    free(cloud->name);
    free(cloud->url);
    free(cloud->key_env);
    free(cloud->key_file);
    free(cloud->key_at);
    free(cloud->ca);
    free(cloud->price);
    for (unsigned i = 0; i < cloud->name_count; i++) {
        free(cloud->names[i].asked);
        free(cloud->names[i].there);
    }
    free(cloud->names);
}

void ew_config_free_fleet(struct ew_config *config)
{
    for (unsigned i = 0; i < config->device_count; i++)
        free_device(&config->devices[i]);
    for (unsigned i = 0; i < config->cloud_count; i++)
        free_cloud(&config->clouds[i]);
    free(config->devices);
    free(config->clouds);
}
