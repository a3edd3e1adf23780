/* upstream_http.c - one connection to a server: out goes a request, in comes its answer.
 *
 * Sockets are read into one buffer that all connections share, and what was read is told at once:
 * nothing of a body is kept here, but for what had been read already when its reader paused. A
 * request leaves in one system call, head and body from where they lie. All that a connection costs
 * in steady traffic is one write and one read for each answer.
 *
 * Callbacks may cancel their call and with it the connection whose bytes are being told; it is then
 * `dead`, and freed at the bottom of that stack. That a server has hung up is known by reading
 * alone: a write that fails waits for what reading says, since an answer may lie before it. */
#include "net/upstream_int.h"
#include "net/tcp.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A server closes a connection that it thinks idle within a round trip of our request; one that
 * goes later had the time to read it, and isn't asked twice. */
static const uint64_t replay_within_ns = EW_NS_PER_S;

static uint64_t now(void)
{
    return ew_clock_now_ns(&ew_clock_real);
}

/* ---- life ---- */

static void forget_late(struct ew_upstream_conn *conn)
{
    struct ew_upstreams *upstreams = conn->origin->upstreams;
    if (!conn->late)
        return;
    conn->late = false;
    upstreams->late_count--;
    TAILQ_REMOVE(&upstreams->late, conn, late_link);
}

static void close_socket(struct ew_upstream_conn *conn)
{
    forget_late(conn);
    if (conn->bev)
        ew_upstream_adopted_close(conn);
    if (conn->readable)
        event_free(conn->readable);
    if (conn->writable)
        event_free(conn->writable);
    if (conn->fd >= 0)
        close(conn->fd);
    conn->readable = conn->writable = NULL;
    conn->fd = -1;
    conn->reading = conn->connecting = false;
}

void ew_upstream_conn_free(struct ew_upstream_conn *conn)
{
    struct ew_upstream_origin *origin = conn->origin;
    EW_ASSERT(!conn->call && !conn->dead);
    bool idle = conn->idle_ns != 0;
    TAILQ_REMOVE(idle ? &origin->idle : &origin->in_use, conn, link);
    origin->idle_count -= idle;
    origin->upstreams->counts.idle -= idle;
    close_socket(conn);
    ew_buf_fini(&conn->held);
    conn->dead = true;
    if (origin->kind == EW_UPSTREAM_ADOPTED)
        ew_upstream_adopted_count(origin);
    if (!conn->busy)
        free(conn);
}

static struct ew_upstream_call *detach(struct ew_upstream_conn *conn)
{
    struct ew_upstream_call *call = conn->call;
    call->conn = NULL;
    conn->call = NULL;
    return call;
}

static void start_reading(struct ew_upstream_conn *conn)
{
    if (!conn->reading && conn->bev)
        bufferevent_enable(conn->bev, EV_READ);
    else if (!conn->reading)
        event_add(conn->readable, NULL);
    conn->reading = true;
}

void ew_upstream_conn_pause(struct ew_upstream_conn *conn)
{
    if (conn->reading && conn->bev)
        bufferevent_disable(conn->bev, EV_READ);
    else if (conn->reading)
        event_del(conn->readable);
    conn->reading = false;
}

/* ---- out ---- */

static size_t request_bytes(const struct ew_upstream_call *call)
{
    return call->request.bytes + call->ask.body.bytes;
}

static bool all_sent(const struct ew_upstream_conn *conn)
{
    return !conn->unwritable && conn->call->result.sent_ns != 0;
}

