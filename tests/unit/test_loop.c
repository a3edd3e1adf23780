/* test_loop.c - timers, signals, and wakes from another thread. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/loop.h"

struct seen {
    struct ew_loop *loop;
    struct ew_loop_wake *wake;
    struct ew_loop_timer *timer;
    int count, until;
    atomic_int sent, taken;
};

static void count_call(void *user)
{
    struct seen *seen = user;
    if (++seen->count == seen->until)
        ew_loop_stop(seen->loop);
}

static void count_and_set(void *user)
{
    struct seen *seen = user;
    count_call(user);
    ew_loop_timer_set(seen->timer, 0.001);
}

static void close_own_timer(void *user)
{
    struct seen *seen = user;
    seen->count++;
    ew_loop_timer_close(&seen->timer);
}

static void test_a_timer_fires_once_and_can_be_set_again(void **state)
{
    (void)state;
    struct seen seen = {.until = 3};
    struct ew_err err;
    assert_int_equal(ew_loop_open(&seen.loop, &err), 0);
    assert_int_equal(ew_loop_timer_open(&seen.timer, seen.loop, count_and_set, &seen, &err), 0);
    ew_loop_timer_set(seen.timer, 0.02);
    uint64_t from = ew_clock_now_ns(&ew_clock_real);
    assert_int_equal(ew_loop_run(seen.loop, &err), 0);
    assert_int_equal(seen.count, 3);
    assert_true(ew_clock_now_ns(&ew_clock_real) - from >= 20 * EW_NS_PER_MS);
    ew_loop_timer_stop(seen.timer);
    assert_int_equal(ew_loop_run(seen.loop, &err), 0); /* nothing is left: it returns */
    assert_int_equal(seen.count, 3);
    ew_loop_timer_close(&seen.timer);
    ew_loop_close(&seen.loop);
}

static void test_a_timer_may_be_closed_in_its_own_call(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct ew_err err;
    assert_int_equal(ew_loop_open(&seen.loop, &err), 0);
    assert_int_equal(ew_loop_timer_open(&seen.timer, seen.loop, close_own_timer, &seen, &err), 0);
    ew_loop_timer_set(seen.timer, 0);
    assert_int_equal(ew_loop_run(seen.loop, &err), 0);
    assert_int_equal(seen.count, 1);
    assert_null(seen.timer);
    ew_loop_close(&seen.loop);
}

static void test_a_signal_is_a_call_on_the_loop(void **state)
{
    (void)state;
    struct seen seen = {.until = 2};
    struct ew_err err;
    assert_int_equal(ew_loop_open(&seen.loop, &err), 0);
    assert_int_equal(ew_loop_signal(seen.loop, SIGUSR1, count_call, &seen, &err), 0);
    raise(SIGUSR1);
    assert_int_equal(seen.count, 0);
    assert_int_equal(ew_loop_turn(seen.loop, &err), 0);
    assert_int_equal(seen.count, 1);
    raise(SIGUSR1);
    assert_int_equal(ew_loop_run(seen.loop, &err), 0);
    assert_int_equal(seen.count, 2);
    for (int i = 1; i < EW_LOOP_SIGNALS_MAX; i++)
        assert_int_equal(ew_loop_signal(seen.loop, SIGUSR2, count_call, &seen, &err), 0);
    assert_int_equal(ew_loop_signal(seen.loop, SIGUSR2, count_call, &seen, &err), EW_ELIMIT);
    ew_loop_close(&seen.loop);
}

enum { WAKES = 20000 };

static void *send_wakes(void *user)
{
    struct seen *seen = user;
    for (int i = 0; i < WAKES; i++) {
        atomic_fetch_add(&seen->sent, 1);
        ew_loop_wake(seen->wake);
    }
    return NULL;
}

static void take_wakes(void *user)
{
    struct seen *seen = user;
    atomic_store(&seen->taken, atomic_load(&seen->sent));
    if (atomic_load(&seen->taken) == WAKES)
        ew_loop_stop(seen->loop);
}

static void test_no_wake_of_another_thread_is_lost(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct ew_err err;
    pthread_t thread;
    assert_int_equal(ew_loop_open(&seen.loop, &err), 0);
    assert_int_equal(ew_loop_wake_open(&seen.wake, seen.loop, take_wakes, &seen, &err), 0);
    assert_int_equal(pthread_create(&thread, NULL, send_wakes, &seen), 0);
    assert_int_equal(ew_loop_run(seen.loop, &err), 0); /* would wait for ever were the last lost */
    pthread_join(thread, NULL);
    assert_int_equal(seen.taken, WAKES);
    ew_loop_wake_close(&seen.wake);
    ew_loop_close(&seen.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_timer_fires_once_and_can_be_set_again),
        cmocka_unit_test(test_a_timer_may_be_closed_in_its_own_call),
        cmocka_unit_test(test_a_signal_is_a_call_on_the_loop),
        cmocka_unit_test(test_no_wake_of_another_thread_is_lost),
    };
    alarm(60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
