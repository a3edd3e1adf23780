/* test_sampler.c - the sampler against a naive one that sorts everything and uses libm.
 *
 * Draws are compared with the naive distribution by chi-square; seeds are fixed, so a test that
 * passes once passes always. */
#include "engine/sampler.h"
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { VOCAB_MAX = 262144 };
#ifdef __SANITIZE_THREAD__ /* twenty times slower, and there is but one thread here */
enum { DRAWS = 500 };
#else
enum { DRAWS = 10000 };
#endif

static float logits[VOCAB_MAX];

static struct ew_sampling plain(float temperature)
{
    return (struct ew_sampling){
        .temperature = temperature, .top_p = 1, .repeat_penalty = 1, .penalty_last = -1, .seed = 7};
}

static struct ew_sampler_desk *desk; /* for the vocabulary opened last */

static struct ew_sampler *opened(uint32_t vocab, const struct ew_sampling *how)
{
    struct ew_sampler *s;
    struct ew_err err = {0};
    struct ew_kernels kernels;
    ew_kernels_select(&kernels, EW_ISA_COUNT - 1);
    ew_sampler_desk_close(&desk);
    assert_int_equal(ew_sampler_desk_open(&desk, vocab, &kernels, &err), 0);
    assert_int_equal(ew_sampler_open(&s, vocab, &err), 0);
    if (ew_sampler_set(s, how, &err))
        fail_msg("%s", err.text);
    return s;
}

static int32_t once(uint32_t vocab, const struct ew_sampling *how, const int32_t *history, size_t n)
{
    struct ew_sampler *s = opened(vocab, how);
    int32_t token = ew_sampler_next(s, desk, logits, NULL, history, n);
    ew_sampler_close(&s);
    assert_null(s);
    return token;
}

/* Roughly normal, spread as a model's logits are. */
static void randomise(uint32_t vocab, uint64_t seed, float spread)
{
    struct ew_rng rng;
    ew_rng_init(&rng, seed);
    for (uint32_t i = 0; i < vocab; i++) {
        double sum = -6;
        for (int j = 0; j < 12; j++)
            sum += ew_rng_uniform(&rng);
        logits[i] = spread * (float)sum;
    }
}

/* ---- the naive sampler: probabilities of all tokens ---- */

struct entry {
    double value;
    int32_t id;
};

static int by_value(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return x->value != y->value ? (x->value < y->value) - (x->value > y->value)
                                : (x->id > y->id) - (x->id < y->id);
}

static void naive_adjust(struct entry *e, uint32_t vocab, const struct ew_sampling *how,
                         const int32_t *history, size_t count)
{
    size_t last = how->penalty_last < 0 ? count : (size_t)how->penalty_last;
    for (size_t i = 0; i < how->bias_count; i++)
        e[how->bias[i].token].value += (double)how->bias[i].add;
    for (uint32_t t = 0; t < vocab; t++) {
        int seen = 0;
        for (size_t i = 0; i < count; i++)
            seen += history[i] == (int32_t)t && count - i <= last;
        if (!seen)
            continue;
        e[t].value = e[t].value > 0 ? e[t].value / (double)how->repeat_penalty
                                    : e[t].value * (double)how->repeat_penalty;
        e[t].value -= seen * (double)how->frequency_penalty + (double)how->presence_penalty;
    }
}

static double *naive(uint32_t vocab, const struct ew_sampling *how, const int32_t *history,
                     size_t count)
{
    struct entry *e = malloc(vocab * sizeof *e);
    double *p = calloc(vocab, sizeof *p), total = 0, kept = 0, below = 0;
    assert_true(e && p);
    for (uint32_t i = 0; i < vocab; i++)
        e[i] = (struct entry){(double)logits[i], (int32_t)i};
    naive_adjust(e, vocab, how, history, count);
    qsort(e, vocab, sizeof *e, by_value);
    uint32_t n = how->top_k > 0 && (uint32_t)how->top_k < vocab ? (uint32_t)how->top_k : vocab;
    double max = e[0].value;
    for (uint32_t i = 0; i < n; i++)
        total += e[i].value = exp((e[i].value - max) / (double)how->temperature);
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0 && (below >= (double)how->top_p * total || e[i].value < (double)how->min_p))
            break;
        below += e[i].value;
        kept += p[e[i].id] = e[i].value;
    }
    for (uint32_t i = 0; i < vocab; i++)
        p[i] /= kept;
    free(e);
    return p;
}

