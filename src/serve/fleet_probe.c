/* fleet_probe.c - looks at devices: do they answer, what have they, how are they?
 *
 * A look is a GET of the device's list of models, or, once it is known to be an edgewise, of its
 * state (routes_state.c writes what is read here). One that isn't answered in time may be busy
 * computing: the second in a row makes the device unhealthy, the third offline; a connection that
 * is refused makes it offline at once. What requests find counts, too: ew_fleet_note. */
#include "serve/fleet_int.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define LOOK_TIMEOUT_S 3.0
enum { UNHEALTHY_AFTER = 2, OFFLINE_AFTER = 3 };

void ew_fleet_set_health(struct ew_member *m, enum ew_health health, const char *why)
{
    enum ew_health old = m->place.health;
    bool works = ew_health_weight(health) > 0, worked = ew_health_weight(old) > 0;
    if (health != old && (works != worked || old == EW_HEALTH_UNKNOWN))
        ew_log(works ? EW_LOG_INFO : EW_LOG_WARNING, "%s is %s%s%s", m->name,
               ew_health_name(health), *why ? ": " : "", why);
    snprintf(m->trouble, sizeof m->trouble, "%s", works ? "" : why);
    m->place.health = health;
    if (works && (!worked || old == EW_HEALTH_UNKNOWN) && m->fleet->params.changed)
        m->fleet->params.changed(m->fleet->params.user);
}

/* ---- what it says ---- */

static struct ew_member_model *find_model(struct ew_member *m, const char *name)
{
    for (unsigned i = 0; i < m->model_count; i++)
        if (strcmp(m->models[i].name, name) == 0)
            return &m->models[i];
    return m->facts.model_count ? NULL : ew_fleet_add_model(m, name);
}

static void take_model(void *user, const char *name, uint32_t ctx)
{
    struct ew_member_model *model = find_model(user, name);
    if (model && ctx)
        model->ctx = ctx;
}

static double number_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static uint32_t count_of(const json_t *object, const char *key)
{
    double value = number_of(object, key);
    return value >= 0 && value < UINT32_MAX ? (uint32_t)value : 0;
}

static void take_models(struct ew_member *m, const json_t *models)
{
    size_t i;
    json_t *entry;
    if (!m->facts.model_count)
        ew_fleet_clear_models(m);
    json_array_foreach(models, i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "name"));
        struct ew_member_model *model = name ? find_model(m, name) : NULL;
        if (!model)
            continue;
        model->ctx = count_of(entry, "ctx");
        model->resident = json_is_true(json_object_get(entry, "loaded"));
    }
}

/* Its own load is what it tells less what we have there: that one is known better here. */
static void take_load(struct ew_member *m, const json_t *root)
{
    uint32_t running = count_of(root, "running"), places = count_of(root, "places");
    m->place.reported_running = running > m->place.running ? running - m->place.running : 0;
    m->place.reported_waiting = count_of(root, "waiting");
    if (places && !m->facts.concurrency)
        m->place.concurrency = places;
    m->place.temperature_c = number_of(root, "temperature_c");
    m->place.battery = number_of(root, "battery");
    m->place.on_mains = !json_is_false(json_object_get(root, "on_mains"));
    if (isnan(m->facts.watts_busy) && !isnan(number_of(root, "watts")))
        m->place.watts_busy = number_of(root, "watts");
}

static bool take_state(struct ew_member *m)
{
    json_t *root = json_loadb(ew_buf_cstr(&m->look_body), m->look_body.bytes, 0, NULL);
    const char *state = json_string_value(json_object_get(root, "state"));
    bool is_ours = state && json_is_array(json_object_get(root, "models"));
    if (is_ours) {
        take_models(m, json_object_get(root, "models"));
        take_load(m, root);
        bool full = m->place.reported_waiting > 0;
        ew_fleet_set_health(m,
                            strcmp(state, "serving") == 0
                                ? full ? EW_HEALTH_BUSY : EW_HEALTH_HEALTHY
                            : strcmp(state, "starting") == 0 ? EW_HEALTH_WARMING
                                                             : EW_HEALTH_LEAVING,
                            "");
    }
    json_decref(root);
    return is_ours;
}

static void take_list(struct ew_member *m)
{
    struct ew_err err = {0};
    struct ew_str body = {ew_buf_cstr(&m->look_body), m->look_body.bytes};
    if (!m->facts.model_count)
        ew_fleet_clear_models(m);
    int failed = ew_dialect_models(m->facts.dialect, body, take_model, m, &err);
    if (failed && !m->facts.model_count)
        ew_fleet_set_health(m, EW_HEALTH_UNHEALTHY, err.text);
    else
        ew_fleet_set_health(m, EW_HEALTH_HEALTHY, "");
}

/* ---- a look ---- */

static void failed_look(struct ew_member *m, enum ew_health at_once, const char *why)
{
    m->looks_failed++;
    if (at_once != EW_HEALTH_UNKNOWN)
        ew_fleet_set_health(m, at_once, why);
    else if (m->looks_failed >= OFFLINE_AFTER)
        ew_fleet_set_health(m, EW_HEALTH_OFFLINE, why);
    else if (m->looks_failed >= UNHEALTHY_AFTER)
        ew_fleet_set_health(m, EW_HEALTH_UNHEALTHY, why);
}

/* Below the base URL, which of Ollama's API has no /v1. */
static const char *path_of(const struct ew_member *m)
{
    const struct ew_dialect *dialect = m->facts.dialect;
    if (!m->edgewise)
        return dialect->models_path;
    return dialect == &ew_dialect_ollama ? "/v1/edgewise/status" : "/edgewise/status";
}

