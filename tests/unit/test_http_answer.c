/* test_http_answer.c - answers as bytes through the parser: what each means, what is refused, every
 * limit. Each is fed whole, a byte at a time, and in two pieces cut everywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/http_parse.h"
#include "support/answer_rows.h"

enum { HEAD_MAX = 2000, BODY_MAX = 32 };

struct seen {
    struct ew_http_parse parse;
    char body[BODY_MAX + 1];
    size_t bytes, left;
    int heads; /* how often feed returned with the head alone */
};

/* Each piece in memory of its own size, so that a sanitizer sees a byte too far. */
static size_t feed(struct seen *seen, const char *bytes, size_t count)
{
    char *copy = malloc(count);
    assert_non_null(copy);
    memcpy(copy, bytes, count);
    size_t used = ew_http_parse_feed(&seen->parse, copy, count);
    const struct ew_str piece = seen->parse.piece;
    if (piece.bytes) {
        assert_true(piece.data >= copy && piece.data + piece.bytes <= copy + used);
        assert_true(seen->bytes + piece.bytes <= BODY_MAX);
        memcpy(seen->body + seen->bytes, piece.data, piece.bytes);
        seen->bytes += piece.bytes;
        seen->body[seen->bytes] = '\0';
    }
    free(copy);
    return used;
}

static void read_all(struct seen *seen, const char *bytes, size_t count, size_t first, size_t piece,
                     enum ew_http_asked asked)
{
    ew_http_parse_begin_answer(&seen->parse, BODY_MAX, asked);
    seen->bytes = 0;
    seen->body[0] = '\0';
    size_t at = 0;
    for (size_t end = first; at < count && seen->parse.phase < EW_HTTP_DONE; end += piece) {
        end = end < count ? end : count;
        while (at < end && seen->parse.phase < EW_HTTP_DONE) {
            size_t used = feed(seen, bytes + at, end - at);
            assert_true(used > 0 || seen->parse.phase == EW_HTTP_FAILED);
            at += used;
        }
    }
    seen->left = count - at;
    ew_http_parse_closed(&seen->parse);
}

static void check_row(const struct answer_row *row, struct seen *seen, size_t first, size_t piece)
{
    read_all(seen, row->bytes, strlen(row->bytes), first, piece, EW_HTTP_ASKED_ALL);
    const struct ew_http_parse *parse = &seen->parse;
    enum answer_end end = parse->phase == EW_HTTP_DONE && parse->keep_alive ? WHOLE
                          : parse->phase == EW_HTTP_DONE                    ? WHOLE_CLOSE
                          : parse->phase != EW_HTTP_FAILED                  ? CUT
                          : parse->status == 413                            ? TOO_LONG
                                                                            : BAD;
    if (end != row->end)
        fail_msg("%s, %zu: %d (%s), not %d", row->bytes, first, (int)end,
                 parse->message ? parse->message : "", (int)row->end);
    if (parse->phase == EW_HTTP_FAILED) {
        assert_true(strlen(parse->message) > 10);
        return;
    }
    if (row->code)
        assert_int_equal(parse->code, row->code);
    assert_string_equal(seen->body, row->body);
    assert_int_equal(seen->left, row->left);
    if (end <= WHOLE_CLOSE)
        assert_int_equal(parse->taken, strlen(row->body));
}

static void test_each_answer_is_what_the_standard_says(void **state)
{
    (void)state;
    struct seen seen;
    /* One parser for all, so that each begins with nothing of the one before. */
    ew_http_parse_init_answer(&seen.parse, HEAD_MAX);
    for (size_t i = 0; i < EW_COUNT(answer_rows); i++) {
        size_t count = strlen(answer_rows[i].bytes);
        check_row(&answer_rows[i], &seen, count, count);
        check_row(&answer_rows[i], &seen, 1, 1);
        for (size_t cut = 1; cut < count; cut++)
            check_row(&answer_rows[i], &seen, cut, count);
    }
    ew_http_parse_fini(&seen.parse);
}

