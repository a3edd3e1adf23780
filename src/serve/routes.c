/* routes.c - from a path to what answers it.
 *
 * Two tables in one: paths of OpenAI's API, whose errors are OpenAI's, and of Ollama's. Keys are
 * asked for where the configuration has clients, everywhere but at /, /health and /ready, since a
 * balancer has none. A page in a browser says where it comes from (Origin); what isn't from here
 * and not configured is refused outright: a form of a stranger's page could make this machine work
 * without ever reading the answer. */
#include "serve/routes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/jsonw.h"
#include "serve/account.h"
#include "serve/exchange.h"
#include "serve/join_in.h"
#include "serve/join_out.h"
#include "serve/state.h"

enum { PAGE_BYTES_MAX = 4 << 20, NAME_BYTES_MAX = 128 };
#define JSON_TYPE "application/json"

struct visit {
    struct ew_server *server;
    struct ew_http_request *http;
    const struct ew_wire *wire; /* errors are told in its way */
    const char *path;           /* of the route */
    const char *rest;           /* what follows a path that ends in / */
    char client[64];
};

struct route {
    const char *method, *path; /* a path that ends in '*' takes what follows */
    const struct ew_wire *wire;
    void (*page)(struct visit *visit); /* NULL: a model answers */
    bool open;                         /* without a key */
};

/* ---- answers ---- */

void ew_routes_fail(struct ew_http_request *http, const struct ew_wire *wire,
                    const struct ew_fault *fault)
{
    struct ew_buf body;
    char text[24];
    ew_buf_init(&body, PAGE_BYTES_MAX);
    if (fault->retry_after_s > 0) {
        snprintf(text, sizeof text, "%.0f", ceil(fault->retry_after_s));
        ew_http_add_header(http, "Retry-After", text);
        snprintf(text, sizeof text, "%.0f", ceil(fault->retry_after_s * 1000));
        ew_http_add_header(http, "Retry-After-Ms", text); /* OpenAI's clients wait as exactly */
    }
    if (fault->status == 401)
        ew_http_add_header(http, "WWW-Authenticate", "Bearer");
    (void)!(wire ? wire : &ew_openai_chat)->error(fault, &body);
    ew_http_reply(http, fault->status, JSON_TYPE, (struct ew_str){ew_buf_cstr(&body), body.bytes});
    ew_buf_fini(&body);
}

void ew_routes_error(void *user, int status, const char *message, struct ew_buf *body)
{
    struct ew_fault fault;
    (void)user;
    ew_fault_set(&fault, status, NULL, NULL, "%s", message);
    (void)!ew_openai_chat.error(&fault, body);
}

static void count(const struct visit *v, int status)
{
    struct ew_metrics_request what = {.route = ew_metrics_route(v->path), .status = status};
    what.duration_ns = ew_clock_now_ns(&ew_clock_real) - ew_http_arrival_ns(v->http);
    ew_metrics_count(v->server->metrics, &what);
}

static void fail(const struct visit *v, const struct ew_fault *fault)
{
    count(v, fault->status);
    ew_routes_fail(v->http, v->wire, fault);
}

static void reply(const struct visit *v, const char *type, struct ew_buf *body)
{
    count(v, 200);
    ew_http_reply(v->http, 200, type, (struct ew_str){ew_buf_cstr(body), body->bytes});
    ew_buf_fini(body);
}

static struct ew_buf page_buf(void)
{
    struct ew_buf body;
    ew_buf_init(&body, PAGE_BYTES_MAX);
    return body;
}

/* A page whose writer may fail: by its limit, or for want of memory. */
static void reply_json(const struct visit *v, struct ew_buf *body, int failed)
{
    struct ew_fault fault;
    if (!failed) {
        reply(v, JSON_TYPE, body);
        return;
    }
    ew_buf_fini(body);
    ew_fault_set(&fault, 500, NULL, NULL, "the answer can't be written");
    fail(v, &fault);
}

/* ---- models ---- */

typedef int list_fn(const struct ew_wire_model *models, size_t count, struct ew_buf *out);

enum which { ALL, LOADED };

static void no_memory(const struct visit *v)
{
    struct ew_fault fault;
    ew_fault_set(&fault, 503, NULL, NULL, "no memory for the list of models");
    fail(v, &fault);
}

static void reply_list(struct visit *v, enum which which, list_fn *write)
{
    size_t count;
    struct ew_wire_model *models = ew_state_models(v->server, which == LOADED, &count);
    if (!models) {
        no_memory(v);
        return;
    }
    struct ew_buf body = page_buf();
    reply_json(v, &body, write(models, count, &body));
    free(models);
}

static bool is_called(const struct ew_wire_model *model, const struct ew_models_entry *entry,
                      const char *name)
{
    return entry ? strcmp(model->name, entry->name) == 0 : ew_fleet_is_called(model->name, name);
}

