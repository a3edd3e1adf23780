/* test_http_upgrade.c - connections that leave the HTTP server by 101, and those that it is given:
 * who has them when, and what becomes of bytes on their way. tcp.c sets their options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netinet/tcp.h>

#include "support/http_world.h"

#define UPGRADE HOST "Connection: Upgrade\r\nUpgrade: edgewise/1\r\n"

/* ---- leaving ---- */

/* Whoever has the connection now says back what it hears. */
static void echo(struct bufferevent *bev, void *user)
{
    (void)user;
    bufferevent_write_buffer(bev, bufferevent_get_input(bev));
}

static void check_upgraded(struct http_world *world, int fd, struct bufferevent *bev)
{
    struct ew_buf heard;
    ew_buf_init(&heard, TEXT_MAX);
    assert_non_null(bev);
    bufferevent_setcb(bev, echo, NULL, NULL, NULL);
    bufferevent_enable(bev, EV_READ);
    assert_int_equal(http_world_listen(world, fd, "\r\n\r\n", &heard), HEARD_ENOUGH);
    char *text = http_world_text_of(&heard);
    assert_string_equal(text, "HTTP/1.1 101 Switching Protocols\r\nX-Made: here\r\n"
                              "Connection: Upgrade\r\nUpgrade: edgewise/1\r\n\r\n");
    free(text);
    http_world_turn(world);
    assert_int_equal(http_world_counts(world).connections, 0); /* not the server's any more */
    assert_int_equal(http_world_counts(world).active, 0);
    http_world_say(world, fd, "over to you");
    ew_buf_clear(&heard);
    assert_int_equal(http_world_listen(world, fd, "over to you", &heard), HEARD_ENOUGH);
    ew_buf_fini(&heard);
}

static void test_an_upgraded_connection_is_the_callers(void **state)
{
    (void)state;
    struct http_world world;
    const struct ew_http_params params = http_world_params();
    http_world_open(&world, &params);
    int fd = http_world_connect(&world);
    http_world_say(&world, fd, "GET /wait HTTP/1.1\r\n" UPGRADE "\r\n");
    http_world_turn_until(&world, &world.waiting_count, 1);
    ew_http_add_header(world.waiting[0], "X-Made", "here");
    struct bufferevent *bev = ew_http_upgrade(world.waiting[0], "edgewise/1");
    check_upgraded(&world, fd, bev);
    /* The server goes, the connection stays. */
    ew_http_server_close(&world.server);
    http_world_say(&world, fd, "still");
    struct ew_buf heard;
    ew_buf_init(&heard, TEXT_MAX);
    assert_int_equal(http_world_listen(&world, fd, "still", &heard), HEARD_ENOUGH);
    ew_buf_fini(&heard);
    bufferevent_free(bev);
    http_world_close(&world);
    close(fd);
}

static struct bufferevent *taken;

static void handle_by_upgrade(void *user, struct ew_http_request *request)
{
    (void)user;
    ew_http_add_header(request, "X-Made", "here");
    taken = ew_http_upgrade(request, "edgewise/1");
}

static void test_a_request_may_be_upgraded_where_it_is_handed_over(void **state)
{
    (void)state;
    struct http_world world;
    struct ew_http_params params = http_world_params();
    params.handle = handle_by_upgrade;
    http_world_open(&world, &params);
    int fd = http_world_connect(&world);
    taken = NULL;
    http_world_say(&world, fd, "GET /join HTTP/1.1\r\n" UPGRADE "\r\n");
    http_world_turn_for(&world, 0.01);
    check_upgraded(&world, fd, taken);
    bufferevent_free(taken);
    http_world_close(&world);
    close(fd);
}

static void test_what_the_client_said_already_is_kept_for_the_caller(void **state)
{
    (void)state;
    struct http_world world;
    const struct ew_http_params params = http_world_params();
    http_world_open(&world, &params);
    int fd = http_world_connect(&world);
    http_world_say(&world, fd, "GET /wait HTTP/1.1\r\n" UPGRADE "\r\nand more");
    http_world_turn_until(&world, &world.waiting_count, 1);
    http_world_turn_for(&world, 0.01);
    struct bufferevent *bev = ew_http_upgrade(world.waiting[0], "edgewise/1");
    assert_non_null(bev);
    assert_int_equal(evbuffer_get_length(bufferevent_get_input(bev)), 8);
    http_world_turn_for(&world, 0.01);
    bufferevent_free(bev);
    http_world_close(&world);
    close(fd);
}

