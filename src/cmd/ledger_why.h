/* ledger_why.h - `edgewise ledger why [REQUEST_ID]`: who answered a request, and why. */
#ifndef EW_LEDGER_WHY_H
#define EW_LEDGER_WHY_H

#include "ledger/query.h"

/* The latest request that the filter means (its limit doesn't count), on stdout, in words or as
 * JSON. EW_ENOTFOUND: there is none. */
int ew_ledger_why(struct ew_query *query, const struct ew_query_filter *filter, bool as_json,
                  struct ew_err *err);

/* The decisions of a row as JSON: the column's text, and where it was cut to fit, what is whole of
 * it. False: nothing is. */
bool ew_ledger_why_decisions(const char *text, struct ew_buf *out, bool *was_cut);

#endif
