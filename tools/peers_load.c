/* peers_load.c - the client's side of peers_front.py: asks peers_stub through whatever is between.
 *
 *     peers_load latency COUNT PORT...                one connection to each, asked in turn
 *     peers_load streams PORT STREAMS CHUNKS RATE RAMP_MS
 *                                                     so many streams at once, begun over RAMP_MS
 *     peers_load idle PORT COUNT                      connections that asked once and stay
 *     peers_load slow PORT COUNT CHUNKS               streams that nobody reads
 *
 * All print one line of JSON; times are in ns. `idle` and `slow` print it when all are there, and
 * stay until stdin ends. A stream's chunks carry the stub's stamps (peers_stub.c): `delay` is from
 * when the stub sent a chunk until it was read here, `late` from when it was due; what comes while
 * streams are still being begun isn't counted. Whatever isn't answered as it must be is counted in
 * `errors`. One thread, so that it takes one core at most. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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
    CONNECTIONS_MAX = 19000,
    PORTS_MAX = 8,
    WARM = 200, /* requests of one port before those that count */
    READ_MAX = 64 << 10,
    SLOW_BYTES = 4 << 10, /* what the kernel keeps for a reader that is slow */
    EVENTS = 512,
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void give_up(const char *what)
{
    fprintf(stderr, "peers_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static long number(const char *text)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || *end || end == text || value < 0) {
        fprintf(stderr, "peers_load: '%s' is no number\n", text);
        exit(2);
    }
    return value;
}

/* ---- figures ---- */

struct samples {
    uint64_t *ns;
    size_t count, room;
};

static void samples_add(struct samples *s, uint64_t ns)
{
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 1 << 16;
        s->ns = realloc(s->ns, s->room * sizeof *s->ns);
        if (!s->ns)
            give_up("samples");
    }
    s->ns[s->count++] = ns;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void samples_print(const char *name, struct samples *s)
{
    if (!s->count) {
        printf("\"%s\": null", name);
        return;
    }
    qsort(s->ns, s->count, sizeof *s->ns, compare);
    printf("\"%s\": {\"p50\": %llu, \"p99\": %llu, \"p999\": %llu, \"max\": %llu, \"n\": %zu}",
           name, (unsigned long long)s->ns[s->count / 2],
           (unsigned long long)s->ns[s->count * 99 / 100],
           (unsigned long long)s->ns[s->count * 999 / 1000],
           (unsigned long long)s->ns[s->count - 1], s->count);
}

/* ---- connections ---- */

/* window: bytes that the kernel keeps unread for us; 0: as it likes. */
static int connect_to(int port, int window)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        give_up("socket");
    if (window)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    /* Closed by a reset: thousands of ports that wait for their end would be missing next time. */
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    if (connect(fd, (struct sockaddr *)&address, sizeof address))
        give_up("connect");
    return fd;
}

static void ask(int fd, long chunks, long rate)
{
    char body[512], request[1024];
    int bytes = snprintf(
        body, sizeof body,
        "{\"model\": \"stub\", \"messages\": [{\"role\": \"system\", \"content\": \"You answer "
        "briefly.\"}, {\"role\": \"user\", \"content\": \"chunks=%ld rate=%ld What did the keeper "
        "of the lighthouse do every evening?\"}], \"temperature\": 0.5, \"max_tokens\": 64%s}",
        chunks, rate, chunks ? ", \"stream\": true" : "");
    bytes = snprintf(request, sizeof request,
                     "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: "
                     "application/json\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s",
                     getenv("PEERS_KEY") ? getenv("PEERS_KEY") : "none", bytes, body);
    if (send(fd, request, (size_t)bytes, MSG_NOSIGNAL) != bytes)
        give_up("send");
}

