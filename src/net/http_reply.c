/* http_reply.c - answers: their heads, bodies, chunks; and what a request says of itself.
 *
 * A head is put together in a buffer of the server's, and leaves with its body in one system call.
 * Each call checks that the request is in a state that allows it: a second answer to the same
 * request is the caller's bug, and ends the program before it can reach another client. */
#include "net/http_int.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char json_type[] = "application/json";

static const char *reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = {
        {101, "Switching Protocols"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {499, "Client Closed Request"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < EW_COUNT(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].text;
    return "";
}

/* ---- heads ---- */

enum framing { BY_LENGTH, BY_CHUNKS, BY_CLOSING, NO_BODY };

struct answer {
    int status;
    const char *type;   /* NULL: none */
    struct ew_str more; /* headers, complete lines */
    enum framing framing;
    size_t body_bytes;
};

static const char *date_line(struct ew_http_server *server)
{
    int64_t now_s = (int64_t)time(NULL);
    if (now_s != server->date_s) {
        time_t t = (time_t)now_s;
        struct tm tm;
        gmtime_r(&t, &tm);
        strftime(server->date, sizeof server->date, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
        server->date_s = now_s;
    }
    return server->date;
}

static void put(struct ew_http_conn *conn, const char *text)
{
    if (ew_buf_text(&conn->server->head, text, NULL) != 0)
        ew_http_conn_break(conn); /* no memory for a kilobyte */
}

static void put_number(struct ew_http_conn *conn, const char *before, size_t number)
{
    char digits[24];
    (void)ew_str_u64(digits, sizeof digits, number);
    put(conn, before);
    put(conn, digits);
}

static struct iovec write_head(struct ew_http_conn *conn, const struct answer *answer, int minor)
{
    struct ew_buf *head = &conn->server->head;
    conn->closing |= conn->server->draining;
    ew_buf_clear(head);
    put_number(conn, "HTTP/1.1 ", (size_t)answer->status);
    put(conn, " ");
    put(conn, reason(answer->status));
    put(conn, "\r\n");
    put(conn, date_line(conn->server));
    if (answer->type) {
        put(conn, "Content-Type: ");
        put(conn, answer->type);
        put(conn, "\r\n");
    }
    if (answer->framing == BY_CHUNKS)
        put(conn, "Transfer-Encoding: chunked\r\n");
    if (answer->framing == BY_LENGTH) {
        put_number(conn, "Content-Length: ", answer->body_bytes);
        put(conn, "\r\n");
    }
    if (conn->closing)
        put(conn, "Connection: close\r\n");
    else if (minor == 0)
        put(conn, "Connection: keep-alive\r\n");
    if (ew_buf_add(head, answer->more.data, answer->more.bytes, NULL) != 0)
        ew_http_conn_break(conn);
    put(conn, "\r\n");
    return (struct iovec){head->data, head->bytes};
}

/* RFC 9110, 6.4.1 and 8.6. */
static enum framing framing_of(int status)
{
    return status == 204 || status == 304 || status < 200 ? NO_BODY : BY_LENGTH;
}

void ew_http_add_header(struct ew_http_request *request, const char *name, const char *value)
{
    EW_ASSERT(request->state == EW_HTTP_ASKED);
    const size_t name_bytes = strlen(name);
    struct ew_buf *to = &request->headers;
    char *at = ew_buf_extend(to, name_bytes + strlen(value) + 4, NULL);
    if (!at)
        return;
    memcpy(at, name, name_bytes);
    at += name_bytes;
    *at++ = ':';
    *at++ = ' ';
    for (; *value; value++) /* a line's end in it would begin another header */
        if ((unsigned char)*value >= ' ' && *value != 0x7f)
            *at++ = *value;
    *at++ = '\r';
    *at++ = '\n';
    *at = '\0';
    to->bytes = (size_t)(at - to->data);
}

static struct ew_str added(const struct ew_http_request *request)
{
    return (struct ew_str){ew_buf_cstr(&request->headers), request->headers.bytes};
}

/* ---- whole answers ---- */

static void finish(struct ew_http_request *request)
{
    struct ew_http_conn *conn = request->conn;
    request->state = EW_HTTP_UNUSED;
    ew_http_conn_ended(conn);
}

void ew_http_reply(struct ew_http_request *request, int status, const char *type,
                   struct ew_str body)
{
    EW_ASSERT(request->state == EW_HTTP_ASKED);
    struct ew_http_conn *conn = request->conn;
    const struct answer answer = {
        .status = status,
        .type = type,
        .more = added(request),
        .framing = framing_of(status),
        .body_bytes = body.bytes,
    };
    struct iovec pieces[2] = {write_head(conn, &answer, request->parse.minor)};
    int count = 1;
    if (!request->parse.head_only && answer.framing == BY_LENGTH && body.bytes)
        pieces[count++] = (struct iovec){(char *)body.data, body.bytes};
    ew_http_conn_send(conn, pieces, count);
    finish(request);
}

void ew_http_refuse(struct ew_http_conn *conn, int status, const char *message)
{
    struct ew_http_server *server = conn->server;
    struct ew_buf body;
    ew_buf_init(&body, EW_HTTP_UNSENT_MAX);
    server->params.error(server->params.user, status, message, &body);
    if (status == 413 || status == 503)
        server->counts.refused++;
    else
        server->counts.malformed++;
    conn->closing = true;
    const struct answer answer = {.status = status, .type = json_type, .body_bytes = body.bytes};
    struct iovec pieces[2] = {write_head(conn, &answer, 1)};
    int count = 1;
    const struct ew_http_request *request = conn->request;
    if (body.bytes && !(request && strcmp(ew_buf_cstr(&request->parse.text), "HEAD") == 0))
        pieces[count++] = (struct iovec){body.data, body.bytes};
    ew_http_conn_send(conn, pieces, count);
    ew_buf_fini(&body);
}

/* ---- streams ---- */

static enum framing stream_framing(const struct ew_http_request *request)
{
    return request->parse.minor > 0 ? BY_CHUNKS : BY_CLOSING;
}

void ew_http_stream_start(struct ew_http_request *request, int status, const char *type)
{
    EW_ASSERT(request->state == EW_HTTP_ASKED);
    struct ew_http_conn *conn = request->conn;
    const struct answer answer = {
        .status = status,
        .type = type,
        .more = added(request),
        .framing = stream_framing(request),
    };
    if (answer.framing == BY_CLOSING)
        conn->closing = true;
    request->state = EW_HTTP_STREAMING;
    struct iovec piece = write_head(conn, &answer, request->parse.minor);
    ew_http_conn_send(conn, &piece, 1);
}

/* "1f4\r\n", from the end of `line` backwards. */
static struct iovec chunk_line(char line[20], size_t bytes)
{
    char *at = line + 20;
    *--at = '\n';
    *--at = '\r';
    do
        *--at = "0123456789abcdef"[bytes & 15];
    while (bytes >>= 4);
    return (struct iovec){at, (size_t)(line + 20 - at)};
}

size_t ew_http_stream_unsent(const struct ew_http_request *request)
{
    EW_ASSERT(request->state != EW_HTTP_UNUSED);
    return ew_http_conn_unsent(request->conn);
}

/* What only waits for the turn's end doesn't count: nobody would be told when that has left. */
static bool unsent_beyond(struct ew_http_request *request, size_t bytes)
{
    if (ew_http_stream_unsent(request) <= bytes)
        return false;
    ew_http_outbox_send(request->conn);
    return ew_http_stream_unsent(request) > bytes;
}

bool ew_http_stream_backs_up(struct ew_http_request *request, size_t bytes)
{
    bool much = unsent_beyond(request, bytes);
    request->wants_drained = request->wants_drained || much;
    return much;
}

int ew_http_stream_write(struct ew_http_request *request, struct ew_str data, struct ew_err *err)
{
    EW_ASSERT(request->state == EW_HTTP_STREAMING);
    if (data.bytes > EW_HTTP_UNSENT_MAX ||
        unsent_beyond(request, EW_HTTP_UNSENT_MAX - data.bytes)) {
        request->wants_drained = true;
        return ew_fail(err, EW_ELIMIT, "%zu bytes wait unread by %s and %zu more: the limit is %u",
                       ew_http_stream_unsent(request), request->conn->peer, data.bytes,
                       EW_HTTP_UNSENT_MAX);
    }
    /* An empty chunk would be the last one. */
    if (data.bytes == 0 || request->parse.head_only)
        return 0;
    char line[20];
    struct iovec pieces[3] = {
        chunk_line(line, data.bytes), {(char *)data.data, data.bytes}, {(char *)"\r\n", 2}};
    if (stream_framing(request) == BY_CHUNKS)
        ew_http_conn_send(request->conn, pieces, 3);
    else
        ew_http_conn_send(request->conn, pieces + 1, 1);
    return 0;
}

void ew_http_stream_end(struct ew_http_request *request)
{
    EW_ASSERT(request->state == EW_HTTP_STREAMING);
    struct iovec last = {(char *)"0\r\n\r\n", 5};
    if (stream_framing(request) == BY_CHUNKS && !request->parse.head_only)
        ew_http_conn_send(request->conn, &last, 1);
    finish(request);
}

bool ew_http_may_upgrade(const struct ew_http_request *request)
{
    const struct ew_http_conn *conn = request->conn;
    return !conn->closing && !conn->broken && !conn->server->draining;
}

struct bufferevent *ew_http_upgrade(struct ew_http_request *request, const char *protocol)
{
    EW_ASSERT(request->state == EW_HTTP_ASKED);
    struct ew_http_conn *conn = request->conn;
    if (!ew_http_may_upgrade(request))
        return NULL;
    if (ew_http_input_give(conn) != 0) {
        ew_http_conn_break(conn); /* some of what came is lost */
        return NULL;
    }
    ew_http_add_header(request, "Connection", "Upgrade");
    ew_http_add_header(request, "Upgrade", protocol);
    const struct answer answer = {.status = 101, .more = added(request), .framing = NO_BODY};
    struct iovec piece = write_head(conn, &answer, request->parse.minor);
    ew_http_conn_send(conn, &piece, 1);
    ew_http_outbox_send(conn);
    struct bufferevent *bev = conn->bev;
    bufferevent_setcb(bev, NULL, NULL, NULL, NULL);
    bufferevent_set_timeouts(bev, NULL, NULL);
    conn->bev = NULL;
    conn->ssl = NULL;
    conn->closing = true;
    ew_http_conn_break(conn);
    finish(request);
    return bev;
}

/* A stream in chunks that are all on their way ends without its last chunk, which every client
 * takes for the error that it is, having read what there was. Anything else is reset. */
void ew_http_abort(struct ew_http_request *request)
{
    EW_ASSERT(request->state == EW_HTTP_ASKED || request->state == EW_HTTP_STREAMING);
    struct ew_http_conn *conn = request->conn;
    conn->closing = true;
    ew_http_outbox_send(conn);
    if (request->state == EW_HTTP_ASKED || stream_framing(request) != BY_CHUNKS ||
        request->parse.head_only || ew_http_stream_unsent(request) > 0) {
        conn->reset = true;
        ew_http_conn_break(conn);
    }
    finish(request);
}

/* ---- the request ---- */

const char *ew_http_method(const struct ew_http_request *request)
{
    return request->parse.text.data;
}

const char *ew_http_path(const struct ew_http_request *request)
{
    return request->parse.text.data + request->parse.path;
}

const char *ew_http_query(const struct ew_http_request *request)
{
    return request->parse.text.data + request->parse.query;
}

struct ew_str ew_http_body(const struct ew_http_request *request)
{
    return (struct ew_str){ew_buf_cstr(&request->parse.body), request->parse.body.bytes};
}

const char *ew_http_header(const struct ew_http_request *request, const char *name)
{
    return ew_http_parse_header(&request->parse, name);
}

const char *ew_http_peer(const struct ew_http_request *request)
{
    return request->conn->peer;
}

uint64_t ew_http_arrival_ns(const struct ew_http_request *request)
{
    return request->arrival_ns;
}

void ew_http_set_user(struct ew_http_request *request, void *user)
{
    request->user = user;
}

void *ew_http_user(const struct ew_http_request *request)
{
    return request->user;
}