/* Chi-square of DRAWS draws, rare tokens pooled; nothing outside the support may come up. */
static void compare(uint32_t vocab, const struct ew_sampling *how, const int32_t *history,
                    size_t count)
{
    double *p = naive(vocab, how, history, count), chi = 0, rare = 0;
    uint32_t *drawn = calloc(vocab, sizeof *drawn), rarely = 0;
    struct ew_sampler *s = opened(vocab, how);
    int bins = 0;
    assert_non_null(drawn);
    for (int i = 0; i < DRAWS; i++) {
        int32_t token = ew_sampler_next(s, desk, logits, NULL, history, count);
        assert_in_range(token, 0, vocab - 1);
        drawn[token]++;
    }
    for (uint32_t i = 0; i < vocab; i++) {
        double expected = p[i] * DRAWS;
        if (p[i] <= 0 && drawn[i])
            fail_msg("token %u drawn %u times, must never be", i, drawn[i]);
        if (expected >= 8) {
            chi += (drawn[i] - expected) * (drawn[i] - expected) / expected;
            bins++;
        } else {
            rare += expected;
            rarely += drawn[i];
        }
    }
    if (rare > 0)
        chi += (rarely - rare) * (rarely - rare) / (rare > 1 ? rare : 1);
    /* 5 standard deviations above the mean of a chi-square of that many degrees */
    double limit = bins + 5 * sqrt(2.0 * bins) + 5;
    if (!(chi <= limit))
        fail_msg("chi-square %g in %d bins, at most %g", chi, bins, limit);
    ew_sampler_close(&s);
    free(drawn);
    free(p);
}

/* ---- greedy ---- */

static void test_greedy_takes_the_lowest_id_of_the_greatest(void **state)
{
    (void)state;
    static const uint32_t vocabs[] = {1, 2, 15, 63, 64, 65, 127, 128, 1000, 49152, VOCAB_MAX};
    struct ew_sampling how = plain(0);
    for (size_t i = 0; i < EW_COUNT(vocabs); i++)
        for (uint64_t seed = 0; seed < 8; seed++) {
            uint32_t n = vocabs[i], best = 0;
            randomise(n, seed, 3);
            for (uint32_t t = 0; t < n; t++) /* coarse, so that there are ties */
                logits[t] = rintf(logits[t]);
            for (uint32_t t = 1; t < n; t++)
                best = logits[t] > logits[best] ? t : best;
            assert_int_equal(once(n, &how, NULL, 0), best);
        }
}

static void test_nan_and_minus_infinity_are_never_chosen(void **state)
{
    (void)state;
    static const float hot[] = {0, 1};
    for (size_t i = 0; i < EW_COUNT(hot); i++) {
        struct ew_sampling how = plain(hot[i]);
        for (uint32_t t = 0; t < 200; t++)
            logits[t] = t % 2 ? NAN : -INFINITY;
        assert_int_equal(once(200, &how, NULL, 0), 0);
        logits[133] = -1e30f;
        assert_int_equal(once(200, &how, NULL, 0), 133);
        how.top_k = 3;
        assert_int_equal(once(200, &how, NULL, 0), 133);
        how.top_p = 0.5f;
        assert_int_equal(once(200, &how, NULL, 0), 133);
        logits[70] = INFINITY;
        logits[170] = INFINITY;
        assert_int_equal(once(200, &how, NULL, 0), 70);
    }
}

static void test_infinite_among_many_leaves_the_others_drawn_by_their_weight(void **state)
{
    (void)state;
    randomise(300, 3, 1);
    for (uint32_t t = 0; t < 300; t += 3)
        logits[t] = -INFINITY;
    struct ew_sampling how = plain(1);
    compare(300, &how, NULL, 0);
    how.top_k = 250; /* more than there are */
    compare(300, &how, NULL, 0);
}

/* ---- each option, against the naive sampler ---- */

