/* models.c - one load or close at a time, decided anew after each: pump(). */
#include "serve/models.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "api/wire.h"
#include "base/log.h"
#include "flow/catalog.h"
#include "meter/meter_profile.h"

struct ew_models {
    struct ew_models_params params;
    /* Copies of the device's: a reload may free it while the worker looks. */
    int threads;
    uint32_t ctx, streams;
    uint64_t memory_max;
    double idle_unload_s, watts;
    char *profile;
    struct ew_models_entry *first;
    struct ew_models_entry *busy; /* whose task is under way */
    uint64_t load_ns;             /* since when */
    bool stopped;
};

static void pump(struct ew_models *models);

static uint64_t now(void)
{
    return ew_clock_now_ns(&ew_clock_real);
}

/* ---- the worker's thread ---- */

static struct ew_model_params model_params(const struct ew_models *models)
{
    return (struct ew_model_params){
        .threads = models->threads, .isa = models->params.isa, .ctx = models->ctx};
}

static struct ew_batch_params batch_params(const struct ew_models *models, uint64_t kv_bytes)
{
    return (struct ew_batch_params){.streams = models->streams, .kv_bytes_max = kv_bytes};
}

static void run_plan(struct ew_task *task)
{
    struct ew_models_entry *e = (void *)((char *)task - offsetof(struct ew_models_entry, task));
    struct ew_model_params params = model_params(e->models);
    struct ew_batch_params batch = batch_params(e->models, 0);
    struct ew_machine machine;
    char path[PATH_MAX];
    e->err = (struct ew_err){0};
    ew_machine_describe(&machine);
    e->available_bytes = machine.available_bytes;
    if (ew_catalog_find(e->source, path, sizeof path, &e->err) == 0)
        (void)!ew_model_plan(path, &params, &batch, &e->plan, &e->err);
}

static void run_close(struct ew_task *task)
{
    struct ew_models_entry *e = (void *)((char *)task - offsetof(struct ew_models_entry, task));
    ew_grammars_forget(e->models->params.grammars, e->model);
    ew_batch_close(&e->slot.batch);
    ew_meter_close(&e->slot.meter);
    ew_model_close(&e->model);
    e->slot.model = NULL;
}

static void run_load(struct ew_task *task)
{
    struct ew_models_entry *e = (void *)((char *)task - offsetof(struct ew_models_entry, task));
    struct ew_models *models = e->models;
    struct ew_model_params params = model_params(models);
    struct ew_batch_params batch = batch_params(models, e->plan.kv_bytes);
    char path[PATH_MAX];
    e->err = (struct ew_err){0};
    int failed = ew_catalog_find(e->source, path, sizeof path, &e->err);
    if (!failed)
        failed = ew_model_open(&e->model, path, &params, &e->err);
    if (!failed)
        failed = ew_batch_open(&e->slot.batch, e->model, &batch, &e->err);
    if (!failed)
        failed = ew_meter_open_profile(&e->slot.meter, models->profile, models->watts, e->source,
                                       &e->err);
    e->slot.model = e->model;
    if (failed)
        run_close(task);
}

/* ---- the loop's ---- */

/* What is known of a model by its file and the catalog alone. */
static void look(struct ew_models_entry *e, const struct ew_catalog *catalog)
{
    const struct ew_catalog_model *known = catalog ? ew_catalog_get(catalog, e->source) : NULL;
    char path[PATH_MAX];
    struct stat file;
    if (known) {
        snprintf(e->about.quantization, sizeof e->about.quantization, "%s", known->quantization);
        snprintf(e->about.licence, sizeof e->about.licence, "%s", known->licence);
        snprintf(e->about.sha256, sizeof e->about.sha256, "%s", known->sha256);
        e->about.bytes = known->bytes;
    }
    if (ew_catalog_find(e->source, path, sizeof path, NULL) || stat(path, &file))
        return;
    e->about.created_s = file.st_mtime;
    e->about.bytes = (uint64_t)file.st_size;
}

