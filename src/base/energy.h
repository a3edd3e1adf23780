/* energy.h - joules that know where they come from.
 *
 * A figure of energy without its kind is worthless: a module's rail, a wall meter and a data sheet
 * differ by factors. Unknown energy is NAN and kind EW_ENERGY_UNKNOWN, never 0. */
#ifndef EW_ENERGY_H
#define EW_ENERGY_H

#include <math.h>

/* A profile's name, its watts, the rail they include, and what was assumed: with room to spare. */
#define EW_ENERGY_SOURCE_MAX 224

enum ew_energy_kind {
    EW_ENERGY_UNKNOWN = 0,
    EW_ENERGY_MODELLED, /* watts of a device profile x time */
    EW_ENERGY_MEASURED  /* a sensor */
};

struct ew_energy {
    double joules; /* gross, idle included; NAN: unknown */
    enum ew_energy_kind kind;
    /* Which sensor and rail, or which profile, watts and assumptions: the meter's words, as long as
     * it is open. NULL: unknown, or nobody is to be told. */
    const char *source;
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
