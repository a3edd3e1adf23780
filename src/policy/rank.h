/* rank.h - the nine selections: which of several able places is taken.
 *
 * Each selection is a figure of a place and request, less is better (EW_SELECTS says which), over
 * the place's factor: health weight, times configured weight, times a tenth where the model must be
 * loaded first. `random` leaves the configured weight out; `weighted` draws by the factor alone.
 *
 * Unknown figures: a device that hasn't answered yet would never be asked if it ranked last, and
 * would be asked always if first. So it ranks like the best known one while nothing of ours runs
 * there, and like the worst while something does: it gets one request at a time until its answer
 * tells its speed. What answers don't tell (watts, quality, prices) stays unknown and ranks last.
 *
 * Ties: fewer running, then at random; `round-robin`: the first. */
#ifndef EW_RANK_H
#define EW_RANK_H

#include "policy/policy.h"

/* The figure of one place by that selection, unweighted; NAN: unknown. The verdict's predictions
 * are there already. */
double ew_rank_figure(enum ew_select select, const struct ew_candidate *candidate,
                      const struct ew_verdict *verdict, const struct ew_prediction *prediction);

/* Makes scores of the figures in the verdicts of the pool, the indices of able candidates. */
void ew_rank_score(const struct ew_policy *policy, const struct ew_candidate *candidates,
                   const uint16_t *pool, size_t count, struct ew_verdict *verdicts);
/* One of the pool, whose scores are made; count >= 1. It is its turn, where there are turns. */
size_t ew_rank_pick(struct ew_policy *policy, const struct ew_candidate *candidates,
                    const uint16_t *pool, size_t count, struct ew_verdict *verdicts);

#endif
