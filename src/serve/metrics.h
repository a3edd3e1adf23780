/* metrics.h - counters, gauges and histograms of the server, as Prometheus reads them (text format
 * 0.0.4).
 *
 *     ew_metrics_open(&metrics, &err);   model = ew_metrics_model(metrics, "smollm2-135m");
 *     ew_metrics_count(metrics, &what);                          at the end of each request
 *     ew_metrics_write(metrics, &now, &body, &err);              GET /metrics
 *
 * What OpenTelemetry's conventions for generative AI name has their name in Prometheus' spelling
 * (gen_ai_…), with the buckets they advise; the rest is edgewise_…. Labels come from fixed sets:
 * what a client writes can't make a series. One thread; nothing is allocated when counting. What
 * isn't known is not counted: never 0 for unknown. */
#ifndef EW_METRICS_H
#define EW_METRICS_H

#include "flow/flow.h"
#include "base/buf.h"

enum {
    EW_METRICS_MODELS_MAX = 65, /* a configuration's, and index 0: "other" */
    EW_METRICS_TEXT_MAX = 4 << 20,
};
#define EW_METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

#define EW_METRICS_ROUTES(X)                                                                       \
    X(CHAT, "/v1/chat/completions")                                                                \
    X(COMPLETIONS, "/v1/completions")                                                              \
    X(MODELS, "/v1/models")                                                                        \
    X(OLLAMA_CHAT, "/api/chat")                                                                    \
    X(OLLAMA_GENERATE, "/api/generate")                                                            \
    X(OLLAMA, "/api/other")                                                                        \
    X(HEALTH, "/health")                                                                           \
    X(METRICS, "/metrics")                                                                         \
    X(OTHER, "other")
enum ew_metrics_route {
#define X(name, path) EW_METRICS_ROUTE_##name,
    EW_METRICS_ROUTES(X)
#undef X
        EW_METRICS_ROUTE_COUNT
};

/* A request that has ended, however it did. */
struct ew_metrics_request {
    enum ew_metrics_route route;
    unsigned model; /* ew_metrics_model; 0: none, or one that we don't have */
    int status;     /* HTTP; 499: the client hung up */
    uint64_t duration_ns;
    const struct ew_usage *usage; /* NULL: no token was asked of a model */
};

/* What is so now; read from those who know when somebody asks. NAN or UINT64_MAX: not known. */
struct ew_metrics_now {
    double queue_waiting, running;
    double kv_pages_used, kv_pages_total;
    double models_loaded, model_bytes;
    double connections;
    double resident_bytes;
    uint64_t connections_accepted, malformed;
    uint64_t ledger_written, ledger_waiting, ledger_lost;
    const char *isa; /* of the kernels; NULL: not known */
};
struct ew_metrics_now ew_metrics_now_unknown(void);

struct ew_metrics;
int ew_metrics_open(struct ew_metrics **gives, struct ew_err *err);
void ew_metrics_close(struct ew_metrics **metrics);

/* The index of a model's label; made at its first call. For names of the configuration, never for
 * what a client wrote. 0 when there is no room for more. */
unsigned ew_metrics_model(struct ew_metrics *metrics, const char *name);
enum ew_metrics_route ew_metrics_route(const char *path);

void ew_metrics_count(struct ew_metrics *metrics, const struct ew_metrics_request *request);
/* A load of a model that succeeded (seconds) or failed (NAN). */
void ew_metrics_load(struct ew_metrics *metrics, unsigned model, double seconds);
void ew_metrics_reload(struct ew_metrics *metrics, bool succeeded); /* of the configuration */

int ew_metrics_write(const struct ew_metrics *metrics, const struct ew_metrics_now *now,
                     struct ew_buf *out, struct ew_err *err);

#endif
