/* metrics.c - counts, and writes what was counted.
 *
 * A histogram keeps its buckets apart and sums them up when it is written, so that counting touches
 * one of them. Buckets are those that OpenTelemetry's semantic conventions advise. */
#include "serve/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow/usage.h"

enum { BUCKETS_MAX = 16, LABEL_MAX = 128, CLASSES = 5, ENERGY_KINDS = EW_ENERGY_MEASURED + 1 };

/* ---- what there is ---- */

struct buckets {
    const char *name, *help;
    size_t count;
    double bounds[BUCKETS_MAX];
};

enum { DURATION, TTFT, PER_TOKEN, TOKENS_IN, TOKENS_OUT, HISTOGRAMS };

static const double token_bounds[] = {1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576};

static const struct buckets families[] = {
    [DURATION] = {"gen_ai_server_request_duration_seconds",
                  "Time from a request's arrival to the end of its answer.",
                  14,
                  {.01, .02, .04, .08, .16, .32, .64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96,
                   81.92}},
    [TTFT] = {"gen_ai_server_time_to_first_token_seconds",
              "Time from a request's arrival to the first token of its answer.",
              16,
              {.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}},
    [PER_TOKEN] = {"gen_ai_server_time_per_output_token_seconds",
                   "Time per token of an answer after its first.",
                   13,
                   {.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5}},
};

struct histogram {
    uint64_t counts[BUCKETS_MAX + 1]; /* each by itself; the last is above all bounds */
    double sum;
};

enum operation { CHAT, COMPLETION, OPERATIONS };

struct model {
    char label[LABEL_MAX]; /* escaped */
    struct histogram histograms[OPERATIONS][HISTOGRAMS];
    uint64_t loads, failed_loads;
    double load_s;
};

struct ew_metrics {
    uint64_t requests[EW_METRICS_ROUTE_COUNT][CLASSES + 1]; /* 1xx … 5xx, and 499 */
    double joules[ENERGY_KINDS];
    double cost_cents;
    uint64_t prompt_tokens, cached_tokens, output_tokens, unknown_energy;
    uint64_t reloads, failed_reloads;
    unsigned model_count;
    struct model models[EW_METRICS_MODELS_MAX];
};

static const char *const route_paths[] = {
#define X(name, path) path,
    EW_METRICS_ROUTES(X)
#undef X
};

int ew_metrics_open(struct ew_metrics **gives, struct ew_err *err)
{
    *gives = calloc(1, sizeof **gives);
    if (!*gives)
        return ew_fail(err, EW_ENOMEM, "no memory for metrics");
    ew_metrics_model(*gives, "other");
    return 0;
}

void ew_metrics_close(struct ew_metrics **metrics)
{
    free(*metrics);
    *metrics = NULL;
}

/* ---- counting ---- */

/* As a label's value wants it: backslash, quote and newline escaped; cut at a whole character. */
static void escape(char out[LABEL_MAX], const char *text)
{
    size_t n = 0;
    for (; *text && n + 3 < LABEL_MAX; text++) {
        if (*text == '\\' || *text == '"')
            out[n++] = '\\';
        out[n++] = *text == '\n' ? ' ' : *text;
    }
    while (*text && n > 0 && ((unsigned char)*text & 0xc0) == 0x80) {
        text--;
        n--;
    }
    out[n] = '\0';
}

unsigned ew_metrics_model(struct ew_metrics *metrics, const char *name)
{
    char label[LABEL_MAX];
    escape(label, name);
    for (unsigned i = 0; i < metrics->model_count; i++)
        if (strcmp(metrics->models[i].label, label) == 0)
            return i;
    if (metrics->model_count == EW_METRICS_MODELS_MAX)
        return 0;
    memcpy(metrics->models[metrics->model_count].label, label, sizeof label);
    return metrics->model_count++;
}

enum ew_metrics_route ew_metrics_route(const char *path)
{
    for (int i = 0; i < EW_METRICS_ROUTE_OTHER; i++)
        if (strcmp(path, route_paths[i]) == 0)
            return (enum ew_metrics_route)i;
    if (strcmp(path, "/ready") == 0)
        return EW_METRICS_ROUTE_HEALTH;
    if (strncmp(path, "/v1/models/", 11) == 0)
        return EW_METRICS_ROUTE_MODELS;
    return strncmp(path, "/api/", 5) == 0 ? EW_METRICS_ROUTE_OLLAMA : EW_METRICS_ROUTE_OTHER;
}

