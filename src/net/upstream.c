/* upstream.c - calls: how they begin, how long each of their parts may take, how their end is told.
 *
 * A call that is over is a spare for the next one, with its buffers and its timer. The timer is set
 * anew only when it has to fire earlier than it would: in steady traffic it costs nothing.
 * Limits: those of upstream.h; SPARES_MAX calls are kept, at most 1 MB. */
#include "net/upstream_int.h"

#include <event2/event.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    SPARES_MAX = 64,
    REQUEST_BYTES_MAX = 64 << 10, /* of a head that we send */
};

const char *ew_upstream_failure_name(enum ew_upstream_failure failure)
{
    static const char *const names[] = {
#define X(name, word) word,
        EW_UPSTREAM_FAILURES(X)
#undef X
    };
    EW_ASSERT(failure < EW_COUNT(names));
    return names[failure];
}

/* ---- time ---- */

static void arm(struct ew_upstream_call *call, uint64_t now_ns)
{
    uint64_t wait_ns = call->deadline_ns > now_ns ? call->deadline_ns - now_ns : 0;
    const struct timeval wait = {
        .tv_sec = (time_t)(wait_ns / EW_NS_PER_S),
        .tv_usec = (suseconds_t)(wait_ns % EW_NS_PER_S / 1000 + 1),
    };
    call->armed_ns = call->deadline_ns;
    event_add(call->timer, &wait);
}

void ew_upstream_set_deadline(struct ew_upstream_call *call, uint64_t from_ns, double seconds)
{
    call->deadline_ns = from_ns + (uint64_t)(seconds * 1e9);
    if (!call->armed_ns || call->deadline_ns < call->armed_ns)
        arm(call, ew_clock_now_ns(&ew_clock_real));
}

static void expire(struct ew_upstream_call *call, uint64_t now_ns)
{
    const struct ew_upstream_ask *ask = &call->ask;
    switch (call->phase) {
    case EW_UPSTREAM_CONNECTING:
        if (call->conn && now_ns < call->connect_by_ns)
            ew_upstream_conn_late(call);
        else if (call->conn || (call->transfer && ew_upstream_curl_has_address(call)))
            ew_upstream_fail(call, EW_UPSTREAM_CONNECT_TIMEOUT, "no connection within %g s",
                             ask->connect_timeout_s);
        else if (call->origin && call->origin->kind == EW_UPSTREAM_ADOPTED)
            ew_upstream_fail(call, EW_UPSTREAM_CONNECT_TIMEOUT,
                             "none of its connections was free within %g s",
                             ask->connect_timeout_s);
        else
            ew_upstream_fail(call, EW_UPSTREAM_RESOLVE, "no address was found within %g s",
                             ask->connect_timeout_s);
        break;
    case EW_UPSTREAM_SENDING:
        ew_upstream_fail(call, EW_UPSTREAM_STALL, "it took nothing of the request for %g s",
                         ask->stall_timeout_s);
        break;
    case EW_UPSTREAM_AWAITING:
        ew_upstream_fail(call, EW_UPSTREAM_HEAD_TIMEOUT, "it was silent for %g s after the request",
                         ask->head_timeout_s);
        break;
    case EW_UPSTREAM_TAKING:
        ew_upstream_fail(call, EW_UPSTREAM_STALL, "its answer stood still for %g s",
                         ask->stall_timeout_s);
        break;
    case EW_UPSTREAM_SPARE:
    case EW_UPSTREAM_FAILED:
        break;
    }
}

static void on_timer(evutil_socket_t fd, short what, void *user)
{
    (void)fd, (void)what;
    struct ew_upstream_call *call = user;
    uint64_t now_ns = ew_clock_now_ns(&ew_clock_real);
    call->armed_ns = 0;
    if (call->phase == EW_UPSTREAM_SPARE || call->phase == EW_UPSTREAM_FAILED ||
        (call->paused && call->phase >= EW_UPSTREAM_AWAITING))
        return;
    if (call->deadline_ns > now_ns)
        arm(call, now_ns);
    else
        expire(call, now_ns);
}

/* ---- spares ---- */

static void free_call(struct ew_upstream_call *call)
{
    if (call->timer)
        event_free(call->timer);
    ew_buf_fini(&call->request);
    ew_http_parse_fini(&call->parse);
    free(call);
}

static struct ew_upstream_call *new_call(struct ew_upstreams *upstreams)
{
    struct ew_upstream_call *call = TAILQ_FIRST(&upstreams->spares);
    if (call) {
        TAILQ_REMOVE(&upstreams->spares, call, link);
        upstreams->spare_count--;
        return call;
    }
    call = calloc(1, sizeof *call);
    if (!call)
        return NULL;
    call->upstreams = upstreams;
    ew_buf_init(&call->request, REQUEST_BYTES_MAX);
    ew_http_parse_init_answer(&call->parse, EW_UPSTREAM_HEAD_BYTES_MAX);
    call->timer = evtimer_new(ew_loop_base(upstreams->loop), on_timer, call);
    if (!call->timer) {
        free_call(call);
        return NULL;
    }
    return call;
}

