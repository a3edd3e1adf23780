/* server.c - everything is opened, the loop runs, everything is closed.
 *
 * The address is taken first, so that one in use is told at once; requests that come while the
 * first model is being loaded wait for it. A drain ends when nobody is here any more: by itself,
 * or because its time is over; who is still here then is told so, and has a moment to read it. */
#include "serve/server_int.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "serve/exchange.h"
#include "serve/join_out.h"
#include "serve/notify.h"
#include "serve/reload.h"
#include "serve/restore.h"
#include "serve/routes.h"
#include "serve/token.h"

#define SOON_S           .02
#define LOOK_S           1.0
#define GRACE_S          2.0 /* for the last words of a drain whose time is over */
#define LEDGER_CLOSE_S   5.0
#define HEADER_TIMEOUT_S 15.0
#define BODY_TIMEOUT_S   120.0
#define IDLE_TIMEOUT_S   120.0
#define WRITE_TIMEOUT_S  60.0
enum {
    PATH_BYTES = 4096,
    SPARES_MAX = 64, /* requests whose memory is kept, 500 KB together: more are a burst's */
};

static uint64_t now(void)
{
    return ew_clock_now_ns(&ew_clock_real);
}

static uint64_t after(uint64_t from_ns, double seconds)
{
    return from_ns + (uint64_t)(seconds * EW_NS_PER_S);
}

const struct ew_config_device *ew_server_engine(const struct ew_config *config)
{
    static const struct ew_config_device none = {.name = "none"};
    const struct ew_config_device *engine = ew_config_engine(config);
    return engine ? engine : &none;
}

void ew_server_id(struct ew_server *server, const char *start, char *id, size_t size)
{
    uint64_t high = ew_rng_next(&server->rng), low = ew_rng_next(&server->rng);
    size_t bytes = ew_str_copy(id, size, start);
    bytes += ew_str_hex(id + bytes, size - bytes, high, 16);
    (void)ew_str_hex(id + bytes, size - bytes, low, 8);
}

/* ---- time ---- */

void ew_server_tick_soon(struct ew_server *server)
{
    if (server->tick_is_soon)
        return;
    server->tick_is_soon = true;
    ew_loop_timer_set(server->tick, SOON_S);
}

void ew_server_check_drained(struct ew_server *server)
{
    if (server->state >= EW_SERVER_DRAINING)
        ew_server_tick_soon(server);
}

static void say_goodbye(struct ew_server *server)
{
    struct ew_fault fault;
    server->state = EW_SERVER_ENDING;
    server->grace_ns = after(now(), GRACE_S);
    if (server->exchange_count)
        ew_log(EW_LOG_WARNING, "the time to end is over: %u requests are broken off",
               server->exchange_count);
    ew_fault_set(&fault, 503, "shutting_down", NULL,
                 "The server is shutting down; this answer was broken off.");
    struct ew_exchange *x = server->exchanges;
    while (x) { /* the end of one may be the end of others: from the start */
        bool ends = x->state < EW_EXCHANGE_ENDING;
        if (ends)
            ew_exchange_fail(x, &fault);
        x = ends ? server->exchanges : x->next;
    }
}

/* What is left of a drain: who is here, then connections whose last bytes are on their way. */
static void drain_on(struct ew_server *server)
{
    struct ew_http_counts counts;
    ew_http_server_counts(server->http, &counts);
    if (!server->exchange_count && !counts.connections)
        ew_loop_stop(server->loop);
    else if (server->state == EW_SERVER_DRAINING && now() >= server->drain_ns)
        say_goodbye(server);
    else if (server->state == EW_SERVER_ENDING && now() >= server->grace_ns &&
             !server->exchange_count)
        ew_loop_stop(server->loop);
}

static void on_tick(void *user)
{
    struct ew_server *server = user;
    uint64_t now_ns = now();
    server->tick_is_soon = false;
    ew_exchange_tick(server, now_ns);
    if (server->join_out && server->state == EW_SERVER_SERVING)
        ew_join_out_tick(server->join_out, now_ns);
    if (now_ns >= server->look_ns) {
        server->look_ns = after(now_ns, LOOK_S);
        ew_models_tick(server->models, now_ns);
        ew_fleet_tick(server->fleet, now_ns);
        ew_reload_look(server);
    }
    if (server->state >= EW_SERVER_DRAINING)
        drain_on(server);
    if (server->exchange_count || server->state >= EW_SERVER_DRAINING)
        ew_server_tick_soon(server);
    else
        ew_loop_timer_set(server->tick, LOOK_S);
}

