/* test_upstream.c - requests to other servers: what is asked and told, and what is refused, through
 * upstream.c, upstream_http.c and upstream_ask.c; against a socket that says what no good server
 * would (support/upstream_world.h). test_upstream_conn.c has connections, names and silence. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/upstream_world.h"

/* ---- whole answers ---- */

static void test_a_request_is_sent_as_asked_and_its_answer_told(void **state)
{
    (void)state;
    struct upstream_world world;
    struct upstream_told told;
    struct ew_buf heard;
    char wanted[400];
    upstream_world_open(&world);
    upstream_told_init(&told, &world);
    ew_buf_init(&heard, UPSTREAM_BODY_MAX);
    const struct ew_http_header headers[] = {{"Authorization", "Bearer x"}, {"X-Empty", ""}};
    struct ew_upstream_ask ask = upstream_told_ask(&told);
    ask.method = "POST";
    ask.body = (struct ew_str){"{\"a\":1}", 7};
    ask.headers = headers;
    ask.header_count = 2;
    upstream_told_begin(&told, &world, &ask, "/v1/chat?x=%20y#fragment");
    int fd = upstream_world_accept(&world);
    assert_true(upstream_world_hear(&world, fd, "{\"a\":1}", &heard));
    snprintf(wanted, sizeof wanted,
             "POST /v1/chat?x=%%20y HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer x\r\n"
             "X-Empty: \r\nContent-Length: 7\r\n\r\n{\"a\":1}",
             world.port);
    assert_string_equal(heard.data, wanted);
    assert_int_equal(told.heads, 0);
    upstream_world_say(&world, fd,
                       "HTTP/1.1 429 Slow\r\nContent-Type: Text/Event-Stream; charset=UTF-8\r\n"
                       "x-TEST:  some value \r\nRetry-After: 7\r\nContent-Length: 5\r\n\r\nhel");
    upstream_world_until(&world, &told.heads, 1);
    upstream_world_until(&world, &told.pieces,
                         1); /* what is there is told, the rest not waited for */
    assert_int_equal(told.status, 429);
    assert_string_equal(told.type, "text/event-stream");
    assert_string_equal(told.header, "some value");
    assert_true(told.retry_after_s == 7);
    assert_int_equal(told.ends, 0);
    upstream_world_say(&world, fd, "lo");
    upstream_world_until(&world, &told.ends, 1);
    upstream_told_check_whole(&told, "hello");
    assert_false(told.result.reused);
    close(fd);
    ew_buf_fini(&heard);
    upstream_told_fini(&told);
    upstream_world_close(&world);
}

struct row {
    const char *says;
    const char *body; /* NULL: it fails */
    enum ew_upstream_failure failure;
    const char *why;
};

/* What the server says, and then closes. */
static const struct row rows[] = {
    {HELLO, "hello", 0, NULL},
    {OK200 "\r\nuntil the end", "until the end", 0, NULL},
    {"HTTP/1.0 200 OK\r\n\r\nold", "old", 0, NULL},
    {OK200 "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n3;x\r\nbcd\r\n0\r\nT: u\r\n\r\n", "abcd", 0,
     NULL},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\n" HELLO, "hello", 0, NULL},
    {"HTTP/1.1 204 No Content\r\n\r\n", "", 0, NULL},
    {OK200 "Content-Length: 0\r\n\r\n", "", 0, NULL},
    {HELLO "and more than was asked", "hello", 0, NULL},
    {"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno", "no", 0, NULL},
    {"", NULL, EW_UPSTREAM_CUT, "it closed the connection before it answered"},
    {"HTTP/1.1 200 O", NULL, EW_UPSTREAM_CUT, "in the midst of its answer's head"},
    {"HTTP/1.1 100 Continue\r\n\r\n", NULL, EW_UPSTREAM_CUT, "in the midst of its answer's head"},
    {OK200 "Content-Length: 5\r\n\r\nhel", NULL, EW_UPSTREAM_CUT, "after 3 bytes of its answer"},
    {OK200 "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", NULL, EW_UPSTREAM_CUT,
     "after 5 bytes of its answer"},
    {"SSH-2.0-OpenSSH\r\n", NULL, EW_UPSTREAM_MALFORMED, "isn't HTTP"},
    {OK200 "Transfer-Encoding: chunked\r\n\r\nhello", NULL, EW_UPSTREAM_MALFORMED,
     "doesn't begin with its size"},
    {OK200 "Transfer-Encoding: chunked\r\n\r\n1\r\nabc", NULL, EW_UPSTREAM_MALFORMED, "CR LF"},
    {OK200 "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", NULL, EW_UPSTREAM_MALFORMED,
     "Transfer-Encoding beside"},
    {OK200 "Content-Length: 70\r\n\r\n", NULL, EW_UPSTREAM_TOO_LARGE, "larger than 64 bytes"},
    {OK200 "\r\n"
           "0123456789012345678901234567890123456789012345678901234567890123456789",
     NULL, EW_UPSTREAM_TOO_LARGE, "larger than 64 bytes"},
    {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", NULL, EW_UPSTREAM_MALFORMED,
     "unasked"},
};

