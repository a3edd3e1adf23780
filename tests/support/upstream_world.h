/* upstream_world.h - a client and the servers that it asks, on one thread: the loop is turned when
 * a server waits, so that tests see both sides without locks. The server is a bare socket whose
 * bytes the test writes, for what no well-behaved one would say.
 *
 * A header alone: what is linked into every test and fuzzer must not need cmocka and the client.
 * Include it after <cmocka.h>. */
#ifndef UPSTREAM_WORLD_H
#define UPSTREAM_WORLD_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/loop.h"
#include "net/upstream.h"

#define OK200 "HTTP/1.1 200 OK\r\n"
#define HELLO OK200 "Content-Length: 5\r\n\r\nhello"

enum { UPSTREAM_TURNS_MAX = 20000, UPSTREAM_BODY_MAX = 64 << 20 };

struct upstream_world {
    struct ew_loop *loop;
    struct ew_upstreams *upstreams;
    int listens, port;
};

/* What a call was told. */
struct upstream_told {
    struct upstream_world *world;
    struct ew_upstream_call *call;
    int heads, pieces, ends; /* how often */
    int status;
    char type[64], header[100]; /* of X-Test */
    double retry_after_s;
    struct ew_buf body;
    struct ew_upstream_result result;
    /* What the callbacks do: nothing, unless set. */
    bool cancel_in_head, cancel_in_data, pause_in_data, pause_in_head;
    void (*at_end)(struct upstream_told *told);
    bool inside; /* a call of the test's */
};

static inline void upstream_world_turn(struct upstream_world *world)
{
    assert_int_equal(ew_loop_turn(world->loop, NULL), 0);
}

static inline void upstream_world_turn_for(struct upstream_world *world, double seconds)
{
    uint64_t until = ew_clock_now_ns(&ew_clock_real) + (uint64_t)(seconds * 1e9);
    do {
        upstream_world_turn(world);
        usleep(200);
    } while (ew_clock_now_ns(&ew_clock_real) < until);
}

/* Turns the loop until *count is wanted; a test that waits for 20 s has failed. */
static inline void upstream_world_until(struct upstream_world *world, const int *count, int wanted)
{
    for (int i = 0; *count != wanted; i++) {
        if (i == UPSTREAM_TURNS_MAX)
            fail_msg("waited for %d, there are %d", wanted, *count);
        upstream_world_turn(world);
        if (*count != wanted)
            usleep(i < 100 ? 50 : 1000);
    }
}

static inline void upstream_world_open(struct upstream_world *world)
{
    struct ew_err err = {0};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof at;
    *world = (struct upstream_world){0};
    assert_int_equal(ew_loop_open(&world->loop, &err), 0);
    if (ew_upstreams_open(&world->upstreams, world->loop, &err) != 0)
        fail_msg("%s", err.text);
    world->listens = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(world->listens, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(world->listens, 64), 0);
    assert_int_equal(getsockname(world->listens, (struct sockaddr *)&at, &bytes), 0);
    world->port = ntohs(at.sin_port);
}

static inline struct ew_upstream_counts upstream_world_counts(const struct upstream_world *world)
{
    struct ew_upstream_counts counts;
    ew_upstreams_counts(world->upstreams, &counts);
    return counts;
}

static inline void upstream_world_close(struct upstream_world *world)
{
    assert_int_equal(upstream_world_counts(world).active, 0);
    if (world->listens >= 0)
        close(world->listens);
    ew_upstreams_close(&world->upstreams);
    assert_null(world->upstreams);
    ew_loop_close(&world->loop);
}

/* ---- the caller ---- */

static inline void upstream_told_head(void *user, const struct ew_upstream_head *head)
{
    struct upstream_told *told = user;
    assert_false(told->inside);
    assert_int_equal(told->ends + told->heads + told->pieces, 0);
    told->heads++;
    told->status = head->status;
    told->retry_after_s = head->retry_after_s;
    snprintf(told->type, sizeof told->type, "%s", head->type);
    const char *value = head->header(head, "x-test");
    snprintf(told->header, sizeof told->header, "%s", value ? value : "(none)");
    if (told->cancel_in_head)
        ew_upstream_cancel(&told->call);
    if (told->pause_in_head)
        ew_upstream_pause(told->call);
}

static inline void upstream_told_data(void *user, struct ew_str bytes)
{
    struct upstream_told *told = user;
    assert_false(told->inside);
    assert_true(bytes.bytes > 0);
    assert_int_equal(told->ends, 0);
    assert_int_equal(told->heads, 1);
    told->pieces++;
    assert_int_equal(ew_buf_add(&told->body, bytes.data, bytes.bytes, NULL), 0);
    if (told->cancel_in_data)
        ew_upstream_cancel(&told->call);
    if (told->pause_in_data)
        ew_upstream_pause(told->call);
}

static inline void upstream_told_end(void *user, const struct ew_upstream_result *result)
{
    struct upstream_told *told = user;
    assert_false(told->inside);
    assert_int_equal(told->ends, 0);
    told->ends++;
    told->result = *result;
    told->call = NULL;
    assert_int_equal(result->failure == EW_UPSTREAM_NONE, result->why[0] == '\0');
    if (told->at_end)
        told->at_end(told);
}

static inline struct ew_upstream_ask upstream_told_ask(struct upstream_told *told)
{
    return (struct ew_upstream_ask){
        .method = "GET",
        .connect_timeout_s = 10,
        .head_timeout_s = 10,
        .stall_timeout_s = 10,
        .user = told,
        .head = upstream_told_head,
        .data = upstream_told_data,
        .end = upstream_told_end,
    };
}

