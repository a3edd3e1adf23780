/* test_http_server.c - answers, refusals, draining and the machine's limits, over real sockets;
 * support/http_world.h says how. test_http_conn.c has clients that go or are slow. */
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/http_world.h"

/* ---- answers ---- */

static void test_answers_whole_streamed_and_to_head(void **state)
{
    (void)state;
    struct http_world world;
    const struct ew_http_params params = http_world_params();
    http_world_open(&world, &params);
    http_world_check_talk(&world, "GET /hello HTTP/1.1\r\n" CLOSE "\r\n",
                          "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
                          "Connection: close\r\n\r\nhello");
    http_world_check_talk(&world, "HEAD /hello HTTP/1.1\r\n" CLOSE "\r\n",
                          "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
                          "Connection: close\r\n\r\n");
    http_world_check_talk(&world, "GET /nothing HTTP/1.1\r\n" CLOSE "\r\n",
                          "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    http_world_check_talk(
        &world, "GET /stream HTTP/1.1\r\n" CLOSE "\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
        "Connection: close\r\n\r\n3\r\none\r\n12\r\ntwotwotwotwotwotwo\r\n0\r\n\r\n");
    http_world_check_talk(
        &world, "HEAD /stream HTTP/1.1\r\n" CLOSE "\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
        "Connection: close\r\n\r\n");
    http_world_check_talk(
        &world, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        "onetwotwotwotwotwotwo");
    http_world_check_talk(
        &world,
        "PUT /echo?a=b HTTP/1.1\r\n" CLOSE "User-Agent: me\r\nContent-Length: 4\r\n\r\nbody",
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 34\r\n"
        "Connection: close\r\nX-Made: of this\r\n\r\nPUT /echo ?a=b 127.0.0.1 me 4:body");
    struct ew_http_counts now = http_world_counts(&world);
    assert_int_equal(now.requests, 7);
    assert_int_equal(now.accepted, 7);
    assert_int_equal(now.active, 0);
    http_world_close(&world);
}

static void test_http_10_keeps_the_connection_when_asked(void **state)
{
    (void)state;
    struct http_world world;
    const struct ew_http_params params = http_world_params();
    http_world_open(&world, &params);
    http_world_check_talk(
        &world, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /hello HTTP/1.0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
        "Connection: keep-alive\r\n\r\nhello"
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
        "Connection: close\r\n\r\nhello");
    http_world_close(&world);
}

static void test_pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    struct http_world world;
    const struct ew_http_params params = http_world_params();
    struct ew_buf heard;
    http_world_open(&world, &params);
    ew_buf_init(&heard, TEXT_MAX);
    int fd = http_world_connect(&world);
    http_world_say(&world, fd,
                   "GET /wait?1 HTTP/1.1\r\n" HOST "\r\nGET /wait?2 HTTP/1.1\r\n" HOST
                   "\r\nGET /stream HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" CLOSE "\r\n");
    http_world_turn_until(&world, &world.waiting_count, 1);
    http_world_turn_for(&world, 0.05);
    assert_int_equal(world.waiting_count, 1); /* the second isn't there before the first's answer */
    assert_string_equal(ew_http_query(world.waiting[0]), "1");
    assert_int_equal(http_world_counts(&world).active, 1);
    ew_http_reply(world.waiting[0], 200, "text/plain", http_world_str("first"));
    assert_int_equal(world.waiting_count, 1); /* nor inside the call that answers */
    http_world_turn_until(&world, &world.waiting_count, 2);
    assert_string_equal(ew_http_query(world.waiting[1]), "2");
    ew_http_reply(world.waiting[1], 429, "text/plain", http_world_str("second"));
    assert_int_equal(http_world_listen(&world, fd, NULL, &heard), HEARD_END);
    const char *first = strstr(heard.data, "first"), *second = strstr(heard.data, "second");
    const char *third = strstr(heard.data, "onetwo"), *fourth = strstr(heard.data, "hello");
    third = strstr(heard.data, "3\r\none");
    assert_true(first && first < second && second < third && third < fourth);
    http_world_check_contains(&heard, "HTTP/1.1 429 Too Many Requests\r\n");
    assert_int_equal(world.gone_count, 0);
    close(fd);
    ew_buf_fini(&heard);
    http_world_close(&world);
}

