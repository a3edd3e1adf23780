/* test_upstream_conn.c - connections to other servers: which are kept, used again, replaced; names
 * and their addresses; silence of each kind. Through upstream_origin.c, upstream_http.c and
 * resolve.c, against a bare socket (support/upstream_world.h). */
#include <event2/event.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/upstream_world.h"

/* ---- connections ---- */

static void test_a_kept_connection_is_used_again(void **state)
{
    (void)state;
    struct upstream_world world;
    struct upstream_told told;
    upstream_world_open(&world);
    upstream_told_get(&told, &world, "/");
    int fd = upstream_world_accept(&world);
    upstream_world_answer_hello(&world, fd, &told);
    upstream_told_fini(&told);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(upstream_world_counts(&world).idle, 1);
        upstream_told_get(&told, &world, "/again");
        assert_int_equal(upstream_world_counts(&world).idle, 0);
        assert_int_equal(upstream_world_counts(&world).active, 1);
        upstream_world_answer_hello(&world, fd, &told);
        assert_true(told.result.reused);
        upstream_told_fini(&told);
    }
    const struct ew_upstream_counts counts = upstream_world_counts(&world);
    assert_int_equal(counts.connections_opened, 1);
    assert_int_equal(counts.connections_reused, 5);
    assert_int_equal(counts.calls, 6);
    close(fd);
    upstream_world_turn_for(&world, 0.01);
    assert_int_equal(upstream_world_counts(&world).idle, 0); /* noticed, and closed here as well */
    upstream_world_close(&world);
}

/* The request crosses the server's goodbye on the way. */
static void check_replay(enum upstream_goodbye how)
{
    struct upstream_world world;
    struct upstream_told told;
    upstream_world_open(&world);
    upstream_told_get(&told, &world, "/");
    int fd = upstream_world_accept(&world);
    upstream_world_answer_hello(&world, fd, &told);
    upstream_told_fini(&told);
    upstream_world_hang_up(fd, how);
    upstream_told_get(&told, &world, "/again");
    fd = upstream_world_accept(&world);
    upstream_world_answer_hello(&world, fd, &told);
    assert_false(told.result.reused);
    assert_int_equal(upstream_world_counts(&world).connections_opened, 2);
    close(fd);
    upstream_told_fini(&told);
    upstream_world_close(&world);
}

static void test_a_kept_connection_that_was_closed_is_replaced_once(void **state)
{
    (void)state;
    check_replay(UPSTREAM_POLITE);
    check_replay(UPSTREAM_RESET);
    struct upstream_world world;
    struct upstream_told told;
    upstream_world_open(&world);
    upstream_told_get(&told, &world, "/");
    int fd = upstream_world_accept(&world);
    upstream_world_answer_hello(&world, fd, &told);
    upstream_told_fini(&told);
    close(fd);
    upstream_told_get(&told, &world, "/again");
    fd = upstream_world_accept(&world);
    upstream_world_hear_request(&world, fd);
    close(fd); /* the new one, too: that isn't the crossing of two messages */
    upstream_world_until(&world, &told.ends, 1);
    upstream_told_check_failed(&told, EW_UPSTREAM_CUT, "before it answered");
    upstream_told_fini(&told);
    upstream_world_close(&world);
}

static void test_what_the_server_may_have_read_is_not_asked_again(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct upstream_world world;
        struct upstream_told told;
        upstream_world_open(&world);
        upstream_told_get(&told, &world, "/");
        int fd = upstream_world_accept(&world);
        upstream_world_answer_hello(&world, fd, &told);
        upstream_told_fini(&told);
        upstream_told_get(&told, &world, "/again");
        upstream_world_hear_request(&world, fd);
        if (i == 0)
            upstream_world_say(&world, fd, "H"); /* it has begun to answer */
        else
            upstream_world_turn_for(&world, 1.1); /* it had time enough to work on it */
        close(fd);
        upstream_world_until(&world, &told.ends, 1);
        upstream_told_check_failed(&told, EW_UPSTREAM_CUT, i ? "before it answered" : "head");
        assert_int_equal(accept(world.listens, NULL, NULL), -1);
        upstream_told_fini(&told);
        upstream_world_close(&world);
    }
}

