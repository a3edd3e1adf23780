/* test_upstream_adopt.c - requests over connections that devices opened (upstream_adopt.c). The
 * device is the other end of a socket pair, and says what the test lets it say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "support/upstream_world.h"

struct losses {
    int count;
    char name[40];
};

static void on_lost(void *user, const char *origin)
{
    struct losses *losses = user;
    losses->count++;
    snprintf(losses->name, sizeof losses->name, "%s", origin);
}

static void open_world(struct upstream_world *world, struct losses *losses)
{
    upstream_world_open(world);
    *losses = (struct losses){0};
    ew_upstreams_on_lost(world->upstreams, on_lost, losses);
}

/* Gives the device's end. */
static int join_as(struct upstream_world *world, const char *name, int wanted)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    struct bufferevent *bev =
        bufferevent_socket_new(ew_loop_base(world->loop), pair[0], BEV_OPT_CLOSE_ON_FREE);
    assert_non_null(bev);
    assert_int_equal(ew_upstreams_adopt(world->upstreams, name, bev, NULL), wanted);
    return pair[1];
}

static void ask(struct upstream_told *told, struct upstream_world *world, const char *name,
                const struct ew_upstream_ask *change)
{
    upstream_told_init(told, world);
    struct ew_upstream_ask own = upstream_told_ask(told);
    own.url = change && change->url ? change->url : "/v1/models";
    own.origin = name;
    if (change && change->method)
        own.method = change->method;
    if (change)
        own.body = change->body;
    if (change && change->connect_timeout_s > 0)
        own.connect_timeout_s = change->connect_timeout_s;
    if (change && change->head_timeout_s > 0)
        own.head_timeout_s = change->head_timeout_s;
    if (change && change->stall_timeout_s > 0)
        own.stall_timeout_s = change->stall_timeout_s;
    upstream_told_begin(told, world, &own, "");
}

static void test_a_device_is_asked_over_the_connection_it_opened(void **state)
{
    (void)state;
    struct upstream_world world;
    struct upstream_told told;
    struct losses losses;
    struct ew_buf heard;
    open_world(&world, &losses);
    ew_buf_init(&heard, UPSTREAM_BODY_MAX);
    assert_int_equal(ew_upstreams_adopted(world.upstreams, "agx"), 0);
    int fd = join_as(&world, "agx", 0);
    assert_int_equal(ew_upstreams_adopted(world.upstreams, "agx"), 1);
    assert_int_equal(upstream_world_counts(&world).idle, 1);
    const struct ew_upstream_ask change = {
        .url = "http://whatever:99/v1/chat?a=b#c", .method = "POST", .body = {"{}", 2}};
    ask(&told, &world, "agx", &change);
    assert_true(upstream_world_hear(&world, fd, "{}", &heard));
    assert_string_equal(heard.data, "POST /v1/chat?a=b HTTP/1.1\r\nHost: agx\r\n"
                                    "Content-Length: 2\r\n\r\n{}");
    upstream_world_say(&world, fd, OK200 "Content-Length: 5\r\n\r\nhel");
    upstream_world_until(&world, &told.pieces, 1);
    assert_int_equal(told.ends, 0);
    upstream_world_say(&world, fd, "lo");
    upstream_world_until(&world, &told.ends, 1);
    upstream_told_check_whole(&told, "hello");
    assert_true(told.result.reused);
    upstream_told_fini(&told);
    ask(&told, &world, "agx", NULL); /* again, over the same */
    upstream_world_answer_hello(&world, fd, &told);
    upstream_told_fini(&told);
    assert_int_equal(losses.count, 0);
    close(fd);
    upstream_world_until(&world, &losses.count, 1);
    assert_string_equal(losses.name, "agx");
    assert_int_equal(ew_upstreams_adopted(world.upstreams, "agx"), 0);
    upstream_world_turn_for(&world, 0.01);
    assert_int_equal(losses.count, 1);
    ew_buf_fini(&heard);
    upstream_world_close(&world);
}

static void test_calls_wait_for_a_free_connection_in_order(void **state)
{
    (void)state;
    enum { CALLS = 4 };
    struct upstream_world world;
    struct upstream_told told[CALLS];
    struct losses losses;
    open_world(&world, &losses);
    int fd = join_as(&world, "agx", 0);
    for (int i = 0; i < CALLS; i++)
        ask(&told[i], &world, "agx", NULL);
    ew_upstream_cancel(&told[2].call); /* it waits no more */
    for (int i = 0; i < CALLS; i++)
        if (i != 2)
            upstream_world_answer_hello(&world, fd, &told[i]);
    assert_int_equal(told[2].ends, 0);
    /* A connection that comes is taken by who waits. */
    struct upstream_told more[2];
    ask(&more[0], &world, "agx", NULL);
    ask(&more[1], &world, "agx", NULL);
    int other = join_as(&world, "agx", 0);
    upstream_world_answer_hello(&world, other, &more[1]);
    upstream_world_answer_hello(&world, fd, &more[0]);
    assert_int_equal(ew_upstreams_adopted(world.upstreams, "agx"), 2);
    for (int i = 0; i < CALLS; i++)
        upstream_told_fini(&told[i]);
    upstream_told_fini(&more[0]);
    upstream_told_fini(&more[1]);
    close(fd);
    close(other);
    upstream_world_close(&world);
}