typedef int one_fn(const struct ew_wire_model *model, struct ew_buf *out);

/* The engine's models go by several names, its path among them. */
static void reply_one(struct visit *v, const char *name, one_fn *write)
{
    const struct ew_models_entry *entry = ew_models_find(v->server->models, name);
    struct ew_fault fault;
    size_t count, at = 0;
    struct ew_wire_model *models = ew_state_models(v->server, false, &count);
    if (!models) {
        no_memory(v);
        return;
    }
    while (at < count && !is_called(&models[at], entry, name))
        at++;
    if (at < count) {
        struct ew_buf body = page_buf();
        reply_json(v, &body, write(&models[at], &body));
    } else {
        ew_fault_set(&fault, 404, "model_not_found", "model", "The model '%.*s' does not exist",
                     NAME_BYTES_MAX, name);
        fail(v, &fault);
    }
    free(models);
}

static void page_models(struct visit *v)
{
    reply_list(v, ALL, ew_openai_models);
}

static void page_model(struct visit *v)
{
    reply_one(v, v->rest, ew_openai_model);
}

static void page_tags(struct visit *v)
{
    reply_list(v, ALL, ew_ollama_tags);
}

static void page_ps(struct visit *v)
{
    reply_list(v, LOADED, ew_ollama_ps);
}

static void page_show(struct visit *v)
{
    struct ew_fault fault = {0};
    char *name = NULL;
    if (ew_ollama_name(ew_http_body(v->http), &name, &fault)) {
        fail(v, &fault);
        return;
    }
    reply_one(v, name, ew_ollama_show);
    free(name);
}

static void page_status(struct visit *v)
{
    struct ew_buf body = page_buf();
    reply_json(v, &body, ew_state_write(v->server, &body));
}

static void page_fleet(struct visit *v)
{
    struct ew_buf body = page_buf();
    reply_json(v, &body, ew_fleet_json(v->server->fleet, &body));
}

/* A token is what lets a device in, not a client's key. */
static void page_join(struct visit *v)
{
    struct ew_fault fault = {0};
    if (ew_join_in(v->server, v->http, &fault))
        fail(v, &fault);
}

static void page_version(struct visit *v)
{
    struct ew_buf body = page_buf();
    reply_json(v, &body, ew_ollama_version(&body));
}

/* ---- how it is ---- */

static void reply_text(const struct visit *v, int status, const char *type, const char *text)
{
    count(v, status);
    ew_http_reply(v->http, status, type, (struct ew_str){text, strlen(text)});
}

static void page_root(struct visit *v)
{
    char text[512];
    snprintf(text, sizeof text,
             "edgewise %s is running.\n"
             "OpenAI's API: %s/v1\n"
             "Ollama's API: %s\n"
             "Also here: /health /ready /metrics\n",
             EW_VERSION, v->server->url, v->server->url);
    reply_text(v, 200, "text/plain; charset=utf-8", text);
}

static void reply_status(struct visit *v, int status, const char *word)
{
    char text[64];
    snprintf(text, sizeof text, "{\"status\": \"%s\"}\n", word);
    reply_text(v, status, JSON_TYPE, text);
}

/* The process answers. */
static void page_health(struct visit *v)
{
    reply_status(v, 200, "ok");
}

/* It takes work. */
static void page_ready(struct visit *v)
{
    static const char *const words[] = {"starting", "ok", "draining", "draining"};
    bool ready = v->server->state == EW_SERVER_SERVING;
    if (!ready)
        ew_http_add_header(v->http, "Retry-After", "1");
    reply_status(v, ready ? 200 : 503, words[v->server->state]);
}

static double resident_bytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file)
        return NAN;
    int read = fscanf(file, "%*s %ld", &pages);
    fclose(file);
    return read == 1 ? (double)pages * (double)sysconf(_SC_PAGESIZE) : NAN;
}

static void add_models(struct ew_server *server, struct ew_metrics_now *now)
{
    now->models_loaded = now->model_bytes = now->kv_pages_used = now->kv_pages_total = 0;
    for (struct ew_models_entry *e = ew_models_first(server->models); e; e = e->next) {
        if (e->state != EW_MODELS_READY)
            continue;
        struct ew_batch_info info = ew_jobs_slot_info(server->jobs, &e->slot);
        struct ew_model_info model;
        ew_model_describe(e->model, &model);
        now->models_loaded++;
        now->model_bytes += (double)e->plan.total_bytes;
        now->kv_pages_used += (double)info.pages_used;
        now->kv_pages_total += (double)info.pages;
        now->isa = model.isa;
    }
}

