/* state.c - the server's state as JSON, and the list of all models that its places have. */
#include "serve/state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "meter/condition.h"

/* What a list tells at most: fleets are large, lists are read by people. */
enum { MODELS_MAX = 1024 };

static struct ew_wire_model of_engine(const struct ew_models_entry *e)
{
    const struct ew_models_about *a = &e->about;
    return (struct ew_wire_model){
        .name = e->name,
        .owner = "edgewise",
        .created_s = a->created_s,
        .bytes = a->bytes,
        .sha256 = a->sha256,
        .architecture = a->architecture,
        .quantization = a->quantization,
        .licence = a->licence,
        .parameters = a->parameters,
        .ctx = a->ctx,
        .embedding = a->embedding,
        .tools = a->tools,
        .loaded = e->state == EW_MODELS_READY,
        .expires_s = ew_models_expires_s(e),
    };
}

static bool is_listed(const struct ew_wire_model *models, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(models[i].name, name) == 0)
            return true;
    return false;
}

/* A cloud's are called as they are asked for; what stands for all others has no name. */
static const char *name_of(const struct ew_member *m, unsigned index)
{
    if (m->place.kind != EW_PLACE_CLOUD)
        return m->models[index].name;
    const char *asked = index < m->facts.name_count ? m->facts.names[index].asked : "*";
    return strcmp(asked, "*") == 0 ? NULL : asked;
}

static size_t add_member(struct ew_wire_model *models, size_t n, const struct ew_member *m)
{
    for (unsigned i = 0; i < m->model_count && n < MODELS_MAX; i++) {
        const char *name = name_of(m, i);
        if (name && !is_listed(models, n, name))
            models[n++] = (struct ew_wire_model){.name = name,
                                                 .owner = m->name,
                                                 .sha256 = "",
                                                 .architecture = "",
                                                 .quantization = "",
                                                 .licence = "",
                                                 .ctx = m->models[i].ctx,
                                                 .tools = true};
    }
    return n;
}

struct ew_wire_model *ew_state_models(struct ew_server *server, bool loaded_only, size_t *count)
{
    struct ew_wire_model *models = calloc(MODELS_MAX, sizeof *models);
    size_t n = 0;
    if (!models)
        return NULL;
    for (const struct ew_models_entry *e = ew_models_first(server->models); e && n < MODELS_MAX;
         e = e->next)
        if (!e->retired && (!loaded_only || e->state == EW_MODELS_READY))
            models[n++] = of_engine(e);
    for (const struct ew_member *m = ew_fleet_first(server->fleet); m && !loaded_only; m = m->next)
        if (!m->retired && m->facts.dialect)
            n = add_member(models, n, m);
    *count = n;
    return models;
}

/* ---- the state ---- */

static void write_models(struct ew_jsonw *json, const struct ew_server *server)
{
    ew_jsonw_key(json, "models");
    ew_jsonw_array(json);
    for (const struct ew_models_entry *e = ew_models_first(server->models); e; e = e->next) {
        if (e->retired)
            continue;
        ew_jsonw_object(json);
        ew_jsonw_put_text(json, "name", e->name);
        ew_jsonw_put_u64(json, "ctx", e->about.ctx);
        ew_jsonw_put_bool(json, "loaded", e->state == EW_MODELS_READY);
        ew_jsonw_end(json);
    }
    ew_jsonw_end(json);
}

int ew_state_write(struct ew_server *server, struct ew_buf *out)
{
    static const char *const words[] = {"starting", "serving", "draining", "draining"};
    const struct ew_member *engine = ew_fleet_engine(server->fleet);
    const struct ew_condition condition = ew_condition_read("/sys");
    struct ew_jsonw json;
    ew_jsonw_init(&json, out, EW_JSONW_COMPACT);
    ew_jsonw_object(&json);
    ew_jsonw_put_text(&json, "version", EW_VERSION);
    ew_jsonw_put_text(&json, "state", words[server->state]);
    ew_jsonw_put_u64(&json, "running", ew_queue_running(server->queue));
    ew_jsonw_put_u64(&json, "waiting", ew_queue_waiting(server->queue));
    ew_jsonw_put_u64(&json, "places", ew_queue_places_max(server->queue));
    ew_jsonw_put_real(&json, "watts", engine ? engine->place.watts_busy : NAN);
    ew_jsonw_put_real(&json, "temperature_c", condition.temperature_c);
    ew_jsonw_put_real(&json, "battery", condition.battery);
    ew_jsonw_put_bool(&json, "on_mains", condition.on_mains);
    write_models(&json, server);
    ew_jsonw_end(&json);
    return ew_jsonw_finish(&json, NULL);
}
