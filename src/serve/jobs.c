/* jobs.c - wanted by the loop, done between two steps, told after each. */
#include "serve/jobs.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

struct ew_jobs {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    /* Under the lock. */
    struct ew_job *dirty, *dirty_last; /* jobs of which something else is wanted */
    struct ew_job *news, *news_last;
    bool ends;
    /* The engine's thread. */
    struct ew_jobs_slot *active; /* models with streams */
    struct ew_job *over;         /* all their streams have ended: to be released */
    bool told;                   /* news since the loop was woken */
    struct ew_loop_wake *wake;
};

static uint64_t now(void)
{
    return ew_clock_now_ns(&ew_clock_real);
}

/* ---- telling the loop; under the lock ---- */

static void put_news(struct ew_jobs *jobs, struct ew_job *job)
{
    jobs->told = true;
    if (job->in_news)
        return;
    job->in_news = true;
    job->next_news = NULL;
    *(jobs->news ? &jobs->news_last->next_news : &jobs->news) = job;
    jobs->news_last = job;
}

static bool all_ended(const struct ew_job *job)
{
    for (uint32_t i = 0; i < job->stream_count; i++)
        if (job->streams[i].end == EW_STREAM_RUNS)
            return false;
    return true;
}

static void keep_first_error(struct ew_job *job, const struct ew_err *err)
{
    if (!job->err.code && err && err->code)
        job->err = *err;
}

/* ---- streams; the engine's thread ---- */

static void join_line(struct ew_job_stream *stream, struct ew_job_stream **at)
{
    stream->in_line = true;
    stream->next_line = *at;
    *at = stream;
}

static void join_line_last(struct ew_jobs_slot *slot, struct ew_job_stream *stream)
{
    struct ew_job_stream **at = &slot->line;
    while (*at)
        at = &(*at)->next_line;
    join_line(stream, at);
}

static void leave_line(struct ew_jobs_slot *slot, struct ew_job_stream *stream)
{
    struct ew_job_stream **at = &slot->line;
    if (!stream->in_line)
        return;
    while (*at != stream)
        at = &(*at)->next_line;
    *at = stream->next_line;
    stream->in_line = false;
}

static void leave_running(struct ew_jobs_slot *slot, struct ew_job_stream *stream)
{
    uint32_t i = 0;
    if (!stream->added)
        return;
    while (slot->running[i] != stream)
        i++;
    for (slot->running_count--; i < slot->running_count; i++)
        slot->running[i] = slot->running[i + 1];
    stream->added = false;
}

/* What the stream's counts add up to with those of its siblings; under the lock. */
static void tally_counts(struct ew_job *job)
{
    struct ew_job_tally *t = &job->tally;
    t->prompt_tokens = t->cached_tokens = t->preemptions = 0;
    for (uint32_t i = 0; i < job->stream_count; i++) {
        struct ew_stream_info info = {0};
        if (job->streams[i].stream)
            ew_stream_describe(job->streams[i].stream, &info);
        t->preemptions += info.preemptions;
        /* A prompt is one prompt however many choices are made of it. */
        if (i % job->request.n == 0)
            t->cached_tokens += info.cached_tokens;
    }
    for (size_t i = 0; i < job->prompt_count; i++)
        t->prompt_tokens += (uint32_t)job->prompts[i].count;
}

static void leave_dirty(struct ew_jobs *jobs, struct ew_job *job)
{
    struct ew_job **at = &jobs->dirty, *before = NULL;
    if (!job->in_dirty)
        return;
    for (; *at != job; at = &(*at)->next_dirty)
        before = *at;
    *at = job->next_dirty;
    if (jobs->dirty_last == job)
        jobs->dirty_last = before;
    job->in_dirty = false;
}

