/* test_queue.c - fair among clients, bounded, and honest about when to come again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "serve/queue.h"

static struct ew_queue *make(uint32_t places, uint32_t waiting_max)
{
    struct ew_queue *queue = NULL;
    struct ew_queue_params params = {places, waiting_max, 10};
    assert_int_equal(ew_queue_open(&queue, &params, NULL), 0);
    return queue;
}

static enum ew_queue_fit fits(void *queue, struct ew_queue_item *item)
{
    item->here = true;
    return ew_queue_has_place(queue) ? EW_QUEUE_HERE : EW_QUEUE_STAYS;
}

static struct ew_queue_item *next_of(struct ew_queue *queue)
{
    return ew_queue_next(queue, fits, queue);
}

static int put(struct ew_queue *queue, struct ew_queue_item *item, uint64_t key)
{
    int failed = ew_queue_put(queue, item, key, 1, 0, NULL);
    item->here = true;
    return failed;
}

static void end(struct ew_queue **queue, struct ew_queue_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ew_queue_leave(*queue, &items[i], 0);
    assert_int_equal(ew_queue_waiting(*queue), 0);
    assert_int_equal(ew_queue_running(*queue), 0);
    ew_queue_close(queue);
}

static void test_runs_as_many_as_there_are_places(void **state)
{
    struct ew_queue *queue = make(2, 10);
    struct ew_queue_item a[3] = {0};
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(put(queue, &a[i], 1), 0);
    assert_ptr_equal(next_of(queue), &a[0]);
    assert_ptr_equal(next_of(queue), &a[1]);
    assert_null(next_of(queue));
    ew_queue_leave(queue, &a[0], 1);
    assert_ptr_equal(next_of(queue), &a[2]);
    end(&queue, a, 3);
}

static void test_a_line_is_bounded(void **state)
{
    struct ew_queue *queue = make(1, 2);
    struct ew_queue_item a[3] = {0};
    (void)state;
    put(queue, &a[0], 1);
    assert_ptr_equal(next_of(queue), &a[0]);
    put(queue, &a[1], 1);
    assert_true(ew_queue_has_room(queue));
    put(queue, &a[2], 2);
    assert_false(ew_queue_has_room(queue));
    end(&queue, a, 3);
}

static void test_without_a_line_nobody_waits(void **state)
{
    struct ew_queue *queue = make(1, 0);
    struct ew_queue_item a = {0};
    (void)state;
    assert_false(ew_queue_has_room(queue));
    assert_true(ew_queue_has_place(queue));
    put(queue, &a, 1);
    ew_queue_start(queue, &a, EW_QUEUE_HERE);
    assert_false(ew_queue_has_place(queue));
    end(&queue, &a, 1);
}

/* Fits what is told by its address; the engine is full for all others. */
static enum ew_queue_fit only(void *wanted, struct ew_queue_item *item)
{
    return item == wanted ? EW_QUEUE_ELSEWHERE : EW_QUEUE_STAYS;
}

static void test_who_fits_elsewhere_passes_who_doesnt(void **state)
{
    struct ew_queue *queue = make(1, 10);
    struct ew_queue_item a[3] = {0}, b = {0};
    (void)state;
    for (int i = 0; i < 3; i++)
        put(queue, &a[i], 1);
    put(queue, &b, 2);
    assert_ptr_equal(ew_queue_next(queue, only, &a[1]), &a[1]);
    assert_true(ew_queue_has_place(queue)); /* it took none of the engine */
    assert_int_equal(ew_queue_places(queue), 0);
    assert_null(ew_queue_next(queue, only, NULL));
    assert_ptr_equal(next_of(queue), &b); /* a runs one already, elsewhere */
    assert_null(ew_queue_victim(queue));
    ew_queue_leave(queue, &b, 1);
    end(&queue, a, 3);
}