static void make_name(struct ew_models_entry *e)
{
    const char *slash = strrchr(e->source, '/'), *base = slash ? slash + 1 : e->source;
    size_t bytes = strlen(base);
    if (bytes > 5 && strcmp(base + bytes - 5, ".gguf") == 0)
        bytes -= 5;
    snprintf(e->name, sizeof e->name, "%.*s", (int)bytes, base);
}

static struct ew_models_entry *make_entry(struct ew_models *models, const char *source,
                                          const struct ew_catalog *catalog)
{
    struct ew_models_entry *e = calloc(1, sizeof *e);
    if (!e || !(e->source = strdup(source))) {
        free(e);
        return NULL;
    }
    e->models = models;
    e->keep_alive_s = NAN;
    make_name(e);
    look(e, catalog);
    return e;
}

static void drop_entry(struct ew_models_entry *e)
{
    free(e->source);
    free(e);
}

static struct ew_models_entry *find_source(struct ew_models *models, const char *source)
{
    for (struct ew_models_entry *e = models->first; e; e = e->next)
        if (!e->retired && strcmp(e->source, source) == 0)
            return e;
    return NULL;
}

static int set_device(struct ew_models *models, const struct ew_config_device *device,
                      struct ew_err *err)
{
    char *profile = NULL;
    if (device->profile && !(profile = strdup(device->profile)))
        return ew_fail(err, EW_ENOMEM, "no memory for a profile's name");
    free(models->profile);
    models->profile = profile;
    models->threads = device->threads;
    models->ctx = device->ctx;
    models->streams = device->concurrency ? device->concurrency : 16;
    if (models->streams > EW_STREAMS_MAX)
        models->streams = EW_STREAMS_MAX;
    models->memory_max = device->memory_max;
    models->idle_unload_s = device->idle_unload_s;
    models->watts = device->watts;
    return 0;
}

/* The list in the order configured; retired ones behind it. */
int ew_models_set(struct ew_models *models, const struct ew_config_device *device,
                  struct ew_err *err)
{
    struct ew_models_entry *made = NULL, **end = &made;
    struct ew_catalog *catalog = NULL;
    if (models->busy) /* the worker reads what would change; the caller tries again */
        return ew_fail(err, EW_ELIMIT, "a model is being loaded");
    int failed = set_device(models, device, err);
    if (failed)
        return failed;
    (void)!ew_catalog_open(&catalog, NULL); /* without it, less is told of the models */
    for (unsigned i = 0; i < device->model_count && !failed; i++) {
        struct ew_models_entry *e = find_source(models, device->models[i]);
        if (e) {
            struct ew_models_entry **at = &models->first;
            while (*at != e)
                at = &(*at)->next;
            *at = e->next;
        } else if (!(e = make_entry(models, device->models[i], catalog))) {
            failed = ew_fail(err, EW_ENOMEM, "no memory for the list of models");
            continue;
        }
        e->next = NULL;
        *end = e;
        end = &e->next;
    }
    for (struct ew_models_entry *e = models->first; e; e = e->next)
        e->retired = true;
    *end = models->first;
    models->first = made;
    ew_catalog_close(&catalog);
    pump(models);
    return failed;
}

int ew_models_open(struct ew_models **gives, const struct ew_models_params *params,
                   const struct ew_config_device *device, struct ew_err *err)
{
    struct ew_models *models = calloc(1, sizeof *models);
    if (!models)
        return ew_fail(err, EW_ENOMEM, "no memory for the list of models");
    models->params = *params;
    int failed = ew_models_set(models, device, err);
    if (failed)
        ew_models_close(&models);
    *gives = models;
    return failed;
}

void ew_models_close(struct ew_models **models)
{
    struct ew_models *m = *models;
    if (!m)
        return;
    while (m->first) {
        struct ew_models_entry *e = m->first;
        EW_ASSERT(!e->users && !e->waiting && !e->task.pending);
        m->first = e->next;
        run_close(&e->task);
        drop_entry(e);
    }
    free(m->profile);
    free(m);
    *models = NULL;
}

void ew_models_stop(struct ew_models *models)
{
    models->stopped = true;
}

bool ew_models_busy(const struct ew_models *models)
{
    return models->busy != NULL;
}

