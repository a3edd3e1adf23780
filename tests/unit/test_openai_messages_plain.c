/* test_openai_messages_plain.c - messages read in one pass are what the tree's reader makes of
 * them, and so are faults; what has more in it is left to that reader. */
#include "api/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

enum { BODY_MAX = 1 << 20 };

/* Both bodies mean the same; the second one has something in it that needs the tree. */
static void check_same(const char *plain, const char *other)
{
    struct ew_request a, b;
    struct ew_fault left, right;
    int rc = ew_openai_chat.parse(&a, (struct ew_str){plain, strlen(plain)}, &left);
    assert_int_equal(rc, ew_openai_chat.parse(&b, (struct ew_str){other, strlen(other)}, &right));
    assert_int_equal(left.status, right.status);
    assert_string_equal(left.message, right.message);
    assert_string_equal(left.param, right.param);
    if (rc)
        return;
    assert_int_equal(a.messages.bytes, b.messages.bytes);
    assert_memory_equal(a.messages.data, b.messages.data, a.messages.bytes + 1);
    assert_string_equal(a.model, b.model);
    ew_request_fini(&a);
    ew_request_fini(&b);
}

struct drawn {
    const char *role, *space;
    char text[100];
    bool role_last;
};

static struct drawn draw_message(struct ew_rng *rng)
{
    static const char *const roles[] = {"user",      "user", "assistant", "system",
                                        "developer", "tool", "strange",   ""};
    static const char *const spaces[] = {"", "", " ", "\n "};
    static const char *const texts[] = {"a",         "b c d e f g h", "Grüße", "\\n",
                                        "\\\"q\\\"", "\\/",           "\\\\",  "x\x7fy",
                                        "\\t\\t",    "\\u00e4",       "日本"};
    struct drawn d = {.role = roles[ew_rng_below(rng, EW_COUNT(roles))],
                      .space = spaces[ew_rng_below(rng, EW_COUNT(spaces))],
                      .role_last = ew_rng_below(rng, 2)};
    size_t bytes = 0;
    for (uint64_t pieces = ew_rng_below(rng, 4); pieces; pieces--)
        bytes += ew_str_copy(d.text + bytes, sizeof d.text - bytes,
                             texts[ew_rng_below(rng, EW_COUNT(texts))]);
    return d;
}

static void add_message(struct ew_buf *body, const struct drawn *d, const char *before,
                        const char *more)
{
    int rc = ew_buf_printf(body, NULL, "%s%s{%s", before, d->space, d->space);
    if (!d->role_last)
        rc |= ew_buf_printf(body, NULL, "\"role\":%s\"%s\",", d->space, d->role);
    rc |= ew_buf_printf(body, NULL, "\"content\" : \"%s\"%s", d->text, more);
    if (d->role_last)
        rc |= ew_buf_printf(body, NULL, ",\"role\":\"%s\"", d->role);
    assert_int_equal(rc | ew_buf_text(body, "}", NULL), 0);
}

/* name: null is as if it weren't there, but isn't plain. */
static void test_random_messages_are_read_the_same(void **state)
{
    (void)state;
    static const char head[] = "{\"model\":\"m\",\"messages\":[";
    struct ew_rng rng;
    struct ew_buf plain, other;
    ew_rng_init(&rng, 7);
    ew_buf_init(&plain, BODY_MAX);
    ew_buf_init(&other, BODY_MAX);
    for (int round = 0; round < 20000; round++) {
        ew_buf_clear(&plain);
        ew_buf_clear(&other);
        assert_int_equal(ew_buf_text(&plain, head, NULL) | ew_buf_text(&other, head, NULL), 0);
        uint64_t count = ew_rng_below(&rng, 4);
        for (uint64_t i = 0; i < count; i++) {
            const struct drawn d = draw_message(&rng);
            add_message(&plain, &d, i ? "," : "", "");
            add_message(&other, &d, i ? "," : "", ",\"name\":null");
        }
        assert_int_equal(ew_buf_text(&plain, "]}", NULL) | ew_buf_text(&other, "]}", NULL), 0);
        check_same(plain.data, other.data);
    }
    ew_buf_fini(&plain);
    ew_buf_fini(&other);
}

static void test_what_comes_twice_or_has_more_in_it(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        /* the last one counts */
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"messages\":"
         "[{\"role\":\"user\",\"content\":\"b\"}]}",
         "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"b\"}]}"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\",\"content\":\"b\"}]}",
         "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"b\"}]}"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"b\"}]}],"
         "\"model\":\"m\"}",
         "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"b\"}]}"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"b\"}],\"model\":\"m\",\"n\":\"x\"}",
         "{\"n\":\"x\",\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"b\","
         "\"name\":null}]}"},
        {"{\"model\":\"m\",\"messages\":[],\"messages\":[]}", "{\"model\":\"m\",\"messages\":[]}"},
        {"{\"model\":\"m\",\"messages\":null,\"messages\":[{\"role\":\"user\",\"content\":\"b\"}]}",
         "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"b\"}]}"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[]}],\"messages\":"
         "[{\"role\":\"user\",\"content\":\"b\"}]}",
         "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"b\"}]}"},
        {"{\"model\":\"m\",\"messages\":[]}", "{\"messages\":[],\"model\":\"m\"}"},
        {"{\"model\":\"m\",\"messages\":{}}", "{\"messages\":{},\"model\":\"m\"}"},
        {"{\"model\":\"m\",\"messages\":null}", "{\"model\":\"m\"}"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"b\"}]}",
         "{\"messages\":[{\"role\":\"user\",\"content\":\"b\",\"name\":null}]}"},
    };
    for (size_t i = 0; i < EW_COUNT(pairs); i++)
        check_same(pairs[i][0], pairs[i][1]);
}

static void test_too_many_messages(void **state)
{
    (void)state;
    struct ew_request request;
    struct ew_fault fault;
    struct ew_buf body;
    ew_buf_init(&body, BODY_MAX);
    assert_int_equal(ew_buf_text(&body, "{\"model\":\"m\",\"messages\":[", NULL), 0);
    for (int i = 0; i <= EW_REQUEST_MESSAGES_MAX; i++)
        assert_int_equal(
            ew_buf_printf(&body, NULL, "%s{\"role\":\"user\",\"content\":\"b\"}", i ? "," : ""), 0);
    assert_int_equal(ew_buf_text(&body, "]}", NULL), 0);
    assert_int_equal(ew_openai_chat.parse(&request, (struct ew_str){body.data, body.bytes}, &fault),
                     -1);
    assert_string_equal(fault.code, "array_above_max_length");
    ew_buf_fini(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_messages_are_read_the_same),
        cmocka_unit_test(test_what_comes_twice_or_has_more_in_it),
        cmocka_unit_test(test_too_many_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
