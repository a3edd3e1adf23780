/* loop.h - one thread's event loop: signals, timers, and being woken from other threads.
 *
 *     ew_loop_open(&loop, &err);
 *     ew_loop_signal(loop, SIGTERM, on_term, me, &err);
 *     ew_loop_wake_open(&wake, loop, on_wake, me, &err);     another thread: ew_loop_wake(wake)
 *     ew_loop_timer_open(&timer, loop, on_tick, me, &err);   ew_loop_timer_set(timer, 1.5)
 *     ew_loop_run(loop, &err);                               until ew_loop_stop(loop)
 *     close wakes and timers, then ew_loop_close(&loop);
 *
 * Everything is called on the loop's thread but ew_loop_wake, which any thread and any signal
 * handler may call. Callbacks run on the loop's thread, never from inside a call of yours; a timer
 * or a wake may be closed or set anew in its own callback. The event_base inside has no locks. */
#ifndef EW_LOOP_H
#define EW_LOOP_H

#include "base/err.h"

struct event_base;
struct ew_loop;
struct ew_loop_wake;
struct ew_loop_timer;

enum { EW_LOOP_SIGNALS_MAX = 8 };

typedef void ew_loop_fn(void *user);

int ew_loop_open(struct ew_loop **gives, struct ew_err *err);
void ew_loop_close(struct ew_loop **loop);
struct event_base *ew_loop_base(struct ew_loop *loop); /* borrowed: for ew_http_server_open */
/* Until ew_loop_stop; also when nothing is left to wait for. */
int ew_loop_run(struct ew_loop *loop, struct ew_err *err);
/* What is at hand already, without waiting: for tests and for last words. */
int ew_loop_turn(struct ew_loop *loop, struct ew_err *err);
void ew_loop_stop(struct ew_loop *loop);

/* The signal goes to `call` from now on, until the loop is closed; then it has its old handler.
 * Only one loop of a process can have signals: that is libevent's limit. */
int ew_loop_signal(struct ew_loop *loop, int number, ew_loop_fn *call, void *user,
                   struct ew_err *err);

/* Any number of ew_loop_wake before the callback runs are one call of it; one that comes while it
 * runs is another. Nothing is lost: look at your queue in the callback, until it is empty. */
int ew_loop_wake_open(struct ew_loop_wake **gives, struct ew_loop *loop, ew_loop_fn *call,
                      void *user, struct ew_err *err);
void ew_loop_wake(struct ew_loop_wake *wake);
/* No other thread may be in ew_loop_wake, now or later. */
void ew_loop_wake_close(struct ew_loop_wake **wake);

/* Once, `seconds` from now (0: the next turn of the loop); setting it again moves it. */
int ew_loop_timer_open(struct ew_loop_timer **gives, struct ew_loop *loop, ew_loop_fn *call,
                       void *user, struct ew_err *err);
void ew_loop_timer_set(struct ew_loop_timer *timer, double seconds);
void ew_loop_timer_stop(struct ew_loop_timer *timer);
void ew_loop_timer_close(struct ew_loop_timer **timer);

#endif
