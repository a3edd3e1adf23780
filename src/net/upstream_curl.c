/* upstream_curl.c - https, and http through a proxy: libcurl's multi interface on our loop.
 *
 * libcurl calls back from the depths of its own work, where neither a transfer may be added nor one
 * removed. So its callbacks only note: bytes into a buffer of the transfer, ends into a list; and
 * what they noted is told when libcurl has returned. A reader that pauses is libcurl's business
 * from the next piece on: it takes back what isn't taken, and lets the server wait.
 *
 * Time is kept by upstream.c, libcurl only says how far it is: connected, sent. It tries a request
 * again over a new connection when a kept one proves closed; that is allowed within REPLAY_NS.
 * Certificates are always verified, by the system's authorities or those of ca_file alone.
 * Limits: SPARES_MAX handles and CONNECTIONS_MAX connections are kept; UNTOLD_MAX bytes of an
 * answer wait to be told (libcurl reads up to 100 pieces of 16 kB before it returns). */
#include "net/upstream_int.h"

#include <curl/curl.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    SPARES_MAX = 32,
    CONNECTIONS_MAX = 128,
    UNTOLD_MAX = 4 << 20,
    LATER_MS = 60000, /* than ours is libcurl's own time for connecting */
};
#define REPLAY_NS ((uint64_t)EW_NS_PER_S) /* see upstream_http.c */

TAILQ_HEAD(transfers, ew_upstream_transfer);

struct ew_upstream_curl {
    struct ew_upstreams *upstreams;
    CURLM *multi;
    struct event *timer;
    struct transfers ready; /* have something to tell */
    CURL *spares[SPARES_MAX];
    int spare_count;
};

struct ew_upstream_transfer {
    struct ew_upstream_curl *curl;
    struct ew_upstream_call *call; /* NULL: cancelled, while it is being told */
    CURL *easy;
    struct curl_slist *headers;
    struct ew_buf head; /* "name: value" of the answer, each ended by a NUL */
    struct ew_buf data; /* of the body, not told yet */
    size_t head_bytes, sent;
    uint64_t taken;
    bool connected, replayed, head_whole, head_told, finished, busy, is_ready;
    CURLcode code;
    enum ew_upstream_failure failure; /* why a callback has ended it; NONE: none did */
    const char *why;
    char detail[CURL_ERROR_SIZE];
    TAILQ_ENTRY(ew_upstream_transfer) link;
};

static uint64_t now(void)
{
    return ew_clock_now_ns(&ew_clock_real);
}

/* ---- what libcurl tells, noted ---- */

static void make_ready(struct ew_upstream_transfer *transfer)
{
    if (!transfer->is_ready)
        TAILQ_INSERT_TAIL(&transfer->curl->ready, transfer, link);
    transfer->is_ready = true;
}

/* Always 0: what a callback returns that ends the transfer. */
static size_t refuse(struct ew_upstream_transfer *transfer, enum ew_upstream_failure failure,
                     const char *why)
{
    transfer->failure = failure;
    transfer->why = why;
    return 0;
}

static void note_sent(struct ew_upstream_transfer *transfer)
{
    struct ew_upstream_call *call = transfer->call;
    call->result.sent_ns = now();
    if (call->phase != EW_UPSTREAM_SENDING)
        return;
    call->phase = EW_UPSTREAM_AWAITING;
    ew_upstream_set_deadline(call, call->result.sent_ns, call->ask.head_timeout_s);
}

/* A connection is there, new or kept, and the request about to be sent. */
static int on_connected(void *user, char *to, char *from, int to_port, int from_port)
{
    (void)to, (void)from, (void)to_port, (void)from_port;
    struct ew_upstream_transfer *transfer = user;
    struct ew_upstream_call *call = transfer->call;
    uint64_t now_ns = now();
    if (transfer->connected &&
        (transfer->replayed || now_ns - call->result.connected_ns > REPLAY_NS)) {
        refuse(transfer, EW_UPSTREAM_CUT, "it closed the connection before it answered");
        return CURL_PREREQFUNC_ABORT;
    }
    transfer->replayed = transfer->connected;
    transfer->connected = true;
    transfer->sent = 0;
    call->result.connected_ns = now_ns;
    call->phase = EW_UPSTREAM_SENDING;
    ew_upstream_set_deadline(call, now_ns, call->ask.stall_timeout_s);
    if (call->ask.body.bytes == 0)
        note_sent(transfer);
    return CURL_PREREQFUNC_OK;
}

