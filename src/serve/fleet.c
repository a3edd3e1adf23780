/* fleet.c - members: made of the configuration, kept by reloads, dropped when nobody uses them. */
#include "serve/fleet_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"

/* What is taken for a model that nothing is known of: English by a common vocabulary, and an answer
 * of a paragraph. The newest answer counts a tenth. */
static const struct ew_habit habit_first = {.tokens_per_byte = .25, .output_tokens = 150};
#define HABIT_WEIGHT .1
/* After so many, older ones count half: a server that was updated may cut its answers anew. */
#define PIECES_KEPT 10000
#define LATEST      ":latest" /* Ollama and its clients put it behind names, or don't */

/* ---- models ---- */

void ew_fleet_clear_models(struct ew_member *m)
{
    for (unsigned i = 0; i < m->model_count; i++)
        free(m->models[i].name);
    free(m->models);
    m->models = NULL;
    m->model_count = 0;
}

static struct ew_member_model *append_model(struct ew_member *m, const char *name)
{
    struct ew_member_model *grown;
    if (m->model_count == EW_FLEET_MODELS_MAX ||
        !(grown = realloc(m->models, (m->model_count + 1) * sizeof *grown)))
        return NULL;
    m->models = grown;
    struct ew_member_model *model = &m->models[m->model_count];
    *model = (struct ew_member_model){.name = strdup(name), .resident = true};
    if (!model->name)
        return NULL;
    model->quality = isnan(m->facts.quality) ? ew_fleet_quality(m->fleet, name) : m->facts.quality;
    m->model_count++;
    return model;
}

struct ew_member_model *ew_fleet_add_model(struct ew_member *m, const char *name)
{
    for (unsigned i = 0; i < m->model_count; i++)
        if (strcmp(m->models[i].name, name) == 0)
            return &m->models[i];
    return append_model(m, name);
}

double ew_fleet_quality(const struct ew_fleet *fleet, const char *model)
{
    const struct ew_quality *row =
        fleet->qualities ? ew_quality_find(fleet->qualities, model, "gsm8k") : NULL;
    return row ? row->score : NAN;
}

static size_t bytes_untagged(const char *name)
{
    size_t bytes = strlen(name), tag = sizeof LATEST - 1;
    return bytes > tag && strcmp(name + bytes - tag, LATEST) == 0 ? bytes - tag : bytes;
}

bool ew_fleet_is_called(const char *name, const char *asked)
{
    size_t bytes = bytes_untagged(name);
    return bytes == bytes_untagged(asked) && strncmp(name, asked, bytes) == 0;
}

/* A cloud's map: the name itself before what stands for all others. */
static const struct ew_member_model *mapped(const struct ew_member *m, const char *asked)
{
    const struct ew_member_model *others = NULL;
    for (unsigned i = 0; i < m->facts.name_count && i < m->model_count; i++) {
        if (ew_fleet_is_called(m->facts.names[i].asked, asked))
            return &m->models[i];
        if (strcmp(m->facts.names[i].asked, "*") == 0)
            others = &m->models[i];
    }
    return others;
}

const struct ew_member_model *ew_fleet_model(const struct ew_member *m, const char *asked,
                                             const char **there)
{
    const struct ew_member_model *found = NULL;
    if (m->place.kind == EW_PLACE_CLOUD)
        found = mapped(m, asked);
    for (unsigned i = 0; m->place.kind != EW_PLACE_CLOUD && i < m->model_count && !found; i++)
        if (ew_fleet_is_called(m->models[i].name, asked))
            found = &m->models[i];
    if (found)
        *there = found->name;
    return found;
}

const struct ew_member_model *ew_fleet_default(const struct ew_member *m, const char **there)
{
    if (!m->model_count)
        return NULL;
    *there = m->models[0].name;
    return &m->models[0];
}

/* ---- members ---- */

static void drop(struct ew_member *m)
{
    ew_fleet_look_stop(m);
    ew_fleet_clear_models(m);
    ew_facts_fini(&m->facts);
    ew_buf_fini(&m->look_body);
    free(m->entries);
    free(m);
}

