/* test_perplexity.c - perplexity and log-probabilities against sums done by hand; also drives
 * bench.c on a tiny model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/err.h"
#include "measure/bench.h"
#include "measure/perplexity.h"
#include "support/gguf_make.h"

static void test_top_logprobs_are_sorted_and_sum_to_one(void **state)
{
    (void)state;
    const float logits[] = {1.0f, 3.0f, -2.0f, 3.0f, 0.5f};
    struct ew_logprob top[5];
    double sum = 0.0, norm = log(exp(1.0) + 2 * exp(3.0) + exp(-2.0) + exp(0.5));
    ew_logprob_top(logits, 5, top, 5);
    for (int i = 0; i < 5; i++)
        sum += exp(top[i].logprob);
    assert_true(fabs(sum - 1.0) < 1e-6);
    assert_int_equal(top[0].token, 1); /* ties by id */
    assert_int_equal(top[1].token, 3);
    assert_int_equal(top[4].token, 2);
    assert_true(fabs(top[0].logprob - (3.0 - norm)) < 1e-6);
    ew_logprob_top(logits, 5, top, 2);
    assert_int_equal(top[1].token, 3);
    assert_true(fabs(ew_logprob_of(logits, 5, 4) - (0.5 - norm)) < 1e-6);
}

static struct ew_model *open_tiny(struct gguf_make_file *file)
{
    struct gguf_make m;
    struct gguf_make_shape shape = gguf_make_shape_tiny();
    struct ew_model *model;
    struct ew_err err = {0};
    struct ew_model_params params = {.threads = 1};
    gguf_make_init(&m);
    gguf_make_llama(&m, &shape);
    *file = gguf_make_open(&m);
    gguf_make_fini(&m);
    if (ew_model_open(&model, file->path, &params, &err))
        fail_msg("%s", err.text);
    return model;
}

enum { CTX = 32, CHUNKS = 3 };

static void test_perplexity_is_that_of_the_second_halves_done_by_hand(void **state)
{
    (void)state;
    struct gguf_make_file file;
    struct ew_model *model = open_tiny(&file);
    struct ew_session *session;
    struct ew_perplexity result;
    int32_t tokens[CTX * CHUNKS + 7];
    double sum = 0.0;
    int count = 0;
    for (size_t i = 0; i < EW_COUNT(tokens); i++)
        tokens[i] = (int32_t)((i * 31 + 5) % 250);
    assert_int_equal(
        ew_perplexity_measure(&result, model, tokens, EW_COUNT(tokens), CTX, 0, NULL, NULL, NULL),
        0);
    assert_int_equal(ew_session_open(&session, model, NULL, NULL), 0);
    for (int c = 0; c < CHUNKS; c++) {
        for (int i = CTX / 2; i < CTX - 1; i++) {
            ew_session_rewind(session, 0);
            assert_int_equal(ew_session_prompt(session, tokens + c * CTX, (size_t)i + 1, NULL), 0);
            sum -= ew_logprob_of(ew_session_logits(session), GGUF_MAKE_BPE_VOCAB,
                                 tokens[c * CTX + i + 1]);
            count++;
        }
    }
    assert_int_equal(result.tokens_scored, count);
    assert_int_equal(result.chunks, CHUNKS);
    assert_true(fabs(result.perplexity / exp(sum / count) - 1.0) < 1e-9);
    assert_true(result.stderr_ > 0.0);
    struct ew_err err = {0};
    assert_int_equal(
        ew_perplexity_measure(&result, model, tokens, CTX - 1, CTX, 0, NULL, NULL, &err),
        EW_EINVAL);
    assert_non_null(strstr(err.text, "one chunk needs 32"));
    ew_session_close(&session);
    ew_model_close(&model);
    gguf_make_close(&file);
}

static void test_a_benchmark_accounts_joules_by_its_meter(void **state)
{
    (void)state;
    struct gguf_make_file file;
    struct ew_model *model = open_tiny(&file);
    struct ew_bench bench;
    struct ew_bench_params how = {.prompts = {16},
                                  .prompt_count = 1,
                                  .gen = 5,
                                  .runs = 3,
                                  .limit_ms = 20,
                                  .clock = &ew_clock_real};
    assert_int_equal(ew_bench_run(&bench, model, &how, NULL), 0);
    assert_int_equal(bench.points[0].energy_j.n, 0); /* unknown isn't 0 J */
    assert_true(isnan(bench.points[0].energy_j.median));
    assert_int_equal(bench.points[0].energy.kind, EW_ENERGY_UNKNOWN);

    const struct ew_meter_watts watts = {{1000, 1000, 1000}}; /* so that J are ms */
    assert_int_equal(ew_meter_open_model(&how.meter, "a kilowatt", &watts, NULL), 0);
    assert_int_equal(ew_bench_run(&bench, model, &how, NULL), 0);
    const struct ew_bench_point *p = &bench.points[0];
    assert_int_equal(p->energy_j.n, 3);
    assert_true(p->energy_j.min > p->ttft_ms.min); /* the decoding comes on top */
    double longest_ms = p->ttft_ms.max + 4 / p->decode.min * 1e3;
    assert_true(p->energy_j.max <= longest_ms * 1.000001);
    assert_float_equal(p->energy_j_per_token.median, p->energy_j.median / 5, 1e-9);
    assert_int_equal(p->energy.kind, EW_ENERGY_MODELLED);
    assert_string_equal(p->energy.source, "a kilowatt");
    ew_meter_close(&how.meter);
    ew_model_close(&model);
    gguf_make_close(&file);
}

static void test_a_benchmark_counts_what_it_ran(void **state)
{
    (void)state;
    struct gguf_make_file file;
    struct ew_model *model = open_tiny(&file);
    struct ew_bench bench;
    struct ew_bench_params how = {.prompts = {16, 40},
                                  .prompt_count = 2,
                                  .gen = 5,
                                  .runs = 3,
                                  .limit_ms = 20,
                                  .clock = &ew_clock_real};
    assert_int_equal(ew_bench_run(&bench, model, &how, NULL), 0);
    assert_int_equal(bench.point_count, 2);
    for (int i = 0; i < 2; i++) {
        const struct ew_bench_point *p = &bench.points[i];
        assert_int_equal(p->prompt, how.prompts[i]);
        assert_int_equal(p->prefill.n, 3);
        assert_true(p->prefill.min > 0.0 && p->prefill.min <= p->prefill.median);
        assert_true(p->ttft_ms.median > 0.0);
        /* TTFT holds the prefill: tokens / prefill can't be longer. */
        assert_true(how.prompts[i] / p->prefill.max * 1e3 <= p->ttft_ms.max);
        assert_true(p->decode_of_limit > 0.0 && p->prefill_of_limit > 0.0);
    }
    assert_true(bench.peak_rss_bytes > 1 << 20);
    how.prompts[1] = 300;
    struct ew_err err = {0};
    assert_int_equal(ew_bench_run(&bench, model, &how, &err), EW_ECONTEXT);
    ew_model_close(&model);
    gguf_make_close(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_top_logprobs_are_sorted_and_sum_to_one),
        cmocka_unit_test(test_perplexity_is_that_of_the_second_halves_done_by_hand),
        cmocka_unit_test(test_a_benchmark_counts_what_it_ran),
        cmocka_unit_test(test_a_benchmark_accounts_joules_by_its_meter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
