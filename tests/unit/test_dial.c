/* test_dial.c - a device dials a front, the front asks it over that connection: dial.c, the doors
 * of the HTTP server and upstream_adopt.c together, plain and behind TLS; and each way in which a
 * front may say no. All on one thread. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "net/dial.h"
#include "support/http_world.h"
#include "support/upstream_world.h"

static char folder[] = "/tmp/ew-test-dial-XXXXXX";

static const char *file(const char *name)
{
    static char paths[4][100];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int make_files(void **state)
{
    (void)state;
    char command[1000];
    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
    if (!mkdtemp(folder))
        return -1;
    snprintf(command, sizeof command,
             "(cd %s && for n in IP:127.0.0.1 DNS:localhost; do openssl req -x509 -newkey ec "
             "-pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=front -addext "
             "subjectAltName=$n -keyout ${n%%:*}.key -out ${n%%:*}.crt || exit 1; done; "
             "echo rubbish >rubbish) 2>/dev/null",
             folder);
    return system(command);
}

static int remove_files(void **state)
{
    (void)state;
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* ---- who dials ---- */

struct dialled {
    struct ew_dial_call *call;
    int done;
    struct ew_dial_result result;
};

static void on_done(void *user, const struct ew_dial_result *result)
{
    struct dialled *dialled = user;
    dialled->done++;
    dialled->result = *result;
    dialled->call = NULL;
    assert_int_equal(result->bev == NULL, result->why[0] != '\0');
}

static const struct ew_http_header token = {"Authorization", "Bearer very-secret"};

