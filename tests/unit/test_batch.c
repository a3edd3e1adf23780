/* test_batch.c - many answers at once, through the public door: each is bit for bit what a session
 * says alone, whoever is beside it, whatever is reused, paused, thrown out or cancelled. Drives
 * batch.c, stream.c, step.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "edgewise.h"
#include "support/gguf_make.h"

enum { ANSWERS = 16, TOKENS_MAX = 256, STEPS_MAX = 5000, PAGE = 32 };

/* ---- a model, and what is asked of it ---- */

struct opened {
    struct gguf_make_file file;
    struct ew_model *model;
};

static struct opened open_tiny(int threads)
{
    struct gguf_make m;
    struct gguf_make_shape shape = gguf_make_shape_tiny();
    shape.type = EW_TYPE_Q8_0;
    gguf_make_init(&m);
    gguf_make_llama(&m, &shape);
    struct opened o = {.file = gguf_make_open(&m)};
    gguf_make_fini(&m);
    struct ew_err err = {0};
    struct ew_model_params params = {.threads = threads};
    if (ew_model_open(&o.model, o.file.path, &params, &err))
        fail_msg("%s", err.text);
    return o;
}

static void close_tiny(struct opened *o)
{
    ew_model_close(&o->model);
    gguf_make_close(&o->file);
}

static struct ew_batch *open_batch(struct ew_model *model, uint32_t streams, uint32_t pages)
{
    struct ew_model_info info;
    struct ew_batch *batch;
    struct ew_err err = {0};
    ew_model_describe(model, &info);
    struct ew_batch_params params = {.streams = streams,
                                     .kv_bytes_max = info.kv_bytes_per_position * PAGE * pages};
    if (ew_batch_open(&batch, model, &params, &err))
        fail_msg("%s", err.text);
    return batch;
}

struct answer {
    /* asked */
    int32_t prompt[TOKENS_MAX];
    struct ew_stream_params params;
    struct ew_bias bias;
    /* said */
    int32_t tokens[TOKENS_MAX];
    float logprobs[TOKENS_MAX];
    struct ew_token_logprob top[TOKENS_MAX][EW_LOGPROBS_MAX];
    size_t count;
    enum ew_stream_end end;
    int code;
    int stop_after; /* tokens after which the reader wants no more; 0: never */
    struct ew_stream *stream;
};

/* Prompts of all lengths, some of which begin alike; all ways to sample. */
static void ask(struct answer *a, int number)
{
    static const uint32_t lengths[] = {1,   5,   31, 32, 33, 64, 65, 100,
                                       128, 160, 7,  97, 40, 96, 2,  70};
    *a = (struct answer){.bias = {number, 3}};
    uint32_t count = lengths[number % 16], common = number % 3 ? 64 : 0;
    for (uint32_t i = 0; i < count; i++)
        a->prompt[i] = (int32_t)((i * 37 + 11 + (i < common ? 0 : (uint32_t)number * 5)) % 250);
    a->params = (struct ew_stream_params){
        .tokens = a->prompt,
        .count = count,
        .sampling = ew_sampling_default(),
        .max_tokens = 10 + (uint32_t)number * 3,
        .user = a,
    };
    struct ew_sampling *how = &a->params.sampling;
    if (number % 4 == 1)
        *how = (struct ew_sampling){.temperature = 0.9f, .top_p = 0.95f, .repeat_penalty = 1};
    if (number % 4 == 2)
        *how = (struct ew_sampling){.temperature = 1.5f,
                                    .top_k = 30,
                                    .top_p = 1,
                                    .repeat_penalty = 1.2f,
                                    .penalty_last = -1,
                                    .bias = &a->bias,
                                    .bias_count = 1};
    how->seed = (uint64_t)number;
    a->params.logprobs = number % 5 == 0;
    a->params.top_logprobs = number % 5 == 0 ? number : 0;
}

