/* peers_stub.c - stands in for an engine that computes nothing, for peers_front.py.
 *
 *     peers_stub PORT        serves 127.0.0.1:PORT until it is killed
 *
 * It speaks OpenAI's API. A completion is answered at once with a body of 330 bytes. One with
 * "stream": true gets as many chunks as its prompt says, at the pace that it says: `chunks=400
 * rate=20` anywhere in it; rate=0 is as fast as the reader takes them. A chunk's text is
 * "@DUE:SENT;", two stamps of CLOCK_MONOTONIC in ns: when it ought to have been sent, and when it
 * was. The loader at the other end of whatever is measured runs on the same machine and compares.
 *
 * One thread, one epoll, one heap of streams by when they are due; it has to be faster than all
 * that stands between. What it doesn't understand it closes: it talks to programs on this machine
 * that were set up to talk to it. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 20000, /* descriptors, so also streams */
    INPUT_MAX = 64 << 10,    /* a request, head and body */
    OUTPUT_MAX = 16 << 10,   /* what waits for a slow reader */
    CHUNK_MAX = 512,         /* bytes of one chunk with its frame */
    EVENTS = 512,
};

#define ANSWER_HEAD                                                                                \
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 330\r\n\r\n"
static const char answer[] = ANSWER_HEAD
    "{\"id\":\"chatcmpl-0123456789abcdef\",\"object\":\"chat.completion\",\"created\":1750000000,"
    "\"model\":\"stub\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
    "\"The lamp was lit every evening, and all ships passed safely in the night\"},"
    "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":20,"
    "\"total_tokens\":40}}";
