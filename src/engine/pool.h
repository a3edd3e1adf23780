/* pool.h - the threads that compute together: they spin while there is work, and park when not.
 *
 * ew_pool_run calls work(arg, thread, threads) once on each thread, the caller's being thread 0,
 * and returns when all have. Inside, the threads go through phases: ew_pool_take hands out the
 * items of a phase, ew_pool_barrier ends it. A waiting thread spins for some tens of microseconds
 * (a phase of a small model lasts as long), then sleeps in the kernel: an idle engine takes no CPU.
 * One run at a time: callers hold their own lock. */
#ifndef EW_POOL_H
#define EW_POOL_H

#include "base/err.h"

enum { EW_THREADS_MAX = 256 };

struct ew_pool;

int ew_pool_open(struct ew_pool **gives, int threads, struct ew_err *err);
void ew_pool_close(struct ew_pool **pool);
int ew_pool_threads(const struct ew_pool *pool);

void ew_pool_run(struct ew_pool *pool, void (*work)(void *arg, int thread, int threads), void *arg);

/* Inside a run. take: the next `grain` items of [0, count) that nobody has: *first, and how many
 * (0: none are left). Every thread takes until it gets 0, and then comes to the barrier. */
int ew_pool_take(struct ew_pool *pool, int count, int grain, int *first);
void ew_pool_barrier(struct ew_pool *pool);

#endif