static const double *bounds_of(int family, size_t *count)
{
    bool tokens = family == TOKENS_IN || family == TOKENS_OUT;
    *count = tokens ? EW_COUNT(token_bounds) : families[family].count;
    return tokens ? token_bounds : families[family].bounds;
}

static void observe(struct histogram *histogram, int family, double value)
{
    size_t count, i = 0;
    const double *bounds = bounds_of(family, &count);
    if (isnan(value))
        return;
    while (i < count && value > bounds[i])
        i++;
    histogram->counts[i]++;
    histogram->sum += value;
}

static void count_usage(struct ew_metrics *metrics, struct histogram *histograms,
                        const struct ew_usage *usage)
{
    if (usage->ttft_ns)
        observe(&histograms[TTFT], TTFT, (double)usage->ttft_ns / 1e9);
    observe(&histograms[PER_TOKEN], PER_TOKEN, ew_usage_ms_per_token(usage) / 1e3);
    observe(&histograms[TOKENS_IN], TOKENS_IN, usage->prompt_tokens);
    observe(&histograms[TOKENS_OUT], TOKENS_OUT, usage->output_tokens);
    metrics->prompt_tokens += usage->prompt_tokens;
    metrics->cached_tokens += usage->cached_tokens;
    metrics->output_tokens += usage->output_tokens;
    if (usage->energy.kind == EW_ENERGY_UNKNOWN || isnan(usage->energy.joules))
        metrics->unknown_energy++;
    else
        metrics->joules[usage->energy.kind] += usage->energy.joules;
    if (!isnan(usage->cost_cents))
        metrics->cost_cents += usage->cost_cents;
}

void ew_metrics_count(struct ew_metrics *metrics, const struct ew_metrics_request *request)
{
    int hundreds = request->status / 100;
    int status = request->status == 499           ? CLASSES
                 : hundreds >= 1 && hundreds <= 5 ? hundreds - 1
                                                  : CLASSES - 1;
    EW_ASSERT(request->route < EW_METRICS_ROUTE_COUNT && request->model < metrics->model_count);
    metrics->requests[request->route][status]++;
    if (!request->usage)
        return;
    bool completion = request->route == EW_METRICS_ROUTE_COMPLETIONS ||
                      request->route == EW_METRICS_ROUTE_OLLAMA_GENERATE;
    struct model *model = &metrics->models[request->model];
    struct histogram *histograms = model->histograms[completion ? COMPLETION : CHAT];
    observe(&histograms[DURATION], DURATION, (double)request->duration_ns / 1e9);
    count_usage(metrics, histograms, request->usage);
}

void ew_metrics_load(struct ew_metrics *metrics, unsigned model, double seconds)
{
    EW_ASSERT(model < metrics->model_count);
    if (isnan(seconds)) {
        metrics->models[model].failed_loads++;
        return;
    }
    metrics->models[model].loads++;
    metrics->models[model].load_s += seconds;
}

void ew_metrics_reload(struct ew_metrics *metrics, bool succeeded)
{
    metrics->reloads += succeeded;
    metrics->failed_reloads += !succeeded;
}

struct ew_metrics_now ew_metrics_now_unknown(void)
{
    return (struct ew_metrics_now){.queue_waiting = NAN,
                                   .running = NAN,
                                   .kv_pages_used = NAN,
                                   .kv_pages_total = NAN,
                                   .models_loaded = NAN,
                                   .model_bytes = NAN,
                                   .connections = NAN,
                                   .resident_bytes = NAN,
                                   .connections_accepted = UINT64_MAX,
                                   .malformed = UINT64_MAX,
                                   .ledger_written = UINT64_MAX,
                                   .ledger_waiting = UINT64_MAX,
                                   .ledger_lost = UINT64_MAX};
}

/* ---- writing ---- */