static void answered(struct ew_member *m)
{
    char why[128];
    if (m->look_status == 404) /* a url that isn't quite right is a beginner's first fault */
        snprintf(why, sizeof why,
                 "its url has no %s (404): OpenAI's API mostly ends in /v1, Ollama's doesn't",
                 path_of(m));
    else
        snprintf(why, sizeof why, "it answers %d to a look at it", m->look_status);
    m->looks_failed = 0;
    if (m->look_status == 401 || m->look_status == 403) {
        failed_look(m, EW_HEALTH_REFUSED, "it refuses our key");
    } else if (m->look_status == 503) {
        ew_fleet_set_health(m, EW_HEALTH_BUSY, "");
    } else if (m->looks_at_state) {
        if (m->look_status != 200 || !take_state(m))
            m->edgewise = false; /* it was, maybe: look again as at any other */
    } else if (m->look_status == 200) {
        take_list(m);
    } else if (m->look_status == 404 && m->facts.model_count) {
        ew_fleet_set_health(m, EW_HEALTH_HEALTHY, ""); /* tells no list, and needn't */
    } else {
        failed_look(m, EW_HEALTH_UNHEALTHY, why);
    }
}

static void on_head(void *user, const struct ew_upstream_head *head)
{
    struct ew_member *m = user;
    const char *server = head->header(head, "Server");
    m->look_status = head->status;
    if (!m->edgewise && server && strncmp(server, "edgewise/", 9) == 0 && head->status == 200) {
        m->edgewise = true;
        m->look_ns = 0; /* and now for its state */
    }
}

static void on_data(void *user, struct ew_str bytes)
{
    struct ew_member *m = user;
    if (ew_buf_add(&m->look_body, bytes.data, bytes.bytes, NULL))
        m->look_status = 0;
}

static void on_end(void *user, const struct ew_upstream_result *result)
{
    struct ew_member *m = user;
    m->look = NULL;
    if (result->failure == EW_UPSTREAM_CONNECT || result->failure == EW_UPSTREAM_RESOLVE)
        failed_look(m, EW_HEALTH_OFFLINE, result->why);
    else if (result->failure != EW_UPSTREAM_NONE)
        failed_look(m, EW_HEALTH_UNKNOWN, result->why);
    else if (m->look_status)
        answered(m);
    ew_buf_clear(&m->look_body);
    ew_fleet_done(m); /* m may be no more */
}

void ew_fleet_look(struct ew_member *m, uint64_t now_ns)
{
    struct ew_fleet *fleet = m->fleet;
    const struct ew_facts *f = &m->facts;
    char url[EW_UPSTREAM_URL_MAX], bearer[EW_FLEET_BEARER_BYTES];
    struct ew_http_header header;
    m->look_ns = now_ns + (uint64_t)(fleet->probe_s * EW_NS_PER_S);
    if (m->look)
        return;
    m->look_status = 0;
    m->looks_at_state = m->edgewise;
    snprintf(url, sizeof url, "%s%s", f->url, path_of(m));
    const struct ew_upstream_ask ask = {
        .url = url,
        .origin = m->origin,
        .method = "GET",
        .headers = &header,
        .header_count = ew_fleet_auth(m, &header, bearer),
        .connect_timeout_s = fleet->connect_timeout_s,
        .head_timeout_s = LOOK_TIMEOUT_S,
        .stall_timeout_s = LOOK_TIMEOUT_S,
        .body_bytes_max = EW_CONFIG_BYTES_MAX,
        .ca_file = f->ca,
        .user = m,
        .head = on_head,
        .data = on_data,
        .end = on_end,
    };
    struct ew_err err = {0};
    ew_fleet_use(m);
    if (ew_upstream_begin(fleet->params.upstreams, &ask, &m->look, &err)) {
        m->look = NULL;
        failed_look(m, EW_HEALTH_UNKNOWN, err.text);
        ew_fleet_done(m);
    }
    explicit_bzero(bearer, sizeof bearer);
}

void ew_fleet_look_stop(struct ew_member *m)
{
    if (!m->look)
        return;
    ew_upstream_cancel(&m->look);
    m->look = NULL;
    m->users--;
}

void ew_fleet_tick(struct ew_fleet *fleet, uint64_t now_ns)
{
    ew_fleet_tick_joined(fleet, now_ns);
    for (struct ew_member *m = fleet->first, *next; m && !fleet->stopped; m = next) {
        next = m->next;
        bool waits_for_key = m->facts.wants_key && !m->facts.key;
        if (m->place.kind == EW_PLACE_DEVICE && !m->retired && !waits_for_key && !m->lost_ns &&
            now_ns >= m->look_ns)
            ew_fleet_look(m, now_ns);
    }
}

void ew_fleet_note(struct ew_member *m, enum ew_outcome outcome, int status, const char *why,
                   uint64_t now_ns)
{
    if (status == 401 || status == 403) {
        ew_fleet_set_health(m, EW_HEALTH_REFUSED, "it refuses our key");
    } else if (outcome == EW_OUTCOME_GOOD) {
        if (ew_health_weight(m->place.health) <= 0)
            return; /* the end of what began before: looks say whether it answers anything new */
        m->looks_failed = 0;
        if (m->place.health != EW_HEALTH_BUSY)
            ew_fleet_set_health(m, EW_HEALTH_HEALTHY, "");
    } else if (outcome == EW_OUTCOME_FAILED) {
        snprintf(m->trouble, sizeof m->trouble, "%s", why);
        if (m->place.kind == EW_PLACE_DEVICE && m->look_ns > now_ns + EW_NS_PER_S)
            m->look_ns = now_ns; /* look at it soon */
    }
}