void ew_fleet_drop_retired(struct ew_fleet *fleet)
{
    for (struct ew_member **at = &fleet->first, *m; (m = *at);) {
        if (m->retired && !m->users) {
            *at = m->next;
            ew_sticky_purge(&fleet->sticky, m->number);
            drop(m);
        } else {
            at = &m->next;
        }
    }
}

void ew_fleet_use(struct ew_member *m)
{
    m->users++;
}

void ew_fleet_done(struct ew_member *m)
{
    EW_ASSERT(m->users > 0);
    if (!--m->users && m->retired)
        ew_fleet_drop_retired(m->fleet);
}

static int make_windows(struct ew_member *m, struct ew_err *err)
{
    size_t count = 0, at = 0;
    for (unsigned i = 0; i < m->facts.limit_count; i++) {
        const struct ew_limit limit = ew_facts_limit(&m->facts.limits[i]);
        count += ew_limits_entries(&limit);
    }
    free(m->entries);
    m->entries = NULL;
    ew_limits_init(&m->place.limits);
    if (!count)
        return 0;
    if (!(m->entries = calloc(count, sizeof *m->entries)))
        return ew_fail(err, EW_ENOMEM, "no memory for the limits of %s", m->name);
    for (unsigned i = 0; i < m->facts.limit_count; i++) {
        const struct ew_limit limit = ew_facts_limit(&m->facts.limits[i]);
        (void)ew_limits_add(&m->place.limits, &limit, m->entries + at);
        at += ew_limits_entries(&limit);
    }
    return 0;
}

static void set_models(struct ew_member *m)
{
    const struct ew_facts *f = &m->facts;
    if (!f->name_count && !f->model_count)
        return;
    ew_fleet_clear_models(m);
    for (unsigned i = 0; i < f->name_count; i++)
        append_model(m, f->names[i].there);
    for (unsigned i = 0; i < f->model_count; i++)
        ew_fleet_add_model(m, f->models[i]);
}

int ew_fleet_apply(struct ew_member *m, struct ew_err *err)
{
    const struct ew_facts *f = &m->facts;
    struct ew_place *p = &m->place;
    p->weight = f->weight;
    p->concurrency = f->kind == EW_PLACE_ENGINE ? 0 : f->concurrency;
    p->watts_busy = f->watts_busy;
    p->watts_idle = f->watts_idle;
    p->input_cents = f->input_cents;
    p->cached_cents = f->cached_cents;
    p->output_cents = f->output_cents;
    p->fee_cents = f->fee_cents;
    if (f->wants_key && !f->key) {
        p->health = EW_HEALTH_REFUSED;
        snprintf(m->trouble, sizeof m->trouble, "its key isn't there");
    } else if (p->health == EW_HEALTH_REFUSED) {
        p->health = EW_HEALTH_UNKNOWN; /* a new key, maybe */
    }
    set_models(m);
    return make_windows(m, err);
}

static bool same_limits(const struct ew_facts *a, const struct ew_facts *b)
{
    if (a->limit_count != b->limit_count)
        return false;
    for (unsigned i = 0; i < a->limit_count; i++) {
        const struct ew_limit x = ew_facts_limit(&a->limits[i]), y = ew_facts_limit(&b->limits[i]);
        if (x.kind != y.kind || x.per_ns != y.per_ns || x.max < y.max || x.max > y.max)
            return false;
    }
    return true;
}

/* ---- the configuration ---- */

struct ew_member *ew_fleet_make(struct ew_fleet *fleet, const char *name)
{
    struct ew_member *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->fleet = fleet;
    snprintf(m->name, sizeof m->name, "%s", name);
    ew_buf_init(&m->look_body, EW_CONFIG_BYTES_MAX);
    return m;
}

