/* fleet_facts.c - from the configuration's words to what a member is: keys are read, profiles and
 * prices looked up. A key that isn't there is no error: the edge serves on without that cloud. */
#include "serve/fleet_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "flow/profile.h"

enum { KEY_BYTES_MAX = 4096 };

static const char *const dialects[] = {
    [EW_API_OPENAI] = "openai", [EW_API_ANTHROPIC] = "anthropic", [EW_API_OLLAMA] = "ollama"};

static int copy(char **to, const char *text, struct ew_err *err)
{
    if (text && !(*to = strdup(text)))
        return ew_fail(err, EW_ENOMEM, "no memory for a device");
    return 0;
}

void ew_facts_init(struct ew_facts *facts)
{
    *facts = (struct ew_facts){
        .weight = 1,
        .quality = NAN,
        .watts_busy = NAN,
        .watts_idle = NAN,
        .prefill_tokens_per_s = NAN,
        .decode_tokens_per_s = NAN,
        .input_cents = NAN,
        .cached_cents = NAN,
        .output_cents = NAN,
        .fee_cents = NAN,
    };
}

void ew_facts_fini(struct ew_facts *facts)
{
    for (unsigned i = 0; i < facts->name_count; i++) {
        free(facts->names[i].asked);
        free(facts->names[i].there);
    }
    for (unsigned i = 0; i < facts->model_count; i++)
        free(facts->models[i]);
    free(facts->names);
    free(facts->models);
    free(facts->url);
    free(facts->ca);
    if (facts->key)
        explicit_bzero(facts->key, strlen(facts->key));
    free(facts->key);
    *facts = (struct ew_facts){0};
}

/* A key of a file is its first line; `at` is where the configuration names it. */
static int read_key(struct ew_facts *facts, const char *env, const char *file, const char *at,
                    const char *name, struct ew_err *err)
{
    facts->wants_key = env || file;
    if (env && getenv(env) && *getenv(env))
        return copy(&facts->key, getenv(env), err);
    if (env)
        ew_log(EW_LOG_WARNING, "%s: the environment has no %s: nothing is asked of %s", at, env,
               name);
    if (!file)
        return 0;
    struct ew_buf text;
    struct ew_err own = {0};
    ew_buf_init(&text, KEY_BYTES_MAX);
    int failed = ew_file_read(&text, file, &own);
    size_t bytes = failed ? 0 : strcspn(ew_buf_cstr(&text), "\r\n");
    if (!bytes) {
        ew_log(EW_LOG_WARNING, "%s: %s: nothing is asked of %s", at,
               failed ? own.text : "its file has an empty first line", name);
    } else {
        text.data[bytes] = '\0';
        failed = copy(&facts->key, text.data, err);
    }
    if (text.data)
        explicit_bzero(text.data, text.bytes);
    ew_buf_fini(&text);
    return facts->key || !failed ? 0 : failed == EW_ENOMEM ? failed : 0;
}

/* The first model of the list that the profile knows; else the profile's only row. */
static const struct ew_profile_row *row_of(const struct ew_profile *profile,
                                           const struct ew_config_device *device)
{
    for (unsigned i = 0; i < device->model_count; i++)
        for (unsigned k = 0; k < profile->rows_count; k++)
            if (strcmp(profile->rows[k].model, device->models[i]) == 0)
                return &profile->rows[k];
    return profile->rows_count == 1 ? &profile->rows[0] : NULL;
}

static int read_profile(struct ew_facts *facts, const struct ew_config_device *device,
                        struct ew_err *err)
{
    struct ew_profile *profile = NULL;
    if (device->watts > 0)
        facts->watts_busy = device->watts;
    if (!device->profile)
        return 0;
    int failed = ew_profile_open(&profile, device->profile, err);
    if (failed)
        return failed;
    const char *model = device->model_count ? device->models[0] : NULL;
    const struct ew_profile_power power = ew_profile_power(profile, model);
    const struct ew_profile_row *row = row_of(profile, device);
    if (isnan(facts->watts_busy))
        facts->watts_busy = power.decode;
    facts->watts_idle = power.idle;
    if (row && row->prefill_tokens_per_s)
        facts->prefill_tokens_per_s = *row->prefill_tokens_per_s;
    if (row && row->decode_tokens_per_s)
        facts->decode_tokens_per_s = *row->decode_tokens_per_s;
    ew_profile_close(&profile);
    return 0;
}

static int copy_models(struct ew_facts *facts, const struct ew_config_device *device,
                       struct ew_err *err)
{
    if (!device->model_count)
        return 0;
    facts->models = calloc(device->model_count, sizeof *facts->models);
    if (!facts->models)
        return ew_fail(err, EW_ENOMEM, "no memory for a device's models");
    int failed = 0;
    for (unsigned i = 0; i < device->model_count && !failed; i++) {
        failed = copy(&facts->models[i], device->models[i], err);
        facts->model_count += !failed;
    }
    return failed;
}

