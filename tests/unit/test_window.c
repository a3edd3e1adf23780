/* test_window.c - one window against a list of all that was admitted, at random times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base/rng.h"
#include "policy/window.h"

enum { STEPS = 4000, ENTRIES = 64 };

struct admitted {
    uint64_t at_ns, number;
    double amount;
};

/* The list that a window stands for: nothing forgotten, everything added up anew. */
struct oracle {
    struct admitted list[STEPS];
    size_t count;
};

static double sum_since(const struct oracle *o, uint64_t now_ns, uint64_t per_ns)
{
    double sum = 0;
    for (size_t i = 0; i < o->count; i++)
        if (o->list[i].at_ns <= now_ns && now_ns - o->list[i].at_ns < per_ns)
            sum += o->list[i].amount;
    return sum;
}

static bool never_more(const struct oracle *o, double max, uint64_t per_ns)
{
    for (size_t i = 0; i < o->count; i++)
        if (sum_since(o, o->list[i].at_ns, per_ns) > max)
            return false;
    return true;
}

/* Whole amounts, so that sums are exact and the oracle may ask for equality. */
static void an_exact_window_is_exact(void **state)
{
    static struct ew_window_entry entries[STEPS];
    static struct oracle o;
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct ew_rng rng;
        struct ew_window w;
        uint64_t now_ns = 0, per_ns = 1 + seed * 37;
        double max = (double)(1 + ew_rng_below((ew_rng_init(&rng, seed), &rng), 40));
        ew_window_init(&w, max, per_ns, entries, STEPS);
        o.count = 0;
        for (int i = 0; i < STEPS / 4; i++) {
            now_ns += ew_rng_below(&rng, per_ns / 2 + 2);
            double amount = (double)(1 + ew_rng_below(&rng, (uint64_t)max));
            double used = sum_since(&o, now_ns, per_ns);
            assert_true(ew_window_used(&w, now_ns) == used);
            uint64_t wait_ns = ew_window_wait_ns(&w, amount, now_ns);
            assert_int_equal(wait_ns == 0, used + amount <= max);
            if (wait_ns) { /* exactly then, and not one nanosecond before */
                assert_true(sum_since(&o, now_ns + wait_ns, per_ns) + amount <= max);
                assert_true(sum_since(&o, now_ns + wait_ns - 1, per_ns) + amount > max);
                continue;
            }
            uint64_t number = ew_window_reserve(&w, amount, now_ns);
            o.list[o.count++] = (struct admitted){now_ns, number, amount};
            if (ew_rng_below(&rng, 2)) { /* settled, now and then long after */
                struct admitted *one = &o.list[ew_rng_below(&rng, o.count)];
                double actual = (double)ew_rng_below(&rng, (uint64_t)one->amount + 1);
                ew_window_settle(&w, one->number, one->amount, actual, now_ns);
                one->amount = actual;
            }
        }
        assert_true(never_more(&o, max, per_ns));
    }
}

/* With fewer entries than amounts it may refuse more than it must, but never admit more. */
static void a_small_window_never_admits_more(void **state)
{
    static struct ew_window_entry entries[ENTRIES];
    static struct oracle o;
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct ew_rng rng;
        struct ew_window w;
        uint64_t now_ns = 0, per_ns = 5000;
        double max = 1000;
        ew_rng_init(&rng, seed);
        ew_window_init(&w, max, per_ns, entries, 1 + seed * 3);
        o.count = 0;
        for (int i = 0; i < STEPS; i++) {
            now_ns += ew_rng_below(&rng, 40);
            double amount = (double)(1 + ew_rng_below(&rng, 12));
            if (ew_window_wait_ns(&w, amount, now_ns))
                continue;
            uint64_t number = ew_window_reserve(&w, amount, now_ns);
            o.list[o.count++] = (struct admitted){now_ns, number, amount};
        }
        assert_true(o.count > 200);
        assert_true(never_more(&o, max, per_ns));
    }
}

/* Far more amounts than entries: what is counted too long is a matter of 2/capacity. */
static void a_small_window_forgets_in_time(void **state)
{
    static struct ew_window_entry entries[ENTRIES];
    static struct oracle o;
    (void)state;
    for (size_t capacity = 6; capacity <= ENTRIES; capacity += 7) {
        struct ew_window w;
        const uint64_t per_ns = 3000, late_ns = per_ns * 2 / capacity + 1;
        ew_window_init(&w, 1e6, per_ns, entries, capacity);
        o.count = 0;
        for (uint64_t at_ns = 0; o.count < STEPS; at_ns += 3) {
            o.list[o.count++] = (struct admitted){at_ns, ew_window_reserve(&w, 1, at_ns), 1};
            double used = ew_window_used(&w, at_ns);
            assert_true(used >= sum_since(&o, at_ns, per_ns));
            assert_true(used <= sum_since(&o, at_ns, per_ns + late_ns));
        }
    }
}

/* A window that is told what another one took goes on as that one does, though its clock began
 * after most of it. */
