/* pcr.h - platforms compared by quality and responsiveness against cost (flow/utility.h has the
 * formulas), where they break even, and the paper's rows. Pure arithmetic; an unknown input (NAN)
 * makes an unknown result. */
#ifndef EW_PCR_H
#define EW_PCR_H

#include "base/err.h"
#include "flow/utility.h"

struct ew_pcr_platform {
    char name[64];
    double quality, responsiveness, cost_cents; /* NAN: unknown */
};

double ew_pcr_utility(const struct ew_pcr_platform *platform, double alpha);
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
