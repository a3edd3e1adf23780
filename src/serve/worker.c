/* worker.c - two lines under one lock: tasks to run, and tasks that have run. */
#include "serve/worker.h"

#include <pthread.h>
#include <stdlib.h>

struct line {
    struct ew_task *first, *last;
};

struct ew_worker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct line todo, ran; /* under the lock */
    bool ends;             /* under the lock */
    struct ew_loop_wake *wake;
};

static void put(struct line *line, struct ew_task *task)
{
    task->next = NULL;
    *(line->first ? &line->last->next : &line->first) = task;
    line->last = task;
}

static struct ew_task *take(struct line *line)
{
    struct ew_task *task = line->first;
    if (task)
        line->first = task->next;
    return task;
}

static struct ew_task *take_locked(struct ew_worker *worker, struct line *line)
{
    pthread_mutex_lock(&worker->lock);
    struct ew_task *task = take(line);
    pthread_mutex_unlock(&worker->lock);
    return task;
}

static void *work(void *user)
{
    struct ew_worker *worker = user;
    pthread_mutex_lock(&worker->lock);
    for (;;) {
        struct ew_task *task = take(&worker->todo);
        if (!task && worker->ends)
            break;
        if (!task) {
            pthread_cond_wait(&worker->more, &worker->lock);
            continue;
        }
        pthread_mutex_unlock(&worker->lock);
        task->run(task);
        pthread_mutex_lock(&worker->lock);
        put(&worker->ran, task);
        ew_loop_wake(worker->wake);
    }
    pthread_mutex_unlock(&worker->lock);
    return NULL;
}

static void tell_done(void *user)
{
    struct ew_worker *worker = user;
    struct ew_task *task;
    while ((task = take_locked(worker, &worker->ran))) {
        task->pending = false;
        task->done(task);
    }
}

int ew_worker_open(struct ew_worker **gives, struct ew_loop *loop, struct ew_err *err)
{
    struct ew_worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return ew_fail(err, EW_ENOMEM, "no memory for a thread");
    int failed = ew_loop_wake_open(&worker->wake, loop, tell_done, worker, err);
    if (failed)
        goto out;
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->more, NULL);
    if (pthread_create(&worker->thread, NULL, work, worker)) {
        ew_loop_wake_close(&worker->wake);
        failed = ew_fail(err, EW_ENOMEM, "a thread can't be started");
        goto out;
    }
    *gives = worker;
    worker = NULL;
out:
    free(worker);
    return failed;
}

void ew_worker_put(struct ew_worker *worker, struct ew_task *task)
{
    EW_ASSERT(!task->pending);
    task->pending = true;
    pthread_mutex_lock(&worker->lock);
    put(&worker->todo, task);
    pthread_cond_signal(&worker->more);
    pthread_mutex_unlock(&worker->lock);
}

void ew_worker_close(struct ew_worker **worker)
{
    struct ew_worker *w = *worker;
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->ends = true;
    pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    tell_done(w);
    ew_loop_wake_close(&w->wake);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->more);
    free(w);
    *worker = NULL;
}