/* What a session says alone. */
static void say_alone(struct ew_model *model, struct answer *a)
{
    struct ew_session *session;
    struct ew_model_info info;
    int32_t token;
    ew_model_describe(model, &info);
    assert_int_equal(ew_session_open(&session, model, NULL, NULL), 0);
    assert_int_equal(ew_session_sampling(session, &a->params.sampling, NULL), 0);
    assert_int_equal(ew_session_prompt(session, a->prompt, a->params.count, NULL), 0);
    a->end = EW_STREAM_RUNS;
    while (a->end == EW_STREAM_RUNS) {
        const float *logits = ew_session_logits(session);
        double sum = 0;
        for (uint32_t i = 0; i < info.vocab; i++)
            sum += exp((double)logits[i]);
        assert_int_equal(ew_session_next(session, &token, NULL), 0);
        a->logprobs[a->count] = (float)((double)logits[token] - log(sum));
        if (ew_model_is_end(model, token)) {
            a->end = EW_STREAM_STOP;
            break;
        }
        a->tokens[a->count++] = token;
        if (a->params.max_tokens && a->count == a->params.max_tokens)
            a->end = EW_STREAM_LENGTH;
        else if (a->count + a->params.count == info.ctx)
            a->end = EW_STREAM_CONTEXT;
    }
    ew_session_close(&session);
}

static int hear(void *user, const struct ew_stream_event *event)
{
    struct answer *a = event->user;
    (void)user;
    assert_ptr_equal(event->stream, a->stream);
    assert_int_equal(a->end, EW_STREAM_RUNS);
    a->end = event->end;
    if (event->token < 0)
        return 0;
    assert_int_equal(isnan(event->logprob), !a->params.logprobs);
    assert_int_equal(event->top_count, a->params.top_logprobs);
    a->logprobs[a->count] = event->logprob;
    memcpy(a->top[a->count], event->top, event->top_count * sizeof *event->top);
    a->tokens[a->count++] = event->token;
    if (a->stop_after && (int)a->count == a->stop_after) {
        a->end = EW_STREAM_STOP;
        return 1;
    }
    return 0;
}

static void start(struct ew_batch *batch, struct answer *a)
{
    struct ew_err err = {0};
    if (ew_stream_open(&a->stream, batch, &a->params, &err))
        fail_msg("%s", err.text);
}

static void check_same(const struct answer *law, const struct answer *a)
{
    assert_int_equal(a->end, law->end);
    assert_int_equal(a->count, law->count);
    assert_memory_equal(a->tokens, law->tokens, law->count * sizeof *law->tokens);
    for (size_t i = 0; a->params.logprobs && i < a->count; i++) {
        assert_true(fabsf(a->logprobs[i] - law->logprobs[i]) < 1e-4f);
        if (a->params.top_logprobs && a->params.sampling.temperature <= 0 &&
            !a->params.sampling.bias_count)
            assert_int_equal(a->top[i][0].token, a->tokens[i]);
    }
}

/* max_tokens: of each; 0: as asked. */
static void ask_all(struct ew_model *model, struct answer *laws, struct answer *answers,
                    uint32_t max_tokens)
{
    for (int i = 0; i < ANSWERS; i++) {
        ask(&laws[i], i);
        ask(&answers[i], i);
        if (max_tokens)
            laws[i].params.max_tokens = answers[i].params.max_tokens = max_tokens;
        say_alone(model, &laws[i]);
    }
}