static void test_draws_follow_the_naive_distribution(void **state)
{
    (void)state;
    static const struct {
        float temperature, top_p, min_p;
        int top_k;
    } rows[] = {
        {1, 1, 0, 0},          {0.3f, 1, 0, 0},     {2.5f, 1, 0, 0},        {100, 1, 0, 0},
        {1, 1, 0, 1},          {1, 1, 0, 2},        {1, 1, 0, 40},          {1, 1, 0, 999},
        {1, 0.9f, 0, 0},       {1, 0.5f, 0, 0},     {1, 0, 0, 0},           {1, 0.001f, 0, 0},
        {1, 0.999f, 0, 0},     {1, 1, 0.05f, 0},    {1, 1, 0.5f, 0},        {1, 1, 1, 0},
        {0.8f, 0.95f, 0, 40},  {0.8f, 1, 0.1f, 20}, {0.8f, 0.9f, 0.05f, 0}, {1.5f, 0.9f, 0.02f, 7},
        {0.001f, 0.9f, 0, 40}, {1e-42f, 1, 0, 0},
    };
    static const uint32_t vocabs[] = {1, 2, 63, 64, 65, 500, 2000};
    for (size_t v = 0; v < EW_COUNT(vocabs); v++)
        for (size_t i = 0; i < EW_COUNT(rows); i++) {
            struct ew_sampling how = plain(rows[i].temperature);
            how.top_p = rows[i].top_p;
            how.min_p = rows[i].min_p;
            how.top_k = rows[i].top_k;
            how.seed = 100 * v + i;
            randomise(vocabs[v], i, 2);
            if (vocabs[v] < 1000 || i % 4 == 0) /* the rest only costs time */
                compare(vocabs[v], &how, NULL, 0);
        }
}

static void test_penalties_follow_the_naive_distribution(void **state)
{
    (void)state;
    static const struct {
        float repeat, frequency, presence;
        int last;
    } rows[] = {
        {1.3f, 0, 0, -1},      {1, 0.4f, 0, -1},      {1, 0, 0.9f, -1},  {1.2f, 0.3f, 0.2f, -1},
        {1.2f, 0.3f, 0.2f, 3}, {1.2f, 0.3f, 0.2f, 0}, {0.5f, 0, 0, 100}, {1, -0.5f, -1, -1},
    };
    static const int32_t history[] = {0, 5, 5, 5, 9, 77, 0, 12, -1, 4000, 5, 76, 9, 2};
    for (size_t i = 0; i < EW_COUNT(rows); i++) {
        struct ew_sampling how = plain(0.9f);
        how.repeat_penalty = rows[i].repeat;
        how.frequency_penalty = rows[i].frequency;
        how.presence_penalty = rows[i].presence;
        how.penalty_last = rows[i].last;
        randomise(78, i, 1); /* negative and positive ones */
        compare(78, &how, history, EW_COUNT(history));
    }
}

static void test_penalties_count_afresh_at_each_token(void **state)
{
    (void)state;
    static const int32_t history[] = {1, 1, 1, 1};
    struct ew_sampling how = plain(0);
    how.frequency_penalty = 1;
    memset(logits, 0, 16 * sizeof *logits);
    logits[1] = 3.5f;
    struct ew_sampler *s = opened(16, &how);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(ew_sampler_next(s, desk, logits, NULL, history, 3), 1); /* 3.5 - 3 > 0 */
        assert_int_equal(ew_sampler_next(s, desk, logits, NULL, history, 4), 0); /* 3.5 - 4 < 0 */
    }
    ew_sampler_close(&s);
}

static void test_repetition_penalty_makes_a_negative_logit_less_likely(void **state)
{
    (void)state;
    static const int32_t history[] = {0};
    struct ew_sampling how = plain(0);
    how.repeat_penalty = 2;
    logits[0] = -1;
    logits[1] = -1.5f;
    assert_int_equal(once(2, &how, NULL, 0), 0);
    assert_int_equal(once(2, &how, history, 1), 1);
}

