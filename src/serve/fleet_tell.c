/* fleet_tell.c - what is told of the members: series of /metrics, and their state as JSON. */
#include "serve/fleet_int.h"

#include <inttypes.h>
#include <math.h>

#include "net/fetch.h"

struct series {
    const char *name, *type, *help;
    double (*value)(const struct ew_member *member);
};

static double begun(const struct ew_member *m)
{
    return (double)m->counts.begun;
}
static double answered(const struct ew_member *m)
{
    return (double)m->counts.answered;
}
static double failed(const struct ew_member *m)
{
    return (double)m->counts.failed;
}
static double cancelled(const struct ew_member *m)
{
    return (double)m->counts.cancelled;
}
static double running(const struct ew_member *m)
{
    return m->place.running;
}
static double waiting(const struct ew_member *m)
{
    return m->place.reported_waiting;
}
static double up(const struct ew_member *m)
{
    return ew_health_weight(m->place.health) > 0;
}
static double breaker(const struct ew_member *m)
{
    return m->place.breaker.state;
}
static double prompt_tokens(const struct ew_member *m)
{
    return (double)m->counts.prompt_tokens;
}
static double output_tokens(const struct ew_member *m)
{
    return (double)m->counts.output_tokens;
}
static double joules(const struct ew_member *m)
{
    return m->counts.joules;
}
static double cents(const struct ew_member *m)
{
    return m->counts.cents;
}
static double temperature(const struct ew_member *m)
{
    return m->place.temperature_c;
}
static double battery(const struct ew_member *m)
{
    return m->place.battery;
}

static const struct series all_series[] = {
    {"requests_total", "counter", "Requests that were sent to the place", begun},
    {"answered_total", "counter", "Of these, answered whole", answered},
    {"failed_total", "counter", "Of these, failed there", failed},
    {"cancelled_total", "counter", "Of these, cancelled, or not for this place to answer",
     cancelled},
    {"running", "gauge", "Requests of ours that are under way at the place", running},
    {"waiting", "gauge", "Requests that wait there, as it reports", waiting},
    {"up", "gauge", "1: it takes requests", up},
    {"breaker_state", "gauge", "0 closed, 1 open, 2 half open", breaker},
    {"prompt_tokens_total", "counter", "Tokens of prompts it answered", prompt_tokens},
    {"output_tokens_total", "counter", "Tokens of its answers", output_tokens},
    {"energy_joules_total", "counter", "Of answers whose energy is known", joules},
    {"cost_cents_total", "counter", "Of answers whose cost is known", cents},
    {"temperature_celsius", "gauge", "As it reports", temperature},
    {"battery_ratio", "gauge", "As it reports", battery},
};

static const char *const kinds[] = {"engine", "device", "cloud"};

int ew_fleet_metrics(const struct ew_fleet *fleet, struct ew_buf *out, struct ew_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < EW_COUNT(all_series) && !rc; i++) {
        const struct series *s = &all_series[i];
        rc = ew_buf_printf(out, err, "# HELP edgewise_place_%s %s.\n# TYPE edgewise_place_%s %s\n",
                           s->name, s->help, s->name, s->type);
        for (const struct ew_member *m = fleet->first; m && !rc; m = m->next) {
            double value = s->value(m);
            if (!m->retired && isfinite(value))
                rc = ew_buf_printf(out, err, "edgewise_place_%s{place=\"%s\",kind=\"%s\"} %.17g\n",
                                   s->name, m->name, kinds[m->place.kind], value);
        }
    }
    return rc;
}

/* ---- JSON ---- */

static void write_models(struct ew_jsonw *json, const struct ew_member *m)
{
    ew_jsonw_key(json, "models");
    ew_jsonw_array(json);
    for (unsigned i = 0; i < m->model_count; i++)
        ew_jsonw_text(json, m->models[i].name);
    ew_jsonw_end(json);
}

static void write_member(struct ew_jsonw *json, const struct ew_member *m)
{
    const struct ew_place *p = &m->place;
    const struct ew_forecast usual = {.prompt_tokens = 100, .output_tokens = 100};
    char url[EW_UPSTREAM_URL_MAX];
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "name", m->name);
    ew_jsonw_put_text(json, "kind", kinds[p->kind]);
    ew_jsonw_put_text(json, "health", ew_health_name(p->health));
    ew_jsonw_put_text(json, "trouble", *m->trouble ? m->trouble : NULL);
    ew_jsonw_put_text(json, "breaker", ew_breaker_state_name(p->breaker.state));
    const bool has_url = m->facts.url && !m->origin;
    if (has_url)
        ew_fetch_mask(m->facts.url, url, sizeof url);
    ew_jsonw_put_text(json, "url", has_url ? url : NULL);
    ew_jsonw_put_bool(json, "joined", m->origin != NULL);
    write_models(json, m);
    ew_jsonw_put_u64(json, "running", p->running);
    ew_jsonw_put_u64(json, "reported_running", p->reported_running);
    ew_jsonw_put_u64(json, "reported_waiting", p->reported_waiting);
    ew_jsonw_put_u64(json, "requests", m->counts.begun);
    ew_jsonw_put_u64(json, "answered", m->counts.answered);
    ew_jsonw_put_u64(json, "failed", m->counts.failed);
    ew_jsonw_put_real(json, "prefill_s_per_token", ew_speed_prefill_s_per_token(&p->speed));
    ew_jsonw_put_real(json, "decode_s_per_token", ew_speed_decode_s_per_token(&p->speed, 1));
    ew_jsonw_put_real(json, "ttft_s_of_100_tokens", ew_place_ttft_s(p, &usual));
    ew_jsonw_put_real(json, "temperature_c", p->temperature_c);
    ew_jsonw_put_real(json, "battery", p->battery);
    ew_jsonw_end(json);
}

int ew_fleet_json(const struct ew_fleet *fleet, struct ew_buf *out)
{
    struct ew_jsonw json;
    ew_jsonw_init(&json, out, EW_JSONW_COMPACT);
    ew_jsonw_object(&json);
    ew_jsonw_put_text(&json, "select", ew_select_name(fleet->policy.select));
    ew_jsonw_key(&json, "places");
    ew_jsonw_array(&json);
    for (const struct ew_member *m = fleet->first; m; m = m->next)
        if (!m->retired)
            write_member(&json, m);
    ew_jsonw_end(&json);
    ew_jsonw_end(&json);
    return ew_jsonw_finish(&json, NULL);
}