/* One member more at the end of a list. */
static int make_one(struct ew_fleet *fleet, const struct ew_config_device *device,
                    const struct ew_config_cloud *cloud, struct ew_member **end, struct ew_err *err)
{
    struct ew_member *m = ew_fleet_make(fleet, device ? device->name : cloud->name);
    if (!m)
        return ew_fail(err, EW_ENOMEM, "no memory for a device");
    *end = m;
    int failed = device ? ew_facts_device(&m->facts, device, err)
                        : ew_facts_cloud(&m->facts, cloud, fleet->prices, err);
    ew_place_init(&m->place, m->facts.kind);
    if (m->facts.kind == EW_PLACE_ENGINE)
        m->place.health = EW_HEALTH_HEALTHY;
    if (!isnan(m->facts.prefill_tokens_per_s) || !isnan(m->facts.decode_tokens_per_s))
        ew_speed_seed(&m->place.speed, m->facts.prefill_tokens_per_s, m->facts.decode_tokens_per_s);
    return failed ? failed : ew_fleet_apply(m, err);
}

static struct ew_member *find_same(const struct ew_fleet *fleet, const struct ew_member *made)
{
    for (struct ew_member *m = fleet->first; m; m = m->next)
        if (!m->retired && !m->origin && strcmp(m->name, made->name) == 0 &&
            ew_facts_same_way(&m->facts, &made->facts) && same_limits(&m->facts, &made->facts))
            return m;
    return NULL;
}

static void unlink_member(struct ew_fleet *fleet, const struct ew_member *m)
{
    struct ew_member **at = &fleet->first;
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
}

/* What stays takes the new facts, and keeps its windows and what was learned of it. */
static void exchange_facts(struct ew_member *m, struct ew_member *made)
{
    const struct ew_facts facts = m->facts;
    struct ew_window_entry *entries = m->entries;
    const struct ew_limits limits = m->place.limits;
    m->entries = NULL;
    m->facts = made->facts;
    made->facts = facts;
    (void)!ew_fleet_apply(m,
                          NULL); /* memory for windows, which aren't used, is all that may lack */
    free(m->entries);
    m->entries = entries;
    m->place.limits = limits;
}

/* With other limits it is another member, for who is there has reserved in the old windows; what
 * was learned goes over. */
static void inherit(struct ew_member *m, const struct ew_fleet *fleet)
{
    for (const struct ew_member *old = fleet->first; old; old = old->next) {
        if (old->retired || strcmp(old->name, m->name) != 0 ||
            !ew_facts_same_way(&old->facts, &m->facts))
            continue;
        m->place.speed = old->place.speed;
        m->place.breaker = old->place.breaker;
        m->place.breaker.trial = false;
        if (m->place.health == EW_HEALTH_UNKNOWN)
            m->place.health = old->place.health;
        m->counts = old->counts;
        m->streamed_pieces = old->streamed_pieces;
        m->streamed_tokens = old->streamed_tokens;
        m->edgewise = old->edgewise;
    }
}

static void take_all(struct ew_fleet *fleet, struct ew_member *made)
{
    struct ew_member *list = NULL, **end = &list, *m, *old;
    while ((m = made)) {
        made = m->next;
        if ((old = find_same(fleet, m))) {
            unlink_member(fleet, old);
            exchange_facts(old, m);
            drop(m);
            m = old;
        } else {
            inherit(m, fleet);
            m->number = ++fleet->numbers;
        }
        m->next = NULL;
        *end = m;
        end = &m->next;
    }
    for (m = fleet->first; m; m = m->next) {
        if (m->origin || m->retired)
            continue;
        m->retired = true;
        m->place.health = EW_HEALTH_LEAVING;
        ew_fleet_look_stop(m);
    }
    *end = fleet->first;
    fleet->first = list;
    ew_fleet_drop_retired(fleet);
}

static void set_policy(struct ew_fleet *fleet, const struct ew_config *config)
{
    struct ew_policy *policy = &fleet->policy;
    policy->select = config->select;
    policy->on_full = config->on_full;
    policy->alpha = config->alpha;
    policy->tariff_cents_per_kwh = config->tariff_cents_per_kwh;
    policy->battery_min = config->battery_min;
    policy->temperature_max_c = config->temperature_max_c;
    fleet->probe_s = config->probe_s;
    fleet->connect_timeout_s = config->connect_timeout_s;
    fleet->sticky.ttl_ns = (uint64_t)(config->sticky_s * EW_NS_PER_S);
}