static void test_a_connection_that_closes_anyway_is_not_upgraded(void **state)
{
    (void)state;
    static const char *const asks[] = {
        "GET /wait HTTP/1.0\r\n" UPGRADE "\r\n",
        "GET /wait HTTP/1.1\r\n" UPGRADE "Connection: close\r\n\r\n",
        "GET /wait HTTP/1.1\r\n" UPGRADE "\r\n",
    };
    for (size_t i = 0; i < EW_COUNT(asks); i++) {
        struct http_world world;
        struct ew_buf heard;
        const struct ew_http_params params = http_world_params();
        http_world_open(&world, &params);
        ew_buf_init(&heard, TEXT_MAX);
        int fd = http_world_connect(&world);
        http_world_say(&world, fd, asks[i]);
        http_world_turn_until(&world, &world.waiting_count, 1);
        if (i == 2)
            ew_http_server_drain(world.server);
        assert_null(ew_http_upgrade(world.waiting[0], "edgewise/1"));
        ew_http_reply(world.waiting[0], 400, "text/plain", http_world_str("no"));
        assert_int_equal(http_world_listen(&world, fd, NULL, &heard), HEARD_END);
        http_world_check_contains(&heard, "HTTP/1.1 400 ");
        assert_null(strstr(heard.data, "Upgrade"));
        close(fd);
        ew_buf_fini(&heard);
        http_world_close(&world);
    }
}

static void test_a_client_that_hangs_up_at_the_upgrade_is_the_callers_to_notice(void **state)
{
    (void)state;
    struct http_world world;
    const struct ew_http_params params = http_world_params();
    http_world_open(&world, &params);
    int fd = http_world_connect(&world);
    http_world_say(&world, fd, "GET /wait HTTP/1.1\r\n" UPGRADE "\r\n");
    http_world_turn_until(&world, &world.waiting_count, 1);
    close(fd);
    struct bufferevent *bev = ew_http_upgrade(world.waiting[0], "edgewise/1");
    assert_non_null(bev);
    http_world_turn_for(&world, 0.01);
    assert_int_equal(world.gone_count, 0);
    bufferevent_free(bev);
    http_world_close(&world);
}

/* ---- coming ---- */

static void count_closed(void *user)
{
    ++*(int *)user;
}

