/* meter_profile.c - from a profile's name or a number of watts to a meter that says which. */
#include "meter/meter_profile.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "flow/profile.h"

/* "models/smollm2-135m.gguf" is smollm2-135m to a profile. */
static void model_name(const char *model, char *name, size_t size)
{
    const char *slash = strrchr(model, '/'), *base = slash ? slash + 1 : model;
    size_t bytes = strlen(base), suffix = strlen(".gguf");
    if (bytes > suffix && strcmp(base + bytes - suffix, ".gguf") == 0)
        bytes -= suffix;
    snprintf(name, size, "%.*s", (int)bytes, base);
}

static int open_profile(struct ew_meter **gives, const char *name, const char *model,
                        struct ew_err *err)
{
    struct ew_profile *profile = NULL;
    char base[128], source[EW_ENERGY_SOURCE_MAX];
    int failed = ew_profile_open(&profile, name, err);
    if (failed)
        return failed;
    model_name(model, base, sizeof base);
    struct ew_profile_power power = ew_profile_power(profile, base);
    struct ew_meter_watts watts = {{[EW_METER_IDLE] = power.idle,
                                    [EW_METER_PREFILL] = power.prefill,
                                    [EW_METER_DECODE] = power.decode}};
    if (power.prefill_is_decode)
        snprintf(source, sizeof source,
                 "profile %.40s: %.3g W decode, prefill assumed to draw the same; %s",
                 profile->name, power.decode, power.how);
    else
        snprintf(source, sizeof source, "profile %.40s: %.3g W prefill, %.3g W decode; %s",
                 profile->name, power.prefill, power.decode, power.how);
    if (isnan(power.decode))
        fprintf(stderr, "edgewise: profile %s tells no watts: energy stays unknown\n",
                profile->name);
    ew_profile_close(&profile);
    return ew_meter_open_model(gives, source, &watts, err);
}

int ew_meter_open_profile(struct ew_meter **gives, const char *profile, double watts,
                          const char *model, struct ew_err *err)
{
    char source[EW_ENERGY_SOURCE_MAX];
    *gives = NULL;
    if (profile)
        return open_profile(gives, profile, model, err);
    if (!(watts > 0))
        return ew_meter_open_null(gives, err);
    snprintf(source, sizeof source, "%g W given", watts);
    return ew_meter_open_model(gives, source, &(struct ew_meter_watts){{watts, watts, watts}}, err);
}
