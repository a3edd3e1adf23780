/* test_quotas.c - limits of clients: claims, refusals with their time, and what a reload keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
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

static void claims_are_counted_and_given_back(void **state)
{
    struct ew_config config;
    struct ew_quotas *quotas = open_quotas(&config);
    struct ew_quotas_claim a, b, c;
    struct ew_fault fault = {0};
    (void)state;
    assert_int_equal(ew_quotas_tokens_max(quotas, "kiosk"), 1000);
    assert_true(ew_quotas_tokens_max(quotas, "desk") == UINT64_MAX);
    assert_int_equal(ew_quotas_claim(quotas, "kiosk", 600, SECOND, &a, &fault), 0);
    assert_int_equal(ew_quotas_claim(quotas, "kiosk", 600, 2 * SECOND, &b, &fault), -1);
    assert_int_equal(fault.status, 429);
    assert_string_equal(fault.type, "tokens");
    assert_string_equal(fault.code, "rate_limit_exceeded");
    assert_true(fault.retry_after_s == 59);
    assert_non_null(strstr(fault.message, "kiosk: 1000 tokens in 60 s, of which 600 are used"));
    ew_quotas_settle(quotas, &a, 1, 100, 3 * SECOND); /* it became a sixth of that */
    assert_null(a.holder);
    assert_int_equal(ew_quotas_claim(quotas, "kiosk", 600, 4 * SECOND, &b, &fault), 0);
    assert_int_equal(ew_quotas_claim(quotas, "kiosk", 1, 5 * SECOND, &c, &fault), -1);
    assert_string_equal(fault.type, "requests");
    assert_true(fault.retry_after_s == 6);
    assert_int_equal(ew_quotas_claim(quotas, "kiosk", 5000, 5 * SECOND, &c, &fault), -1);
    assert_true(fault.retry_after_s == 0); /* it never will fit */
    ew_quotas_settle(quotas, &b, 0, 0, 6 * SECOND);
    assert_int_equal(ew_quotas_claim(quotas, "kiosk", 1, 6 * SECOND, &c, &fault), 0);
    ew_quotas_settle(quotas, &c, 1, 1, 6 * SECOND);
    ew_quotas_close(&quotas);
}

static void who_has_no_limits_claims_nothing(void **state)
{
    struct ew_config config;
    struct ew_quotas *quotas = open_quotas(&config);
    struct ew_quotas_claim claim;
    struct ew_fault fault = {0};
    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(ew_quotas_claim(quotas, "desk", 1u << 30, 1, &claim, &fault), 0);
        assert_null(claim.holder);
        ew_quotas_settle(quotas, &claim, 1, 1, 1);
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
    assert_int_equal(ew_quotas_claim(quotas, "kiosk", 900, SECOND, &a, &fault), 0);
    assert_int_equal(ew_quotas_set(quotas, &config, NULL), 0);
    assert_int_equal(ew_quotas_claim(quotas, "kiosk", 900, SECOND, &b, &fault), -1);
    other[0].limits[1].tokens = 2000;
    assert_int_equal(ew_quotas_set(quotas, &changed, NULL), 0);
    assert_int_equal(ew_quotas_claim(quotas, "kiosk", 1900, SECOND, &b, &fault), 0);
    changed.client_count = 0; /* the client is gone, two claims are still there */
    assert_int_equal(ew_quotas_set(quotas, &changed, NULL), 0);
    ew_quotas_settle(quotas, &a, 1, 10, 2 * SECOND);
    ew_quotas_settle(quotas, &b, 1, 10, 2 * SECOND);
    ew_quotas_close(&quotas);
    assert_null(quotas);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claims_are_counted_and_given_back),
        cmocka_unit_test(who_has_no_limits_claims_nothing),
        cmocka_unit_test(a_reload_keeps_windows_that_stay_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