static void test_a_body_comes_whole_however_it_is_cut(void **state)
{
    (void)state;
    struct http_world world;
    const struct ew_http_params params = http_world_params();
    http_world_open(&world, &params);
    struct ew_buf ask, heard;
    ew_buf_init(&ask, TEXT_MAX);
    ew_buf_init(&heard, TEXT_MAX);
    int fd = http_world_connect(&world);
    char head[100];
    snprintf(head, sizeof head, "PUT /echo HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n",
             BODY_MAX);
    assert_int_equal(ew_buf_text(&ask, head, NULL), 0);
    for (int i = 0; i < BODY_MAX; i++)
        assert_int_equal(ew_buf_add(&ask, &"0123456789"[i % 10], 1, NULL), 0);
    http_world_say_bytes(&world, fd, ask.data, ask.bytes);
    assert_int_equal(http_world_listen(&world, fd, "6789012345", &heard), HEARD_ENOUGH);
    assert_memory_equal(heard.data + heard.bytes - BODY_MAX, ask.data + ask.bytes - BODY_MAX,
                        BODY_MAX);
    /* The same connection, by chunks, a byte at a time. */
    const char *chunked = "PUT /echo HTTP/1.1\r\n" CLOSE "Transfer-Encoding: chunked\r\n\r\n"
                          "3;x\r\nabc\r\n4\r\ndefg\r\n0\r\nA: b\r\n\r\n";
    ew_buf_clear(&heard);
    for (const char *at = chunked; *at; at++)
        http_world_say_bytes(&world, fd, at, 1);
    assert_int_equal(http_world_listen(&world, fd, NULL, &heard), HEARD_END);
    http_world_check_contains(&heard, "- 7:abcdefg");
    close(fd);
    ew_buf_fini(&ask);
    ew_buf_fini(&heard);
    http_world_close(&world);
}

static void test_100_continue_is_said_when_the_body_is_wanted(void **state)
{
    (void)state;
    struct http_world world;
    const struct ew_http_params params = http_world_params();
    http_world_open(&world, &params);
    struct ew_buf heard;
    ew_buf_init(&heard, TEXT_MAX);
    int fd = http_world_connect(&world);
    http_world_say(&world, fd,
                   "PUT /echo HTTP/1.1\r\n" CLOSE
                   "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_int_equal(http_world_listen(&world, fd, "\r\n\r\n", &heard), HEARD_ENOUGH);
    assert_string_equal(heard.data, "HTTP/1.1 100 Continue\r\n\r\n");
    http_world_say(&world, fd, "a");
    http_world_turn_for(&world, 0.01);
    http_world_say(&world, fd, "b");
    assert_int_equal(http_world_listen(&world, fd, NULL, &heard), HEARD_END);
    http_world_check_contains(&heard, "Continue\r\n\r\nHTTP/1.1 200 OK\r\n");
    http_world_check_contains(&heard, " 2:ab");
    close(fd);
    /* A body that is refused isn't asked for. */
    ew_buf_clear(&heard);
    fd = http_world_connect(&world);
    http_world_say(&world, fd,
                   "PUT /echo HTTP/1.1\r\n" HOST
                   "Expect: 100-continue\r\nContent-Length: 9999999\r\n\r\n");
    assert_int_equal(http_world_listen(&world, fd, NULL, &heard), HEARD_END);
    assert_memory_equal(heard.data, "HTTP/1.1 413 ", 13);
    close(fd);
    ew_buf_fini(&heard);
    http_world_close(&world);
}

/* ---- refusals ---- */

static void test_what_is_refused_is_told_in_json_and_closed(void **state)
{
    (void)state;
    static const struct {
        const char *ask, *status;
    } cases[] = {
        {"GET /hello HTTP/1.1\r\n\r\n", "400 Bad Request"},
        {"GET /hello HTTP/3.0\r\n\r\n", "505 HTTP Version Not Supported"},
        {"PUT /echo HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
         "0\r\n\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n",
         "400 Bad Request"},
        {"PUT /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: br\r\n\r\n", "501 Not Implemented"},
    };
    struct http_world world;
    const struct ew_http_params params = http_world_params();
    http_world_open(&world, &params);
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        struct ew_buf heard;
        ew_buf_init(&heard, TEXT_MAX);
        int fd = http_world_connect(&world);
        http_world_say(&world, fd, cases[i].ask);
        assert_int_equal(http_world_listen(&world, fd, NULL, &heard), HEARD_END);
        http_world_check_contains(&heard, cases[i].status);
        http_world_check_contains(&heard, "Content-Type: application/json\r\n");
        http_world_check_contains(&heard, "Connection: close\r\n");
        http_world_check_contains(&heard, "{\"status\":");
        assert_null(strstr(heard.data, "}HTTP/")); /* one answer, whatever followed */
        close(fd);
        ew_buf_fini(&heard);
    }
    assert_int_equal(http_world_counts(&world).malformed, EW_COUNT(cases));
    assert_int_equal(http_world_counts(&world).requests, 0);
    http_world_close(&world);
}

