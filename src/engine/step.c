/* step.c - one step of a batch: who computes what, the computation, the choice of tokens.
 *
 * Rows are numbered so that those that want logits come last: first the prompts' pieces, then one
 * row for each stream that gets a token, be it decoding or at its prompt's end. A cancel that hits
 * a stream whose prompt is being computed aborts the computation, and the step begins again without
 * it: nothing of an aborted computation is used. */
#include "base/clock.h"
#include "engine/batch.h"

/* Whoever cancels all the time must not keep the others from going on. */
enum { ABORTS_MAX = 3 };

/* A long prompt that came first gets this part of what is shared out, at least; the rest goes to
 * the prompts that end soonest, so that most first tokens come early. */
enum { OLDEST_SHARE = 4 };

struct teller {
    struct ew_batch *batch;
    ew_stream_fn *each;
    void *user;
};

/* Tells one event; a stream that ends by it is out of the batch before. */
static void tell(const struct teller *t, struct ew_stream *s, struct ew_stream_event event)
{
    event.stream = s;
    event.user = s->user;
    if (event.end != EW_STREAM_RUNS) {
        ew_stream_leave(s);
        if (event.end != EW_STREAM_PREEMPTED)
            s->place = EW_STREAM_OVER;
    }
    int stop = t->each ? t->each(t->user, &event) : 0;
    if (!stop)
        return;
    if (event.end == EW_STREAM_RUNS)
        ew_stream_leave(s);
    s->place = EW_STREAM_OVER;
}

static void tell_end(const struct teller *t, struct ew_stream *s, enum ew_stream_end end)
{
    tell(t, s, (struct ew_stream_event){.token = -1, .logprob = __builtin_nanf(""), .end = end});
}

static void end_cancelled(const struct teller *t)
{
    struct ew_batch *b = t->batch;
    for (uint32_t i = 0; i < b->running;) {
        if (atomic_load(&b->streams[i]->cancel))
            tell_end(t, b->streams[i], EW_STREAM_CANCELED);
        else
            i++;
    }
}

/* Streams whose next token begins a page get one; where there is none, whoever was added last makes
 * room. One stream alone always has room: the pages hold a whole context. */
static void make_room(const struct teller *t)
{
    struct ew_batch *b = t->batch;
    for (uint32_t i = 0; i < b->running; i++) {
        struct ew_stream *s = b->streams[i];
        while (s->pages * EW_PAGE < s->length && !ew_stream_grow(s)) {
            struct ew_stream *last = b->streams[b->running - 1];
            last->preemptions++;
            b->preemptions++;
            tell_end(t, last, EW_STREAM_PREEMPTED);
            if (last == s)
                break;
        }
    }
}

/* ---- who computes what ---- */

static uint32_t waiting_rows(const struct ew_stream *s)
{
    return s->length - s->computed - s->rows;
}

static uint32_t give_rows(struct ew_stream *s, uint32_t rows)
{
    rows = rows < waiting_rows(s) ? rows : waiting_rows(s);
    s->rows += rows;
    return rows;
}

static struct ew_stream *ends_soonest(const struct ew_batch *b)
{
    struct ew_stream *best = NULL;
    for (uint32_t i = 0; i < b->running; i++) {
        struct ew_stream *s = b->streams[i];
        if (!ew_stream_decodes(s) && waiting_rows(s) &&
            (!best || waiting_rows(s) < waiting_rows(best)))
            best = s;
    }
    return best;
}

static void share_out(struct ew_batch *b)
{
    struct ew_stream *s, *oldest = NULL;
    b->load = (struct ew_budget_load){0};
    for (uint32_t i = 0; i < b->running; i++) {
        s = b->streams[i];
        s->rows = 0;
        if (!ew_stream_decodes(s))
            ew_stream_adopt(s);
        if (ew_stream_decodes(s)) {
            b->load.decoding++;
            continue;
        }
        oldest = oldest ? oldest : s;
        b->load.waiting++;
    }
    b->load.lone_long = b->load.waiting == 1 && oldest->length > EW_BUDGET_LONG;
    uint32_t left = oldest ? ew_budget_rows(&b->budget, &b->load, EW_BATCH_CHUNK) : 0;
    b->prompt_rows = left;
    if (left)
        left -= give_rows(oldest, (left + OLDEST_SHARE - 1) / OLDEST_SHARE);
    while (left && (s = ends_soonest(b)))
        left -= give_rows(s, left);
    b->prompt_rows -= left;
}

