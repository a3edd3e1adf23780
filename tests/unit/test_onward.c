/* test_onward.c - what goes along with a request to another device, and when it has come round. */
#include "serve/onward.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *header(const struct ew_onward *o, const char *name)
{
    for (size_t i = 0; i < o->count; i++)
        if (strcmp(o->headers[i].name, name) == 0)
            return o->headers[i].value;
    return NULL;
}

static void what_it_may_goes_along(void **state)
{
    struct ew_onward o;
    (void)state;
    ew_onward_make(&o, &(struct ew_onward_ask){.quality_min = NAN, .left_s = NAN, .own = 10});
    assert_int_equal(o.count, 1);
    assert_string_equal(header(&o, "X-Edgewise-Via"), "000000000000000a");
    ew_onward_make(&o, &(struct ew_onward_ask){.edge_only = true,
                                               .quality_min = .75,
                                               .left_s = 1.2345,
                                               .via = "00000000000000ff",
                                               .own = UINT64_MAX});
    assert_string_equal(header(&o, "X-Edgewise-Edge-Only"), "1");
    assert_string_equal(header(&o, "X-Edgewise-Min-Quality"), "0.75");
    assert_string_equal(header(&o, "X-Deadline-Ms"), "1235");
    assert_string_equal(header(&o, "X-Edgewise-Via"), "00000000000000ff,ffffffffffffffff");
    ew_onward_make(&o, &(struct ew_onward_ask){.quality_min = NAN, .left_s = -3, .via = ""});
    assert_string_equal(header(&o, "X-Deadline-Ms"), "0");
    assert_string_equal(header(&o, "X-Edgewise-Via"), "0000000000000000");
}

static void what_was_here_has_come_round(void **state)
{
    struct ew_onward o = {0};
    char via[EW_ONWARD_VIA_MAX] = "";
    (void)state;
    assert_false(ew_onward_is_round(NULL, 7));
    for (uint64_t own = 1; own <= EW_ONWARD_HOPS_MAX; own++) {
        assert_false(ew_onward_is_round(via, own));
        ew_onward_make(
            &o, &(struct ew_onward_ask){
                    .quality_min = NAN, .left_s = NAN, .via = *via ? via : NULL, .own = own});
        snprintf(via, sizeof via, "%s", header(&o, "X-Edgewise-Via"));
        assert_int_equal(strlen(via), 17 * own - 1);
        for (uint64_t seen = 1; seen <= own; seen++)
            assert_true(ew_onward_is_round(via, seen));
    }
    assert_true(ew_onward_is_round(via, 99)); /* however new, it is too far */
    char stranger[2000];
    memset(stranger, 'a', sizeof stranger - 1);
    stranger[sizeof stranger - 1] = '\0';
    assert_true(ew_onward_is_round(stranger, 99));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_may_goes_along),
        cmocka_unit_test(what_was_here_has_come_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
