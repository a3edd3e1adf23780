/* upstream_adopt.c - devices that dialled in: requests go back over the connections they opened.
 *
 * Such a connection comes as a bufferevent, for it may have TLS inside; its bytes pass through the
 * same functions as those of other connections (upstream_http.c). Only the device opens new ones:
 * calls wait until one of those that are there is free, and when the last is gone, that is told. */
#include "net/upstream_int.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>

/* ---- bytes ---- */

static void on_output(struct evbuffer *output, const struct evbuffer_cb_info *info, void *user)
{
    struct ew_upstream_conn *conn = user;
    struct ew_upstream_call *call = conn->call;
    if (info->n_deleted == 0 || !call || call->result.sent_ns)
        return;
    if (evbuffer_get_length(output) == 0)
        ew_upstream_conn_sent(conn);
    else if (call->phase == EW_UPSTREAM_SENDING)
        ew_upstream_set_deadline(call, ew_clock_now_ns(&ew_clock_real), call->ask.stall_timeout_s);
}

void ew_upstream_adopted_send(struct ew_upstream_conn *conn)
{
    struct ew_upstream_call *call = conn->call;
    struct evbuffer *output = bufferevent_get_output(conn->bev);
    ew_upstream_set_deadline(call, ew_clock_now_ns(&ew_clock_real), call->ask.stall_timeout_s);
    if (evbuffer_add(output, call->request.data, call->request.bytes) < 0 ||
        evbuffer_add(output, call->ask.body.data, call->ask.body.bytes) < 0)
        ew_upstream_fail(call, EW_UPSTREAM_MEMORY, "no memory for the request");
}

void ew_upstream_adopted_read(struct ew_upstream_conn *conn)
{
    struct evbuffer *input = bufferevent_get_input(conn->bev);
    char *bytes = conn->origin->upstreams->bytes;
    while (evbuffer_get_length(input) > 0) {
        if (!conn->call) { /* it speaks unasked */
            ew_upstream_conn_free(conn);
            return;
        }
        if (conn->call->paused)
            return;
        conn->call->heard = true;
        int n = evbuffer_remove(input, bytes, EW_UPSTREAM_READ_BYTES);
        if (!ew_upstream_conn_take(conn, bytes, n > 0 ? (size_t)n : 0))
            return;
    }
}

static void on_read(struct bufferevent *bev, void *user)
{
    (void)bev;
    ew_upstream_adopted_read(user);
}

static void on_event(struct bufferevent *bev, short what, void *user)
{
    (void)bev;
    struct ew_upstream_conn *conn = user;
    int code = errno;
    if (!(what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)))
        return;
    if (!conn->call)
        ew_upstream_conn_free(conn);
    else if (what & BEV_EVENT_ERROR)
        ew_upstream_conn_closed(conn, code ? code : ECONNRESET);
    else
        ew_upstream_conn_closed(conn, 0);
}

void ew_upstream_adopted_close(struct ew_upstream_conn *conn)
{
    struct bufferevent *bev = conn->bev;
    evbuffer_remove_cb(bufferevent_get_output(bev), on_output, conn);
    bufferevent_setcb(bev, NULL, NULL, NULL, NULL);
    /* libevent closes the socket a turn of the loop later; the device needn't wait for that. */
    shutdown((int)bufferevent_getfd(bev), SHUT_RDWR);
    bufferevent_free(bev);
    conn->bev = NULL;
}

/* ---- coming ---- */

static int count(const struct ew_upstream_origin *origin)
{
    const struct ew_upstream_conn *conn;
    int all = origin->idle_count;
    TAILQ_FOREACH(conn, &origin->in_use, link)
    all++;
    return all;
}

static int check(const struct ew_upstreams *upstreams, const char *name, struct bufferevent *bev,
                 struct ew_err *err)
{
    int code = ew_upstream_check_origin(name, err);
    if (code != 0)
        return code;
    if (evbuffer_get_length(bufferevent_get_input(bev)) > 0)
        return ew_fail(err, EW_EINVAL, "%.100s spoke before it was asked", name);
    if (ew_upstreams_adopted(upstreams, name) >= EW_UPSTREAM_ADOPTED_MAX)
        return ew_fail(err, EW_ELIMIT, "%.100s has %d connections already", name,
                       EW_UPSTREAM_ADOPTED_MAX);
    return 0;
}