static void page_metrics(struct visit *v)
{
    struct ew_server *server = v->server;
    struct ew_metrics_now now = ew_metrics_now_unknown();
    struct ew_ledger_state ledger;
    struct ew_http_counts counts;
    struct ew_buf body = page_buf();
    ew_http_server_counts(server->http, &counts);
    now.queue_waiting = ew_queue_waiting(server->queue);
    now.running = ew_queue_running(server->queue);
    now.connections = counts.connections;
    now.connections_accepted = counts.accepted;
    now.malformed = counts.malformed;
    now.resident_bytes = resident_bytes();
    add_models(server, &now);
    if (server->ledger) {
        ew_ledger_state(server->ledger, &ledger);
        now.ledger_written = ledger.written;
        now.ledger_waiting = ledger.waiting;
        now.ledger_lost = ledger.lost;
    }
    struct ew_err err = {0};
    if (ew_metrics_write(server->metrics, &now, &body, &err) ||
        ew_fleet_metrics(server->fleet, &body, &err))
        reply_json(v, &body, err.code);
    else
        reply(v, EW_METRICS_TYPE, &body);
}

/* ---- the table ---- */

static const struct route routes[] = {
    {"POST", "/v1/chat/completions", &ew_openai_chat, NULL, false},
    {"POST", "/v1/completions", &ew_openai_completion, NULL, false},
    {"GET", "/v1/models", &ew_openai_chat, page_models, false},
    {"GET", "/v1/models/*", &ew_openai_chat, page_model, false},
    {"GET", "/v1/edgewise/status", &ew_openai_chat, page_status, false},
    {"GET", EW_JOIN_PATH, &ew_openai_chat, page_join, true},
    {"GET", "/v1/edgewise/fleet", &ew_openai_chat, page_fleet, false},
    {"POST", "/api/chat", &ew_ollama_chat, NULL, false},
    {"POST", "/api/generate", &ew_ollama_generate, NULL, false},
    {"GET", "/api/tags", &ew_ollama_chat, page_tags, false},
    {"GET", "/api/ps", &ew_ollama_chat, page_ps, false},
    {"POST", "/api/show", &ew_ollama_chat, page_show, false},
    {"GET", "/api/version", &ew_ollama_chat, page_version, false},
    {"GET", "/metrics", &ew_openai_chat, page_metrics, false},
    {"GET", "/health", &ew_openai_chat, page_health, true},
    {"GET", "/ready", &ew_openai_chat, page_ready, true},
    {"GET", "/", &ew_openai_chat, page_root, true},
};

static bool fits(const struct route *route, const char *path, const char **rest)
{
    size_t bytes = strlen(route->path);
    if (route->path[bytes - 1] != '*')
        return strcmp(path, route->path) == 0;
    *rest = path + bytes - 1;
    return strncmp(path, route->path, bytes - 1) == 0 && path[bytes - 1];
}

