/* job.c - a job's memory. */
#include "serve/job.h"

#include <stdlib.h>

void ew_job_init(struct ew_job *job)
{
    *job = (struct ew_job){0};
    job->tally.energy = job->seen.energy = EW_ENERGY_NONE;
}

int ew_job_make_streams(struct ew_job *job, size_t prompts, struct ew_err *err)
{
    const struct ew_request *r = &job->request;
    enum ew_choice_tokens tokens = r->logprobs ? EW_CHOICE_KEEP_TOKENS : EW_CHOICE_DROP_TOKENS;
    EW_ASSERT(!job->streams && prompts > 0 && r->n > 0);
    if (prompts * r->n > EW_JOB_STREAMS_MAX)
        return ew_fail(err, EW_EINVAL, "%zu prompts with n = %u are %zu answers, at most %d",
                       prompts, r->n, prompts * r->n, EW_JOB_STREAMS_MAX);
    job->prompts = calloc(prompts, sizeof *job->prompts);
    job->streams = calloc(prompts * r->n, sizeof *job->streams);
    if (!job->prompts || !job->streams)
        return ew_fail(err, EW_ENOMEM, "no memory for a request");
    job->prompt_count = prompts;
    job->stream_count = (uint32_t)(prompts * r->n);
    int failed = 0;
    for (uint32_t i = 0; i < job->stream_count; i++) {
        struct ew_job_stream *stream = &job->streams[i];
        stream->job = job;
        ew_piece_init(&stream->fresh);
        ew_piece_init(&stream->taken);
        struct ew_err own = {0};
        int bad = ew_choice_init(&stream->choice, r->stops, r->stop_count, tokens, &own);
        if (bad && !failed)
            failed = ew_fail(err, bad, "%s", own.text);
    }
    return failed;
}

void ew_job_fini(struct ew_job *job)
{
    EW_ASSERT(!job->held);
    for (uint32_t i = 0; i < job->stream_count; i++) {
        ew_choice_fini(&job->streams[i].choice);
        ew_piece_fini(&job->streams[i].fresh);
        ew_piece_fini(&job->streams[i].taken);
    }
    for (size_t i = 0; i < job->prompt_count; i++)
        free(job->prompts[i].tokens);
    free(job->streams);
    free(job->prompts);
    ew_request_fini(&job->request);
}