static void recycle(struct ew_upstream_call *call)
{
    struct ew_upstreams *upstreams = call->upstreams;
    call->phase = EW_UPSTREAM_SPARE;
    if (upstreams->spare_count >= SPARES_MAX) {
        free_call(call);
        return;
    }
    TAILQ_INSERT_HEAD(&upstreams->spares, call, link);
    upstreams->spare_count++;
}

/* ---- the end ---- */

void ew_upstream_enqueue(struct ew_upstream_call *call)
{
    if (call->queued)
        return;
    call->queued = true;
    call->turn = call->upstreams->turn;
    TAILQ_INSERT_TAIL(&call->upstreams->queue, call, queue);
    event_active(call->upstreams->work, EV_TIMEOUT, 1);
}

static void unqueue(struct ew_upstream_call *call)
{
    if (call->queued)
        TAILQ_REMOVE(&call->upstreams->queue, call, queue);
    call->queued = false;
}

/* Off its connection, which can't be used any more, and off the lists where it waits. */
static void detach(struct ew_upstream_call *call)
{
    struct ew_upstream_conn *conn = call->conn;
    if (call->waiting)
        ew_upstream_origin_forget(call);
    unqueue(call);
    if (call->transfer)
        ew_upstream_curl_drop(call);
    call->conn = NULL;
    if (!conn)
        return;
    conn->call = NULL;
    ew_upstream_conn_free(conn);
}

void ew_upstream_fail(struct ew_upstream_call *call, enum ew_upstream_failure failure,
                      const char *format, ...)
{
    va_list args;
    struct ew_upstream_result *result = &call->result;
    va_start(args, format);
    vsnprintf(result->cause, sizeof result->cause, format, args);
    va_end(args);
    snprintf(result->why, sizeof result->why, "%.100s: %s", call->name, result->cause);
    detach(call);
    call->result.failure = failure;
    call->phase = EW_UPSTREAM_FAILED;
    ew_upstream_enqueue(call);
}

static void tell_end(struct ew_upstream_call *call)
{
    struct ew_upstreams *upstreams = call->upstreams;
    TAILQ_REMOVE(&upstreams->calls, call, link);
    upstreams->counts.active--;
    upstreams->counts.failures += call->result.failure != EW_UPSTREAM_NONE;
    call->result.ended_ns = ew_clock_now_ns(&ew_clock_real);
    upstreams->calling++;
    call->ask.end(call->ask.user, &call->result);
    upstreams->calling--;
    recycle(call);
}

void ew_upstream_done(struct ew_upstream_call *call)
{
    EW_ASSERT(!call->conn && !call->transfer && !call->waiting);
    unqueue(call); /* paused and resumed while its last bytes were told */
    tell_end(call);
}

static void on_work(evutil_socket_t fd, short what, void *user)
{
    (void)fd, (void)what;
    struct ew_upstreams *upstreams = user;
    /* Only those that are there now: what they cause is for the next turn. */
    const unsigned turn = upstreams->turn++;
    for (struct ew_upstream_call *call;
         (call = TAILQ_FIRST(&upstreams->queue)) != NULL && call->turn == turn;) {
        TAILQ_REMOVE(&upstreams->queue, call, queue);
        call->queued = false;
        if (call->phase == EW_UPSTREAM_FAILED)
            tell_end(call);
        else if (call->conn && !call->paused)
            ew_upstream_conn_go_on(call->conn);
        else if (call->transfer && !call->paused)
            ew_upstream_curl_go_on(call);
    }
    if (upstreams->lost_count > 0)
        ew_upstream_adopted_tell(upstreams);
    if (!TAILQ_EMPTY(&upstreams->queue))
        event_active(upstreams->work, EV_TIMEOUT, 1);
}

/* ---- the head ---- */

/* "text/event-stream" of "Text/Event-Stream; charset=utf-8". */
static void take_type(struct ew_upstream_call *call, const char *value)
{
    size_t n = value ? strcspn(value, "; \t") : 0;
    if (n >= sizeof call->type)
        n = 0;
    for (size_t i = 0; i < n; i++)
        call->type[i] = (char)(value[i] >= 'A' && value[i] <= 'Z' ? value[i] + 32 : value[i]);
    call->type[n] = '\0';
    call->head.type = call->type;
}

