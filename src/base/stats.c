/* stats.c - order statistics, moments, and the Wilson interval. */
#include "base/stats.h"

#include "base/err.h"

#include <math.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double ew_stats_quantile(const double *sorted, size_t n, double p)
{
    EW_ASSERT(p >= 0 && p <= 1);
    if (n == 0)
        return NAN;
    double at = p * (double)(n - 1);
    size_t below = (size_t)at;
    if (below + 1 >= n)
        return sorted[n - 1];
    return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}

struct ew_stats ew_stats_of(double *values, size_t n)
{
    if (n == 0)
        return (struct ew_stats){0, NAN, NAN, NAN, NAN, NAN};
    qsort(values, n, sizeof values[0], by_value);
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    double mean = sum / (double)n;
    /* Two passes: the one-pass formula loses all digits when the spread is small. */
    for (size_t i = 0; i < n; i++)
        squares += (values[i] - mean) * (values[i] - mean);
    return (struct ew_stats){
        .n = n,
        .min = values[0],
        .max = values[n - 1],
        .median = ew_stats_quantile(values, n, 0.5),
        .mean = mean,
        .sd = n > 1 ? sqrt(squares / (double)(n - 1)) : NAN,
    };
}

struct ew_interval ew_stats_wilson(uint64_t successes, uint64_t trials, double z)
{
    EW_ASSERT(successes <= trials && z >= 0);
    if (trials == 0)
        return (struct ew_interval){0, 1};
    double n = (double)trials, p = (double)successes / n, zz = z * z / n;
    double center = (p + zz / 2) / (1 + zz);
    double half = z * sqrt(p * (1 - p) / n + zz / (4 * n)) / (1 + zz);
    /* At the ends the exact bound is 0 or 1; rounding must not push it past. */
    return (struct ew_interval){successes == 0 ? 0 : center - half,
                                successes == trials ? 1 : center + half};
}
