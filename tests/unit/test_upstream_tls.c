/* test_upstream_tls.c - https to other servers, and http through a proxy: upstream_curl.c against
 * the server of this house with certificates that openssl makes for this run, against bare
 * sockets, and against nghttpd, which speaks nothing but HTTP/2. All on one thread. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "support/http_world.h"
#include "support/upstream_world.h"

static char folder[] = "/tmp/ew-test-upstream-XXXXXX";

static const char *file(const char *name)
{
    static char paths[4][100];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* The pair "one", once more, but an hour too old: openssl's command can't make such. */
static int make_old_file(void)
{
    FILE *files[3] = {fopen(file("one.crt"), "r"), fopen(file("one.key"), "r"),
                      fopen(file("old.crt"), "w")};
    if (!files[0] || !files[1] || !files[2])
        return -1;
    X509 *certificate = PEM_read_X509(files[0], NULL, NULL, NULL);
    EVP_PKEY *key = PEM_read_PrivateKey(files[1], NULL, NULL, NULL);
    bool made = certificate && key && X509_gmtime_adj(X509_getm_notBefore(certificate), -7200) &&
                X509_gmtime_adj(X509_getm_notAfter(certificate), -3600) &&
                X509_sign(certificate, key, EVP_sha256()) > 0 &&
                PEM_write_X509(files[2], certificate) == 1;
    for (int i = 0; i < 3; i++)
        fclose(files[i]);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return made ? 0 : -1;
}

static int make_files(void **state)
{
    (void)state;
    static const char *const variables[] = {
        "http_proxy", "https_proxy", "HTTPS_PROXY",    "all_proxy",     "ALL_PROXY",
        "no_proxy",   "NO_PROXY",    "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"};
    char command[1000];
    for (size_t i = 0; i < EW_COUNT(variables); i++)
        unsetenv(variables[i]);
    if (!mkdtemp(folder))
        return -1;
    snprintf(command, sizeof command,
             "(cd %s && for n in one two; do openssl req -x509 -newkey ec -pkeyopt "
             "ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=$n -addext "
             "subjectAltName=IP:127.0.0.1 -keyout $n.key -out $n.crt || exit 1; done && "
             "mkdir docs trusted && cp one.crt trusted/one.pem && openssl rehash trusted && "
             "echo over HTTP/2 >docs/hello && echo rubbish >rubbish) 2>/dev/null",
             folder);
    return system(command) == 0 ? make_old_file() : -1;
}

