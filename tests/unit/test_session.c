/* test_session.c - the engine through its public door: the same bits whatever the threads, chunks
 * and instruction set; rewinding; cancelling; limits. Also drives forward.c, scratch.c, model.c,
 * kvcache.c and weights.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "edgewise.h"
#include "support/gguf_make.h"

enum { PROMPT = 75, GEN = 9 };

struct opened {
    struct gguf_make_file file;
    struct ew_model *model;
    struct ew_session *session;
};

static struct opened open_tiny(enum ew_type type, int threads, const char *isa, uint32_t chunk)
{
    struct gguf_make m;
    struct gguf_make_shape shape = gguf_make_shape_tiny();
    shape.type = type;
    if (ew_type_describe(type)->weights == 256)
        shape.embedding = shape.feed_forward = 256;
    gguf_make_init(&m);
    gguf_make_llama(&m, &shape);
    struct opened o = {.file = gguf_make_open(&m)};
    gguf_make_fini(&m);
    struct ew_err err = {0};
    struct ew_model_params params = {.threads = threads, .isa = isa};
    struct ew_session_params how = {.chunk = chunk};
    if (ew_model_open(&o.model, o.file.path, &params, &err) ||
        ew_session_open(&o.session, o.model, &how, &err))
        fail_msg("%s", err.text);
    return o;
}

static void close_tiny(struct opened *o)
{
    ew_session_close(&o->session);
    ew_model_close(&o->model);
    gguf_make_close(&o->file);
}

static void fill_prompt(int32_t *tokens, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tokens[i] = (int32_t)((i * 37 + 11) % 250);
}

/* What a session says after a prompt and some steps: bits of the logits, and tokens. */
struct said {
    float logits[GGUF_MAKE_BPE_VOCAB];
    int32_t tokens[GEN];
};

static struct said say(struct ew_session *session)
{
    struct said said;
    int32_t prompt[PROMPT];
    fill_prompt(prompt, PROMPT);
    assert_int_equal(ew_session_prompt(session, prompt, PROMPT, NULL), 0);
    for (int i = 0; i < GEN; i++)
        assert_int_equal(ew_session_next(session, &said.tokens[i], NULL), 0);
    memcpy(said.logits, ew_session_logits(session), sizeof said.logits);
    return said;
}

static void test_same_bits_for_any_threads_and_chunks_and_isa(void **state)
{
    (void)state;
    static const enum ew_type types[] = {EW_TYPE_F32, EW_TYPE_Q4_1, EW_TYPE_Q8_0, EW_TYPE_Q4_K,
                                         EW_TYPE_Q6_K};
    static const char *const isas[] = {"scalar", "avx2", "avx512vnni"};
    static const uint32_t chunks[] = {512, 1, 7, 32};
    struct ew_machine machine;
    ew_machine_describe(&machine);
    for (size_t t = 0; t < EW_COUNT(types); t++) {
        struct opened o = open_tiny(types[t], 1, "scalar", 0);
        struct said law = say(o.session);
        close_tiny(&o);
        for (size_t i = 0; i < EW_COUNT(isas); i++) {
            for (size_t c = 0; c < EW_COUNT(chunks); c++) {
                o = open_tiny(types[t], 1 + (int)(c % 3), isas[i], chunks[c]);
                struct said said = say(o.session);
                assert_memory_equal(&said, &law, sizeof law);
                close_tiny(&o);
            }
            if (strcmp(isas[i], machine.isa) == 0)
                break; /* this CPU has no more */
        }
    }
}

static void test_a_rewound_session_answers_like_a_new_one(void **state)
{
    (void)state;
    struct opened o = open_tiny(EW_TYPE_Q4_1, 2, NULL, 0);
    struct said first = say(o.session);
    ew_session_rewind(o.session, 0);
    assert_int_equal(ew_session_length(o.session), 0);
    struct said again = say(o.session);
    assert_memory_equal(&again, &first, sizeof first);

    ew_session_rewind(o.session, PROMPT); /* the steps are taken back, the prompt stays */
    for (int i = 0; i < GEN; i++) {
        int32_t token;
        assert_int_equal(ew_session_next(o.session, &token, NULL), 0);
        assert_int_equal(token, first.tokens[i]);
    }
    close_tiny(&o);
}

struct seen {
    size_t first, count;
    float last[GGUF_MAKE_BPE_VOCAB];
};

static int see(void *user, size_t index, const float *logits, uint32_t vocab)
{
    struct seen *seen = user;
    if (!seen->count)
        seen->first = index;
    assert_int_equal(index, seen->first + seen->count);
    memcpy(seen->last, logits, vocab * sizeof *logits);
    seen->count++;
    return 0;
}