_Static_assert(sizeof answer - sizeof ANSWER_HEAD == 330, "as its head says");
static const char models[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 88\r\n\r\n"
    "{\"object\":\"list\",\"data\":[{\"id\":\"stub\",\"object\":\"model\",\"created\":1,\"owned_"
    "by\":"
    "\"stub\"}]} ";
static const char missing[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
static const char stream_head[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

struct connection {
    int fd;
    bool streaming, blocked, usage;
    char *in; /* INPUT_MAX bytes; kept with the place in the table */
    size_t in_bytes;
    char out[OUTPUT_MAX];
    size_t out_bytes;
    uint32_t chunks, sent;
    uint64_t begin_ns, due_ns, pace_ns;
    int heap_at; /* -1: not in the heap */
};

static struct connection *connections[CONNECTIONS_MAX]; /* by descriptor */
static struct connection *heap[CONNECTIONS_MAX];
static int heap_count, poll_fd;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- the heap of streams, the next one due on top ---- */

static void heap_put(int at, struct connection *c)
{
    heap[at] = c;
    c->heap_at = at;
}

static void heap_settle(int at)
{
    struct connection *c = heap[at];
    for (int up; at && heap[up = (at - 1) / 2]->due_ns > c->due_ns; at = up)
        heap_put(at, heap[up]);
    for (int down; (down = 2 * at + 1) < heap_count; at = down) {
        if (down + 1 < heap_count && heap[down + 1]->due_ns < heap[down]->due_ns)
            down++;
        if (heap[down]->due_ns >= c->due_ns)
            break;
        heap_put(at, heap[down]);
    }
    heap_put(at, c);
}

static void heap_add(struct connection *c)
{
    heap_put(heap_count++, c);
    heap_settle(c->heap_at);
}

static void heap_remove(struct connection *c)
{
    int at = c->heap_at;
    if (at < 0)
        return;
    c->heap_at = -1;
    struct connection *last = heap[--heap_count];
    if (last == c)
        return;
    heap_put(at, last);
    heap_settle(at);
}

/* ---- bytes ---- */

static void close_connection(struct connection *c)
{
    heap_remove(c);
    close(c->fd);
    connections[c->fd] = NULL;
    free(c->in);
    free(c);
}

/* False: the peer is gone. */
static bool flush_out(struct connection *c)
{
    while (c->out_bytes) {
        ssize_t n = send(c->fd, c->out, c->out_bytes, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            c->blocked = true;
            return true;
        }
        if (n <= 0)
            return false;
        c->out_bytes -= (size_t)n;
        memmove(c->out, c->out + n, c->out_bytes);
    }
    c->blocked = false;
    return true;
}

static bool put_out(struct connection *c, const char *data, size_t bytes)
{
    if (bytes > sizeof c->out - c->out_bytes)
        return false;
    memcpy(c->out + c->out_bytes, data, bytes);
    c->out_bytes += bytes;
    return true;
}

/* One event in a frame of HTTP's chunked coding. */
static void put_event(struct connection *c, const char *json)
{
    char frame[CHUNK_MAX];
    int n = snprintf(frame, sizeof frame, "%zx\r\ndata: %s\n\n\r\n", strlen(json) + 8, json);
    put_out(c, frame, (size_t)n);
}

static void put_delta(struct connection *c, const char *delta, const char *reason)
{
    char json[CHUNK_MAX - 32];
    snprintf(json, sizeof json,
             "{\"id\":\"chatcmpl-0123456789abcdef\",\"object\":\"chat.completion.chunk\","
             "\"created\":1750000000,\"model\":\"stub\",\"choices\":[{\"index\":0,\"delta\":%s,"
             "\"finish_reason\":%s}]}",
             delta, reason);
    put_event(c, json);
}

/* ---- streams ---- */

static void put_end(struct connection *c)
{
    put_delta(c, "{}", "\"stop\"");
    if (c->usage) {
        char json[CHUNK_MAX - 32];
        snprintf(json, sizeof json,
                 "{\"id\":\"chatcmpl-0123456789abcdef\",\"object\":\"chat.completion.chunk\","
                 "\"created\":1750000000,\"model\":\"stub\",\"choices\":[],\"usage\":"
                 "{\"prompt_tokens\":20,\"completion_tokens\":%u,\"total_tokens\":%u}}",
                 c->chunks, c->chunks + 20);
        put_event(c, json);
    }
    put_event(c, "[DONE]");
    put_out(c, "0\r\n\r\n", 5);
    c->streaming = false;
    heap_remove(c);
}

/* Sends what is due. A reader that is slow gets it later, and the stamps say how much. */
static bool advance(struct connection *c, uint64_t now)
{
    while (c->streaming && c->due_ns <= now && sizeof c->out - c->out_bytes > 4 * CHUNK_MAX) {
        char delta[96];
        snprintf(delta, sizeof delta, "{\"content\":\"@%llu:%llu;\"}",
                 (unsigned long long)(c->pace_ns ? c->due_ns : now), (unsigned long long)now_ns());
        put_delta(c, delta, "null");
        if (++c->sent == c->chunks) {
            put_end(c);
        } else if (c->pace_ns) {
            c->due_ns = c->begin_ns + c->sent * c->pace_ns;
            heap_settle(c->heap_at);
        }
    }
    if (!flush_out(c))
        return false;
    if (c->streaming && c->blocked) {
        heap_remove(c);
    } else if (c->streaming && !c->pace_ns) {
        c->due_ns = now_ns(); /* the others' turn */
        heap_settle(c->heap_at);
    }
    return true;
}

/* Streams that begin together are spread over the time of one chunk. */
static void begin_stream(struct connection *c, const char *body)
{
    static uint64_t phase = 88172645463325252u;
    const char *chunks = strstr(body, "chunks="), *rate = strstr(body, "rate=");
    long per_s = rate ? strtol(rate + 5, NULL, 10) : 0;
    c->chunks = chunks ? (uint32_t)strtoul(chunks + 7, NULL, 10) : 1;
    c->chunks = c->chunks ? c->chunks : 1;
    c->sent = 0;
    c->usage = strstr(body, "include_usage") != NULL;
    c->pace_ns = per_s > 0 ? 1000000000u / (uint64_t)per_s : 0;
    phase ^= phase << 13, phase ^= phase >> 7, phase ^= phase << 17;
    c->begin_ns = now_ns() + (c->pace_ns ? phase % c->pace_ns : 0);
    c->due_ns = c->begin_ns;
    c->streaming = true;
    put_out(c, stream_head, sizeof stream_head - 1);
    put_delta(c, "{\"role\":\"assistant\",\"content\":\"\"}", "null");
    heap_add(c);
}

/* ---- requests ---- */

static size_t body_length(const char *head)
{
    for (const char *line = head; (line = strstr(line, "\r\n"));) {
        line += 2;
        if (strncasecmp(line, "content-length:", 15) == 0)
            return strtoul(line + 15, NULL, 10);
    }
    return 0;
}

/* Takes one whole request from the front; false: none is there yet. */
static bool take_request(struct connection *c)
{
    c->in[c->in_bytes] = '\0';
    char *end = strstr(c->in, "\r\n\r\n");
    if (!end)
        return false;
    end[2] = '\0';
    size_t bytes = (size_t)(end + 4 - c->in) + body_length(c->in);
    end[2] = '\r';
    if (bytes > c->in_bytes)
        return false;
    char after = c->in[bytes];
    c->in[bytes] = '\0';
    const char *body = end + 4;
    if (strncmp(c->in, "POST ", 5) == 0) {
        const char *stream = strstr(body, "\"stream\":");
        if (stream && (stream[9] == 't' || (stream[9] == ' ' && stream[10] == 't')))
            begin_stream(c, body);
        else
            put_out(c, answer, sizeof answer - 1);
    } else if (strncmp(c->in, "GET /v1/models", 14) == 0) {
        put_out(c, models, sizeof models - 1);
    } else {
        put_out(c, missing, sizeof missing - 1);
    }
    c->in[bytes] = after;
    c->in_bytes -= bytes;
    memmove(c->in, c->in + bytes, c->in_bytes);
    return true;
}

static bool read_in(struct connection *c)
{
    ssize_t n = recv(c->fd, c->in + c->in_bytes, INPUT_MAX - 1 - c->in_bytes, 0);
    if (n < 0 && errno == EAGAIN)
        return true;
    if (n <= 0)
        return false;
    c->in_bytes += (size_t)n;
    while (!c->streaming && take_request(c))
        if (c->streaming && c->pace_ns == 0)
            return advance(c, now_ns());
    return flush_out(c);
}

static void handle(struct connection *c, uint32_t events)
{
    bool fine = true;
    if (events & EPOLLOUT && c->blocked) {
        fine = flush_out(c);
        if (fine && !c->blocked && c->streaming) {
            if (c->heap_at < 0)
                heap_add(c);
            fine = advance(c, now_ns());
        }
    }
    if (fine && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        fine = read_in(c);
    if (!fine)
        close_connection(c);
}

static void accept_all(int listener)
{
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        struct connection *c = fd < CONNECTIONS_MAX ? calloc(1, sizeof *c) : NULL;
        if (!c || !(c->in = malloc(INPUT_MAX))) {
            free(c);
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        c->fd = fd;
        c->heap_at = -1;
        connections[fd] = c;
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.fd = fd};
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event);
    }
}

static int listen_on(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 4096)) {
        fprintf(stderr, "peers_stub: port %d: %s\n", port, strerror(errno));
        exit(1);
    }
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event);
    return fd;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: peers_stub PORT\n");
        return 2;
    }
    struct rlimit files = {CONNECTIONS_MAX, CONNECTIONS_MAX};
    setrlimit(RLIMIT_NOFILE, &files);
    poll_fd = epoll_create1(0);
    int listener = listen_on((int)strtol(argv[1], NULL, 10));
    static struct epoll_event events[EVENTS];
    for (;;) {
        uint64_t now = now_ns();
        while (heap_count && heap[0]->due_ns <= now) {
            struct connection *c = heap[0];
            if (!advance(c, now))
                close_connection(c);
        }
        struct timespec wait = {0};
        if (heap_count && heap[0]->due_ns > (now = now_ns())) {
            wait.tv_sec = (time_t)((heap[0]->due_ns - now) / 1000000000u);
            wait.tv_nsec = (long)((heap[0]->due_ns - now) % 1000000000u);
        }
        int n = epoll_pwait2(poll_fd, events, EVENTS, heap_count ? &wait : NULL, NULL);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                accept_all(listener);
            else if (connections[events[i].data.fd])
                handle(connections[events[i].data.fd], events[i].events);
        }
    }
}