/* The first failure (the buffer's limit) sticks. */
struct page {
    struct ew_buf *out;
    struct ew_err err;
};

static void head(struct page *page, const char *name, const char *type, const char *help)
{
    if (!page->err.code)
        ew_buf_printf(page->out, &page->err, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
                      type);
}

__attribute__((format(printf, 3, 4))) static void sample(struct page *page, double value,
                                                         const char *format, ...)
{
    char series[512];
    va_list args;
    va_start(args, format);
    vsnprintf(series, sizeof series, format, args);
    va_end(args);
    if (!page->err.code)
        ew_buf_printf(page->out, &page->err, "%s %.15g\n", series, value);
}

static void plain(struct page *page, const char *name, const char *type, const char *help,
                  double value)
{
    if (isnan(value))
        return;
    head(page, name, type, help);
    sample(page, value, "%s", name);
}

static double known(uint64_t value)
{
    return value == UINT64_MAX ? NAN : (double)value;
}

static void write_histogram(struct page *page, const char *name, const char *labels, int family,
                            const struct histogram *histogram)
{
    size_t count;
    const double *bounds = bounds_of(family, &count);
    uint64_t sum = 0, all = 0;
    for (size_t i = 0; i <= count; i++)
        all += histogram->counts[i];
    for (size_t i = 0; all && i < count; i++) {
        sum += histogram->counts[i];
        sample(page, (double)sum, "%s_bucket{%s,le=\"%.15g\"}", name, labels, bounds[i]);
    }
    if (!all)
        return;
    sample(page, (double)all, "%s_bucket{%s,le=\"+Inf\"}", name, labels);
    sample(page, histogram->sum, "%s_sum{%s}", name, labels);
    sample(page, (double)all, "%s_count{%s}", name, labels);
}

static void write_family(struct page *page, const struct ew_metrics *metrics, const char *name,
                         int family, const char *more)
{
    static const char *const operations[] = {"chat", "text_completion"};
    char labels[LABEL_MAX + 160];
    for (unsigned m = 0; m < metrics->model_count; m++)
        for (int op = 0; op < OPERATIONS; op++) {
            snprintf(labels, sizeof labels,
                     "gen_ai_operation_name=\"%s\",gen_ai_request_model=\"%s\"%s", operations[op],
                     metrics->models[m].label, more);
            write_histogram(page, name, labels, family, &metrics->models[m].histograms[op][family]);
        }
}

static void write_answers(struct page *page, const struct ew_metrics *metrics)
{
    static const char usage[] = "gen_ai_client_token_usage";
    for (int family = DURATION; family <= PER_TOKEN; family++) {
        head(page, families[family].name, "histogram", families[family].help);
        write_family(page, metrics, families[family].name, family, "");
    }
    head(page, usage, "histogram", "Tokens of a request, in and out.");
    write_family(page, metrics, usage, TOKENS_IN, ",gen_ai_token_type=\"input\"");
    write_family(page, metrics, usage, TOKENS_OUT, ",gen_ai_token_type=\"output\"");
}

static void write_requests(struct page *page, const struct ew_metrics *metrics)
{
    static const char *const classes[] = {"1xx", "2xx", "3xx", "4xx", "5xx", "499"};
    static const char name[] = "edgewise_http_requests_total";
    head(page, name, "counter", "Requests that have ended; status 499: the client hung up.");
    for (int route = 0; route < EW_METRICS_ROUTE_COUNT; route++)
        for (int status = 0; status <= CLASSES; status++)
            if (metrics->requests[route][status])
                sample(page, (double)metrics->requests[route][status],
                       "%s{route=\"%s\",status=\"%s\"}", name, route_paths[route], classes[status]);
}