static struct ew_upstream_conn *new_conn(struct ew_upstream_origin *origin, struct bufferevent *bev)
{
    struct ew_upstream_conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        return NULL;
    conn->origin = origin;
    conn->fd = -1;
    ew_buf_init(&conn->held, EW_UPSTREAM_READ_BYTES);
    if (!evbuffer_add_cb(bufferevent_get_output(bev), on_output, conn)) {
        free(conn);
        return NULL;
    }
    conn->bev = bev;
    conn->reading = true;
    bufferevent_setcb(bev, on_read, NULL, on_event, conn);
    bufferevent_set_timeouts(bev, NULL, NULL);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    if (bufferevent_openssl_get_ssl(bev))
        bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    return conn;
}

int ew_upstreams_adopt(struct ew_upstreams *upstreams, const char *name, struct bufferevent *takes,
                       struct ew_err *err)
{
    int code = check(upstreams, name, takes, err);
    struct ew_upstream_origin *origin = NULL;
    struct ew_upstream_conn *conn = NULL;
    if (code == 0)
        origin = ew_upstream_origin_make(upstreams, name, EW_UPSTREAM_ADOPTED);
    if (origin)
        conn = new_conn(origin, takes);
    if (code == 0 && !conn)
        code = ew_fail(err, EW_ENOMEM, "no memory for a connection of %.100s", name);
    if (code != 0) {
        bufferevent_free(takes);
        return code;
    }
    upstreams->counts.connections_opened++;
    TAILQ_INSERT_TAIL(&origin->in_use, conn, link);
    ew_upstream_origin_release(conn);
    return 0;
}

/* ---- and going ---- */

void ew_upstreams_on_lost(struct ew_upstreams *upstreams,
                          void (*lost)(void *user, const char *origin), void *user)
{
    upstreams->lost = lost;
    upstreams->lost_user = user;
}

void ew_upstream_adopted_count(struct ew_upstream_origin *origin)
{
    if (origin->lost || count(origin) > 0)
        return;
    origin->lost = true;
    origin->upstreams->lost_count++;
    event_active(origin->upstreams->work, EV_TIMEOUT, 1);
}

/* Unless another connection has come in the meantime. */
static void tell_lost(struct ew_upstream_origin *origin)
{
    struct ew_upstreams *upstreams = origin->upstreams;
    origin->lost = false;
    upstreams->lost_count--;
    if (count(origin) > 0)
        return;
    for (struct ew_upstream_call *call; (call = TAILQ_FIRST(&origin->waiting)) != NULL;)
        ew_upstream_fail(call, EW_UPSTREAM_CONNECT, "the device isn't connected any more");
    upstreams->calling++;
    if (upstreams->lost)
        upstreams->lost(upstreams->lost_user, origin->name);
    upstreams->calling--;
}

void ew_upstream_adopted_tell(struct ew_upstreams *upstreams)
{
    for (size_t i = 0; i < EW_UPSTREAM_BUCKETS && upstreams->lost_count > 0; i++)
        for (struct ew_upstream_origin *origin = LIST_FIRST(&upstreams->origins[i]), *next; origin;
             origin = next) {
            next = LIST_NEXT(origin, link);
            if (origin->lost)
                tell_lost(origin);
        }
}

int ew_upstreams_adopted(const struct ew_upstreams *upstreams, const char *name)
{
    const struct ew_upstream_origin *origin =
        ew_upstream_origin_find(upstreams, name, EW_UPSTREAM_ADOPTED);
    return origin ? count(origin) : 0;
}

void ew_upstreams_drop(struct ew_upstreams *upstreams, const char *name)
{
    struct ew_upstream_origin *origin =
        ew_upstream_origin_find(upstreams, name, EW_UPSTREAM_ADOPTED);
    if (!origin)
        return;
    for (struct ew_upstream_conn *conn; (conn = TAILQ_FIRST(&origin->idle)) != NULL;)
        ew_upstream_conn_free(conn);
    for (struct ew_upstream_conn *conn; (conn = TAILQ_FIRST(&origin->in_use)) != NULL;)
        ew_upstream_fail(conn->call, EW_UPSTREAM_CUT, "its connections were closed here");
}
