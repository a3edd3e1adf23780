/* pcr_show.h - platforms with their utility and PCR, as a table for people or JSON for programs. */
#ifndef EW_PCR_SHOW_H
#define EW_PCR_SHOW_H

#include "measure/pcr.h"

#include <stdio.h>

struct ew_pcr_show {
    const struct ew_pcr_platform *platforms;
    size_t count;
    double alpha;
    bool sweep;             /* PCR at alpha 0, .1 … 1 too */
    const char *r_function; /* how R came about: "inverse", "target", "value" */
    const char *cost_from;  /* what the cost is: "energy at 25 cents/kWh"; NULL: given */
};

int ew_pcr_show_table(const struct ew_pcr_show *show, FILE *out, struct ew_err *err);
/* With one platform its figures stand on top as well: "utility", "pcr". */
int ew_pcr_show_json(const struct ew_pcr_show *show, FILE *out, struct ew_err *err);

#endif
