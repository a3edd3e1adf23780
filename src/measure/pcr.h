/* pcr.h - quality and responsiveness against cost: the paper's utility and performance-cost ratio.
 *
 *     U = alpha Q + (1 - alpha) R        PCR = U / CPR
 *
 * Q is Pass@1 in 0..1, R responsiveness in 0..1, CPR cents per response (arXiv 2505.16508). Pure
 * arithmetic; an unknown input (NAN) makes an unknown result. The paper doesn't say how it makes R
 * of a time to first token, so R is a named function here. */
#ifndef EW_PCR_H
#define EW_PCR_H

#include "base/err.h"

#define EW_PCR_ALPHA 0.5 /* reproduces the paper's rows to the last digit */

struct ew_pcr_platform {
    char name[64];
    double quality, responsiveness, cost_cents; /* NAN: unknown */
};

enum ew_pcr_r {
    EW_PCR_R_INVERSE, /* 1 / (1 + TTFT in s) */
    EW_PCR_R_TARGET,  /* target / max(target, TTFT): 1 when fast enough */
    EW_PCR_R_VALUE    /* given */
};
double ew_pcr_responsiveness(enum ew_pcr_r function, double ttft_s, double target_s);

double ew_pcr_utility(const struct ew_pcr_platform *platform, double alpha);
/* NAN for a cost that isn't above 0: nothing is free, and a ratio to 0 says nothing. */
double ew_pcr_ratio(const struct ew_pcr_platform *platform, double alpha);

/* The alpha at which both have the same PCR; NAN where that is at none in 0..1, or at every. */
double ew_pcr_even_alpha(const struct ew_pcr_platform *a, const struct ew_pcr_platform *b);
/* The cost at which `platform` would reach the PCR of `other`. */
double ew_pcr_even_cost(const struct ew_pcr_platform *platform, const struct ew_pcr_platform *other,
                        double alpha);

/* "NAME:Q:R:C"; an empty Q, R or C, or "?", is unknown. */
int ew_pcr_parse(const char *text, struct ew_pcr_platform *out, struct ew_err *err);
int ew_pcr_check(const struct ew_pcr_platform *platform, struct ew_err *err);

/* The rows of the paper's Table I that agree with themselves; NULL behind the last. */
const struct ew_pcr_platform *ew_pcr_paper(size_t index);

#endif
