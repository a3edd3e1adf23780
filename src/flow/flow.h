/* flow.h - the plain structs that travel between the rooms.
 *
 *     bytes -> request -> decision -> job -> tokens -> record -> figure
 *
 * They hold data only: no I/O, no pointers into a subsystem. What isn't known is NAN or, for a
 * time, 0: never a made-up figure. */
#ifndef EW_FLOW_H
#define EW_FLOW_H

#include "base/energy.h"

#include <stdbool.h>
#include <stdint.h>

/* What one answer took. Times are durations by one clock (struct ew_clock). */
struct ew_usage {
    uint32_t prompt_tokens; /* as the model saw them, template and BOS included */
    uint32_t cached_tokens; /* of these, not computed again */
    uint32_t output_tokens;
    bool estimated;      /* nobody told the counts of tokens: they are guessed */
    uint64_t ttft_ns;    /* request sent -> first content token; 0: no token came */
    uint64_t prefill_ns; /* computing the prompt */
    uint64_t decode_ns;  /* first token -> last token: output_tokens - 1 steps */
    struct ew_energy energy;
    double cost_cents; /* edge: joules x tariff; cloud: price table; NAN: unknown */
};

#endif
