/* test_http_input.c - what clients send arrives whole and is theirs, however it is cut, whoever
 * sends in between, and whatever must wait behind an answer. */
#include "net/http_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "support/http_world.h"

enum { CLIENTS = 4, REQUESTS = 12, BODY_BYTES = 30000, CUT_BYTES = 20000 };

struct client {
    int fd;
    struct ew_buf says, expects, heard;
    size_t said;
};

/* An echo of the client's own letter, of a length that its number tells. */
static void add_echo(struct client *client, int who, struct ew_rng *rng)
{
    static char body[BODY_BYTES];
    size_t bytes = ew_rng_below(rng, 2) ? ew_rng_below(rng, BODY_BYTES) : ew_rng_below(rng, 50);
    memset(body, 'a' + who, bytes);
    int rc = ew_buf_printf(&client->says, NULL,
                           "POST /echo HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", bytes);
    rc |= ew_buf_add(&client->says, body, bytes, NULL);
    rc |= ew_buf_printf(&client->expects, NULL, "POST /echo ? 127.0.0.1 - %zu:", bytes);
    rc |= ew_buf_add(&client->expects, body, bytes, NULL);
    assert_int_equal(rc, 0);
}

static void open_client(struct client *client, struct http_world *world, int who,
                        struct ew_rng *rng)
{
    client->fd = http_world_connect(world);
    client->said = 0;
    ew_buf_init(&client->says, TEXT_MAX);
    ew_buf_init(&client->expects, TEXT_MAX);
    ew_buf_init(&client->heard, TEXT_MAX);
    assert_int_equal(ew_buf_text(&client->says, "GET /wait HTTP/1.1\r\n" HOST "\r\n", NULL), 0);
    for (int i = 0; i < REQUESTS; i++)
        add_echo(client, who, rng);
}

/* The bodies of its answers, one behind the other. */
static void check_client(struct client *client, struct http_world *world)
{
    struct ew_buf bodies;
    ew_buf_init(&bodies, TEXT_MAX);
    shutdown(client->fd, SHUT_WR);
    assert_int_equal(http_world_listen(world, client->fd, NULL, &client->heard), HEARD_END);
    const char *at = client->heard.data;
    for (int i = 0; i <= REQUESTS; i++) {
        const char *length = strstr(at, "Content-Length: "), *body = strstr(at, "\r\n\r\n");
        assert_non_null(length);
        assert_non_null(body);
        size_t bytes = strtoul(length + 16, NULL, 10);
        if (i > 0) /* the first wasn't an echo */
            assert_int_equal(ew_buf_add(&bodies, body + 4, bytes, NULL), 0);
        at = body + 4 + bytes;
    }
    assert_int_equal(bodies.bytes, client->expects.bytes);
    assert_memory_equal(bodies.data, client->expects.data, bodies.bytes);
    ew_buf_fini(&bodies);
    ew_buf_fini(&client->says);
    ew_buf_fini(&client->expects);
    ew_buf_fini(&client->heard);
    close(client->fd);
}

static void test_requests_behind_one_that_waits_are_kept_in_order(void **state)
{
    (void)state;
    struct http_world world;
    struct client clients[CLIENTS];
    struct ew_rng rng;
    const struct ew_http_params params = http_world_params();
    ew_rng_init(&rng, 11);
    http_world_open(&world, &params);
    for (int i = 0; i < CLIENTS; i++)
        open_client(&clients[i], &world, i, &rng);
    for (int open = CLIENTS; open > 0;) {
        struct client *client = &clients[ew_rng_below(&rng, CLIENTS)];
        size_t left = client->says.bytes - client->said, cut = 1 + ew_rng_below(&rng, CUT_BYTES);
        cut = cut < left ? cut : left;
        if (!cut)
            continue;
        http_world_say_bytes(&world, client->fd, client->says.data + client->said, cut);
        client->said += cut;
        open -= cut == left;
        /* Some while their requests still come, so that both ways are taken. */
        if (world.waiting_count && !ew_rng_below(&rng, 8))
            ew_http_reply(world.waiting[--world.waiting_count], 200, NULL, http_world_str("late"));
    }
    while (world.waiting_count)
        ew_http_reply(world.waiting[--world.waiting_count], 200, NULL, http_world_str("late"));
    for (int i = 0; i < CLIENTS; i++)
        check_client(&clients[i], &world);
    http_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_behind_one_that_waits_are_kept_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