static void test_connections_that_say_more_or_close_are_not_kept(void **state)
{
    (void)state;
    static const char *const says[] = {
        HELLO "x",
        OK200 "Connection: close\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    };
    for (size_t i = 0; i < EW_COUNT(says); i++) {
        struct upstream_world world;
        struct upstream_told told;
        upstream_world_open(&world);
        upstream_told_get(&told, &world, "/");
        int fd = upstream_world_accept(&world);
        upstream_world_hear_request(&world, fd);
        upstream_world_say(&world, fd, says[i]);
        upstream_world_until(&world, &told.ends, 1);
        upstream_told_check_whole(&told, "hello");
        assert_int_equal(upstream_world_counts(&world).idle, 0);
        upstream_world_check_closed(&world, fd);
        upstream_told_fini(&told);
        upstream_world_close(&world);
    }
}

static void test_a_server_that_speaks_unasked_loses_its_kept_connection(void **state)
{
    (void)state;
    struct upstream_world world;
    struct upstream_told told;
    upstream_world_open(&world);
    upstream_told_get(&told, &world, "/");
    int fd = upstream_world_accept(&world);
    upstream_world_answer_hello(&world, fd, &told);
    upstream_world_say(&world, fd, HELLO);
    upstream_world_check_closed(&world, fd);
    assert_int_equal(upstream_world_counts(&world).idle, 0);
    upstream_told_fini(&told);
    upstream_world_close(&world);
}

static void test_no_more_connections_are_kept_than_the_limit(void **state)
{
    (void)state;
    enum { CALLS = EW_UPSTREAM_IDLE_MAX + 8 };
    struct upstream_world world;
    static struct upstream_told told[CALLS];
    int fds[CALLS];
    upstream_world_open(&world);
    for (int i = 0; i < CALLS; i++)
        upstream_told_get(&told[i], &world, "/");
    for (int i = 0; i < CALLS; i++) {
        fds[i] = upstream_world_accept(&world);
        upstream_world_hear_request(&world, fds[i]);
    }
    assert_int_equal(upstream_world_counts(&world).active, CALLS);
    for (int i = 0; i < CALLS; i++)
        upstream_world_say(&world, fds[i], HELLO);
    for (int i = 0; i < CALLS; i++) {
        upstream_world_until(&world, &told[i].ends, 1);
        upstream_told_check_whole(&told[i], "hello");
        upstream_told_fini(&told[i]);
    }
    assert_int_equal(upstream_world_counts(&world).idle, EW_UPSTREAM_IDLE_MAX);
    for (int i = 0; i < CALLS; i++)
        close(fds[i]);
    upstream_world_close(&world);
}

/* ---- names and connecting ---- */

static void begin_at(struct upstream_told *told, struct upstream_world *world, const char *url,
                     double connect_timeout_s)
{
    upstream_told_init(told, world);
    struct ew_upstream_ask ask = upstream_told_ask(told);
    ask.url = url;
    ask.connect_timeout_s = connect_timeout_s;
    upstream_told_begin(told, world, &ask, "");
}

static void test_a_name_is_looked_up_and_its_addresses_tried_in_turn(void **state)
{
    (void)state;
    struct upstream_world world;
    struct upstream_told told[2];
    char url[60];
    upstream_world_open(&world);
    /* The socket listens at 127.0.0.1 only; localhost may be ::1 as well. */
    snprintf(url, sizeof url, "HTTP://LocalHost:%d", world.port);
    begin_at(&told[0], &world, url, 10);
    begin_at(&told[1], &world, url, 10);
    for (int i = 0; i < 2; i++) {
        int fd = upstream_world_accept(&world);
        struct ew_buf heard;
        ew_buf_init(&heard, UPSTREAM_BODY_MAX);
        assert_true(upstream_world_hear(&world, fd, "\r\n\r\n", &heard));
        assert_non_null(strstr(heard.data, "GET / HTTP/1.1\r\nHost: localhost:"));
        upstream_world_say(&world, fd, HELLO);
        close(fd);
        ew_buf_fini(&heard);
    }
    for (int i = 0; i < 2; i++) {
        upstream_world_until(&world, &told[i].ends, 1);
        upstream_told_check_whole(&told[i], "hello");
        upstream_told_fini(&told[i]);
    }
    upstream_world_close(&world);
}

static void test_a_name_without_address_is_told(void **state)
{
    (void)state;
    struct upstream_world world;
    struct upstream_told told;
    upstream_world_open(&world);
    begin_at(&told, &world, "http://no-such-host.invalid/", 15);
    upstream_world_until(&world, &told.ends, 1);
    upstream_told_check_failed(&told, EW_UPSTREAM_RESOLVE, "no-such-host.invalid: no address");
    upstream_told_fini(&told);
    /* Cancelled while it is looked up: nothing is told, and closing doesn't wait for it. */
    begin_at(&told, &world, "http://another.invalid/", 15);
    ew_upstream_cancel(&told.call);
    upstream_world_turn_for(&world, 0.01);
    assert_int_equal(told.ends, 0);
    upstream_told_fini(&told);
    upstream_world_close(&world);
}

static void test_a_refused_connection_is_told_on_the_loop(void **state)
{
    (void)state;
    struct upstream_world world;
    struct upstream_told told;
    upstream_world_open(&world);
    close(world.listens);
    world.listens = -1;
    upstream_told_get(&told, &world, "/");
    assert_int_equal(told.ends, 0); /* never inside the call */
    upstream_world_until(&world, &told.ends, 1);
    upstream_told_check_failed(&told, EW_UPSTREAM_CONNECT, "onnection refused");
    assert_true(told.result.connected_ns == 0 && told.result.sent_ns == 0);
    upstream_told_fini(&told);
    upstream_world_close(&world);
}

/* A listening socket whose queue is full lets further connections wait. */
static void test_a_connection_that_does_not_come_is_given_up(void **state)
{
    (void)state;
    struct upstream_world world;
    struct upstream_told told;
    int fds[8];
    upstream_world_open(&world);
    assert_int_equal(listen(world.listens, 0), 0);
    const struct sockaddr_in at = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)world.port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    for (size_t i = 0; i < EW_COUNT(fds); i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(fds[i], (const struct sockaddr *)&at, sizeof at);
    }
    char url[60];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", world.port);
    uint64_t from = ew_clock_now_ns(&ew_clock_real);
    begin_at(&told, &world, url, 0.1);
    upstream_world_until(&world, &told.ends, 1);
    upstream_told_check_failed(&told, EW_UPSTREAM_CONNECT_TIMEOUT, "no connection within 0.1 s");
    assert_true(ew_clock_now_ns(&ew_clock_real) - from >= 100 * EW_NS_PER_MS);
    for (size_t i = 0; i < EW_COUNT(fds); i++)
        close(fds[i]);
    upstream_told_fini(&told);
    upstream_world_close(&world);
}