static size_t on_send(char *to, size_t size, size_t count, void *user)
{
    struct ew_upstream_transfer *transfer = user;
    struct ew_upstream_call *call = transfer->call;
    size_t left = call->ask.body.bytes - transfer->sent;
    size_t n = size * count < left ? size * count : left;
    if (n)
        memcpy(to, call->ask.body.data + transfer->sent, n);
    transfer->sent += n;
    if (transfer->sent == call->ask.body.bytes)
        note_sent(transfer);
    else if (call->phase == EW_UPSTREAM_SENDING)
        ew_upstream_set_deadline(call, now(), call->ask.stall_timeout_s);
    return n;
}

static int on_rewind(void *user, curl_off_t to, int origin)
{
    struct ew_upstream_transfer *transfer = user;
    if (origin != SEEK_SET || to < 0 || (size_t)to > transfer->call->ask.body.bytes)
        return CURL_SEEKFUNC_FAIL;
    transfer->sent = (size_t)to;
    return CURL_SEEKFUNC_OK;
}

/* A line of a head: of a 1xx, of the answer itself, or of its trailers, which don't count. */
static size_t on_header(char *line, size_t size, size_t count, void *user)
{
    struct ew_upstream_transfer *transfer = user;
    size_t bytes = size * count, kept = bytes;
    long status = 0;
    transfer->head_bytes += bytes;
    if (transfer->head_bytes > EW_UPSTREAM_HEAD_BYTES_MAX)
        return refuse(transfer, EW_UPSTREAM_TOO_LARGE, "its answer's head is too large");
    while (kept && strchr("\r\n\t ", line[kept - 1]))
        kept--;
    if (transfer->head_whole)
        return bytes;
    if (kept > 5 && memcmp(line, "HTTP/", 5) == 0)
        ew_buf_clear(&transfer->head);
    if (kept) {
        if (ew_buf_add(&transfer->head, line, kept, NULL) != 0 ||
            ew_buf_add(&transfer->head, "", 1, NULL) != 0)
            return refuse(transfer, EW_UPSTREAM_MEMORY, "no memory for its answer's head");
        return bytes;
    }
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200) {
        transfer->head_whole = true;
        transfer->call->result.head_ns = now();
        make_ready(transfer);
    }
    return bytes;
}

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
    struct ew_upstream_transfer *transfer = user;
    const struct ew_upstream_call *call = transfer->call;
    size_t bytes = size * count;
    if (call->paused)
        return CURL_WRITEFUNC_PAUSE;
    if (call->ask.body_bytes_max && bytes > call->ask.body_bytes_max - transfer->taken)
        return refuse(transfer, EW_UPSTREAM_TOO_LARGE, "its answer is larger than is taken here");
    if (ew_buf_add(&transfer->data, data, bytes, NULL) != 0)
        return refuse(transfer, EW_UPSTREAM_MEMORY, "no memory for its answer");
    transfer->taken += bytes;
    make_ready(transfer);
    return bytes;
}

/* ---- and told ---- */

static const char *find_header(const struct ew_upstream_head *head, const char *name)
{
    const struct ew_upstream_transfer *transfer = head->own;
    const char *line = ew_buf_cstr(&transfer->head), *end = line + transfer->head.bytes;
    size_t n = strlen(name);
    for (; line < end; line += strlen(line) + 1)
        if (strncasecmp(line, name, n) == 0 && line[n] == ':')
            return line + n + 1 + strspn(line + n + 1, " \t");
    return NULL;
}

static enum ew_upstream_failure failure_of(const struct ew_upstream_transfer *transfer)
{
    const struct ew_upstream_result *result = &transfer->call->result;
    switch (transfer->code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return EW_UPSTREAM_RESOLVE;
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
        return EW_UPSTREAM_CONNECT;
    case CURLE_OPERATION_TIMEDOUT:
        return result->connected_ns ? EW_UPSTREAM_STALL : EW_UPSTREAM_CONNECT_TIMEOUT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return EW_UPSTREAM_TLS;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9: something else than HTTP */
        return EW_UPSTREAM_MALFORMED;
    case CURLE_FILESIZE_EXCEEDED:
        return EW_UPSTREAM_TOO_LARGE;
    case CURLE_OUT_OF_MEMORY:
        return EW_UPSTREAM_MEMORY;
    default:
        return result->sent_ns ? EW_UPSTREAM_CUT : EW_UPSTREAM_CONNECT;
    }
}