/* The client goes on sending, reads nothing before it has sent all, and still gets its answer. */
static void test_413_comes_before_the_body_and_is_read_after_it(void **state)
{
    (void)state;
    struct http_world world;
    const struct ew_http_params params = http_world_params();
    http_world_open(&world, &params);
    struct ew_buf heard;
    ew_buf_init(&heard, TEXT_MAX);
    int fd = http_world_connect(&world);
    http_world_say(&world, fd, "PUT /echo HTTP/1.1\r\n" HOST "Content-Length: 20000000\r\n\r\n");
    http_world_turn_for(&world, 0.02);
    assert_int_equal(http_world_counts(&world).refused, 1);
    char *body = calloc(1, 20000000);
    assert_non_null(body);
    http_world_say_bytes(&world, fd, body, 20000000);
    free(body);
    assert_int_equal(http_world_listen(&world, fd, NULL, &heard), HEARD_END);
    assert_memory_equal(heard.data, "HTTP/1.1 413 Content Too Large\r\n", 32);
    http_world_check_contains(&heard, "\"status\":413");
    close(fd);
    ew_buf_fini(&heard);
    http_world_close(&world);
}

static void test_more_connections_than_allowed_get_503(void **state)
{
    (void)state;
    struct http_world world;
    struct ew_http_params params = http_world_params();
    params.connections_max = 2;
    http_world_open(&world, &params);
    int one = http_world_connect(&world), two = http_world_connect(&world);
    http_world_turn_for(&world, 0.02);
    struct ew_buf heard;
    ew_buf_init(&heard, TEXT_MAX);
    int three = http_world_connect(&world);
    assert_int_equal(http_world_listen(&world, three, NULL, &heard), HEARD_END);
    assert_memory_equal(heard.data, "HTTP/1.1 503 ", 13);
    close(one);
    close(three);
    http_world_turn_for(&world, 0.02);
    http_world_check_talk(&world, "GET /nothing HTTP/1.1\r\n" CLOSE "\r\n",
                          "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    close(two);
    ew_buf_fini(&heard);
    http_world_close(&world);
}

/* ---- the caller cuts ---- */

static void test_abort_is_no_proper_end(void **state)
{
    (void)state;
    struct http_world world;
    const struct ew_http_params params = http_world_params();
    http_world_open(&world, &params);
    struct ew_buf heard;
    ew_buf_init(&heard, TEXT_MAX);
    int fd = http_world_connect(&world);
    http_world_say(&world, fd, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    http_world_turn_until(&world, &world.waiting_count, 1);
    assert_int_equal(ew_http_stream_write(world.waiting[0], http_world_str("part"), NULL), 0);
    ew_http_abort(world.waiting[0]);
    assert_int_equal(http_world_listen(&world, fd, NULL, &heard), HEARD_END);
    assert_string_equal(heard.data + heard.bytes - 9, "4\r\npart\r\n"); /* no last chunk */
    close(fd);
    static const char *const asks[] = {"GET /hold HTTP/1.0\r\n\r\n",
                                       "GET /wait HTTP/1.1\r\n" HOST "\r\n"};
    for (int i = 0; i < 2; i++) {
        fd = http_world_connect(&world);
        http_world_say(&world, fd, asks[i]);
        http_world_turn_until(&world, &world.waiting_count, 2 + i);
        ew_http_abort(world.waiting[1 + i]);
        assert_int_equal(http_world_listen(&world, fd, NULL, &heard), HEARD_RESET);
        close(fd);
    }
    http_world_turn_for(&world, 0.02);
    assert_int_equal(world.gone_count, 0);
    assert_int_equal(http_world_counts(&world).connections, 0);
    ew_buf_fini(&heard);
    http_world_close(&world);
}

/* ---- the end of the server ---- */

static void test_drain_closes_the_idle_and_lets_answers_end(void **state)
{
    (void)state;
    struct http_world world;
    const struct ew_http_params params = http_world_params();
    http_world_open(&world, &params);
    struct ew_buf heard;
    ew_buf_init(&heard, TEXT_MAX);
    int idle = http_world_connect(&world), busy = http_world_connect(&world),
        streaming = http_world_connect(&world);
    http_world_say(&world, idle, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(http_world_listen(&world, idle, "hello", &heard), HEARD_ENOUGH);
    http_world_say(&world, busy, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
    http_world_turn_until(&world, &world.waiting_count, 1);
    http_world_say(&world, streaming, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    http_world_turn_until(&world, &world.waiting_count, 2);
    /* In the kernel's queue already, with its request: served. With nothing said: closed soon. */
    int late = http_world_connect(&world), silent = http_world_connect(&world);
    assert_true(send(late, "GET /hello HTTP/1.1\r\n" HOST "\r\n", 32, MSG_NOSIGNAL) == 32);
    ew_http_server_drain(world.server);
    ew_buf_clear(&heard);
    assert_int_equal(http_world_listen(&world, idle, NULL, &heard), HEARD_END);
    assert_int_equal(heard.bytes, 0);
    assert_int_equal(http_world_listen(&world, late, NULL, &heard), HEARD_END);
    http_world_check_contains(&heard, "Connection: close\r\n");
    http_world_check_contains(&heard, "hello");
    assert_int_equal(http_world_listen(&world, silent, NULL, &heard), HEARD_END);
    ew_http_reply(world.waiting[0], 200, "text/plain", http_world_str("done"));
    ew_buf_clear(&heard);
    assert_int_equal(http_world_listen(&world, busy, NULL, &heard), HEARD_END);
    http_world_check_contains(&heard, "Connection: close\r\n");
    http_world_check_contains(&heard, "\r\n\r\ndone");
    assert_int_equal(ew_http_stream_write(world.waiting[1], http_world_str("x"), NULL), 0);
    ew_http_stream_end(world.waiting[1]);
    assert_int_equal(http_world_listen(&world, streaming, NULL, &heard), HEARD_END);
    http_world_check_contains(&heard, "1\r\nx\r\n0\r\n\r\n");
    int fds[] = {idle, busy, streaming, late, silent};
    for (size_t i = 0; i < EW_COUNT(fds); i++)
        close(fds[i]);
    http_world_turn_for(&world, 0.02);
    assert_int_equal(http_world_counts(&world).connections, 0);
    ew_buf_fini(&heard);
    http_world_close(&world);
}

static void test_close_tells_gone_for_what_is_not_answered(void **state)
{
    (void)state;
    struct http_world world;
    const struct ew_http_params params = http_world_params();
    http_world_open(&world, &params);
    int one = http_world_connect(&world), two = http_world_connect(&world),
        half = http_world_connect(&world);
    http_world_say(&world, one, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
    http_world_say(&world, two, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    http_world_say(&world, half, "GET /hel");
    http_world_turn_until(&world, &world.waiting_count, 2);
    ew_http_server_close(&world.server);
    assert_int_equal(world.gone_count, 2);
    close(one);
    close(two);
    close(half);
    ew_loop_close(&world.loop);
}

/* ---- the machine ---- */

/* Without descriptors accepting rests instead of spinning; when one is free again it goes on. */
static void test_no_descriptors_left_is_waited_out(void **state)
{
    (void)state;
    struct http_world world;
    const struct ew_http_params params = http_world_params();
    http_world_open(&world, &params);
    int fd = http_world_connect(&world), probe = dup(fd);
    struct rlimit old, few;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    assert_true(probe >= 0);
    close(probe);
    few = old;
    few.rlim_cur = (rlim_t)probe; /* the lowest free one is one too many */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_true(send(fd, "GET /nothing HTTP/1.1\r\n" CLOSE "\r\n", 53, MSG_NOSIGNAL) > 0);
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    struct ew_loop_timer *stop;
    assert_int_equal(
        ew_loop_timer_open(&stop, world.loop, (ew_loop_fn *)ew_loop_stop, world.loop, NULL), 0);
    ew_loop_timer_set(stop, 0.3);
    assert_int_equal(ew_loop_run(world.loop, NULL), 0);
    getrusage(RUSAGE_SELF, &after);
    assert_int_equal(http_world_counts(&world).accepted, 0);
    long used_us = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000 +
                   (after.ru_utime.tv_usec - before.ru_utime.tv_usec) +
                   (after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000000 +
                   (after.ru_stime.tv_usec - before.ru_stime.tv_usec);
    assert_true(used_us < 50000);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    struct ew_buf heard;
    ew_buf_init(&heard, TEXT_MAX);
    assert_int_equal(http_world_listen(&world, fd, NULL, &heard), HEARD_END);
    http_world_check_contains(&heard, "204 No Content");
    close(fd);
    ew_buf_fini(&heard);
    ew_loop_timer_close(&stop);
    http_world_close(&world);
}

static void test_the_soft_limit_of_files_is_raised_to_what_connections_need(void **state)
{
    (void)state;
    struct http_world world;
    struct ew_http_params params = http_world_params();
    struct rlimit old, now;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    const rlim_t hard = old.rlim_max;
    now = (struct rlimit){64, hard};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
    params.connections_max = 300;
    http_world_open(&world, &params);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    assert_true(now.rlim_cur == hard || now.rlim_cur >= 300 + 64);
    assert_true(now.rlim_cur <= 1000 && now.rlim_max == hard); /* and not to all there is */
    http_world_close(&world);
    setrlimit(RLIMIT_NOFILE, &old);
    params.connections_max = 1;
    http_world_open(&world, &params);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    assert_true(now.rlim_cur == old.rlim_cur || old.rlim_cur < 1 + 256); /* never lowered */
    http_world_close(&world);
    setrlimit(RLIMIT_NOFILE, &old);
}

/* A reset behind a full read-ahead is where libevent would spin: the loop must sleep there. */
static void test_waiting_costs_no_time_of_the_processor(void **state)
{
    (void)state;
    struct http_world world;
    const struct ew_http_params params = http_world_params();
    http_world_open(&world, &params);
    static char more[60000];
    int fds[20];
    for (int i = 0; i < 20; i++) {
        fds[i] = http_world_connect(&world);
        http_world_say(&world, fds[i],
                       i % 10 ? "GET /hello HTTP/1.1\r\n" HOST "\r\n"
                              : "GET /wait HTTP/1.1\r\n" HOST "\r\n");
    }
    http_world_turn_until(&world, &world.waiting_count, 2);
    assert_true(send(fds[0], more, sizeof more, MSG_NOSIGNAL) > 20000);
    http_world_turn_for(&world, 0.05);
    struct ew_loop_timer *stop;
    assert_int_equal(
        ew_loop_timer_open(&stop, world.loop, (ew_loop_fn *)ew_loop_stop, world.loop, NULL), 0);
    clock_t from = clock();
    ew_loop_timer_set(stop, 0.5);
    assert_int_equal(ew_loop_run(world.loop, NULL), 0);
    assert_true(clock() - from < CLOCKS_PER_SEC / 50);
    for (int i = 0; i < 20; i++)
        close(fds[i]);
    ew_loop_timer_close(&stop);
    http_world_close(&world);
}

static void test_an_address_that_cannot_be_had_is_an_error_that_names_it(void **state)
{
    (void)state;
    struct http_world world;
    struct ew_http_params params = http_world_params();
    struct ew_http_server *other = NULL;
    struct ew_err err;
    http_world_open(&world, &params);
    params.port = ew_http_server_port(world.server);
    assert_int_equal(ew_http_server_open(&other, ew_loop_base(world.loop), &params, &err), EW_ENET);
    assert_null(other);
    assert_non_null(strstr(err.text, "127.0.0.1"));
    assert_non_null(strstr(err.text, "in use"));
    params.address = "no such address";
    assert_int_equal(ew_http_server_open(&other, ew_loop_base(world.loop), &params, &err),
                     EW_EINVAL);
    params.fd = http_world_connect(&world);
    assert_int_equal(ew_http_server_open(&other, ew_loop_base(world.loop), &params, &err),
                     EW_EINVAL);
    assert_non_null(strstr(err.text, "isn't a socket that listens"));
    close(params.fd);
    http_world_close(&world);
}

static void test_a_socket_of_the_parent_is_served(void **state)
{
    (void)state;
    struct http_world world;
    struct ew_http_params params = http_world_params();
    const struct sockaddr_in at = {.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    params.fd = socket(AF_INET, SOCK_STREAM, 0);
    params.address = NULL;
    assert_int_equal(bind(params.fd, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(params.fd, 10), 0);
    http_world_open(&world, &params);
    assert_true(ew_http_server_port(world.server) > 0);
    http_world_check_talk(&world, "GET /nothing HTTP/1.1\r\n" CLOSE "\r\n",
                          "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    http_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_whole_streamed_and_to_head),
        cmocka_unit_test(test_http_10_keeps_the_connection_when_asked),
        cmocka_unit_test(test_pipelined_requests_are_answered_in_order),
        cmocka_unit_test(test_a_body_comes_whole_however_it_is_cut),
        cmocka_unit_test(test_100_continue_is_said_when_the_body_is_wanted),
        cmocka_unit_test(test_what_is_refused_is_told_in_json_and_closed),
        cmocka_unit_test(test_413_comes_before_the_body_and_is_read_after_it),
        cmocka_unit_test(test_more_connections_than_allowed_get_503),
        cmocka_unit_test(test_abort_is_no_proper_end),
        cmocka_unit_test(test_drain_closes_the_idle_and_lets_answers_end),
        cmocka_unit_test(test_close_tells_gone_for_what_is_not_answered),
        cmocka_unit_test(test_no_descriptors_left_is_waited_out),
        cmocka_unit_test(test_the_soft_limit_of_files_is_raised_to_what_connections_need),
        cmocka_unit_test(test_waiting_costs_no_time_of_the_processor),
        cmocka_unit_test(test_an_address_that_cannot_be_had_is_an_error_that_names_it),
        cmocka_unit_test(test_a_socket_of_the_parent_is_served),
    };
    alarm(120);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
