/* test_prefix.c - pages that are free, held, kept; and the prompt rows of a step (budget.c). */
#include "engine/prefix.h"
#include "engine/budget.h"
#include "kernels/kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { PAGES = 4 };

static const int32_t *tokens(int32_t of)
{
    static int32_t page[EW_PAGE];
    for (int i = 0; i < EW_PAGE; i++)
        page[i] = of * 100 + i;
    return page;
}

static struct ew_prefix opened(void)
{
    struct ew_prefix p;
    assert_int_equal(ew_prefix_init(&p, PAGES, NULL), 0);
    assert_int_equal(ew_prefix_available(&p), PAGES);
    return p;
}

static void test_a_kept_page_is_found_behind_its_parent_only(void **state)
{
    (void)state;
    struct ew_prefix p = opened();
    uint32_t a = ew_prefix_take(&p), b = ew_prefix_take(&p);
    assert_int_equal(ew_prefix_keep(&p, a, EW_PREFIX_NONE, tokens(1)), a);
    assert_int_equal(ew_prefix_keep(&p, b, a, tokens(2)), b);
    assert_int_equal(ew_prefix_find(&p, EW_PREFIX_NONE, tokens(1)), a);
    assert_int_equal(ew_prefix_find(&p, a, tokens(2)), b);
    assert_int_equal(ew_prefix_find(&p, EW_PREFIX_NONE, tokens(2)), EW_PREFIX_NONE);
    assert_int_equal(ew_prefix_find(&p, b, tokens(1)), EW_PREFIX_NONE);
    /* Held pages aren't to be had; idle ones are. */
    assert_int_equal(ew_prefix_available(&p), PAGES - 2);
    ew_prefix_drop(&p, b);
    ew_prefix_drop(&p, a);
    assert_int_equal(ew_prefix_available(&p), PAGES);
    assert_int_equal(p.idle_count, 2);
    ew_prefix_fini(&p);
}

static void test_the_same_page_computed_twice_is_kept_once(void **state)
{
    (void)state;
    struct ew_prefix p = opened();
    uint32_t a = ew_prefix_take(&p), b = ew_prefix_take(&p);
    assert_int_equal(ew_prefix_keep(&p, a, EW_PREFIX_NONE, tokens(1)), a);
    assert_int_equal(ew_prefix_keep(&p, b, EW_PREFIX_NONE, tokens(1)), a);
    assert_int_equal(ew_prefix_available(&p), PAGES - 1); /* b is free again */
    ew_prefix_drop(&p, a);
    assert_int_equal(p.idle_count, 0); /* one of two holds */
    ew_prefix_drop(&p, a);
    assert_int_equal(p.idle_count, 1);
    ew_prefix_fini(&p);
}

static void test_what_was_unused_longest_goes_first_and_leaves_before_branches(void **state)
{
    (void)state;
    struct ew_prefix p = opened();
    uint32_t page[PAGES];
    for (int i = 0; i < PAGES; i++)
        page[i] = ew_prefix_take(&p);
    assert_int_equal(ew_prefix_take(&p), EW_PREFIX_NONE); /* all are held */
    /* root - 0 - 1, root - 2 - 3 */
    ew_prefix_keep(&p, page[0], EW_PREFIX_NONE, tokens(0));
    ew_prefix_keep(&p, page[1], page[0], tokens(1));
    ew_prefix_keep(&p, page[2], EW_PREFIX_NONE, tokens(2));
    ew_prefix_keep(&p, page[3], page[2], tokens(3));
    ew_prefix_drop(&p, page[1]);
    ew_prefix_drop(&p, page[0]);
    ew_prefix_drop(&p, page[3]);
    ew_prefix_drop(&p, page[2]);
    ew_prefix_hold(&p, page[0]); /* used again: it becomes the newest */
    ew_prefix_drop(&p, page[0]);
    static const int order[] = {1, 3, 2, 0};
    for (int i = 0; i < PAGES; i++) {
        assert_int_equal(ew_prefix_take(&p), page[order[i]]);
        assert_int_equal(p.idle_count, PAGES - 1 - i);
    }
    for (int i = 0; i < PAGES; i++)
        assert_int_equal(ew_prefix_find(&p, EW_PREFIX_NONE, tokens(i)), EW_PREFIX_NONE);
    ew_prefix_fini(&p);
}

/* A machine whose steps take 10 ms, and a half more for each row of a prompt. */
static uint64_t machine(uint32_t rows)
{
    return 10000000u + 500000u * rows;
}

static uint32_t budget_step(struct ew_budget *b, uint32_t decoding, uint32_t waiting, double slower)
{
    uint32_t rows = ew_budget_rows(b, &(struct ew_budget_load){decoding, waiting, false}, 128);
    uint64_t took = (uint64_t)((rows ? slower : 1) * (double)machine(rows));
    ew_budget_learn(b, &(struct ew_budget_step){{decoding, waiting, false}, rows, took});
    return rows;
}