/* Steps until all have ended; whoever can't be added now, or is thrown out, is added later. */
static uint32_t run_all(struct ew_batch *batch, struct answer *answers, int count)
{
    uint32_t preempted = 0;
    for (int step = 0; step < STEPS_MAX; step++) {
        int ended = 0;
        for (int i = 0; i < count; i++) {
            struct answer *a = &answers[i];
            if (a->end == EW_STREAM_PREEMPTED) {
                a->end = EW_STREAM_RUNS;
                preempted++;
            }
            ended += a->end != EW_STREAM_RUNS;
            int code = a->end == EW_STREAM_RUNS ? ew_stream_add(a->stream, NULL) : 0;
            assert_true(code == 0 || code == EW_ELIMIT || code == EW_EINVAL);
        }
        if (ended == count)
            return preempted;
        assert_int_equal(ew_batch_step(batch, hear, NULL, NULL), 0);
    }
    fail_msg("not all streams ended within %d steps", STEPS_MAX);
    return 0;
}

static void close_all(struct ew_batch **batch, struct answer *answers, int count)
{
    struct ew_batch_info info;
    for (int i = 0; i < count; i++)
        ew_stream_close(&answers[i].stream);
    ew_batch_describe(*batch, &info);
    assert_int_equal(info.pages_used, 0);
    assert_int_equal(info.running, 0);
    ew_batch_close(batch);
    assert_null(*batch);
}

/* ---- the tests ---- */

static void test_sixteen_neighbours_each_say_what_they_say_alone(void **state)
{
    (void)state;
    static struct answer laws[ANSWERS], answers[ANSWERS];
    for (int threads = 1; threads <= 3; threads++) {
        struct opened o = open_tiny(threads);
        ask_all(o.model, laws, answers, 0);
        struct ew_batch *batch = open_batch(o.model, ANSWERS, 200);
        for (int i = 0; i < ANSWERS; i++)
            start(batch, &answers[i]);
        assert_int_equal(run_all(batch, answers, ANSWERS), 0);
        for (int i = 0; i < ANSWERS; i++)
            check_same(&laws[i], &answers[i]);
        close_all(&batch, answers, ANSWERS);
        close_tiny(&o);
    }
}

static void test_streams_thrown_out_for_memory_go_on_as_if_nothing_had_been(void **state)
{
    (void)state;
    static struct answer laws[ANSWERS], answers[ANSWERS];
    struct opened o = open_tiny(2);
    ask_all(o.model, laws, answers, 96);
    struct ew_batch *batch = open_batch(o.model, ANSWERS, 9); /* one context is 8 */
    for (int i = 0; i < ANSWERS; i++)
        start(batch, &answers[i]);
    uint32_t preempted = run_all(batch, answers, ANSWERS);
    struct ew_batch_info info;
    ew_batch_describe(batch, &info);
    print_message("%u preemptions\n", preempted);
    assert_true(preempted > 0);
    assert_int_equal(info.preemptions, preempted);
    for (int i = 0; i < ANSWERS; i++)
        check_same(&laws[i], &answers[i]);
    close_all(&batch, answers, ANSWERS);
    close_tiny(&o);
}

static void test_paused_streams_go_on_wherever_they_were(void **state)
{
    (void)state;
    static struct answer laws[ANSWERS], answers[ANSWERS];
    struct opened o = open_tiny(2);
    ask_all(o.model, laws, answers, 0);
    struct ew_batch *batch = open_batch(o.model, ANSWERS, 100);
    for (int i = 0; i < ANSWERS; i++) {
        start(batch, &answers[i]);
        assert_int_equal(ew_stream_add(answers[i].stream, NULL), 0);
    }
    for (int step = 0; step < 30; step++) {
        struct answer *a = &answers[step * 7 % ANSWERS];
        if (a->end == EW_STREAM_RUNS) {
            ew_stream_pause(a->stream);
            ew_stream_pause(a->stream); /* nothing to do: no fault */
        }
        assert_int_equal(ew_batch_step(batch, hear, NULL, NULL), 0);
        if (a->end == EW_STREAM_RUNS && step % 2)
            assert_int_equal(ew_stream_add(a->stream, NULL), 0);
    }
    run_all(batch, answers, ANSWERS);
    for (int i = 0; i < ANSWERS; i++)
        check_same(&laws[i], &answers[i]);
    close_all(&batch, answers, ANSWERS);
    close_tiny(&o);
}

