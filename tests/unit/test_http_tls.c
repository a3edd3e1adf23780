/* test_http_tls.c - the server behind TLS, with certificates that openssl makes for this run; and
 * what files that can't be used are told. The client is OpenSSL's, on the server's thread, where a
 * test looks at each step; libcurl on a thread of its own where it is to judge as real ones do. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <curl/curl.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "support/http_world.h"

static char folder[] = "/tmp/ew-test-tls-XXXXXX";

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
    char command[1000];
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (!mkdtemp(folder))
        return -1;
    snprintf(command, sizeof command,
             "cd %s && for n in one two; do openssl req -x509 -newkey ec -pkeyopt "
             "ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=$n -addext "
             "subjectAltName=IP:127.0.0.1 -keyout $n.key -out $n.crt || exit 1; done && openssl ec "
             "-in one.key -aes128 -passout pass:x -out locked.key && "
             "echo rubbish >rubbish && : >empty",
             folder);
    char quiet[1100];
    snprintf(quiet, sizeof quiet, "(%s) 2>/dev/null", command);
    return system(quiet) == 0 ? make_old_file() : -1;
}

static int remove_files(void **state)
{
    (void)state;
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    curl_global_cleanup();
    return system(command);
}

struct client {
    SSL_CTX *context;
    SSL *ssl;
    int fd;
};

/* Turns the loop until OpenSSL is content; says what it said in the end. */
static int until_done(struct http_world *world, struct client *client, int (*call)(SSL *))
{
    for (int i = 0; i < 20000; i++) {
        int code = call(client->ssl);
        int why = SSL_get_error(client->ssl, code);
        if (code > 0 || (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE))
            return code;
        http_world_turn(world);
        usleep(200);
    }
    fail_msg("TLS isn't agreed on");
    return -1;
}

static int agree(struct http_world *world, struct client *client, int version, const char *alpn)
{
    *client = (struct client){.context = SSL_CTX_new(TLS_client_method())};
    assert_non_null(client->context);
    if (version) {
        SSL_CTX_set_security_level(client->context, 0);
        SSL_CTX_set_min_proto_version(client->context, version);
        SSL_CTX_set_max_proto_version(client->context, version);
    }
    client->ssl = SSL_new(client->context);
    assert_non_null(client->ssl);
    if (alpn)
        SSL_set_alpn_protos(client->ssl, (const unsigned char *)alpn, (unsigned)strlen(alpn));
    client->fd = http_world_connect(world);
    SSL_set_fd(client->ssl, client->fd);
    return until_done(world, client, SSL_connect);
}

enum goodbye { POLITE, RUDE };

static void leave(struct client *client, enum goodbye how)
{
    if (how == POLITE)
        SSL_shutdown(client->ssl);
    SSL_free(client->ssl);
    SSL_CTX_free(client->context);
    close(client->fd);
}

static void tell(struct http_world *world, struct client *client, const char *text)
{
    assert_int_equal(SSL_write(client->ssl, text, (int)strlen(text)), strlen(text));
    http_world_turn(world);
}

/* Until the server says goodbye; whether it did, and didn't just cut. */
static bool hear(struct http_world *world, struct client *client, struct ew_buf *out)
{
    char piece[20000];
    for (int i = 0; i < 20000; i++) {
        int n;
        while ((n = SSL_read(client->ssl, piece, sizeof piece)) > 0)
            assert_int_equal(ew_buf_add(out, piece, (size_t)n, NULL), 0);
        int why = SSL_get_error(client->ssl, n);
        if (why != SSL_ERROR_WANT_READ)
            return why == SSL_ERROR_ZERO_RETURN;
        http_world_turn(world);
        usleep(100);
    }
    fail_msg("nothing more after: %.500s", ew_buf_cstr(out));
    return false;
}

static struct ew_http_params with_tls(void)
{
    struct ew_http_params params = http_world_params();
    params.tls_certificate = file("one.crt");
    params.tls_key = file("one.key");
    return params;
}