/* The loop's again, and nothing of ours points to it any more. */
static void release(struct ew_jobs *jobs, struct ew_job *job)
{
    struct ew_stream *streams[EW_JOB_STREAMS_MAX];
    pthread_mutex_lock(&jobs->lock);
    tally_counts(job);
    for (uint32_t i = 0; i < job->stream_count; i++) {
        streams[i] = job->streams[i].stream;
        job->streams[i].stream = NULL; /* from now on the loop can't cancel it */
    }
    pthread_mutex_unlock(&jobs->lock);
    for (uint32_t i = 0; i < job->stream_count; i++)
        ew_stream_close(&streams[i]);
    pthread_mutex_lock(&jobs->lock);
    leave_dirty(jobs, job);
    job->held = false;
    put_news(jobs, job);
    pthread_mutex_unlock(&jobs->lock);
}

static void release_over(struct ew_jobs *jobs)
{
    struct ew_job *job;
    while ((job = jobs->over)) {
        jobs->over = job->next_over;
        release(jobs, job);
    }
}

static void end_stream(struct ew_jobs *jobs, struct ew_job_stream *stream, enum ew_stream_end end,
                       const struct ew_err *err)
{
    struct ew_err flush = {0};
    leave_line(stream->job->slot, stream);
    leave_running(stream->job->slot, stream);
    pthread_mutex_lock(&jobs->lock);
    if (stream->end == EW_STREAM_RUNS) {
        if (ew_choice_flush(&stream->choice, &stream->fresh, &flush)) {
            end = EW_STREAM_FAILED;
            err = &flush;
        }
        stream->end = end;
        keep_first_error(stream->job, err);
        if (stream->job->request.stream)
            put_news(jobs, stream->job);
        if (all_ended(stream->job)) {
            stream->job->next_over = jobs->over;
            jobs->over = stream->job;
        }
    }
    pthread_mutex_unlock(&jobs->lock);
}

/* ---- a step ---- */

static int push_token(struct ew_jobs *jobs, struct ew_job_stream *stream,
                      const struct ew_stream_event *event)
{
    struct ew_err err = {0};
    struct ew_job *job = stream->job;
    size_t bytes;
    const char *text = ew_model_token(job->slot->model, event->token, &bytes);
    pthread_mutex_lock(&jobs->lock);
    job->tally.last_ns = now();
    if (!job->tally.first_ns)
        job->tally.first_ns = job->tally.last_ns;
    job->tally.output_tokens++;
    int failed = ew_choice_push(&stream->choice, text, bytes, event, &stream->fresh, &err);
    if (job->request.stream)
        put_news(jobs, job);
    pthread_mutex_unlock(&jobs->lock);
    if (failed)
        end_stream(jobs, stream, EW_STREAM_FAILED, &err);
    else if (stream->choice.stop.met)
        end_stream(jobs, stream, EW_STREAM_STOP, NULL);
    return stream->end != EW_STREAM_RUNS;
}

static int on_event(void *user, const struct ew_stream_event *event)
{
    struct ew_jobs *jobs = user;
    struct ew_job_stream *stream = event->user;
    if (event->end == EW_STREAM_PREEMPTED) {
        leave_running(stream->job->slot, stream);
        join_line(stream, &stream->job->slot->line);
        return 0;
    }
    int over = event->token >= 0 ? push_token(jobs, stream, event) : 0;
    if (!over && event->end != EW_STREAM_RUNS)
        end_stream(jobs, stream, event->end, event->err);
    return over;
}

static void add_waiting(struct ew_jobs *jobs, struct ew_jobs_slot *slot)
{
    while (slot->line && slot->running_count < EW_STREAMS_MAX) {
        struct ew_err err = {0};
        struct ew_job_stream *stream = slot->line;
        int failed = ew_stream_add(stream->stream, &err);
        if (failed == EW_ELIMIT && slot->running_count)
            return;
        leave_line(slot, stream);
        if (failed) { /* also EW_ELIMIT with nobody else there: it never will fit */
            end_stream(jobs, stream, EW_STREAM_FAILED, &err);
            continue;
        }
        stream->added = true;
        slot->running[slot->running_count++] = stream;
        pthread_mutex_lock(&jobs->lock);
        if (!stream->job->tally.added_ns)
            stream->job->tally.added_ns = now();
        pthread_mutex_unlock(&jobs->lock);
    }
}