static void test_one_of_many_clients_takes_its_turn(void **state)
{
    struct ew_queue *queue = make(1, 100);
    struct ew_queue_item many[50] = {0}, one = {0}, *next;
    (void)state;
    for (int i = 0; i < 50; i++)
        put(queue, &many[i], 1);
    assert_ptr_equal(next_of(queue), &many[0]);
    put(queue, &one, 2);
    ew_queue_leave(queue, &many[0], 1);
    next = next_of(queue);
    assert_ptr_equal(next, &one);
    ew_queue_leave(queue, &one, 2);
    assert_ptr_equal(next_of(queue), &many[1]);
    end(&queue, many, 50);
}

static void test_equals_take_turns(void **state)
{
    struct ew_queue *queue = make(1, 100);
    struct ew_queue_item a[3] = {0}, b[3] = {0};
    (void)state;
    for (int i = 0; i < 3; i++)
        put(queue, &a[i], 1), put(queue, &b[i], 2);
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(next_of(queue), &a[i]);
        ew_queue_leave(queue, &a[i], 1);
        assert_ptr_equal(next_of(queue), &b[i]);
        ew_queue_leave(queue, &b[i], 1);
    }
    end(&queue, a, 3);
}

static void test_who_runs_least_comes_next(void **state)
{
    struct ew_queue *queue = make(3, 100);
    struct ew_queue_item a[4] = {0}, b[2] = {0};
    (void)state;
    for (int i = 0; i < 4; i++)
        put(queue, &a[i], 1);
    for (int i = 0; i < 3; i++)
        assert_non_null(next_of(queue));
    put(queue, &b[0], 2), put(queue, &b[1], 2);
    ew_queue_leave(queue, &a[0], 1);
    assert_ptr_equal(next_of(queue), &b[0]); /* a: 2, b: 0 */
    ew_queue_leave(queue, &a[1], 1);
    assert_ptr_equal(next_of(queue), &b[1]); /* a: 1, b: 1, and b's turn is longer ago */
    ew_queue_leave(queue, &b[0], 1);
    assert_ptr_equal(next_of(queue), &a[3]);
    ew_queue_leave(queue, &b[1], 1);
    end(&queue, a, 4);
}

static void test_the_youngest_of_the_busiest_makes_room(void **state)
{
    struct ew_queue *queue = make(3, 100);
    struct ew_queue_item a[5] = {0}, b = {0};
    (void)state;
    for (int i = 0; i < 5; i++)
        put(queue, &a[i], 1);
    while (next_of(queue))
        ;
    assert_null(ew_queue_victim(queue)); /* only its own client waits */
    put(queue, &b, 2);
    assert_ptr_equal(ew_queue_victim(queue), &a[2]);
    assert_ptr_equal(next_of(queue), &b);
    assert_null(ew_queue_victim(queue));
    ew_queue_leave(queue, &b, 1);
    assert_ptr_equal(next_of(queue), &a[2]); /* before a[3], which never ran */
    end(&queue, a, 5);
}

static void test_a_client_with_one_running_is_left_alone(void **state)
{
    struct ew_queue *queue = make(2, 100);
    struct ew_queue_item a = {0}, b = {0}, c = {0};
    (void)state;
    put(queue, &a, 1), put(queue, &b, 2), put(queue, &c, 3);
    while (next_of(queue))
        ;
    assert_null(ew_queue_victim(queue));
    ew_queue_leave(queue, &a, 1);
    ew_queue_leave(queue, &b, 1);
    end(&queue, &c, 1);
}

static void test_deadlines_are_for_those_who_never_ran(void **state)
{
    struct ew_queue *queue = make(1, 100);
    struct ew_queue_item a[2] = {0}, b = {0};
    const uint64_t late = 10 * (uint64_t)EW_NS_PER_S;
    (void)state;
    put(queue, &a[0], 1), put(queue, &a[1], 1);
    next_of(queue);
    ew_queue_back(queue, &a[0], 1);
    put(queue, &b, 2);
    assert_null(ew_queue_expired(queue, late - 1));
    struct ew_queue_item *first = ew_queue_expired(queue, late);
    struct ew_queue_item *second = ew_queue_expired(queue, late);
    assert_true((first == &a[1] && second == &b) || (first == &b && second == &a[1]));
    assert_null(ew_queue_expired(queue, 100 * late));
    assert_ptr_equal(next_of(queue), &a[0]);
    end(&queue, a, 2);
}