int ew_fleet_set(struct ew_fleet *fleet, const struct ew_config *config, struct ew_err *err)
{
    struct ew_member *made = NULL, **end = &made, *m;
    struct ew_price_table *prices = NULL, *old = fleet->prices;
    int failed = ew_price_open(&prices, config->prices, err);
    if (failed)
        return failed;
    fleet->prices = prices;
    for (unsigned i = 0; i < config->device_count && !failed; i++) {
        failed = make_one(fleet, &config->devices[i], NULL, end, err);
        end = *end ? &(*end)->next : end;
    }
    for (unsigned i = 0; i < config->cloud_count && !failed; i++) {
        failed = make_one(fleet, NULL, &config->clouds[i], end, err);
        end = *end ? &(*end)->next : end;
    }
    if (failed) {
        for (; (m = made); drop(m))
            made = m->next;
        fleet->prices = old;
        ew_price_close(&prices);
        return failed;
    }
    ew_price_close(&old);
    take_all(fleet, made);
    set_policy(fleet, config);
    for (m = fleet->first; m; m = m->next)
        m->place.tariff_cents_per_kwh = config->tariff_cents_per_kwh;
    return 0;
}

int ew_fleet_open(struct ew_fleet **gives, const struct ew_fleet_params *params,
                  const struct ew_config *config, struct ew_err *err)
{
    struct ew_fleet *fleet = calloc(1, sizeof *fleet);
    if (!fleet)
        return ew_fail(err, EW_ENOMEM, "no memory for the devices");
    fleet->params = *params;
    ew_rng_init(&fleet->policy.rng, params->seed);
    fleet->secret = ew_rng_next(&fleet->policy.rng);
    fleet->sessions = calloc(EW_FLEET_SESSIONS, sizeof *fleet->sessions);
    if (!fleet->sessions) {
        free(fleet);
        return ew_fail(err, EW_ENOMEM, "no memory for the devices");
    }
    ew_sticky_init(&fleet->sticky, fleet->sessions, EW_FLEET_SESSIONS, 0);
    (void)!ew_quality_open(&fleet->qualities, NULL); /* else qualities are unknown */
    int failed = ew_fleet_set(fleet, config, err);
    if (failed)
        ew_fleet_close(&fleet);
    *gives = fleet;
    return failed;
}

void ew_fleet_close(struct ew_fleet **fleet)
{
    struct ew_fleet *f = *fleet;
    struct ew_member *m;
    if (!f)
        return;
    while ((m = f->first)) {
        f->first = m->next;
        drop(m);
    }
    ew_price_close(&f->prices);
    ew_quality_close(&f->qualities);
    free(f->sessions);
    free(f);
    *fleet = NULL;
}

void ew_fleet_stop(struct ew_fleet *fleet)
{
    fleet->stopped = true;
    for (struct ew_member *m = fleet->first; m; m = m->next)
        ew_fleet_look_stop(m);
}

/* ---- asking ---- */

struct ew_member *ew_fleet_first(const struct ew_fleet *fleet)
{
    return fleet->first;
}

struct ew_member *ew_fleet_engine(const struct ew_fleet *fleet)
{
    struct ew_member *m = fleet->first;
    while (m && (m->retired || m->place.kind != EW_PLACE_ENGINE))
        m = m->next;
    return m;
}

struct ew_member *ew_fleet_find(const struct ew_fleet *fleet, uint32_t number)
{
    struct ew_member *m = fleet->first;
    while (m && m->number != number)
        m = m->next;
    return m;
}

unsigned ew_fleet_size(const struct ew_fleet *fleet)
{
    unsigned count = 0;
    for (const struct ew_member *m = fleet->first; m; m = m->next)
        count += !m->retired;
    return count;
}

struct ew_policy *ew_fleet_policy(struct ew_fleet *fleet)
{
    return &fleet->policy;
}

struct ew_upstreams *ew_fleet_upstreams(struct ew_fleet *fleet)
{
    return fleet->params.upstreams;
}

