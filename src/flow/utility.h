/* utility.h - the paper's formulas, defined once: policy predicts by them what `pcr` reports.
 *
 *     U = alpha Q + (1 - alpha) R        PCR = U / CPR
 *
 * Q is Pass@1 in 0..1, R responsiveness in 0..1, CPR cents per response (arXiv 2505.16508). The
 * paper doesn't say how it makes R of a time to first token, so R is a named function here. Pure;
 * an unknown input (NAN) makes an unknown result. Inline, for decisions among a thousand places. */
#ifndef EW_UTILITY_H
#define EW_UTILITY_H

#include <math.h>

#define EW_UTILITY_ALPHA 0.5 /* reproduces the paper's rows to the last digit */

enum ew_utility_r {
    EW_UTILITY_R_INVERSE, /* 1 / (1 + TTFT in s) */
    EW_UTILITY_R_TARGET,  /* target / max(target, TTFT): 1 when fast enough */
    EW_UTILITY_R_VALUE    /* given */
};
static inline double ew_utility_responsiveness(enum ew_utility_r function, double ttft_s,
                                               double target_s)
{
    if (!(ttft_s >= 0))
        return NAN;
    switch (function) {
    case EW_UTILITY_R_INVERSE:
        return 1 / (1 + ttft_s);
    case EW_UTILITY_R_TARGET:
        return target_s > 0 ? target_s / fmax(target_s, ttft_s) : NAN;
    case EW_UTILITY_R_VALUE:
        break;
    }
    return NAN;
}

/* With an alpha of 1 or 0 the other term isn't needed: known stays known. */
static inline double ew_utility_mix(double quality, double responsiveness, double alpha)
{
    if (alpha == 1)
        return quality;
    if (alpha == 0)
        return responsiveness;
    return alpha * quality + (1 - alpha) * responsiveness;
}

/* PCR. NAN for a cost that isn't above 0: nothing is free, and a ratio to 0 says nothing. */
static inline double ew_utility_ratio(double utility, double cost_cents)
{
    return cost_cents > 0 ? utility / cost_cents : NAN;
}

#endif
