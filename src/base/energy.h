/* energy.h - joules that know where they come from.
 *
 * A figure of energy without its kind is worthless: a module's rail, a wall meter and a data sheet
 * differ by factors. Unknown energy is NAN and kind EW_ENERGY_UNKNOWN, never 0. */
#ifndef EW_ENERGY_H
#define EW_ENERGY_H

#include <math.h>

enum ew_energy_kind {
    EW_ENERGY_UNKNOWN = 0,
    EW_ENERGY_MODELLED, /* watts of a device profile x time */
    EW_ENERGY_MEASURED  /* a sensor */
};

struct ew_energy {
    double joules; /* gross, idle included; NAN: unknown */
    enum ew_energy_kind kind;
    char source[96]; /* which sensor and rail, or which profile and watts; "" when unknown */
};

#define EW_ENERGY_NONE ((struct ew_energy){.joules = NAN})

/* As JSON and tables spell it. */
static inline const char *ew_energy_kind_name(enum ew_energy_kind kind)
{
    return kind == EW_ENERGY_MEASURED   ? "measured"
           : kind == EW_ENERGY_MODELLED ? "modelled"
                                        : "unknown";
}

#endif