static bool takes(const struct route *route, const char *method)
{
    return strcmp(method, route->method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

static const struct route *find_route(struct visit *v, const char *path)
{
    for (size_t i = 0; i < EW_COUNT(routes); i++)
        if (fits(&routes[i], path, &v->rest))
            return &routes[i];
    return NULL;
}

/* ---- who may ask ---- */

static bool is_configured(const struct ew_config *config, const char *origin)
{
    for (unsigned i = 0; i < config->cors_count; i++)
        if (strcmp(config->cors_origins[i], "*") == 0 ||
            strcmp(config->cors_origins[i], origin) == 0)
            return true;
    return false;
}

/* A name that no stranger's server can make point here: an address, or one without a domain. */
static bool is_local_name(const char *host)
{
    size_t bytes = strcspn(host, ":");
    if (host[0] == '[' || strspn(host, "0123456789.") >= bytes)
        return true;
    return !memchr(host, '.', bytes);
}

/* A page that this server, or another way to it, gave out itself. */
static bool is_ours(const struct ew_http_request *http, const char *origin)
{
    const char *host = ew_http_header(http, "Host"), *from = strstr(origin, "://");
    return host && from && strcmp(from + 3, host) == 0 && is_local_name(host);
}

static int check_origin(const struct visit *v, struct ew_fault *fault)
{
    const char *origin = ew_http_header(v->http, "Origin");
    if (!origin)
        return 0;
    if (is_configured(v->server->config, origin)) {
        ew_http_add_header(v->http, "Access-Control-Allow-Origin", origin);
        ew_http_add_header(v->http, "Vary", "Origin");
        ew_http_add_header(v->http, "Access-Control-Expose-Headers",
                           "X-Request-Id, X-Edgewise-Request-Id, X-Edgewise-Device, "
                           "X-Edgewise-Reason, X-Edgewise-Attempts, X-Edgewise-Sticky, "
                           "X-Edgewise-Energy-J, X-Edgewise-Energy-Kind, X-Edgewise-Cost-Cents, "
                           "X-Edgewise-Ttft-Ms, X-Edgewise-Tokens-Per-S, Retry-After, "
                           "Retry-After-Ms, X-RateLimit-Limit-Requests, "
                           "X-RateLimit-Remaining-Requests, X-RateLimit-Reset-Requests, "
                           "X-RateLimit-Limit-Tokens, X-RateLimit-Remaining-Tokens, "
                           "X-RateLimit-Reset-Tokens");
        return 0;
    }
    if (is_ours(v->http, origin))
        return 0;
    ew_fault_set(
        fault, 403, "origin_not_allowed", NULL,
        "Pages of %.200s may not ask here: --cors-origin, or cors.origins in the configuration, "
        "says which may.",
        origin);
    return -1;
}

static void allow_preflight(const struct visit *v)
{
    const char *wants = ew_http_header(v->http, "Access-Control-Request-Headers");
    ew_http_add_header(v->http, "Access-Control-Allow-Methods", "GET, POST, OPTIONS");
    ew_http_add_header(v->http, "Access-Control-Allow-Headers",
                       wants ? wants : "Authorization, Content-Type");
    ew_http_add_header(v->http, "Access-Control-Max-Age", "600");
    reply_text(v, 204, JSON_TYPE, "");
}

static int check_key(struct visit *v, struct ew_fault *fault)
{
    static const char bearer[] = "Bearer ";
    const struct ew_config *config = v->server->config;
    const char *given = ew_http_header(v->http, "Authorization");
    snprintf(v->client, sizeof v->client, "anonymous");
    if (v->server->join_out && strcmp(ew_http_peer(v->http), EW_JOIN_OUT_PEER) == 0) {
        snprintf(v->client, sizeof v->client, EW_JOIN_OUT_PEER); /* over what we dialled */
        return 0;
    }
    if (!config->client_count)
        return 0;
    if (!given || strncasecmp(given, bearer, sizeof bearer - 1) != 0) {
        ew_fault_set(fault, 401, "invalid_api_key", NULL,
                     "No API key was given: send it as 'Authorization: Bearer KEY'.");
        return -1;
    }
    const struct ew_config_client *client = ew_config_client(config, given + sizeof bearer - 1);
    if (!client) {
        ew_fault_set(fault, 401, "invalid_api_key", NULL, "The API key given isn't known here.");
        return -1;
    }
    ew_str_copy(v->client, sizeof v->client, client->name);
    return 0;
}

/* Refused before a model was asked for; a row all the same where an answer was. */
static void refuse(struct visit *v, const struct route *route, const struct ew_fault *fault)
{
    char id[40];
    if (route && !route->page) {
        ew_server_id(v->server, "req_", id, sizeof id);
        ew_http_add_header(v->http, "X-Edgewise-Request-Id", id);
        ew_http_add_header(v->http, "X-Request-Id", id);
        ew_account_refused(v->server, v->http, id, fault);
    }
    fail(v, fault);
}

static void refuse_path(struct visit *v, const struct route *route, const char *path)
{
    struct ew_fault fault;
    if (!route) {
        ew_fault_set(&fault, 404, "unknown_url", NULL, "Unknown request URL: %s %.200s",
                     ew_http_method(v->http), path);
    } else {
        ew_http_add_header(v->http, "Allow", strcmp(route->method, "GET") ? "POST" : "GET, HEAD");
        ew_fault_set(&fault, 405, "method_not_allowed", NULL, "%s takes %s, not %s", route->path,
                     route->method, ew_http_method(v->http));
    }
    fail(v, &fault);
}

void ew_routes_handle(void *user, struct ew_http_request *http)
{
    struct visit v = {.server = user, .http = http, .wire = &ew_openai_chat, .path = "other"};
    const char *path = ew_http_path(http);
    const struct route *route = find_route(&v, path);
    struct ew_fault fault;
    ew_http_add_header(http, "Server", "edgewise/" EW_VERSION);
    if (route) {
        v.wire = route->wire;
        v.path = route->path;
    } else if (strncmp(path, "/api/", 5) == 0) {
        v.wire = &ew_ollama_chat;
    }
    if (check_origin(&v, &fault))
        refuse(&v, route, &fault);
    else if (strcmp(ew_http_method(http), "OPTIONS") == 0 && ew_http_header(http, "Origin"))
        allow_preflight(&v);
    else if (!route || !takes(route, ew_http_method(http)))
        refuse_path(&v, route, path);
    else if (!route->open && check_key(&v, &fault))
        refuse(&v, route, &fault);
    else if (route->page)
        route->page(&v);
    else
        ew_exchange_begin(v.server, http, route->wire, route->path, v.client);
}
