/* test_price.c - the price table that ships, dates, cached tokens, and tables with faults. */
#include "flow/price.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define HEADER "provider,model,input,cached_input,output,request_fee,from,to,source,as_of\n"

static double at_day(const struct ew_price_table *table, const char *name, const char *day)
{
    const struct ew_price *price = NULL;
    return ew_price_find(table, name, day, &price, NULL) ? NAN : price->input;
}

static void the_table_that_ships_is_valid_and_every_row_has_a_source(void **state)
{
    (void)state;
    struct ew_price_table *table = NULL;
    struct ew_err err = {0};
    assert_int_equal(ew_price_open(&table, NULL, &err), 0);
    assert_true(ew_price_count(table) > 30);
    for (size_t i = 0; i < ew_price_count(table); i++) {
        assert_true(ew_price_at(table, i)->source[0] != '\0');
        assert_true(ew_price_at(table, i)->as_of[0] != '\0');
    }
    assert_float_equal(at_day(table, "openai/gpt-5.4-mini", NULL), 0.75, 0);
    ew_price_close(&table);
    assert_null(table);
}

static void a_day_picks_the_price_that_held_then(void **state)
{
    (void)state;
    struct ew_price_table *table = NULL;
    struct ew_err err = {0};
    assert_int_equal(ew_price_parse(&table,
                                    HEADER "a,m,1,,2,,,2026-07-30,s,2026-08-01\n"
                                           "a,m,3,,4,,2026-07-30,,s,2026-08-01\n"
                                           "a,old,5,,6,,2024-01-01,2025-01-01,s,2026-08-01\n",
                                    "t", &err),
                     0);
    assert_float_equal(at_day(table, "a/m", "2026-07-29"), 1, 0);
    assert_float_equal(at_day(table, "a/m", "2026-07-30"), 3, 0);
    assert_float_equal(at_day(table, "a/m", NULL), 3, 0);
    assert_true(isnan(at_day(table, "a/old", NULL)));
    assert_true(isnan(at_day(table, "a/old", "2023-12-31")));
    assert_float_equal(at_day(table, "a/old", "2024-01-01"), 5, 0);
    const struct ew_price *price;
    assert_int_equal(ew_price_find(table, "a/m", "yesterday", &price, &err), EW_EINVAL);
    assert_int_equal(ew_price_find(table, "am", NULL, &price, &err), EW_ENOTFOUND);
    ew_price_close(&table);
}

static void a_name_that_is_not_there_brings_those_like_it(void **state)
{
    (void)state;
    static const struct {
        const char *name, *told;
    } cases[] = {
        {"openai/gpt-5.4-min", "no price of openai/gpt-5.4-min; similar: openai/gpt-5.4-mini, "},
        {"gpt-5.4-mini", "; similar: openai/gpt-5.4-mini, "},
        {"anthropic/claude-5-sonnet", "claude"},
        {"openia/gpt-4o", "; similar: openai/gpt-4o"},
        {"qqqqqqqq", "; names look like openai/gpt-5.4-mini"},
        {"", "; names look like openai/gpt-5.4-mini"},
    };
    struct ew_price_table *table = NULL;
    const struct ew_price *price;
    assert_int_equal(ew_price_open(&table, NULL, NULL), 0);
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        struct ew_err err = {0};
        assert_int_equal(ew_price_find(table, cases[i].name, NULL, &price, &err), EW_ENOTFOUND);
        if (!strstr(err.text, cases[i].told))
            fail_msg("%s", err.text);
    }
    ew_price_close(&table);
    /* A name once, whatever its prices were; three at most. */
    assert_int_equal(ew_price_parse(&table,
                                    "provider,model,input,cached_input,output,request_fee,from,to,"
                                    "source,as_of\n"
                                    "a,m1,1,,1,,,2026-01-01,s,2026-01-01\n"
                                    "a,m1,2,,1,,2026-01-01,,s,2026-01-01\n"
                                    "a,m2,1,,1,,,,s,2026-01-01\n"
                                    "a,m3,1,,1,,,,s,2026-01-01\n"
                                    "a,m4,1,,1,,,,s,2026-01-01\n",
                                    "t", NULL),
                     0);
    struct ew_err err = {0};
    assert_int_equal(ew_price_find(table, "a/m", NULL, &price, &err), EW_ENOTFOUND);
    assert_string_equal(err.text, "the table has no price of a/m; similar: a/m1, a/m2, a/m3");
    ew_price_close(&table);
}