static void test_what_was_computed_before_is_found_and_changes_nothing(void **state)
{
    (void)state;
    static struct answer laws[2], answers[3];
    struct opened o = open_tiny(2);
    struct ew_batch *batch = open_batch(o.model, 4, 32);
    struct ew_stream_info info;
    for (int i = 0; i < 2; i++) {
        ask(&laws[i], i ? 9 : 8); /* 128 and 160 tokens, of which the first 64 are the same */
        ask(&answers[i], i ? 9 : 8);
    }
    memcpy(answers[1].prompt, answers[0].prompt, 64 * sizeof(int32_t));
    memcpy(laws[1].prompt, answers[0].prompt, 64 * sizeof(int32_t));
    for (int i = 0; i < 2; i++) {
        say_alone(o.model, &laws[i]);
        start(batch, &answers[i]);
        run_all(batch, answers + i, 1);
        check_same(&laws[i], &answers[i]);
        ew_stream_describe(answers[i].stream, &info);
        assert_int_equal(info.cached_tokens, i ? 64 : 0);
        assert_int_equal(info.computed_tokens, info.prompt_tokens);
        assert_int_equal(info.output_tokens, answers[i].count);
    }
    /* The whole of the first again: 128 tokens are four pages, of which three are reused. */
    ask(&answers[2], 8);
    start(batch, &answers[2]);
    run_all(batch, answers + 2, 1);
    check_same(&laws[0], &answers[2]);
    ew_stream_describe(answers[2].stream, &info);
    assert_int_equal(info.cached_tokens, 96);
    close_all(&batch, answers, 3);
    close_tiny(&o);
}

static void test_a_conversation_goes_on_from_the_pages_of_its_answer(void **state)
{
    (void)state;
    static struct answer first, law, second;
    struct opened o = open_tiny(1);
    struct ew_batch *batch = open_batch(o.model, 2, 16);
    struct ew_stream_info info;
    ask(&first, 5); /* 64 tokens, 25 answered */
    first.params.max_tokens = 80;
    start(batch, &first);
    run_all(batch, &first, 1);
    size_t count = 64 + first.count;
    ask(&second, 5);
    memcpy(second.prompt + 64, first.tokens, first.count * sizeof(int32_t));
    second.prompt[count] = 5;
    second.params.count = count + 1;
    law = second;
    say_alone(o.model, &law);
    start(batch, &second);
    run_all(batch, &second, 1);
    check_same(&law, &second);
    ew_stream_describe(second.stream, &info);
    /* The last token chosen was never computed, so its page isn't full before it is. */
    assert_int_equal(info.cached_tokens, (count - 1) / PAGE * PAGE);
    ew_stream_close(&first.stream);
    close_all(&batch, &second, 1);
    close_tiny(&o);
}

static void test_a_reader_who_has_enough_ends_the_stream(void **state)
{
    (void)state;
    static struct answer law, a;
    struct opened o = open_tiny(1);
    struct ew_batch *batch = open_batch(o.model, 2, 16);
    ask(&law, 3);
    say_alone(o.model, &law);
    ask(&a, 3);
    a.stop_after = 4;
    start(batch, &a);
    run_all(batch, &a, 1);
    assert_int_equal(a.count, 4);
    assert_memory_equal(a.tokens, law.tokens, 4 * sizeof *a.tokens);
    assert_int_equal(ew_stream_add(a.stream, NULL), EW_EINVAL);  /* it has ended */
    assert_int_equal(ew_batch_step(batch, hear, NULL, NULL), 0); /* nothing to do */
    close_all(&batch, &a, 1);
    close_tiny(&o);
}

