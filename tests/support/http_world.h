/* http_world.h - a server and its clients on one thread: the loop is turned when a client waits,
 * so that tests see both sides without locks. Over real sockets on 127.0.0.1.
 *
 * Paths: /hello and /echo answer at once; /stream is a stream in two pieces; /big a body of
 * BIG_BYTES; /hold a stream that the test writes; any other waits until the test answers.
 * A header alone: what is linked into every test and fuzzer must not need cmocka and the server.
 * Include it after <cmocka.h>. */
#ifndef HTTP_WORLD_H
#define HTTP_WORLD_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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

#include "net/http_server.h"
#include "net/loop.h"

#define HOST  "Host: a\r\n"
#define CLOSE HOST "Connection: close\r\n"

enum { HTTP_WAITING_MAX = 16, TEXT_MAX = 64 << 20, BIG_BYTES = 8 << 20, BODY_MAX = 1 << 20 };

struct http_world {
    struct ew_loop *loop;
    struct ew_http_server *server;
    struct ew_http_request *waiting[HTTP_WAITING_MAX];
    int waiting_count, gone_count, drained_count;
    uint64_t gone_ns;
    struct ew_http_params params;
};

static inline struct ew_str http_world_str(const char *text)
{
    return (struct ew_str){text, strlen(text)};
}

/* ---- the caller ---- */

static inline void http_world_answer_echo(struct ew_http_request *request)
{
    struct ew_buf out;
    struct ew_str body = ew_http_body(request);
    const char *agent = ew_http_header(request, "user-agent");
    ew_buf_init(&out, TEXT_MAX);
    assert_int_equal(ew_buf_printf(&out, NULL, "%s %s ?%s %s %s %zu:", ew_http_method(request),
                                   ew_http_path(request), ew_http_query(request),
                                   ew_http_peer(request), agent ? agent : "-", body.bytes),
                     0);
    assert_int_equal(ew_buf_add(&out, body.data, body.bytes, NULL), 0);
    ew_http_add_header(request, "X-Made", "of \r\nthis");
    ew_http_reply(request, 200, "text/plain", (struct ew_str){out.data, out.bytes});
    ew_buf_fini(&out);
}

static inline void http_world_answer_big(struct ew_http_request *request)
{
    char *big = malloc(BIG_BYTES);
    assert_non_null(big);
    memset(big, 'b', BIG_BYTES);
    ew_http_reply(request, 200, "text/plain", (struct ew_str){big, BIG_BYTES});
    free(big);
}

static inline void http_world_handle(void *user, struct ew_http_request *request)
{
    struct http_world *world = user;
    const char *path = ew_http_path(request);
    if (strcmp(path, "/hello") == 0) {
        ew_http_reply(request, 200, "text/plain", http_world_str("hello"));
    } else if (strcmp(path, "/nothing") == 0) {
        ew_http_reply(request, 204, NULL, http_world_str(""));
    } else if (strcmp(path, "/echo") == 0) {
        http_world_answer_echo(request);
    } else if (strcmp(path, "/big") == 0) {
        http_world_answer_big(request);
    } else if (strcmp(path, "/stream") == 0) {
        ew_http_stream_start(request, 200, "text/event-stream");
        assert_int_equal(ew_http_stream_write(request, http_world_str("one"), NULL), 0);
        assert_int_equal(ew_http_stream_write(request, http_world_str(""), NULL), 0);
        assert_int_equal(ew_http_stream_write(request, http_world_str("twotwotwotwotwotwo"), NULL),
                         0);
        ew_http_stream_end(request);
    } else {
        assert_true(world->waiting_count < HTTP_WAITING_MAX);
        world->waiting[world->waiting_count++] = request;
        ew_http_set_user(request, world);
        if (strcmp(path, "/hold") == 0)
            ew_http_stream_start(request, 200, "text/plain");
    }
}

static inline void http_world_gone(void *user, struct ew_http_request *request)
{
    struct http_world *world = user;
    assert_ptr_equal(ew_http_user(request), world);
    assert_non_null(ew_http_path(request)); /* may still be read */
    world->gone_count++;
    world->gone_ns = ew_clock_now_ns(&ew_clock_real);
}

static inline void http_world_drained(void *user, struct ew_http_request *request)
{
    struct http_world *world = user;
    assert_int_equal(ew_http_stream_unsent(request), 0);
    world->drained_count++;
}

static inline void http_world_error(void *user, int status, const char *message,
                                    struct ew_buf *body)
{
    (void)user;
    assert_int_equal(ew_buf_printf(body, NULL, "{\"status\":%d,\"why\":\"%s\"}", status, message),
                     0);
}

static inline struct ew_http_params http_world_params(void)
{
    return (struct ew_http_params){
        .address = "127.0.0.1",
        .body_bytes_max = BODY_MAX,
        .connections_max = 100,
        .header_timeout_s = 20,
        .body_timeout_s = 20,
        .idle_timeout_s = 20,
        .write_timeout_s = 20,
        .handle = http_world_handle,
        .gone = http_world_gone,
        .drained = http_world_drained,
        .error = http_world_error,
    };
}