static void count_connections(const struct ew_upstream_transfer *transfer)
{
    struct ew_upstream_counts *counts = &transfer->curl->upstreams->counts;
    long opened = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_NUM_CONNECTS, &opened);
    counts->connections_opened += (uint64_t)opened;
    counts->connections_reused += transfer->connected && opened == 0;
    transfer->call->result.reused = transfer->connected && opened == 0;
}

static void tell_finished(struct ew_upstream_transfer *transfer)
{
    struct ew_upstream_call *call = transfer->call;
    if (transfer->failure == EW_UPSTREAM_NONE && transfer->code == CURLE_OK &&
        transfer->head_told) {
        ew_upstream_curl_drop(call);
        ew_upstream_done(call);
        return;
    }
    if (transfer->failure == EW_UPSTREAM_NONE && transfer->code == CURLE_OK)
        refuse(transfer, EW_UPSTREAM_CUT,
               "it closed the connection in the midst of its answer's head");
    enum ew_upstream_failure failure = transfer->failure ? transfer->failure : failure_of(transfer);
    char detail[CURL_ERROR_SIZE]; /* it may have addresses; and the transfer ends by failing */
    ew_str_copy(detail, sizeof detail, transfer->failure ? "" : transfer->detail);
    const bool stranger = transfer->code == CURLE_PEER_FAILED_VERIFICATION;
    ew_upstream_fail(call, failure, "%s",
                     transfer->failure ? transfer->why
                     : stranger        ? "its certificate isn't one to trust"
                                       : curl_easy_strerror(transfer->code));
    if (*detail)
        snprintf(call->result.why, sizeof call->result.why, "%.100s: %.170s", call->name, detail);
}

static void free_transfer(struct ew_upstream_transfer *transfer)
{
    curl_slist_free_all(transfer->headers);
    ew_buf_fini(&transfer->head);
    ew_buf_fini(&transfer->data);
    free(transfer);
}

/* In order; after each call of the caller's, the call may be gone. */
static void tell(struct ew_upstream_transfer *transfer)
{
    struct ew_upstream_call *call = transfer->call;
    struct ew_upstreams *upstreams = transfer->curl->upstreams;
    transfer->busy = true;
    if (transfer->head_whole && !transfer->head_told && !call->paused) {
        long status = 0;
        curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
        transfer->head_told = true;
        ew_upstream_tell_head(call, (int)status, find_header, transfer);
    }
    if (transfer->call && transfer->data.bytes && !call->paused) {
        upstreams->calling++;
        call->ask.data(call->ask.user, (struct ew_str){transfer->data.data, transfer->data.bytes});
        upstreams->calling--;
        ew_buf_clear(&transfer->data);
    }
    if (transfer->call && transfer->finished && !call->paused)
        tell_finished(transfer);
    else if (transfer->call && call->phase == EW_UPSTREAM_TAKING)
        ew_upstream_set_deadline(call, now(), call->ask.stall_timeout_s);
    transfer->busy = false;
    if (!transfer->call)
        free_transfer(transfer);
}

/* libcurl has returned: what it noted is told. */
static void settle(struct ew_upstream_curl *curl)
{
    int left;
    const CURLMsg *message;
    while ((message = curl_multi_info_read(curl->multi, &left)) != NULL) {
        struct ew_upstream_transfer *transfer = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        transfer->finished = true;
        transfer->code = message->data.result;
        count_connections(transfer);
        make_ready(transfer);
    }
    for (struct ew_upstream_transfer *transfer; (transfer = TAILQ_FIRST(&curl->ready)) != NULL;) {
        TAILQ_REMOVE(&curl->ready, transfer, link);
        transfer->is_ready = false;
        tell(transfer);
    }
}

void ew_upstream_curl_go_on(struct ew_upstream_call *call)
{
    struct ew_upstream_transfer *transfer = call->transfer;
    struct ew_upstream_curl *curl = transfer->curl;
    if (!transfer->finished)
        curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
    make_ready(transfer);
    settle(curl);
}

/* ---- the loop ---- */

static void on_socket(evutil_socket_t fd, short what, void *user)
{
    struct ew_upstream_curl *curl = user;
    int running,
        flags = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
    curl_multi_socket_action(curl->multi, (curl_socket_t)fd, flags, &running);
    settle(curl);
}