static void test_the_context_ends_a_stream_too(void **state)
{
    (void)state;
    static struct answer law, a;
    struct opened o = open_tiny(1);
    struct ew_batch *batch = open_batch(o.model, 1, 8);
    ask(&law, 9);
    law.params.max_tokens = 0;
    law.params.sampling.bias = NULL;
    law.params.sampling.bias_count = 0;
    a = law;
    a.params.user = &a;
    say_alone(o.model, &law);
    start(batch, &a);
    run_all(batch, &a, 1);
    check_same(&law, &a);
    close_all(&batch, &a, 1);
    close_tiny(&o);
}

/* ---- cancels ---- */

static void *cancel_soon(void *stream)
{
    usleep(500);
    ew_stream_cancel(stream);
    return NULL;
}

static void test_cancels_end_their_stream_and_no_other(void **state)
{
    (void)state;
    static struct answer laws[ANSWERS], answers[ANSWERS];
    struct opened o = open_tiny(2);
    ask_all(o.model, laws, answers, 0);
    for (int round = 0; round < 20; round++) {
        struct ew_batch *batch = open_batch(o.model, ANSWERS, 200);
        struct answer *victim = &answers[round % 2 ? 9 : 8];
        for (int i = 0; i < ANSWERS; i++) {
            ask(&answers[i], i);
            start(batch, &answers[i]);
        }
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, cancel_soon, victim->stream), 0);
        run_all(batch, answers, ANSWERS);
        pthread_join(thread, NULL);
        for (int i = 0; i < ANSWERS; i++)
            if (&answers[i] != victim)
                check_same(&laws[i], &answers[i]);
        assert_true(victim->end == EW_STREAM_CANCELED ||
                    victim->count == laws[victim - answers].count);
        assert_memory_equal(victim->tokens, laws[victim - answers].tokens,
                            victim->count * sizeof *victim->tokens);
        close_all(&batch, answers, ANSWERS);
    }
    close_tiny(&o);
}

static void test_a_stream_cancelled_before_it_starts_ends_at_its_first_step(void **state)
{
    (void)state;
    static struct answer a;
    struct opened o = open_tiny(1);
    struct ew_batch *batch = open_batch(o.model, 2, 16);
    ask(&a, 7);
    start(batch, &a);
    ew_stream_cancel(a.stream);
    assert_int_equal(ew_stream_add(a.stream, NULL), 0);
    assert_int_equal(ew_batch_step(batch, hear, NULL, NULL), 0);
    assert_int_equal(a.end, EW_STREAM_CANCELED);
    assert_int_equal(a.count, 0);
    close_all(&batch, &a, 1);
    close_tiny(&o);
}

/* ---- limits ---- */

static void test_limits_are_told(void **state)
{
    (void)state;
    static struct answer a[3];
    struct opened o = open_tiny(1);
    struct ew_err err = {0};
    struct ew_batch *batch = open_batch(o.model, 2, 8), *none;
    for (int i = 0; i < 3; i++)
        ask(&a[i], 1);
    a[0].params.count = 0;
    assert_int_equal(ew_stream_open(&a[0].stream, batch, &a[0].params, &err), EW_EINVAL);
    assert_null(a[0].stream);
    a[0].params.count = 256;
    assert_int_equal(ew_stream_open(&a[0].stream, batch, &a[0].params, &err), EW_ECONTEXT);
    assert_non_null(strstr(err.text, "256 tokens and one of an answer"));
    a[0].params.count = 5;
    a[0].prompt[3] = -1;
    assert_int_equal(ew_stream_open(&a[0].stream, batch, &a[0].params, &err), EW_EINVAL);
    a[0].prompt[3] = 1;
    a[0].params.top_logprobs = EW_LOGPROBS_MAX + 1;
    assert_int_equal(ew_stream_open(&a[0].stream, batch, &a[0].params, &err), EW_EINVAL);
    a[0].params.top_logprobs = 0;
    a[0].params.sampling.top_p = 2;
    assert_int_equal(ew_stream_open(&a[0].stream, batch, &a[0].params, &err), EW_EINVAL);
    a[0].params.sampling.top_p = 1;
    for (int i = 0; i < 3; i++) {
        start(batch, &a[i]);
        assert_int_equal(ew_stream_add(a[i].stream, &err), i < 2 ? 0 : EW_ELIMIT);
    }
    assert_non_null(strstr(err.text, "all 2 places are taken"));
    assert_int_equal(ew_stream_add(a[0].stream, &err), EW_EINVAL);
    close_all(&batch, a, 3);

    struct ew_batch_params params = {.kv_bytes_max = 1000};
    assert_int_equal(ew_batch_open(&none, o.model, &params, &err), EW_EINVAL);
    assert_non_null(strstr(err.text, "don't hold one stream of 256 positions"));
    assert_null(none);
    params = (struct ew_batch_params){.streams = EW_STREAMS_MAX + 1};
    assert_int_equal(ew_batch_open(&none, o.model, &params, &err), EW_EINVAL);
    params = (struct ew_batch_params){.ctx = 257};
    assert_int_equal(ew_batch_open(&none, o.model, &params, &err), EW_EINVAL);
    close_tiny(&o);
}

