/* budget.c - moving averages and a controller; see budget.h. */
#include "engine/budget.h"
#include "kernels/kernels.h"

enum {
    ROWS_FIRST = EW_GROUP - 1, /* beside one stream: a begun group, filled */
    ROWS_MAX = 1 << 10,        /* well above what a step takes; so that it comes down again soon */
    RENEW_AFTER = 50,          /* mixed steps after which what is usual is measured again */
};
/* What prompts may add to a step, in usual ones: for each that waits, and for all together. */
#define EACH 1.6
#define ALL  4.0
/* A long prompt that waits alone: at most, and at least. 2 with the step itself is promised. */
#define LONG_MOST  0.8
#define LONG_LEAST 0.2
/* What is left of the longest stall after a step without one. */
#define STALL_KEPT 0.995
/* Weights of a measurement of what is usual that is above what was known, and below: most steps
 * that take longer than usual were disturbed. What takes much longer counts as no more than so many
 * times the usual. */
#define RISE       0.1
#define FALL       0.5
#define USUAL_MOST 1.5
/* Of rows, by one step: down faster than up, for too few hurt less than too many. */
#define MOVE_UP   1.1
#define MOVE_DOWN 0.8

void ew_budget_init(struct ew_budget *budget)
{
    *budget = (struct ew_budget){.rows = ROWS_FIRST / EACH};
}

static double between(double low, double value, double high)
{
    return value < low ? low : value > high ? high : value;
}

/* What prompts may add to a step, in usual ones. */
static double extra_of(const struct ew_budget *budget, const struct ew_budget_load *load)
{
    if (!load->lone_long)
        return between(0, EACH * load->waiting, ALL);
    return between(LONG_LEAST, LONG_MOST - budget->stall_ns / budget->usual_ns[load->decoding],
                   LONG_MOST);
}

/* A begun group costs a whole one: what is begun is filled, and no other begun. What doesn't fill
 * the first is taken as it is: deep in a prompt, where attention is most of a row's cost, three
 * rows are too many for the streams beside it. */
static uint32_t whole_groups(uint32_t decoding, uint32_t rows)
{
    uint32_t whole = (decoding + rows) / EW_GROUP * EW_GROUP;
    return whole > decoding ? whole - decoding : rows;
}

/* The next number above `rows` that whole_groups leaves as it is. */
static uint32_t next_rows(uint32_t decoding, uint32_t rows)
{
    uint32_t fill = EW_GROUP - decoding % EW_GROUP;
    return rows < fill ? rows + 1 : rows + EW_GROUP;
}

uint32_t ew_budget_rows(const struct ew_budget *budget, const struct ew_budget_load *load,
                        uint32_t most)
{
    const uint32_t decoding = load->decoding;
    if (!decoding)
        return most;
    EW_ASSERT(decoding <= EW_STREAMS_MAX);
    if (budget->usual_ns[decoding] <= 0 || budget->unseen[decoding] >= RENEW_AFTER)
        return 0;
    double rows = between(1, budget->rows * extra_of(budget, load), most);
    return whole_groups(decoding, (uint32_t)rows);
}

/* Of a step that took so much more than expected. */
static void note_stall(struct ew_budget *budget, double usual_ns, double above_ns)
{
    double kept = STALL_KEPT * budget->stall_ns;
    if (above_ns > usual_ns)
        above_ns = usual_ns;
    budget->stall_ns = above_ns > kept ? above_ns : kept;
}

void ew_budget_learn(struct ew_budget *budget, const struct ew_budget_step *step)
{
    const uint32_t decoding = step->load.decoding;
    if (!decoding || !step->took_ns)
        return;
    double took = (double)step->took_ns, *usual = &budget->usual_ns[decoding];
    if (!step->rows) {
        note_stall(budget, *usual, took - *usual);
        took = *usual > 0 ? between(0, took, USUAL_MOST * *usual) : took;
        *usual = *usual > 0 ? *usual + (took > *usual ? RISE : FALL) * (took - *usual) : took;
        budget->unseen[decoding] = 0;
        return;
    }
    budget->unseen[decoding]++;
    if (*usual <= 0)
        return;
    double times = extra_of(budget, &step->load), extra = times * *usual;
    note_stall(budget, *usual, took - *usual - extra);
    double rows = budget->rows * between(MOVE_DOWN, (*usual + extra) / took, MOVE_UP);
    if (rows > budget->rows) {
        /* A prompt's end says nothing of more rows; and a step up that won't fit isn't tried: it
         * would be, every few steps, since four rows more are many. */
        uint32_t next = next_rows(decoding, step->rows);
        if (step->rows + EW_GROUP < budget->rows * times ||
            (took - *usual) / step->rows * next > extra)
            return;
    }
    budget->rows = between(1, rows, ROWS_MAX);
}