int ew_facts_device(struct ew_facts *facts, const struct ew_config_device *device,
                    struct ew_err *err)
{
    ew_facts_init(facts);
    facts->kind = device->url ? EW_PLACE_DEVICE : EW_PLACE_ENGINE;
    facts->dialect = device->url ? ew_dialect_find(dialects[device->api]) : NULL;
    facts->concurrency = device->concurrency;
    facts->weight = device->weight > 0 ? device->weight : 1;
    facts->quality = device->quality;
    facts->limit_count = device->limit_count;
    for (unsigned i = 0; i < device->limit_count; i++)
        facts->limits[i] = device->limits[i];
    int failed = copy(&facts->url, device->url, err);
    failed = failed ? failed : copy(&facts->ca, device->ca, err);
    failed = failed ? failed : copy_models(facts, device, err);
    failed = failed ? failed
                    : read_key(facts, device->key_env, device->key_file, device->key_at,
                               device->name, err);
    return failed ? failed : read_profile(facts, device, err);
}

static void today(char day[11])
{
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(day, 11, "%Y-%m-%d", &tm);
}

static void read_price(struct ew_facts *facts, const struct ew_config_cloud *cloud,
                       const struct ew_price_table *prices)
{
    const struct ew_price *price;
    struct ew_err err = {0};
    char day[11];
    today(day);
    if (!cloud->price)
        return;
    if (ew_price_find(prices, cloud->price, day, &price, &err)) {
        ew_log(EW_LOG_WARNING, "%s: its answers' cost is unknown: %s", cloud->name, err.text);
        return;
    }
    const double cents_per_token = 100 / 1e6; /* of a table in dollars per million */
    facts->input_cents = price->input * cents_per_token;
    facts->cached_cents =
        (isnan(price->cached_input) ? price->input : price->cached_input) * cents_per_token;
    facts->output_cents = price->output * cents_per_token;
    facts->fee_cents = 100 * price->request_fee;
}

static int copy_names(struct ew_facts *facts, const struct ew_config_cloud *cloud,
                      struct ew_err *err)
{
    if (!cloud->name_count)
        return 0;
    facts->names = calloc(cloud->name_count, sizeof *facts->names);
    if (!facts->names)
        return ew_fail(err, EW_ENOMEM, "no memory for a cloud's models");
    int failed = 0;
    facts->name_count = cloud->name_count;
    for (unsigned i = 0; i < cloud->name_count && !failed; i++) {
        failed = copy(&facts->names[i].asked, cloud->names[i].asked, err);
        failed = failed ? failed : copy(&facts->names[i].there, cloud->names[i].there, err);
    }
    return failed;
}

int ew_facts_cloud(struct ew_facts *facts, const struct ew_config_cloud *cloud,
                   const struct ew_price_table *prices, struct ew_err *err)
{
    ew_facts_init(facts);
    facts->kind = EW_PLACE_CLOUD;
    facts->dialect = ew_dialect_find(dialects[cloud->api]);
    facts->concurrency = cloud->concurrency;
    facts->weight = cloud->weight > 0 ? cloud->weight : 1;
    facts->quality = cloud->quality;
    facts->limit_count = cloud->limit_count;
    for (unsigned i = 0; i < cloud->limit_count; i++)
        facts->limits[i] = cloud->limits[i];
    if (prices)
        read_price(facts, cloud, prices);
    int failed = copy(&facts->url, cloud->url, err);
    failed = failed ? failed : copy(&facts->ca, cloud->ca, err);
    failed = failed ? failed : copy_names(facts, cloud, err);
    return failed
               ? failed
               : read_key(facts, cloud->key_env, cloud->key_file, cloud->key_at, cloud->name, err);
}

bool ew_facts_same_way(const struct ew_facts *a, const struct ew_facts *b)
{
    bool same_url = a->url && b->url ? strcmp(a->url, b->url) == 0 : a->url == b->url;
    return same_url && a->kind == b->kind && a->dialect == b->dialect;
}

struct ew_limit ew_facts_limit(const struct ew_config_limit *limit)
{
    return (struct ew_limit){
        .kind = limit->requests     ? EW_LIMIT_REQUESTS
                : limit->tokens     ? EW_LIMIT_TOKENS
                : limit->joules > 0 ? EW_LIMIT_JOULES
                                    : EW_LIMIT_CENTS,
        .max = limit->requests     ? limit->requests
               : limit->tokens     ? limit->tokens
               : limit->joules > 0 ? limit->joules
                                   : limit->cents,
        .per_ns = (uint64_t)(limit->per_s * EW_NS_PER_S),
    };
}