/* ---- silence ---- */

static void test_silence_is_told_by_where_it_is(void **state)
{
    (void)state;
    static const struct {
        const char *says;
        enum ew_upstream_failure failure;
        const char *why;
    } cases[] = {
        {"", EW_UPSTREAM_HEAD_TIMEOUT, "silent for 0.1 s"},
        {"HTTP/1.1 100 Continue\r\n\r\n", EW_UPSTREAM_HEAD_TIMEOUT, "silent for 0.1 s"},
        {OK200 "Content-Type: te", EW_UPSTREAM_HEAD_TIMEOUT, "silent for 0.1 s"},
        {OK200 "Content-Length: 5\r\n\r\n", EW_UPSTREAM_STALL, "stood still for 0.05 s"},
        {OK200 "Content-Length: 5\r\n\r\nhel", EW_UPSTREAM_STALL, "stood still for 0.05 s"},
        {OK200 "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", EW_UPSTREAM_STALL,
         "stood still for 0.05 s"},
        {OK200 "\r\nhello", EW_UPSTREAM_STALL, "stood still for 0.05 s"},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        struct upstream_world world;
        struct upstream_told told;
        upstream_world_open(&world);
        upstream_told_init(&told, &world);
        struct ew_upstream_ask ask = upstream_told_ask(&told);
        ask.head_timeout_s = 0.1;
        ask.stall_timeout_s = 0.05;
        upstream_told_begin(&told, &world, &ask, "/");
        int fd = upstream_world_accept(&world);
        upstream_world_hear_request(&world, fd);
        upstream_world_say(&world, fd, cases[i].says);
        upstream_world_until(&world, &told.ends, 1);
        upstream_told_check_failed(&told, cases[i].failure, cases[i].why);
        upstream_world_check_closed(&world, fd);
        upstream_told_fini(&told);
        upstream_world_close(&world);
    }
}