void ew_upstream_tell_head(struct ew_upstream_call *call, int status,
                           const char *(*header)(const struct ew_upstream_head *head,
                                                 const char *name),
                           const void *own)
{
    struct ew_upstreams *upstreams = call->upstreams;
    call->head = (struct ew_upstream_head){
        .status = status, .header = header, .own = own, .at_ns = call->result.head_ns};
    take_type(call, header(&call->head, "Content-Type"));
    call->head.retry_after_s = ew_upstream_retry_after(&call->head);
    call->phase = EW_UPSTREAM_TAKING;
    upstreams->calling++;
    call->ask.head(call->ask.user, &call->head);
    upstreams->calling--;
}

/* ---- the beginning ---- */

static int write_request(struct ew_upstream_call *call, const struct ew_upstream_ask *ask,
                         const struct ew_upstream_url *url, struct ew_err *err)
{
    struct ew_buf *to = &call->request;
    bool has_body = ask->body.data || strcmp(ask->method, "POST") == 0;
    ew_buf_clear(to);
    int failed = ew_buf_text(to, ask->method, err) || ew_buf_text(to, " ", err) ||
                 ew_buf_text(to, *url->path == '/' ? "" : "/", err) ||
                 ew_buf_add(to, url->path, url->path_bytes, err) ||
                 ew_buf_text(to, " HTTP/1.1\r\nHost: ", err) ||
                 ew_buf_text(to, ask->origin ? ask->origin : url->name, err);
    for (size_t i = 0; i < ask->header_count && !failed; i++)
        failed = ew_buf_text(to, "\r\n", err) || ew_buf_text(to, ask->headers[i].name, err) ||
                 ew_buf_text(to, ": ", err) || ew_buf_text(to, ask->headers[i].value, err);
    if (has_body && !failed) {
        char length[24];
        (void)ew_str_u64(length, sizeof length, ask->body.bytes);
        failed = ew_buf_text(to, "\r\nContent-Length: ", err) || ew_buf_text(to, length, err);
    }
    return failed ? failed : ew_buf_text(to, "\r\n\r\n", err);
}

/* What was told is copied, but for the body; what isn't ours any longer is forgotten. */
static void take_ask(struct ew_upstream_call *call, const struct ew_upstream_ask *ask)
{
    call->ask = *ask;
    call->ask.url = call->ask.origin = call->ask.method = call->ask.ca_file = NULL;
    call->ask.headers = NULL;
    if (!ask->body.data)
        call->ask.body.bytes = 0;
    call->result = (struct ew_upstream_result){.failure = EW_UPSTREAM_NONE};
    call->paused = call->replayed = false;
    call->head_asked = strcmp(ask->method, "HEAD") == 0;
    call->conn = NULL;
    call->origin = NULL;
    call->transfer = NULL;
}

static int begin_http(struct ew_upstream_call *call, const struct ew_upstream_ask *ask,
                      const struct ew_upstream_url *url, struct ew_err *err)
{
    int code = write_request(call, ask, url, err);
    if (code != 0)
        return code;
    struct ew_upstream_origin *origin =
        ask->origin ? ew_upstream_origin_make(call->upstreams, ask->origin, EW_UPSTREAM_ADOPTED)
                    : ew_upstream_origin_make(call->upstreams, url->name, EW_UPSTREAM_DIALLED);
    if (!origin)
        return ew_fail(err, EW_ENOMEM, "no memory for a request to another server");
    if (!origin->host[0]) {
        memcpy(origin->host, url->host, sizeof origin->host);
        memcpy(origin->port, url->port, sizeof origin->port);
    }
    call->origin = origin;
    call->name = origin->name;
    return 0;
}

static int begin_curl(struct ew_upstream_call *call, const struct ew_upstream_ask *ask,
                      const struct ew_upstream_url *url, struct ew_err *err)
{
    ew_buf_clear(&call->request);
    int code = ew_buf_text(&call->request, url->name, err);
    call->name = call->request.data;
    return code != 0 ? code : ew_upstream_curl_begin(call, ask, err);
}

/* What is on this machine isn't asked for through a proxy. */
static bool is_here(const struct ew_upstream_url *url)
{
    return strcmp(url->host, "localhost") == 0 || strncmp(url->host, "127.", 4) == 0 ||
           strcmp(url->host, "::1") == 0;
}

