/* test_answer.c - an answer: pieces told are its text, stops are kept to, everything is stamped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/utf8.h"
#include "edgewise.h"
#include "measure/answer.h"
#include "support/gguf_make.h"

struct fixture {
    struct gguf_make_file file;
    struct ew_model *model;
    struct ew_session *session;
};

static int open_fixture(void **state)
{
    static struct fixture f;
    struct gguf_make m;
    struct gguf_make_shape shape = gguf_make_shape_tiny();
    struct ew_err err = {0};
    struct ew_model_params params = {.threads = 1};
    gguf_make_init(&m);
    gguf_make_llama(&m, &shape);
    f.file = gguf_make_open(&m);
    gguf_make_fini(&m);
    if (ew_model_open(&f.model, f.file.path, &params, &err) ||
        ew_session_open(&f.session, f.model, NULL, &err))
        fail_msg("%s", err.text);
    *state = &f;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    ew_session_close(&f->session);
    ew_model_close(&f->model);
    gguf_make_close(&f->file);
    return 0;
}

/* Each reading is a millisecond after the one before. */
static uint64_t tick_ns(void *state)
{
    return *(uint64_t *)state += EW_NS_PER_MS;
}

static int collect(void *user, const char *text, size_t bytes)
{
    assert_int_equal(ew_utf8_valid(text, bytes), bytes);
    return ew_buf_add(user, text, bytes, NULL);
}

static struct ew_answer make(struct fixture *f, struct ew_answer_params *how, struct ew_buf *told)
{
    static uint64_t now_ns;
    static const int32_t prompt[] = {72, 101, 108, 108, 111};
    struct ew_clock clock = {tick_ns, &now_ns};
    struct ew_answer answer;
    struct ew_err err = {0};
    now_ns = 0;
    how->clock = &clock;
    how->tell = collect;
    how->user = told;
    ew_buf_init(told, 1 << 20);
    ew_answer_init(&answer);
    ew_session_rewind(f->session, 0);
    if (ew_answer_make(&answer, f->model, f->session, prompt, EW_COUNT(prompt), how, &err))
        fail_msg("%s", err.text);
    return answer;
}

static void test_what_is_told_is_the_text_and_the_stamps_add_up(void **state)
{
    struct ew_buf told;
    struct ew_answer_params how = {.max_tokens = 20};
    struct ew_answer answer = make(*state, &how, &told);
    assert_int_equal(answer.end, EW_ANSWER_LENGTH);
    assert_int_equal(answer.token_count, 20);
    assert_int_equal(answer.usage.prompt_tokens, 5);
    assert_int_equal(answer.usage.output_tokens, 20);
    assert_string_equal(ew_buf_cstr(&told), ew_buf_cstr(&answer.text));
    assert_true(answer.usage.ttft_ns > 0);
    /* One reading of the clock for each token: 19 milliseconds lie between 20 tokens. */
    assert_int_equal(answer.usage.decode_ns, 19 * (uint64_t)EW_NS_PER_MS);
    assert_int_equal(answer.usage.prefill_ns, EW_NS_PER_MS);
    assert_true(isnan(answer.usage.energy.joules));
    assert_true(isnan(answer.usage.cost_cents));
    ew_buf_fini(&told);
    ew_answer_fini(&answer);
}

static void test_a_stop_string_ends_the_answer_before_it(void **state)
{
    struct ew_buf whole, told;
    struct ew_answer_params how = {.max_tokens = 30};
    struct ew_answer full = make(*state, &how, &whole);
    char stop[4] = {0};
    memcpy(stop, ew_buf_cstr(&full.text) + full.text.bytes / 2, 2);
    const char *stops[] = {stop};
    how.stops = stops;
    how.stop_count = 1;
    struct ew_answer answer = make(*state, &how, &told);
    const char *at = strstr(full.text.data, stop);
    assert_non_null(at);
    assert_int_equal(answer.end, EW_ANSWER_STOP);
    assert_int_equal(answer.text.bytes, (size_t)(at - full.text.data));
    assert_memory_equal(ew_buf_cstr(&told), full.text.data, answer.text.bytes);
    ew_buf_fini(&whole);
    ew_buf_fini(&told);
    ew_answer_fini(&full);
    ew_answer_fini(&answer);
}

static void test_a_full_context_ends_the_answer(void **state)
{
    struct ew_buf told;
    struct ew_answer_params how = {0};
    struct ew_answer answer = make(*state, &how, &told);
    if (answer.end != EW_ANSWER_STOP) {
        assert_int_equal(answer.end, EW_ANSWER_CONTEXT);
        assert_int_equal(answer.token_count, 256 - 5);
    }
    ew_buf_fini(&told);
    ew_answer_fini(&answer);
}

static void test_a_meter_accounts_from_question_to_end(void **state)
{
    struct ew_buf told;
    struct ew_meter *meter;
    struct ew_meter_watts watts = {{1.0, 10.0, 10.0}};
    assert_int_equal(ew_meter_open_model(&meter, "test", &watts, NULL), 0);
    struct ew_answer_params how = {.max_tokens = 5, .meter = meter, .tariff_cents_per_kwh = 36.0};
    struct ew_answer answer = make(*state, &how, &told);
    /* Clock: start 1 ms, prompt 2, tokens 3 to 7, end 8: 7 ms of 10 W. */
    assert_true(fabs(answer.usage.energy.joules - 0.07) < 1e-9);
    assert_int_equal(answer.usage.energy.kind, EW_ENERGY_MODELLED);
    assert_true(fabs(answer.usage.cost_cents - 0.07 * 36.0 / 3.6e6) < 1e-15);
    ew_meter_close(&meter);
    ew_buf_fini(&told);
    ew_answer_fini(&answer);
}

static void test_a_chat_becomes_tokens_by_chatml_where_the_file_has_no_template(void **state)
{
    struct fixture *f = *state;
    struct ew_message message = {"user", "hello"};
    int32_t *tokens;
    size_t count, bytes;
    char text[256];
    bool bos;
    assert_int_equal(ew_model_chat(f->model, &message, 1, text, sizeof text, &bytes, &bos, NULL),
                     0);
    assert_non_null(strstr(text, "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"));
    assert_int_equal(ew_answer_chat(f->model, &message, 1, &tokens, &count, NULL), 0);
    assert_int_equal(tokens[0], 261); /* <|im_start|> is one token */
    free(tokens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_told_is_the_text_and_the_stamps_add_up),
        cmocka_unit_test(test_a_stop_string_ends_the_answer_before_it),
        cmocka_unit_test(test_a_full_context_ends_the_answer),
        cmocka_unit_test(test_a_meter_accounts_from_question_to_end),
        cmocka_unit_test(test_a_chat_becomes_tokens_by_chatml_where_the_file_has_no_template),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
