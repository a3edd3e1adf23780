/* test_http_outbox.c - what is said within a turn of the loop leaves at its end: whole, in order,
 * to everybody, and also where a connection ends meanwhile. */
#include "net/http_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/http_world.h"

static size_t heard_now(int fd, char *out, size_t size)
{
    ssize_t n = recv(fd, out, size - 1, 0);
    out[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

static int hold(struct http_world *world)
{
    int fd = http_world_connect(world), before = world->waiting_count;
    http_world_say(world, fd, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    http_world_turn_until(world, &world->waiting_count, before + 1);
    struct ew_buf head;
    ew_buf_init(&head, TEXT_MAX);
    assert_int_equal(http_world_listen(world, fd, "\r\n\r\n", &head), HEARD_ENOUGH);
    ew_buf_fini(&head);
    return fd;
}

static void test_pieces_of_one_turn_leave_at_its_end(void **state)
{
    (void)state;
    struct http_world world;
    const struct ew_http_params params = http_world_params();
    http_world_open(&world, &params);
    int fd = hold(&world);
    char text[1000];
    assert_int_equal(ew_http_stream_write(world.waiting[0], http_world_str("one"), NULL), 0);
    assert_int_equal(ew_http_stream_write(world.waiting[0], http_world_str("two"), NULL), 0);
    assert_true(ew_http_stream_unsent(world.waiting[0]) > 6);
    assert_int_equal(heard_now(fd, text, sizeof text), 0);
    http_world_turn(&world);
    assert_int_equal(ew_http_stream_unsent(world.waiting[0]), 0);
    heard_now(fd, text, sizeof text);
    assert_string_equal(text, "3\r\none\r\n3\r\ntwo\r\n");
    close(fd);
    http_world_close(&world);
}

static void test_long_texts_keep_their_place_between_short_ones(void **state)
{
    (void)state;
    static const size_t sizes[] = {3, 100, 8000, 8192, 9000, 1, 300000, 5, 8100, 200, 2};
    static char piece[300000];
    struct http_world world;
    const struct ew_http_params params = http_world_params();
    http_world_open(&world, &params);
    int fd = http_world_connect(&world);
    http_world_say(&world, fd, "GET /hold HTTP/1.0\r\n\r\n"); /* until the end: no chunks */
    http_world_turn_until(&world, &world.waiting_count, 1);
    struct ew_buf heard, said;
    ew_buf_init(&heard, TEXT_MAX);
    ew_buf_init(&said, TEXT_MAX);
    for (size_t i = 0; i < EW_COUNT(sizes); i++) {
        memset(piece, 'a' + (int)i, sizes[i]);
        const struct ew_str data = {piece, sizes[i]};
        assert_int_equal(ew_http_stream_write(world.waiting[0], data, NULL), 0);
        assert_int_equal(ew_buf_add(&said, piece, sizes[i], NULL), 0);
    }
    ew_http_stream_end(world.waiting[0]);
    assert_int_equal(http_world_listen(&world, fd, NULL, &heard), HEARD_END);
    const char *body = strstr(heard.data, "\r\n\r\n") + 4;
    assert_int_equal(heard.bytes - (size_t)(body - heard.data), said.bytes);
    assert_memory_equal(body, said.data, said.bytes);
    ew_buf_fini(&heard);
    ew_buf_fini(&said);
    close(fd);
    http_world_close(&world);
}

/* A reader that doesn't read until all was said: the socket takes a letter in part, and what comes
 * then must not overtake the rest of it. */
static void test_what_the_socket_does_not_take_keeps_its_place(void **state)
{
    (void)state;
    enum { UNSENT = 100000, WORDS_A_TURN = 9973 };
    struct http_world world;
    const struct ew_http_params params = http_world_params();
    http_world_open(&world, &params);
    int fd = http_world_connect(&world), small = 64 << 10;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    http_world_say(&world, fd, "GET /hold HTTP/1.0\r\n\r\n");
    http_world_turn_until(&world, &world.waiting_count, 1);
    struct ew_buf heard, said;
    ew_buf_init(&heard, TEXT_MAX);
    ew_buf_init(&said, TEXT_MAX);
    for (int i = 1; ew_http_stream_unsent(world.waiting[0]) < UNSENT; i++) {
        size_t before = said.bytes;
        assert_int_equal(ew_buf_printf(&said, NULL, "%d ", i), 0);
        const struct ew_str word = {said.data + before, said.bytes - before};
        assert_int_equal(ew_http_stream_write(world.waiting[0], word, NULL), 0);
        if (i % WORDS_A_TURN == 0)
            http_world_turn(&world);
    }
    ew_http_stream_end(world.waiting[0]);
    assert_int_equal(http_world_listen(&world, fd, NULL, &heard), HEARD_END);
    assert_string_equal(strstr(heard.data, "\r\n\r\n") + 4, ew_buf_cstr(&said));
    ew_buf_fini(&heard);
    ew_buf_fini(&said);
    close(fd);
    http_world_close(&world);
}

/* More than there are places, all asked before the loop turns; two requests in each, so that the
 * second waits behind the answer to the first. */
static void test_everybody_is_answered_in_one_turn(void **state)
{
    (void)state;
    enum { CLIENTS = 80 };
    static const char ask[] =
        "GET /hello HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" CLOSE "\r\n";
    struct http_world world;
    const struct ew_http_params params = http_world_params();
    http_world_open(&world, &params);
    int fds[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = http_world_connect(&world);
        assert_int_equal(send(fds[i], ask, sizeof ask - 1, 0), sizeof ask - 1);
    }
    for (int i = 0; i < CLIENTS; i++) {
        struct ew_buf heard;
        ew_buf_init(&heard, TEXT_MAX);
        assert_int_equal(http_world_listen(&world, fds[i], NULL, &heard), HEARD_END);
        const char *first = strstr(heard.data, "\r\n\r\nhello");
        assert_true(first && strstr(first + 9, "\r\n\r\nhello"));
        ew_buf_fini(&heard);
        close(fds[i]);
    }
    http_world_close(&world);
}

static void test_what_was_said_before_the_end_arrives(void **state)
{
    (void)state;
    struct http_world world;
    const struct ew_http_params params = http_world_params();
    http_world_open(&world, &params);
    char text[1000];
    int cut = hold(&world), gone = hold(&world), closed = hold(&world);
    assert_int_equal(ew_http_stream_write(world.waiting[0], http_world_str("one"), NULL), 0);
    ew_http_abort(world.waiting[0]);
    assert_int_equal(ew_http_stream_write(world.waiting[1], http_world_str("lost"), NULL), 0);
    close(gone);
    struct ew_buf heard;
    ew_buf_init(&heard, TEXT_MAX);
    assert_int_equal(http_world_listen(&world, cut, NULL, &heard), HEARD_END);
    assert_string_equal(heard.data, "3\r\none\r\n"); /* and no last chunk */
    http_world_turn_until(&world, &world.gone_count, 1);
    assert_int_equal(ew_http_stream_write(world.waiting[2], http_world_str("last"), NULL), 0);
    http_world_close(&world);
    heard_now(closed, text, sizeof text);
    assert_string_equal(text, "4\r\nlast\r\n");
    ew_buf_fini(&heard);
    close(cut);
    close(closed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_of_one_turn_leave_at_its_end),
        cmocka_unit_test(test_long_texts_keep_their_place_between_short_ones),
        cmocka_unit_test(test_what_the_socket_does_not_take_keeps_its_place),
        cmocka_unit_test(test_everybody_is_answered_in_one_turn),
        cmocka_unit_test(test_what_was_said_before_the_end_arrives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