struct share {
    struct ew_job_stream *stream;
    uint32_t tokens;
};

/* The step's joules, shared by the tokens that each stream had computed in it. */
static void charge(struct ew_jobs *jobs, const struct share *shares, uint32_t count,
                   const struct ew_energy *energy)
{
    double tokens = 0;
    for (uint32_t i = 0; i < count; i++)
        tokens += shares[i].tokens;
    if (energy->kind == EW_ENERGY_UNKNOWN || !(tokens > 0))
        return;
    pthread_mutex_lock(&jobs->lock);
    for (uint32_t i = 0; i < count; i++) {
        struct ew_energy *sum = &shares[i].stream->job->tally.energy;
        if (!shares[i].tokens)
            continue;
        if (sum->kind == EW_ENERGY_UNKNOWN) {
            *sum = *energy;
            sum->joules = 0;
        }
        sum->joules += energy->joules * shares[i].tokens / tokens;
    }
    pthread_mutex_unlock(&jobs->lock);
}

static uint32_t tokens_computed(struct ew_job_stream *stream)
{
    struct ew_stream_info info;
    ew_stream_describe(stream->stream, &info);
    uint32_t cached =
        info.cached_tokens < info.computed_tokens ? info.cached_tokens : info.computed_tokens;
    uint32_t sum = info.computed_tokens - cached + info.output_tokens;
    uint32_t more = sum > stream->charged ? sum - stream->charged : 0;
    stream->charged += more;
    return more;
}

static void fail_all(struct ew_jobs *jobs, struct ew_jobs_slot *slot, const struct ew_err *err)
{
    ew_log(EW_LOG_ERROR, "a step failed: %s", err->text);
    while (slot->running_count)
        end_stream(jobs, slot->running[0], EW_STREAM_FAILED, err);
}

static void step(struct ew_jobs *jobs, struct ew_jobs_slot *slot)
{
    struct share shares[EW_STREAMS_MAX];
    struct ew_err err = {0};
    struct ew_batch_info info;
    uint32_t count = slot->running_count;
    for (uint32_t i = 0; i < count; i++)
        shares[i].stream = slot->running[i];
    ew_batch_describe(slot->batch, &info);
    uint64_t begin_ns = now();
    ew_meter_mark(slot->meter, info.prefilling ? EW_METER_PREFILL : EW_METER_DECODE, begin_ns);
    int failed = ew_batch_step(slot->batch, on_event, jobs, &err);
    uint64_t end_ns = now();
    ew_meter_mark(slot->meter, EW_METER_IDLE, end_ns);
    if (failed)
        fail_all(jobs, slot, &err);
    for (uint32_t i = 0; i < count; i++)
        shares[i].tokens = tokens_computed(shares[i].stream);
    struct ew_energy energy = ew_meter_between(slot->meter, begin_ns, end_ns);
    charge(jobs, shares, count, &energy);
    ew_batch_describe(slot->batch, &info);
    pthread_mutex_lock(&jobs->lock);
    slot->info = info;
    pthread_mutex_unlock(&jobs->lock);
}

/* ---- what the loop wants ---- */

static int open_stream(struct ew_job *job, uint32_t index, struct ew_err *err)
{
    const struct ew_request *r = &job->request;
    struct ew_job_stream *stream = &job->streams[index];
    const struct ew_job_prompt *prompt = &job->prompts[index / r->n];
    struct ew_stream_params params = {
        .tokens = prompt->tokens,
        .count = prompt->count,
        .sampling = r->sampling,
        .max_tokens = r->max_tokens,
        .logprobs = r->logprobs,
        .top_logprobs = r->logprobs ? r->top_logprobs : 0,
        .grammar = job->grammar,
        .user = stream,
    };
    params.sampling.seed += index;
    return ew_stream_open(&stream->stream, job->slot->batch, &params, err);
}

