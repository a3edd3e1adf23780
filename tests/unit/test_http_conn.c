/* test_http_conn.c - clients that hang up, one way or another, and those that are slow to ask or to
 * read; those that stay and say nothing. Seconds are short here, so each wait has a reason. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/http_world.h"

/* ---- clients that go ---- */

static void reset(int fd)
{
    const struct linger none = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none), 0);
    close(fd);
}

/* A busy machine is late once or twice; a server that is late is late each time. */
enum { TRIES = 10 };

enum leaving { CLOSES, RESETS, HALF_CLOSES, LEAVINGS };

static void leave(int fd, enum leaving how)
{
    if (how == CLOSES)
        close(fd);
    else if (how == RESETS)
        reset(fd);
    else
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
}

/* How long it took until that was told. */
static uint64_t gone_ns(const char *ask, size_t more, enum leaving how)
{
    struct http_world world;
    const struct ew_http_params params = http_world_params();
    http_world_open(&world, &params);
    int fd = http_world_connect(&world);
    http_world_say(&world, fd, ask);
    http_world_turn_until(&world, &world.waiting_count, 1);
    char *rest = malloc(more + 1);
    assert_non_null(rest);
    memset(rest, 'G', more);
    /* More than the server reads ahead, but within what the kernel takes. */
    if (more)
        assert_int_equal(send(fd, rest, more, MSG_NOSIGNAL), more);
    free(rest);
    http_world_turn_for(&world, 0.1);
    assert_int_equal(world.gone_count, 0);
    uint64_t from = ew_clock_now_ns(&ew_clock_real);
    leave(fd, how);
    http_world_turn_until(&world, &world.gone_count, 1);
    const uint64_t took_ns = world.gone_ns - from;
    http_world_turn_for(&world, 0.02);
    assert_int_equal(world.gone_count, 1);
    assert_int_equal(http_world_counts(&world).connections, 0);
    assert_int_equal(http_world_counts(&world).active, 0);
    if (how == HALF_CLOSES)
        close(fd);
    http_world_close(&world);
    return took_ns;
}

static void check_gone(const char *ask, size_t more, enum leaving how)
{
    int tries = 1;
    while (gone_ns(ask, more, how) >= 50 * (uint64_t)EW_NS_PER_MS)
        if (++tries > TRIES)
            fail_msg("told later than 50 ms, %d times", TRIES);
}

static void test_gone_is_told_within_50_ms_however_the_client_goes(void **state)
{
    (void)state;
    for (enum leaving how = 0; how < LEAVINGS; how++) {
        check_gone("GET /wait HTTP/1.1\r\n" HOST "\r\n", 0, how);
        check_gone("GET /hold HTTP/1.1\r\n" HOST "\r\n", 0, how);
        check_gone("GET /wait HTTP/1.1\r\n" HOST "\r\n", 100, how);
        check_gone("GET /wait HTTP/1.1\r\n" HOST "\r\n", 60000, how);
        check_gone("GET /hold HTTP/1.1\r\n" HOST "\r\n", 60000, how);
    }
}

static void test_gone_is_told_to_who_writes_to_nobody(void **state)
{
    (void)state;
    struct http_world world;
    const struct ew_http_params params = http_world_params();
    http_world_open(&world, &params);
    int fd = http_world_connect(&world);
    http_world_say(&world, fd, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    http_world_turn_until(&world, &world.waiting_count, 1);
    reset(fd);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ew_http_stream_write(world.waiting[0], http_world_str("more"), NULL), 0);
    assert_int_equal(world.gone_count, 0); /* never inside the caller's call */
    http_world_turn_until(&world, &world.gone_count, 1);
    http_world_close(&world);
}