static inline void upstream_told_init(struct upstream_told *told, struct upstream_world *world)
{
    *told = (struct upstream_told){.world = world};
    ew_buf_init(&told->body, UPSTREAM_BODY_MAX);
}

/* `path` of the world's own socket, where the ask has no URL. */
static inline void upstream_told_begin(struct upstream_told *told, struct upstream_world *world,
                                       const struct ew_upstream_ask *ask, const char *path)
{
    char url[200];
    struct ew_err err = {0};
    struct ew_upstream_ask own = *ask;
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", world->port, path);
    own.url = ask->url ? ask->url : url;
    told->inside = true;
    if (ew_upstream_begin(world->upstreams, &own, &told->call, &err) != 0)
        fail_msg("%s", err.text);
    told->inside = false;
    memset(url, 'x', sizeof url); /* it was copied */
}

static inline void upstream_told_get(struct upstream_told *told, struct upstream_world *world,
                                     const char *path)
{
    upstream_told_init(told, world);
    const struct ew_upstream_ask ask = upstream_told_ask(told);
    upstream_told_begin(told, world, &ask, path);
}

static inline void upstream_told_fini(struct upstream_told *told)
{
    ew_buf_fini(&told->body);
}

static inline void upstream_told_check_whole(const struct upstream_told *told, const char *body)
{
    if (told->result.failure != EW_UPSTREAM_NONE)
        fail_msg("%s", told->result.why);
    assert_int_equal(told->heads, 1);
    assert_int_equal(told->ends, 1);
    assert_string_equal(ew_buf_cstr(&told->body), body);
    const struct ew_upstream_result *result = &told->result;
    assert_true(result->connected_ns && result->connected_ns <= result->sent_ns);
    assert_true(result->sent_ns <= result->head_ns && result->head_ns <= result->ended_ns);
}

static inline void upstream_told_check_failed(const struct upstream_told *told,
                                              enum ew_upstream_failure failure, const char *why)
{
    assert_int_equal(told->ends, 1);
    if (told->result.failure != failure || !strstr(told->result.why, why))
        fail_msg("%s: %s; wanted %s: %s", ew_upstream_failure_name(told->result.failure),
                 told->result.why, ew_upstream_failure_name(failure), why);
    const char *cause = told->result.cause;
    if (!*cause || strstr(cause, "127.0.0.1") || strstr(cause, "localhost") || strchr(cause, '['))
        fail_msg("'%s' is no cause for strangers to hear", cause);
}

/* ---- the server ---- */

static inline int upstream_world_accept(struct upstream_world *world)
{
    for (int i = 0; i < UPSTREAM_TURNS_MAX; i++) {
        int fd = accept4(world->listens, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            return fd;
        assert_true(errno == EAGAIN);
        upstream_world_turn(world);
        usleep(i < 100 ? 50 : 1000);
    }
    fail_msg("nobody connects");
    return -1;
}

/* Appends to out until `enough` is in it; false: the client closed or reset before. */
static inline bool upstream_world_hear(struct upstream_world *world, int fd, const char *enough,
                                       struct ew_buf *out)
{
    char piece[65536];
    for (int i = 0; i < UPSTREAM_TURNS_MAX; i++) {
        ssize_t n;
        while ((n = recv(fd, piece, sizeof piece, 0)) > 0) {
            assert_int_equal(ew_buf_add(out, piece, (size_t)n, NULL), 0);
            if (enough && memmem(out->data, out->bytes, enough, strlen(enough)))
                return true;
        }
        if (n == 0 || errno != EAGAIN)
            return false;
        upstream_world_turn(world);
        struct pollfd ask = {.fd = fd, .events = POLLIN};
        poll(&ask, 1, 1);
    }
    fail_msg("nothing more after: %.500s", ew_buf_cstr(out));
    return false;
}

/* The head of a request is there. */
static inline void upstream_world_hear_request(struct upstream_world *world, int fd)
{
    struct ew_buf heard;
    ew_buf_init(&heard, UPSTREAM_BODY_MAX);
    assert_true(upstream_world_hear(world, fd, "\r\n\r\n", &heard));
    ew_buf_fini(&heard);
}

static inline void upstream_world_say_bytes(struct upstream_world *world, int fd, const char *bytes,
                                            size_t count)
{
    while (count) {
        ssize_t n = send(fd, bytes, count, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return;
        bytes += n > 0 ? n : 0;
        count -= n > 0 ? (size_t)n : 0;
        upstream_world_turn(world);
    }
}

static inline void upstream_world_say(struct upstream_world *world, int fd, const char *text)
{
    upstream_world_say_bytes(world, fd, text, strlen(text));
}

static inline void upstream_world_answer_hello(struct upstream_world *world, int fd,
                                               struct upstream_told *told)
{
    upstream_world_hear_request(world, fd);
    upstream_world_say(world, fd, HELLO);
    upstream_world_until(world, &told->ends, 1);
    upstream_told_check_whole(told, "hello");
}

enum upstream_goodbye { UPSTREAM_POLITE, UPSTREAM_RESET };

static inline void upstream_world_hang_up(int fd, enum upstream_goodbye how)
{
    const struct linger none = {.l_onoff = 1, .l_linger = 0};
    if (how == UPSTREAM_RESET)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    close(fd);
}

/* The client closes within so many turns: nothing else is waited for. */
static inline void upstream_world_check_closed(struct upstream_world *world, int fd)
{
    struct ew_buf heard;
    ew_buf_init(&heard, UPSTREAM_BODY_MAX);
    assert_false(upstream_world_hear(world, fd, NULL, &heard));
    ew_buf_fini(&heard);
    close(fd);
}

#endif
