/* models.h - which models are served, and which of them are in memory.
 *
 * All that the configuration names are known; one is loaded when it is asked for (the first of the
 * list at the start) and unloaded when it was idle for as long as configured, or to make room for
 * another: then the one that was used longest ago goes, once its requests are answered, and new
 * requests for it wait until the other had its turn. What would never fit is refused, with the
 * arithmetic. A load that failed is remembered for EW_MODELS_GRUDGE_S, so that not every request
 * tries again. Loading and closing happen on a worker; everything here is called on the loop. */
#ifndef EW_MODELS_H
#define EW_MODELS_H

#include "flow/config.h"
#include "flow/request.h"
#include "serve/grammars.h"
#include "serve/jobs.h"
#include "serve/worker.h"

#define EW_MODELS_GRUDGE_S 5.0

enum ew_models_state { EW_MODELS_COLD, EW_MODELS_LOADING, EW_MODELS_READY, EW_MODELS_CLOSING };

/* Told once: fault NULL, and the model is held for the waiter; or why not. */
struct ew_models_waiter {
    void (*told)(struct ew_models_waiter *waiter, const struct ew_fault *fault);
    struct ew_models_waiter *next;
};

/* What lists tell; known in part before a model was ever loaded, and kept when it is unloaded. */
struct ew_models_about {
    int64_t created_s;
    uint64_t bytes, parameters;
    uint32_t ctx, embedding;
    char architecture[32], quantization[32], licence[48], sha256[65];
    bool tools;
};

struct ew_models;
struct ew_models_entry {
    struct ew_models *models;
    char name[128]; /* as clients ask for it */
    char *source;   /* as configured: a name of the catalog, or a path */
    enum ew_models_state state;
    bool retired;   /* no longer configured: goes when it is idle */
    bool yields;    /* another waits for its memory: nobody new gets it */
    uint32_t users; /* requests that hold it */
    struct ew_models_waiter *waiting, *waiting_last;
    uint64_t asked_ns;   /* by the first of them */
    uint64_t used_ns;    /* last */
    double keep_alive_s; /* NAN: as configured */
    struct ew_models_about about;
    struct ew_jobs_slot slot; /* of the loaded model */
    struct ew_model *model;
    struct ew_memory plan;
    /* The task's. */
    struct ew_task task;
    uint64_t available_bytes;
    struct ew_err err;
    /* A load that failed. */
    struct ew_fault fault;
    uint64_t grudge_ns;
    struct ew_models_entry *next;
};

struct ew_models_params {
    struct ew_worker *worker;
    struct ew_grammars *grammars;
    const char *isa;
    void *user;
    void (*loaded)(void *user, const char *name, double seconds); /* NAN: it failed */
    /* It wasn't, as entry->fault says; its waiters are told next. */
    void (*failed)(void *user, const struct ew_models_entry *entry);
};

int ew_models_open(struct ew_models **gives, const struct ew_models_params *params,
                   const struct ew_config_device *device, struct ew_err *err);
/* Nobody holds or waits any more; the worker is still there, or was closed already. */
void ew_models_close(struct ew_models **models);
/* No load or close begins after this. */
void ew_models_stop(struct ew_models *models);
/* A model is being loaded or closed. */
bool ew_models_busy(const struct ew_models *models);
/* Another configuration: the device is copied. Not while busy (EW_ELIMIT). */
int ew_models_set(struct ew_models *models, const struct ew_config_device *device,
                  struct ew_err *err);

/* By the name that lists tell, the path that is configured, or "NAME:latest". NULL: not served. */
struct ew_models_entry *ew_models_find(struct ew_models *models, const char *name);
struct ew_models_entry *ew_models_first(struct ew_models *models); /* then ->next, but retired */

/* True: it is there, and held. Else the waiter is told later. */
bool ew_models_ask(struct ew_models_entry *entry, struct ew_models_waiter *waiter, uint64_t now_ns);
void ew_models_forget(struct ew_models_entry *entry, struct ew_models_waiter *waiter);
void ew_models_done(struct ew_models_entry *entry, uint64_t now_ns); /* no longer held */
/* Unix time at which idleness unloads it; 0: it isn't loaded; -1: never. */
int64_t ew_models_expires_s(const struct ew_models_entry *entry);
/* Unloads who is idle. Call every second or so. */
void ew_models_tick(struct ew_models *models, uint64_t now_ns);

#endif
