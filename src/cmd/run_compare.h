/* run_compare.h - `run --compare`: an answer beside what a cloud would have asked for it. */
#ifndef EW_RUN_COMPARE_H
#define EW_RUN_COMPARE_H

#include "measure/answer.h"
#include "measure/compare.h"

/* cloud: "openai/gpt-5.4-mini". */
int ew_run_compare_price(struct ew_price *price, const char *cloud, struct ew_err *err);

/* model: as it was called; quantization goes behind it. */
int ew_run_compare(struct ew_compare *out, const struct ew_answer *answer,
                   const struct ew_price *price, const char *model, const char *quantization,
                   double tariff_cents_per_kwh, struct ew_err *err);

#endif
