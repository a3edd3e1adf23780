/* test_quotas.c - limits of clients: claims, refusals with their time, and what a reload keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "serve/quotas.h"

#define SECOND ((uint64_t)EW_NS_PER_S)

static struct ew_config_client clients[] = {
    {.name = "kiosk",
     .limits = {{.requests = 2, .per_s = 10}, {.tokens = 1000, .per_s = 60}},
     .limit_count = 2},
    {.name = "desk"},
};

static struct ew_quotas *open_quotas(struct ew_config *config)
{
    struct ew_quotas *quotas = NULL;
    *config = (struct ew_config){.clients = clients, .client_count = 2};
    assert_int_equal(ew_quotas_open(&quotas, config, NULL), 0);
    return quotas;
}

/* A request of so many tokens, whose joules and cents nobody knows. */
static int claim(struct ew_quotas *quotas, const char *client, double tokens, uint64_t now_ns,
                 struct ew_quotas_claim *held, struct ew_fault *fault)
{
    const struct ew_amounts amounts = {.of = {1, tokens, NAN, NAN}};
    return ew_quotas_claim(quotas, client, &amounts, now_ns, held, fault);
}

static void settle(struct ew_quotas *quotas, struct ew_quotas_claim *held, double requests,
                   double tokens, uint64_t now_ns)
{
    const struct ew_amounts amounts = {.of = {requests, tokens, NAN, NAN}};
    ew_quotas_settle(quotas, held, &amounts, now_ns);
}

static void claims_are_counted_and_given_back(void **state)
{
    struct ew_config config;
    struct ew_quotas *quotas = open_quotas(&config);
    struct ew_quotas_claim a, b, c;
    struct ew_fault fault = {0};
    (void)state;
    assert_int_equal(ew_quotas_tokens_max(quotas, "kiosk"), 1000);
    assert_true(ew_quotas_tokens_max(quotas, "desk") == UINT64_MAX);
    assert_int_equal(claim(quotas, "kiosk", 600, SECOND, &a, &fault), 0);
    assert_int_equal(claim(quotas, "kiosk", 600, 2 * SECOND, &b, &fault), -1);
    assert_int_equal(fault.status, 429);
    assert_string_equal(fault.type, "tokens");
    assert_string_equal(fault.code, "rate_limit_exceeded");
    assert_true(fault.retry_after_s == 59);
    assert_non_null(strstr(fault.message, "kiosk: 1000 tokens in 60 s, of which 600 are used"));
    settle(quotas, &a, 1, 100, 3 * SECOND); /* it became a sixth of that */
    assert_null(a.holder);
    assert_int_equal(claim(quotas, "kiosk", 600, 4 * SECOND, &b, &fault), 0);
    assert_int_equal(claim(quotas, "kiosk", 1, 5 * SECOND, &c, &fault), -1);
    assert_string_equal(fault.type, "requests");
    assert_true(fault.retry_after_s == 6);
    assert_int_equal(claim(quotas, "kiosk", 5000, 5 * SECOND, &c, &fault), -1);
    assert_true(fault.retry_after_s == 0); /* it never will fit */
    settle(quotas, &b, 0, 0, 6 * SECOND);
    assert_int_equal(claim(quotas, "kiosk", 1, 6 * SECOND, &c, &fault), 0);
    settle(quotas, &c, 1, 1, 6 * SECOND);
    ew_quotas_close(&quotas);
}

static void who_has_no_limits_claims_nothing(void **state)
{
    struct ew_config config;
    struct ew_quotas *quotas = open_quotas(&config);
    struct ew_quotas_claim held;
    struct ew_fault fault = {0};
    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(claim(quotas, "desk", 1u << 30, 1, &held, &fault), 0);
        assert_null(held.holder);
        settle(quotas, &held, 1, 1, 1);
    }
    ew_quotas_close(&quotas);
}

