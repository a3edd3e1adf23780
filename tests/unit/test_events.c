/* test_events.c - events out of streams: what the standard says of each line, at every place where
 * the bytes may be cut, and what is too long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "net/events.h"

enum { SHOWN_MAX = 4096, REFUSED = -77 };

/* What was handed over, as "name|data;" for each event. */
struct shown {
    char text[SHOWN_MAX];
    size_t bytes;
    int events, refuse_at;
};

static void show(struct shown *shown, const char *bytes, size_t count)
{
    assert_true(shown->bytes + count < SHOWN_MAX);
    memcpy(shown->text + shown->bytes, bytes, count);
    shown->bytes += count;
    shown->text[shown->bytes] = '\0';
}

static int take(void *user, const char *name, struct ew_str data, struct ew_err *err)
{
    struct shown *shown = user;
    show(shown, name, strlen(name));
    show(shown, "|", 1);
    show(shown, data.data, data.bytes);
    show(shown, ";", 1);
    if (++shown->events == shown->refuse_at) {
        ew_fail(err, EW_EFORMAT, "no more");
        return REFUSED;
    }
    return 0;
}

/* Each piece in memory of its own size, so that a byte too far is seen. */
static int push(struct ew_events *events, const char *bytes, size_t count, struct shown *shown,
                struct ew_err *err)
{
    char *copy = malloc(count + !count);
    assert_non_null(copy);
    memcpy(copy, bytes, count);
    int code = ew_events_push(events, copy, count, take, shown, err);
    free(copy);
    return code;
}

/* In pieces of `first`, `second` and the rest; with second 0: all of them `first` long. Says
 * whether it was cut. */
static bool read_in_pieces(enum ew_events_form form, struct ew_str text, size_t first,
                           size_t second, struct shown *shown)
{
    struct ew_events events;
    struct ew_err err = {0};
    ew_events_init(&events, form);
    for (size_t at = 0, n = first, i = 0; at < text.bytes; at += n, i++) {
        n = second && i == 1 ? second : second && i > 1 ? text.bytes : first;
        n = n < text.bytes - at ? n : text.bytes - at;
        if (push(&events, text.data + at, n, shown, &err) != 0)
            fail_msg("%s", err.text);
    }
    bool cut = ew_events_cut(&events);
    ew_events_fini(&events);
    return cut;
}

static void check(enum ew_events_form form, struct ew_str text, const char *wanted, bool wants_cut)
{
    for (size_t first = 1; first <= text.bytes; first++)
        for (size_t second = 0; second <= text.bytes - first; second++) {
            struct shown shown = {.text = ""};
            bool cut = read_in_pieces(form, text, first, second, &shown);
            if (strcmp(shown.text, wanted) != 0 || cut != wants_cut)
                fail_msg("%zu, %zu of '%.*s': '%s', %scut; not '%s'", first, second,
                         (int)text.bytes, text.data, shown.text, cut ? "" : "not ", wanted);
        }
}

struct row {
    const char *text, *shown;
    bool cut;
};

static void check_rows(enum ew_events_form form, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check(form, (struct ew_str){rows[i].text, strlen(rows[i].text)}, rows[i].shown,
              rows[i].cut);
}

static void test_sse_is_read_as_the_standard_says_wherever_it_is_cut(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"data: a\n\ndata: b\n\n", "|a;|b;", false},
        {"data: a\r\n\r\ndata: b\r\n\r\n", "|a;|b;", false},
        {"data: a\r\ndata: b\r\n\r\n", "|a\nb;", false},
        {"event: n\r\ndata: a\rdata: b\n\r\n", "n|a\nb;", false},
        {"data: a\r\rdata: b\r\r", "|a;|b;", false},
        {"data: a\r\n\ndata: b\n\r\n", "|a;|b;", false},
        {"data: a\n\r\rdata: b\r\r\n\n", "|a;|b;", false},
        /* The standard's own examples. */
        {"data: YHOO\ndata: +2\ndata: 10\n\n", "|YHOO\n+2\n10;", false},
        {": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event",
         "|first event;|second event;", true},
        {"data\n\ndata\ndata\n\ndata:", "|;|\n;", true},
        {"data:test\n\ndata: test\n\n", "|test;|test;", false},
        {"event: add\ndata: 7\n\nevent: remove\ndata: 2\n\ndata: x\n\n", "add|7;remove|2;|x;",
         false},
        /* A name without data is forgotten; the last of two counts; long ones are cut. */
        {"event: ping\n\ndata: x\n\n", "|x;", false},
        {"event: a\nevent: b\ndata: x\n\n", "b|x;", false},
        {"event: a\nevent\ndata: x\n\n", "|x;", false},
        {"event: 0123456789012345678901234567890123456789\ndata: x\n\n",
         "0123456789012345678901234567890|x;", false},
        /* Other fields, other spellings, comments. */
        {"id: 1\nretry: 10\nDATA: no\n data: no\ndata : no\ndata: yes\n: data: no\n\n", "|yes;",
         false},
        {":\n:\n\n\n\n:\n", "", false},
        {"{\"error\": \"no stream\"}\n\n", "", false},
        {"data: {\"a\": \"b: c\"}\n\ndata: [DONE]\n\n", "|{\"a\": \"b: c\"};|[DONE];", false},
        {"data: \xc3\xa4\xf0\x9f\x98\x80\n\n", "|\xc3\xa4\xf0\x9f\x98\x80;", false},
        /* The mark of byte order, once. */
        {"\xef\xbb\xbf"
         "data: a\n\n",
         "|a;", false},
        {"\xef\xbb\xbf\xef\xbb\xbf"
         "data: a\n\n",
         "", false},
        {"data: a\n\n\xef\xbb\xbf"
         "data: b\n\n",
         "|a;", false},
        /* Ends in the midst of something, or not. */
        {"data: a\n", "", true},
        {"data: a", "", true},
        {"d", "", true},
        {"data: a\n\nevent: b\n", "|a;", true},
        {"data: a\n\n: ping", "|a;", false},
        {"data: a\n\r", "|a;", false},
    };
    check_rows(EW_EVENTS_SSE, rows, EW_COUNT(rows));
    check(EW_EVENTS_SSE, (struct ew_str){"", 0}, "", false);
}

