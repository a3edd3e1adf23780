/* test_pool.c - the pool hands out every item once, and its barrier holds; parked or spinning. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/pool.h"

enum { ITEMS = 1000, PHASES = 200 };

struct work {
    struct ew_pool *pool;
    atomic_int taken[ITEMS];
    atomic_int in_phase;
    atomic_bool broken;
    int pause_us;
};

static void share(void *arg, int thread, int threads)
{
    struct work *w = arg;
    for (int phase = 0; phase < PHASES; phase++) {
        int first, n;
        while ((n = ew_pool_take(w->pool, ITEMS, 1 + phase % 7, &first)))
            for (int i = 0; i < n; i++)
                atomic_fetch_add(&w->taken[first + i], 1);
        if (w->pause_us && thread == phase % threads)
            usleep((useconds_t)w->pause_us); /* the others park meanwhile */
        ew_pool_barrier(w->pool);
        for (int i = thread; i < ITEMS; i += threads)
            if (atomic_load(&w->taken[i]) != phase + 1)
                atomic_store(&w->broken, true);
        ew_pool_barrier(w->pool);
    }
}

static void test_each_item_of_each_phase_is_taken_once(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        for (int pause_us = 0; pause_us <= 300; pause_us += 300) {
            struct work w = {.pause_us = pause_us};
            assert_int_equal(ew_pool_open(&w.pool, threads, NULL), 0);
            assert_int_equal(ew_pool_threads(w.pool), threads);
            ew_pool_run(w.pool, share, &w);
            assert_false(w.broken);
            ew_pool_close(&w.pool);
            assert_null(w.pool);
        }
    }
}

static void nothing(void *arg, int thread, int threads)
{
    (void)threads;
    ((atomic_int *)arg)[thread]++;
}

static void test_many_runs_after_pauses_reach_every_thread(void **state)
{
    (void)state;
    struct ew_pool *pool;
    atomic_int runs[3] = {0};
    assert_int_equal(ew_pool_open(&pool, 3, NULL), 0);
    for (int i = 0; i < 300; i++) {
        ew_pool_run(pool, nothing, runs);
        if (i % 100 == 0)
            usleep(5000);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(runs[i], 300);
    ew_pool_close(&pool);
}

static void test_an_idle_pool_takes_no_cpu(void **state)
{
    (void)state;
    struct ew_pool *pool;
    atomic_int runs[2] = {0};
    assert_int_equal(ew_pool_open(&pool, 2, NULL), 0);
    ew_pool_run(pool, nothing, runs);
    usleep(50000);
    struct timespec before, after;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    usleep(300000);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    double used = (double)(after.tv_sec - before.tv_sec) * 1e3 +
                  (double)(after.tv_nsec - before.tv_nsec) / 1e6;
    assert_true(used < 30.0); /* ms of 300; spinning would take them all */
    ew_pool_close(&pool);
}

static void test_a_wrong_number_of_threads_is_refused(void **state)
{
    (void)state;
    struct ew_pool *pool;
    struct ew_err err = {0};
    assert_int_equal(ew_pool_open(&pool, 0, &err), EW_EINVAL);
    assert_int_equal(ew_pool_open(&pool, EW_THREADS_MAX + 1, &err), EW_EINVAL);
    assert_non_null(strstr(err.text, "allowed 1 to 256"));
    ew_pool_close(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_item_of_each_phase_is_taken_once),
        cmocka_unit_test(test_many_runs_after_pauses_reach_every_thread),
        cmocka_unit_test(test_an_idle_pool_takes_no_cpu),
        cmocka_unit_test(test_a_wrong_number_of_threads_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
