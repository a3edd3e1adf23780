/* utility.h - the paper's formulas, defined once: policy predicts by them what `pcr` reports.
 *
 *     U = alpha Q + (1 - alpha) R        PCR = U / CPR
 *
 * Q is Pass@1 in 0..1, R responsiveness in 0..1, CPR cents per response (arXiv 2505.16508). The
 * paper doesn't say how it makes R of a time to first token, so R is a named function here. Pure;
 * an unknown input (NAN) makes an unknown result. */
#ifndef EW_UTILITY_H
#define EW_UTILITY_H

#define EW_UTILITY_ALPHA 0.5 /* reproduces the paper's rows to the last digit */

enum ew_utility_r {
    EW_UTILITY_R_INVERSE, /* 1 / (1 + TTFT in s) */
    EW_UTILITY_R_TARGET,  /* target / max(target, TTFT): 1 when fast enough */
    EW_UTILITY_R_VALUE    /* given */
};
double ew_utility_responsiveness(enum ew_utility_r function, double ttft_s, double target_s);

/* With an alpha of 1 or 0 the other term isn't needed: known stays known. */
double ew_utility_mix(double quality, double responsiveness, double alpha);
/* PCR. NAN for a cost that isn't above 0: nothing is free, and a ratio to 0 says nothing. */
double ew_utility_ratio(double utility, double cost_cents);

#endif
