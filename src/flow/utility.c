/* utility.c - responsiveness, utility, and utility per cent. */
#include "flow/utility.h"

#include <math.h>

double ew_utility_responsiveness(enum ew_utility_r function, double ttft_s, double target_s)
{
    if (isnan(ttft_s) || ttft_s < 0)
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

double ew_utility_mix(double quality, double responsiveness, double alpha)
{
    if (alpha == 1)
        return quality;
    if (alpha == 0)
        return responsiveness;
    return alpha * quality + (1 - alpha) * responsiveness;
}

double ew_utility_ratio(double utility, double cost_cents)
{
    return cost_cents > 0 ? utility / cost_cents : NAN;
}