static void test_gone_is_not_told_after_the_answer(void **state)
{
    (void)state;
    struct http_world world;
    const struct ew_http_params params = http_world_params();
    http_world_open(&world, &params);
    int fd = http_world_connect(&world);
    http_world_say(&world, fd, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
    http_world_turn_until(&world, &world.waiting_count, 1);
    close(fd);
    ew_http_reply(world.waiting[0], 200, "text/plain", http_world_str("too late"));
    http_world_turn_for(&world, 0.05);
    assert_int_equal(world.gone_count, 0);
    assert_int_equal(http_world_counts(&world).connections, 0);
    http_world_close(&world);
}

static void test_who_half_closes_after_asking_gets_answers_given_at_once(void **state)
{
    (void)state;
    struct http_world world;
    const struct ew_http_params params = http_world_params();
    http_world_open(&world, &params);
    struct ew_buf heard;
    ew_buf_init(&heard, TEXT_MAX);
    int fd = http_world_connect(&world);
    assert_true(send(fd, "GET /big HTTP/1.0\r\n\r\n", 21, MSG_NOSIGNAL) == 21);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    assert_int_equal(http_world_listen(&world, fd, NULL, &heard), HEARD_END);
    assert_true(heard.bytes > BIG_BYTES);
    http_world_turn_for(&world, 0.02);
    assert_int_equal(http_world_counts(&world).connections, 0); /* and nobody lingers */
    close(fd);
    ew_buf_fini(&heard);
    http_world_close(&world);
}

/* ---- slow ones ---- */

static void test_a_slow_head_or_body_is_answered_408(void **state)
{
    (void)state;
    static const char *const starts[] = {
        "GET /hello",
        "GET /hello HTTP/1.1\r\n" HOST "A: b\r\n",
        "PUT /echo HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\nabc",
        "PUT /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n50\r\nabc",
    };
    struct http_world world;
    struct ew_http_params params = http_world_params();
    params.header_timeout_s = params.body_timeout_s = 0.1;
    http_world_open(&world, &params);
    for (size_t i = 0; i < EW_COUNT(starts); i++) {
        struct ew_buf heard;
        ew_buf_init(&heard, TEXT_MAX);
        int fd = http_world_connect(&world);
        http_world_say(&world, fd, starts[i]);
        /* A byte now and then doesn't help. */
        for (int k = 0; k < 8; k++) {
            http_world_turn_for(&world, 0.02);
            http_world_say(&world, fd, "a");
        }
        assert_int_equal(http_world_listen(&world, fd, NULL, &heard), HEARD_END);
        assert_memory_equal(heard.data, "HTTP/1.1 408 Request Timeout\r\n", 30);
        close(fd);
        ew_buf_fini(&heard);
    }
    http_world_close(&world);
}

static void test_idle_connections_are_closed_in_silence(void **state)
{
    (void)state;
    struct http_world world;
    struct ew_http_params params = http_world_params();
    params.header_timeout_s = 2;
    params.idle_timeout_s = 0.1;
    http_world_open(&world, &params);
    struct ew_buf heard;
    ew_buf_init(&heard, TEXT_MAX);
    int silent = http_world_connect(&world), fd = http_world_connect(&world);
    uint64_t from = ew_clock_now_ns(&ew_clock_real);
    http_world_say(&world, fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(http_world_listen(&world, fd, NULL, &heard), HEARD_END);
    assert_int_equal(heard.data[heard.bytes - 1], 'o');
    uint64_t took = ew_clock_now_ns(&ew_clock_real) - from;
    assert_true(took >= 100 * (uint64_t)EW_NS_PER_MS && took < 1900 * (uint64_t)EW_NS_PER_MS);
    ew_buf_clear(&heard);
    assert_int_equal(http_world_listen(&world, silent, NULL, &heard), HEARD_END);
    assert_int_equal(heard.bytes, 0);
    assert_true(ew_clock_now_ns(&ew_clock_real) - from >= 2 * (uint64_t)EW_NS_PER_S);
    close(silent);
    close(fd);
    ew_buf_fini(&heard);
    http_world_close(&world);
}

/* An answer may take longer than any of the times: those are for clients. */
static void test_no_time_runs_while_the_caller_works(void **state)
{
    (void)state;
    struct http_world world;
    struct ew_http_params params = http_world_params();
    params.header_timeout_s = params.body_timeout_s = params.idle_timeout_s =
        params.write_timeout_s = 0.05;
    http_world_open(&world, &params);
    struct ew_buf heard;
    ew_buf_init(&heard, TEXT_MAX);
    int fd = http_world_connect(&world);
    http_world_say(&world, fd, "GET /hold HTTP/1.1\r\n" CLOSE "\r\n");
    http_world_turn_until(&world, &world.waiting_count, 1);
    http_world_turn_for(&world, 0.2);
    assert_int_equal(ew_http_stream_write(world.waiting[0], http_world_str("a"), NULL), 0);
    http_world_turn_for(&world, 0.2);
    ew_http_stream_end(world.waiting[0]);
    assert_int_equal(http_world_listen(&world, fd, NULL, &heard), HEARD_END);
    http_world_check_contains(&heard, "1\r\na\r\n0\r\n\r\n");
    assert_int_equal(world.gone_count, 0);
    close(fd);
    ew_buf_fini(&heard);
    http_world_close(&world);
}

/* Writes until the server says that too much is unsent. */
static size_t write_until_full(struct ew_http_request *request)
{
    static const char piece[10000];
    struct ew_err err;
    size_t written = 0;
    for (int i = 0; i < 10000; i++) {
        if (ew_http_stream_write(request, (struct ew_str){piece, sizeof piece}, &err) != 0) {
            assert_int_equal(err.code, EW_ELIMIT);
            return written;
        }
        assert_true(ew_http_stream_unsent(request) <= EW_HTTP_UNSENT_MAX + 32);
        written += sizeof piece;
    }
    fail_msg("100 MB were taken for a reader that reads nothing");
    return 0;
}

static void test_a_slow_readers_bytes_are_bounded_and_drained_is_told(void **state)
{
    (void)state;
    struct http_world world;
    const struct ew_http_params params = http_world_params();
    http_world_open(&world, &params);
    struct ew_buf heard;
    ew_buf_init(&heard, TEXT_MAX);
    int fd = http_world_connect(&world);
    http_world_say(&world, fd, "GET /hold HTTP/1.0\r\n\r\n");
    http_world_turn_until(&world, &world.waiting_count, 1);
    size_t written = write_until_full(world.waiting[0]);
    assert_true(ew_http_stream_unsent(world.waiting[0]) > EW_HTTP_UNSENT_MAX - 10000);
    char piece[65536];
    for (int i = 0; world.drained_count == 0 && i < 20000; i++) {
        ssize_t n;
        while ((n = recv(fd, piece, sizeof piece, 0)) > 0)
            assert_int_equal(ew_buf_add(&heard, piece, (size_t)n, NULL), 0);
        http_world_turn(&world);
        usleep(200);
    }
    assert_int_equal(world.drained_count, 1);
    assert_int_equal(ew_http_stream_write(world.waiting[0], http_world_str("end"), NULL), 0);
    ew_http_stream_end(world.waiting[0]);
    assert_int_equal(http_world_listen(&world, fd, NULL, &heard), HEARD_END);
    const char *body = strstr(heard.data, "\r\n\r\n") + 4;
    assert_int_equal(heard.bytes - (size_t)(body - heard.data), written + 3);
    assert_memory_equal(heard.data + heard.bytes - 3, "end", 3);
    assert_int_equal(world.drained_count, 1);
    close(fd);
    ew_buf_fini(&heard);
    http_world_close(&world);
}

static void test_a_stream_that_backs_up_is_told_when_it_is_drained(void **state)
{
    (void)state;
    enum { MUCH = 100000 };
    static char piece[10000];
    struct http_world world;
    const struct ew_http_params params = http_world_params();
    http_world_open(&world, &params);
    int fd = http_world_connect(&world);
    http_world_say(&world, fd, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    http_world_turn_until(&world, &world.waiting_count, 1);
    struct ew_http_request *request = world.waiting[0];
    assert_false(ew_http_stream_backs_up(request, 0)); /* and nobody wants to be told */
    int writes = 0;
    for (; !ew_http_stream_backs_up(request, MUCH); writes++) {
        assert_true(writes < 10000);
        assert_int_equal(ew_http_stream_write(request, (struct ew_str){piece, sizeof piece}, NULL),
                         0);
    }
    assert_true(ew_http_stream_unsent(request) <= MUCH + 2 * sizeof piece);
    for (int i = 0; world.drained_count == 0 && i < 20000; i++) {
        while (recv(fd, piece, sizeof piece, 0) > 0)
            ;
        http_world_turn(&world);
        usleep(200);
    }
    assert_int_equal(world.drained_count, 1);
    assert_false(ew_http_stream_backs_up(request, MUCH));
    close(fd);
    http_world_close(&world);
}

static void test_a_reader_that_stands_still_is_cut_off(void **state)
{
    (void)state;
    struct http_world world;
    struct ew_http_params params = http_world_params();
    params.write_timeout_s = 0.2;
    http_world_open(&world, &params);
    int streaming = http_world_connect(&world), whole = http_world_connect(&world);
    http_world_say(&world, streaming, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    http_world_turn_until(&world, &world.waiting_count, 1);
    write_until_full(world.waiting[0]);
    http_world_say(&world, whole, "GET /big HTTP/1.1\r\n" HOST "\r\n");
    http_world_turn_until(&world, &world.gone_count, 1);
    http_world_turn_for(&world, 0.3);
    assert_int_equal(world.gone_count, 1); /* the other was answered, as far as its caller knows */
    assert_int_equal(http_world_counts(&world).connections, 0);
    close(streaming);
    close(whole);
    http_world_close(&world);
}

/* ---- clients that stay ---- */

static long resident_kb(void)
{
    long kb = 0;
    char line[200];
    FILE *status = fopen("/proc/self/status", "r");
    assert_non_null(status);
    while (fgets(line, sizeof line, status))
        if (strncmp(line, "VmRSS:", 6) == 0)
            kb = strtol(line + 6, NULL, 10);
    fclose(status);
    assert_true(kb > 0);
    return kb;
}

#ifdef EW_SANITIZED
enum { IDLE_KB_MAX = 80000 }; /* red zones, and what was freed is kept apart */
#else
enum { IDLE_KB_MAX = 20000 };
#endif

/* Each has asked once: it is what was needed for that which must be given back. */
static void test_a_thousand_idle_connections_take_less_than_20_MB(void **state)
{
    (void)state;
    enum { IDLE = 1000 };
    static int fds[IDLE];
    struct rlimit files;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < 2 * IDLE + 50) {
        print_message("a process may have %lu files here\n", (unsigned long)files.rlim_cur);
        skip();
    }
    struct http_world world;
    struct ew_http_params params = http_world_params();
    struct ew_buf heard;
    params.connections_max = IDLE;
    http_world_open(&world, &params);
    ew_buf_init(&heard, TEXT_MAX);
    long before_kb = 0;
    for (int i = 0; i < IDLE; i++) {
        fds[i] = http_world_connect(&world);
        http_world_say(&world, fds[i], "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        ew_buf_clear(&heard);
        assert_int_equal(http_world_listen(&world, fds[i], "hello", &heard), HEARD_ENOUGH);
        if (i == 0)
            before_kb = resident_kb();
    }
    assert_int_equal(http_world_counts(&world).connections, IDLE);
    long more_kb = resident_kb() - before_kb;
    print_message("a thousand idle connections take %ld kB\n", more_kb);
    assert_true(more_kb < IDLE_KB_MAX);
    for (int i = 0; i < IDLE; i++)
        close(fds[i]);
    ew_buf_fini(&heard);
    http_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First: what others have freed would hide what it takes. */
        cmocka_unit_test(test_a_thousand_idle_connections_take_less_than_20_MB),
        cmocka_unit_test(test_gone_is_told_within_50_ms_however_the_client_goes),
        cmocka_unit_test(test_gone_is_told_to_who_writes_to_nobody),
        cmocka_unit_test(test_gone_is_not_told_after_the_answer),
        cmocka_unit_test(test_who_half_closes_after_asking_gets_answers_given_at_once),
        cmocka_unit_test(test_a_slow_head_or_body_is_answered_408),
        cmocka_unit_test(test_idle_connections_are_closed_in_silence),
        cmocka_unit_test(test_no_time_runs_while_the_caller_works),
        cmocka_unit_test(test_a_slow_readers_bytes_are_bounded_and_drained_is_told),
        cmocka_unit_test(test_a_stream_that_backs_up_is_told_when_it_is_drained),
        cmocka_unit_test(test_a_reader_that_stands_still_is_cut_off),
    };
    alarm(120);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