static void on_timer(evutil_socket_t fd, short what, void *user)
{
    (void)fd, (void)what;
    struct ew_upstream_curl *curl = user;
    int running;
    curl_multi_socket_action(curl->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    settle(curl);
}

static int set_timer(CURLM *multi, long ms, void *user)
{
    (void)multi;
    struct ew_upstream_curl *curl = user;
    const struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    if (ms < 0)
        return event_del(curl->timer);
    return event_add(curl->timer, &wait);
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *socket)
{
    (void)easy;
    struct ew_upstream_curl *curl = user;
    struct event *event = socket;
    short wanted = EV_PERSIST;
    if (event)
        event_free(event);
    curl_multi_assign(curl->multi, fd, NULL);
    if (what == CURL_POLL_REMOVE)
        return 0;
    wanted |= what & CURL_POLL_IN ? EV_READ : 0;
    wanted |= what & CURL_POLL_OUT ? EV_WRITE : 0;
    event = event_new(ew_loop_base(curl->upstreams->loop), fd, wanted, on_socket, curl);
    if (!event || event_add(event, NULL) < 0)
        return -1;
    curl_multi_assign(curl->multi, fd, event);
    return 0;
}

/* ---- the beginning ---- */

/* Also after cancelling: libcurl closes the connection of what isn't whole, or the stream of it. */
void ew_upstream_curl_drop(struct ew_upstream_call *call)
{
    struct ew_upstream_transfer *transfer = call->transfer;
    struct ew_upstream_curl *curl = transfer->curl;
    curl_multi_remove_handle(curl->multi, transfer->easy);
    if (curl->spare_count < SPARES_MAX) {
        curl_easy_reset(transfer->easy);
        curl->spares[curl->spare_count++] = transfer->easy;
    } else {
        curl_easy_cleanup(transfer->easy);
    }
    if (transfer->is_ready)
        TAILQ_REMOVE(&curl->ready, transfer, link);
    transfer->easy = NULL;
    transfer->call = NULL;
    call->transfer = NULL;
    if (!transfer->busy)
        free_transfer(transfer);
}

/* The first of the variables that is set. */
static const char *from_environment(const char *a, const char *b)
{
    const char *value = getenv(a);
    if (!value || !*value)
        value = getenv(b);
    return value && *value ? value : NULL;
}

static void trust(CURL *easy, const char *ca_file)
{
    const char *bundle = ca_file ? ca_file : from_environment("CURL_CA_BUNDLE", "SSL_CERT_FILE");
    const char *folder = getenv("SSL_CERT_DIR");
    if (bundle)
        curl_easy_setopt(easy, CURLOPT_CAINFO, bundle);
    if (ca_file)
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL); /* that one alone */
    else if (folder && *folder)
        curl_easy_setopt(easy, CURLOPT_CAPATH, folder);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
}

static int add_header(struct ew_upstream_transfer *transfer, const char *name, const char *value)
{
    struct ew_buf line;
    ew_buf_init(&line, EW_UPSTREAM_HEAD_BYTES_MAX);
    /* An empty value is said by a semicolon; "Name:" would take the header out. */
    int code = ew_buf_printf(&line, NULL, *value ? "%s: %s" : "%s;", name, value);
    struct curl_slist *headers = code == 0 ? curl_slist_append(transfer->headers, line.data) : NULL;
    ew_buf_fini(&line);
    if (!headers)
        return -1;
    transfer->headers = headers;
    return 0;
}

/* What libcurl would add by itself is taken out: the caller says all there is. */
static int add_headers(struct ew_upstream_transfer *transfer, const struct ew_upstream_ask *ask)
{
    bool has_type = false;
    for (size_t i = 0; i < ask->header_count; i++) {
        has_type |= strcasecmp(ask->headers[i].name, "Content-Type") == 0;
        if (add_header(transfer, ask->headers[i].name, ask->headers[i].value) != 0)
            return -1;
    }
    struct curl_slist *headers = curl_slist_append(transfer->headers, "Expect:");
    if (headers && !has_type) {
        transfer->headers = headers;
        headers = curl_slist_append(headers, "Content-Type:");
    }
    if (!headers)
        return -1;
    transfer->headers = headers;
    return 0;
}

static void set_method(CURL *easy, const struct ew_upstream_ask *ask)
{
    bool posts = ask->body.data || strcmp(ask->method, "POST") == 0;
    if (strcmp(ask->method, "HEAD") == 0)
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    else if (posts)
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
    if (posts)
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                         (curl_off_t)(ask->body.data ? ask->body.bytes : 0));
    if (strcmp(ask->method, "HEAD") != 0)
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, ask->method);
}

