/* test_grammar_stream.c - a real model under a grammar, through the public door: its answer is JSON
 * that fits, and the same alone and among neighbours with other grammars or none.
 *
 * Skipped where the model isn't there. What a grammar allows: test_schema, test_grammar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "edgewise.h"

enum { STREAMS = 4, TOKENS_MAX = 160, STEPS_MAX = 2000 };

static const char person[] =
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":20},\"age\":"
    "{\"type\":\"integer\",\"minimum\":0,\"maximum\":120},\"married\":{\"type\":\"boolean\"}},"
    "\"required\":[\"name\",\"age\",\"married\"],\"additionalProperties\":false}";
static const char colors[] =
    "{\"type\":\"array\",\"items\":{\"enum\":[\"red\",\"green\",\"blue\"]},"
    "\"minItems\":2,\"maxItems\":3}";

struct answer {
    struct ew_model *model;
    struct ew_stream *stream;
    int32_t tokens[TOKENS_MAX];
    size_t count;
    char text[4096];
    size_t bytes;
    enum ew_stream_end end;
};

static int take(void *user, const struct ew_stream_event *event)
{
    struct answer *a = event->user;
    (void)user;
    if (event->token >= 0) {
        size_t bytes;
        const char *text = ew_model_token(a->model, event->token, &bytes);
        assert_true(a->count < TOKENS_MAX && a->bytes + bytes < sizeof a->text);
        a->tokens[a->count++] = event->token;
        memcpy(a->text + a->bytes, text, bytes);
        a->bytes += bytes;
    }
    a->end = event->end;
    return 0;
}

static void start(struct answer *a, struct ew_batch *batch, struct ew_model *model,
                  const char *prompt, const struct ew_grammar *g, uint64_t seed)
{
    int32_t tokens[256];
    size_t count;
    struct ew_err err = {0};
    *a = (struct answer){.model = model};
    struct ew_stream_params params = {.tokens = tokens,
                                      .sampling = ew_sampling_default(),
                                      .max_tokens = g ? TOKENS_MAX - 1 : 30,
                                      .grammar = g,
                                      .user = a};
    params.sampling.temperature = 0.8f;
    params.sampling.seed = seed;
    if (ew_model_tokenize(model, prompt, strlen(prompt), EW_TOKENIZE_BOS, tokens, 256, &count,
                          &err))
        fail_msg("%s", err.text);
    params.count = count;
    if (ew_stream_open(&a->stream, batch, &params, &err) || ew_stream_add(a->stream, &err))
        fail_msg("%s", err.text);
}

static void run(struct ew_batch *batch, struct answer *answers, size_t count)
{
    struct ew_err err = {0};
    bool runs = true;
    for (int i = 0; i < STEPS_MAX && runs; i++) {
        if (ew_batch_step(batch, take, NULL, &err))
            fail_msg("%s", err.text);
        runs = false;
        for (size_t k = 0; k < count; k++)
            runs |= answers[k].end == EW_STREAM_RUNS;
    }
    assert_false(runs);
    for (size_t k = 0; k < count; k++)
        ew_stream_close(&answers[k].stream);
}

static json_t *parse(const struct answer *a)
{
    json_error_t error;
    assert_int_equal(a->end, EW_STREAM_STOP);
    json_t *value = json_loadb(a->text, a->bytes, 0, &error);
    if (!value)
        fail_msg("%s: %.*s", error.text, (int)a->bytes, a->text);
    return value;
}

static void check_person(const struct answer *a)
{
    json_t *v = parse(a);
    json_int_t age = json_integer_value(json_object_get(v, "age"));
    assert_true(json_is_string(json_object_get(v, "name")));
    assert_true(json_is_integer(json_object_get(v, "age")) && age >= 0 && age <= 120);
    assert_true(json_is_boolean(json_object_get(v, "married")));
    assert_int_equal(json_object_size(v), 3);
    json_decref(v);
}

static void check_colors(const struct answer *a)
{
    json_t *v = parse(a), *color;
    size_t i;
    assert_in_range(json_array_size(v), 2, 3);
    json_array_foreach(v, i, color)
        assert_non_null(strstr("red green blue", json_string_value(color)));
    json_decref(v);
}

static struct ew_grammar *grammar(const struct ew_model *model, const char *schema)
{
    const struct ew_grammar_params params = {.schema = schema, .schema_bytes = strlen(schema)};
    struct ew_grammar *g;
    struct ew_err err = {0};
    if (ew_grammar_open(&g, model, &params, &err))
        fail_msg("%s", err.text);
    return g;
}

static struct ew_model *open_real(void)
{
    const char *folder = getenv("EDGEWISE_TEST_MODELS"), *cache = getenv("XDG_CACHE_HOME");
    char path[4096];
    snprintf(path, sizeof path, "%s%s/smollm2-135m.gguf",
             folder  ? folder
             : cache ? cache
                     : getenv("HOME"),
             folder  ? ""
             : cache ? "/edgewise/models"
                     : "/.cache/edgewise/models");
    if (access(path, R_OK) != 0) {
        printf("%s isn't there: skipped\n", path);
        return NULL;
    }
    struct ew_model *model;
    struct ew_err err = {0};
    struct ew_model_params params = {.threads = 2, .ctx = 512};
    if (ew_model_open(&model, path, &params, &err))
        fail_msg("%s", err.text);
    return model;
}

static void answers_fit_alone_and_among_neighbours(void **state)
{
    static const char *const prompts[STREAMS] = {"A person: ", "Some colors: ", "Once upon",
                                                 "Another person: "};
    static struct answer alone[STREAMS], together[STREAMS];
    struct ew_model *model = open_real();
    struct ew_batch *batch;
    struct ew_err err = {0};
    (void)state;
    if (!model)
        skip();
    struct ew_grammar *people = grammar(model, person), *list = grammar(model, colors);
    const struct ew_grammar *of[STREAMS] = {people, list, NULL, people};
    struct ew_batch_params params = {.streams = STREAMS, .ctx = 512};
    if (ew_batch_open(&batch, model, &params, &err))
        fail_msg("%s", err.text);
    for (uint64_t i = 0; i < STREAMS; i++) {
        start(&alone[i], batch, model, prompts[i], of[i], i);
        run(batch, &alone[i], 1);
    }
    for (uint64_t i = 0; i < STREAMS; i++)
        start(&together[i], batch, model, prompts[i], of[i], i);
    run(batch, together, STREAMS);
    check_person(&alone[0]);
    check_colors(&alone[1]);
    check_person(&alone[3]);
    for (int i = 0; i < STREAMS; i++) {
        assert_int_equal(alone[i].count, together[i].count);
        assert_memory_equal(alone[i].tokens, together[i].tokens,
                            alone[i].count * sizeof *alone[i].tokens);
    }
    ew_batch_close(&batch);
    ew_grammar_close(&people);
    ew_grammar_close(&list);
    ew_model_close(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_fit_alone_and_among_neighbours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
