/* breaker.h - a place that keeps failing rests, and is tried again with one request.
 *
 * Closed: requests go through; EW_BREAKER_FAILURES transport failures, 5xx or stalls among the last
 * EW_BREAKER_WINDOW outcomes open it. Open: nothing goes through for a rest, doubled by each
 * trial that fails, from EW_BREAKER_REST_NS to EW_BREAKER_REST_NS_MAX. Half open: one trial.
 * 429 doesn't trip it: that place is well, and busy (ew_place_rest). Pure. */
#ifndef EW_BREAKER_H
#define EW_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

enum { EW_BREAKER_FAILURES = 3, EW_BREAKER_WINDOW = 8 };
#define EW_BREAKER_REST_NS     5000000000ull
#define EW_BREAKER_REST_NS_MAX 120000000000ull

enum ew_breaker_state { EW_BREAKER_CLOSED, EW_BREAKER_OPEN, EW_BREAKER_HALF_OPEN };

struct ew_breaker {
    enum ew_breaker_state state;
    uint32_t outcomes; /* the latest, a bit each, 1: failed */
    uint64_t until_ns; /* open: the end of its rest */
    uint64_t rest_ns;  /* of the next opening */
    bool trial;        /* half open: one is under way */
};

void ew_breaker_init(struct ew_breaker *breaker);
/* May a request go there now? Changes nothing but open to half open when its time has come. */
static inline bool ew_breaker_admits(struct ew_breaker *breaker, uint64_t now_ns)
{
    if (breaker->state == EW_BREAKER_OPEN && now_ns >= breaker->until_ns)
        breaker->state = EW_BREAKER_HALF_OPEN;
    return breaker->state == EW_BREAKER_CLOSED ||
           (breaker->state == EW_BREAKER_HALF_OPEN && !breaker->trial);
}
uint64_t ew_breaker_wait_ns(const struct ew_breaker *breaker, uint64_t now_ns);
void ew_breaker_began(struct ew_breaker *breaker); /* a request goes there: maybe the trial */
enum ew_outcome {
    EW_OUTCOME_GOOD,
    EW_OUTCOME_FAILED,   /* of transport, 5xx, stall, nonsense */
    EW_OUTCOME_BUSY,     /* 429, or 503 with Retry-After: it is well */
    EW_OUTCOME_CANCELLED /* by us or the client: says nothing */
};
void ew_breaker_ended(struct ew_breaker *breaker, enum ew_outcome outcome, uint64_t now_ns);
const char *ew_breaker_state_name(enum ew_breaker_state state);

#endif
