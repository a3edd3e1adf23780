/* job.h - what one request has the engine do: its prompts as tokens, and a stream for each choice.
 *
 * The event loop makes a job, the preparing worker fills its prompts (prepare.h), the engine's
 * thread computes it (jobs.h), and the loop reads the pieces and frees it. Who may touch what when
 * is said at each part of the struct. */
#ifndef EW_JOB_H
#define EW_JOB_H

#include "flow/flow.h"
#include "flow/request.h"
#include "serve/choice.h"

enum { EW_JOB_STREAMS_MAX = EW_REQUEST_CHOICES_MAX };

struct ew_jobs_slot;
struct ew_job;

/* One choice. */
struct ew_job_stream {
    struct ew_job *job;
    /* The engine's thread. */
    struct ew_choice choice;
    struct ew_job_stream *next_line; /* of those that wait to be added */
    bool in_line, added;
    uint32_t charged; /* tokens whose energy is accounted */
    /* Under the lock of jobs.c. */
    struct ew_stream *stream;
    struct ew_piece fresh;  /* what the loop hasn't taken yet */
    enum ew_stream_end end; /* RUNS until it ended */
    /* The loop's, who got it by ew_jobs_news. */
    struct ew_piece taken;
    enum ew_stream_end taken_end;
};

struct ew_job_prompt {
    int32_t *tokens; /* owned */
    size_t count;
};

/* What the job took so far. Stamps by ew_clock_real; 0: not yet. */
struct ew_job_tally {
    uint32_t prompt_tokens, cached_tokens, output_tokens, preemptions;
    uint64_t added_ns, first_ns, last_ns;
    struct ew_energy energy;
};

enum ew_job_wanted { EW_JOB_IDLE, EW_JOB_RUN, EW_JOB_PAUSE, EW_JOB_END };

struct ew_job {
    /* Set before the engine has it, and not touched while it has. */
    struct ew_request request;
    struct ew_jobs_slot *slot;
    struct ew_job_prompt *prompts; /* [prompt_count] of the request; a chat has one */
    size_t prompt_count;
    const struct ew_grammar *grammar;
    uint32_t stream_count;
    struct ew_job_stream *streams; /* [stream_count] */
    /* The engine's thread. */
    bool opened;
    struct ew_job *next_over;
    /* Under the lock of jobs.c. */
    enum ew_job_wanted wanted;
    bool in_dirty, in_news, held; /* held: the engine has it */
    struct ew_job *next_dirty, *next_news;
    struct ew_job_tally tally;
    struct ew_err err; /* why it failed; code 0: it didn't */
    /* The loop's: what ew_jobs_news found. */
    struct ew_job_tally seen;
    struct ew_err seen_err;
    bool released; /* the engine has let go of it for good */
};

void ew_job_init(struct ew_job *job);
/* Streams for n choices of each prompt, once the request is known. */
int ew_job_make_streams(struct ew_job *job, size_t prompts, struct ew_err *err);
void ew_job_fini(struct ew_job *job); /* not while the engine has it */

#endif
