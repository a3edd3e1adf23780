/* place.h - what policy knows of one place that can answer: the built-in engine, a device, a cloud.
 *
 * Facts come from the configuration, states from whoever watches it, loads from the requests that
 * are under way (ew_place_begin … ew_place_end). Pure: the caller owns the memory, and tells the
 * time. One thread. */
#ifndef EW_PLACE_H
#define EW_PLACE_H

#include "flow/decision.h"
#include "policy/breaker.h"
#include "policy/limits.h"
#include "policy/speed.h"

#include <stdbool.h>

enum ew_place_kind { EW_PLACE_ENGINE, EW_PLACE_DEVICE, EW_PLACE_CLOUD };

/* X(NAME, word, routing weight): a busy device is still asked, when others are busier. */
#define EW_HEALTHS(X)                                                                              \
    X(UNKNOWN, "unknown", 0.5) /* not looked at yet: try it, rather than refuse */                 \
    X(HEALTHY, "healthy", 1.0)                                                                     \
    X(BUSY, "busy", 0.3)       /* says itself that it is full */                                   \
    X(WARMING, "warming", 0.1) /* loads a model */                                                 \
    X(UNHEALTHY, "unhealthy", 0.0)                                                                 \
    X(OFFLINE, "offline", 0.0)                                                                     \
    X(REFUSED, "refused", 0.0) /* 401, 403: our key is wrong */                                    \
    X(LEAVING, "leaving", 0.0) /* said so, or is configured no more */

enum ew_health {
#define X(name, word, weight) EW_HEALTH_##name,
    EW_HEALTHS(X)
#undef X
        EW_HEALTH_COUNT
};
const char *ew_health_name(enum ew_health health);
static inline double ew_health_weight(enum ew_health health)
{
    static const double weights[EW_HEALTH_COUNT] = {
#define X(name, word, weight) weight,
        EW_HEALTHS(X)
#undef X
    };
    return weights[health];
}

/* What every decision looks at lies together: among a thousand places, memory is what it costs. */
struct ew_place {
    enum ew_place_kind kind;
    enum ew_health health;
    uint32_t concurrency;                        /* requests at once; 0: no limit known */
    uint32_t running;                            /* ours, under way */
    uint32_t reported_running, reported_waiting; /* beyond ours, as it reports; 0 otherwise */
    double weight;                               /* 1 unless configured */
    uint64_t rests_until_ns;                     /* it said Retry-After; 0: it didn't */
    struct ew_breaker breaker;
    double temperature_c, battery; /* battery 0..1; NAN: unknown, or none */
    bool on_mains;                 /* meaningful where battery is known */
    double prompt_tokens_due;      /* of ours: not computed yet, as far as we know */
    double output_tokens_due;      /* of ours: expected and not seen yet */
    double watts_busy, watts_idle; /* gross; NAN: unknown */
    double tariff_cents_per_kwh;   /* of its electricity, for its windows of cents; NAN: unknown */
    struct ew_speed speed;         /* learned */
    struct ew_limits limits;       /* of this place: requests, tokens, joules, cents */
    uint64_t turn;                 /* round-robin: when it is its turn again */
    double input_cents, cached_cents, output_cents, fee_cents; /* cloud: a token, a request; NAN */
};

void ew_place_init(struct ew_place *place, enum ew_place_kind kind);

/* One request at a place, from its beginning to its end; the caller keeps it. */
struct ew_visit {
    struct ew_reservation reservation;
    double prompt_tokens, output_tokens; /* as predicted, still due at the place */
    double computed_tokens;              /* of its prompt, as predicted */
    double ahead_tokens;                 /* of others' prompts, still due when it began */
    uint64_t begun_ns, first_ns;
    uint32_t together; /* streams there, with this one, at its beginning */
    bool open;
};
/* What a request is predicted to be: in tokens, and what is reserved (the most it may become). */
struct ew_forecast {
    double prompt_tokens;     /* all of them, the cached too */
    double cached_tokens;     /* expected to be known there already */
    double output_tokens;     /* expected */
    double output_tokens_max; /* reserved */
};

/* What a request of that forecast would take there, at the most: for its windows. Unknown joules
 * and cents count as 0 in windows, for nothing better is known. */
struct ew_amounts ew_place_amounts(const struct ew_place *place,
                                   const struct ew_forecast *forecast);

/* Predicted by speed, watts and prices, with what is under way there; unknown: NAN. Requests that
 * it reports beyond ours are taken to be like this one, those that run to be half done. */
struct ew_prediction {
    double ttft_s, total_s;
    double work_s;      /* until it would have done all it has, and this */
    double joules;      /* gross, of its share of the place's time */
    double joules_more; /* than the place would draw idle (all, where idle watts are unknown) */
    double cents;       /* cloud: by its prices; device: joules by the tariff */
};
void ew_place_predict(const struct ew_place *place, const struct ew_forecast *forecast,
                      double tariff_cents_per_kwh, struct ew_prediction *out);
double ew_place_ttft_s(const struct ew_place *place, const struct ew_forecast *forecast);
double ew_place_total_s(const struct ew_place *place, const struct ew_forecast *forecast);
double ew_place_joules(const struct ew_place *place, const struct ew_forecast *forecast);
double ew_place_cents(const struct ew_place *place, const struct ew_forecast *forecast,
                      double tariff_cents_per_kwh);
/* Whether its answers have told its speed yet. */
bool ew_place_speed_known(const struct ew_place *place);
/* How long until one of its running requests has ended, as predicted: 0 where that isn't known. */
uint64_t ew_place_frees_ns(const struct ew_place *place);

/* False: a limit is reached after all (decide looked at it before): nothing was begun. */
bool ew_place_begin(struct ew_place *place, const struct ew_forecast *forecast, uint64_t now_ns,
                    struct ew_visit *visit);
/* Its first token came; not called for an answer that comes whole at its end. */
void ew_place_first(struct ew_place *place, struct ew_visit *visit, uint64_t now_ns);
/* So many tokens more were seen, the first among them. */
void ew_place_token(struct ew_place *place, struct ew_visit *visit, uint32_t tokens);
/* What it took in the end. NAN: unknown; the windows then keep what was reserved, but for joules
 * and cents of no tokens at all: what was never answered cost nothing. */
struct ew_visit_actual {
    enum ew_outcome outcome;
    double prompt_tokens, cached_tokens, output_tokens, joules, cents;
};
/* Settles the windows, teaches the speed (good answers only), tells the breaker. A visit that isn't
 * open is fine. */
void ew_place_end(struct ew_place *place, struct ew_visit *visit,
                  const struct ew_visit_actual *actual, uint64_t now_ns);
/* 429, or 503 with Retry-After: nothing goes there for so long, at most EW_PLACE_REST_NS_MAX. */
#define EW_PLACE_REST_NS_MAX 3600000000000ull
void ew_place_rest(struct ew_place *place, uint64_t wait_ns, uint64_t now_ns);

#endif
