/* test_bench_batch.c - the figure of many streams: it counts, and refuses what it can't do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/err.h"
#include "measure/bench_batch.h"
#include "support/gguf_make.h"

static uint64_t tick(void *state)
{
    return *(uint64_t *)state += EW_NS_PER_MS; /* each look at the clock takes a millisecond */
}

static void test_tokens_are_counted_while_all_streams_decode(void **state)
{
    (void)state;
    struct gguf_make m;
    struct gguf_make_shape shape = gguf_make_shape_tiny();
    gguf_make_init(&m);
    gguf_make_llama(&m, &shape);
    struct gguf_make_file file = gguf_make_open(&m);
    gguf_make_fini(&m);
    struct ew_model *model;
    struct ew_err err = {0};
    uint64_t now = 0;
    const struct ew_clock clock = {tick, &now};
    struct ew_model_params params = {.threads = 1};
    struct ew_bench_batch_params how = {
        .streams = 3, .prompt = 40, .gen = 8, .runs = 4, .clock = &clock};
    struct ew_bench_batch bench;
    assert_int_equal(ew_model_open(&model, file.path, &params, &err), 0);
    if (ew_bench_batch_run(&bench, model, &how, &err))
        fail_msg("%s", err.text);
    assert_int_equal(bench.streams, 3);
    assert_int_equal(bench.decode.n, 4);
    /* Prompts are found computed but for the last tokens, which one step takes along: all three
     * begin together, and the clock is looked at when the last begins and when the first ends. The
     * first to end does so before the others of its step are told. */
    assert_true(bench.decode.min > 0);
    assert_true(bench.decode.max <= (8 - 1) * 3 * 1000.0);
    for (int wrong = 0; wrong < 4; wrong++) {
        struct ew_bench_batch_params bad = how;
        *(uint32_t *[]){&bad.streams, &bad.prompt, &bad.gen, &bad.runs}[wrong] = 0;
        assert_int_equal(ew_bench_batch_run(&bench, model, &bad, &err), EW_EINVAL);
    }
    how.prompt = 1000; /* more than the model was opened for */
    assert_int_equal(ew_bench_batch_run(&bench, model, &how, &err), EW_EINVAL);
    ew_model_close(&model);
    gguf_make_close(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens_are_counted_while_all_streams_decode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