static void test_waiting_and_asking_have_their_times(void **state)
{
    (void)state;
    struct upstream_world world;
    struct upstream_told told[2];
    struct losses losses;
    open_world(&world, &losses);
    int fd = join_as(&world, "agx", 0);
    ask(&told[0], &world, "agx", NULL);
    const struct ew_upstream_ask soon = {.connect_timeout_s = 0.05, .head_timeout_s = 0.05};
    ask(&told[1], &world, "agx", &soon);
    upstream_world_until(&world, &told[1].ends, 1);
    upstream_told_check_failed(&told[1], EW_UPSTREAM_CONNECT_TIMEOUT,
                               "none of its connections was free within 0.05 s");
    upstream_told_fini(&told[1]);
    upstream_world_answer_hello(&world, fd, &told[0]);
    upstream_told_fini(&told[0]);
    ask(&told[0], &world, "agx", &soon);
    upstream_world_until(&world, &told[0].ends, 1);
    upstream_told_check_failed(&told[0], EW_UPSTREAM_HEAD_TIMEOUT, "silent");
    upstream_world_check_closed(&world, fd);
    upstream_world_until(&world, &losses.count, 1);
    upstream_told_fini(&told[0]);
    upstream_world_close(&world);
}

static void test_a_device_that_is_not_there_fails_at_once(void **state)
{
    (void)state;
    struct upstream_world world;
    struct upstream_told told[2];
    struct losses losses;
    open_world(&world, &losses);
    ask(&told[0], &world, "agx", NULL);
    assert_int_equal(told[0].ends, 0);
    upstream_world_turn(&world);
    assert_int_equal(told[0].ends, 1);
    upstream_told_check_failed(&told[0], EW_UPSTREAM_CONNECT, "agx: the device isn't connected");
    upstream_told_fini(&told[0]);
    /* One goes while a call runs and another waits. */
    int fd = join_as(&world, "agx", 0);
    ask(&told[0], &world, "agx", NULL);
    ask(&told[1], &world, "agx", NULL);
    upstream_world_hear_request(&world, fd);
    upstream_world_say(&world, fd, OK200 "Content-Length: 5\r\n\r\nhel");
    upstream_world_until(&world, &told[0].pieces, 1);
    close(fd);
    upstream_world_until(&world, &told[0].ends, 1);
    upstream_world_until(&world, &told[1].ends, 1);
    upstream_told_check_failed(&told[0], EW_UPSTREAM_CUT, "after 3 bytes");
    upstream_told_check_failed(&told[1], EW_UPSTREAM_CONNECT, "isn't connected any more");
    assert_int_equal(losses.count, 1);
    upstream_told_fini(&told[0]);
    upstream_told_fini(&told[1]);
    upstream_world_close(&world);
}

static void test_a_connection_that_was_closed_is_replaced_by_another_of_the_device(void **state)
{
    (void)state;
    struct upstream_world world;
    struct upstream_told told;
    struct losses losses;
    open_world(&world, &losses);
    int one = join_as(&world, "agx", 0), two = join_as(&world, "agx", 0);
    close(two); /* the last that came is the first that is taken; nobody has noticed yet */
    ask(&told, &world, "agx", NULL);
    upstream_world_answer_hello(&world, one, &told);
    assert_int_equal(losses.count, 0);
    upstream_told_fini(&told);
    /* But once: who closes two isn't crossing our message. */
    two = join_as(&world, "agx", 0);
    int three = join_as(&world, "agx", 0);
    close(three);
    ask(&told, &world, "agx", NULL);
    upstream_world_hear_request(&world, two);
    close(two);
    upstream_world_until(&world, &told.ends, 1);
    upstream_told_check_failed(&told, EW_UPSTREAM_CUT, "before it answered");
    upstream_told_fini(&told);
    close(one);
    upstream_world_close(&world);
}

