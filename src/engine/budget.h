/* budget.h - how many tokens of waiting prompts one step may take along.
 *
 * A step that decodes is bound by reading weights, so some rows more cost little, and many stall
 * the streams that decode. What "little" is depends on machine, model and how deep in its prompt a
 * row is: it is learnt. Steps that only decode tell what is usual for so many streams; steps with
 * prompts in them then move the number of rows, until they take 1.8 times as long beside one
 * prompt. Of a long prompt that waits alone they take 1.35 times as long: it keeps the streams
 * waiting for seconds, no gap of theirs shall be twice the usual one, and a busy machine adds to
 * each. Where more prompts wait than streams decode the prompts' part grows with their number, up
 * to four times: then most users wait for their first token. Times decide what is computed when,
 * never what comes out. */
#ifndef EW_BUDGET_H
#define EW_BUDGET_H

#include "base/err.h"

struct ew_budget {
    double usual_ns[EW_STREAMS_MAX + 1]; /* of steps that decode so many streams; 0: unknown */
    uint32_t unseen[EW_STREAMS_MAX + 1]; /* mixed steps since that was measured */
    double rows;                         /* of one prompt, beside streams that decode */
};

void ew_budget_init(struct ew_budget *budget);
enum { EW_BUDGET_LONG = 1024 }; /* tokens of a prompt that is a long one */

struct ew_budget_load {
    uint32_t decoding, waiting; /* streams; prompts */
    bool lone_long;             /* one prompt waits, a long one */
};

/* Rows for the prompts that wait, at most `most`; 0: this step only decodes, to learn what is
 * usual. */
uint32_t ew_budget_rows(const struct ew_budget *budget, const struct ew_budget_load *load,
                        uint32_t most);

struct ew_budget_step {
    struct ew_budget_load load;
    uint32_t rows; /* of prompts, that it took along */
    uint64_t took_ns;
};
void ew_budget_learn(struct ew_budget *budget, const struct ew_budget_step *step);

#endif
