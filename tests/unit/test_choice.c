/* test_choice.c - text of one answer: whole characters, stop strings, and tokens that follow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "serve/choice.h"

struct answer {
    struct ew_choice choice;
    struct ew_piece piece;
};

static void begin(struct answer *a, const char *const *stops, size_t count)
{
    struct ew_err err = {0};
    ew_piece_init(&a->piece);
    assert_int_equal(ew_choice_init(&a->choice, stops, count, EW_CHOICE_KEEP_TOKENS, &err), 0);
}

static void finish(struct answer *a)
{
    ew_choice_fini(&a->choice);
    ew_piece_fini(&a->piece);
}

static void push(struct answer *a, int32_t id, const char *text)
{
    struct ew_err err = {0};
    const struct ew_token_logprob top[2] = {{id, -1.0f}, {id + 1, -2.0f}};
    const struct ew_stream_event event = {
        .token = id, .logprob = -1.0f, .top = top, .top_count = (uint32_t)id % 3};
    assert_int_equal(ew_choice_push(&a->choice, text, strlen(text), &event, &a->piece, &err), 0);
}

static size_t token_count(const struct answer *a)
{
    return a->piece.tokens.bytes / sizeof(struct ew_choice_token);
}

static int32_t token_id(const struct answer *a, size_t i)
{
    return ((const struct ew_choice_token *)(const void *)a->piece.tokens.data)[i].id;
}

static void holds_half_characters(void **state)
{
    struct answer a;
    (void)state;
    begin(&a, NULL, 0);
    push(&a, 1, "a\xc3");
    assert_string_equal(ew_buf_cstr(&a.piece.text), "a");
    assert_int_equal(token_count(&a), 0); /* its text isn't shown yet */
    push(&a, 2, "\xa4");
    assert_string_equal(ew_buf_cstr(&a.piece.text), "a\xc3\xa4");
    assert_int_equal(token_count(&a), 2);
    assert_int_equal(token_id(&a, 0), 1);
    assert_int_equal(token_id(&a, 1), 2);
    /* 1 % 3 and 2 % 3 alternatives */
    assert_int_equal(a.piece.top.bytes, 3 * sizeof(struct ew_token_logprob));
    finish(&a);
}

static void keeps_stop_strings_back(void **state)
{
    static const char *const stops[] = {"END"};
    struct answer a;
    (void)state;
    begin(&a, stops, 1);
    push(&a, 1, "one E");
    assert_string_equal(ew_buf_cstr(&a.piece.text), "one ");
    assert_int_equal(token_count(&a), 0);
    push(&a, 2, "N");
    push(&a, 4, "d ");
    assert_string_equal(ew_buf_cstr(&a.piece.text), "one ENd ");
    assert_int_equal(token_count(&a), 3);
    push(&a, 5, "EN");
    push(&a, 6, "D and more");
    assert_true(a.choice.stop.met);
    assert_string_equal(ew_buf_cstr(&a.piece.text), "one ENd ");
    assert_int_equal(token_count(&a), 3); /* the stop string's tokens aren't told */
    finish(&a);
}

static void shows_at_the_end_what_it_held(void **state)
{
    static const char *const stops[] = {"xyz"};
    struct ew_err err = {0};
    struct answer a;
    (void)state;
    begin(&a, stops, 1);
    push(&a, 1, "ab");
    ew_piece_clear(&a.piece);
    push(&a, 2, "xy");
    assert_int_equal(a.piece.text.bytes, 0);
    assert_int_equal(ew_choice_flush(&a.choice, &a.piece, &err), 0);
    assert_string_equal(ew_buf_cstr(&a.piece.text), "xy");
    assert_int_equal(token_count(&a), 1);
    finish(&a);
}

static void broken_characters_are_replaced(void **state)
{
    struct ew_err err = {0};
    struct answer a;
    (void)state;
    begin(&a, NULL, 0);
    push(&a, 1, "\xff");
    push(&a, 2, "\xe2\x82");
    assert_int_equal(ew_choice_flush(&a.choice, &a.piece, &err), 0);
    assert_memory_equal(ew_buf_cstr(&a.piece.text), "\xef\xbf\xbd\xef\xbf\xbd", 6);
    assert_int_equal(token_count(&a), 2);
    finish(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_half_characters),
        cmocka_unit_test(keeps_stop_strings_back),
        cmocka_unit_test(shows_at_the_end_what_it_held),
        cmocka_unit_test(broken_characters_are_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