static void test_answers_are_whole_and_end_with_a_goodbye(void **state)
{
    (void)state;
    struct http_world world;
    struct client client;
    const struct ew_http_params params = with_tls();
    struct ew_buf heard;
    http_world_open(&world, &params);
    ew_buf_init(&heard, TEXT_MAX);
    assert_int_equal(agree(&world, &client, 0, "\x02h2\x08http/1.1"), 1);
    const unsigned char *chosen;
    unsigned bytes;
    SSL_get0_alpn_selected(client.ssl, &chosen, &bytes);
    assert_int_equal(bytes, 8);
    assert_memory_equal(chosen, "http/1.1", 8);
    tell(&world, &client,
         "GET /hello HTTP/1.1\r\n" HOST "\r\nGET /stream HTTP/1.1\r\n" HOST
         "\r\nGET /big HTTP/1.1\r\n" CLOSE "\r\n");
    assert_true(hear(&world, &client, &heard));
    http_world_check_contains(&heard, "hello");
    http_world_check_contains(&heard, "12\r\ntwotwotwotwotwotwo\r\n0\r\n\r\n");
    assert_true(heard.bytes > BIG_BYTES);
    leave(&client, POLITE);
    http_world_turn_for(&world, 0.02);
    assert_int_equal(http_world_counts(&world).connections, 0);
    ew_buf_fini(&heard);
    http_world_close(&world);
}

/* ---- libcurl ---- */

struct curl_talk {
    char url[64], trusted[100];
    char heard[2][16];
    size_t heard_bytes;
    int round;
    CURLcode codes[2];
    long connects, verified;
    _Atomic int done;
};

static size_t curl_hears(char *data, size_t one, size_t bytes, void *user)
{
    (void)one;
    struct curl_talk *talk = user;
    size_t fits = sizeof talk->heard[0] - 1 - talk->heard_bytes;
    memcpy(talk->heard[talk->round] + talk->heard_bytes, data, bytes < fits ? bytes : fits);
    talk->heard_bytes += bytes < fits ? bytes : fits;
    return bytes;
}

/* Two questions, the second over the same connection if it can be. */
static void *curl_talks(void *user)
{
    struct curl_talk *talk = user;
    CURL *curl = curl_easy_init();
    EW_ASSERT(curl);
    curl_easy_setopt(curl, CURLOPT_URL, talk->url);
    curl_easy_setopt(curl, CURLOPT_CAINFO, talk->trusted);
    curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 20L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, curl_hears);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, talk);
    for (talk->round = 0; talk->round < 2; talk->round++) {
        long connects = 0;
        talk->heard_bytes = 0;
        talk->codes[talk->round] = curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &connects);
        curl_easy_getinfo(curl, CURLINFO_SSL_VERIFYRESULT, &talk->verified);
        talk->connects += connects;
    }
    curl_easy_cleanup(curl);
    talk->done = 1;
    return NULL;
}

static struct curl_talk curl_ask(struct http_world *world, const char *path, const char *trusted)
{
    struct curl_talk talk = {0};
    pthread_t thread;
    snprintf(talk.url, sizeof talk.url, "https://127.0.0.1:%d%s",
             ew_http_server_port(world->server), path);
    snprintf(talk.trusted, sizeof talk.trusted, "%s", trusted);
    assert_int_equal(pthread_create(&thread, NULL, curl_talks, &talk), 0);
    while (!talk.done)
        http_world_turn_for(world, 0.002);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return talk;
}

static void test_curl_trusts_the_certificate_and_asks_twice_over_one_connection(void **state)
{
    (void)state;
    struct http_world world;
    const struct ew_http_params params = with_tls();
    http_world_open(&world, &params);
    const struct curl_talk talk = curl_ask(&world, "/hello", file("one.crt"));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(talk.codes[i], CURLE_OK);
        assert_string_equal(talk.heard[i], "hello");
    }
    assert_int_equal(talk.verified, X509_V_OK);
    assert_int_equal(talk.connects, 1);
    assert_int_equal(http_world_counts(&world).requests, 2);
    http_world_close(&world);
}

/* The server offers what it was given: an old certificate is for clients to refuse, and for
 * `serve --check` to tell. No request comes through, and nothing of the attempt stays. */