static void test_the_plan_is_what_a_batch_keeps_to(void **state)
{
    (void)state;
    struct opened o = open_tiny(2);
    struct ew_err err = {0};
    struct ew_memory memory;
    struct ew_batch *batch;
    struct ew_batch_params many = {.streams = 64};
    struct ew_model_params params = {.threads = 2};
    assert_int_equal(ew_model_plan(o.file.path, &params, &many, &memory, &err), 0);
    assert_int_equal(memory.kv_bytes, 4 * memory.kv_bytes_min);
    assert_int_equal(memory.total_bytes, memory.weight_bytes + memory.vocabulary_bytes +
                                             memory.work_bytes + memory.kv_bytes);
    /* Less memory than that: pages are as many as fit; less than one context: an error. */
    uint64_t whole = memory.total_bytes, least = whole - 3 * memory.kv_bytes_min;
    params.memory_max = whole - memory.kv_bytes_min;
    assert_int_equal(ew_model_plan(o.file.path, &params, &many, &memory, &err), 0);
    assert_true(memory.total_bytes <= params.memory_max);
    params.memory_max = least - 1;
    assert_int_equal(ew_model_plan(o.file.path, &params, &many, &memory, &err), EW_ENOMEM);
    assert_non_null(strstr(err.text, "MB available"));
    ew_model_close(&o.model);
    assert_int_equal(ew_model_open(&o.model, o.file.path, &params, &err), 0);
    assert_int_equal(ew_batch_open(&batch, o.model, &many, &err), EW_ENOMEM);
    assert_null(batch);
    ew_model_close(&o.model);
    params.memory_max = least;
    assert_int_equal(ew_model_open(&o.model, o.file.path, &params, &err), 0);
    if (ew_batch_open(&batch, o.model, &many, &err))
        fail_msg("%s", err.text);
    ew_batch_close(&batch);
    close_tiny(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sixteen_neighbours_each_say_what_they_say_alone),
        cmocka_unit_test(test_streams_thrown_out_for_memory_go_on_as_if_nothing_had_been),
        cmocka_unit_test(test_paused_streams_go_on_wherever_they_were),
        cmocka_unit_test(test_what_was_computed_before_is_found_and_changes_nothing),
        cmocka_unit_test(test_a_conversation_goes_on_from_the_pages_of_its_answer),
        cmocka_unit_test(test_a_reader_who_has_enough_ends_the_stream),
        cmocka_unit_test(test_the_context_ends_a_stream_too),
        cmocka_unit_test(test_cancels_end_their_stream_and_no_other),
        cmocka_unit_test(test_a_stream_cancelled_before_it_starts_ends_at_its_first_step),
        cmocka_unit_test(test_limits_are_told),
        cmocka_unit_test(test_the_plan_is_what_a_batch_keeps_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