/* Gives the client's end of a connection that the server was given. */
static int adopt(struct http_world *world, const char *said_already, int *closed)
{
    int pair[2];
    struct ew_err err = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    struct bufferevent *bev =
        bufferevent_socket_new(ew_loop_base(world->loop), pair[0], BEV_OPT_CLOSE_ON_FREE);
    assert_non_null(bev);
    if (*said_already) { /* as who dialled has read it, behind an answer */
        bufferevent_enable(bev, EV_READ);
        assert_int_equal(write(pair[1], said_already, strlen(said_already)), strlen(said_already));
        http_world_turn_for(world, 0.01);
        assert_int_equal(evbuffer_get_length(bufferevent_get_input(bev)), strlen(said_already));
        bufferevent_disable(bev, EV_READ);
    }
    int before = world->waiting_count;
    if (ew_http_server_adopt(world->server, bev, "the front", closed ? count_closed : NULL, closed,
                             &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(world->waiting_count, before); /* nothing is handed over inside the call */
    return pair[1];
}

static void test_an_adopted_connection_is_asked_over_like_any_other(void **state)
{
    (void)state;
    struct http_world world;
    struct ew_buf heard;
    const struct ew_http_params params = http_world_params();
    int closed = 0;
    http_world_open(&world, &params);
    ew_buf_init(&heard, TEXT_MAX);
    int fd = adopt(&world, "", &closed);
    assert_int_equal(http_world_counts(&world).connections, 1);
    for (int i = 0; i < 3; i++) {
        ew_buf_clear(&heard);
        http_world_say(&world, fd, "PUT /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi");
        assert_int_equal(http_world_listen(&world, fd, "2:hi", &heard), HEARD_ENOUGH);
        http_world_check_contains(&heard, "PUT /echo ? the front - 2:hi");
    }
    http_world_say(&world, fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(http_world_listen(&world, fd, "0\r\n\r\n", &heard), HEARD_ENOUGH);
    assert_int_equal(closed, 0);
    close(fd);
    http_world_turn_until(&world, &closed, 1);
    assert_int_equal(http_world_counts(&world).connections, 0);
    ew_buf_fini(&heard);
    http_world_close(&world);
    assert_int_equal(closed, 1);
}

static void test_what_was_read_before_it_came_is_the_first_request(void **state)
{
    (void)state;
    static const char whole[] = "GET /hello HTTP/1.1\r\n" HOST "\r\n";
    for (size_t cut = strlen(whole); cut > 0; cut -= cut < 7 ? cut : 7) {
        struct http_world world;
        struct ew_buf heard;
        char first[sizeof whole];
        const struct ew_http_params params = http_world_params();
        http_world_open(&world, &params);
        ew_buf_init(&heard, TEXT_MAX);
        snprintf(first, sizeof first, "%.*s", (int)cut, whole);
        int fd = adopt(&world, first, NULL);
        http_world_say(&world, fd, whole + cut);
        assert_int_equal(http_world_listen(&world, fd, "hello", &heard), HEARD_ENOUGH);
        close(fd);
        ew_buf_fini(&heard);
        http_world_close(&world);
    }
}

static void test_an_adopted_connection_rests_as_long_as_it_likes_but_no_request_drips(void **state)
{
    (void)state;
    struct http_world world;
    struct ew_buf heard;
    struct ew_http_params params = http_world_params();
    int closed = 0;
    params.idle_timeout_s = params.header_timeout_s = 0.1;
    http_world_open(&world, &params);
    ew_buf_init(&heard, TEXT_MAX);
    int fd = adopt(&world, "", &closed);
    for (int i = 0; i < 2; i++) {
        http_world_turn_for(&world, 0.3);
        assert_int_equal(closed, 0);
        ew_buf_clear(&heard);
        http_world_say(&world, fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        assert_int_equal(http_world_listen(&world, fd, "hello", &heard), HEARD_ENOUGH);
    }
    ew_buf_clear(&heard);
    http_world_say(&world, fd, "GET /hel");
    assert_int_equal(http_world_listen(&world, fd, NULL, &heard), HEARD_END);
    http_world_check_contains(&heard, "HTTP/1.1 408 ");
    close(fd);
    ew_buf_fini(&heard);
    http_world_close(&world);
    assert_int_equal(closed, 1);
}

static void test_its_end_is_told_when_the_server_drains_or_closes(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct http_world world;
        const struct ew_http_params params = http_world_params();
        int closed = 0;
        http_world_open(&world, &params);
        int fd = adopt(&world, "", &closed);
        http_world_turn(&world);
        if (i == 0)
            ew_http_server_drain(world.server);
        else
            ew_http_server_close(&world.server);
        assert_int_equal(closed, 1);
        char byte;
        assert_int_equal(recv(fd, &byte, 1, 0), 0);
        close(fd);
        http_world_close(&world);
        assert_int_equal(closed, 1);
    }
}

static void test_no_more_are_adopted_than_the_server_takes(void **state)
{
    (void)state;
    struct http_world world;
    struct ew_http_params params = http_world_params();
    int pair[2], closed = 0;
    params.connections_max = 1;
    http_world_open(&world, &params);
    int fd = adopt(&world, "", NULL);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    struct bufferevent *bev =
        bufferevent_socket_new(ew_loop_base(world.loop), pair[0], BEV_OPT_CLOSE_ON_FREE);
    assert_int_equal(ew_http_server_adopt(world.server, bev, "front", count_closed, &closed, NULL),
                     EW_ELIMIT);
    http_world_turn_for(&world, 0.01);
    char byte;
    assert_int_equal(recv(pair[1], &byte, 1, 0), 0); /* it was taken, and is closed */
    assert_int_equal(closed, 0);
    close(pair[1]);
    close(fd);
    http_world_close(&world);
}

static void test_tcp_options_are_set(void **state)
{
    (void)state;
    struct http_world world;
    const struct ew_http_params params = http_world_params();
    http_world_open(&world, &params);
    int fd = http_world_connect(&world);
    http_world_say(&world, fd, "GET /wait HTTP/1.1\r\n" UPGRADE "\r\n");
    http_world_turn_until(&world, &world.waiting_count, 1);
    struct bufferevent *bev = ew_http_upgrade(world.waiting[0], "edgewise/1");
    int no_delay = 0, keep_alive = 0;
    socklen_t bytes = sizeof no_delay;
    int of = (int)bufferevent_getfd(bev);
    assert_int_equal(getsockopt(of, IPPROTO_TCP, TCP_NODELAY, &no_delay, &bytes), 0);
    assert_int_equal(getsockopt(of, SOL_SOCKET, SO_KEEPALIVE, &keep_alive, &bytes), 0);
    assert_true(no_delay && keep_alive);
    bufferevent_free(bev);
    close(fd);
    http_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_upgraded_connection_is_the_callers),
        cmocka_unit_test(test_a_request_may_be_upgraded_where_it_is_handed_over),
        cmocka_unit_test(test_what_the_client_said_already_is_kept_for_the_caller),
        cmocka_unit_test(test_a_connection_that_closes_anyway_is_not_upgraded),
        cmocka_unit_test(test_a_client_that_hangs_up_at_the_upgrade_is_the_callers_to_notice),
        cmocka_unit_test(test_an_adopted_connection_is_asked_over_like_any_other),
        cmocka_unit_test(test_what_was_read_before_it_came_is_the_first_request),
        cmocka_unit_test(test_an_adopted_connection_rests_as_long_as_it_likes_but_no_request_drips),
        cmocka_unit_test(test_its_end_is_told_when_the_server_drains_or_closes),
        cmocka_unit_test(test_no_more_are_adopted_than_the_server_takes),
        cmocka_unit_test(test_tcp_options_are_set),
    };
    alarm(120);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