/* Reads one whole answer of a given length; false: it isn't 200, or breaks off. */
static bool read_answer(int fd)
{
    static char data[READ_MAX];
    size_t have = 0;
    for (;;) {
        ssize_t n = recv(fd, data + have, sizeof data - 1 - have, 0);
        if (n <= 0)
            return false;
        have += (size_t)n;
        data[have] = '\0';
        char *end = strstr(data, "\r\n\r\n");
        if (!end)
            continue;
        char *length = strcasestr(data, "\r\ncontent-length:");
        if (!length || length > end)
            return false;
        if (have >= (size_t)(end + 4 - data) + strtoul(length + 17, NULL, 10))
            return strncmp(data, "HTTP/1.1 200", 12) == 0;
    }
}

/* ---- latency ---- */

static int latency(long count, char **ports, int port_count)
{
    static struct samples samples[PORTS_MAX];
    int fds[PORTS_MAX];
    long errors = 0;
    for (int i = 0; i < port_count; i++)
        fds[i] = connect_to((int)number(ports[i]), 0);
    for (long n = 0; n < count + WARM; n++) {
        for (int i = 0; i < port_count; i++) {
            uint64_t begin = now_ns();
            ask(fds[i], 0, 0);
            bool fine = read_answer(fds[i]);
            uint64_t end = now_ns();
            if (!fine) {
                errors++;
                close(fds[i]);
                fds[i] = connect_to((int)number(ports[i]), 0);
            } else if (n >= WARM) {
                samples_add(&samples[i], end - begin);
            }
        }
    }
    printf("{\"errors\": %ld", errors);
    for (int i = 0; i < port_count; i++) {
        printf(", ");
        samples_print(ports[i], &samples[i]);
    }
    printf("}\n");
    return 0;
}

/* ---- streams ---- */

enum state { HEAD, SIZE, DATA, DATA_END, ENDED, BROKEN };

struct stream {
    int fd;
    enum state state;
    uint64_t left; /* of HTTP's chunk */
    int matched;   /* bytes of "\r\n\r\n" in the head, of "200" in its first line */
    int at;        /* bytes of the head */
    int stamp;     /* 0: none; 1: in the first number; 2: in the second */
    uint64_t due, sent;
    long chunks;
};

static struct samples delays, lates;

static void take_text(struct stream *s, char c, uint64_t now, bool counts)
{
    if (c == '@') {
        s->stamp = 1;
        s->due = s->sent = 0;
    } else if (s->stamp == 1 && c == ':') {
        s->stamp = 2;
    } else if (s->stamp == 2 && c == ';') {
        s->stamp = 0;
        s->chunks++;
        if (counts) {
            samples_add(&delays, now - s->sent);
            samples_add(&lates, now - s->due);
        }
    } else if (s->stamp && c >= '0' && c <= '9') {
        uint64_t *number = s->stamp == 1 ? &s->due : &s->sent;
        *number = *number * 10 + (uint64_t)(c - '0');
    } else {
        s->stamp = 0;
    }
}

static enum state take_head(struct stream *s, char c)
{
    static const char first[] = "HTTP/1.1 200 ";
    if (s->at < (int)sizeof first - 1 && first[s->at] != c)
        return BROKEN;
    s->at++;
    s->matched = c == "\r\n\r\n"[s->matched] ? s->matched + 1 : c == '\r';
    return s->matched == 4 ? SIZE : HEAD;
}

static enum state take_size(struct stream *s, char c)
{
    int digit = c >= '0' && c <= '9'                 ? c - '0'
                : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 87
                                                     : -1;
    if (digit >= 0)
        s->left = s->left * 16 + (uint64_t)digit;
    else if (c != '\r' && c != '\n')
        return BROKEN;
    return c != '\n' ? SIZE : s->left ? DATA : ENDED;
}

static void take(struct stream *s, const char *data, size_t bytes, uint64_t now, bool counts)
{
    for (size_t i = 0; i < bytes && s->state < ENDED; i++) {
        switch (s->state) {
        case HEAD:
            s->state = take_head(s, data[i]);
            break;
        case SIZE:
            s->state = take_size(s, data[i]);
            break;
        case DATA:
            take_text(s, data[i], now, counts);
            if (--s->left == 0)
                s->state = DATA_END;
            break;
        default:
            if (data[i] == '\n')
                s->state = SIZE;
        }
    }
}