static void test_lines_of_json_are_read_wherever_they_are_cut(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"a\":1}\n{\"b\":2}\n", "|{\"a\":1};|{\"b\":2};", false},
        {"{\"a\":1}\r\n\r\n{\"b\":2}\r\n", "|{\"a\":1};|{\"b\":2};", false},
        {"\n\n \t\n{}\n  \n", "|{};", false},
        {"{\"a\":\r1}\n", "|{\"a\":\r1};", false},
        {"data: x\n", "|data: x;", false},
        {"{\"a\":1}\n{\"b\":2", "|{\"a\":1};", true},
        {"{}\n  ", "|{};", false},
        {"\xef\xbb\xbf{}\n", "|{};", false},
    };
    check_rows(EW_EVENTS_LINES, rows, EW_COUNT(rows));
}

static void test_bytes_of_value_zero_are_data(void **state)
{
    (void)state;
    struct shown shown = {.text = ""};
    struct ew_events events;
    ew_events_init(&events, EW_EVENTS_SSE);
    assert_int_equal(push(&events, "data: a\0b\n\n", 11, &shown, NULL), 0);
    assert_int_equal(shown.bytes, 5);
    assert_memory_equal(shown.text, "|a\0b;", 5);
    ew_events_fini(&events);
    ew_events_init(&events, EW_EVENTS_LINES);
    assert_int_equal(push(&events, "\0\n", 2, &shown, NULL), 0);
    assert_int_equal(shown.events, 2);
    ew_events_fini(&events);
}

/* Any text at all: in one piece it means what it means in many. */
static void test_random_streams_mean_the_same_however_they_are_cut(void **state)
{
    (void)state;
    static const char *const parts[] = {"data",     ":",     " ",    "\n",     "\r",
                                        "\r\n",     "event", "x",    "{",      "\xef",
                                        "\xbb\xbf", ": c\n", "\n\n", "id: 1\n"};
    struct ew_rng rng;
    ew_rng_init(&rng, 2505);
    int told = 0;
    for (int round = 0; round < 20000; round++) {
        char text[256] = "";
        for (size_t n = ew_rng_below(&rng, 30), at = 0; n; n--, at = strlen(text))
            snprintf(text + at, sizeof text - at, "%s", parts[ew_rng_below(&rng, EW_COUNT(parts))]);
        const enum ew_events_form form = round % 2 ? EW_EVENTS_SSE : EW_EVENTS_LINES;
        const struct ew_str str = {text, strlen(text)};
        struct shown whole = {.text = ""}, pieces = {.text = ""};
        bool cut = read_in_pieces(form, str, sizeof text, 0, &whole);
        size_t first = 1 + ew_rng_below(&rng, 8), second = ew_rng_below(&rng, 8);
        assert_int_equal(cut, read_in_pieces(form, str, first, second, &pieces));
        assert_string_equal(whole.text, pieces.text);
        told += whole.events;
    }
    assert_true(told > 20000); /* or nothing was compared */
}

static void test_the_one_who_takes_may_end_it(void **state)
{
    (void)state;
    struct shown shown = {.text = "", .refuse_at = 2};
    struct ew_events events;
    struct ew_err err = {0};
    ew_events_init(&events, EW_EVENTS_SSE);
    assert_int_equal(push(&events, "data: a\n\ndata: b\n\ndata: c\n\n", 27, &shown, &err), REFUSED);
    assert_string_equal(shown.text, "|a;|b;");
    assert_string_equal(err.text, "no more");
    ew_events_fini(&events);
}

