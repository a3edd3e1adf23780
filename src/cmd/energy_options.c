/* energy_options.c - what commands leave unsaid of energy, and the meter that options mean. */
#include "cmd/energy_options.h"

#include "flow/usage.h"
#include "meter/meter_profile.h"

struct ew_energy_options ew_energy_options_default(void)
{
    return (struct ew_energy_options){.tariff_cents_per_kwh = EW_USAGE_TARIFF_CENTS_PER_KWH};
}

int ew_energy_open(struct ew_meter **gives, const struct ew_energy_options *options,
                   const char *model, struct ew_err *err)
{
    *gives = NULL;
    if (options->profile && options->watts > 0)
        return ew_fail(err, EW_EINVAL, "one of --profile and --watts");
    return ew_meter_open_profile(gives, options->profile, options->watts, model, err);
}
