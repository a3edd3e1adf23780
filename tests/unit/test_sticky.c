/* test_sticky.c - the table against a plain list that remembers everything. */
#include "policy/sticky.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"

static void hit_miss_and_moved(void **state)
{
    struct ew_sticky_slot slots[4];
    struct ew_sticky s;
    (void)state;
    ew_sticky_init(&s, slots, 4, 100);
    assert_true(ew_sticky_find(&s, 7, 0) == EW_STICKY_NONE);
    assert_int_equal(ew_sticky_put(&s, 7, 3, 0), EW_STICKY_MISS);
    assert_int_equal(ew_sticky_find(&s, 7, 50), 3);
    assert_int_equal(ew_sticky_put(&s, 7, 3, 50), EW_STICKY_HIT);
    assert_int_equal(ew_sticky_put(&s, 7, 1, 60), EW_STICKY_MOVED);
    assert_int_equal(ew_sticky_find(&s, 7, 159), 1);
    assert_true(ew_sticky_find(&s, 7, 160) == EW_STICKY_NONE); /* too long ago */
    assert_int_equal(ew_sticky_put(&s, 7, 1, 160), EW_STICKY_MISS);
    assert_int_equal(ew_sticky_find(&s, 7, 10), 1); /* a clock that went back forgets nothing */
    assert_int_equal(ew_sticky_put(&s, 0, 2, 160), EW_STICKY_MISS); /* 0 is a key as others are */
    assert_int_equal(ew_sticky_find(&s, 0, 160), 2);
    assert_string_equal(ew_sticky_outcome_name(EW_STICKY_MOVED), "moved");
}

static void what_was_used_least_recently_goes(void **state)
{
    struct ew_sticky_slot slots[3];
    struct ew_sticky s;
    (void)state;
    ew_sticky_init(&s, slots, 3, 1000);
    for (uint64_t key = 1; key <= 3; key++)
        ew_sticky_put(&s, key, (uint32_t)key, key);
    ew_sticky_put(&s, 1, 1, 4);
    ew_sticky_put(&s, 4, 4, 5);
    assert_true(ew_sticky_find(&s, 2, 6) == EW_STICKY_NONE);
    assert_int_equal(ew_sticky_find(&s, 1, 6), 1);
    assert_int_equal(ew_sticky_find(&s, 3, 6), 3);
    assert_int_equal(ew_sticky_find(&s, 4, 6), 4);
}

static void conversations_of_a_purged_place_have_moved(void **state)
{
    struct ew_sticky_slot slots[8];
    struct ew_sticky s;
    (void)state;
    ew_sticky_init(&s, slots, 8, 1000);
    for (uint64_t key = 0; key < 6; key++)
        ew_sticky_put(&s, key, key % 2, 0);
    ew_sticky_purge(&s, 1);
    for (uint64_t key = 0; key < 6; key++)
        assert_true(ew_sticky_find(&s, key, 1) == (key % 2 ? EW_STICKY_NONE : 0));
    assert_int_equal(ew_sticky_put(&s, 1, 5, 1), EW_STICKY_MOVED);
    assert_int_equal(ew_sticky_put(&s, 3, 1, 1), EW_STICKY_MOVED); /* another of that number */
    assert_int_equal(ew_sticky_put(&s, 2, 0, 1), EW_STICKY_HIT);
}

/* ---- against a list ---- */

enum { KEYS = 60, SLOTS = 40, STEPS = 20000 };
#define TTL 500

struct oracle {
    struct {
        bool known;
        uint32_t place;
        uint64_t at_ns, use;
    } of[KEYS];
    uint64_t uses;
    unsigned count;
};

static uint32_t recall(const struct oracle *o, size_t key, uint64_t now_ns)
{
    bool young = o->of[key].known && now_ns - o->of[key].at_ns < TTL;
    return young ? o->of[key].place : EW_STICKY_NONE;
}

static void remember(struct oracle *o, size_t key, uint32_t place, uint64_t now_ns)
{
    if (!o->of[key].known && o->count == SLOTS) {
        size_t least = KEYS;
        for (size_t i = 0; i < KEYS; i++)
            if (o->of[i].known && (least == KEYS || o->of[i].use < o->of[least].use))
                least = i;
        o->of[least].known = false;
        o->count--;
    }
    o->count += !o->of[key].known;
    o->of[key].known = true;
    o->of[key].place = place;
    o->of[key].at_ns = now_ns;
    o->of[key].use = ++o->uses;
}

/* Small ones, ones that differ in their high bits too, and large ones. */
static uint64_t key_of(uint64_t seed, size_t key)
{
    return seed % 3 == 0 ? key : seed % 3 == 1 ? key << 58 | key : key * 0x9e3779b97f4a7c15u;
}

static void it_remembers_as_the_list_does(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct ew_sticky_slot slots[SLOTS];
        struct ew_sticky s;
        struct oracle o = {0};
        struct ew_rng rng;
        uint64_t now_ns = 1000;
        ew_rng_init(&rng, seed);
        ew_sticky_init(&s, slots, SLOTS, TTL);
        for (int i = 0; i < STEPS; i++) {
            size_t key = ew_rng_below(&rng, KEYS);
            uint32_t place = (uint32_t)ew_rng_below(&rng, 5);
            now_ns += ew_rng_below(&rng, 20);
            uint32_t was = recall(&o, key, now_ns);
            assert_true(ew_sticky_find(&s, key_of(seed, key), now_ns) == was);
            if (ew_rng_below(&rng, 3) == 0) {
                enum ew_sticky_outcome outcome =
                    ew_sticky_put(&s, key_of(seed, key), place, now_ns);
                assert_int_equal(outcome == EW_STICKY_HIT, was == place);
                if (was != EW_STICKY_NONE && was != place)
                    assert_int_equal(outcome, EW_STICKY_MOVED);
                remember(&o, key, place, now_ns);
            } else if (ew_rng_below(&rng, 500) == 0) {
                ew_sticky_purge(&s, place);
                for (size_t k = 0; k < KEYS; k++)
                    if (o.of[k].place == place)
                        o.of[k].place = EW_STICKY_NONE;
            }
        }
        assert_int_equal(s.count, SLOTS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hit_miss_and_moved),
        cmocka_unit_test(what_was_used_least_recently_goes),
        cmocka_unit_test(conversations_of_a_purged_place_have_moved),
        cmocka_unit_test(it_remembers_as_the_list_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