static int count_only(void *user, const char *name, struct ew_str data, struct ew_err *err)
{
    (void)name, (void)err;
    *(size_t *)user = data.bytes;
    return 0;
}

/* `head`, then x until head and they are `bytes` long, then `tail`; in pieces of that size. */
static int push_long(enum ew_events_form form, const char *head, size_t bytes, const char *tail,
                     size_t piece, size_t *told)
{
    struct ew_events events;
    struct ew_err err = {0};
    size_t count = bytes + strlen(tail);
    char *text = malloc(count);
    assert_non_null(text);
    memset(text, 'x', bytes);
    memcpy(text, head, strlen(head));
    memcpy(text + bytes, tail, strlen(tail));
    ew_events_init(&events, form);
    int code = 0;
    *told = 0;
    for (size_t at = 0; at < count && code == 0; at += piece)
        code = ew_events_push(&events, text + at, piece < count - at ? piece : count - at,
                              count_only, told, &err);
    assert_true(events.line.capacity <= EW_EVENTS_BYTES_MAX);
    if (code != 0)
        assert_non_null(strstr(err.text, "longer than 4194304 bytes"));
    ew_events_fini(&events);
    free(text);
    return code;
}

static void test_what_does_not_end_is_an_error_and_not_memory(void **state)
{
    (void)state;
    static const size_t pieces[] = {1000, 65536, SIZE_MAX / 2};
    const size_t max = EW_EVENTS_BYTES_MAX;
    size_t told;
    for (size_t i = 0; i < EW_COUNT(pieces); i++) {
        assert_int_equal(push_long(EW_EVENTS_SSE, "data: ", max, "\n\n", pieces[i], &told), 0);
        assert_int_equal(told, max - 6);
        assert_int_equal(push_long(EW_EVENTS_SSE, "data: ", max + 1, "\n\n", pieces[i], &told),
                         EW_ELIMIT);
        assert_int_equal(push_long(EW_EVENTS_SSE, ":", max + 1, "", pieces[i], &told), EW_ELIMIT);
        assert_int_equal(push_long(EW_EVENTS_LINES, "{", max, "\n", pieces[i], &told), 0);
        assert_int_equal(told, max);
        assert_int_equal(push_long(EW_EVENTS_LINES, "{", max + 1, "\n", pieces[i], &told),
                         EW_ELIMIT);
    }
}

static size_t held(const struct ew_events *events)
{
    const struct ew_buf *line = &events->line, *data = &events->data;
    return line->capacity + data->capacity;
}

static void test_an_event_of_many_lines_has_the_same_limit(void **state)
{
    (void)state;
    struct ew_events events;
    struct ew_err err = {0};
    size_t told = 0, lines = 0;
    ew_events_init(&events, EW_EVENTS_SSE);
    int code = 0;
    for (; code == 0 && lines < 2 * EW_EVENTS_BYTES_MAX; lines++)
        code = ew_events_push(&events, "data: 123\n", 10, count_only, &told, &err);
    assert_int_equal(code, EW_ELIMIT);
    assert_int_equal(lines, EW_EVENTS_BYTES_MAX / 4 + 1);
    ew_events_fini(&events);
    /* Names and comments that go on for ever take no memory. */
    ew_events_init(&events, EW_EVENTS_SSE);
    for (int i = 0; i < 1000000; i++)
        assert_int_equal(ew_events_push(&events, "event: x\n:c\n", 12, count_only, &told, &err), 0);
    assert_true(held(&events) < 1000);
    ew_events_fini(&events);
}

static void test_a_large_event_leaves_no_large_buffers(void **state)
{
    (void)state;
    struct ew_events events;
    size_t told = 0;
    static char text[200000];
    memset(text, 'x', sizeof text);
    memcpy(text, "data: ", 6);
    ew_events_init(&events, EW_EVENTS_SSE);
    assert_int_equal(ew_events_push(&events, text, sizeof text, count_only, &told, NULL), 0);
    assert_int_equal(ew_events_push(&events, "\n\n", 2, count_only, &told, NULL), 0);
    assert_int_equal(told, sizeof text - 6);
    assert_int_equal(held(&events), 0);
    ew_events_fini(&events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sse_is_read_as_the_standard_says_wherever_it_is_cut),
        cmocka_unit_test(test_lines_of_json_are_read_wherever_they_are_cut),
        cmocka_unit_test(test_bytes_of_value_zero_are_data),
        cmocka_unit_test(test_random_streams_mean_the_same_however_they_are_cut),
        cmocka_unit_test(test_the_one_who_takes_may_end_it),
        cmocka_unit_test(test_what_does_not_end_is_an_error_and_not_memory),
        cmocka_unit_test(test_an_event_of_many_lines_has_the_same_limit),
        cmocka_unit_test(test_a_large_event_leaves_no_large_buffers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