static void on_watchdog(void *user)
{
    struct ew_server *server = user;
    ew_notify_watchdog();
    ew_loop_timer_set(server->watchdog, ew_notify_watchdog_s());
}

/* ---- the end ---- */

static void on_end(void *user)
{
    struct ew_server *server = user;
    if (server->state >= EW_SERVER_DRAINING) { /* told twice: now */
        server->drain_ns = 0;
        ew_server_tick_soon(server);
        return;
    }
    server->state = EW_SERVER_DRAINING;
    server->drain_ns = after(now(), server->config->drain_timeout_s);
    ew_notify_stopping();
    if (server->exchange_count)
        ew_log(EW_LOG_INFO, "ending: %u requests are still answered", server->exchange_count);
    else
        ew_log(EW_LOG_INFO, "ending");
    if (server->first_asked)
        ew_models_forget(ew_models_first(server->models), &server->first_waiter);
    server->first_asked = false;
    if (server->join_out)
        ew_join_out_stop(server->join_out);
    ew_http_server_drain(server->http);
    ew_server_tick_soon(server);
}

/* ---- the first model ---- */

static void announce(struct ew_server *server)
{
    server->state = EW_SERVER_SERVING;
    ew_log(EW_LOG_INFO, "listening on %s", server->url);
    ew_notify_status("serving %u places at %s", ew_fleet_size(server->fleet), server->url);
    ew_notify_ready();
}

static void on_first(struct ew_models_waiter *waiter, const struct ew_fault *fault)
{
    struct ew_server *server = (void *)((char *)waiter - offsetof(struct ew_server, first_waiter));
    server->first_asked = false;
    if (fault) {
        ew_fail(&server->failed, EW_ENOTFOUND, "%s", fault->message);
        server->state = EW_SERVER_ENDING;
        say_goodbye(server);
        ew_server_tick_soon(server);
        return;
    }
    ew_models_done(ew_models_first(server->models), now());
    announce(server);
}

static void on_loaded(void *user, const char *name, double seconds)
{
    struct ew_server *server = user;
    ew_metrics_load(server->metrics, ew_metrics_model(server->metrics, name), seconds);
}

/* Of the first one at the start the error that ends the server tells. */
static void on_not_loaded(void *user, const struct ew_models_entry *entry)
{
    const struct ew_server *server = user;
    if (!server->first_asked || entry != ew_models_first(server->models))
        ew_log(EW_LOG_ERROR, "%s", entry->fault.message);
}

/* ---- the ledger's thread ---- */

static void on_committed(void *user, void *token, bool committed)
{
    struct ew_server *server = user;
    struct ew_exchange *x = token;
    (void)committed; /* if not, the log says what is wrong, and the answer ends all the same */
    pthread_mutex_lock(&server->committed_lock);
    x->next_committed = server->committed;
    server->committed = x;
    pthread_mutex_unlock(&server->committed_lock);
    ew_loop_wake(server->committed_wake);
}

static void on_trouble(void *user, const char *sentence)
{
    (void)user;
    ew_log(EW_LOG_WARNING, "%s", sentence);
}

/* What it holds by now is read before this process writes to it: so no row is counted twice. */
static int open_ledger(struct ew_server *server, struct ew_err *err)
{
    const struct ew_config *config = server->config;
    char path[PATH_BYTES], folder[PATH_BYTES - 16];
    struct timespec at;
    if (config->ledger && !*config->ledger)
        return 0;
    int failed = config->ledger ? 0 : ew_file_dir(EW_FILE_DATA, folder, sizeof folder, err);
    if (failed)
        return failed;
    if (config->ledger)
        snprintf(path, sizeof path, "%s", config->ledger);
    else
        snprintf(path, sizeof path, "%s/ledger.db", folder);
    clock_gettime(CLOCK_REALTIME, &at);
    ew_restore_windows(server->quotas, server->fleet, path, now(),
                       (int64_t)at.tv_sec * 1000 + at.tv_nsec / (int64_t)EW_NS_PER_MS);
    struct ew_ledger_params params = {
        .path = path,
        .durable = config->ledger_durable,
        .keep_days = config->ledger_keep_days,
        .done = on_committed,
        .trouble = on_trouble,
        .user = server,
    };
    failed = ew_ledger_open(&server->ledger, &params, err);
    if (!failed)
        ew_log(EW_LOG_INFO, "the ledger is %s", path);
    return failed;
}

