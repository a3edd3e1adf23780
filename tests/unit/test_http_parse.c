/* test_http_parse.c - requests as bytes: what each means, what is refused, every limit. Each
 * row is fed whole, a byte at a time, and in two pieces cut everywhere: all must agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/http_parse.h"
#include "support/http_rows.h"

enum { BODY_MAX = 32, ROW_BYTES_MAX = 1 << 17 };

/* Pieces of `piece` bytes after the first `first`, each in memory of its own size, so that a
 * sanitizer sees a byte too far. */
static size_t feed(struct ew_http_parse *parse, const char *bytes, size_t count, size_t first,
                   size_t piece)
{
    size_t at = 0;
    while (at < count && parse->phase < EW_HTTP_DONE) {
        size_t n = at == 0 && first ? first : piece;
        n = n < count - at ? n : count - at;
        char *copy = malloc(n);
        assert_non_null(copy);
        memcpy(copy, bytes + at, n);
        size_t used = ew_http_parse_feed(parse, copy, n);
        free(copy);
        at += used;
        assert_true(used == n || parse->phase >= EW_HTTP_DONE);
    }
    return at;
}

static void check(const struct http_row *row, const struct ew_http_parse *parse, size_t left)
{
    int status = parse->phase == EW_HTTP_DONE     ? 0
                 : parse->phase == EW_HTTP_FAILED ? parse->status
                                                  : -1;
    if (status != row->status)
        fail_msg("%s: %d (%s), wanted %d", row->bytes, status, parse->message ? parse->message : "",
                 row->status);
    if (parse->phase == EW_HTTP_FAILED)
        assert_true(strlen(parse->message) > 10);
    if (status != 0)
        return;
    assert_string_equal(parse->text.data + parse->path, row->path);
    assert_string_equal(parse->text.data + parse->query, row->query);
    assert_string_equal(ew_buf_cstr(&parse->body), row->body);
    assert_int_equal(left, row->left);
}

static void check_all_ways(const struct http_row *row, size_t count)
{
    char *bytes = malloc(count + 1);
    struct ew_http_parse parse;
    assert_non_null(bytes);
    memcpy(bytes, row->bytes, count + 1);
    for (size_t i = 0; i < count; i++)
        bytes[i] = bytes[i] == '~' ? '\0' : bytes[i];
    ew_http_parse_init(&parse, BODY_MAX);
    /* One parser for all, so that reset is tried as well. */
    check(row, &parse, count - feed(&parse, bytes, count, 0, count));
    ew_http_parse_reset(&parse);
    check(row, &parse, count - feed(&parse, bytes, count, 0, 1));
    for (size_t cut = 1; cut < count && count < 300; cut++) {
        ew_http_parse_reset(&parse);
        check(row, &parse, count - feed(&parse, bytes, count, cut, count));
    }
    ew_http_parse_fini(&parse);
    free(bytes);
}

static void test_each_request_is_what_the_standard_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_COUNT(http_rows); i++)
        check_all_ways(&http_rows[i], strlen(http_rows[i].bytes));
}

/* ---- limits, met to the byte ---- */

struct made {
    char *text;
    size_t bytes;
};

static void add(struct made *made, const char *text, size_t times)
{
    for (size_t i = 0; i < times; i++) {
        assert_true(made->bytes + strlen(text) < ROW_BYTES_MAX);
        memcpy(made->text + made->bytes, text, strlen(text) + 1);
        made->bytes += strlen(text);
    }
}

/* before, `unit` so many times, after: refused with `status`, or taken when that is 0. */
static void check_made(const char *before, const char *unit, size_t times, const char *after,
                       int status)
{
    struct made made = {.text = calloc(1, ROW_BYTES_MAX)};
    assert_non_null(made.text);
    add(&made, before, 1);
    add(&made, unit, times);
    add(&made, after, 1);
    struct ew_http_parse parse;
    for (int way = 0; way < 2; way++) {
        ew_http_parse_init(&parse, BODY_MAX);
        feed(&parse, made.text, made.bytes, 0, way ? 1 : made.bytes);
        int got = parse.phase == EW_HTTP_DONE     ? 0
                  : parse.phase == EW_HTTP_FAILED ? parse.status
                                                  : -1;
        if (got != status)
            fail_msg("%s, %zu times %s: %d, wanted %d", before, times, unit, got, status);
        ew_http_parse_fini(&parse);
    }
    free(made.text);
}