static void dial(struct dialled *dialled, struct ew_dial *from, const char *scheme,
                 const char *host, int port, double timeout_s)
{
    char url[100];
    struct ew_err err = {0};
    *dialled = (struct dialled){0};
    snprintf(url, sizeof url, "%s://%s:%d/wait?name=agx#x", scheme, host, port);
    const struct ew_dial_ask ask = {
        .url = url,
        .protocol = "edgewise/1",
        .headers = &token,
        .header_count = 1,
        .timeout_s = timeout_s,
        .user = dialled,
        .done = on_done,
    };
    if (ew_dial_begin(from, &ask, &dialled->call, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(dialled->done, 0); /* never inside the call */
    memset(url, 'x', sizeof url);
}

static void check_failed(const struct dialled *dialled, int status, const char *why)
{
    assert_int_equal(dialled->done, 1);
    assert_null(dialled->result.bev);
    assert_int_equal(dialled->result.status, status);
    if (!strstr(dialled->result.why, why) || strstr(dialled->result.why, "secret"))
        fail_msg("'%s', wanted '%s'", dialled->result.why, why);
}

/* ---- all of it: device and front ---- */

struct all {
    struct http_world front, device; /* on the front's loop, both */
    struct upstream_world client;    /* of the front */
    struct ew_dial *dial;            /* of the device */
    int closed;
};

static void count_closed(void *user)
{
    ++*(int *)user;
}

static void open_all(struct all *all, const char *certificate, const char *trusted)
{
    struct ew_http_params params = http_world_params();
    struct ew_err err = {0};
    char crt[100] = "", key[100] = "";
    if (certificate) {
        snprintf(crt, sizeof crt, "%s.crt", file(certificate));
        snprintf(key, sizeof key, "%s.key", file(certificate));
        params.tls_certificate = crt;
        params.tls_key = key;
    }
    *all = (struct all){0};
    http_world_open(&all->front, &params);
    all->client = (struct upstream_world){.loop = all->front.loop, .listens = -1};
    all->device = (struct http_world){.params = http_world_params(), .loop = all->front.loop};
    all->device.params.user = &all->device;
    if (ew_upstreams_open(&all->client.upstreams, all->front.loop, &err) != 0 ||
        ew_http_server_open(&all->device.server, ew_loop_base(all->front.loop), &all->device.params,
                            &err) != 0 ||
        ew_dial_open(&all->dial, all->front.loop, trusted, &err) != 0)
        fail_msg("%s", err.text);
}

static void close_all(struct all *all)
{
    ew_dial_close(&all->dial);
    ew_http_server_close(&all->device.server);
    ew_upstreams_close(&all->client.upstreams);
    http_world_close(&all->front);
}

/* One connection from the device to the front, as both would make it. */
static void join_front(struct all *all, const char *scheme, const char *host)
{
    struct dialled dialled;
    int before = all->front.waiting_count;
    dial(&dialled, all->dial, scheme, host, ew_http_server_port(all->front.server), 15);
    http_world_turn_until(&all->front, &all->front.waiting_count, before + 1);
    struct ew_http_request *request = all->front.waiting[before];
    assert_string_equal(ew_http_query(request), "name=agx");
    assert_string_equal(ew_http_header(request, "authorization"), token.value);
    assert_string_equal(ew_http_header(request, "upgrade"), "edgewise/1");
    assert_string_equal(ew_http_header(request, "connection"), "Upgrade");
    struct bufferevent *bev = ew_http_upgrade(request, "edgewise/1");
    assert_non_null(bev);
    assert_int_equal(ew_upstreams_adopt(all->client.upstreams, "agx", bev, NULL), 0);
    http_world_turn_until(&all->front, &dialled.done, 1);
    if (!dialled.result.bev)
        fail_msg("%s", dialled.result.why);
    assert_int_equal(dialled.result.status, 101);
    assert_int_equal(ew_http_server_adopt(all->device.server, dialled.result.bev, "front",
                                          count_closed, &all->closed, NULL),
                     0);
}

static void ask_device(struct all *all, struct upstream_told *told, const char *method,
                       const char *path, struct ew_str body)
{
    upstream_told_init(told, &all->client);
    struct ew_upstream_ask ask = upstream_told_ask(told);
    ask.url = path;
    ask.origin = "agx";
    ask.method = method;
    ask.body = body;
    upstream_told_begin(told, &all->client, &ask, "");
}

static void check_device_is_asked(struct all *all)
{
    struct upstream_told told;
    const struct ew_str nothing = {NULL, 0};
    for (int i = 0; i < 3; i++) {
        ask_device(all, &told, "POST", "/echo?a", http_world_str("body"));
        upstream_world_until(&all->client, &told.ends, 1);
        upstream_told_check_whole(&told, "POST /echo ?a front - 4:body");
        upstream_told_fini(&told);
    }
    ask_device(all, &told, "GET", "/stream", nothing);
    upstream_world_until(&all->client, &told.ends, 1);
    upstream_told_check_whole(&told, "onetwotwotwotwotwotwo");
    upstream_told_fini(&told);
    ask_device(all, &told, "GET", "/big", nothing);
    upstream_world_until(&all->client, &told.ends, 1);
    assert_int_equal(told.result.failure, EW_UPSTREAM_NONE);
    assert_int_equal(told.body.bytes, BIG_BYTES);
    upstream_told_fini(&told);
    /* A token at a time. */
    ask_device(all, &told, "GET", "/hold", nothing);
    http_world_turn_until(&all->front, &all->device.waiting_count, 1);
    for (int i = 1; i <= 5; i++) {
        assert_int_equal(ew_http_stream_write(all->device.waiting[0], http_world_str("x"), NULL),
                         0);
        upstream_world_until(&all->client, &told.pieces, i);
    }
    /* The front's client hangs up: the device sees it, and the connection is gone. */
    ew_upstream_cancel(&told.call);
    http_world_turn_until(&all->front, &all->device.gone_count, 1);
    http_world_turn_until(&all->front, &all->closed, 1);
    upstream_told_fini(&told);
}

static void test_a_device_joins_and_is_asked_over_plain_tcp(void **state)
{
    (void)state;
    struct all all;
    open_all(&all, NULL, NULL);
    join_front(&all, "http", "127.0.0.1");
    check_device_is_asked(&all);
    join_front(&all, "http", "localhost"); /* a name, of which ::1 may be the first address */
    assert_int_equal(ew_upstreams_adopted(all.client.upstreams, "agx"), 1);
    close_all(&all);
}

static void test_a_device_joins_and_is_asked_through_tls(void **state)
{
    (void)state;
    struct all all;
    open_all(&all, "IP", file("IP.crt"));
    join_front(&all, "https", "127.0.0.1");
    check_device_is_asked(&all);
    close_all(&all);
    open_all(&all, "DNS", file("DNS.crt"));
    join_front(&all, "https", "localhost");
    check_device_is_asked(&all);
    close_all(&all);
}

/* The front may ask at once: 101 and the first request in one piece. */
static void test_a_question_right_behind_the_101_is_the_first_request(void **state)
{
    (void)state;
    struct all all;
    struct upstream_world raw;
    struct dialled dialled;
    struct ew_buf heard;
    open_all(&all, NULL, NULL);
    upstream_world_open(&raw);
    ew_upstreams_close(&raw.upstreams);
    ew_loop_close(&raw.loop);
    raw.loop = all.front.loop;
    ew_buf_init(&heard, UPSTREAM_BODY_MAX);
    dial(&dialled, all.dial, "http", "127.0.0.1", raw.port, 10);
    int fd = upstream_world_accept(&raw);
    upstream_world_hear_request(&raw, fd);
    upstream_world_say(&raw, fd,
                       "HTTP/1.1 101 Switching Protocols\r\nupgrade: EDGEWISE/1\r\n\r\n"
                       "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    upstream_world_until(&raw, &dialled.done, 1);
    assert_non_null(dialled.result.bev);
    upstream_world_turn_for(&raw, 0.02);
    assert_int_equal(
        ew_http_server_adopt(all.device.server, dialled.result.bev, "front", NULL, NULL, NULL), 0);
    assert_true(upstream_world_hear(&raw, fd, "hello", &heard));
    close(fd);
    close(raw.listens);
    ew_buf_fini(&heard);
    close_all(&all);
}

/* ---- fronts that say no ---- */

static void open_raw(struct upstream_world *world, struct ew_dial **dialler, const char *trusted)
{
    struct ew_err err = {0};
    upstream_world_open(world);
    if (ew_dial_open(dialler, world->loop, trusted, &err) != 0)
        fail_msg("%s", err.text);
}

static void close_raw(struct upstream_world *world, struct ew_dial **dialler)
{
    ew_dial_close(dialler);
    upstream_world_close(world);
}

static void test_answers_that_are_no_are_told_with_their_reason(void **state)
{
    (void)state;
    static const struct {
        const char *says;
        int status;
        const char *why;
    } cases[] = {
        {"HTTP/1.1 403 Forbidden\r\nContent-Length: 45\r\n\r\n"
         "{\"error\": {\"message\": \"the token was used\"}}}",
         403, "HTTP 403"},
        {"HTTP/1.1 403 Forbidden\r\nContent-Length: 44\r\n\r\n"
         "{\"error\": {\"message\": \"the token was used\"}}",
         403, "HTTP 403: the token was used"},
        {"HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n13\r\n{\"error\": \"no key\"}\r\n"
         "0\r\n\r\n",
         401, "HTTP 401: no key"},
        {"HTTP/1.1 404 Not Found\r\n\r\nno such page\nat all", 404, "HTTP 404: no such page"},
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}", 404, "HTTP 404"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "HTTP 200"},
        {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", 101, "another protocol"},
        {"HTTP/1.1 101 Switching Protocols\r\n\r\n", 101, "another protocol"},
        {"SSH-2.0-OpenSSH\r\n", 0, "isn't HTTP"},
        {"", 0, "closed the connection before it answered"},
        {"HTTP/1.1 101 Swi", 0, "closed the connection before it answered"},
        {"HTTP/1.1 403 Forbidden\r\nContent-Length: 43\r\n\r\nno", 0, "closed the connection"},
    };
    struct upstream_world world;
    struct ew_dial *dialler;
    open_raw(&world, &dialler, NULL);
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        struct dialled dialled;
        dial(&dialled, dialler, "http", "127.0.0.1", world.port, 10);
        int fd = upstream_world_accept(&world);
        upstream_world_hear_request(&world, fd);
        for (const char *at = cases[i].says; *at; at++)
            upstream_world_say_bytes(&world, fd, at, 1);
        close(fd);
        upstream_world_until(&world, &dialled.done, 1);
        check_failed(&dialled, cases[i].status, cases[i].why);
    }
    close_raw(&world, &dialler);
}

static void test_a_body_without_end_is_not_listened_to(void **state)
{
    (void)state;
    struct upstream_world world;
    struct ew_dial *dialler;
    struct dialled dialled;
    open_raw(&world, &dialler, NULL);
    dial(&dialled, dialler, "http", "127.0.0.1", world.port, 10);
    int fd = upstream_world_accept(&world);
    upstream_world_hear_request(&world, fd);
    upstream_world_say(&world, fd, "HTTP/1.1 500 Oh\r\n\r\n");
    for (int i = 0; i < 10000 && !dialled.done; i++)
        upstream_world_say(&world, fd, "0123456789012345678901234567890123456789");
    check_failed(&dialled, 500, "HTTP 500: 0123456789");
    upstream_world_check_closed(&world, fd);
    close_raw(&world, &dialler);
}

static void test_fronts_that_are_not_there_or_are_silent(void **state)
{
    (void)state;
    struct upstream_world world;
    struct ew_dial *dialler;
    struct dialled dialled;
    open_raw(&world, &dialler, NULL);
    static const char *const schemes[] = {"http", "https"};
    for (int i = 0; i < 2; i++) {
        dial(&dialled, dialler, schemes[i], "127.0.0.1", world.port, 0.2);
        int fd = upstream_world_accept(&world);
        upstream_world_until(&world, &dialled.done, 1);
        check_failed(&dialled, 0, i ? "no connection in time" : "it didn't answer in time");
        upstream_world_check_closed(&world, fd);
        dial(&dialled, dialler, schemes[i], "no-such-host.invalid", world.port, 15);
        upstream_world_until(&world, &dialled.done, 1);
        check_failed(&dialled, 0, "no address");
    }
    close(world.listens);
    world.listens = -1;
    for (int i = 0; i < 2; i++) {
        dial(&dialled, dialler, schemes[i], "127.0.0.1", world.port, 10);
        upstream_world_until(&world, &dialled.done, 1);
        check_failed(&dialled, 0, i ? "127.0.0.1" : "onnection refused");
    }
    close_raw(&world, &dialler);
}

static void test_certificates_are_verified_name_and_all(void **state)
{
    (void)state;
    static const struct {
        const char *certificate, *trusted, *host, *why;
    } cases[] = {
        {"IP", "IP.crt", "localhost", "its certificate: hostname mismatch"},
        {"DNS", "DNS.crt", "127.0.0.1", "its certificate: IP address mismatch"},
        {"IP", "DNS.crt", "127.0.0.1", "its certificate: self-signed"},
        {"IP", NULL, "127.0.0.1", "its certificate: self-signed"},
        {NULL, NULL, "127.0.0.1", "TLS"},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        struct all all;
        struct dialled dialled;
        open_all(&all, cases[i].certificate, cases[i].trusted ? file(cases[i].trusted) : NULL);
        dial(&dialled, all.dial, "https", cases[i].host, ew_http_server_port(all.front.server), 10);
        http_world_turn_until(&all.front, &dialled.done, 1);
        check_failed(&dialled, 0, cases[i].why);
        http_world_turn_for(&all.front, 0.01);
        assert_int_equal(all.front.waiting_count,
                         0); /* nothing was asked, least of all the token */
        close_all(&all);
    }
}

static void test_a_dial_may_be_cancelled_wherever_it_is(void **state)
{
    (void)state;
    struct upstream_world world;
    struct ew_dial *dialler;
    struct dialled dialled[4];
    open_raw(&world, &dialler, NULL);
    dial(&dialled[0], dialler, "http", "127.0.0.1", world.port, 10);
    ew_dial_cancel(&dialled[0].call);
    dial(&dialled[1], dialler, "https", "127.0.0.1", world.port, 10);
    int fd = upstream_world_accept(&world);
    ew_dial_cancel(&dialled[1].call);
    upstream_world_check_closed(&world, fd);
    dial(&dialled[2], dialler, "http", "127.0.0.1", world.port, 10);
    fd = upstream_world_accept(&world);
    upstream_world_hear_request(&world, fd);
    ew_dial_cancel(&dialled[2].call);
    upstream_world_check_closed(&world, fd);
    dial(&dialled[3], dialler, "http", "no-such-host.invalid", world.port, 10);
    ew_dial_cancel(&dialled[3].call);
    ew_dial_cancel(&dialled[3].call); /* NULL is fine */
    upstream_world_turn_for(&world, 0.02);
    for (int i = 0; i < 4; i++)
        assert_int_equal(dialled[i].done, 0);
    close_raw(&world, &dialler);
}

static void test_what_cannot_be_dialled_is_refused(void **state)
{
    (void)state;
    static const struct ew_http_header bad = {"A", "b\r\nC: secret"};
    struct upstream_world world;
    struct ew_dial *dialler, *none;
    struct ew_dial_call *call;
    struct dialled dialled;
    open_raw(&world, &dialler, NULL);
    const struct ew_dial_ask good = {
        .url = "http://127.0.0.1:1/",
        .protocol = "edgewise/1",
        .timeout_s = 1,
        .user = &dialled,
        .done = on_done,
    };
    struct ew_dial_ask asks[4] = {good, good, good, good};
    asks[0].url = "ftp://127.0.0.1/secret";
    asks[1].headers = &bad;
    asks[1].header_count = 1;
    asks[2].timeout_s = 0;
    asks[3].protocol = "a protocol whose name is longer than any one";
    for (size_t i = 0; i < EW_COUNT(asks); i++) {
        struct ew_err err = {0};
        assert_int_equal(ew_dial_begin(dialler, &asks[i], &call, &err), EW_EINVAL);
        assert_null(call);
        assert_null(strstr(err.text, "secret"));
    }
    assert_int_equal(ew_dial_open(&none, world.loop, file("rubbish"), NULL), EW_EINVAL);
    assert_int_equal(ew_dial_open(&none, world.loop, file("missing"), NULL), EW_EINVAL);
    assert_null(none);
    close_raw(&world, &dialler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_device_joins_and_is_asked_over_plain_tcp),
        cmocka_unit_test(test_a_device_joins_and_is_asked_through_tls),
        cmocka_unit_test(test_a_question_right_behind_the_101_is_the_first_request),
        cmocka_unit_test(test_answers_that_are_no_are_told_with_their_reason),
        cmocka_unit_test(test_a_body_without_end_is_not_listened_to),
        cmocka_unit_test(test_fronts_that_are_not_there_or_are_silent),
        cmocka_unit_test(test_certificates_are_verified_name_and_all),
        cmocka_unit_test(test_a_dial_may_be_cancelled_wherever_it_is),
        cmocka_unit_test(test_what_cannot_be_dialled_is_refused),
    };
    alarm(120);
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