static void activate(struct ew_jobs *jobs, struct ew_jobs_slot *slot)
{
    if (slot->active)
        return;
    slot->active = true;
    slot->next_active = jobs->active;
    jobs->active = slot;
}

static void end_all(struct ew_jobs *jobs, struct ew_job *job, enum ew_stream_end end,
                    const struct ew_err *err)
{
    for (uint32_t i = 0; i < job->stream_count; i++)
        end_stream(jobs, &job->streams[i], end, err);
}

static void run(struct ew_jobs *jobs, struct ew_job *job)
{
    struct ew_err err = {0};
    int failed = 0;
    activate(jobs, job->slot);
    pthread_mutex_lock(&jobs->lock);
    for (uint32_t i = 0; i < job->stream_count && !job->opened && !failed; i++)
        failed = open_stream(job, i, &err);
    pthread_mutex_unlock(&jobs->lock);
    job->opened = true;
    if (failed) {
        end_all(jobs, job, EW_STREAM_FAILED, &err);
        return;
    }
    for (uint32_t i = 0; i < job->stream_count; i++) {
        struct ew_job_stream *stream = &job->streams[i];
        if (stream->end == EW_STREAM_RUNS && !stream->added && !stream->in_line)
            join_line_last(job->slot, stream);
    }
}

static void pause_all(struct ew_job *job)
{
    for (uint32_t i = 0; i < job->stream_count; i++) {
        struct ew_job_stream *stream = &job->streams[i];
        leave_line(job->slot, stream);
        if (stream->added)
            ew_stream_pause(stream->stream);
        leave_running(job->slot, stream);
    }
}

static void apply(struct ew_jobs *jobs, struct ew_job *job, enum ew_job_wanted wanted)
{
    if (wanted == EW_JOB_RUN)
        run(jobs, job);
    else if (wanted == EW_JOB_PAUSE)
        pause_all(job);
    else if (wanted == EW_JOB_END)
        end_all(jobs, job, EW_STREAM_CANCELED, NULL);
}

/* ---- the thread ---- */

/* The next job of which something is wanted that it isn't done with yet; under the lock. */
static struct ew_job *take_dirty(struct ew_jobs *jobs, enum ew_job_wanted *wanted)
{
    struct ew_job *job;
    while ((job = jobs->dirty)) {
        jobs->dirty = job->next_dirty;
        job->in_dirty = false;
        *wanted = job->wanted;
        if (job->held)
            return job;
    }
    return NULL;
}

static void step_all(struct ew_jobs *jobs)
{
    for (struct ew_jobs_slot *slot = jobs->active; slot; slot = slot->next_active) {
        add_waiting(jobs, slot);
        if (slot->running_count)
            step(jobs, slot);
    }
}

/* Before the last job of a slot is released: from then on the loop may free the slot. */
static void forget_idle(struct ew_jobs *jobs)
{
    struct ew_jobs_slot **at = &jobs->active, *slot;
    while ((slot = *at)) {
        if (slot->running_count || slot->line) {
            at = &slot->next_active;
            continue;
        }
        *at = slot->next_active;
        slot->active = false;
    }
}

static void *work(void *user)
{
    struct ew_jobs *jobs = user;
    pthread_mutex_lock(&jobs->lock);
    for (;;) {
        enum ew_job_wanted wanted;
        struct ew_job *job = take_dirty(jobs, &wanted);
        if (!job && !jobs->active && jobs->ends)
            break;
        if (!job && !jobs->active) {
            pthread_cond_wait(&jobs->more, &jobs->lock);
            continue;
        }
        pthread_mutex_unlock(&jobs->lock);
        if (job)
            apply(jobs, job, wanted);
        else
            step_all(jobs);
        forget_idle(jobs);
        release_over(jobs);
        pthread_mutex_lock(&jobs->lock);
        if (jobs->told)
            ew_loop_wake(jobs->wake);
        jobs->told = false;
    }
    pthread_mutex_unlock(&jobs->lock);
    return NULL;
}