static void a_table_that_is_not_there_is_said(void **state)
{
    (void)state;
    struct ew_price_table *table = NULL;
    struct ew_err err = {0};
    assert_int_equal(ew_price_open(&table, "/nowhere/prices.csv", &err), EW_ENOTFOUND);
    assert_non_null(strstr(err.text, "/nowhere/prices.csv"));
    assert_null(table);
}

static void a_request_costs_tokens_and_fee(void **state)
{
    (void)state;
    struct ew_price price = {.input = 2, .cached_input = 0.5, .output = 8, .request_fee = 0.005};
    assert_float_equal(ew_price_cents(&price, 1000, 400, 100), 100 * (0.0022 + 0.005), 1e-12);
    price.cached_input = NAN; /* not known: as others */
    assert_float_equal(ew_price_cents(&price, 1000, 400, 100), 100 * (0.0028 + 0.005), 1e-12);
    /* The paper's 1.65 cents, as 150 + 200 tokens at the legacy GPT-4's 30 and 60 dollars. */
    price = (struct ew_price){.input = 30, .cached_input = NAN, .output = 60};
    assert_float_equal(ew_price_cents(&price, 150, 0, 200), 1.65, 1e-12);
}

static void a_fault_is_named_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "t is empty"},
        {"# only a comment\n", "t is empty"},
        {"provider,model\n", "t:1: the first line"},
        {HEADER "a,m,1,,2,,,,s\n", "t:2: fewer"},
        {"#\n" HEADER "\na,m,1,,2,,,,s,2026-01-01,x\n", "t:4: more"},
        {HEADER "a,m,,,2,,,,s,2026-01-01\n", "t:2: input"},
        {HEADER "a,m,-1,,2,,,,s,2026-01-01\n", "t:2: input"},
        {HEADER "a,m,nan,,2,,,,s,2026-01-01\n", "t:2: input"},
        {HEADER "a,m,1.2.3,,2,,,,s,2026-01-01\n", "t:2: input"},
        {HEADER "a,m,1,,99999,,,,s,2026-01-01\n", "t:2: input"},
        {HEADER "a,m,1,x,2,,,,s,2026-01-01\n", "t:2: cached"},
        {HEADER "a,m,1,,2,,1.1.2026,,s,2026-01-01\n", "t:2: a date"},
        {HEADER "a,m,1,,2,,2026-02-01,2026-01-01,s,2026-01-01\n", "t:2: it ends"},
        {HEADER "a,m,1,,2,,,,,2026-01-01\n", "t:2: source"},
        {HEADER "a,m,1,,2,,,,s,\n", "t:2: source"},
        {HEADER ",m,1,,2,,,,s,2026-01-01\n", "t:2: provider"},
        {HEADER "\"a\",m,1,,2,,,,s,2026-01-01\n", "t:2: quotes"},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        struct ew_price_table *table = NULL;
        struct ew_err err = {0};
        if (ew_price_parse(&table, cases[i].text, "t", &err) != EW_EFORMAT ||
            !strstr(err.text, cases[i].says))
            fail_msg("case %zu: '%s', wanted '%s'", i, err.text, cases[i].says);
        assert_null(table);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_that_ships_is_valid_and_every_row_has_a_source),
        cmocka_unit_test(a_day_picks_the_price_that_held_then),
        cmocka_unit_test(a_name_that_is_not_there_brings_those_like_it),
        cmocka_unit_test(a_table_that_is_not_there_is_said),
        cmocka_unit_test(a_request_costs_tokens_and_fee),
        cmocka_unit_test(a_fault_is_named_with_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