bool ew_fleet_auth(const struct ew_member *m, struct ew_http_header *header,
                   char bearer[EW_FLEET_BEARER_BYTES])
{
    const struct ew_facts *f = &m->facts;
    bearer[0] = '\0';
    if (!f->key)
        return false;
    if (f->dialect->auth == EW_AUTH_BEARER) {
        snprintf(bearer, EW_FLEET_BEARER_BYTES, "Bearer %s", f->key);
        *header = (struct ew_http_header){"Authorization", bearer};
    } else {
        *header = (struct ew_http_header){"x-api-key", f->key};
    }
    return true;
}

/* ---- before the start ---- */

uint64_t ew_fleet_longest_ns(const struct ew_fleet *fleet)
{
    uint64_t longest_ns = 0;
    for (const struct ew_member *m = fleet->first; m; m = m->next)
        for (unsigned i = 0; i < m->place.limits.count; i++) {
            uint64_t per_ns = m->place.limits.limits[i].per_ns;
            longest_ns = per_ns > longest_ns ? per_ns : longest_ns;
        }
    return longest_ns;
}

void ew_fleet_restore(struct ew_fleet *fleet, const char *name, const struct ew_amounts *amounts,
                      uint64_t age_ns, uint64_t now_ns)
{
    struct ew_member *m = fleet->first;
    while (m && strcmp(m->name, name) != 0)
        m = m->next;
    if (m)
        ew_limits_restore(&m->place.limits, amounts, age_ns, now_ns);
}

/* ---- habits ---- */

static uint64_t hash_of(const char *text)
{
    return ew_hash_bytes(EW_HASH_START, text, strlen(text)) | 1;
}

struct ew_habit ew_fleet_habit(const struct ew_fleet *fleet, const char *model)
{
    uint64_t hash = hash_of(model);
    const struct ew_habit_entry *entry = &fleet->habits[hash / 2 % EW_FLEET_HABITS];
    return entry->hash == hash ? entry->habit : habit_first;
}

void ew_fleet_learn(struct ew_fleet *fleet, const char *model, size_t prompt_bytes,
                    uint32_t prompt_tokens, uint32_t output_tokens)
{
    uint64_t hash = hash_of(model);
    struct ew_habit_entry *entry = &fleet->habits[hash / 2 % EW_FLEET_HABITS];
    if (entry->hash != hash)
        *entry = (struct ew_habit_entry){hash, habit_first};
    struct ew_habit *h = &entry->habit;
    if (prompt_bytes && prompt_tokens)
        h->tokens_per_byte +=
            HABIT_WEIGHT * ((double)prompt_tokens / (double)prompt_bytes - h->tokens_per_byte);
    if (output_tokens)
        h->output_tokens += HABIT_WEIGHT * (output_tokens - h->output_tokens);
}

void ew_fleet_learn_pieces(struct ew_member *m, uint32_t pieces, uint32_t output_tokens)
{
    if (!pieces || !output_tokens)
        return;
    if (m->streamed_pieces > PIECES_KEPT) {
        m->streamed_pieces /= 2;
        m->streamed_tokens /= 2;
    }
    m->streamed_pieces += pieces;
    m->streamed_tokens += output_tokens;
}

double ew_fleet_tokens_per_piece(const struct ew_member *m)
{
    return m->streamed_pieces > 0 ? m->streamed_tokens / m->streamed_pieces : (double)NAN;
}

/* ---- conversations ---- */

uint64_t ew_fleet_secret(const struct ew_fleet *fleet)
{
    return fleet->secret;
}

uint32_t ew_fleet_recall(struct ew_fleet *fleet, uint64_t session, uint64_t now_ns)
{
    uint32_t number = ew_sticky_find(&fleet->sticky, session, now_ns);
    return number == EW_STICKY_NONE ? 0 : number;
}

void ew_fleet_remember(struct ew_fleet *fleet, uint64_t session, uint32_t number, uint64_t now_ns)
{
    (void)ew_sticky_put(&fleet->sticky, session, number, now_ns);
}