int ew_jobs_open(struct ew_jobs **gives, const struct ew_jobs_params *params, struct ew_err *err)
{
    struct ew_jobs *jobs = calloc(1, sizeof *jobs);
    if (!jobs)
        return ew_fail(err, EW_ENOMEM, "no memory for the engine's thread");
    int failed = ew_loop_wake_open(&jobs->wake, params->loop, params->news, params->user, err);
    if (failed)
        goto out;
    pthread_mutex_init(&jobs->lock, NULL);
    pthread_cond_init(&jobs->more, NULL);
    if (pthread_create(&jobs->thread, NULL, work, jobs)) {
        ew_loop_wake_close(&jobs->wake);
        failed = ew_fail(err, EW_ENOMEM, "the engine's thread can't be started");
        goto out;
    }
    *gives = jobs;
    jobs = NULL;
out:
    free(jobs);
    return failed;
}

void ew_jobs_close(struct ew_jobs **jobs)
{
    struct ew_jobs *j = *jobs;
    if (!j)
        return;
    pthread_mutex_lock(&j->lock);
    j->ends = true;
    pthread_cond_signal(&j->more);
    pthread_mutex_unlock(&j->lock);
    pthread_join(j->thread, NULL);
    ew_loop_wake_close(&j->wake);
    pthread_mutex_destroy(&j->lock);
    pthread_cond_destroy(&j->more);
    free(j);
    *jobs = NULL;
}

/* ---- the loop's thread ---- */

static void want(struct ew_jobs *jobs, struct ew_job *job, enum ew_job_wanted wanted)
{
    pthread_mutex_lock(&jobs->lock);
    if (wanted == EW_JOB_RUN && job->wanted == EW_JOB_IDLE)
        job->held = true;
    if (job->held && job->wanted != EW_JOB_END) {
        job->wanted = wanted;
        for (uint32_t i = 0; i < job->stream_count && wanted == EW_JOB_END; i++)
            if (job->streams[i].stream)
                ew_stream_cancel(job->streams[i].stream);
        if (!job->in_dirty) {
            job->in_dirty = true;
            job->next_dirty = NULL;
            *(jobs->dirty ? &jobs->dirty_last->next_dirty : &jobs->dirty) = job;
            jobs->dirty_last = job;
        }
        pthread_cond_signal(&jobs->more);
    }
    pthread_mutex_unlock(&jobs->lock);
}

void ew_jobs_run(struct ew_jobs *jobs, struct ew_job *job)
{
    want(jobs, job, EW_JOB_RUN);
}

void ew_jobs_pause(struct ew_jobs *jobs, struct ew_job *job)
{
    want(jobs, job, EW_JOB_PAUSE);
}

void ew_jobs_end(struct ew_jobs *jobs, struct ew_job *job)
{
    want(jobs, job, EW_JOB_END);
}

static void swap_pieces(struct ew_job_stream *stream)
{
    struct ew_piece empty = stream->taken;
    stream->taken = stream->fresh;
    stream->fresh = empty;
}

struct ew_job *ew_jobs_news(struct ew_jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
    struct ew_job *job = jobs->news;
    if (job) {
        jobs->news = job->next_news;
        job->in_news = false;
        job->seen = job->tally;
        job->seen_err = job->err;
        job->released = !job->held;
        for (uint32_t i = 0; i < job->stream_count; i++) {
            ew_piece_clear(&job->streams[i].taken);
            swap_pieces(&job->streams[i]);
            job->streams[i].taken_end = job->streams[i].end;
        }
    }
    pthread_mutex_unlock(&jobs->lock);
    return job;
}

struct ew_batch_info ew_jobs_slot_info(struct ew_jobs *jobs, const struct ew_jobs_slot *slot)
{
    pthread_mutex_lock(&jobs->lock);
    struct ew_batch_info info = slot->info;
    pthread_mutex_unlock(&jobs->lock);
    return info;
}