/* ---- opening ---- */

static void on_gone(void *user, struct ew_http_request *http)
{
    struct ew_exchange *exchange = ew_http_user(http);
    (void)user;
    if (exchange)
        ew_exchange_gone(exchange);
}

static void on_drained(void *user, struct ew_http_request *http)
{
    struct ew_exchange *exchange = ew_http_user(http);
    (void)user;
    if (exchange)
        ew_exchange_drained(exchange);
}

static int open_http(struct ew_server *server, struct ew_err *err)
{
    const struct ew_config *config = server->config;
    char host[64];
    int port;
    bool is_public;
    int failed = ew_config_address(config->listen, host, sizeof host, &port, &is_public, err);
    if (failed)
        return failed;
    struct ew_http_params params = {
        .address = host,
        .port = port,
        .fd = server->params->listen_fd,
        .tls_certificate = config->tls_certificate,
        .tls_key = config->tls_key,
        .body_bytes_max = config->body_bytes_max,
        .connections_max = config->connections_max,
        .header_timeout_s = HEADER_TIMEOUT_S,
        .body_timeout_s = BODY_TIMEOUT_S,
        .idle_timeout_s = IDLE_TIMEOUT_S,
        .write_timeout_s = WRITE_TIMEOUT_S,
        .user = server,
        .handle = ew_routes_handle,
        .gone = on_gone,
        .drained = on_drained,
        .error = ew_routes_error,
    };
    failed = ew_http_server_open(&server->http, ew_loop_base(server->loop), &params, err);
    if (failed)
        return failed;
    bool colons = strchr(host, ':') != NULL;
    snprintf(server->url, sizeof server->url, "%s://%s%s%s:%d",
             config->tls_certificate ? "https" : "http", colons ? "[" : "", host, colons ? "]" : "",
             ew_http_server_port(server->http));
    return 0;
}

static int open_loop(struct ew_server *server, struct ew_err *err)
{
    int failed = ew_loop_open(&server->loop, err);
    if (!failed)
        failed = ew_loop_timer_open(&server->tick, server->loop, on_tick, server, err);
    if (!failed)
        failed = ew_loop_timer_open(&server->watchdog, server->loop, on_watchdog, server, err);
    if (!failed)
        failed = ew_loop_wake_open(&server->committed_wake, server->loop, ew_exchange_committed,
                                   server, err);
    if (!failed)
        failed = ew_loop_signal(server->loop, SIGTERM, on_end, server, err);
    if (!failed)
        failed = ew_loop_signal(server->loop, SIGINT, on_end, server, err);
    return failed ? failed : ew_reload_begin(server, err);
}

static int open_models(struct ew_server *server, struct ew_err *err)
{
    struct ew_queue_params queue = ew_reload_queue_params(server->config);
    struct ew_jobs_params jobs = {.loop = server->loop, .news = ew_exchange_news, .user = server};
    int failed = ew_queue_open(&server->queue, &queue, err);
    if (!failed)
        failed = ew_quotas_open(&server->quotas, server->config, err);
    if (!failed)
        failed = ew_grammars_open(&server->grammars, err);
    if (!failed)
        failed = ew_jobs_open(&server->jobs, &jobs, err);
    if (!failed)
        failed = ew_worker_open(&server->loader, server->loop, err);
    if (!failed)
        failed = ew_worker_open(&server->preparer, server->loop, err);
    struct ew_models_params models = {
        .worker = server->loader,
        .grammars = server->grammars,
        .isa = server->params->isa,
        .user = server,
        .loaded = on_loaded,
        .failed = on_not_loaded,
    };
    if (!failed)
        failed = ew_models_open(&server->models, &models, ew_server_engine(server->config), err);
    return failed;
}