static int remove_files(void **state)
{
    (void)state;
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* ---- the server of this house, and our client, on one loop ---- */

struct both {
    struct http_world server;
    struct upstream_world client; /* its loop is the server's; its socket listens as well */
};

static void open_both(struct both *both, const char *certificate)
{
    struct ew_http_params params = http_world_params();
    struct ew_err err = {0};
    params.tls_certificate = file(certificate);
    params.tls_key = file("one.key");
    http_world_open(&both->server, &params);
    both->client = (struct upstream_world){.loop = both->server.loop, .listens = -1};
    if (ew_upstreams_open(&both->client.upstreams, both->client.loop, &err) != 0)
        fail_msg("%s", err.text);
    both->client.port = ew_http_server_port(both->server.server);
}

static void close_both(struct both *both)
{
    assert_int_equal(upstream_world_counts(&both->client).active, 0);
    ew_upstreams_close(&both->client.upstreams);
    http_world_close(&both->server);
}

static const struct ew_upstream_ask none;

/* `change` has what differs from the usual; its strings and times are taken where they are set. */
static void begin(struct upstream_told *told, struct upstream_world *world, const char *host,
                  const char *path, const char *trusted, const struct ew_upstream_ask *change)
{
    char url[200];
    upstream_told_init(told, world);
    struct ew_upstream_ask ask = upstream_told_ask(told);
    snprintf(url, sizeof url, "https://%s:%d%s", host, world->port, path);
    ask.url = url;
    ask.ca_file = trusted;
    ask.method = change->method ? change->method : ask.method;
    ask.body = change->body;
    ask.headers = change->headers;
    ask.header_count = change->header_count;
    ask.body_bytes_max = change->body_bytes_max;
    if (change->head_timeout_s > 0)
        ask.head_timeout_s = change->head_timeout_s;
    if (change->stall_timeout_s > 0)
        ask.stall_timeout_s = change->stall_timeout_s;
    if (change->connect_timeout_s > 0)
        ask.connect_timeout_s = change->connect_timeout_s;
    upstream_told_begin(told, world, &ask, "");
}

static void test_a_request_goes_out_as_asked_and_its_answer_comes_in(void **state)
{
    (void)state;
    struct both both;
    struct upstream_told told;
    open_both(&both, "one.crt");
    const struct ew_http_header headers[] = {{"User-Agent", "me"}, {"X-Empty", ""}};
    const struct ew_upstream_ask change = {
        .method = "POST",
        .body = {"body", 4},
        .headers = headers,
        .header_count = 2,
    };
    begin(&told, &both.client, "127.0.0.1", "/echo?a=b", file("one.crt"), &change);
    upstream_world_until(&both.client, &told.ends, 1);
    upstream_told_check_whole(&told, "POST /echo ?a=b 127.0.0.1 me 4:body");
    assert_int_equal(told.status, 200);
    assert_string_equal(told.type, "text/plain");
    assert_false(told.result.reused);
    upstream_told_fini(&told);
    /* Over the same connection. */
    begin(&told, &both.client, "127.0.0.1", "/stream", file("one.crt"), &none);
    upstream_world_until(&both.client, &told.ends, 1);
    upstream_told_check_whole(&told, "onetwotwotwotwotwotwo");
    assert_true(told.result.reused);
    assert_string_equal(told.type, "text/event-stream");
    upstream_told_fini(&told);
    begin(&told, &both.client, "127.0.0.1", "/nothing", file("one.crt"), &none);
    upstream_world_until(&both.client, &told.ends, 1);
    upstream_told_check_whole(&told, "");
    assert_int_equal(told.status, 204);
    upstream_told_fini(&told);
    assert_int_equal(http_world_counts(&both.server).accepted, 1);
    const struct ew_upstream_counts counts = upstream_world_counts(&both.client);
    assert_int_equal(counts.connections_opened, 1);
    assert_int_equal(counts.connections_reused, 2);
    assert_int_equal(counts.failures, 0);
    close_both(&both);
}

static void test_what_is_sent_has_nothing_that_was_not_asked_for(void **state)
{
    (void)state;
    struct both both;
    struct upstream_told told;
    open_both(&both, "one.crt");
    static char body[2 << 20];
    memset(body, 'b', sizeof body);
    const struct ew_upstream_ask change = {.method = "POST", .body = {body, 1 << 20}};
    begin(&told, &both.client, "127.0.0.1", "/wait", file("one.crt"), &change);
    http_world_turn_until(&both.server, &both.server.waiting_count, 1);
    struct ew_http_request *request = both.server.waiting[0];
    assert_null(ew_http_header(request, "Expect"));
    assert_null(ew_http_header(request, "Content-Type"));
    assert_null(ew_http_header(request, "Accept-Encoding"));
    assert_string_equal(ew_http_header(request, "User-Agent"), "edgewise/" EW_VERSION);
    assert_string_equal(ew_http_header(request, "Content-Length"), "1048576");
    assert_int_equal(ew_http_body(request).bytes, 1 << 20);
    assert_int_equal(told.heads, 0);
    ew_http_add_header(request, "x-test", "yes");
    ew_http_add_header(request, "Retry-After", "3");
    ew_http_reply(request, 429, "Application/JSON; charset=x", http_world_str("{}"));
    upstream_world_until(&both.client, &told.ends, 1);
    upstream_told_check_whole(&told, "{}");
    assert_int_equal(told.status, 429);
    assert_string_equal(told.type, "application/json");
    assert_string_equal(told.header, "yes");
    assert_true(told.retry_after_s == 3);
    upstream_told_fini(&told);
    close_both(&both);
}

static void test_certificates_are_verified(void **state)
{
    (void)state;
    static const struct {
        const char *certificate, *trusted, *host;
        const char *why;
    } cases[] = {
        {"one.crt", "two.crt", "127.0.0.1", "certificate"},
        {"one.crt", NULL, "127.0.0.1", "certificate"}, /* the system doesn't know it */
        {"old.crt", "old.crt", "127.0.0.1", "expired"},
        {"one.crt", "one.crt", "localhost", "localhost"},
        {"one.crt", "rubbish", "127.0.0.1", "rubbish"},
        {"one.crt", "missing", "127.0.0.1", "missing"},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        struct both both;
        struct upstream_told told;
        open_both(&both, cases[i].certificate);
        const struct ew_http_header secret = {"Authorization", "Bearer very-secret"};
        const struct ew_upstream_ask change = {.headers = &secret, .header_count = 1};
        begin(&told, &both.client, cases[i].host, "/hello?key=very-secret",
              cases[i].trusted ? file(cases[i].trusted) : NULL, &change);
        upstream_world_until(&both.client, &told.ends, 1);
        upstream_told_check_failed(&told, EW_UPSTREAM_TLS, cases[i].why);
        assert_null(strstr(told.result.why, "secret"));
        assert_int_equal(told.heads, 0);
        http_world_turn_for(&both.server, 0.01);
        assert_int_equal(http_world_counts(&both.server).requests, 0);
        upstream_told_fini(&told);
        close_both(&both);
    }
}

/* Trust isn't handed on from one call to the next by the connection that is kept. */
static void test_a_kept_connection_is_only_for_those_who_trust_it(void **state)
{
    (void)state;
    struct both both;
    struct upstream_told told;
    open_both(&both, "one.crt");
    begin(&told, &both.client, "127.0.0.1", "/hello", file("one.crt"), &none);
    upstream_world_until(&both.client, &told.ends, 1);
    upstream_told_check_whole(&told, "hello");
    upstream_told_fini(&told);
    begin(&told, &both.client, "127.0.0.1", "/hello", file("two.crt"), &none);
    upstream_world_until(&both.client, &told.ends, 1);
    upstream_told_check_failed(&told, EW_UPSTREAM_TLS, "certificate");
    upstream_told_fini(&told);
    begin(&told, &both.client, "127.0.0.1", "/hello", NULL, &none);
    upstream_world_until(&both.client, &told.ends, 1);
    upstream_told_check_failed(&told, EW_UPSTREAM_TLS, "certificate");
    upstream_told_fini(&told);
    close_both(&both);
}

/* The first time the request crosses the server's goodbye; the second time it was worked on. */
static void test_a_kept_connection_that_was_closed_is_replaced_while_it_may_be(void **state)
{
    (void)state;
    struct both both;
    struct upstream_told told;
    open_both(&both, "one.crt");
    begin(&told, &both.client, "127.0.0.1", "/hello", file("one.crt"), &none);
    upstream_world_until(&both.client, &told.ends, 1);
    upstream_told_fini(&told);
    begin(&told, &both.client, "127.0.0.1", "/wait", file("one.crt"), &none);
    http_world_turn_until(&both.server, &both.server.waiting_count, 1);
    ew_http_abort(both.server.waiting[0]);
    http_world_turn_until(&both.server, &both.server.waiting_count, 2);
    ew_http_reply(both.server.waiting[1], 200, "text/plain", http_world_str("hello"));
    upstream_world_until(&both.client, &told.ends, 1);
    upstream_told_check_whole(&told, "hello");
    assert_false(told.result.reused);
    upstream_told_fini(&told);
    begin(&told, &both.client, "127.0.0.1", "/wait", file("one.crt"), &none);
    http_world_turn_until(&both.server, &both.server.waiting_count, 3);
    upstream_world_turn_for(&both.client, 1.2);
    ew_http_abort(both.server.waiting[2]);
    upstream_world_until(&both.client, &told.ends, 1);
    upstream_told_check_failed(&told, EW_UPSTREAM_CUT, "before it answered");
    upstream_world_turn_for(&both.client, 0.02);
    assert_int_equal(both.server.waiting_count, 3);
    upstream_told_fini(&told);
    close_both(&both);
}

/* A folder of authorities is the system's: it counts where no file is named, and there alone. */
static void test_a_folder_of_authorities_is_trusted_where_no_file_is_named(void **state)
{
    (void)state;
    struct both both;
    struct upstream_told told;
    open_both(&both, "one.crt");
    setenv("SSL_CERT_DIR", file("trusted"), 1);
    begin(&told, &both.client, "127.0.0.1", "/hello", file("two.crt"), &none);
    upstream_world_until(&both.client, &told.ends, 1);
    upstream_told_check_failed(&told, EW_UPSTREAM_TLS, "certificate");
    upstream_told_fini(&told);
    begin(&told, &both.client, "127.0.0.1", "/hello", NULL, &none);
    upstream_world_until(&both.client, &told.ends, 1);
    upstream_told_check_whole(&told, "hello");
    upstream_told_fini(&told);
    unsetenv("SSL_CERT_DIR");
    close_both(&both);
}

/* ---- streams ---- */

static void test_pieces_come_when_they_are_sent(void **state)
{
    (void)state;
    struct both both;
    struct upstream_told told;
    open_both(&both, "one.crt");
    begin(&told, &both.client, "127.0.0.1", "/hold", file("one.crt"), &none);
    upstream_world_until(&both.client, &told.heads, 1);
    for (int i = 1; i <= 5; i++) {
        assert_int_equal(ew_http_stream_write(both.server.waiting[0], http_world_str("x"), NULL),
                         0);
        upstream_world_until(&both.client, &told.pieces, i);
    }
    assert_int_equal(told.ends, 0);
    ew_http_stream_end(both.server.waiting[0]);
    upstream_world_until(&both.client, &told.ends, 1);
    upstream_told_check_whole(&told, "xxxxx");
    upstream_told_fini(&told);
    close_both(&both);
}

static void test_a_stream_that_is_cut_fails(void **state)
{
    (void)state;
    struct both both;
    struct upstream_told told;
    open_both(&both, "one.crt");
    begin(&told, &both.client, "127.0.0.1", "/hold", file("one.crt"), &none);
    upstream_world_until(&both.client, &told.heads, 1);
    assert_int_equal(ew_http_stream_write(both.server.waiting[0], http_world_str("x"), NULL), 0);
    upstream_world_until(&both.client, &told.pieces, 1);
    ew_http_abort(both.server.waiting[0]);
    upstream_world_until(&both.client, &told.ends, 1);
    upstream_told_check_failed(&told, EW_UPSTREAM_CUT, "127.0.0.1");
    upstream_told_fini(&told);
    begin(&told, &both.client, "127.0.0.1", "/wait", file("one.crt"), &none);
    http_world_turn_until(&both.server, &both.server.waiting_count, 2);
    ew_http_abort(both.server.waiting[1]);
    upstream_world_until(&both.client, &told.ends, 1);
    upstream_told_check_failed(&told, EW_UPSTREAM_CUT, "127.0.0.1");
    upstream_told_fini(&told);
    close_both(&both);
}

static void test_a_large_answer_is_cut_at_its_limit(void **state)
{
    (void)state;
    struct both both;
    struct upstream_told told;
    open_both(&both, "one.crt");
    const struct ew_upstream_ask change = {.body_bytes_max = 1000};
    begin(&told, &both.client, "127.0.0.1", "/big", file("one.crt"), &change);
    upstream_world_until(&both.client, &told.ends, 1);
    upstream_told_check_failed(&told, EW_UPSTREAM_TOO_LARGE, "127.0.0.1");
    assert_true(told.body.bytes <= 1000);
    upstream_told_fini(&told);
    begin(&told, &both.client, "127.0.0.1", "/hold", file("one.crt"), &change);
    upstream_world_until(&both.client, &told.heads, 1);
    static char piece[1001];
    memset(piece, 'p', sizeof piece);
    assert_int_equal(
        ew_http_stream_write(both.server.waiting[0], (struct ew_str){piece, sizeof piece}, NULL),
        0);
    upstream_world_until(&both.client, &told.ends, 1);
    upstream_told_check_failed(&told, EW_UPSTREAM_TOO_LARGE, "larger than is taken");
    http_world_turn_until(&both.server, &both.server.gone_count, 1);
    upstream_told_fini(&told);
    close_both(&both);
}

static void test_a_paused_call_slows_the_server_and_loses_nothing(void **state)
{
    (void)state;
    struct both both;
    struct upstream_told told;
    open_both(&both, "one.crt");
    const struct ew_upstream_ask change = {.stall_timeout_s = 2};
    begin(&told, &both.client, "127.0.0.1", "/big", file("one.crt"), &change);
    told.pause_in_data = true;
    upstream_world_until(&both.client, &told.pieces, 1);
    upstream_world_turn_for(&both.client, 2.5); /* no stall while the reader is the slow one */
    assert_int_equal(told.pieces, 1);
    assert_int_equal(told.ends, 0);
    for (int i = 2; i < 6; i++) { /* each resume is one piece, told in its turn */
        told.inside = true;
        ew_upstream_resume(told.call);
        told.inside = false;
        upstream_world_until(&both.client, &told.pieces, i);
        upstream_world_turn_for(&both.client, 0.01);
        assert_int_equal(told.pieces, i);
    }
    told.pause_in_data = false;
    ew_upstream_resume(told.call);
    upstream_world_until(&both.client, &told.ends, 1);
    assert_int_equal(told.result.failure, EW_UPSTREAM_NONE);
    assert_int_equal(told.body.bytes, BIG_BYTES);
    for (size_t i = 0; i < told.body.bytes; i++)
        assert_int_equal(told.body.data[i], 'b');
    upstream_told_fini(&told);
    close_both(&both);
}

static void test_the_end_waits_for_a_paused_reader(void **state)
{
    (void)state;
    struct both both;
    struct upstream_told told;
    open_both(&both, "one.crt");
    begin(&told, &both.client, "127.0.0.1", "/hello", file("one.crt"), &none);
    told.pause_in_head = told.pause_in_data = true;
    upstream_world_until(&both.client, &told.heads, 1);
    upstream_world_turn_for(&both.client, 0.05);
    assert_int_equal(told.pieces + told.ends, 0);
    ew_upstream_resume(told.call);
    upstream_world_until(&both.client, &told.pieces, 1);
    upstream_world_turn_for(&both.client, 0.05);
    assert_int_equal(told.ends, 0);
    ew_upstream_resume(told.call);
    upstream_world_until(&both.client, &told.ends, 1);
    upstream_told_check_whole(&told, "hello");
    upstream_told_fini(&told);
    close_both(&both);
}

/* ---- cancelling ---- */

static void test_a_cancelled_call_is_silent_and_its_server_sees_it(void **state)
{
    (void)state;
    static const char *const paths[] = {"/wait", "/hold"};
    for (size_t i = 0; i < EW_COUNT(paths); i++) {
        struct both both;
        struct upstream_told told;
        open_both(&both, "one.crt");
        begin(&told, &both.client, "127.0.0.1", paths[i], file("one.crt"), &none);
        http_world_turn_until(&both.server, &both.server.waiting_count, 1);
        upstream_world_turn_for(&both.client, 0.01);
        ew_upstream_cancel(&told.call);
        http_world_turn_until(&both.server, &both.server.gone_count, 1);
        upstream_world_turn_for(&both.client, 0.01);
        assert_int_equal(told.ends, 0);
        upstream_told_fini(&told);
        close_both(&both);
    }
}

static void test_calls_may_be_cancelled_inside_what_they_are_told(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct both both;
        struct upstream_told told;
        open_both(&both, "one.crt");
        begin(&told, &both.client, "127.0.0.1", "/stream", file("one.crt"), &none);
        told.cancel_in_head = i == 0;
        told.cancel_in_data = i == 1;
        upstream_world_until(&both.client, &told.heads, 1);
        upstream_world_until(&both.client, &told.pieces, i);
        upstream_world_turn_for(&both.client, 0.02);
        assert_int_equal(told.ends, 0);
        assert_int_equal(told.pieces, i);
        upstream_told_fini(&told);
        close_both(&both);
    }
}

