/* stats.h - what a handful of measurements say: order, spread, and how sure a proportion is. */
#ifndef EW_STATS_H
#define EW_STATS_H

#include <stddef.h>
#include <stdint.h>

/* All NAN where there is no value; sd NAN below two. */
struct ew_stats {
    size_t n;
    double min, max, median, mean;
    double sd; /* of the sample: n - 1 below the line */
};

/* Sorts the values in place. NANs aren't measurements: leave them out before. */
struct ew_stats ew_stats_of(double *values, size_t n);

/* Quantile p of 0..1, linear between neighbours (definition 7 of Hyndman and Fan 1996,
 * doi:10.2307/2684934: what numpy, R and spreadsheets give). NAN for n = 0. */
double ew_stats_quantile(const double *sorted, size_t n, double p);

/* Two-sided 95 % of the normal distribution. */
#define EW_STATS_Z95 1.959963984540054

struct ew_interval {
    double low, high;
};
/* The score interval of a proportion (Wilson 1927, doi:10.2307/2276774): right also for few trials
 * and near 0 and 1, where the textbook's p +- z sqrt(pq/n) isn't (Brown, Cai and DasGupta 2001,
 * doi:10.1214/ss/1009213286). No trials: 0..1. */
struct ew_interval ew_stats_wilson(uint64_t successes, uint64_t trials, double z);

#endif
