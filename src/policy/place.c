/* place.c - predictions for one place, and visits to it. */
#include "policy/place.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "flow/usage.h"

/* Fewer tokens than these tell no rate: the first intervals are uneven. */
enum { DECODE_TOKENS_MIN = 4 };

/* A prompt token's time by that of an output token, assumed until first tokens were seen: prompts
 * are computed many tokens at once, by whoever answers. */
#define PREFILL_SHARE 0.1

const char *ew_health_name(enum ew_health health)
{
    static const char *const names[EW_HEALTH_COUNT] = {
#define X(name, word, weight) word,
        EW_HEALTHS(X)
#undef X
    };
    return names[health];
}

void ew_place_init(struct ew_place *place, enum ew_place_kind kind)
{
    *place = (struct ew_place){
        .kind = kind,
        .weight = 1,
        .watts_busy = NAN,
        .watts_idle = NAN,
        .tariff_cents_per_kwh = NAN,
        .input_cents = NAN,
        .cached_cents = NAN,
        .output_cents = NAN,
        .fee_cents = NAN,
        .temperature_c = NAN,
        .battery = NAN,
    };
    ew_breaker_init(&place->breaker);
    ew_speed_init(&place->speed);
    ew_limits_init(&place->limits);
}

/* ---- predictions ---- */

/* Without calls of fmax, which are some in each of a thousand places. */
static double at_least_0(double x)
{
    return x < 0 ? 0 : x;
}

/* Streams that are answered together when one more is there. A cloud is as wide as it needs. */
static double together_with_one_more(const struct ew_place *place)
{
    if (place->kind == EW_PLACE_CLOUD)
        return 1;
    return 1 + (double)place->running + (double)place->reported_running;
}

static double token_cents(const struct ew_place *place, const struct ew_forecast *f,
                          double output_tokens)
{
    double cached_cents = isnan(place->cached_cents) ? place->input_cents : place->cached_cents;
    return (f->prompt_tokens - f->cached_tokens) * place->input_cents +
           f->cached_tokens * cached_cents + output_tokens * place->output_cents + place->fee_cents;
}

static double tariff_of(const struct ew_place *place, double otherwise)
{
    return isnan(place->tariff_cents_per_kwh) ? otherwise : place->tariff_cents_per_kwh;
}

static void predict_cloud(const struct ew_place *place, const struct ew_forecast *f,
                          struct ew_prediction *out)
{
    double decode_s = f->output_tokens * ew_speed_decode_s_per_token(&place->speed, 1);
    out->ttft_s = ew_speed_ttft_s(&place->speed, 0);
    out->total_s = out->work_s = out->ttft_s + decode_s;
    out->joules = out->joules_more = NAN;
    out->cents = token_cents(place, f, f->output_tokens);
}

void ew_place_predict(const struct ew_place *place, const struct ew_forecast *forecast,
                      double tariff_cents_per_kwh, struct ew_prediction *out)
{
    const struct ew_forecast *f = forecast;
    if (place->kind == EW_PLACE_CLOUD) {
        predict_cloud(place, f, out);
        return;
    }
    double together = together_with_one_more(place);
    double prefill_s = ew_speed_prefill_s_per_token(&place->speed);
    double decode_s = ew_speed_decode_s_per_token(&place->speed, together);
    double computed = at_least_0(f->prompt_tokens - f->cached_tokens);
    /* What the place's whole time is used for: of streams together each has its part. */
    double part_s = decode_s / together;
    double share_s = computed * prefill_s + f->output_tokens * part_s;
    double due = place->output_tokens_due + place->reported_running * f->output_tokens / 2;
    out->ttft_s = ew_speed_ttft_s(&place->speed, place->prompt_tokens_due + computed) +
                  place->reported_waiting * share_s;
    out->total_s = out->ttft_s + f->output_tokens * decode_s;
    out->work_s = out->ttft_s + (due + f->output_tokens) * part_s;
    out->joules = place->watts_busy * share_s;
    out->joules_more =
        isnan(place->watts_idle) ? out->joules : (place->watts_busy - place->watts_idle) * share_s;
    out->cents = ew_usage_energy_cents(out->joules, tariff_of(place, tariff_cents_per_kwh));
}

double ew_place_ttft_s(const struct ew_place *place, const struct ew_forecast *forecast)
{
    struct ew_prediction p;
    ew_place_predict(place, forecast, NAN, &p);
    return p.ttft_s;
}