static void test_the_answer_to_head_has_no_body(void **state)
{
    (void)state;
    static const char *const heads[] = {
        OK LENGTH "5000\r\n\r\n",
        OK CODING "\r\n",
        OK "\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n" OK LENGTH "3\r\n\r\n",
    };
    struct seen seen;
    ew_http_parse_init_answer(&seen.parse, HEAD_MAX);
    for (size_t i = 0; i < EW_COUNT(heads); i++) {
        read_all(&seen, heads[i], strlen(heads[i]), 1, 1, EW_HTTP_ASKED_HEAD);
        assert_int_equal(seen.parse.phase, EW_HTTP_DONE);
        assert_true(seen.parse.keep_alive);
        assert_int_equal(seen.bytes, 0);
    }
    ew_http_parse_fini(&seen.parse);
}

/* before, `unit` so many times, after. */
static int status_of(const char *before, const char *unit, size_t times, const char *after)
{
    struct ew_buf text;
    struct seen seen;
    ew_buf_init(&text, 1 << 20);
    assert_int_equal(ew_buf_text(&text, before, NULL), 0);
    for (size_t i = 0; i < times; i++)
        assert_int_equal(ew_buf_text(&text, unit, NULL), 0);
    assert_int_equal(ew_buf_text(&text, after, NULL), 0);
    ew_http_parse_init_answer(&seen.parse, HEAD_MAX);
    read_all(&seen, text.data, text.bytes, text.bytes, text.bytes, EW_HTTP_ASKED_ALL);
    int whole = seen.parse.phase == EW_HTTP_FAILED ? seen.parse.status : 0;
    read_all(&seen, text.data, text.bytes, 1, 1, EW_HTTP_ASKED_ALL);
    assert_int_equal(whole, seen.parse.phase == EW_HTTP_FAILED ? seen.parse.status : 0);
    ew_http_parse_fini(&seen.parse);
    ew_buf_fini(&text);
    return whole;
}

static void test_limits_are_met_to_the_byte(void **state)
{
    (void)state;
    const size_t rest = HEAD_MAX - strlen(OK "A:\r\n\r\n");
    assert_int_equal(status_of(OK "A:", "b", rest, "\r\n\r\n"), 0);
    assert_int_equal(status_of(OK "A:", "b", rest + 1, "\r\n\r\n"), 431);
    assert_int_equal(status_of(OK, "A: b\r\n", EW_HTTP_HEADERS_MAX, "\r\n"), 0);
    assert_int_equal(status_of(OK, "A: b\r\n", EW_HTTP_HEADERS_MAX + 1, "\r\n"), 431);
    assert_int_equal(status_of("HTTP/1.1 200 ", "x", 100000, ""), 431);
    /* 1xx without end count together. */
    assert_int_equal(status_of("", "HTTP/1.1 102 P\r\n\r\n", 10000, ""), 431);
    assert_int_equal(status_of(OK CODING "\r\n", "1;x\r\na\r\n", 20, "0\r\n\r\n"), 0);
    assert_int_equal(status_of(OK CODING "\r\n0\r\n", "A: b\r\n", 1000, "\r\n"), 431);
}

static void test_a_head_is_told_before_its_body(void **state)
{
    (void)state;
    static const char text[] = OK LENGTH "3\r\nX-One: a\r\n\r\nabc";
    struct ew_http_parse parse;
    ew_http_parse_init_answer(&parse, HEAD_MAX);
    ew_http_parse_begin_answer(&parse, BODY_MAX, EW_HTTP_ASKED_ALL);
    size_t used = ew_http_parse_feed(&parse, text, strlen(text));
    assert_int_equal(used, strlen(text) - 3);
    assert_int_equal(parse.phase, EW_HTTP_BODY);
    assert_int_equal(parse.piece.bytes, 0);
    assert_string_equal(ew_http_parse_header(&parse, "x-one"), "a");
    used += ew_http_parse_feed(&parse, text + used, strlen(text) - used);
    assert_int_equal(used, strlen(text));
    assert_int_equal(parse.phase, EW_HTTP_DONE);
    assert_int_equal(parse.piece.bytes, 3);
    ew_http_parse_fini(&parse);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_answer_is_what_the_standard_says),
        cmocka_unit_test(test_the_answer_to_head_has_no_body),
        cmocka_unit_test(test_limits_are_met_to_the_byte),
        cmocka_unit_test(test_a_head_is_told_before_its_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