static void test_a_loss_is_not_told_when_the_device_is_back_already(void **state)
{
    (void)state;
    struct upstream_world world;
    struct losses losses;
    open_world(&world, &losses);
    int fd = join_as(&world, "agx", 0);
    ew_upstreams_drop(world.upstreams, "agx");
    assert_int_equal(ew_upstreams_adopted(world.upstreams, "agx"), 0);
    int again = join_as(&world, "agx", 0);
    upstream_world_turn_for(&world, 0.01);
    assert_int_equal(losses.count, 0);
    upstream_world_check_closed(&world, fd);
    close(again);
    upstream_world_until(&world, &losses.count, 1);
    upstream_world_close(&world);
}

static void test_dropped_connections_end_their_calls(void **state)
{
    (void)state;
    struct upstream_world world;
    struct upstream_told told;
    struct losses losses;
    open_world(&world, &losses);
    int busy = join_as(&world, "agx", 0), other = join_as(&world, "nano", 0);
    ask(&told, &world, "agx", NULL);
    int idle = join_as(&world, "agx", 0);
    upstream_world_hear_request(&world, busy);
    ew_upstreams_drop(world.upstreams, "agx");
    ew_upstreams_drop(world.upstreams, "nobody");
    assert_int_equal(told.ends, 0);
    upstream_world_until(&world, &told.ends, 1);
    upstream_told_check_failed(&told, EW_UPSTREAM_CUT, "closed here");
    upstream_world_check_closed(&world, busy);
    upstream_world_check_closed(&world, idle);
    assert_int_equal(losses.count, 1);
    assert_string_equal(losses.name, "agx");
    assert_int_equal(ew_upstreams_adopted(world.upstreams, "nano"), 1);
    close(other);
    upstream_told_fini(&told);
    upstream_world_close(&world);
}

static void test_a_device_that_speaks_unasked_loses_its_connection(void **state)
{
    (void)state;
    struct upstream_world world;
    struct upstream_told told;
    struct losses losses;
    open_world(&world, &losses);
    int fd = join_as(&world, "agx", 0);
    upstream_world_say(&world, fd, HELLO);
    upstream_world_check_closed(&world, fd);
    upstream_world_until(&world, &losses.count, 1);
    /* Behind an answer, too. */
    fd = join_as(&world, "agx", 0);
    ask(&told, &world, "agx", NULL);
    upstream_world_hear_request(&world, fd);
    upstream_world_say(&world, fd, HELLO HELLO);
    upstream_world_until(&world, &told.ends, 1);
    upstream_told_check_whole(&told, "hello");
    upstream_world_check_closed(&world, fd);
    upstream_told_fini(&told);
    upstream_world_close(&world);
}

static void test_who_cannot_be_adopted_is_closed(void **state)
{
    (void)state;
    struct upstream_world world;
    struct losses losses;
    int fds[EW_UPSTREAM_ADOPTED_MAX + 1], pair[2];
    open_world(&world, &losses);
    for (int i = 0; i < EW_UPSTREAM_ADOPTED_MAX; i++)
        fds[i] = join_as(&world, "agx", 0);
    fds[EW_UPSTREAM_ADOPTED_MAX] = join_as(&world, "agx", EW_ELIMIT);
    upstream_world_check_closed(&world, fds[EW_UPSTREAM_ADOPTED_MAX]);
    static const char *const names[] = {"", "a b", "a\r\nb", "a/b"};
    for (size_t i = 0; i < EW_COUNT(names); i++)
        upstream_world_check_closed(&world, join_as(&world, names[i], EW_EINVAL));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    struct bufferevent *bev =
        bufferevent_socket_new(ew_loop_base(world.loop), pair[0], BEV_OPT_CLOSE_ON_FREE);
    bufferevent_enable(bev, EV_READ);
    assert_int_equal(write(pair[1], "x", 1), 1); /* it speaks before it is asked */
    upstream_world_turn_for(&world, 0.01);
    assert_int_equal(evbuffer_get_length(bufferevent_get_input(bev)), 1);
    assert_int_equal(ew_upstreams_adopt(world.upstreams, "nano", bev, NULL), EW_EINVAL);
    upstream_world_check_closed(&world, pair[1]);
    assert_int_equal(ew_upstreams_adopted(world.upstreams, "agx"), EW_UPSTREAM_ADOPTED_MAX);
    for (int i = 0; i < EW_UPSTREAM_ADOPTED_MAX; i++)
        close(fds[i]);
    upstream_world_close(&world);
}

static void test_a_cancelled_call_closes_the_connection(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct upstream_world world;
        struct upstream_told told;
        struct losses losses;
        open_world(&world, &losses);
        int fd = join_as(&world, "agx", 0);
        ask(&told, &world, "agx", NULL);
        told.cancel_in_data = true;
        upstream_world_hear_request(&world, fd);
        if (i == 0)
            ew_upstream_cancel(&told.call);
        else
            upstream_world_say(&world, fd, OK200 "Content-Length: 5\r\n\r\nhel");
        upstream_world_check_closed(&world, fd);
        upstream_world_until(&world, &losses.count, 1);
        assert_int_equal(told.ends, 0);
        upstream_told_fini(&told);
        upstream_world_close(&world);
    }
}