static int open_fleet(struct ew_server *server, struct ew_err *err)
{
    int failed = ew_upstreams_open(&server->upstreams, server->loop, err);
    struct ew_fleet_params params = {
        .loop = server->loop,
        .upstreams = server->upstreams,
        .seed = ew_rng_next(&server->rng),
        .user = server,
        .changed = ew_exchange_places_changed,
    };
    if (!failed)
        failed = ew_fleet_open(&server->fleet, &params, server->config, err);
    if (!failed)
        ew_upstreams_on_lost(server->upstreams, ew_fleet_lost, server->fleet);
    if (!failed && server->config->join_secret)
        failed = ew_tokens_open(&server->tokens, server->config->join_secret, err);
    if (failed || !server->params->join)
        return failed;
    const struct ew_join_out_params join = {
        .front = server->params->join,
        .token = server->params->join_token,
        .name = server->params->join_name,
        .ca = server->params->join_ca,
    };
    return ew_join_out_open(&server->join_out, server, &join, err);
}

static int open_all(struct ew_server *server, struct ew_err *err)
{
    int failed = open_loop(server, err);
    if (!failed)
        failed = ew_metrics_open(&server->metrics, err);
    if (!failed)
        failed = open_http(server, err);
    if (!failed)
        failed = open_models(server, err);
    if (!failed)
        failed = open_fleet(server, err);
    return failed ? failed : open_ledger(server, err);
}

static void seed(struct ew_server *server)
{
    uint64_t random = now();
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
        random ^= (uint64_t)getpid() << 32;
    ew_rng_init(&server->rng, random);
    server->own = ew_rng_next(&server->rng);
}

/* ---- closing ---- */

static void close_all(struct ew_server *server)
{
    if (server->models)
        ew_models_stop(server->models);
    if (server->join_out)
        ew_join_out_stop(server->join_out);
    if (server->fleet)
        ew_fleet_stop(server->fleet);
    ew_http_server_close(&server->http);
    ew_worker_close(&server->loader);
    ew_worker_close(&server->preparer);
    ew_jobs_close(&server->jobs);
    ew_models_close(&server->models);
    ew_join_out_close(&server->join_out);
    ew_tokens_close(&server->tokens);
    if (server->upstreams)
        ew_upstreams_on_lost(server->upstreams, NULL, NULL);
    ew_fleet_close(&server->fleet);
    ew_upstreams_close(&server->upstreams);
    ew_grammars_close(&server->grammars);
    if (server->queue)
        ew_queue_close(&server->queue);
    ew_quotas_close(&server->quotas);
    if (server->ledger)
        ew_ledger_close(&server->ledger, LEDGER_CLOSE_S);
    ew_metrics_close(&server->metrics);
    ew_loop_wake_close(&server->committed_wake);
    ew_loop_timer_close(&server->watchdog);
    ew_loop_timer_close(&server->tick);
    ew_loop_close(&server->loop);
    ew_config_close(&server->config);
}

static int serve(struct ew_server *server, struct ew_err *err)
{
    struct ew_models_entry *first = ew_models_first(server->models);
    server->first_waiter.told = on_first;
    server->first_asked = first != NULL;
    ew_fleet_tick(server->fleet, now());
    if (!first)
        announce(server);
    else if (ew_models_ask(first, &server->first_waiter, now()))
        on_first(&server->first_waiter, NULL);
    if (ew_notify_watchdog_s() > 0)
        ew_loop_timer_set(server->watchdog, ew_notify_watchdog_s());
    ew_loop_timer_set(server->tick, LOOK_S);
    int failed = ew_loop_run(server->loop, err);
    if (!failed && server->failed.code)
        failed = ew_fail(err, server->failed.code, "%s", server->failed.text);
    return failed;
}

int ew_server_run(const struct ew_server_params *params, struct ew_err *err)
{
    struct ew_server server = {.params = params, .config = params->config};
    pthread_mutex_init(&server.committed_lock, NULL);
    ew_spares_init(&server.exchange_spares, sizeof(struct ew_exchange), SPARES_MAX);
    ew_spares_init(&server.relay_spares, sizeof(struct ew_relay), SPARES_MAX);
    seed(&server);
    int failed = open_all(&server, err);
    if (!failed)
        failed = serve(&server, err);
    close_all(&server);
    ew_spares_fini(&server.exchange_spares);
    ew_spares_fini(&server.relay_spares);
    pthread_mutex_destroy(&server.committed_lock);
    return failed;
}