static void test_limits_are_met_to_the_byte(void **state)
{
    (void)state;
    const char end[] = " HTTP/1.0\r\n\r\n";
    check_made("GET /", "a", EW_HTTP_TARGET_BYTES_MAX - 1, end, 0);
    check_made("GET /", "a", EW_HTTP_TARGET_BYTES_MAX, end, 414);
    check_made("GET /", "a", 100000, end, 414);
    check_made("GET / HTTP/1.0\r\n", "A: b\r\n", EW_HTTP_HEADERS_MAX, "\r\n", 0);
    check_made("GET / HTTP/1.0\r\n", "A: b\r\n", EW_HTTP_HEADERS_MAX + 1, "\r\n", 431);
    size_t rest = EW_HTTP_HEADER_BYTES_MAX - strlen("GET / HTTP/1.0\r\nA:\r\n\r\n");
    check_made("GET / HTTP/1.0\r\nA:", "b", rest, "\r\n\r\n", 0);
    check_made("GET / HTTP/1.0\r\nA:", "b", rest + 1, "\r\n\r\n", 431);
    check_made("GET / HTTP/1.0\r\nA:", " ", rest, "\r\n\r\n", 0);
    check_made("GET / HTTP/1.0\r\nA:", " ", rest + 1, "\r\n\r\n", 431);
    check_made("GET / HTTP/1.0\r\n", "b", 100000, "", 431);
    check_made(CHUNKED "\r\n1;", "x", EW_HTTP_CHUNK_EXTENSION_BYTES_MAX, "\r\na\r\n0\r\n\r\n", 0);
    check_made(CHUNKED "\r\n1;", "x", EW_HTTP_CHUNK_EXTENSION_BYTES_MAX + 1, "\r\na\r\n0\r\n\r\n",
               400);
    check_made(CHUNKED "\r\n0\r\n", "A: b\r\n", 1000, "\r\n", 0);
    check_made(CHUNKED "\r\n0\r\n", "A: b\r\n", 6000, "\r\n", 431);
}

/* ---- what else a head says ---- */

static void parse_whole(struct ew_http_parse *parse, const char *text)
{
    ew_http_parse_init(parse, BODY_MAX);
    assert_int_equal(ew_http_parse_feed(parse, text, strlen(text)), strlen(text));
    assert_int_equal(parse->phase, EW_HTTP_DONE);
}

static void test_headers_are_found_whatever_their_case_and_trimmed(void **state)
{
    (void)state;
    struct ew_http_parse parse;
    parse_whole(&parse,
                "GET / HTTP/1.0\r\nX-One: \t a b \t \r\nx-two:c\r\nEmpty: \r\nX-One: d\r\n\r\n");
    assert_string_equal(ew_http_parse_header(&parse, "x-oNE"), "a b");
    assert_string_equal(ew_http_parse_header(&parse, "X-Two"), "c");
    assert_string_equal(ew_http_parse_header(&parse, "empty"), "");
    assert_null(ew_http_parse_header(&parse, "x"));
    assert_string_equal(parse.text.data, "GET");
    ew_http_parse_fini(&parse);
}

static void test_a_trailer_is_no_header(void **state)
{
    (void)state;
    struct ew_http_parse parse;
    parse_whole(&parse, CHUNKED "\r\n0\r\nAuthorization: x\r\nConnection: close\r\n\r\n");
    assert_null(ew_http_parse_header(&parse, "Authorization"));
    assert_true(parse.keep_alive);
    ew_http_parse_fini(&parse);
}

static void test_the_connection_goes_on_unless_told(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool keep_alive;
    } cases[] = {
        {"GET / HTTP/1.1\r\n" HOST "\r\n", true},
        {"GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\n" HOST "Connection: TE,\t CLOSE ,x\r\n\r\n", false},
        {"GET / HTTP/1.1\r\n" HOST "Connection: closed\r\n\r\n", true},
        {"GET / HTTP/1.1\r\n" HOST "Connection: keep-alive\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive, close\r\n\r\n", false},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        struct ew_http_parse parse;
        parse_whole(&parse, cases[i].text);
        assert_int_equal(parse.keep_alive, cases[i].keep_alive);
        ew_http_parse_fini(&parse);
    }
}

static void test_expect_and_head_are_told(void **state)
{
    (void)state;
    struct ew_http_parse parse;
    parse_whole(&parse, "HEAD / HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\n\r\n");
    assert_true(parse.expects_continue && parse.head_only);
    ew_http_parse_fini(&parse);
    parse_whole(&parse, "GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n");
    assert_false(parse.expects_continue || parse.head_only);
    ew_http_parse_fini(&parse);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_request_is_what_the_standard_says),
        cmocka_unit_test(test_limits_are_met_to_the_byte),
        cmocka_unit_test(test_headers_are_found_whatever_their_case_and_trimmed),
        cmocka_unit_test(test_a_trailer_is_no_header),
        cmocka_unit_test(test_the_connection_goes_on_unless_told),
        cmocka_unit_test(test_expect_and_head_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