static void write_account(struct page *page, const struct ew_metrics *metrics)
{
    static const char energy[] = "edgewise_energy_joules_total";
    head(page, energy, "counter", "Energy of answers whose energy is known, idle share included.");
    for (int kind = 0; kind < ENERGY_KINDS; kind++)
        if (metrics->joules[kind] > 0)
            sample(page, metrics->joules[kind], "%s{kind=\"%s\"}", energy,
                   ew_energy_kind_name((enum ew_energy_kind)kind));
    plain(page, "edgewise_energy_unknown_requests_total", "counter",
          "Answers whose energy isn't known.", (double)metrics->unknown_energy);
    plain(page, "edgewise_cost_cents_total", "counter", "Cost of answers whose cost is known.",
          metrics->cost_cents);
    plain(page, "edgewise_prompt_tokens_total", "counter", "Tokens of prompts.",
          (double)metrics->prompt_tokens);
    plain(page, "edgewise_prefix_cached_tokens_total", "counter",
          "Of these, tokens that weren't computed again.", (double)metrics->cached_tokens);
    plain(page, "edgewise_output_tokens_total", "counter", "Tokens of answers.",
          (double)metrics->output_tokens);
}

static void write_loads(struct page *page, const struct ew_metrics *metrics)
{
    static const char loads[] = "edgewise_model_loads_total";
    static const char seconds[] = "edgewise_model_load_seconds_total";
    head(page, loads, "counter", "Loads of models.");
    for (unsigned m = 1; m < metrics->model_count; m++) {
        sample(page, (double)metrics->models[m].loads, "%s{model=\"%s\",result=\"loaded\"}", loads,
               metrics->models[m].label);
        sample(page, (double)metrics->models[m].failed_loads, "%s{model=\"%s\",result=\"failed\"}",
               loads, metrics->models[m].label);
    }
    head(page, seconds, "counter", "Time that loading took.");
    for (unsigned m = 1; m < metrics->model_count; m++)
        sample(page, metrics->models[m].load_s, "%s{model=\"%s\"}", seconds,
               metrics->models[m].label);
    head(page, "edgewise_config_reloads_total", "counter",
         "Times the configuration was read anew.");
    sample(page, (double)metrics->reloads, "edgewise_config_reloads_total{result=\"taken\"}");
    sample(page, (double)metrics->failed_reloads,
           "edgewise_config_reloads_total{result=\"refused\"}");
}

static void write_now(struct page *page, const struct ew_metrics_now *now)
{
    plain(page, "edgewise_queue_requests", "gauge", "Requests that wait.", now->queue_waiting);
    plain(page, "edgewise_running_requests", "gauge", "Requests being answered.", now->running);
    plain(page, "edgewise_kv_pages_used", "gauge", "Pages of attention state in use.",
          now->kv_pages_used);
    plain(page, "edgewise_kv_pages", "gauge", "Pages of attention state there are.",
          now->kv_pages_total);
    plain(page, "edgewise_models_loaded", "gauge", "Models in memory.", now->models_loaded);
    plain(page, "edgewise_models_bytes", "gauge", "Memory that they take.", now->model_bytes);
    plain(page, "edgewise_connections", "gauge", "Open connections.", now->connections);
    plain(page, "edgewise_connections_accepted_total", "counter", "Connections accepted.",
          known(now->connections_accepted));
    plain(page, "edgewise_http_malformed_total", "counter", "Requests that weren't HTTP.",
          known(now->malformed));
    plain(page, "edgewise_ledger_rows_total", "counter", "Rows written to the ledger.",
          known(now->ledger_written));
    plain(page, "edgewise_ledger_rows_waiting", "gauge", "Rows that wait to be written.",
          known(now->ledger_waiting));
    plain(page, "edgewise_ledger_rows_lost_total", "counter", "Rows given up.",
          known(now->ledger_lost));
    plain(page, "process_resident_memory_bytes", "gauge", "Resident memory.", now->resident_bytes);
}

int ew_metrics_write(const struct ew_metrics *metrics, const struct ew_metrics_now *now,
                     struct ew_buf *out, struct ew_err *err)
{
    struct page page = {.out = out};
    head(&page, "edgewise_build_info", "gauge", "Always 1; what runs is in the labels.");
    sample(&page, 1, "edgewise_build_info{version=\"%s\",isa=\"%s\"}", EW_VERSION,
           now->isa ? now->isa : "");
    write_requests(&page, metrics);
    write_answers(&page, metrics);
    write_account(&page, metrics);
    write_loads(&page, metrics);
    write_now(&page, now);
    return page.err.code ? ew_fail(err, page.err.code, "%s", page.err.text) : 0;
}