double ew_place_total_s(const struct ew_place *place, const struct ew_forecast *forecast)
{
    struct ew_prediction p;
    ew_place_predict(place, forecast, NAN, &p);
    return p.total_s;
}

double ew_place_joules(const struct ew_place *place, const struct ew_forecast *forecast)
{
    struct ew_prediction p;
    ew_place_predict(place, forecast, NAN, &p);
    return p.joules;
}

double ew_place_cents(const struct ew_place *place, const struct ew_forecast *forecast,
                      double tariff_cents_per_kwh)
{
    struct ew_prediction p;
    ew_place_predict(place, forecast, tariff_cents_per_kwh, &p);
    return p.cents;
}

static void add_power(const struct ew_place *place, const struct ew_forecast *forecast,
                      struct ew_amounts *amounts)
{
    const struct ew_forecast most = {.prompt_tokens = forecast->prompt_tokens,
                                     .output_tokens = forecast->output_tokens_max};
    struct ew_prediction p;
    ew_place_predict(place, &most, NAN, &p);
    amounts->of[EW_LIMIT_JOULES] = isnan(p.joules) ? 0 : p.joules;
    amounts->of[EW_LIMIT_CENTS] = isnan(p.cents) ? 0 : p.cents;
}

struct ew_amounts ew_place_amounts(const struct ew_place *place, const struct ew_forecast *forecast)
{
    struct ew_amounts amounts = {
        .of = {[EW_LIMIT_REQUESTS] = 1,
               [EW_LIMIT_TOKENS] = forecast->prompt_tokens + forecast->output_tokens_max}};
    for (unsigned i = 0; i < place->limits.count; i++)
        if (place->limits.limits[i].kind >= EW_LIMIT_JOULES) {
            add_power(place, forecast, &amounts);
            break;
        }
    return amounts;
}

bool ew_place_speed_known(const struct ew_place *place)
{
    return !isnan(place->speed.first.at_zero) && !isnan(place->speed.decode.at_zero);
}

uint64_t ew_place_frees_ns(const struct ew_place *place)
{
    /* All its work, in turns as it were: the first of n ends after an n-th of it. */
    double n = place->running;
    double work_s =
        place->prompt_tokens_due * ew_speed_prefill_s_per_token(&place->speed) +
        place->output_tokens_due * ew_speed_decode_s_per_token(&place->speed, n) / (n > 1 ? n : 1);
    double free_s = work_s / n;
    /* NAN fails both. */
    return free_s > 0 && free_s < INT32_MAX ? (uint64_t)(free_s * EW_NS_PER_S) + 1 : 0;
}

/* ---- visits ---- */

bool ew_place_begin(struct ew_place *place, const struct ew_forecast *forecast, uint64_t now_ns,
                    struct ew_visit *visit)
{
    const struct ew_amounts amounts = ew_place_amounts(place, forecast);
    struct ew_limits_refusal refusal;
    memset(visit, 0, sizeof *visit);
    if (!ew_limits_reserve(&place->limits, &amounts, now_ns, &visit->reservation, &refusal))
        return false;
    ew_breaker_began(&place->breaker);
    visit->computed_tokens = at_least_0(forecast->prompt_tokens - forecast->cached_tokens);
    visit->ahead_tokens = place->prompt_tokens_due;
    visit->prompt_tokens = visit->computed_tokens;
    visit->output_tokens = at_least_0(forecast->output_tokens);
    visit->begun_ns = now_ns;
    visit->open = true;
    place->prompt_tokens_due += visit->prompt_tokens;
    place->output_tokens_due += visit->output_tokens;
    visit->together = ++place->running + place->reported_running;
    return true;
}

void ew_place_first(struct ew_place *place, struct ew_visit *visit, uint64_t now_ns)
{
    if (!visit->open || visit->first_ns)
        return;
    visit->first_ns = now_ns;
    place->prompt_tokens_due = at_least_0(place->prompt_tokens_due - visit->prompt_tokens);
    visit->prompt_tokens = 0;
}

static void output_came(struct ew_place *place, struct ew_visit *visit, double tokens)
{
    tokens = tokens < visit->output_tokens ? tokens : visit->output_tokens;
    visit->output_tokens -= tokens;
    place->output_tokens_due = at_least_0(place->output_tokens_due - tokens);
}