static struct stream *open_streams(int port, long count, int poll_fd)
{
    struct stream *streams = calloc((size_t)count, sizeof *streams);
    if (!streams)
        give_up("streams");
    for (long i = 0; i < count; i++) {
        streams[i].fd = connect_to(port, 0);
        fcntl(streams[i].fd, F_SETFL, O_NONBLOCK);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &streams[i]};
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, streams[i].fd, &event);
    }
    return streams;
}

/* Reads what has come; true: the stream is over, one way or the other. */
static bool read_stream(struct stream *s, bool counts)
{
    static char data[READ_MAX];
    ssize_t n = recv(s->fd, data, sizeof data, 0);
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n <= 0)
        s->state = BROKEN;
    else
        take(s, data, (size_t)n, now_ns(), counts);
    if (s->state < ENDED)
        return false;
    close(s->fd);
    return true;
}

static int run_streams(int port, long count, long chunks, long rate, long ramp_ms)
{
    int poll_fd = epoll_create1(0);
    static struct epoll_event events[EVENTS];
    struct stream *streams = open_streams(port, count, poll_fd);
    long begun = 0, ended = 0, errors = 0, received = 0;
    uint64_t begin = now_ns(), ramp = (uint64_t)ramp_ms * 1000000u;
    while (ended < count) {
        uint64_t past = now_ns() - begin;
        while (begun < count && (!ramp || (uint64_t)begun * ramp / (uint64_t)count <= past))
            ask(streams[begun++].fd, chunks, rate);
        int n = epoll_wait(poll_fd, events, EVENTS, begun < count ? 1 : 10000);
        if (n < 0 && errno != EINTR)
            give_up("epoll_wait");
        if (!n && begun == count) { /* nobody says anything any more */
            errors += count - ended;
            break;
        }
        bool counts = begun == count && now_ns() - begin >= ramp;
        for (int i = 0; i < n; i++)
            ended += read_stream(events[i].data.ptr, counts);
    }
    for (long i = 0; i < count; i++) {
        received += streams[i].chunks;
        errors += streams[i].state == BROKEN ||
                  (streams[i].state == ENDED && streams[i].chunks != chunks);
    }
    printf("{\"errors\": %ld, \"chunks\": %ld, \"seconds\": %.3f, ", errors, received,
           (double)(now_ns() - begin) / 1e9);
    samples_print("delay", &delays);
    printf(", ");
    samples_print("late", &lates);
    printf("}\n");
    free(streams);
    return 0;
}

/* ---- those that stay ---- */

static void stay(long count, long errors)
{
    printf("{\"errors\": %ld, \"connections\": %ld}\n", errors, count);
    fflush(stdout);
    while (getchar() != EOF)
        ;
}

static int idle(int port, long count)
{
    long errors = 0;
    for (long i = 0; i < count; i++) {
        int fd = connect_to(port, 0);
        ask(fd, 0, 0);
        errors += !read_answer(fd);
    }
    stay(count, errors);
    return 0;
}

static int slow(int port, long count, long chunks)
{
    for (long i = 0; i < count; i++)
        ask(connect_to(port, SLOW_BYTES), chunks, 0);
    stay(count, 0);
    return 0;
}

int main(int argc, char **argv)
{
    struct rlimit files = {0};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "latency") == 0 && argc > 3 && argc <= 3 + PORTS_MAX)
        return latency(number(argv[2]), argv + 3, argc - 3);
    long count = argc > 3 ? number(argv[3]) : 0;
    if (count < 1 || count > CONNECTIONS_MAX)
        what = "";
    if (strcmp(what, "streams") == 0 && argc == 7)
        return run_streams((int)number(argv[2]), count, number(argv[4]), number(argv[5]),
                           number(argv[6]));
    if (strcmp(what, "idle") == 0 && argc == 4)
        return idle((int)number(argv[2]), count);
    if (strcmp(what, "slow") == 0 && argc == 5)
        return slow((int)number(argv[2]), count, number(argv[4]));
    fprintf(stderr, "usage: see the top of tools/peers_load.c\n");
    return 2;
}