static void test_bias_of_100_bans_or_forces(void **state)
{
    (void)state;
    randomise(1000, 1, 4);
    struct ew_sampling how = plain(1);
    int32_t best = once(1000, &(struct ew_sampling){.top_p = 1, .repeat_penalty = 1}, NULL, 0);
    struct ew_bias bias[] = {{best, -100}, {17, 60}, {17, 40}}; /* two for one token add up */
    how.bias = bias;
    how.bias_count = 1;
    compare(1000, &how, NULL, 0);
    struct ew_sampler *s = opened(1000, &how);
    bias[0].token = 3; /* was borrowed for the call only */
    for (int i = 0; i < DRAWS; i++)
        assert_int_not_equal(ew_sampler_next(s, desk, logits, NULL, NULL, 0), best);
    ew_sampler_close(&s);
    how.bias_count = 3;
    for (how.seed = 0; how.seed < 100; how.seed++)
        assert_int_equal(once(1000, &how, NULL, 0), 17);
}

static void test_top_k_keeps_the_lowest_ids_of_equals(void **state)
{
    (void)state;
    for (uint32_t t = 0; t < 4096; t++)
        logits[t] = t == 4000 ? 1 : 0;
    struct ew_sampling how = plain(1);
    how.top_k = 5;
    struct ew_sampler *s = opened(4096, &how);
    unsigned seen = 0;
    for (int i = 0; i < 1000; i++) {
        int32_t token = ew_sampler_next(s, desk, logits, NULL, NULL, 0);
        assert_true(token == 4000 || (token >= 0 && token < 4));
        seen |= token == 4000 ? 16 : 1u << token;
    }
    assert_int_equal(seen, 31);
    ew_sampler_close(&s);
}

static void test_top_p_cuts_a_flat_vocabulary_in_the_middle(void **state)
{
    (void)state;
    memset(logits, 0, sizeof logits);
    struct ew_sampling how = plain(1);
    how.top_p = 0.5f;
    struct ew_sampler *s = opened(VOCAB_MAX, &how);
    double sum = 0;
    int32_t top = 0;
    for (int i = 0; i < 50; i++) {
        int32_t token = ew_sampler_next(s, desk, logits, NULL, NULL, 0);
        assert_in_range(token, 0, VOCAB_MAX / 2 - 1);
        top = token > top ? token : top;
        sum += token;
    }
    assert_true(top > VOCAB_MAX / 2 * 0.8);
    assert_true(fabs(sum / 50 / (VOCAB_MAX / 4) - 1) < 0.4);
    ew_sampler_close(&s);
}

static void test_a_large_vocabulary_gives_only_what_the_naive_one_allows(void **state)
{
    (void)state;
    static const struct ew_sampling rows[] = {
        {.temperature = 1, .top_p = 0.9f, .repeat_penalty = 1},
        {.temperature = 0.7f, .top_p = 0.95f, .min_p = 0.02f, .repeat_penalty = 1},
        {.temperature = 1, .top_k = 64, .top_p = 0.95f, .repeat_penalty = 1},
        {.temperature = 2, .top_k = 5000, .top_p = 1, .repeat_penalty = 1}, /* more than runs */
    };
    randomise(VOCAB_MAX, 5, 4);
    for (size_t i = 0; i < EW_COUNT(rows); i++) {
        double *p = naive(VOCAB_MAX, &rows[i], NULL, 0);
        struct ew_sampler *s = opened(VOCAB_MAX, &rows[i]);
        for (int d = 0; d < 200; d++)
            assert_true(p[ew_sampler_next(s, desk, logits, NULL, NULL, 0)] > 0);
        ew_sampler_close(&s);
        free(p);
    }
}

/* ---- determinism, contract ---- */

static void test_the_seed_decides_the_draws_and_set_starts_them_again(void **state)
{
    (void)state;
    enum { N = 200 };
    int32_t first[N], other = 0;
    randomise(5000, 11, 1);
    struct ew_sampling how = plain(1);
    how.top_p = 0.9f;
    struct ew_sampler *a = opened(5000, &how), *b = opened(5000, &how);
    for (int i = 0; i < N; i++) {
        first[i] = ew_sampler_next(a, desk, logits, NULL, NULL, 0);
        assert_int_equal(ew_sampler_next(b, desk, logits, NULL, NULL, 0), first[i]);
    }
    assert_int_equal(ew_sampler_set(a, &how, NULL), 0);
    how.seed++;
    assert_int_equal(ew_sampler_set(b, &how, NULL), 0);
    for (int i = 0; i < N; i++) {
        assert_int_equal(ew_sampler_next(a, desk, logits, NULL, NULL, 0), first[i]);
        other += ew_sampler_next(b, desk, logits, NULL, NULL, 0) != first[i];
    }
    assert_true(other > N / 2);
    ew_sampler_close(&a);
    ew_sampler_close(&b);
}