void ew_place_token(struct ew_place *place, struct ew_visit *visit, uint32_t tokens)
{
    if (visit->open)
        output_came(place, visit, tokens);
}

/* ---- what an answer teaches ---- */

static double seconds(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (double)(to_ns - from_ns) / EW_NS_PER_S : NAN;
}

static double known_or(double value, double otherwise)
{
    return isnan(value) ? otherwise : value;
}

/* An answer that came whole tells one time for two figures: they are taken to have the ratio that
 * they are known to have, or an assumed one. */
static void teach_whole(struct ew_place *place, double prompt_tokens, double output_tokens,
                        double total_s, double together)
{
    struct ew_speed *speed = &place->speed;
    double ttft_s = ew_speed_ttft_s(speed, prompt_tokens);
    double decode_s = ew_speed_decode_s_per_token(speed, together);
    if (isnan(ttft_s) || isnan(decode_s)) {
        decode_s = 1;
        ttft_s = PREFILL_SHARE * prompt_tokens;
    }
    double scale = total_s / (ttft_s + output_tokens * decode_s);
    ew_speed_note(speed, prompt_tokens, ttft_s * scale, decode_s * scale, together);
}

static void teach(struct ew_place *place, const struct ew_visit *visit,
                  const struct ew_visit_actual *actual, uint64_t now_ns)
{
    /* A cloud's first token doesn't depend on the prompt, nor its speed on our other streams. */
    bool cloud = place->kind == EW_PLACE_CLOUD;
    double own = actual->prompt_tokens - known_or(actual->cached_tokens, 0);
    double prompt_tokens =
        cloud ? 0 : visit->ahead_tokens + at_least_0(known_or(own, visit->computed_tokens));
    double now_together = place->running + 1.0 + place->reported_running;
    double together = cloud ? 1 : (visit->together + now_together) / 2;
    double output_tokens = actual->output_tokens;
    if (!visit->first_ns) {
        if (output_tokens >= DECODE_TOKENS_MIN)
            teach_whole(place, prompt_tokens, output_tokens, seconds(visit->begun_ns, now_ns),
                        together);
        return;
    }
    double decode_s = output_tokens >= DECODE_TOKENS_MIN
                          ? seconds(visit->first_ns, now_ns) / (output_tokens - 1)
                          : NAN;
    ew_speed_note(&place->speed, prompt_tokens, seconds(visit->begun_ns, visit->first_ns), decode_s,
                  together);
}

void ew_place_end(struct ew_place *place, struct ew_visit *visit,
                  const struct ew_visit_actual *actual, uint64_t now_ns)
{
    if (!visit->open)
        return;
    visit->open = false;
    output_came(place, visit, visit->output_tokens);
    place->prompt_tokens_due = at_least_0(place->prompt_tokens_due - visit->prompt_tokens);
    if (--place->running == 0) /* a rest of rounding doesn't stay */
        place->prompt_tokens_due = place->output_tokens_due = 0;
    const double *reserved = visit->reservation.amounts.of;
    bool nothing = actual->prompt_tokens + actual->output_tokens == 0;
    const struct ew_amounts settled = {
        .of = {
            [EW_LIMIT_REQUESTS] = reserved[EW_LIMIT_REQUESTS],
            [EW_LIMIT_TOKENS] =
                known_or(actual->prompt_tokens + actual->output_tokens, reserved[EW_LIMIT_TOKENS]),
            [EW_LIMIT_JOULES] = known_or(actual->joules, nothing ? 0 : reserved[EW_LIMIT_JOULES]),
            [EW_LIMIT_CENTS] = known_or(actual->cents, nothing ? 0 : reserved[EW_LIMIT_CENTS])}};
    ew_limits_settle(&place->limits, &visit->reservation, &settled, now_ns);
    if (actual->outcome == EW_OUTCOME_GOOD)
        teach(place, visit, actual, now_ns);
    ew_breaker_ended(&place->breaker, actual->outcome, now_ns);
}

void ew_place_rest(struct ew_place *place, uint64_t wait_ns, uint64_t now_ns)
{
    uint64_t until_ns = now_ns + (wait_ns < EW_PLACE_REST_NS_MAX ? wait_ns : EW_PLACE_REST_NS_MAX);
    if (until_ns > place->rests_until_ns)
        place->rests_until_ns = until_ns;
}
