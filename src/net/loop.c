/* loop.c - struct ew_loop over libevent's epoll.
 *
 * The base is made without locks: only its own thread touches it. Other threads write to an
 * eventfd, which is a system call that needs none, can't fail for want of memory, and is allowed in
 * signal handlers.
 * Limits: EW_LOOP_SIGNALS_MAX signals, timers up to SECONDS_MAX. */
#include "net/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SECONDS_MAX 1e9 /* 31 years; keeps timeval's arithmetic away from its ends */

struct callback {
    ew_loop_fn *call;
    void *user;
};

struct ew_loop {
    struct event_base *base;
    struct event *signals[EW_LOOP_SIGNALS_MAX];
    struct callback signal_calls[EW_LOOP_SIGNALS_MAX];
    int signal_count;
};

struct ew_loop_wake {
    struct callback callback;
    struct event *event;
    int fd;
};

struct ew_loop_timer {
    struct callback callback;
    struct event *event;
};

static void on_event(evutil_socket_t fd, short what, void *user)
{
    (void)fd, (void)what;
    const struct callback callback = *(const struct callback *)user; /* may be closed inside */
    callback.call(callback.user);
}

int ew_loop_open(struct ew_loop **gives, struct ew_err *err)
{
    *gives = NULL;
    struct ew_loop *loop = calloc(1, sizeof *loop);
    struct event_config *config = event_config_new();
    if (loop && config && event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0)
        loop->base = event_base_new_with_config(config);
    if (config)
        event_config_free(config);
    if (!loop || !loop->base) {
        free(loop);
        return ew_fail(err, EW_EIO, "no event loop can be had: %s", strerror(errno));
    }
    *gives = loop;
    return 0;
}

void ew_loop_close(struct ew_loop **loop)
{
    if (!*loop)
        return;
    for (int i = 0; i < (*loop)->signal_count; i++)
        event_free((*loop)->signals[i]);
    event_base_free((*loop)->base);
    free(*loop);
    *loop = NULL;
}

struct event_base *ew_loop_base(struct ew_loop *loop)
{
    return loop->base;
}

int ew_loop_run(struct ew_loop *loop, struct ew_err *err)
{
    if (event_base_loop(loop->base, 0) < 0)
        return ew_fail(err, EW_EIO, "the event loop failed: %s", strerror(errno));
    return 0;
}

int ew_loop_turn(struct ew_loop *loop, struct ew_err *err)
{
    if (event_base_loop(loop->base, EVLOOP_NONBLOCK) < 0)
        return ew_fail(err, EW_EIO, "the event loop failed: %s", strerror(errno));
    return 0;
}

void ew_loop_stop(struct ew_loop *loop)
{
    event_base_loopbreak(loop->base);
}

int ew_loop_signal(struct ew_loop *loop, int number, ew_loop_fn *call, void *user,
                   struct ew_err *err)
{
    if (loop->signal_count == EW_LOOP_SIGNALS_MAX)
        return ew_fail(err, EW_ELIMIT, "signal %d: %d others are listened for already", number,
                       EW_LOOP_SIGNALS_MAX);
    struct callback *callback = &loop->signal_calls[loop->signal_count];
    *callback = (struct callback){call, user};
    struct event *event = evsignal_new(loop->base, number, on_event, callback);
    if (!event || event_add(event, NULL) < 0) {
        if (event)
            event_free(event);
        return ew_fail(err, EW_EIO, "signal %d can't be listened for", number);
    }
    loop->signals[loop->signal_count++] = event;
    return 0;
}

/* ---- other threads ---- */

static void on_wake(evutil_socket_t fd, short what, void *user)
{
    uint64_t count;
    /* Emptied before the call, so that a wake during it is another call. EAGAIN can't harm. */
    if (read(fd, &count, sizeof count) == (ssize_t)sizeof count)
        on_event(fd, what, user);
}

int ew_loop_wake_open(struct ew_loop_wake **gives, struct ew_loop *loop, ew_loop_fn *call,
                      void *user, struct ew_err *err)
{
    *gives = NULL;
    struct ew_loop_wake *wake = calloc(1, sizeof *wake);
    if (!wake)
        return ew_fail(err, EW_ENOMEM, "no memory for an event");
    wake->callback = (struct callback){call, user};
    wake->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake->fd >= 0)
        wake->event = event_new(loop->base, wake->fd, EV_READ | EV_PERSIST, on_wake, wake);
    if (!wake->event || event_add(wake->event, NULL) < 0) {
        int code = ew_fail(err, EW_EIO, "no eventfd can be had: %s", strerror(errno));
        ew_loop_wake_close(&wake);
        return code;
    }
    *gives = wake;
    return 0;
}

void ew_loop_wake(struct ew_loop_wake *wake)
{
    const uint64_t one = 1;
    int saved = errno; /* a signal handler's caller must not see ours */
    /* EAGAIN means that 2^64 - 2 wakes are pending: it will wake. */
    ssize_t written = write(wake->fd, &one, sizeof one);
    (void)written;
    errno = saved;
}

void ew_loop_wake_close(struct ew_loop_wake **wake)
{
    if (!*wake)
        return;
    if ((*wake)->event)
        event_free((*wake)->event);
    if ((*wake)->fd >= 0)
        close((*wake)->fd);
    free(*wake);
    *wake = NULL;
}

/* ---- timers ---- */

int ew_loop_timer_open(struct ew_loop_timer **gives, struct ew_loop *loop, ew_loop_fn *call,
                       void *user, struct ew_err *err)
{
    *gives = NULL;
    struct ew_loop_timer *timer = calloc(1, sizeof *timer);
    if (timer) {
        timer->callback = (struct callback){call, user};
        timer->event = evtimer_new(loop->base, on_event, timer);
    }
    if (!timer || !timer->event) {
        free(timer);
        return ew_fail(err, EW_ENOMEM, "no memory for a timer");
    }
    *gives = timer;
    return 0;
}

void ew_loop_timer_set(struct ew_loop_timer *timer, double seconds)
{
    double wait = seconds > 0 ? seconds < SECONDS_MAX ? seconds : SECONDS_MAX : 0;
    struct timeval after = {.tv_sec = (time_t)wait};
    after.tv_usec = (suseconds_t)((wait - (double)after.tv_sec) * 1e6);
    event_add(timer->event, &after);
}

void ew_loop_timer_stop(struct ew_loop_timer *timer)
{
    event_del(timer->event);
}

void ew_loop_timer_close(struct ew_loop_timer **timer)
{
    if (!*timer)
        return;
    event_free((*timer)->event);
    free(*timer);
    *timer = NULL;
}
