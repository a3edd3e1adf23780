/* clock.c - the machine's monotonic clock behind struct ew_clock. */
#include "base/clock.h"

#include <time.h>

static uint64_t real_now_ns(void *state)
{
    (void)state;
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * EW_NS_PER_S + (uint64_t)ts.tv_nsec;
}

const struct ew_clock ew_clock_real = {.now_ns = real_now_ns};