enum pace { AT_ONCE, BY_BYTES };

static void check_row(const struct row *row, enum pace pace)
{
    struct upstream_world world;
    struct upstream_told told;
    upstream_world_open(&world);
    upstream_told_init(&told, &world);
    struct ew_upstream_ask ask = upstream_told_ask(&told);
    ask.body_bytes_max = 64;
    upstream_told_begin(&told, &world, &ask, "/");
    int fd = upstream_world_accept(&world);
    upstream_world_hear_request(&world, fd);
    if (pace == AT_ONCE)
        upstream_world_say(&world, fd, row->says);
    for (const char *at = row->says; pace == BY_BYTES && *at; at++)
        upstream_world_say_bytes(&world, fd, at, 1);
    close(fd);
    upstream_world_until(&world, &told.ends, 1);
    if (row->body)
        upstream_told_check_whole(&told, row->body);
    else
        upstream_told_check_failed(&told, row->failure, row->why);
    upstream_world_turn_for(&world, 0.005);
    const struct ew_upstream_counts counts = upstream_world_counts(&world);
    assert_int_equal(counts.calls, 1);
    assert_int_equal(counts.failures, row->body ? 0 : 1);
    assert_int_equal(counts.connections_opened, 1);
    assert_int_equal(counts.idle + counts.active, 0);
    upstream_told_fini(&told);
    upstream_world_close(&world);
}

static void test_answers_good_and_bad_at_once_and_a_byte_at_a_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_COUNT(rows); i++) {
        check_row(&rows[i], AT_ONCE);
        check_row(&rows[i], BY_BYTES);
    }
}

static void test_a_head_or_line_without_end_is_too_large(void **state)
{
    (void)state;
    static const char *const units[] = {
        "A: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n",
        "0123456789012345678901234567890123456789012345678901234567890123456789",
        "HTTP/1.1 102 0123456789012345678901234567890123456789012345678901234567\r\n\r\n",
    };
    static const char *const begins[] = {OK200, OK200 "Long: ", ""};
    for (size_t i = 0; i < EW_COUNT(units); i++) {
        struct upstream_world world;
        struct upstream_told told;
        upstream_world_open(&world);
        upstream_told_get(&told, &world, "/");
        int fd = upstream_world_accept(&world);
        upstream_world_hear_request(&world, fd);
        upstream_world_say(&world, fd, begins[i]);
        for (int k = 0; k < 100000 && !told.ends; k++)
            upstream_world_say(&world, fd, units[i]);
        upstream_world_until(&world, &told.ends, 1);
        upstream_told_check_failed(&told, EW_UPSTREAM_TOO_LARGE, "head");
        assert_int_equal(told.heads, 0);
        close(fd);
        upstream_told_fini(&told);
        upstream_world_close(&world);
    }
}