static void test_a_budget_settles_below_what_prompts_may_take(void **state)
{
    (void)state;
    struct ew_budget b;
    ew_budget_init(&b);
    assert_int_equal(ew_budget_rows(&b, &(struct ew_budget_load){0, 1, false}, 128),
                     128);                         /* nobody to be kept waiting */
    assert_int_equal(budget_step(&b, 4, 1, 1), 0); /* what is usual is learnt first */
    uint32_t rows = 0;
    for (int i = 0; i < 60; i++) {
        rows = budget_step(&b, 4, 1, 1);
        assert_true(5 * machine(rows) <= 13 * machine(0));    /* at no time more than 2.6 */
        assert_true(rows == 3 || (4 + rows) % EW_GROUP == 0); /* groups are whole */
    }
    assert_true(machine(rows) > 2 * machine(0));
    for (int i = 0; i < 60; i++) /* a slower machine, of a sudden */
        rows = budget_step(&b, 4, 1, 100);
    assert_true(rows <= 1); /* prompts go on, however slow it is */
    assert_int_equal(ew_budget_rows(&b, &(struct ew_budget_load){4, 1, false}, 2) <= 2, 1);
}

static void test_a_budget_fills_no_group_where_rows_are_dear(void **state)
{
    (void)state;
    struct ew_budget b;
    ew_budget_init(&b);
    budget_step(&b, 1, 1, 1);
    assert_int_equal(ew_budget_rows(&b, &(struct ew_budget_load){1, 1, false}, 128), EW_GROUP - 1);
    uint32_t rows = 0;
    for (int i = 0; i < 200; i++) { /* a row takes 7 ms more: three would be 31 beside 10 */
        rows = ew_budget_rows(&b, &(struct ew_budget_load){1, 1, false}, 128);
        assert_true(i < 2 || rows <= 2);
        ew_budget_learn(&b,
                        &(struct ew_budget_step){{1, 1, false}, rows, 10000000u + 7000000u * rows});
    }
    assert_int_equal(rows, 2);
}

static void test_a_step_that_was_interrupted_changes_little(void **state)
{
    (void)state;
    struct ew_budget b;
    ew_budget_init(&b);
    budget_step(&b, 4, 1, 1);
    for (int i = 0; i < 60; i++)
        budget_step(&b, 4, 1, 1);
    uint32_t rows = ew_budget_rows(&b, &(struct ew_budget_load){4, 1, false}, 128);
    ew_budget_learn(&b, &(struct ew_budget_step){{4, 1, false}, 0, 100 * machine(0)});
    ew_budget_learn(&b, &(struct ew_budget_step){{4, 1, false}, rows, 100 * machine(rows)});
    assert_true(2 * ew_budget_rows(&b, &(struct ew_budget_load){4, 1, false}, 128) >= rows);
    for (int i = 0; i < 30; i++) {
        budget_step(&b, 4, 1, 1);
        assert_true(machine(ew_budget_rows(&b, &(struct ew_budget_load){4, 1, false}, 128)) <
                    7 * machine(0) / 2);
    }
}

/* Rows of a long prompt that waits alone, where each hundredth step takes `stall_ns` more. */
static uint32_t long_prompt_rows(uint64_t stall_ns)
{
    const struct ew_budget_load load = {4, 1, true};
    struct ew_budget b;
    ew_budget_init(&b);
    uint32_t rows = 0;
    for (int i = 0; i < 400; i++) {
        bool alone = i < 200, stalled = i % 100 == 99;
        rows = alone ? 0 : ew_budget_rows(&b, &load, 128);
        uint64_t took = machine(rows) + (stalled ? stall_ns : 0);
        ew_budget_learn(&b, &(struct ew_budget_step){load, rows, took});
        assert_true(stalled || machine(rows) + stall_ns <= 2 * machine(0) || rows <= 4);
    }
    return rows;
}

static void test_a_long_prompt_that_waits_alone_leaves_room_for_the_machines_stalls(void **state)
{
    (void)state;
    uint32_t quiet = long_prompt_rows(0), noisy = long_prompt_rows(machine(0) / 2),
             loud = long_prompt_rows(50 * machine(0));
    assert_true(quiet >= 12 && noisy < quiet && loud <= noisy && loud > 0);
}

static void test_each_prompt_that_waits_brings_its_part_up_to_a_bound(void **state)
{
    (void)state;
    uint32_t before = 0;
    for (uint32_t waiting = 1; waiting <= 8; waiting++) {
        struct ew_budget b;
        ew_budget_init(&b);
        uint32_t rows = 0;
        for (int i = 0; i < 60; i++)
            rows = budget_step(&b, 2, waiting, 1);
        assert_true(waiting <= 3 ? rows > before : rows == before);
        assert_true(machine(rows) <= 5 * machine(0));
        before = rows;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_kept_page_is_found_behind_its_parent_only),
        cmocka_unit_test(test_the_same_page_computed_twice_is_kept_once),
        cmocka_unit_test(test_what_was_unused_longest_goes_first_and_leaves_before_branches),
        cmocka_unit_test(test_a_budget_settles_below_what_prompts_may_take),
        cmocka_unit_test(test_a_budget_fills_no_group_where_rows_are_dear),
        cmocka_unit_test(test_a_step_that_was_interrupted_changes_little),
        cmocka_unit_test(test_a_long_prompt_that_waits_alone_leaves_room_for_the_machines_stalls),
        cmocka_unit_test(test_each_prompt_that_waits_brings_its_part_up_to_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