static void cancel_next(struct upstream_told *told)
{
    ew_upstream_cancel(&told[1].call);
    begin(&told[2], told->world, "127.0.0.1", "/hello", file("one.crt"), &none);
}

static void test_one_call_ends_another_and_begins_a_third(void **state)
{
    (void)state;
    struct both both;
    struct upstream_told told[3];
    open_both(&both, "one.crt");
    begin(&told[1], &both.client, "127.0.0.1", "/hold", file("one.crt"), &none);
    http_world_turn_until(&both.server, &both.server.waiting_count, 1);
    begin(&told[0], &both.client, "127.0.0.1", "/hello", file("one.crt"), &none);
    told[0].at_end = cancel_next;
    upstream_told_init(&told[2], &both.client);
    upstream_world_until(&both.client, &told[0].ends, 1);
    upstream_world_until(&both.client, &told[2].ends, 1);
    upstream_told_check_whole(&told[2], "hello");
    http_world_turn_until(&both.server, &both.server.gone_count, 1);
    assert_int_equal(told[1].ends, 0);
    for (int i = 0; i < 3; i++)
        upstream_told_fini(&told[i]);
    close_both(&both);
}

/* ---- time, names, and servers that aren't what they should be ---- */

static void test_silence_is_told_by_where_it_is(void **state)
{
    (void)state;
    struct both both;
    struct upstream_told told;
    const struct ew_upstream_ask short_times = {.head_timeout_s = 0.1, .stall_timeout_s = 0.3};
    open_both(&both, "one.crt");
    begin(&told, &both.client, "127.0.0.1", "/wait", file("one.crt"), &short_times);
    upstream_world_until(&both.client, &told.ends, 1);
    upstream_told_check_failed(&told, EW_UPSTREAM_HEAD_TIMEOUT, "silent for 0.1 s");
    assert_true(told.result.sent_ns && told.result.connected_ns);
    upstream_told_fini(&told);
    begin(&told, &both.client, "127.0.0.1", "/hold", file("one.crt"), &short_times);
    upstream_world_until(&both.client, &told.ends, 1);
    upstream_told_check_failed(&told, EW_UPSTREAM_STALL, "stood still for 0.3 s");
    http_world_turn_until(&both.server, &both.server.gone_count, 2);
    upstream_told_fini(&told);
    close_both(&both);
}