static void test_curl_refuses_a_stranger_and_a_certificate_that_has_run_out(void **state)
{
    (void)state;
    static const struct {
        const char *certificate, *trusted;
        long verified;
    } cases[] = {
        {"one.crt", "two.crt", X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT},
        {"old.crt", "old.crt", X509_V_ERR_CERT_HAS_EXPIRED},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        struct http_world world;
        struct ew_http_params params = with_tls();
        params.tls_certificate = file(cases[i].certificate);
        http_world_open(&world, &params);
        const struct curl_talk talk = curl_ask(&world, "/hello", file(cases[i].trusted));
        assert_int_equal(talk.codes[0], CURLE_PEER_FAILED_VERIFICATION);
        assert_int_equal(talk.codes[1], CURLE_PEER_FAILED_VERIFICATION);
        assert_int_equal(talk.verified, cases[i].verified);
        assert_int_equal(talk.heard_bytes, 0);
        http_world_turn_for(&world, 0.02);
        assert_int_equal(http_world_counts(&world).accepted, 2);
        assert_int_equal(http_world_counts(&world).requests, 0);
        assert_int_equal(http_world_counts(&world).connections, 0);
        http_world_close(&world);
    }
}

/* ---- clients that leave, that are slow, that speak something else ---- */

/* How long it took until that was told; a busy machine is late once or twice. */
static uint64_t gone_ns(const char *ask, bool fills, enum goodbye how)
{
    struct http_world world;
    struct client client;
    const struct ew_http_params params = with_tls();
    static char more[60000];
    http_world_open(&world, &params);
    assert_int_equal(agree(&world, &client, 0, NULL), 1);
    tell(&world, &client, ask);
    http_world_turn_until(&world, &world.waiting_count, 1);
    memset(more, 'G', sizeof more - 1);
    if (fills) /* a full read-ahead: only the socket's end can be seen behind it */
        tell(&world, &client, more);
    http_world_turn_for(&world, 0.05);
    assert_int_equal(world.gone_count, 0);
    uint64_t from = ew_clock_now_ns(&ew_clock_real);
    leave(&client, how);
    http_world_turn_until(&world, &world.gone_count, 1);
    http_world_close(&world);
    return world.gone_ns - from;
}

static void test_gone_is_told_within_50_ms_polite_or_rude(void **state)
{
    (void)state;
    static const char *const asks[] = {"GET /hold HTTP/1.1\r\n" HOST "\r\n",
                                       "GET /wait HTTP/1.1\r\n" HOST "\r\n"};
    for (int i = 0; i < 6; i++) {
        int tries = 1;
        while (gone_ns(asks[i % 2], i >= 4, i < 2 ? POLITE : RUDE) >= 50 * (uint64_t)EW_NS_PER_MS)
            if (++tries > 10)
                fail_msg("told later than 50 ms, 10 times");
    }
}

