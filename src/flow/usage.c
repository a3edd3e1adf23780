/* usage.c - tokens/s, reading speed, joules and cents of one answer. Unknown in, NAN out. */
#include "flow/usage.h"

#include "base/clock.h"

#define JOULES_PER_KWH 3.6e6

struct ew_usage ew_usage_none(void)
{
    return (struct ew_usage){.energy = EW_ENERGY_NONE, .cost_cents = NAN};
}

double ew_usage_prefill_tokens_per_s(const struct ew_usage *usage)
{
    if (usage->prefill_ns == 0 || usage->prompt_tokens <= usage->cached_tokens)
        return NAN;
    return (double)(usage->prompt_tokens - usage->cached_tokens) * EW_NS_PER_S /
           (double)usage->prefill_ns;
}

double ew_usage_decode_tokens_per_s(const struct ew_usage *usage)
{
    if (usage->decode_ns == 0 || usage->output_tokens < 2)
        return NAN;
    return (double)(usage->output_tokens - 1) * EW_NS_PER_S / (double)usage->decode_ns;
}

double ew_usage_ms_per_token(const struct ew_usage *usage)
{
    return 1e3 / ew_usage_decode_tokens_per_s(usage);
}

double ew_usage_total_s(const struct ew_usage *usage)
{
    if (usage->ttft_ns == 0)
        return NAN;
    return ((double)usage->ttft_ns + (double)usage->decode_ns) / EW_NS_PER_S;
}

double ew_usage_joules_per_token(const struct ew_usage *usage)
{
    return usage->output_tokens ? usage->energy.joules / usage->output_tokens : NAN;
}

double ew_usage_reading_multiple(double tokens_per_s, double tokens_per_word)
{
    if (!(tokens_per_word > 0))
        return NAN;
    return tokens_per_s / (EW_USAGE_READING_WPM / 60 * tokens_per_word);
}

double ew_usage_energy_cents(double joules, double tariff_cents_per_kwh)
{
    return joules / JOULES_PER_KWH * tariff_cents_per_kwh;
}

void ew_usage_set_energy(struct ew_usage *usage, const struct ew_energy *energy,
                         double tariff_cents_per_kwh)
{
    usage->energy = *energy;
    usage->cost_cents = ew_usage_energy_cents(energy->joules, tariff_cents_per_kwh);
}