static void add_segment(struct ew_batch *b, struct ew_stream *s, uint32_t position, uint32_t count)
{
    b->owners[b->segment_count] = s;
    b->segments[b->segment_count++] =
        (struct ew_segment){s->tokens + position, count, position, s->table};
}

/* Returns the rows before those that want logits. */
static uint32_t line_up(struct ew_batch *b)
{
    uint32_t first_logits = 0;
    b->segment_count = b->choosing_count = 0;
    for (uint32_t i = 0; i < b->running; i++) {
        struct ew_stream *s = b->streams[i];
        bool chooses = s->computed + s->rows == s->length || ew_stream_decodes(s);
        if (chooses)
            b->choosing[b->choosing_count++] = s;
        uint32_t rows = chooses && s->rows ? s->rows - 1 : s->rows;
        if (rows)
            add_segment(b, s, s->computed, rows);
        first_logits += rows;
    }
    for (uint32_t i = 0; i < b->choosing_count; i++)
        add_segment(b, b->choosing[i], b->choosing[i]->length - 1, 1);
    return first_logits;
}

/* ---- the computation ---- */

/* From here on a cancel of such a stream aborts the computation; one that came before is seen. */
static bool expose(struct ew_batch *b)
{
    bool cancelled = false;
    atomic_store(&b->abort, false);
    for (uint32_t i = 0; i < b->running; i++) {
        struct ew_stream *s = b->streams[i];
        atomic_store(&s->exposed, s->rows > 0);
        cancelled = cancelled || (s->rows > 0 && atomic_load(&s->cancel));
    }
    return cancelled;
}

static void cover(struct ew_batch *b)
{
    for (uint32_t i = 0; i < b->running; i++)
        atomic_store(&b->streams[i]->exposed, false);
}

/* Whoever's rows are no numbers fails; the others have computed theirs. */
static void settle(struct ew_batch *b)
{
    uint32_t row = 0;
    for (uint32_t i = 0; i < b->running; i++)
        b->streams[i]->failed = false;
    for (uint32_t i = 0; i < b->segment_count; i++) {
        struct ew_stream *s = b->owners[i];
        int failed = ew_forward_check(&b->scratch, row, b->segments[i].count, &s->err);
        if (failed && !s->failed)
            ew_fail_in(&s->err, failed, "%s", ew_gguf_path(b->model->gguf));
        s->failed = s->failed || failed;
        row += b->segments[i].count;
    }
    for (uint32_t i = 0; i < b->running; i++) {
        struct ew_stream *s = b->streams[i];
        if (s->failed)
            continue;
        s->computed += ew_stream_decodes(s) ? 1 : s->rows;
        ew_stream_keep(s);
    }
}

static int compute(struct ew_batch *b, uint32_t first_logits, atomic_bool *cancel,
                   struct ew_err *err)
{
    struct ew_forward f = {
        .net = &b->model->net,
        .scratch = &b->scratch,
        .segments = b->segments,
        .segment_count = b->segment_count,
        .first_logits = first_logits,
        .cancel = cancel,
    };
    pthread_mutex_lock(&b->model->computing);
    int failed = ew_forward_run(&f, err);
    pthread_mutex_unlock(&b->model->computing);
    return failed;
}

/* ---- the choice ---- */