static void test_servers_that_do_not_speak_tls(void **state)
{
    (void)state;
    struct upstream_world world;
    struct upstream_told told;
    const struct ew_upstream_ask short_times = {.connect_timeout_s = 0.3};
    upstream_world_open(&world);
    /* Accepts, and is silent. */
    begin(&told, &world, "127.0.0.1", "/", NULL, &short_times);
    int fd = upstream_world_accept(&world);
    upstream_world_until(&world, &told.ends, 1);
    upstream_told_check_failed(&told, EW_UPSTREAM_CONNECT_TIMEOUT, "no connection within 0.3 s");
    upstream_world_check_closed(&world, fd);
    upstream_told_fini(&told);
    /* Plain HTTP. */
    begin(&told, &world, "127.0.0.1", "/", NULL, &none);
    fd = upstream_world_accept(&world);
    upstream_world_say(&world, fd, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    upstream_world_until(&world, &told.ends, 1);
    upstream_told_check_failed(&told, EW_UPSTREAM_TLS, "127.0.0.1");
    upstream_world_check_closed(&world, fd);
    upstream_told_fini(&told);
    /* Nobody. */
    close(world.listens);
    world.listens = -1;
    begin(&told, &world, "127.0.0.1", "/", NULL, &none);
    assert_int_equal(told.ends, 0);
    upstream_world_until(&world, &told.ends, 1);
    upstream_told_check_failed(&told, EW_UPSTREAM_CONNECT, "127.0.0.1");
    upstream_told_fini(&told);
    begin(&told, &world, "no-such-host.invalid", "/", NULL, &none);
    upstream_world_until(&world, &told.ends, 1);
    upstream_told_check_failed(&told, EW_UPSTREAM_RESOLVE, "no-such-host.invalid");
    upstream_told_fini(&told);
    upstream_world_close(&world);
}

/* ---- a proxy ---- */

static void begin_url(struct upstream_told *told, struct upstream_world *world, const char *url)
{
    upstream_told_init(told, world);
    struct ew_upstream_ask ask = upstream_told_ask(told);
    ask.url = url;
    ask.body_bytes_max = 1000;
    upstream_told_begin(told, world, &ask, "");
}

/* The world's socket is the proxy; asks it for something, and gives the connection. */
static int ask_proxy(struct upstream_told *told, struct upstream_world *world, const char *url,
                     const char *wanted)
{
    struct ew_buf heard;
    ew_buf_init(&heard, UPSTREAM_BODY_MAX);
    begin_url(told, world, url);
    int fd = upstream_world_accept(world);
    assert_true(upstream_world_hear(world, fd, "\r\n\r\n", &heard));
    if (strncmp(heard.data, wanted, strlen(wanted)) != 0)
        fail_msg("%s", heard.data);
    ew_buf_fini(&heard);
    return fd;
}

static void test_a_proxy_of_the_environment_is_asked_but_not_for_what_is_here(void **state)
{
    (void)state;
    struct upstream_world world;
    struct upstream_told told;
    char proxy[60];
    upstream_world_open(&world);
    ew_upstreams_close(&world.upstreams);
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", world.port);
    setenv("http_proxy", proxy, 1);
    setenv("https_proxy", proxy, 1);
    assert_int_equal(ew_upstreams_open(&world.upstreams, world.loop, NULL), 0);
    int fd = ask_proxy(&told, &world, "http://far.invalid/a?b", "GET http://far.invalid/a?b HTTP");
    upstream_world_say(&world, fd, HELLO);
    upstream_world_until(&world, &told.ends, 1);
    upstream_told_check_whole(&told, "hello");
    upstream_told_fini(&told);
    close(fd);
    fd = ask_proxy(&told, &world, "https://far.invalid/a", "CONNECT far.invalid:443 HTTP/1.1\r\n");
    upstream_world_say(&world, fd, "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
    upstream_world_until(&world, &told.ends, 1);
    upstream_told_check_failed(&told, EW_UPSTREAM_CONNECT, "far.invalid");
    assert_int_equal(told.heads, 0); /* the proxy's answer isn't the server's */
    upstream_told_fini(&told);
    close(fd);
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d/here", world.port);
    fd = ask_proxy(&told, &world, proxy, "GET /here HTTP/1.1\r\n");
    upstream_world_say(&world, fd, HELLO);
    upstream_world_until(&world, &told.ends, 1);
    upstream_told_check_whole(&told, "hello");
    upstream_told_fini(&told);
    close(fd);
    unsetenv("http_proxy");
    unsetenv("https_proxy");
    upstream_world_close(&world);
}

/* What libcurl reads of heads, where only bare sockets say such things. */
static void test_heads_of_bad_servers_behind_a_proxy(void **state)
{
    (void)state;
    static const struct {
        const char *says;
        const char *body, *header;
        enum ew_upstream_failure failure;
    } cases[] = {
        {"HTTP/1.1 100 Continue\r\nX-Test: early\r\n\r\n" OK200
         "X-Test:  late \r\nContent-Length: 5\r\n\r\nhello",
         "hello", "late", 0},
        {"HTTP/1.1 100 Continue\r\nX-Test: early\r\n\r\n" OK200
         "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Test: trailer\r\n\r\n",
         "hello", "(none)", 0},
        {OK200 "Content-Length: 5\r\n\r\nhel", NULL, NULL, EW_UPSTREAM_CUT},
        {"", NULL, NULL, EW_UPSTREAM_CUT},
        {"HTTP/1.1 200 OK\r\nA: b", NULL, NULL, EW_UPSTREAM_CUT},
        {"SSH-2.0-OpenSSH_9.2\r\n\r\n", NULL, NULL, EW_UPSTREAM_MALFORMED},
        {OK200 "Content-Length: 5000\r\n\r\n", NULL, NULL, EW_UPSTREAM_TOO_LARGE},
    };
    struct upstream_world world;
    char proxy[60];
    upstream_world_open(&world);
    ew_upstreams_close(&world.upstreams);
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", world.port);
    setenv("http_proxy", proxy, 1);
    assert_int_equal(ew_upstreams_open(&world.upstreams, world.loop, NULL), 0);
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        struct upstream_told told;
        int fd = ask_proxy(&told, &world, "http://far.invalid/", "GET http://far.invalid/ ");
        upstream_world_say(&world, fd, cases[i].says);
        upstream_world_turn_for(&world, 0.02);
        close(fd);
        upstream_world_until(&world, &told.ends, 1);
        if (cases[i].body)
            upstream_told_check_whole(&told, cases[i].body);
        else
            upstream_told_check_failed(&told, cases[i].failure, "far.invalid");
        if (cases[i].body)
            assert_string_equal(told.header, cases[i].header);
        upstream_told_fini(&told);
    }
    struct upstream_told told;
    int fd = ask_proxy(&told, &world, "http://far.invalid/", "GET http://far.invalid/ ");
    upstream_world_say(&world, fd, OK200);
    for (int i = 0; i < 100000 && !told.ends; i++)
        upstream_world_say(&world, fd, "A: 0123456789012345678901234567890123456789\r\n");
    upstream_world_until(&world, &told.ends, 1);
    upstream_told_check_failed(&told, EW_UPSTREAM_TOO_LARGE, "head");
    upstream_told_fini(&told);
    close(fd);
    unsetenv("http_proxy");
    upstream_world_close(&world);
}

/* ---- HTTP/2 ---- */

static int free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &bytes), 0);
    close(fd);
    return ntohs(at.sin_port);
}