static ssize_t send_some(const struct ew_upstream_conn *conn)
{
    const struct ew_upstream_call *call = conn->call;
    struct iovec pieces[2];
    size_t count = 0, head = call->request.bytes, skip = conn->sent;
    if (skip < head)
        pieces[count++] = (struct iovec){call->request.data + skip, head - skip};
    skip = skip > head ? skip - head : 0;
    if (skip < call->ask.body.bytes)
        pieces[count++] =
            (struct iovec){(char *)call->ask.body.data + skip, call->ask.body.bytes - skip};
    const struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
    return sendmsg(conn->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void ew_upstream_conn_sent(struct ew_upstream_conn *conn)
{
    struct ew_upstream_call *call = conn->call;
    uint64_t now_ns = now();
    if (!conn->unwritable)
        call->result.sent_ns = now_ns;
    if (call->phase == EW_UPSTREAM_SENDING) {
        call->phase = EW_UPSTREAM_AWAITING;
        ew_upstream_set_deadline(call, now_ns, call->ask.head_timeout_s);
    }
}

static void send_rest(struct ew_upstream_conn *conn)
{
    struct ew_upstream_call *call = conn->call;
    ssize_t n;
    while (conn->sent < request_bytes(call) && (n = send_some(conn)) > 0)
        conn->sent += (size_t)n;
    if (conn->sent < request_bytes(call) && errno != EAGAIN && errno != EWOULDBLOCK &&
        errno != EINTR && errno != ENOBUFS)
        conn->unwritable = true;
    if (conn->unwritable || conn->sent == request_bytes(call)) {
        event_del(conn->writable);
        ew_upstream_conn_sent(conn); /* what can't be sent ends where reading says why */
        return;
    }
    event_add(conn->writable, NULL);
    if (call->phase == EW_UPSTREAM_SENDING)
        ew_upstream_set_deadline(call, now(), call->ask.stall_timeout_s);
}

void ew_upstream_leave(evutil_socket_t fd, short what, void *user)
{
    (void)fd, (void)what;
    struct ew_upstreams *upstreams = user;
    for (struct ew_upstream_conn *conn; (conn = TAILQ_FIRST(&upstreams->late)) != NULL;) {
        forget_late(conn);
        send_rest(conn);
    }
}

/* Requests of one turn of the loop leave together, as answers do: http_outbox.c has the reason. */
static void send_late(struct ew_upstream_conn *conn)
{
    enum { LATE_MAX = 32 };
    struct ew_upstreams *upstreams = conn->origin->upstreams;
    conn->late = true;
    TAILQ_INSERT_TAIL(&upstreams->late, conn, late_link);
    if (++upstreams->late_count == LATE_MAX)
        ew_upstream_leave(-1, 0, upstreams);
    else if (upstreams->late_count == 1)
        event_active(upstreams->leave, EV_TIMEOUT, 1);
}

void ew_upstream_conn_begin(struct ew_upstream_conn *conn, struct ew_upstream_call *call)
{
    conn->call = call;
    conn->idle_ns = conn->sent = 0;
    conn->unwritable = false;
    call->conn = conn;
    call->heard = false;
    call->phase = EW_UPSTREAM_SENDING;
    call->result.connected_ns = now();
    ew_upstream_set_deadline(call, call->result.connected_ns, call->ask.stall_timeout_s);
    ew_http_parse_begin_answer(&call->parse,
                               call->ask.body_bytes_max ? call->ask.body_bytes_max : SIZE_MAX,
                               call->head_asked ? EW_HTTP_ASKED_HEAD : EW_HTTP_ASKED_ALL);
    if (!call->paused)
        start_reading(conn);
    if (conn->bev)
        ew_upstream_adopted_send(conn);
    else
        send_late(conn);
}

/* ---- in ---- */

enum after { KEEP, CLOSE };

static void finish(struct ew_upstream_conn *conn, enum after after)
{
    bool keep = after == KEEP && conn->call->parse.keep_alive && all_sent(conn);
    struct ew_upstream_call *call = detach(conn);
    if (keep)
        ew_upstream_origin_release(conn);
    else
        ew_upstream_conn_free(conn);
    ew_upstream_done(call);
}

static void fail_parse(struct ew_upstream_call *call)
{
    const struct ew_http_parse *parse = &call->parse;
    if (parse->status == 413)
        ew_upstream_fail(call, EW_UPSTREAM_TOO_LARGE, "its answer is larger than %zu bytes",
                         call->ask.body_bytes_max);
    else if (parse->status == 431)
        ew_upstream_fail(call, EW_UPSTREAM_TOO_LARGE, "its answer's head: %s", parse->message);
    else if (parse->status == 503)
        ew_upstream_fail(call, EW_UPSTREAM_MEMORY, "%s", parse->message);
    else
        ew_upstream_fail(call, EW_UPSTREAM_MALFORMED, "its answer isn't HTTP: %s", parse->message);
}

static const char *find_header(const struct ew_upstream_head *head, const char *name)
{
    return ew_http_parse_header(head->own, name);
}

/* What feeding has found. After each call of the caller's, its call may be gone. */
static void tell(struct ew_upstream_conn *conn, struct ew_upstream_call *call)
{
    struct ew_upstreams *upstreams = call->upstreams;
    const struct ew_str piece = call->parse.piece;
    if (call->parse.phase == EW_HTTP_FAILED) {
        fail_parse(call);
        return;
    }
    if (call->phase != EW_UPSTREAM_TAKING && call->parse.phase >= EW_HTTP_BODY) {
        if (call->parse.code == 101) {
            ew_upstream_fail(call, EW_UPSTREAM_MALFORMED, "it changes the protocol unasked");
            return;
        }
        call->result.head_ns = now();
        ew_upstream_tell_head(call, call->parse.code, find_header, &call->parse);
    }
    if (conn->call == call && piece.bytes) {
        upstreams->calling++;
        call->ask.data(call->ask.user, piece);
        upstreams->calling--;
    }
}

static void hold(struct ew_upstream_conn *conn, const char *data, size_t bytes)
{
    if (bytes && ew_buf_add(&conn->held, data, bytes, NULL) != 0)
        ew_upstream_fail(conn->call, EW_UPSTREAM_MEMORY, "no memory for %zu bytes of its answer",
                         bytes);
}

bool ew_upstream_conn_take(struct ew_upstream_conn *conn, const char *data, size_t bytes)
{
    struct ew_upstream_call *call = conn->call;
    bool whole = false;
    conn->busy = true;
    while (conn->call == call && !call->paused) {
        whole = call->parse.phase == EW_HTTP_DONE;
        if (whole || !bytes)
            break;
        size_t used = ew_http_parse_feed(&call->parse, data, bytes);
        data += used;
        bytes -= used;
        tell(conn, call);
    }
    if (conn->dead) {
        free(conn);
        return false;
    }
    if (whole)
        finish(conn, bytes ? CLOSE : KEEP); /* more than was asked for: it lost count */
    else if (call->paused)
        hold(conn, data, bytes);
    else if (call->phase == EW_UPSTREAM_TAKING)
        ew_upstream_set_deadline(call, now(), call->ask.stall_timeout_s);
    conn->busy = false;
    bool dead = conn->dead;
    if (dead)
        free(conn);
    return !dead;
}

void ew_upstream_conn_go_on(struct ew_upstream_conn *conn)
{
    struct ew_buf held = conn->held;
    if (conn->connecting)
        return;
    ew_buf_init(&conn->held, EW_UPSTREAM_READ_BYTES);
    start_reading(conn);
    if (ew_upstream_conn_take(conn, held.data, held.bytes) && conn->bev)
        ew_upstream_adopted_read(conn);
    ew_buf_fini(&held);
}

/* ---- the server's end of it ---- */

static void fail_closed(struct ew_upstream_call *call, const char *why)
{
    const struct ew_http_parse *parse = &call->parse;
    if (!call->heard && !call->result.sent_ns)
        ew_upstream_fail(call, EW_UPSTREAM_CONNECT, "%s before the request was out", why);
    else if (!call->heard)
        ew_upstream_fail(call, EW_UPSTREAM_CUT, "%s before it answered", why);
    else if (parse->phase < EW_HTTP_BODY)
        ew_upstream_fail(call, EW_UPSTREAM_CUT, "%s in the midst of its answer's head", why);
    else
        ew_upstream_fail(call, EW_UPSTREAM_CUT, "%s after %llu bytes of its answer, before the end",
                         why, (unsigned long long)parse->taken);
}

void ew_upstream_conn_closed(struct ew_upstream_conn *conn, int code)
{
    struct ew_upstream_call *call = conn->call;
    if (code == 0)
        ew_http_parse_closed(&call->parse);
    if (call->parse.phase == EW_HTTP_DONE) {
        finish(conn, CLOSE);
    } else if (!call->heard && call->result.reused && !call->replayed &&
               now() - call->result.connected_ns < replay_within_ns) {
        detach(conn);
        ew_upstream_conn_free(conn);
        call->replayed = true;
        ew_upstream_origin_replace(call);
    } else {
        fail_closed(call, code ? strerror(code) : "it closed the connection");
    }
}

static void on_readable(evutil_socket_t fd, short what, void *user)
{
    (void)what;
    struct ew_upstream_conn *conn = user;
    char *bytes = conn->origin->upstreams->bytes;
    ssize_t n = recv(fd, bytes, EW_UPSTREAM_READ_BYTES, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (!conn->call) { /* it closes, or speaks unasked */
        ew_upstream_conn_free(conn);
        return;
    }
    if (n > 0) {
        conn->call->heard = true;
        ew_upstream_conn_take(conn, bytes, (size_t)n);
    } else {
        ew_upstream_conn_closed(conn, n < 0 ? errno : 0);
    }
}

/* ---- connecting ---- */

static void on_writable(evutil_socket_t fd, short what, void *user);

static int connect_to(struct ew_upstream_conn *conn, const struct ew_resolve_address *address)
{
    struct event_base *base = ew_loop_base(conn->origin->upstreams->loop);
    conn->fd = socket(address->to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (conn->fd < 0)
        return errno;
    ew_tcp_set_options(conn->fd);
    ew_tcp_watch(conn->fd);
    conn->readable = event_new(base, conn->fd, EV_READ | EV_PERSIST, on_readable, conn);
    conn->writable = event_new(base, conn->fd, EV_WRITE, on_writable, conn);
    if (!conn->readable || !conn->writable)
        return ENOMEM;
    conn->connecting = true;
    if (connect(conn->fd, (const struct sockaddr *)&address->to, address->bytes) == 0 ||
        errno == EINPROGRESS)
        return event_add(conn->writable, NULL) == 0 ? 0 : ENOMEM;
    return errno;
}

/* Addresses share what is left of the time: one that never answers mustn't have all of it. */
static void try_addresses(struct ew_upstream_conn *conn, int why)
{
    struct ew_upstream_call *call = conn->call;
    const struct ew_resolved *known = &conn->origin->addresses;
    uint64_t now_ns = now();
    while (conn->tries < known->count && now_ns < call->connect_by_ns) {
        int left = known->count - conn->tries++;
        conn->address = (conn->address + 1) % known->count;
        close_socket(conn);
        why = connect_to(conn, &known->addresses[conn->address]);
        if (why == 0) {
            double rest_s = (double)(call->connect_by_ns - now_ns) * 1e-9;
            ew_upstream_set_deadline(call, now_ns, rest_s / left);
            return;
        }
    }
    if (why == ETIMEDOUT)
        ew_upstream_fail(call, EW_UPSTREAM_CONNECT_TIMEOUT, "no connection within %g s",
                         call->ask.connect_timeout_s);
    else
        ew_upstream_fail(call, EW_UPSTREAM_CONNECT, "no connection: %s", strerror(why));
}

static void on_writable(evutil_socket_t fd, short what, void *user)
{
    (void)what;
    struct ew_upstream_conn *conn = user;
    struct ew_upstream_origin *origin = conn->origin;
    int why = 0;
    socklen_t bytes = sizeof why;
    if (!conn->connecting) {
        send_rest(conn);
        return;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &bytes) < 0)
        why = errno;
    if (why != 0) {
        try_addresses(conn, why);
        return;
    }
    conn->connecting = false;
    origin->preferred = conn->address;
    origin->upstreams->counts.connections_opened++;
    ew_upstream_conn_begin(conn, conn->call);
}

void ew_upstream_conn_late(struct ew_upstream_call *call)
{
    try_addresses(call->conn, ETIMEDOUT);
}

void ew_upstream_conn_open(struct ew_upstream_call *call)
{
    struct ew_upstream_origin *origin = call->origin;
    struct ew_upstream_conn *conn = calloc(1, sizeof *conn);
    if (!conn) {
        ew_upstream_fail(call, EW_UPSTREAM_MEMORY, "no memory for a connection");
        return;
    }
    conn->origin = origin;
    conn->fd = -1;
    conn->address = origin->preferred + origin->addresses.count - 1; /* the next one is preferred */
    ew_buf_init(&conn->held, EW_UPSTREAM_READ_BYTES);
    TAILQ_INSERT_TAIL(&origin->in_use, conn, link);
    conn->call = call;
    call->conn = conn;
    try_addresses(conn, 0);
}
