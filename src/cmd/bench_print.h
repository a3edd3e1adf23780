/* bench_print.h - what `bench` prints. */
#ifndef EW_BENCH_PRINT_H
#define EW_BENCH_PRINT_H

#include "measure/bench.h"
#include "measure/bench_batch.h"

int ew_bench_print_table(const struct ew_bench *bench, const struct ew_bench_batch *batch,
                         const struct ew_model_info *info, double tariff_cents_per_kwh,
                         struct ew_err *err);
/* The last point is the main one; all are in "sweep" (docs/JSON.md). */
int ew_bench_print_json(const struct ew_bench *bench, const struct ew_bench_batch *batch,
                        const struct ew_model_info *info, double tariff_cents_per_kwh,
                        struct ew_err *err);

#endif
