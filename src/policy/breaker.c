/* breaker.c - closed, open, half open. */
#include "policy/breaker.h"

enum { OUTCOMES = (1u << EW_BREAKER_WINDOW) - 1 };

void ew_breaker_init(struct ew_breaker *breaker)
{
    *breaker = (struct ew_breaker){.rest_ns = EW_BREAKER_REST_NS};
}

uint64_t ew_breaker_wait_ns(const struct ew_breaker *breaker, uint64_t now_ns)
{
    bool rests = breaker->state == EW_BREAKER_OPEN && breaker->until_ns > now_ns;
    return rests ? breaker->until_ns - now_ns : 0;
}

void ew_breaker_began(struct ew_breaker *breaker)
{
    if (breaker->state == EW_BREAKER_HALF_OPEN)
        breaker->trial = true;
}

static void open_up(struct ew_breaker *breaker, uint64_t now_ns)
{
    breaker->state = EW_BREAKER_OPEN;
    breaker->trial = false;
    breaker->until_ns = now_ns + breaker->rest_ns;
    breaker->rest_ns *= 2;
    if (breaker->rest_ns > EW_BREAKER_REST_NS_MAX)
        breaker->rest_ns = EW_BREAKER_REST_NS_MAX;
}

void ew_breaker_ended(struct ew_breaker *breaker, enum ew_outcome outcome, uint64_t now_ns)
{
    bool failed = outcome == EW_OUTCOME_FAILED;
    switch (breaker->state) {
    case EW_BREAKER_CLOSED:
        if (outcome == EW_OUTCOME_CANCELLED)
            break;
        breaker->outcomes = (breaker->outcomes << 1 | failed) & OUTCOMES;
        if (__builtin_popcount(breaker->outcomes) >= EW_BREAKER_FAILURES)
            open_up(breaker, now_ns);
        break;
    case EW_BREAKER_OPEN:
        /* Begun before it opened: more of the same fault doesn't make the rest longer, and what
         * went well then says nothing of now. */
        break;
    case EW_BREAKER_HALF_OPEN:
        breaker->trial = false;
        if (failed)
            open_up(breaker, now_ns);
        else if (outcome != EW_OUTCOME_CANCELLED)
            ew_breaker_init(breaker);
        break;
    }
}

const char *ew_breaker_state_name(enum ew_breaker_state state)
{
    static const char *const names[] = {"closed", "open", "half-open"};
    return names[state];
}