static void test_many_places_count_as_many(void **state)
{
    struct ew_queue *queue = make(4, 100);
    struct ew_queue_item big = {0}, small = {0}, later = {0};
    (void)state;
    assert_int_equal(ew_queue_put(queue, &big, 1, 8, 0, NULL), 0);
    assert_ptr_equal(next_of(queue), &big); /* more than there are: it starts all the same */
    put(queue, &small, 2);
    assert_null(next_of(queue));
    assert_ptr_equal(ew_queue_victim(queue), &big);
    assert_ptr_equal(next_of(queue), &small);
    assert_ptr_equal(next_of(queue), &big);
    put(queue, &later, 1);
    assert_null(ew_queue_victim(queue));
    ew_queue_leave(queue, &later, 1);
    ew_queue_leave(queue, &small, 1);
    end(&queue, &big, 1);
}

/* Else two of them would make room for each other for ever, within one turn of the loop. */
static void test_who_made_room_does_not_ask_for_it_again(void **state)
{
    struct ew_queue *queue = make(4, 100);
    struct ew_queue_item a = {0}, b = {0}, c = {0};
    (void)state;
    assert_int_equal(ew_queue_put(queue, &a, 1, 4, 0, NULL), 0);
    assert_ptr_equal(next_of(queue), &a);
    assert_int_equal(ew_queue_put(queue, &b, 2, 4, 0, NULL), 0);
    assert_null(next_of(queue));
    assert_ptr_equal(ew_queue_victim(queue), &a);
    assert_ptr_equal(next_of(queue), &b);
    assert_null(next_of(queue));
    assert_null(ew_queue_victim(queue)); /* a waits until b has ended */
    put(queue, &c, 3);
    assert_ptr_equal(ew_queue_victim(queue), &b); /* a third one still may */
    assert_non_null(next_of(queue));
    ew_queue_leave(queue, &a, 1);
    ew_queue_leave(queue, &b, 1);
    end(&queue, &c, 1);
}

static void test_retry_follows_the_measured_rate(void **state)
{
    struct ew_queue *queue = make(1, 100);
    struct ew_queue_item a[20] = {0};
    (void)state;
    assert_true(ew_queue_retry_s(queue) == 1);
    for (int i = 0; i < 20; i++)
        put(queue, &a[i], 1);
    for (int i = 0; i < 10; i++) { /* one each two seconds */
        assert_ptr_equal(next_of(queue), &a[i]);
        ew_queue_leave(queue, &a[i], (uint64_t)(i + 1) * 2 * EW_NS_PER_S);
    }
    double s = ew_queue_retry_s(queue); /* ten wait: 11 x 2 s */
    assert_true(s > 21.9 && s < 22.1);
    end(&queue, a, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs_as_many_as_there_are_places),
        cmocka_unit_test(test_a_line_is_bounded),
        cmocka_unit_test(test_without_a_line_nobody_waits),
        cmocka_unit_test(test_who_fits_elsewhere_passes_who_doesnt),
        cmocka_unit_test(test_one_of_many_clients_takes_its_turn),
        cmocka_unit_test(test_equals_take_turns),
        cmocka_unit_test(test_who_runs_least_comes_next),
        cmocka_unit_test(test_the_youngest_of_the_busiest_makes_room),
        cmocka_unit_test(test_a_client_with_one_running_is_left_alone),
        cmocka_unit_test(test_deadlines_are_for_those_who_never_ran),
        cmocka_unit_test(test_many_places_count_as_many),
        cmocka_unit_test(test_who_made_room_does_not_ask_for_it_again),
        cmocka_unit_test(test_retry_follows_the_measured_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