static void test_a_goodbye_alone_is_a_hang_up(void **state)
{
    (void)state;
    struct http_world world;
    struct client client;
    const struct ew_http_params params = with_tls();
    http_world_open(&world, &params);
    assert_int_equal(agree(&world, &client, 0, NULL), 1);
    tell(&world, &client, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
    http_world_turn_until(&world, &world.waiting_count, 1);
    SSL_shutdown(client.ssl);
    http_world_turn_until(&world, &world.gone_count, 1);
    leave(&client, RUDE);
    http_world_close(&world);
}

static void test_large_bodies_come_whole(void **state)
{
    (void)state;
    struct http_world world;
    struct client client;
    const struct ew_http_params params = with_tls();
    struct ew_buf heard;
    http_world_open(&world, &params);
    ew_buf_init(&heard, TEXT_MAX);
    assert_int_equal(agree(&world, &client, 0, NULL), 1);
    tell(&world, &client, "PUT /echo HTTP/1.1\r\n" CLOSE "Content-Length: 1048576\r\n\r\n");
    static char piece[16384];
    memset(piece, 'p', sizeof piece);
    for (int sent = 0; sent < 64;) {
        int n = SSL_write(client.ssl, piece, sizeof piece);
        sent += n == (int)sizeof piece;
        http_world_turn(&world);
    }
    assert_true(hear(&world, &client, &heard));
    http_world_check_contains(&heard, " 1048576:pppp");
    assert_true(heard.bytes > 1048576);
    leave(&client, POLITE);
    ew_buf_fini(&heard);
    http_world_close(&world);
}

static void test_old_versions_and_other_protocols_are_not_agreed_on(void **state)
{
    (void)state;
    struct http_world world;
    struct client client;
    const struct ew_http_params params = with_tls();
    http_world_open(&world, &params);
    assert_true(agree(&world, &client, TLS1_1_VERSION, NULL) <= 0);
    leave(&client, RUDE);
    assert_true(agree(&world, &client, 0, "\x02h2") <= 0);
    leave(&client, RUDE);
    assert_int_equal(agree(&world, &client, TLS1_2_VERSION, NULL), 1);
    leave(&client, POLITE);
    http_world_turn_for(&world, 0.02);
    assert_int_equal(http_world_counts(&world).connections, 0);
    http_world_close(&world);
}

static void test_plain_http_at_the_tls_port_is_closed(void **state)
{
    (void)state;
    struct http_world world;
    const struct ew_http_params params = with_tls();
    struct ew_buf heard;
    http_world_open(&world, &params);
    ew_buf_init(&heard, TEXT_MAX);
    int fd = http_world_connect(&world);
    uint64_t from = ew_clock_now_ns(&ew_clock_real);
    http_world_say(&world, fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    http_world_listen(&world, fd, NULL, &heard);
    assert_true(ew_clock_now_ns(&ew_clock_real) - from < 10 * (uint64_t)EW_NS_PER_S); /* of 20 */
    assert_null(memmem(ew_buf_cstr(&heard), heard.bytes, "hello", 5));
    close(fd);
    assert_int_equal(http_world_counts(&world).connections, 0);
    ew_buf_fini(&heard);
    http_world_close(&world);
}

/* Silent at the handshake, or standing still as a reader: time runs there as well. */
static void test_slow_clients_are_cut_off(void **state)
{
    (void)state;
    struct http_world world;
    struct client client;
    struct ew_http_params params = with_tls();
    params.header_timeout_s = 0.3;
    params.write_timeout_s = 0.2;
    http_world_open(&world, &params);
    int silent = http_world_connect(&world);
    assert_int_equal(agree(&world, &client, 0, NULL), 1);
    tell(&world, &client, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    http_world_turn_until(&world, &world.waiting_count, 1);
    static const char piece[100000];
    /* The kernel goes on taking for a while: until it has had enough. */
    for (int full = 0; full < 20 && !world.gone_count; full++) {
        while (ew_http_stream_write(world.waiting[0], (struct ew_str){piece, sizeof piece}, NULL) ==
               0)
            full = 0;
        http_world_turn_for(&world, 0.002);
    }
    http_world_turn_until(&world, &world.gone_count, 1);
    http_world_turn_for(&world, 0.4);
    assert_int_equal(http_world_counts(&world).connections, 0);
    close(silent);
    leave(&client, RUDE);
    http_world_close(&world);
}

/* A ClientHello that comes a byte at a time, or stops in the middle: the head's time has begun with
 * the connection, bytes don't prolong it, and others are served meanwhile. */
static void test_a_handshake_that_stalls_or_drips_is_cut_off_and_holds_up_nobody(void **state)
{
    (void)state;
    static const char hello[] = {0x16, 3, 1, 2, 0, 1, 0, 1, (char)0xfc, 3, 3};
    struct http_world world;
    struct ew_http_params params = with_tls();
    params.header_timeout_s = 0.6;
    http_world_open(&world, &params);
    uint64_t from = ew_clock_now_ns(&ew_clock_real);
    int stalls = http_world_connect(&world), drips = http_world_connect(&world);
    http_world_say_bytes(&world, stalls, hello, sizeof hello);
    for (int i = 0; i < 4; i++) {
        http_world_say_bytes(&world, drips, hello + i, 1);
        http_world_turn_for(&world, 0.05);
    }
    assert_int_equal(http_world_counts(&world).connections, 2);
    const struct curl_talk talk = curl_ask(&world, "/hello", file("one.crt"));
    assert_string_equal(talk.heard[1], "hello");
    for (int i = 0; http_world_counts(&world).connections && i < 400; i++) {
        http_world_say_bytes(&world, drips, "x", 1);
        http_world_turn_for(&world, 0.05);
    }
    uint64_t took = ew_clock_now_ns(&ew_clock_real) - from;
    assert_true(took > 550 * (uint64_t)EW_NS_PER_MS);
    assert_int_equal(http_world_counts(&world).connections, 0); /* though it dripped all the time */
    assert_int_equal(http_world_counts(&world).requests, 2);
    close(stalls);
    close(drips);
    http_world_close(&world);
}

static void check_subject(struct http_world *world, const char *wanted)
{
    struct client client;
    char name[100];
    assert_int_equal(agree(world, &client, 0, NULL), 1);
    X509 *certificate = SSL_get1_peer_certificate(client.ssl);
    assert_non_null(certificate);
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name,
                              sizeof name);
    assert_string_equal(name, wanted);
    X509_free(certificate);
    leave(&client, POLITE);
}

static void test_new_files_are_taken_and_bad_ones_leave_the_old(void **state)
{
    (void)state;
    struct http_world world;
    struct ew_err err;
    struct client before;
    const struct ew_http_params params = with_tls();
    struct ew_buf heard;
    http_world_open(&world, &params);
    ew_buf_init(&heard, TEXT_MAX);
    check_subject(&world, "one");
    assert_int_equal(agree(&world, &before, 0, NULL), 1);
    assert_int_equal(ew_http_server_tls(world.server, file("two.crt"), file("two.key"), &err), 0);
    check_subject(&world, "two");
    assert_int_equal(ew_http_server_tls(world.server, file("one.crt"), file("rubbish"), &err),
                     EW_EINVAL);
    assert_int_equal(ew_http_server_tls(world.server, file("one.crt"), file("two.key"), &err),
                     EW_EINVAL);
    check_subject(&world, "two");
    tell(&world, &before, "GET /hello HTTP/1.1\r\n" CLOSE "\r\n"); /* goes on as it began */
    assert_true(hear(&world, &before, &heard));
    http_world_check_contains(&heard, "hello");
    leave(&before, POLITE);
    ew_buf_fini(&heard);
    http_world_close(&world);
}

static void test_files_that_cannot_be_used_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *certificate, *key, *named, *said;
    } cases[] = {
        {"none.crt", "one.key", "none.crt", "No such file"},
        {"one.crt", "none.key", "none.key", "No such file"},
        {"rubbish", "one.key", "rubbish", "isn't a certificate"},
        {"empty", "one.key", "empty", "isn't a certificate"},
        {"one.key", "one.key", "one.key", "isn't a certificate"},
        {"one.crt", "rubbish", "rubbish", "isn't a private key"},
        {"one.crt", "one.crt", "one.crt", "isn't a private key"},
        {"one.crt", "two.key", "two.key", "doesn't belong to"},
        {"one.crt", "locked.key", "locked.key", "passphrase"},
    };
    struct ew_loop *loop;
    assert_int_equal(ew_loop_open(&loop, NULL), 0);
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        struct ew_http_params params = http_world_params();
        struct ew_http_server *server;
        struct ew_err err = {0};
        params.tls_certificate = file(cases[i].certificate);
        params.tls_key = file(cases[i].key);
        assert_true(ew_http_server_open(&server, ew_loop_base(loop), &params, &err) < 0);
        assert_null(server);
        if (!strstr(err.text, cases[i].named) || !strstr(err.text, cases[i].said))
            fail_msg("%s, %s: '%s'", cases[i].certificate, cases[i].key, err.text);
    }
    ew_loop_close(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_are_whole_and_end_with_a_goodbye),
        cmocka_unit_test(test_curl_trusts_the_certificate_and_asks_twice_over_one_connection),
        cmocka_unit_test(test_curl_refuses_a_stranger_and_a_certificate_that_has_run_out),
        cmocka_unit_test(test_gone_is_told_within_50_ms_polite_or_rude),
        cmocka_unit_test(test_a_goodbye_alone_is_a_hang_up),
        cmocka_unit_test(test_large_bodies_come_whole),
        cmocka_unit_test(test_old_versions_and_other_protocols_are_not_agreed_on),
        cmocka_unit_test(test_plain_http_at_the_tls_port_is_closed),
        cmocka_unit_test(test_slow_clients_are_cut_off),
        cmocka_unit_test(test_a_handshake_that_stalls_or_drips_is_cut_off_and_holds_up_nobody),
        cmocka_unit_test(test_new_files_are_taken_and_bad_ones_leave_the_old),
        cmocka_unit_test(test_files_that_cannot_be_used_are_named),
    };
    alarm(120);
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