static void test_scoring_hands_over_each_row_and_the_last_is_what_a_prompt_gives(void **state)
{
    (void)state;
    for (uint32_t chunk = 0; chunk < 40; chunk += 13) {
        struct opened o = open_tiny(EW_TYPE_Q4_1, 2, NULL, chunk);
        int32_t prompt[PROMPT];
        struct seen seen = {0};
        fill_prompt(prompt, PROMPT);
        assert_int_equal(ew_session_score(o.session, prompt, PROMPT, 21, see, &seen, NULL), 0);
        assert_int_equal(seen.first, 21);
        assert_int_equal(seen.count, PROMPT - 21);
        ew_session_rewind(o.session, 0);
        assert_int_equal(ew_session_prompt(o.session, prompt, PROMPT, NULL), 0);
        assert_memory_equal(seen.last, ew_session_logits(o.session), sizeof seen.last);
        close_tiny(&o);
    }
}

static void test_limits_are_told_and_nothing_is_appended(void **state)
{
    (void)state;
    struct opened o = open_tiny(EW_TYPE_F32, 1, NULL, 0);
    struct ew_err err = {0};
    struct ew_model_info info;
    int32_t tokens[300], token;
    fill_prompt(tokens, 300);
    ew_model_describe(o.model, &info);
    assert_int_equal(info.ctx, 256);
    assert_int_equal(ew_session_next(o.session, &token, &err), EW_EINVAL);
    assert_null(ew_session_logits(o.session));
    assert_int_equal(ew_session_prompt(o.session, tokens, 300, &err), EW_ECONTEXT);
    assert_non_null(strstr(err.text, "context of 256"));
    assert_int_equal(ew_session_prompt(o.session, tokens, 0, &err), EW_EINVAL);
    tokens[5] = (int32_t)info.vocab;
    assert_int_equal(ew_session_prompt(o.session, tokens, 10, &err), EW_EINVAL);
    assert_non_null(strstr(err.text, "token 5 is 263, the vocabulary has 0 to 262"));
    assert_int_equal(ew_session_length(o.session), 0);
    fill_prompt(tokens, 300);
    assert_int_equal(ew_session_prompt(o.session, tokens, 256, &err), 0);
    assert_int_equal(ew_session_next(o.session, &token, &err), EW_ECONTEXT);
    close_tiny(&o);
}

static void *cancel_soon(void *session)
{
    usleep(2000);
    ew_session_cancel(session);
    return NULL;
}

static void test_cancel_ends_the_call_and_the_session_goes_on(void **state)
{
    (void)state;
    struct opened o = open_tiny(EW_TYPE_Q8_0, 2, NULL, 0);
    int32_t prompt[PROMPT], token;
    fill_prompt(prompt, PROMPT);
    struct said law = say(o.session);
    ew_session_rewind(o.session, 0);
    ew_session_cancel(o.session);
    assert_int_equal(ew_session_prompt(o.session, prompt, PROMPT, NULL), EW_ECANCELED);
    assert_int_equal(ew_session_length(o.session), 0);

    pthread_t thread;
    pthread_create(&thread, NULL, cancel_soon, o.session);
    int failed = 0;
    for (int i = 0; i < 1000000 && failed != EW_ECANCELED; i++) {
        if (ew_session_length(o.session) > 200 || !ew_session_length(o.session)) {
            ew_session_rewind(o.session, 0);
            failed = ew_session_prompt(o.session, prompt, PROMPT, NULL);
        } else {
            failed = ew_session_next(o.session, &token, NULL);
        }
    }
    pthread_join(thread, NULL);
    assert_int_equal(failed, EW_ECANCELED);
    ew_session_rewind(o.session, 0);
    struct said again = say(o.session);
    assert_memory_equal(&again, &law, sizeof law);
    close_tiny(&o);
}

struct canceller {
    struct ew_session *session;
    size_t at, rows; /* the row to cancel at; rows seen */
};

static int cancel_at(void *user, size_t index, const float *logits, uint32_t vocab)
{
    struct canceller *c = user;
    (void)logits, (void)vocab;
    c->rows++;
    if (index == c->at)
        ew_session_cancel(c->session);
    return 0;
}

/* Half of a small model's time is its head: what comes then mustn't be forgotten. */
static void test_cancel_while_logits_are_computed_ends_that_call(void **state)
{
    (void)state;
    static const size_t rows[] = {0, 30, PROMPT - 1};
    struct opened o = open_tiny(EW_TYPE_Q8_0, 2, NULL, 0);
    struct said law = say(o.session);
    for (size_t i = 0; i < EW_COUNT(rows); i++) {
        int32_t prompt[PROMPT];
        struct canceller c = {.session = o.session, .at = rows[i]};
        fill_prompt(prompt, PROMPT);
        ew_session_rewind(o.session, 0);
        assert_int_equal(ew_session_score(o.session, prompt, PROMPT, 0, cancel_at, &c, NULL),
                         EW_ECANCELED);
        assert_int_equal(ew_session_length(o.session), 0);
        assert_int_equal(c.rows, rows[i] + 1);
        struct said again = say(o.session); /* and only that call */
        assert_memory_equal(&again, &law, sizeof law);
    }
    close_tiny(&o);
}