static void test_a_stream_without_end_is_cut_at_its_limit(void **state)
{
    (void)state;
    struct upstream_world world;
    struct upstream_told told;
    upstream_world_open(&world);
    upstream_told_init(&told, &world);
    struct ew_upstream_ask ask = upstream_told_ask(&told);
    ask.body_bytes_max = 100000;
    upstream_told_begin(&told, &world, &ask, "/");
    int fd = upstream_world_accept(&world);
    upstream_world_hear_request(&world, fd);
    upstream_world_say(&world, fd, OK200 "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 100000 && !told.ends; i++)
        upstream_world_say(&world, fd, "5\r\nhello\r\n");
    upstream_told_check_failed(&told, EW_UPSTREAM_TOO_LARGE, "larger than 100000 bytes");
    assert_int_equal(told.body.bytes, 100000);
    upstream_world_check_closed(&world, fd);
    upstream_told_fini(&told);
    upstream_world_close(&world);
}

static void test_a_large_body_goes_out_and_a_large_one_comes_in(void **state)
{
    (void)state;
    enum { BYTES = 8 << 20 };
    struct upstream_world world;
    struct upstream_told told;
    struct ew_buf heard;
    char *big = malloc(BYTES);
    assert_non_null(big);
    for (int i = 0; i < BYTES; i++)
        big[i] = (char)('a' + i % 23);
    big[BYTES - 1] = '!';
    upstream_world_open(&world);
    upstream_told_init(&told, &world);
    ew_buf_init(&heard, UPSTREAM_BODY_MAX);
    struct ew_upstream_ask ask = upstream_told_ask(&told);
    ask.method = "PUT";
    ask.body = (struct ew_str){big, BYTES};
    upstream_told_begin(&told, &world, &ask, "/");
    int fd = upstream_world_accept(&world);
    assert_true(upstream_world_hear(&world, fd, "!", &heard));
    assert_memory_equal(heard.data + heard.bytes - BYTES, big, BYTES);
    upstream_world_say(&world, fd, OK200 "Content-Length: 8388608\r\n\r\n");
    upstream_world_say_bytes(&world, fd, big, BYTES);
    upstream_world_until(&world, &told.ends, 1);
    assert_int_equal(told.result.failure, EW_UPSTREAM_NONE);
    assert_int_equal(told.body.bytes, BYTES);
    assert_memory_equal(told.body.data, big, BYTES);
    assert_int_equal(upstream_world_counts(&world).idle, 1);
    close(fd);
    free(big);
    ew_buf_fini(&heard);
    upstream_told_fini(&told);
    upstream_world_close(&world);
}

static void test_an_early_answer_is_taken_and_the_connection_not_kept(void **state)
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
    upstream_told_begin(&told, &world, &ask, "/");
    int fd = upstream_world_accept(&world);
    upstream_world_hear_request(&world, fd);
    upstream_world_say(&world, fd, "HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno");
    upstream_world_until(&world, &told.ends, 1);
    assert_int_equal(told.result.failure, EW_UPSTREAM_NONE);
    assert_int_equal(told.status, 413);
    assert_int_equal(upstream_world_counts(&world).idle, 0);
    close(fd);
    free(big);
    upstream_told_fini(&told);
    upstream_world_close(&world);
}

static void test_head_is_answered_without_a_body(void **state)
{
    (void)state;
    struct upstream_world world;
    struct upstream_told told;
    upstream_world_open(&world);
    upstream_told_init(&told, &world);
    struct ew_upstream_ask ask = upstream_told_ask(&told);
    ask.method = "HEAD";
    upstream_told_begin(&told, &world, &ask, "");
    int fd = upstream_world_accept(&world);
    upstream_world_hear_request(&world, fd);
    upstream_world_say(&world, fd, OK200 "Content-Length: 5000\r\n\r\n");
    upstream_world_until(&world, &told.ends, 1);
    upstream_told_check_whole(&told, "");
    assert_int_equal(upstream_world_counts(&world).idle, 1);
    close(fd);
    upstream_told_fini(&told);
    upstream_world_close(&world);
}

/* ---- when to come back ---- */