struct ew_models_entry *ew_models_first(struct ew_models *models)
{
    return models->first;
}

struct ew_models_entry *ew_models_find(struct ew_models *models, const char *name)
{
    static const char latest[] = ":latest"; /* Ollama's clients put it behind every name */
    size_t bytes = strlen(name), suffix = sizeof latest - 1;
    if (bytes > suffix && strcmp(name + bytes - suffix, latest) == 0)
        bytes -= suffix;
    for (struct ew_models_entry *e = models->first; e; e = e->next)
        if (!e->retired && ((strlen(e->name) == bytes && memcmp(e->name, name, bytes) == 0) ||
                            strcmp(e->source, name) == 0))
            return e;
    return NULL;
}

/* ---- waiting ---- */

static struct ew_models_waiter *take_waiter(struct ew_models_entry *e)
{
    struct ew_models_waiter *waiter = e->waiting;
    if (waiter)
        e->waiting = waiter->next;
    return waiter;
}

static void refuse(struct ew_models_entry *e, const struct ew_fault *fault)
{
    struct ew_models_waiter *waiter;
    const struct ew_fault copy = *fault;
    while ((waiter = take_waiter(e)))
        waiter->told(waiter, &copy);
}

static void refuse_load(struct ew_models_entry *e, const struct ew_err *err)
{
    ew_fault_set(&e->fault, 503, "model_unavailable", "model", "%s can't be loaded: %s", e->name,
                 err->text);
    e->fault.retry_after_s = EW_MODELS_GRUDGE_S;
    e->grudge_ns = now() + (uint64_t)(EW_MODELS_GRUDGE_S * EW_NS_PER_S);
    e->models->params.failed(e->models->params.user, e);
    refuse(e, &e->fault);
}

bool ew_models_ask(struct ew_models_entry *e, struct ew_models_waiter *waiter, uint64_t now_ns)
{
    e->used_ns = now_ns;
    if (e->state == EW_MODELS_READY && !e->yields) {
        e->users++;
        return true;
    }
    if (!e->waiting)
        e->asked_ns = now_ns;
    waiter->next = NULL;
    *(e->waiting ? &e->waiting_last->next : &e->waiting) = waiter;
    e->waiting_last = waiter;
    if (e->state == EW_MODELS_COLD && now_ns < e->grudge_ns)
        refuse(e, &e->fault);
    else
        pump(e->models);
    return false;
}

void ew_models_forget(struct ew_models_entry *e, struct ew_models_waiter *waiter)
{
    struct ew_models_waiter **at = &e->waiting, *before = NULL;
    for (; *at && *at != waiter; at = &(*at)->next)
        before = *at;
    if (!*at)
        return;
    *at = waiter->next;
    if (e->waiting_last == waiter)
        e->waiting_last = before;
    pump(e->models);
}

void ew_models_done(struct ew_models_entry *e, uint64_t now_ns)
{
    EW_ASSERT(e->users > 0);
    e->users--;
    e->used_ns = now_ns;
    pump(e->models);
}

/* ---- tasks ---- */

static void start(struct ew_models_entry *e, enum ew_models_state state,
                  void (*run)(struct ew_task *), void (*done)(struct ew_task *))
{
    e->state = state;
    e->task.run = run;
    e->task.done = done;
    e->models->busy = e;
    ew_worker_put(e->models->params.worker, &e->task);
}

static struct ew_models_entry *finished(struct ew_task *task)
{
    struct ew_models_entry *e = (void *)((char *)task - offsetof(struct ew_models_entry, task));
    e->models->busy = NULL;
    return e;
}

static void closed(struct ew_task *task)
{
    struct ew_models_entry *e = finished(task);
    e->state = EW_MODELS_COLD;
    e->yields = false;
    ew_log(EW_LOG_INFO, "%s is unloaded", e->name);
    pump(e->models);
}

static void unload(struct ew_models_entry *e)
{
    EW_ASSERT(e->state == EW_MODELS_READY && !e->users);
    if (!e->waiting) /* what a client wished was for this time in memory */
        e->keep_alive_s = NAN;
    start(e, EW_MODELS_CLOSING, run_close, closed);
}

