/* budget.c - two moving averages and a controller; see budget.h. */
#include "engine/budget.h"
#include "kernels/kernels.h"

enum {
    ROWS_FIRST = 16,
    ROWS_MIN = 1,      /* prompts go on, however slow the machine */
    RENEW_AFTER = 100, /* mixed steps after which what is usual is measured again */
};
#define STRETCH  1.7  /* under the 2 that users are promised, with room for what varies */
#define WEIGHT   0.25 /* of the newest measurement */
#define MOVE_MAX 1.25 /* of rows, by one step */

void ew_budget_init(struct ew_budget *budget)
{
    *budget = (struct ew_budget){.rows = ROWS_FIRST};
}

uint32_t ew_budget_rows(const struct ew_budget *budget, uint32_t decoding, uint32_t most)
{
    if (!decoding)
        return most;
    EW_ASSERT(decoding <= EW_STREAMS_MAX);
    if (budget->usual_ns[decoding] <= 0 || budget->unseen[decoding] >= RENEW_AFTER)
        return 0;
    uint32_t rows = budget->rows < most ? (uint32_t)budget->rows : most;
    /* A begun group costs a whole one: fill it, and begin no other. */
    uint32_t least = decoding / EW_GROUP * EW_GROUP + EW_GROUP;
    uint32_t whole = (decoding + rows) / EW_GROUP * EW_GROUP;
    rows = (whole > least ? whole : least) - decoding;
    return rows < most ? rows : most;
}

static double between(double low, double value, double high)
{
    return value < low ? low : value > high ? high : value;
}

void ew_budget_learn(struct ew_budget *budget, uint32_t decoding, uint32_t rows, uint64_t took_ns)
{
    if (!decoding || !took_ns)
        return;
    double took = (double)took_ns, *usual = &budget->usual_ns[decoding];
    if (!rows) {
        *usual = *usual > 0 ? (1 - WEIGHT) * *usual + WEIGHT * took : took;
        budget->unseen[decoding] = 0;
        return;
    }
    budget->unseen[decoding]++;
    if (*usual <= 0)
        return;
    double move = between(1 / MOVE_MAX, STRETCH * *usual / took, MOVE_MAX);
    if (move < 1 || rows + EW_GROUP >= budget->rows) /* a prompt's end says nothing of more rows */
        budget->rows = between(ROWS_MIN, budget->rows * move, 1 << 16);
}