static void test_retry_after_is_read_in_all_its_forms(void **state)
{
    (void)state;
    static const struct {
        const char *headers;
        double wanted; /* below 0: not told */
    } cases[] = {
        {"", -1},
        {"Retry-After: 0\r\n", 0},
        {"Retry-After: 1.5\r\n", 1.5},
        {"Retry-After: 1e400\r\n", -1},
        {"Retry-After: -3\r\n", -1},
        {"Retry-After: soon\r\n", -1},
        {"Retry-After: 3 apples\r\n", -1},
        {"Retry-After: 99999999999\r\n", 366 * 86400.0},
        {"Retry-After: 9\r\nRetry-After-Ms: 250\r\n", 0.25},
        {"Date: Fri, 31 Dec 1999 23:59:00 GMT\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n",
         59},
        {"Date: Fri, 31 Dec 1999 23:59:00 GMT\r\nRetry-After: Fri, 31 Dec 1999 23:00:00 GMT\r\n",
         0},
        {"Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n", 0},
    };
    struct upstream_world world;
    upstream_world_open(&world);
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        struct upstream_told told;
        char says[400];
        snprintf(says, sizeof says, "HTTP/1.1 503 Busy\r\n%sContent-Length: 0\r\n\r\n",
                 cases[i].headers);
        upstream_told_get(&told, &world, "/");
        int fd = upstream_world_accept(&world);
        upstream_world_hear_request(&world, fd);
        upstream_world_say(&world, fd, says);
        upstream_world_until(&world, &told.ends, 1);
        if (cases[i].wanted < 0 ? !isnan(told.retry_after_s)
                                : told.retry_after_s != cases[i].wanted)
            fail_msg("%s: %g", cases[i].headers, told.retry_after_s);
        close(fd);
        upstream_world_turn_for(&world, 0.005);
        upstream_told_fini(&told);
    }
    upstream_world_close(&world);
}

/* ---- the caller's moods ---- */

static void test_a_cancelled_call_is_silent_and_its_server_sees_it(void **state)
{
    (void)state;
    static const char *const says[] = {"", "HTTP/1.1 2", OK200 "Content-Length: 9\r\n\r\nhel"};
    for (size_t i = 0; i < EW_COUNT(says); i++) {
        struct upstream_world world;
        struct upstream_told told;
        upstream_world_open(&world);
        upstream_told_get(&told, &world, "/");
        int fd = upstream_world_accept(&world);
        upstream_world_hear_request(&world, fd);
        upstream_world_say(&world, fd, says[i]);
        upstream_world_turn_for(&world, 0.01);
        ew_upstream_cancel(&told.call);
        assert_null(told.call);
        /* Without a turn of the loop. */
        struct pollfd ask = {.fd = fd, .events = POLLIN};
        char byte;
        assert_int_equal(poll(&ask, 1, 5000), 1);
        assert_true(recv(fd, &byte, 1, 0) <= 0);
        upstream_world_turn_for(&world, 0.01);
        assert_int_equal(told.ends, 0);
        assert_int_equal(upstream_world_counts(&world).active, 0);
        close(fd);
        upstream_told_fini(&told);
        upstream_world_close(&world);
    }
    ew_upstream_cancel(&(struct ew_upstream_call *){NULL});
}

static void test_a_call_may_be_cancelled_inside_what_it_is_told(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct upstream_world world;
        struct upstream_told told;
        upstream_world_open(&world);
        upstream_told_get(&told, &world, "/");
        told.cancel_in_head = i == 0;
        told.cancel_in_data = i == 1;
        int fd = upstream_world_accept(&world);
        upstream_world_hear_request(&world, fd);
        upstream_world_say(&world, fd,
                           OK200 "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n");
        upstream_world_until(&world, &told.heads, 1);
        upstream_world_check_closed(&world, fd);
        assert_int_equal(told.pieces, i);
        assert_int_equal(told.ends, 0);
        upstream_told_fini(&told);
        upstream_world_close(&world);
    }
}

static void ask_again(struct upstream_told *told)
{
    struct upstream_told *next = told + 1;
    upstream_told_get(next, told->world, "/next");
}

static void test_the_next_call_may_begin_where_one_ends(void **state)
{
    (void)state;
    struct upstream_world world;
    struct upstream_told told[2];
    upstream_world_open(&world);
    told[1].ends = 0;
    upstream_told_get(&told[0], &world, "/");
    told[0].at_end = ask_again;
    int fd = upstream_world_accept(&world);
    upstream_world_answer_hello(&world, fd, &told[0]);
    upstream_world_answer_hello(&world, fd, &told[1]); /* over the same connection */
    assert_true(told[1].result.reused);
    close(fd);
    upstream_told_fini(&told[0]);
    upstream_told_fini(&told[1]);
    upstream_world_close(&world);
}