static pid_t start_nghttpd(int port)
{
    char digits[8];
    snprintf(digits, sizeof digits, "%d", port);
    pid_t pid = fork();
    if (pid == 0) {
        execlp("nghttpd", "nghttpd", "-a", "127.0.0.1", "-d", file("docs"), digits, file("one.key"),
               file("one.crt"), (char *)NULL);
        _exit(127);
    }
    assert_true(pid > 0);
    return pid;
}

static void test_http_2_is_spoken_and_its_connection_shared(void **state)
{
    (void)state;
    enum { CALLS = 8 };
    struct upstream_world world;
    struct upstream_told told[CALLS];
    if (system("command -v nghttpd >/dev/null") != 0) {
        print_message("nghttpd isn't here (Debian: nghttp2-server)\n");
        skip();
    }
    upstream_world_open(&world);
    world.port = free_port();
    pid_t pid = start_nghttpd(world.port);
    for (int i = 0;; i++) { /* until it listens */
        begin(&told[0], &world, "127.0.0.1", "/hello", file("one.crt"), &none);
        upstream_world_until(&world, &told[0].ends, 1);
        if (told[0].result.failure != EW_UPSTREAM_CONNECT)
            break;
        assert_true(i < 200);
        upstream_told_fini(&told[0]);
        usleep(50000);
    }
    upstream_told_check_whole(&told[0], "over HTTP/2\n");
    upstream_told_fini(&told[0]);
    for (int i = 0; i < CALLS; i++)
        begin(&told[i], &world, "127.0.0.1", i % 2 ? "/hello" : "/missing", file("one.crt"), &none);
    for (int i = 0; i < CALLS; i++) {
        upstream_world_until(&world, &told[i].ends, 1);
        assert_int_equal(told[i].result.failure, EW_UPSTREAM_NONE);
        assert_int_equal(told[i].status, i % 2 ? 200 : 404);
        assert_true(told[i].result.reused);
        upstream_told_fini(&told[i]);
    }
    assert_int_equal(upstream_world_counts(&world).connections_opened, 1);
    assert_int_equal(kill(pid, SIGTERM), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    upstream_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_goes_out_as_asked_and_its_answer_comes_in),
        cmocka_unit_test(test_what_is_sent_has_nothing_that_was_not_asked_for),
        cmocka_unit_test(test_certificates_are_verified),
        cmocka_unit_test(test_a_kept_connection_is_only_for_those_who_trust_it),
        cmocka_unit_test(test_a_kept_connection_that_was_closed_is_replaced_while_it_may_be),
        cmocka_unit_test(test_a_folder_of_authorities_is_trusted_where_no_file_is_named),
        cmocka_unit_test(test_pieces_come_when_they_are_sent),
        cmocka_unit_test(test_a_stream_that_is_cut_fails),
        cmocka_unit_test(test_a_large_answer_is_cut_at_its_limit),
        cmocka_unit_test(test_a_paused_call_slows_the_server_and_loses_nothing),
        cmocka_unit_test(test_the_end_waits_for_a_paused_reader),
        cmocka_unit_test(test_a_cancelled_call_is_silent_and_its_server_sees_it),
        cmocka_unit_test(test_calls_may_be_cancelled_inside_what_they_are_told),
        cmocka_unit_test(test_one_call_ends_another_and_begins_a_third),
        cmocka_unit_test(test_silence_is_told_by_where_it_is),
        cmocka_unit_test(test_servers_that_do_not_speak_tls),
        cmocka_unit_test(test_a_proxy_of_the_environment_is_asked_but_not_for_what_is_here),
        cmocka_unit_test(test_heads_of_bad_servers_behind_a_proxy),
        cmocka_unit_test(test_http_2_is_spoken_and_its_connection_shared),
    };
    alarm(120);
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
