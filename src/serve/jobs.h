/* jobs.h - the engine's thread, and the only place where it and the event loop meet.
 *
 * The loop says what it wants of a job (run, pause, end); the thread does so between two steps.
 * What comes of it is put beside the job, and the loop is woken once a step, however many tokens
 * there are. All loaded models' batches take a step in turn while they have streams; without any
 * the thread sleeps. One lock, held for as long as it takes to move a token's text.
 *
 * A stream that finds no memory waits in line for its model and is tried again after each step; one
 * that the batch preempts goes to the front of that line. */
#ifndef EW_JOBS_H
#define EW_JOBS_H

#include "base/clock.h"
#include "meter/meter.h"
#include "net/loop.h"
#include "serve/job.h"

/* A loaded model. The loop fills model, batch and meter before the first job of it, and may take
 * them away when no job of it is left; in between they are the engine thread's. */
struct ew_jobs_slot {
    const struct ew_model *model;
    struct ew_batch *batch;
    struct ew_meter *meter;
    /* The engine's thread. */
    struct ew_job_stream *running[EW_STREAMS_MAX];
    uint32_t running_count;
    struct ew_job_stream *line;
    struct ew_jobs_slot *next_active;
    bool active;
    /* Under the lock. */
    struct ew_batch_info info;
};

struct ew_jobs;

struct ew_jobs_params {
    struct ew_loop *loop;
    /* On the loop's thread: there are news to be asked for. */
    ew_loop_fn *news;
    void *user;
};

int ew_jobs_open(struct ew_jobs **gives, const struct ew_jobs_params *params, struct ew_err *err);
/* No job may be held any more. */
void ew_jobs_close(struct ew_jobs **jobs);

/* Computes it, or goes on with it. */
void ew_jobs_run(struct ew_jobs *jobs, struct ew_job *job);
/* Its places are free for who is run after this. */
void ew_jobs_pause(struct ew_jobs *jobs, struct ew_job *job);
/* Ends it within milliseconds, in its prompt too; it is in the news as released then. */
void ew_jobs_end(struct ew_jobs *jobs, struct ew_job *job);

/* The next job that has news, moved into the loop's part of it: pieces appended to what `taken` of
 * its streams holds, tally, ends; NULL: no more. Of a job that isn't streamed there are none until
 * it is released. */
struct ew_job *ew_jobs_news(struct ew_jobs *jobs);

struct ew_batch_info ew_jobs_slot_info(struct ew_jobs *jobs, const struct ew_jobs_slot *slot);

#endif