static void test_the_logits_are_left_as_they_were(void **state)
{
    (void)state;
    static float before[5000];
    static const int32_t history[] = {1, 2, 3};
    randomise(5000, 2, 2);
    memcpy(before, logits, sizeof before);
    struct ew_bias bias = {9, 5};
    struct ew_sampling how = plain(1);
    how.repeat_penalty = 1.1f;
    how.top_k = 40;
    how.top_p = 0.9f;
    how.bias = &bias;
    how.bias_count = 1;
    once(5000, &how, history, 3);
    assert_memory_equal(before, logits, sizeof before);
}

static void refuse(const struct ew_sampling *how, const char *name)
{
    struct ew_sampler *s;
    struct ew_err err = {0};
    assert_int_equal(ew_sampler_open(&s, 100, NULL), 0);
    assert_int_equal(ew_sampler_set(s, how, &err), EW_EINVAL);
    if (!strstr(err.text, name))
        fail_msg("'%s' doesn't name %s", err.text, name);
    ew_sampler_close(&s);
}

static void test_values_out_of_range_are_refused_by_name(void **state)
{
    (void)state;
    static const float bad[] = {-1, 1e9f, NAN, INFINITY, -INFINITY};
    static const struct {
        const char *name;
        size_t offset;
    } fields[] = {
        {"temperature", offsetof(struct ew_sampling, temperature)},
        {"top_p", offsetof(struct ew_sampling, top_p)},
        {"min_p", offsetof(struct ew_sampling, min_p)},
        {"repeat_penalty", offsetof(struct ew_sampling, repeat_penalty)},
        {"frequency_penalty", offsetof(struct ew_sampling, frequency_penalty)},
        {"presence_penalty", offsetof(struct ew_sampling, presence_penalty)},
    };
    for (size_t i = 0; i < EW_COUNT(fields); i++)
        for (size_t j = i < 4 ? 0 : 1; j < EW_COUNT(bad); j++) { /* some may be negative */
            struct ew_sampling how = plain(1);
            memcpy((char *)&how + fields[i].offset, &bad[j], sizeof bad[j]);
            refuse(&how, fields[i].name);
        }
    struct ew_sampling how = plain(1);
    how.repeat_penalty = 0;
    refuse(&how, "repeat_penalty");
    how = plain(1);
    how.top_k = -1;
    refuse(&how, "top_k");
    how = plain(1);
    how.penalty_last = -2;
    refuse(&how, "penalty_last");
}

static void test_bias_out_of_range_is_refused(void **state)
{
    (void)state;
    static const struct ew_bias bad[] = {{-1, 0},  {100, 0},     {0, 101},
                                         {0, NAN}, {0, -101.5f}, {0, INFINITY}};
    static struct ew_bias many[5000];
    struct ew_sampling how = plain(1);
    how.bias_count = 1;
    refuse(&how, "bias");
    for (size_t i = 0; i < EW_COUNT(bad); i++) {
        how.bias = &bad[i];
        refuse(&how, "bias");
    }
    how.bias = many;
    how.bias_count = EW_COUNT(many);
    refuse(&how, "bias");
}

static void test_a_refused_setting_leaves_the_former_one(void **state)
{
    (void)state;
    struct ew_sampling greedy = plain(0), wrong = plain(5);
    struct ew_bias bias = {50, 100}, nowhere[] = {{3, 100}, {100, 0}};
    memset(logits, 0, 100 * sizeof *logits);
    greedy.bias = &bias;
    greedy.bias_count = 1;
    wrong.bias = nowhere;
    wrong.bias_count = 2;
    struct ew_sampler *s = opened(100, &greedy);
    assert_int_equal(ew_sampler_set(s, &wrong, NULL), EW_EINVAL);
    assert_int_equal(ew_sampler_next(s, desk, logits, NULL, NULL, 0), 50);
    ew_sampler_close(&s);
    ew_sampler_close(&s);
}