static void set_options(struct ew_upstream_transfer *transfer, const struct ew_upstream_ask *ask)
{
    CURL *easy = transfer->easy;
    curl_easy_setopt(easy, CURLOPT_URL, ask->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)EW_UPSTREAM_IDLE_S);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "edgewise/" EW_VERSION);
    /* Ours comes first, and knows what it waits for. */
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(ask->connect_timeout_s * 1000) + LATER_MS);
    if (ask->body_bytes_max)
        curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)ask->body_bytes_max);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->detail);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_send);
    curl_easy_setopt(easy, CURLOPT_READDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_rewind);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    set_method(easy, ask);
    trust(easy, ask->ca_file);
}

static struct ew_upstream_curl *open_curl(struct ew_upstreams *upstreams)
{
    if (upstreams->curl)
        return upstreams->curl;
    struct ew_upstream_curl *curl = calloc(1, sizeof *curl);
    if (!curl)
        return NULL;
    curl->upstreams = upstreams;
    TAILQ_INIT(&curl->ready);
    upstreams->curl = curl;
    curl->timer = evtimer_new(ew_loop_base(upstreams->loop), on_timer, curl);
    curl->multi = curl->timer ? curl_multi_init() : NULL;
    if (!curl->multi) {
        ew_upstream_curl_close(upstreams);
        return NULL;
    }
    curl_multi_setopt(curl->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
    curl_multi_setopt(curl->multi, CURLMOPT_SOCKETDATA, curl);
    curl_multi_setopt(curl->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(curl->multi, CURLMOPT_TIMERDATA, curl);
    curl_multi_setopt(curl->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_MAX);
    return curl;
}

int ew_upstream_curl_begin(struct ew_upstream_call *call, const struct ew_upstream_ask *ask,
                           struct ew_err *err)
{
    struct ew_upstream_curl *curl = open_curl(call->upstreams);
    struct ew_upstream_transfer *transfer = curl ? calloc(1, sizeof *transfer) : NULL;
    if (!transfer)
        return ew_fail(err, EW_ENOMEM, "no memory for a request to another server");
    transfer->curl = curl;
    transfer->call = call;
    transfer->easy = curl->spare_count ? curl->spares[--curl->spare_count] : curl_easy_init();
    ew_buf_init(&transfer->head, EW_UPSTREAM_HEAD_BYTES_MAX + EW_HTTP_HEADERS_MAX);
    ew_buf_init(&transfer->data, UNTOLD_MAX);
    if (!transfer->easy || add_headers(transfer, ask) != 0) {
        if (transfer->easy)
            curl_easy_cleanup(transfer->easy);
        free_transfer(transfer);
        return ew_fail(err, EW_ENOMEM, "no memory for a request to another server");
    }
    set_options(transfer, ask);
    if (curl_multi_add_handle(curl->multi, transfer->easy) != CURLM_OK) {
        curl_easy_cleanup(transfer->easy);
        free_transfer(transfer);
        return ew_fail(err, EW_ENOMEM, "no memory for a request to another server");
    }
    call->transfer = transfer;
    call->phase = EW_UPSTREAM_CONNECTING;
    call->connect_by_ns = now();
    ew_upstream_set_deadline(call, call->connect_by_ns, ask->connect_timeout_s);
    return 0;
}

bool ew_upstream_curl_has_address(const struct ew_upstream_call *call)
{
    curl_off_t us = 0;
    curl_easy_getinfo(call->transfer->easy, CURLINFO_NAMELOOKUP_TIME_T, &us);
    return us > 0;
}

/* For http; what no_proxy says is libcurl's to know. */
bool ew_upstream_curl_has_proxy(void)
{
    return from_environment("http_proxy", "all_proxy") || from_environment("ALL_PROXY", "");
}

void ew_upstream_curl_close(struct ew_upstreams *upstreams)
{
    struct ew_upstream_curl *curl = upstreams->curl;
    if (!curl)
        return;
    upstreams->curl = NULL;
    while (curl->spare_count > 0)
        curl_easy_cleanup(curl->spares[--curl->spare_count]);
    if (curl->multi)
        curl_multi_cleanup(curl->multi);
    if (curl->timer)
        event_free(curl->timer);
    free(curl);
}
