/* test_compare.c - an answer beside a cloud: its figures, and that none lacks its origin. */
#include "measure/compare.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct ew_price price = {.provider = "openai",
                                      .model = "gpt-x",
                                      .input = 1,
                                      .output = 10,
                                      .cached_input = NAN,
                                      .source = "a list",
                                      .as_of = "2026-08-05"};
static const struct ew_quality quality = {.model = "m",
                                          .title = "M",
                                          .benchmark = "gsm8k",
                                          .score = 0.5,
                                          .protocol = "0-shot",
                                          .source = "a card",
                                          .as_of = "2026-01"};

/* 100 tokens in, 201 out, first after 1 s, then 2 s; 36 J at 25 cents/kWh is .00025 cents. */
static struct ew_usage usage(bool with_energy)
{
    struct ew_usage u = ew_usage_none();
    u.prompt_tokens = 100;
    u.output_tokens = 201;
    u.ttft_ns = 1000000000;
    u.prefill_ns = 900000000;
    u.decode_ns = 2000000000;
    struct ew_energy energy = {.joules = 36, .kind = EW_ENERGY_MODELLED, .source = "profile p"};
    if (with_energy)
        ew_usage_set_energy(&u, &energy, 25);
    return u;
}

static struct ew_compare compare(bool with_energy, const struct ew_quality *q)
{
    struct ew_compare c;
    struct ew_usage u = usage(with_energy);
    ew_compare_make(&c, &(struct ew_compare_facts){.model = "M Q4",
                                                   .usage = &u,
                                                   .tokens_per_word = 1.5,
                                                   .tariff_cents_per_kwh = 25,
                                                   .quality = q,
                                                   .price = &price,
                                                   .alpha = 0.5});
    return c;
}

static char *printed(const struct ew_compare *c)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(out);
    assert_int_equal(ew_compare_print(c, out, NULL), 0);
    fclose(out);
    return text;
}

static void figures_follow_from_the_answer_and_the_price(void **state)
{
    (void)state;
    struct ew_compare c = compare(true, &quality);
    assert_float_equal(c.edge.tokens_per_s.value, 100, 1e-9);
    assert_float_equal(c.edge.reading_multiple.value, 100 / (238.0 * 1.5 / 60), 1e-9);
    assert_float_equal(c.edge.cost_cents.value, 0.00025, 1e-12);
    assert_float_equal(c.edge.responsiveness.value, 0.5, 1e-12);
    assert_float_equal(c.edge.utility.value, 0.5, 1e-12);
    assert_float_equal(c.edge.pcr.value, 2000, 1e-6);
    assert_float_equal(c.cloud.cost_cents.value, 0.211, 1e-12);
    assert_float_equal(c.cloud.utility.value, 0.84, 1e-12);
    assert_float_equal(c.cloud.pcr.value, 0.84 / 0.211, 1e-9);
}

static void without_energy_cost_and_pcr_are_unknown_and_never_zero(void **state)
{
    (void)state;
    struct ew_compare c = compare(false, &quality);
    assert_true(isnan(c.edge.energy_j.value));
    assert_true(isnan(c.edge.cost_cents.value));
    assert_true(isnan(c.edge.pcr.value));
    assert_int_equal(c.edge.energy_kind, EW_ENERGY_UNKNOWN);
    char *text = printed(&c);
    assert_non_null(strstr(text, "unknown: no sensor"));
    free(text);
}

static void without_a_published_score_quality_and_utility_are_unknown(void **state)
{
    (void)state;
    struct ew_compare c = compare(true, NULL);
    assert_true(isnan(c.edge.quality.value));
    assert_true(isnan(c.edge.utility.value));
    assert_true(isnan(c.edge.pcr.value));
    assert_false(isnan(c.cloud.pcr.value));
}

static void every_figure_that_was_not_measured_says_where_it_comes_from(void **state)
{
    (void)state;
    struct ew_compare c = compare(true, &quality);
    static const char *const wanted[] = {"assumed to draw those of profile p; 25 cents/kWh",
                                         "published: gsm8k Pass@1 of M, unquantised, 0-shot",
                                         "a list, 2026-08-05", "assumed: as many tokens",
                                         "assumed, not measured: GPT-4"};
    const struct ew_compare_figure *marked[] = {
        &c.edge.energy_j,       &c.edge.cost_cents,  &c.edge.quality,  &c.cloud.prompt_tokens,
        &c.cloud.output_tokens, &c.cloud.cost_cents, &c.cloud.quality, &c.cloud.responsiveness};
    for (size_t i = 0; i < EW_COUNT(marked); i++)
        assert_in_range(marked[i]->note, 1, c.note_count);
    char *text = printed(&c);
    for (size_t i = 0; i < EW_COUNT(wanted); i++)
        assert_non_null(strstr(text, wanted[i]));
    free(text);
}

static void json_has_null_for_unknown_and_names_the_origin(void **state)
{
    (void)state;
    struct ew_compare c = compare(false, &quality);
    struct ew_buf out;
    struct ew_jsonw json;
    ew_buf_init(&out, 1 << 16);
    ew_jsonw_init(&json, &out, EW_JSONW_COMPACT);
    ew_compare_put_json(&c, &json);
    assert_int_equal(ew_jsonw_finish(&json, NULL), 0);
    const char *text = ew_buf_cstr(&out);
    assert_non_null(strstr(text, "\"energy_j\":null"));
    assert_non_null(strstr(text, "\"cost_cents\":0.211"));
    assert_non_null(strstr(text, "\"quality\":\"published: "));
    ew_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_follow_from_the_answer_and_the_price),
        cmocka_unit_test(without_energy_cost_and_pcr_are_unknown_and_never_zero),
        cmocka_unit_test(without_a_published_score_quality_and_utility_are_unknown),
        cmocka_unit_test(every_figure_that_was_not_measured_says_where_it_comes_from),
        cmocka_unit_test(json_has_null_for_unknown_and_names_the_origin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