static void describe(struct ew_models_entry *e)
{
    struct ew_model_info info;
    ew_model_describe(e->model, &info);
    e->about.parameters = info.parameters;
    e->about.ctx = info.ctx;
    e->about.embedding = info.embedding;
    /* Where the template knows no tools, the model is told of them in words: prepare.c. */
    e->about.tools = info.has_chat_template;
    snprintf(e->about.architecture, sizeof e->about.architecture, "%s", info.architecture);
    snprintf(e->about.quantization, sizeof e->about.quantization, "%s", info.quantization);
}

static void loaded(struct ew_task *task)
{
    struct ew_models_entry *e = finished(task);
    struct ew_models *models = e->models;
    struct ew_models_waiter *waiter;
    double seconds = e->err.code ? NAN : (double)(now() - models->load_ns) / EW_NS_PER_S;
    models->params.loaded(models->params.user, e->name, seconds);
    if (e->err.code) {
        e->state = EW_MODELS_COLD;
        refuse_load(e, &e->err);
    } else {
        e->state = EW_MODELS_READY;
        e->used_ns = now();
        describe(e);
        ew_log(EW_LOG_INFO, "%s is loaded: %s, %s, %u positions, %.0f MB", e->name,
               e->about.architecture, e->about.quantization, e->about.ctx,
               (double)e->plan.total_bytes / 1e6);
        while ((waiter = take_waiter(e))) {
            e->users++;
            waiter->told(waiter, NULL);
        }
    }
    pump(models);
}

static uint64_t loaded_bytes(const struct ew_models *models)
{
    uint64_t bytes = 0;
    for (const struct ew_models_entry *e = models->first; e; e = e->next)
        if (e->state == EW_MODELS_READY)
            bytes += e->plan.total_bytes;
    return bytes;
}

/* Who has to go for another: used longest ago, an idle one before a busy one. */
static struct ew_models_entry *victim(const struct ew_models *models)
{
    struct ew_models_entry *best = NULL;
    for (struct ew_models_entry *e = models->first; e; e = e->next) {
        if (e->state != EW_MODELS_READY)
            continue;
        bool idle = !e->users, best_idle = best && !best->users;
        if (!best || (idle && !best_idle) || (idle == best_idle && e->used_ns < best->used_ns))
            best = e;
    }
    return best;
}

/* Without attention's pages, of which there may be more or fewer. */
static uint64_t fixed_bytes(const struct ew_memory *plan)
{
    return plan->total_bytes - plan->kv_bytes;
}

static void never_fits(struct ew_models_entry *e, uint64_t limit)
{
    const struct ew_memory *p = &e->plan;
    ew_fault_set(&e->fault, 503, "model_too_large", "model",
                 "%s doesn't fit: it needs %.0f MB (weights %.0f, vocabulary %.0f, attention of "
                 "one conversation %.0f, work %.0f), and %.0f MB %s",
                 e->name, (double)(fixed_bytes(p) + p->kv_bytes_min) / 1e6,
                 (double)p->weight_bytes / 1e6, (double)p->vocabulary_bytes / 1e6,
                 (double)p->kv_bytes_min / 1e6, (double)p->work_bytes / 1e6, (double)limit / 1e6,
                 e->models->memory_max ? "are allowed for all models" : "are available");
    e->grudge_ns = now() + (uint64_t)(EW_MODELS_GRUDGE_S * EW_NS_PER_S);
    e->models->params.failed(e->models->params.user, e);
    refuse(e, &e->fault);
}

static void load(struct ew_models_entry *e, uint64_t room)
{
    uint64_t fixed = fixed_bytes(&e->plan);
    if (e->plan.total_bytes > room)
        e->plan.kv_bytes = room - fixed;
    e->plan.total_bytes = fixed + e->plan.kv_bytes;
    e->models->load_ns = now();
    start(e, EW_MODELS_LOADING, run_load, loaded);
}

/* Fewer pages, down to half of what is usual, are better than another model's end; fewer still,
 * down to those of one conversation, are better than no answer. */