static void test_an_empty_or_absurd_vocabulary_is_refused(void **state)
{
    (void)state;
    struct ew_sampler *s;
    assert_int_equal(ew_sampler_open(&s, 0, NULL), EW_EINVAL);
    assert_null(s);
    assert_int_equal(ew_sampler_open(&s, UINT32_MAX, NULL), EW_EINVAL);
    assert_null(s);
}

static void test_only_what_is_allowed_is_chosen(void **state)
{
    (void)state;
    enum { VOCAB = 1000 };
    uint32_t allowed[(VOCAB + 31) / 32] = {0};
    randomise(VOCAB, 5, 3);
    for (uint32_t i = 7; i < VOCAB; i += 97)
        allowed[i / 32] |= 1u << i % 32;
    struct ew_sampling hows[] = {plain(0), plain(0.9f), plain(2)};
    hows[2].repeat_penalty = 1.3f;
    hows[2].top_k = 5;
    for (size_t h = 0; h < EW_COUNT(hows); h++) {
        struct ew_sampler *s = opened(VOCAB, &hows[h]);
        for (int i = 0; i < 200; i++) {
            const int32_t history[] = {7, 104};
            int32_t token = ew_sampler_next(s, desk, logits, allowed, history, 2);
            assert_int_equal(token % 97, 7);
        }
        ew_sampler_close(&s);
    }
}

static void test_logprobs_are_those_of_the_logits_alone(void **state)
{
    (void)state;
    const struct ew_sampling how = plain(0.5f);
    for (uint32_t vocab = 3; vocab < 5000; vocab = vocab * 3 + 1) {
        struct ew_sampler *s = opened(vocab, &how);
        struct ew_token_logprob top[EW_LOGPROBS_MAX];
        float logprob;
        double sum = 0;
        randomise(vocab, vocab, 4);
        for (uint32_t i = 0; i < vocab; i++)
            sum += exp((double)logits[i]);
        for (int32_t token = 0; token < 3; token++) {
            ew_sampler_logprobs(desk, logits, token, &logprob, top, EW_LOGPROBS_MAX);
            assert_true(fabs((double)logits[token] - log(sum) - (double)logprob) < 1e-5);
        }
        for (uint32_t i = 0; i < EW_LOGPROBS_MAX; i++) {
            uint32_t before = 0;
            if (i >= vocab) {
                assert_int_equal(top[i].token, -1);
                continue;
            }
            for (uint32_t j = 0; j < vocab; j++)
                before += logits[j] > logits[top[i].token] ||
                          (logits[j] == logits[top[i].token] && (int32_t)j < top[i].token);
            assert_int_equal(before, i);
            assert_true(fabs((double)logits[top[i].token] - log(sum) - (double)top[i].logprob) <
                        1e-5);
        }
        ew_sampler_close(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greedy_takes_the_lowest_id_of_the_greatest),
        cmocka_unit_test(test_nan_and_minus_infinity_are_never_chosen),
        cmocka_unit_test(test_infinite_among_many_leaves_the_others_drawn_by_their_weight),
        cmocka_unit_test(test_draws_follow_the_naive_distribution),
        cmocka_unit_test(test_penalties_follow_the_naive_distribution),
        cmocka_unit_test(test_penalties_count_afresh_at_each_token),
        cmocka_unit_test(test_repetition_penalty_makes_a_negative_logit_less_likely),
        cmocka_unit_test(test_bias_of_100_bans_or_forces),
        cmocka_unit_test(test_top_k_keeps_the_lowest_ids_of_equals),
        cmocka_unit_test(test_top_p_cuts_a_flat_vocabulary_in_the_middle),
        cmocka_unit_test(test_a_large_vocabulary_gives_only_what_the_naive_one_allows),
        cmocka_unit_test(test_the_seed_decides_the_draws_and_set_starts_them_again),
        cmocka_unit_test(test_the_logits_are_left_as_they_were),
        cmocka_unit_test(test_values_out_of_range_are_refused_by_name),
        cmocka_unit_test(test_bias_out_of_range_is_refused),
        cmocka_unit_test(test_a_refused_setting_leaves_the_former_one),
        cmocka_unit_test(test_an_empty_or_absurd_vocabulary_is_refused),
        cmocka_unit_test(test_only_what_is_allowed_is_chosen),
        cmocka_unit_test(test_logprobs_are_those_of_the_logits_alone),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ew_sampler_desk_close(&desk);
    return failed;
}