static void a_reload_keeps_windows_that_stay_the_same(void **state)
{
    struct ew_config config;
    struct ew_quotas *quotas = open_quotas(&config);
    struct ew_config_client other[] = {clients[0], clients[1]};
    struct ew_config changed = {.clients = other, .client_count = 2};
    struct ew_quotas_claim a, b;
    struct ew_fault fault = {0};
    (void)state;
    assert_int_equal(claim(quotas, "kiosk", 900, SECOND, &a, &fault), 0);
    assert_int_equal(ew_quotas_set(quotas, &config, NULL), 0);
    assert_int_equal(claim(quotas, "kiosk", 900, SECOND, &b, &fault), -1);
    other[0].limits[1].tokens = 2000;
    assert_int_equal(ew_quotas_set(quotas, &changed, NULL), 0);
    assert_int_equal(claim(quotas, "kiosk", 1900, SECOND, &b, &fault), 0);
    changed.client_count = 0; /* the client is gone, two claims are still there */
    assert_int_equal(ew_quotas_set(quotas, &changed, NULL), 0);
    settle(quotas, &a, 1, 10, 2 * SECOND);
    settle(quotas, &b, 1, 10, 2 * SECOND);
    ew_quotas_close(&quotas);
    assert_null(quotas);
}

static void joules_and_cents_are_counted_when_they_are_known(void **state)
{
    struct ew_config_client spender = {
        .name = "spender",
        .limits = {{.joules = 100, .per_s = 10}, {.cents = .5, .per_s = 3600}},
        .limit_count = 2};
    struct ew_config config = {.clients = &spender, .client_count = 1};
    struct ew_quotas *quotas = NULL;
    struct ew_quotas_claim a, b;
    struct ew_fault fault = {0};
    (void)state;
    assert_int_equal(ew_quotas_open(&quotas, &config, NULL), 0);
    assert_int_equal(claim(quotas, "spender", 1, SECOND, &a, &fault), 0);
    assert_int_equal(claim(quotas, "spender", 1, SECOND, &b, &fault), 0);
    ew_quotas_settle(quotas, &a, &(struct ew_amounts){.of = {1, 1, 130, .25}}, 2 * SECOND);
    settle(quotas, &b, 1, 1, 2 * SECOND); /* not known: as it was claimed */
    assert_int_equal(claim(quotas, "spender", 1, 3 * SECOND, &a, &fault), -1);
    assert_string_equal(fault.type, "joules");
    assert_true(fault.retry_after_s == 8); /* ten after the claim */
    assert_non_null(strstr(fault.message, "100.000 joules in 10 s, of which 130.000 are used"));
    assert_int_equal(claim(quotas, "spender", 1, 11 * SECOND, &a, &fault), 0);
    settle(quotas, &a, 1, 1, 11 * SECOND);
    /* Who can tell before is held to it. */
    const struct ew_amounts dear = {.of = {1, 1, NAN, .3}};
    assert_int_equal(ew_quotas_claim(quotas, "spender", &dear, 12 * SECOND, &a, &fault), -1);
    assert_string_equal(fault.type, "cents");
    const struct ew_amounts too_dear = {.of = {1, 1, NAN, .7}};
    assert_int_equal(ew_quotas_claim(quotas, "spender", &too_dear, 12 * SECOND, &a, &fault), -1);
    assert_non_null(strstr(fault.message, "it may become 0.700 cents, and the limit is 0.500"));
    spender.limits[1].cents = 1; /* another limit is another window */
    assert_int_equal(ew_quotas_set(quotas, &config, NULL), 0);
    assert_int_equal(ew_quotas_claim(quotas, "spender", &too_dear, 12 * SECOND, &a, &fault), 0);
    settle(quotas, &a, 0, 0, 12 * SECOND);
    ew_quotas_close(&quotas);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claims_are_counted_and_given_back),
        cmocka_unit_test(who_has_no_limits_claims_nothing),
        cmocka_unit_test(joules_and_cents_are_counted_when_they_are_known),
        cmocka_unit_test(a_reload_keeps_windows_that_stay_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
