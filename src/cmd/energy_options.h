/* energy_options.h - the options of every command that says what an answer took in joules and
 * cents, and the meter that follows from them. */
#ifndef EW_ENERGY_OPTIONS_H
#define EW_ENERGY_OPTIONS_H

#include "base/args.h"
#include "meter/meter.h"

struct ew_energy_options {
    const char *profile; /* NULL: none */
    double watts;        /* 0: not given */
    double tariff_cents_per_kwh;
};

struct ew_energy_options ew_energy_options_default(void);

/* Rows for a command's option table. */
#define EW_ENERGY_OPTIONS(o)                                                                       \
    {"profile", 'P', "NAME",                                                                       \
     "model energy by a device profile: a name, as n150, or a YAML\n"                              \
     "file; without it, energy is unknown",                                                        \
     .text = &(o)->profile},                                                                       \
        {"watts",                                                                                  \
         'W',                                                                                      \
         "X",                                                                                      \
         "or: model energy by this many watts at all times",                                       \
         .f64 = &(o)->watts,                                                                       \
         .min = 1e-3,                                                                              \
         .max = 1e4},                                                                              \
    {                                                                                              \
        "tariff-cents-per-kwh", 0, "C", "price of electricity (25)",                               \
            .f64 = &(o)->tariff_cents_per_kwh, .min = 0, .max = 1e6                                \
    }

/* A meter for `model` (a catalog name or a path: profiles know models by name) as the options say;
 * without any it is the one that knows nothing. Its source names what was assumed. */
int ew_energy_open(struct ew_meter **gives, const struct ew_energy_options *options,
                   const char *model, struct ew_err *err);

#endif
