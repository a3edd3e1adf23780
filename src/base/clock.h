/* clock.h - where time comes from: the machine, or a simulation.
 *
 * Nothing else in edgewise reads a clock, so that what decides by time can be run under a virtual
 * one. Monotonic nanoseconds from an arbitrary start. */
#ifndef EW_CLOCK_H
#define EW_CLOCK_H

#include <stdint.h>

struct ew_clock {
    uint64_t (*now_ns)(void *state);
    void *state; /* borrowed */
};

#define EW_NS_PER_S  1000000000u
#define EW_NS_PER_MS 1000000u

extern const struct ew_clock ew_clock_real;
static inline uint64_t ew_clock_now_ns(const struct ew_clock *clock)
{
    return clock->now_ns(clock->state);
}

#endif
