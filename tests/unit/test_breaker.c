/* test_breaker.c - three failures of eight open it, one trial closes it, a failed one doubles the
 * rest. */
#include "policy/breaker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define S 1000000000ull

static void ends(struct ew_breaker *b, const char *outcomes, uint64_t now_ns)
{
    for (; *outcomes; outcomes++)
        ew_breaker_ended(b,
                         *outcomes == 'f'   ? EW_OUTCOME_FAILED
                         : *outcomes == 'b' ? EW_OUTCOME_BUSY
                         : *outcomes == 'c' ? EW_OUTCOME_CANCELLED
                                            : EW_OUTCOME_GOOD,
                         now_ns);
}

static void what_opens_it_and_what_doesnt(void **state)
{
    static const struct {
        const char *outcomes;
        bool admits;
    } rows[] = {
        {"", true},          {"ff", true},
        {"fff", false},      {"fgfgf", false},
        {"fgggfgggf", true}, /* the first of nine is forgotten */
        {"fggfggf", false},  {"bbbbbbbb", true},
        {"cccccccc", true},  {"fcccccccccfccccccf", false},
        {"ffbbbbbbf", true}, {"ggggggggff", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ew_breaker b;
        ew_breaker_init(&b);
        ends(&b, rows[i].outcomes, S);
        if (ew_breaker_admits(&b, S) != rows[i].admits)
            fail_msg("after %s it is %s", rows[i].outcomes, ew_breaker_state_name(b.state));
    }
}

static void it_rests_and_takes_one_trial(void **state)
{
    struct ew_breaker b;
    (void)state;
    ew_breaker_init(&b);
    ends(&b, "fff", 100 * S);
    assert_int_equal(ew_breaker_wait_ns(&b, 101 * S), 4 * S);
    assert_false(ew_breaker_admits(&b, 105 * S - 1));
    assert_true(ew_breaker_admits(&b, 105 * S));
    assert_true(ew_breaker_admits(&b, 105 * S)); /* asking isn't going */
    assert_string_equal(ew_breaker_state_name(b.state), "half-open");
    ew_breaker_began(&b);
    assert_false(ew_breaker_admits(&b, 106 * S));
    ends(&b, "g", 107 * S);
    assert_string_equal(ew_breaker_state_name(b.state), "closed");
    ends(&b, "ff", 108 * S); /* what was is forgotten */
    assert_true(ew_breaker_admits(&b, 108 * S));
}

static void each_failed_trial_doubles_the_rest(void **state)
{
    static const uint64_t rests[] = {5, 10, 20, 40, 80, 120, 120};
    struct ew_breaker b;
    uint64_t now_ns = 0;
    (void)state;
    ew_breaker_init(&b);
    ends(&b, "fff", now_ns);
    for (size_t i = 0; i < sizeof rests / sizeof *rests; i++) {
        assert_int_equal(ew_breaker_wait_ns(&b, now_ns), rests[i] * S);
        now_ns += rests[i] * S;
        assert_true(ew_breaker_admits(&b, now_ns));
        ew_breaker_began(&b);
        ends(&b, "f", now_ns);
    }
    now_ns += 120 * S;
    assert_true(ew_breaker_admits(&b, now_ns));
    ew_breaker_began(&b);
    ends(&b, "g", now_ns);
    ends(&b, "fff", now_ns);
    assert_int_equal(ew_breaker_wait_ns(&b, now_ns), 5 * S); /* well again: from the start */
}

/* When a device dies with ten answers under way, that is one fault. */
static void failures_of_before_dont_lengthen_the_rest(void **state)
{
    struct ew_breaker b;
    (void)state;
    ew_breaker_init(&b);
    ends(&b, "ffffffffff", S);
    assert_int_equal(ew_breaker_wait_ns(&b, S), 5 * S);
    ends(&b, "g", S); /* one that had been fine says nothing of now */
    assert_false(ew_breaker_admits(&b, 2 * S));
}

static void a_cancelled_trial_makes_room_for_another(void **state)
{
    struct ew_breaker b;
    (void)state;
    ew_breaker_init(&b);
    ends(&b, "fff", 0);
    assert_true(ew_breaker_admits(&b, 5 * S));
    ew_breaker_began(&b);
    ends(&b, "c", 6 * S);
    assert_true(ew_breaker_admits(&b, 6 * S));
    ew_breaker_began(&b);
    ends(&b, "b", 7 * S); /* busy is well */
    assert_string_equal(ew_breaker_state_name(b.state), "closed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_opens_it_and_what_doesnt),
        cmocka_unit_test(it_rests_and_takes_one_trial),
        cmocka_unit_test(each_failed_trial_doubles_the_rest),
        cmocka_unit_test(failures_of_before_dont_lengthen_the_rest),
        cmocka_unit_test(a_cancelled_trial_makes_room_for_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