static void test_a_paused_call_slows_the_device_and_loses_nothing(void **state)
{
    (void)state;
    enum { BYTES = 8 << 20 };
    struct upstream_world world;
    struct upstream_told told;
    struct losses losses;
    open_world(&world, &losses);
    int fd = join_as(&world, "agx", 0);
    const struct ew_upstream_ask change = {.stall_timeout_s = 1};
    ask(&told, &world, "agx", &change);
    told.pause_in_data = true;
    upstream_world_hear_request(&world, fd);
    upstream_world_say(&world, fd, OK200 "Content-Length: 8388608\r\n\r\n");
    char *big = malloc(BYTES);
    assert_non_null(big);
    for (int i = 0; i < BYTES; i++)
        big[i] = (char)('a' + i % 23);
    size_t sent = 0;
    for (int idle = 0; idle < 300; idle++) {
        ssize_t n = send(fd, big + sent, BYTES - sent, MSG_NOSIGNAL);
        idle = n > 0 ? 0 : idle;
        sent += n > 0 ? (size_t)n : 0;
        upstream_world_turn_for(&world, 0.005);
    }
    assert_int_equal(told.pieces, 1);
    assert_int_equal(told.ends, 0);
    assert_true(sent < BYTES / 2);
    for (int i = 2; i < 6; i++) {
        ew_upstream_resume(told.call);
        upstream_world_until(&world, &told.pieces, i);
        upstream_world_turn_for(&world, 0.005);
        assert_int_equal(told.pieces, i);
    }
    told.pause_in_data = false;
    ew_upstream_resume(told.call);
    upstream_world_say_bytes(&world, fd, big + sent, BYTES - sent);
    upstream_world_until(&world, &told.ends, 1);
    assert_int_equal(told.result.failure, EW_UPSTREAM_NONE);
    assert_int_equal(told.body.bytes, BYTES);
    assert_memory_equal(told.body.data, big, BYTES);
    free(big);
    close(fd);
    upstream_told_fini(&told);
    upstream_world_close(&world);
}

static void test_a_large_request_goes_out_and_one_that_is_not_taken_stalls(void **state)
{
    (void)state;
    enum { BYTES = 8 << 20 };
    struct upstream_world world;
    struct upstream_told told;
    struct losses losses;
    struct ew_buf heard;
    char *big = malloc(BYTES);
    assert_non_null(big);
    memset(big, 'b', BYTES);
    big[BYTES - 1] = '!';
    open_world(&world, &losses);
    ew_buf_init(&heard, UPSTREAM_BODY_MAX);
    int fd = join_as(&world, "agx", 0);
    struct ew_upstream_ask change = {.method = "POST", .body = {big, BYTES}};
    ask(&told, &world, "agx", &change);
    assert_true(upstream_world_hear(&world, fd, "!", &heard));
    upstream_world_say(&world, fd, HELLO);
    upstream_world_until(&world, &told.ends, 1);
    upstream_told_check_whole(&told, "hello");
    upstream_told_fini(&told);
    change.stall_timeout_s = 0.1;
    ask(&told, &world, "agx", &change);
    upstream_world_until(&world, &told.ends, 1);
    upstream_told_check_failed(&told, EW_UPSTREAM_STALL, "took nothing of the request");
    assert_true(told.result.sent_ns == 0);
    upstream_told_fini(&told);
    close(fd);
    free(big);
    ew_buf_fini(&heard);
    upstream_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_device_is_asked_over_the_connection_it_opened),
        cmocka_unit_test(test_calls_wait_for_a_free_connection_in_order),
        cmocka_unit_test(test_waiting_and_asking_have_their_times),
        cmocka_unit_test(test_a_device_that_is_not_there_fails_at_once),
        cmocka_unit_test(test_a_connection_that_was_closed_is_replaced_by_another_of_the_device),
        cmocka_unit_test(test_a_loss_is_not_told_when_the_device_is_back_already),
        cmocka_unit_test(test_dropped_connections_end_their_calls),
        cmocka_unit_test(test_a_device_that_speaks_unasked_loses_its_connection),
        cmocka_unit_test(test_who_cannot_be_adopted_is_closed),
        cmocka_unit_test(test_a_cancelled_call_closes_the_connection),
        cmocka_unit_test(test_a_paused_call_slows_the_device_and_loses_nothing),
        cmocka_unit_test(test_a_large_request_goes_out_and_one_that_is_not_taken_stalls),
    };
    alarm(120);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
