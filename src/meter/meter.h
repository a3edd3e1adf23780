/* meter.h - what a piece of work took in joules, from a sensor, a model, or not at all.
 *
 *     ew_meter_open_model(&meter, "profile n150: 26.4 W decode", &watts, &err);
 *     ew_meter_mark(meter, EW_METER_PREFILL, t0);
 *     ew_meter_mark(meter, EW_METER_DECODE, t1);
 *     ew_meter_mark(meter, EW_METER_IDLE, t2);
 *     energy = ew_meter_between(meter, t0, t2);
 *
 * Stamps are nanoseconds by the caller's ew_clock and never go back; a meter reads no clock of its
 * own. Marks tell which phase begins: a model needs them, a sensor takes them as moments to read
 * at. Between marks a sensor wants ew_meter_sample every few milliseconds (10 to 100 Hz: slower
 * sampling of short answers was up to 80 % wrong, arXiv 2206.10377); a model ignores it. A meter
 * keeps the last EW_METER_MARKS_MAX marks; asked about time before them it says unknown. One
 * thread at a time. */
#ifndef EW_METER_H
#define EW_METER_H

#include "base/energy.h"
#include "base/err.h"

enum ew_meter_phase { EW_METER_IDLE, EW_METER_PREFILL, EW_METER_DECODE, EW_METER_PHASES };

/* A conversation of 512 turns; older answers have been asked about long before. */
#define EW_METER_MARKS_MAX 2048

struct ew_meter;

/* What an implementation is; for meter_*.c only. */
struct ew_meter_ops {
    void (*mark)(struct ew_meter *meter, enum ew_meter_phase phase, uint64_t now_ns);
    void (*sample)(struct ew_meter *meter, uint64_t now_ns);
    struct ew_energy (*between)(const struct ew_meter *meter, uint64_t from_ns, uint64_t to_ns);
    void (*close)(struct ew_meter *meter);
};

struct ew_meter {
    const struct ew_meter_ops *ops;
    enum ew_energy_kind kind;
    char source[EW_ENERGY_SOURCE_MAX]; /* sensor and rail, or profile and watts */
};

/* Watts by phase, indexed by ew_meter_phase; NAN: the profile doesn't say. Time spent in a phase
 * whose watts aren't known makes the energy unknown. `source` is what the energy will say of
 * itself: where the watts come from, and what was assumed. */
struct ew_meter_watts {
    double watts[EW_METER_PHASES];
};
int ew_meter_open_model(struct ew_meter **gives, const char *source,
                        const struct ew_meter_watts *watts, struct ew_err *err);
/* Knows nothing, says so. */
int ew_meter_open_null(struct ew_meter **gives, struct ew_err *err);

void ew_meter_mark(struct ew_meter *meter, enum ew_meter_phase phase, uint64_t now_ns);
void ew_meter_sample(struct ew_meter *meter, uint64_t now_ns);
struct ew_energy ew_meter_between(const struct ew_meter *meter, uint64_t from_ns, uint64_t to_ns);
void ew_meter_close(struct ew_meter **meter);

#endif