int ew_upstream_begin(struct ew_upstreams *upstreams, const struct ew_upstream_ask *ask,
                      struct ew_upstream_call **gives, struct ew_err *err)
{
    struct ew_upstream_url url;
    *gives = NULL;
    int code = ew_upstream_check(ask, &url, err);
    if (code != 0)
        return code;
    struct ew_upstream_call *call = new_call(upstreams);
    if (!call)
        return ew_fail(err, EW_ENOMEM, "no memory for a request to another server");
    take_ask(call, ask);
    if (!ask->origin && (url.https || (upstreams->proxied && !is_here(&url))))
        code = begin_curl(call, ask, &url, err);
    else
        code = begin_http(call, ask, &url, err);
    if (code != 0) {
        recycle(call);
        return code;
    }
    upstreams->counts.calls++;
    upstreams->counts.active++;
    TAILQ_INSERT_TAIL(&upstreams->calls, call, link);
    if (call->origin)
        ew_upstream_origin_serve(call);
    *gives = call;
    return 0;
}

void ew_upstream_cancel(struct ew_upstream_call **owned)
{
    struct ew_upstream_call *call = *owned;
    if (!call)
        return;
    EW_ASSERT(call->phase != EW_UPSTREAM_SPARE);
    *owned = NULL;
    detach(call);
    TAILQ_REMOVE(&call->upstreams->calls, call, link);
    call->upstreams->counts.active--;
    recycle(call);
}

bool ew_upstream_is_sent(const struct ew_upstream_call *call)
{
    return call->result.sent_ns != 0;
}

void ew_upstream_pause(struct ew_upstream_call *call)
{
    EW_ASSERT(call->phase != EW_UPSTREAM_SPARE);
    call->paused = true;
    if (call->conn)
        ew_upstream_conn_pause(call->conn);
}

void ew_upstream_resume(struct ew_upstream_call *call)
{
    EW_ASSERT(call->phase != EW_UPSTREAM_SPARE);
    if (!call->paused)
        return;
    call->paused = false;
    if (call->phase == EW_UPSTREAM_AWAITING || call->phase == EW_UPSTREAM_TAKING) {
        ew_upstream_set_deadline(call, ew_clock_now_ns(&ew_clock_real),
                                 call->phase == EW_UPSTREAM_TAKING ? call->ask.stall_timeout_s
                                                                   : call->ask.head_timeout_s);
        ew_upstream_enqueue(call);
    }
}

/* ---- life ---- */

int ew_upstreams_open(struct ew_upstreams **gives, struct ew_loop *loop, struct ew_err *err)
{
    *gives = NULL;
    signal(SIGPIPE, SIG_IGN); /* any write to a server may meet its end */
    struct ew_upstreams *upstreams = calloc(1, sizeof *upstreams);
    if (!upstreams)
        return ew_fail(err, EW_ENOMEM, "no memory for a client");
    upstreams->loop = loop;
    upstreams->proxied = ew_upstream_curl_has_proxy();
    for (size_t i = 0; i < EW_COUNT(upstreams->origins); i++)
        LIST_INIT(&upstreams->origins[i]);
    TAILQ_INIT(&upstreams->calls);
    TAILQ_INIT(&upstreams->spares);
    TAILQ_INIT(&upstreams->queue);
    TAILQ_INIT(&upstreams->late);
    upstreams->bytes = malloc(EW_UPSTREAM_READ_BYTES);
    upstreams->work = event_new(ew_loop_base(loop), -1, 0, on_work, upstreams);
    upstreams->sweep = evtimer_new(ew_loop_base(loop), ew_upstream_sweep, upstreams);
    upstreams->leave = event_new(ew_loop_base(loop), -1, 0, ew_upstream_leave, upstreams);
    int code = 0;
    if (!upstreams->bytes || !upstreams->work || !upstreams->sweep || !upstreams->leave)
        code = ew_fail(err, EW_ENOMEM, "no memory for a client");
    if (code == 0)
        code = ew_resolver_open(&upstreams->resolver, loop, err);
    if (code != 0)
        ew_upstreams_close(&upstreams);
    *gives = upstreams;
    return code;
}

void ew_upstreams_close(struct ew_upstreams **owned)
{
    struct ew_upstreams *upstreams = *owned;
    if (!upstreams)
        return;
    EW_ASSERT(!upstreams->calling && TAILQ_EMPTY(&upstreams->calls));
    *owned = NULL;
    ew_upstream_curl_close(upstreams);
    ew_resolver_close(&upstreams->resolver);
    ew_upstream_origins_close(upstreams);
    for (struct ew_upstream_call *call; (call = TAILQ_FIRST(&upstreams->spares)) != NULL;) {
        TAILQ_REMOVE(&upstreams->spares, call, link);
        free_call(call);
    }
    if (upstreams->work)
        event_free(upstreams->work);
    if (upstreams->sweep)
        event_free(upstreams->sweep);
    if (upstreams->leave)
        event_free(upstreams->leave);
    free(upstreams->bytes);
    free(upstreams);
}

void ew_upstreams_counts(const struct ew_upstreams *upstreams, struct ew_upstream_counts *out)
{
    *out = upstreams->counts;
}