static void planned(struct ew_task *task)
{
    struct ew_models_entry *e = finished(task), *goes;
    struct ew_models *models = e->models;
    uint64_t taken = loaded_bytes(models), fixed = fixed_bytes(&e->plan);
    uint64_t most = models->memory_max ? models->memory_max : e->available_bytes + taken;
    uint64_t room = models->memory_max ? (most > taken ? most - taken : 0) : e->available_bytes;
    e->state = EW_MODELS_COLD;
    if (e->err.code) {
        refuse_load(e, &e->err);
    } else if (fixed + e->plan.kv_bytes_min > most) {
        never_fits(e, most);
    } else if (!e->waiting) {
        /* they went away meanwhile */
    } else if (fixed + e->plan.kv_bytes / 2 <= room && fixed + e->plan.kv_bytes_min <= room) {
        load(e, room);
        return;
    } else if ((goes = victim(models)) && goes->users) {
        goes->yields = true; /* its last request calls pump */
        return;
    } else if (goes) {
        unload(goes);
        return;
    } else if (fixed + e->plan.kv_bytes_min <= room) {
        load(e, room);
        return;
    } else {
        never_fits(e, room);
    }
    pump(models);
}

/* Who has waited longest for a model that isn't there. */
static struct ew_models_entry *next_wanted(const struct ew_models *models)
{
    struct ew_models_entry *best = NULL;
    for (struct ew_models_entry *e = models->first; e; e = e->next)
        if (e->waiting && e->state == EW_MODELS_COLD && (!best || e->asked_ns < best->asked_ns))
            best = e;
    return best;
}

static struct ew_models_entry *yielding(const struct ew_models *models)
{
    struct ew_models_entry *e = models->first;
    while (e && !e->yields)
        e = e->next;
    return e;
}

/* For whom it made room is gone: who waited for it meanwhile gets it. */
static void stop_yielding(struct ew_models_entry *e)
{
    struct ew_models_waiter *waiter;
    e->yields = false;
    while ((waiter = take_waiter(e))) {
        e->users++;
        waiter->told(waiter, NULL);
    }
}

static bool drop_retired(struct ew_models *models)
{
    for (struct ew_models_entry **at = &models->first, *e; (e = *at); at = &e->next) {
        if (!e->retired || e->users || e->waiting)
            continue;
        if (e->state == EW_MODELS_READY) {
            unload(e);
            return true;
        }
        *at = e->next;
        drop_entry(e);
        return true;
    }
    return false;
}

/* Starts what comes next, if nothing is under way. */
static void pump(struct ew_models *models)
{
    while (!models->busy && !models->stopped) {
        struct ew_models_entry *wanted = next_wanted(models), *yields = yielding(models);
        if (yields && !wanted) {
            stop_yielding(yields);
        } else if (yields && yields->users) {
            return;
        } else if (yields) {
            unload(yields);
        } else if (wanted) {
            start(wanted, EW_MODELS_LOADING, run_plan, planned);
        } else if (!drop_retired(models)) {
            return;
        }
    }
}

/* How long it may be idle; below 0: for ever. */
static double keep_s(const struct ew_models_entry *e)
{
    double configured = e->models->idle_unload_s;
    if (!isnan(e->keep_alive_s))
        return e->keep_alive_s;
    return configured > 0 && e != e->models->first ? configured : -1;
}

int64_t ew_models_expires_s(const struct ew_models_entry *e)
{
    double keep = keep_s(e);
    if (e->state != EW_MODELS_READY)
        return 0;
    if (keep < 0)
        return -1;
    double idle_s = e->users ? 0 : (double)(now() - e->used_ns) / EW_NS_PER_S;
    return (int64_t)time(NULL) + (int64_t)(keep > idle_s ? keep - idle_s : 0);
}

void ew_models_tick(struct ew_models *models, uint64_t now_ns)
{
    for (struct ew_models_entry *e = models->first; e && !models->busy && !models->stopped;
         e = e->next) {
        double keep = keep_s(e);
        if (e->state == EW_MODELS_READY && !e->users && keep >= 0 &&
            (double)(now_ns - e->used_ns) / EW_NS_PER_S >= keep)
            unload(e);
    }
}
