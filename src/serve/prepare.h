/* prepare.h - a request's texts become the tokens and the grammar that a job is computed from.
 *
 * On a worker's thread: a long prompt takes tens of milliseconds, a new schema more, and streams of
 * others go on meanwhile. What is wrong with the request in the eyes of the model (too long for
 * its context, a token it doesn't have, a schema it can't follow) is a fault here. */
#ifndef EW_PREPARE_H
#define EW_PREPARE_H

#include "serve/grammars.h"
#include "serve/job.h"

/* job->request and job->slot are there; its prompts, streams and grammar are made. `entry` is to be
 * put back when the job has ended. 0, or -1 with the fault. */
int ew_prepare(struct ew_job *job, uint32_t ctx, struct ew_grammars *grammars,
               struct ew_grammars_entry **entry, struct ew_fault *fault);

#endif
