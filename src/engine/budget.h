/* budget.h - how many tokens of waiting prompts one step may take along.
 *
 * A step that decodes is bound by reading weights, so some rows more cost little, and many stall
 * the streams that decode. What "little" is depends on machine, model and how deep in its prompt a
 * row is: it is learnt. Steps that only decode tell what is usual for so many streams; steps with
 * prompts in them then move the number of rows until they take as much longer as they may: for
 * each prompt that waits 1.6 times the usual time, at most 4 times. Where prompts get less than
 * they bring, they pile up: many clients wait for their first token, and the few streams that
 * decode share the weights with few.
 *
 * A long prompt that waits alone keeps the streams waiting for seconds, and no gap of theirs shall
 * be twice the usual one: it gets 0.8, less what the machine itself was seen to add to a step now
 * and then (another process, another guest of its host), but 0.2 at least. Times decide what is
 * computed when, never what comes out. */
#ifndef EW_BUDGET_H
#define EW_BUDGET_H

#include "base/err.h"

struct ew_budget {
    double usual_ns[EW_STREAMS_MAX + 1]; /* of steps that decode so many streams; 0: unknown */
    uint32_t unseen[EW_STREAMS_MAX + 1]; /* mixed steps since that was measured */
    double stall_ns;                     /* the longest of late that a step took above that */
    double rows;                         /* of prompts, that take as long as what is usual */
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
