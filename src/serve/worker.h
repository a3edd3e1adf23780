/* worker.h - a thread for what must not stall the event loop: loading models, preparing prompts.
 *
 *     task->run = load; task->done = loaded;
 *     ew_worker_put(worker, task);      run on the worker's thread, then done on the loop's
 *
 * One after another, in order. Tasks are embedded in what they work for, so the line needs no
 * memory and no bound of its own: each is in it once at most. */
#ifndef EW_WORKER_H
#define EW_WORKER_H

#include "net/loop.h"

struct ew_worker;

struct ew_task {
    void (*run)(struct ew_task *task);
    void (*done)(struct ew_task *task); /* the task may be put again, or freed, in it */
    struct ew_task *next;
    bool pending; /* between put and done */
};

int ew_worker_open(struct ew_worker **gives, struct ew_loop *loop, struct ew_err *err);
void ew_worker_put(struct ew_worker *worker, struct ew_task *task);
/* Waits for the task that runs; those that don't yet are run, too: all of them are done. */
void ew_worker_close(struct ew_worker **worker);

#endif