static void test_memory_is_refused_before_it_is_taken(void **state)
{
    (void)state;
    struct gguf_make m;
    struct gguf_make_shape shape = gguf_make_shape_tiny();
    shape.ctx = 65536;
    gguf_make_init(&m);
    gguf_make_llama(&m, &shape);
    struct gguf_make_file file = gguf_make_open(&m);
    gguf_make_fini(&m);
    struct ew_model *model;
    struct ew_err err = {0};
    struct ew_model_params params = {.threads = 1, .ctx = 65536, .memory_max = 15 << 20};
    assert_int_equal(ew_model_open(&model, file.path, &params, &err), EW_ENOMEM);
    assert_non_null(strstr(err.text, "15.7 MB available"));
    const char *advice = strstr(err.text, "use --ctx ");
    assert_non_null(advice);
    params.ctx = (uint32_t)strtoul(advice + strlen("use --ctx "), NULL, 10);
    assert_int_equal(ew_model_open(&model, file.path, &params, &err), 0); /* the advice is right */
    ew_model_close(&model);
    params.memory_max = 1000;
    assert_int_equal(ew_model_open(&model, file.path, &params, &err), EW_ENOMEM);
    assert_non_null(strstr(err.text, "use a smaller model"));
    gguf_make_close(&file);
}

static void test_a_name_from_the_file_is_fit_for_a_terminal(void **state)
{
    (void)state;
    static const struct {
        const char *name, *shown;
    } rows[] = {
        {"Ti\033[2Jny\n", "Ti?[2Jny?"},
        {"a\x7f\xc2\x9b"
         "b",
         "a??b"}, /* DEL; CSI as one character */
        {"half \xe2\x82", "half ?"},
        {"Größe 大", "Größe 大"},
    };
    for (size_t i = 0; i < EW_COUNT(rows); i++) {
        struct gguf_make m;
        struct gguf_make_shape shape = gguf_make_shape_tiny();
        gguf_make_init(&m);
        gguf_make_llama(&m, &shape);
        gguf_make_string(&m, "general.name", rows[i].name);
        struct gguf_make_file file = gguf_make_open(&m);
        gguf_make_fini(&m);
        struct ew_model *model;
        struct ew_model_params params = {.vocab_only = true};
        struct ew_model_info info;
        assert_int_equal(ew_model_open(&model, file.path, &params, NULL), 0);
        ew_model_describe(model, &info);
        assert_string_equal(info.name, rows[i].shown);
        ew_model_close(&model);
        gguf_make_close(&file);
    }
}

static void test_wrong_parameters_are_named(void **state)
{
    (void)state;
    struct opened o = open_tiny(EW_TYPE_F32, 1, NULL, 0);
    struct ew_model *model;
    struct ew_session *session;
    struct ew_err err = {0};
    struct ew_model_params isa = {.isa = "neon"}, ctx = {.ctx = 1000}, threads = {.threads = -1};
    struct ew_session_params longer = {.ctx = 257};
    assert_int_equal(ew_model_open(&model, o.file.path, &isa, &err), EW_EINVAL);
    assert_non_null(strstr(err.text, "\"neon\""));
    assert_int_equal(ew_model_open(&model, o.file.path, &ctx, &err), EW_EINVAL);
    assert_non_null(strstr(err.text, "256"));
    assert_int_equal(ew_model_open(&model, o.file.path, &threads, &err), EW_EINVAL);
    assert_int_equal(ew_session_open(&session, o.model, &longer, &err), EW_EINVAL);
    assert_non_null(strstr(err.text, "256"));
    close_tiny(&o);
    ew_session_close(&o.session);
    ew_model_close(&o.model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits_for_any_threads_and_chunks_and_isa),
        cmocka_unit_test(test_a_rewound_session_answers_like_a_new_one),
        cmocka_unit_test(test_scoring_hands_over_each_row_and_the_last_is_what_a_prompt_gives),
        cmocka_unit_test(test_limits_are_told_and_nothing_is_appended),
        cmocka_unit_test(test_cancel_ends_the_call_and_the_session_goes_on),
        cmocka_unit_test(test_cancel_while_logits_are_computed_ends_that_call),
        cmocka_unit_test(test_memory_is_refused_before_it_is_taken),
        cmocka_unit_test(test_a_name_from_the_file_is_fit_for_a_terminal),
        cmocka_unit_test(test_wrong_parameters_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