static inline void http_world_open(struct http_world *world, const struct ew_http_params *params)
{
    struct ew_err err = {0};
    *world = (struct http_world){.params = *params};
    world->params.user = world;
    assert_int_equal(ew_loop_open(&world->loop, &err), 0);
    if (ew_http_server_open(&world->server, ew_loop_base(world->loop), &world->params, &err) != 0)
        fail_msg("%s", err.text);
}

static inline void http_world_close(struct http_world *world)
{
    ew_http_server_close(&world->server);
    assert_null(world->server);
    ew_loop_close(&world->loop);
}

static inline void http_world_turn(struct http_world *world)
{
    assert_int_equal(ew_loop_turn(world->loop, NULL), 0);
}

static inline void http_world_turn_for(struct http_world *world, double seconds)
{
    uint64_t until = ew_clock_now_ns(&ew_clock_real) + (uint64_t)(seconds * 1e9);
    while (ew_clock_now_ns(&ew_clock_real) < until) {
        http_world_turn(world);
        usleep(500);
    }
}

/* Turns the loop until *count is wanted; a test that waits 10 s has failed. */
static inline void http_world_turn_until(struct http_world *world, const int *count, int wanted)
{
    for (int i = 0; *count != wanted; i++) {
        if (i == 20000)
            fail_msg("waited for %d, there are %d", wanted, *count);
        http_world_turn(world);
        if (*count != wanted)
            usleep(500);
    }
}

static inline struct ew_http_counts http_world_counts(const struct http_world *world)
{
    struct ew_http_counts out;
    ew_http_server_counts(world->server, &out);
    return out;
}

/* ---- the client ---- */

static inline int http_world_connect(struct http_world *world)
{
    const struct sockaddr_in at = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)ew_http_server_port(world->server)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

/* A server that closes early is no fault here: what it said is looked at afterwards. */
static inline void http_world_say_bytes(struct http_world *world, int fd, const char *bytes,
                                        size_t count)
{
    while (count) {
        ssize_t n = send(fd, bytes, count, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return;
        bytes += n > 0 ? n : 0;
        count -= n > 0 ? (size_t)n : 0;
        http_world_turn(world);
    }
}

static inline void http_world_say(struct http_world *world, int fd, const char *text)
{
    http_world_say_bytes(world, fd, text, strlen(text));
}

enum heard { HEARD_END, HEARD_RESET, HEARD_ENOUGH };

/* Appends to out until it ends with `enough`, or the server closes. */
static inline enum heard http_world_listen(struct http_world *world, int fd, const char *enough,
                                           struct ew_buf *out)
{
    char piece[65536];
    size_t wanted = enough ? strlen(enough) : 0;
    for (int i = 0; i < 20000; i++) {
        ssize_t n;
        while ((n = recv(fd, piece, sizeof piece, 0)) > 0)
            assert_int_equal(ew_buf_add(out, piece, (size_t)n, NULL), 0);
        if (n == 0)
            return HEARD_END;
        if (errno != EAGAIN)
            return HEARD_RESET;
        if (wanted && out->bytes >= wanted &&
            memcmp(out->data + out->bytes - wanted, enough, wanted) == 0)
            return HEARD_ENOUGH;
        http_world_turn(world);
        struct pollfd ask = {.fd = fd, .events = POLLIN};
        poll(&ask, 1, 1);
    }
    fail_msg("nothing more after: %.500s", ew_buf_cstr(out));
    return HEARD_END;
}

/* The date is different each second: left out. Gives what must be freed. */
static inline char *http_world_text_of(const struct ew_buf *heard)
{
    char *text = malloc(heard->bytes + 1);
    assert_non_null(text);
    memcpy(text, ew_buf_cstr(heard), heard->bytes + 1);
    for (char *date; (date = strstr(text, "Date: ")) != NULL;) {
        char *end = strstr(date, "GMT\r\n");
        assert_non_null(end);
        assert_int_equal(end - date, strlen("Date: Tue, 24 Nov 2026 00:00:00 "));
        memmove(date, end + 5, strlen(end + 5) + 1);
    }
    return text;
}

/* Says `ask` on a new connection, expects `answer` (without Date) and the connection's end. */
static inline void http_world_check_talk(struct http_world *world, const char *ask,
                                         const char *answer)
{
    struct ew_buf heard;
    ew_buf_init(&heard, TEXT_MAX);
    int fd = http_world_connect(world);
    http_world_say(world, fd, ask);
    assert_int_equal(http_world_listen(world, fd, NULL, &heard), HEARD_END);
    char *text = http_world_text_of(&heard);
    assert_string_equal(text, answer);
    free(text);
    close(fd);
    ew_buf_fini(&heard);
}

static inline void http_world_check_contains(const struct ew_buf *heard, const char *what)
{
    if (!memmem(ew_buf_cstr(heard), heard->bytes, what, strlen(what)))
        fail_msg("no '%s' in: %.2000s", what, ew_buf_cstr(heard));
}

#endif