static void test_a_paused_call_is_told_nothing_and_slows_the_server(void **state)
{
    (void)state;
    enum { BYTES = 64 << 20 };
    struct upstream_world world;
    struct upstream_told told;
    upstream_world_open(&world);
    upstream_told_init(&told, &world);
    struct ew_upstream_ask ask = upstream_told_ask(&told);
    ask.stall_timeout_s = 0.05; /* doesn't count while the reader is the slow one */
    upstream_told_begin(&told, &world, &ask, "/");
    told.pause_in_data = true;
    int fd = upstream_world_accept(&world);
    upstream_world_hear_request(&world, fd);
    upstream_world_say(&world, fd, OK200 "Content-Length: 67108864\r\n\r\n");
    static char piece[1 << 16];
    size_t sent = 0;
    memset(piece, 'p', sizeof piece);
    for (uint64_t idle = 0; idle < 300; idle++) { /* until the socket takes no more */
        ssize_t n = send(fd, piece, sizeof piece, MSG_NOSIGNAL);
        idle = n > 0 ? 0 : idle;
        sent += n > 0 ? (size_t)n : 0;
        upstream_world_turn_for(&world, 0.0005);
    }
    assert_int_equal(told.pieces, 1);
    assert_int_equal(told.ends, 0);
    assert_true(sent < BYTES / 2);
    told.pause_in_data = false;
    told.inside = true;
    ew_upstream_resume(told.call);
    told.inside = false;
    while (sent < BYTES) {
        ssize_t n = send(fd, piece, BYTES - sent < sizeof piece ? BYTES - sent : sizeof piece,
                         MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        upstream_world_turn(&world);
    }
    upstream_world_until(&world, &told.ends, 1);
    assert_int_equal(told.result.failure, EW_UPSTREAM_NONE);
    assert_int_equal(told.body.bytes, BYTES);
    close(fd);
    upstream_told_fini(&told);
    upstream_world_close(&world);
}

static void test_pieces_that_were_read_already_wait_for_resume_one_by_one(void **state)
{
    (void)state;
    struct upstream_world world;
    struct upstream_told told;
    upstream_world_open(&world);
    upstream_told_get(&told, &world, "/");
    told.pause_in_head = told.pause_in_data = true;
    int fd = upstream_world_accept(&world);
    upstream_world_hear_request(&world, fd);
    upstream_world_say(&world, fd,
                       OK200 "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\nc\r\n"
                             "0\r\n\r\n");
    upstream_world_until(&world, &told.heads, 1);
    for (int i = 0; i <= 3; i++) {
        upstream_world_turn_for(&world, 0.01);
        assert_int_equal(told.pieces, i);
        assert_int_equal(told.ends, 0);
        ew_upstream_resume(told.call);
        ew_upstream_resume(told.call); /* once more is no harm */
    }
    upstream_world_until(&world, &told.ends, 1);
    upstream_told_check_whole(&told, "abc");
    assert_int_equal(upstream_world_counts(&world).idle, 1);
    close(fd);
    upstream_told_fini(&told);
    upstream_world_close(&world);
}

static void test_a_paused_call_may_be_cancelled(void **state)
{
    (void)state;
    struct upstream_world world;
    struct upstream_told told;
    upstream_world_open(&world);
    upstream_told_get(&told, &world, "/");
    told.pause_in_data = true;
    int fd = upstream_world_accept(&world);
    upstream_world_hear_request(&world, fd);
    upstream_world_say(&world, fd, OK200 "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n");
    upstream_world_until(&world, &told.pieces, 1);
    ew_upstream_resume(told.call);
    ew_upstream_pause(told.call);
    ew_upstream_resume(told.call);
    ew_upstream_cancel(&told.call);
    upstream_world_check_closed(&world, fd);
    assert_int_equal(told.pieces, 1);
    upstream_told_fini(&told);
    upstream_world_close(&world);
}

/* ---- what isn't asked at all ---- */

static void test_what_cannot_be_asked_is_refused_without_repeating_it(void **state)
{
    (void)state;
    static const struct ew_http_header bad[] = {
        {"A b", "c"},  {"", "c"},     {"A\r\nB", "c"},         {"A", "b\r\nC: d"},
        {"A", "\x7f"}, {"Host", "x"}, {"content-length", "3"}, {"Transfer-Encoding", "chunked"},
    };
    static const char *const urls[] = {
        "",
        "127.0.0.1/secret",
        "ftp://a/secret",
        "http://",
        "http:///secret",
        "http://u:secret@a/",
        "http://a:0/secret",
        "http://a:65536/secret",
        "http://a:8x/secret",
        "http://[::1/secret",
        "http://[]/secret",
        "http://[::1]x/secret",
        "http://a b/secret",
        "http://a/secret\r\nX: y",
        "http://a/secret\xc3\xa4",
        "http://a\"/secret",
        "http://a:/\x01secret",
    };
    struct upstream_world world;
    struct upstream_told told;
    struct ew_upstream_call *call;
    upstream_world_open(&world);
    upstream_told_init(&told, &world);
    const struct ew_upstream_ask good = upstream_told_ask(&told);
    for (size_t i = 0; i < EW_COUNT(urls); i++) {
        struct ew_upstream_ask ask = good;
        struct ew_err err = {0};
        ask.url = urls[i];
        assert_int_equal(ew_upstream_begin(world.upstreams, &ask, &call, &err), EW_EINVAL);
        assert_null(strstr(err.text, "secret"));
        assert_null(call);
    }
    for (size_t i = 0; i < EW_COUNT(bad) + 4; i++) {
        struct ew_upstream_ask ask = good;
        struct ew_err err = {0};
        struct ew_http_header many[EW_UPSTREAM_HEADERS_MAX + 1];
        for (size_t k = 0; k < EW_COUNT(many); k++)
            many[k] = (struct ew_http_header){"A", "secret"};
        ask.url = "http://127.0.0.1:1/";
        ask.headers = i < EW_COUNT(bad) ? &bad[i] : many;
        ask.header_count = i < EW_COUNT(bad) ? 1 : i == EW_COUNT(bad) ? EW_COUNT(many) : 0;
        if (i == EW_COUNT(bad) + 1)
            ask.method = "GET /";
        if (i == EW_COUNT(bad) + 2)
            ask.stall_timeout_s = 0;
        if (i == EW_COUNT(bad) + 3)
            ask.connect_timeout_s = NAN;
        assert_int_equal(ew_upstream_begin(world.upstreams, &ask, &call, &err), EW_EINVAL);
        assert_null(strstr(err.text, "secret"));
    }
    assert_int_equal(upstream_world_counts(&world).calls, 0);
    upstream_told_fini(&told);
    upstream_world_close(&world);
}

static void test_failures_have_words(void **state)
{
    (void)state;
    assert_string_equal(ew_upstream_failure_name(EW_UPSTREAM_NONE), "none");
    assert_string_equal(ew_upstream_failure_name(EW_UPSTREAM_HEAD_TIMEOUT), "head_timeout");
    assert_string_equal(ew_upstream_failure_name(EW_UPSTREAM_MEMORY), "memory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_is_sent_as_asked_and_its_answer_told),
        cmocka_unit_test(test_answers_good_and_bad_at_once_and_a_byte_at_a_time),
        cmocka_unit_test(test_a_head_or_line_without_end_is_too_large),
        cmocka_unit_test(test_a_stream_without_end_is_cut_at_its_limit),
        cmocka_unit_test(test_a_large_body_goes_out_and_a_large_one_comes_in),
        cmocka_unit_test(test_an_early_answer_is_taken_and_the_connection_not_kept),
        cmocka_unit_test(test_head_is_answered_without_a_body),
        cmocka_unit_test(test_retry_after_is_read_in_all_its_forms),
        cmocka_unit_test(test_a_cancelled_call_is_silent_and_its_server_sees_it),
        cmocka_unit_test(test_a_call_may_be_cancelled_inside_what_it_is_told),
        cmocka_unit_test(test_the_next_call_may_begin_where_one_ends),
        cmocka_unit_test(test_a_paused_call_is_told_nothing_and_slows_the_server),
        cmocka_unit_test(test_pieces_that_were_read_already_wait_for_resume_one_by_one),
        cmocka_unit_test(test_a_paused_call_may_be_cancelled),
        cmocka_unit_test(test_what_cannot_be_asked_is_refused_without_repeating_it),
        cmocka_unit_test(test_failures_have_words),
    };
    alarm(120);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