static void what_was_before_is_as_if_it_had_been_here(void **state)
{
    static struct ew_window_entry entries[2][STEPS];
    enum { PER_NS = 1000, HERE = 7 };
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct ew_rng rng;
        struct ew_window there, here;
        uint64_t at_ns[STEPS / 4], now_ns = 1000000;
        ew_rng_init(&rng, seed);
        ew_window_init(&there, 1e9, PER_NS, entries[0], STEPS);
        ew_window_init(&here, 1e9, PER_NS, entries[1], STEPS);
        for (int i = 0; i < STEPS / 4; i++)
            ew_window_reserve(&there, i, at_ns[i] = now_ns += ew_rng_below(&rng, 30));
        for (int i = 0; i < STEPS / 4; i++)
            ew_window_restore(&here, i, now_ns - at_ns[i], HERE);
        assert_true(ew_window_used(&here, HERE) > 0);
        for (uint64_t later_ns = 0; later_ns <= PER_NS; later_ns += 1 + ew_rng_below(&rng, 9)) {
            assert_true(ew_window_used(&there, now_ns + later_ns) ==
                        ew_window_used(&here, HERE + later_ns));
            for (double amount = 1; amount < 1e9; amount *= 3)
                assert_int_equal(ew_window_wait_ns(&there, amount, now_ns + later_ns),
                                 ew_window_wait_ns(&here, amount, HERE + later_ns));
        }
        assert_true(ew_window_used(&here, HERE + PER_NS) == 0);
    }
}

/* Out of order: as the youngest so far. In far greater number than there are entries: in time. */
static void what_was_before_is_never_forgotten_too_early(void **state)
{
    struct ew_window_entry entries[ENTRIES];
    struct ew_window w;
    (void)state;
    ew_window_init(&w, 10, 100, entries, ENTRIES);
    ew_window_restore(&w, 1, 100, 50);
    ew_window_restore(&w, 2, 60, 50);
    ew_window_restore(&w, 3, 99, 50);
    assert_true(ew_window_used(&w, 50) == 5);
    assert_int_equal(ew_window_rest_ns(&w, 50), 40);
    uint64_t number = ew_window_reserve(&w, 4, 60);
    ew_window_settle(&w, number, 4, 1, 70);
    assert_true(ew_window_used(&w, 89) == 6 && ew_window_used(&w, 90) == 1);

    ew_window_init(&w, 1e9, 64000, entries, ENTRIES);
    for (uint64_t age_ns = 64000; age_ns > 0; age_ns -= 10)
        ew_window_restore(&w, 1, age_ns, 3);
    for (uint64_t now_ns = 3; now_ns < 70000; now_ns += 1000) {
        double left = now_ns < 64003 ? 6400 - (double)(now_ns - 3) / 10 - 1 : 0;
        assert_in_range(ew_window_used(&w, now_ns), left < 0 ? 0 : left, left + 201);
    }
}

static void what_is_too_much_never_fits(void **state)
{
    struct ew_window_entry entries[4];
    struct ew_window w;
    (void)state;
    ew_window_init(&w, 10, 100, entries, 4);
    assert_true(ew_window_wait_ns(&w, 11, 5) == EW_WINDOW_NEVER);
    assert_int_equal(ew_window_wait_ns(&w, 10, 5), 0);
}

static void a_clock_that_jumps_back_opens_nothing(void **state)
{
    struct ew_window_entry entries[4];
    struct ew_window w;
    (void)state;
    ew_window_init(&w, 1, 100, entries, 4);
    ew_window_reserve(&w, 1, 1000);
    assert_int_equal(ew_window_wait_ns(&w, 1, 10), 100);
    assert_int_equal(ew_window_wait_ns(&w, 1, 1050), 50);
    assert_int_equal(ew_window_rest_ns(&w, 1050), 50);
    assert_int_equal(ew_window_wait_ns(&w, 1, 1100), 0);
    assert_int_equal(ew_window_rest_ns(&w, 1100), 0);
}

static void what_has_left_is_settled_without_effect(void **state)
{
    struct ew_window_entry entries[4];
    struct ew_window w;
    (void)state;
    ew_window_init(&w, 10, 100, entries, 4);
    uint64_t first = ew_window_reserve(&w, 6, 0), second = ew_window_reserve(&w, 4, 60);
    ew_window_settle(&w, first, 6, 1, 110);
    assert_true(ew_window_used(&w, 110) == 4);
    ew_window_settle(&w, second, 4, 3, 120);
    assert_true(ew_window_used(&w, 120) == 3);
    assert_true(ew_window_used(&w, 160) == 0);
}

/* Requests that are refused after all don't use up the places of those that count. */
static void what_was_given_back_takes_no_place(void **state)
{
    struct ew_window_entry entries[3];
    struct ew_window w;
    (void)state;
    ew_window_init(&w, 2, 1000, entries, 3);
    ew_window_reserve(&w, 1, 0);
    for (uint64_t at = 1; at < 50; at++)
        ew_window_settle(&w, ew_window_reserve(&w, 1, at), 1, 0, at);
    assert_true(ew_window_used(&w, 50) == 1);
    ew_window_reserve(&w, 1, 50);
    assert_int_equal(ew_window_wait_ns(&w, 1, 60), 940); /* when the first leaves */
    assert_int_equal(ew_window_wait_ns(&w, 1, 1000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exact_window_is_exact),
        cmocka_unit_test(a_small_window_never_admits_more),
        cmocka_unit_test(a_small_window_forgets_in_time),
        cmocka_unit_test(what_was_before_is_as_if_it_had_been_here),
        cmocka_unit_test(what_was_before_is_never_forgotten_too_early),
        cmocka_unit_test(what_is_too_much_never_fits),
        cmocka_unit_test(a_clock_that_jumps_back_opens_nothing),
        cmocka_unit_test(what_was_given_back_takes_no_place),
        cmocka_unit_test(what_has_left_is_settled_without_effect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