static void choose_one(struct ew_batch *b, uint32_t thread, uint32_t at)
{
    struct ew_stream *s = b->choosing[at];
    const float *logits = b->scratch.logits + (size_t)at * b->scratch.vocab_width;
    uint32_t *allowed = NULL;
    if (s->failed)
        return;
    if (s->grammar) {
        allowed = b->masks + (size_t)thread * b->mask_words;
        ew_grammar_mask(s->grammar, s->said, allowed);
    }
    s->chosen =
        ew_sampler_next(s->sampler, b->desks[thread], logits, allowed, s->tokens, s->length);
    if (s->logprobs)
        ew_sampler_logprobs(b->desks[thread], logits, s->chosen, &s->logprob, s->top,
                            s->top_logprobs);
    s->complete = false;
    if (s->grammar && !ew_model_is_end(b->model, s->chosen)) {
        s->failed = ew_grammar_accept(s->grammar, s->said, s->chosen, &s->err) != 0;
        s->complete = !s->failed && ew_grammar_done(s->grammar, s->said);
    }
}

static void choose_share(void *arg, int thread, int threads)
{
    (void)threads;
    struct ew_batch *b = arg;
    int at;
    while (ew_pool_take(b->model->net.pool, (int)b->choosing_count, 1, &at))
        choose_one(b, (uint32_t)thread, (uint32_t)at);
}

static void choose(struct ew_batch *b)
{
    if (b->choosing_count == 1) {
        choose_one(b, 0, 0);
    } else if (b->choosing_count) {
        pthread_mutex_lock(&b->model->computing);
        ew_pool_run(b->model->net.pool, choose_share, b);
        pthread_mutex_unlock(&b->model->computing);
    }
}

static void tell_token(const struct teller *t, struct ew_stream *s)
{
    struct ew_stream_event event = {
        .token = s->chosen,
        .logprob = s->logprobs ? s->logprob : __builtin_nanf(""),
        .top = s->top,
        .top_count = s->logprobs ? s->top_logprobs : 0,
    };
    if (ew_model_is_end(t->batch->model, s->chosen)) {
        tell_end(t, s, EW_STREAM_STOP);
        return;
    }
    s->tokens[s->length++] = s->chosen;
    t->batch->output_tokens++;
    if (s->complete)
        event.end = EW_STREAM_STOP;
    else if (s->length == s->limit)
        event.end = s->limit_is_asked ? EW_STREAM_LENGTH : EW_STREAM_CONTEXT;
    tell(t, s, event);
}

/* Streams leave while they are told: `choosing` is in the order of adding and stays as it is. */
static void tell_all(const struct teller *t)
{
    struct ew_batch *b = t->batch;
    for (uint32_t i = 0; i < b->choosing_count; i++)
        if (!b->choosing[i]->failed)
            tell_token(t, b->choosing[i]);
    for (uint32_t i = 0; i < b->running;) {
        struct ew_stream *s = b->streams[i];
        if (s->failed)
            tell(t, s,
                 (struct ew_stream_event){.token = -1,
                                          .logprob = __builtin_nanf(""),
                                          .end = EW_STREAM_FAILED,
                                          .err = &s->err});
        else
            i++;
    }
}

int ew_batch_step(struct ew_batch *batch, ew_stream_fn *each, void *user, struct ew_err *err)
{
    const struct teller teller = {batch, each, user};
    struct ew_model *m = batch->model;
    uint64_t start = ew_clock_now_ns(&ew_clock_real);
    int failed = m->net.weights.embedding ? ew_gguf_intact(m->gguf, err) : 0;
    if (failed)
        return failed;
    for (int aborts = 0;;) {
        end_cancelled(&teller);
        make_room(&teller);
        if (!batch->running)
            return 0;
        share_out(batch);
        uint32_t first_logits = line_up(batch);
        if (aborts < ABORTS_MAX && expose(batch)) {
            cover(batch);
            aborts++;
            continue;
        }
        failed =
            compute(batch, first_logits, aborts < ABORTS_MAX ? &batch->abort : &batch->never, err);
        cover(batch);
        if (failed != EW_ECANCELED)
            break;
        aborts++;
    }
    if (failed)
        return failed;
    batch->steps++;
    settle(batch);
    choose(batch);
    const struct ew_budget_step step = {batch->load, batch->prompt_rows,
                                        ew_clock_now_ns(&ew_clock_real) - start};
    ew_budget_learn(&batch->budget, &step);
    tell_all(&teller);
    return 0;
}