static void test_a_slow_stream_that_goes_on_is_no_stall(void **state)
{
    (void)state;
    struct upstream_world world;
    struct upstream_told told;
    upstream_world_open(&world);
    upstream_told_init(&told, &world);
    struct ew_upstream_ask ask = upstream_told_ask(&told);
    ask.head_timeout_s = ask.stall_timeout_s = 1;
    upstream_told_begin(&told, &world, &ask, "/");
    int fd = upstream_world_accept(&world);
    upstream_world_hear_request(&world, fd);
    upstream_world_say(&world, fd, OK200 "Content-Length: 10\r\n\r\n");
    for (int i = 0; i < 10; i++) {
        upstream_world_turn_for(&world, 0.15);
        upstream_world_say(&world, fd, "x");
    }
    upstream_world_until(&world, &told.ends, 1);
    upstream_told_check_whole(&told, "xxxxxxxxxx");
    close(fd);
    upstream_told_fini(&told);
    upstream_world_close(&world);
}

static void test_a_server_that_takes_nothing_of_the_request_stalls(void **state)
{
    (void)state;
    enum { BYTES = 32 << 20 };
    struct upstream_world world;
    struct upstream_told told;
    char *big = calloc(1, BYTES);
    assert_non_null(big);
    upstream_world_open(&world);
    upstream_told_init(&told, &world);
    struct ew_upstream_ask ask = upstream_told_ask(&told);
    ask.method = "POST";
    ask.body = (struct ew_str){big, BYTES};
    ask.stall_timeout_s = 0.1;
    upstream_told_begin(&told, &world, &ask, "/");
    int fd = upstream_world_accept(&world);
    upstream_world_until(&world, &told.ends, 1);
    upstream_told_check_failed(&told, EW_UPSTREAM_STALL, "took nothing of the request for 0.1 s");
    assert_true(told.result.sent_ns == 0);
    close(fd);
    free(big);
    upstream_told_fini(&told);
    upstream_world_close(&world);
}

struct late_ask {
    struct upstream_world *world;
    struct upstream_told told;
};

static void ask_late(evutil_socket_t fd, short what, void *user)
{
    (void)fd, (void)what;
    struct late_ask *late = user;
    upstream_told_get(&late->told, late->world, "/again");
}

/* A call is made of one that is over, whose timer is due in the turn in which the request is made
 * and, with the others of that turn, leaves only at its end. */
static void test_the_time_of_a_call_that_is_over_is_not_the_next_ones(void **state)
{
    (void)state;
    struct upstream_world world;
    struct late_ask late = {.world = &world};
    upstream_world_open(&world);
    upstream_told_init(&late.told, &world);
    struct ew_upstream_ask ask = upstream_told_ask(&late.told);
    ask.connect_timeout_s = ask.head_timeout_s = ask.stall_timeout_s = 0.3;
    upstream_told_begin(&late.told, &world, &ask, "/");
    int fd = upstream_world_accept(&world);
    upstream_world_answer_hello(&world, fd, &late.told);
    upstream_told_fini(&late.told);
    struct event *timer = evtimer_new(ew_loop_base(world.loop), ask_late, &late);
    const struct timeval wait = {.tv_usec = 50000};
    assert_non_null(timer);
    event_add(timer, &wait);
    usleep(400000); /* both timers are due, ours first */
    upstream_world_turn(&world);
    assert_int_equal(late.told.ends, 0);
    upstream_world_answer_hello(&world, fd, &late.told);
    upstream_told_fini(&late.told);
    event_free(timer);
    close(fd);
    upstream_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_kept_connection_is_used_again),
        cmocka_unit_test(test_a_kept_connection_that_was_closed_is_replaced_once),
        cmocka_unit_test(test_what_the_server_may_have_read_is_not_asked_again),
        cmocka_unit_test(test_connections_that_say_more_or_close_are_not_kept),
        cmocka_unit_test(test_a_server_that_speaks_unasked_loses_its_kept_connection),
        cmocka_unit_test(test_no_more_connections_are_kept_than_the_limit),
        cmocka_unit_test(test_a_name_is_looked_up_and_its_addresses_tried_in_turn),
        cmocka_unit_test(test_a_name_without_address_is_told),
        cmocka_unit_test(test_a_refused_connection_is_told_on_the_loop),
        cmocka_unit_test(test_a_connection_that_does_not_come_is_given_up),
        cmocka_unit_test(test_silence_is_told_by_where_it_is),
        cmocka_unit_test(test_a_slow_stream_that_goes_on_is_no_stall),
        cmocka_unit_test(test_a_server_that_takes_nothing_of_the_request_stalls),
        cmocka_unit_test(test_the_time_of_a_call_that_is_over_is_not_the_next_ones),
    };
    alarm(120);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
