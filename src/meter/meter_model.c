/* meter_model.c - watts of a device profile x the time spent in each phase.
 *
 * Only as good as the profile: it ignores load, temperature and the ramp of the first seconds (on
 * AGX Orin power settles with a time constant near 1.5 s), so a short answer is overestimated. */
#include "meter/meter.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

/* Above any edge device: a profile beyond it has a wrong unit. */
#define WATTS_MAX 10000.0

struct model {
    struct ew_meter meter; /* first: a model is a meter */
    struct ew_meter_watts watts;
    struct {
        uint64_t at_ns;
        enum ew_meter_phase phase;
    } marks[EW_METER_MARKS_MAX]; /* ring; the newest is marks[(count - 1) % MAX] */
    size_t count;
};

static void mark(struct ew_meter *meter, enum ew_meter_phase phase, uint64_t now_ns)
{
    struct model *model = (struct model *)meter;
    size_t at = model->count++ % EW_METER_MARKS_MAX;
    model->marks[at].at_ns = now_ns;
    model->marks[at].phase = phase;
}

static void sample(struct ew_meter *meter, uint64_t now_ns)
{
    (void)meter, (void)now_ns;
}

static struct ew_energy between(const struct ew_meter *meter, uint64_t from_ns, uint64_t to_ns)
{
    const struct model *model = (const struct model *)meter;
    double joules = 0;
    uint64_t end = to_ns;
    size_t kept = model->count < EW_METER_MARKS_MAX ? model->count : EW_METER_MARKS_MAX;
    for (size_t i = 0; i < kept && end > from_ns; i++) {
        size_t at = (model->count - 1 - i) % EW_METER_MARKS_MAX;
        uint64_t begin = model->marks[at].at_ns > from_ns ? model->marks[at].at_ns : from_ns;
        if (begin >= end)
            continue;
        joules += model->watts.watts[model->marks[at].phase] * (double)(end - begin) / EW_NS_PER_S;
        end = begin;
    }
    if (end > from_ns || isnan(joules))
        return EW_ENERGY_NONE; /* some of that time was before the first mark, or without watts */
    return (struct ew_energy){
        .joules = joules, .kind = EW_ENERGY_MODELLED, .source = meter->source};
}

static void close_model(struct ew_meter *meter)
{
    free(meter);
}

int ew_meter_open_model(struct ew_meter **gives, const char *source,
                        const struct ew_meter_watts *watts, struct ew_err *err)
{
    static const struct ew_meter_ops ops = {mark, sample, between, close_model};
    for (int i = 0; i < EW_METER_PHASES; i++)
        if (watts->watts[i] < 0 || watts->watts[i] > WATTS_MAX)
            return ew_fail(err, EW_EINVAL, "%s: %g watts, from 0 to %g is allowed", source,
                           watts->watts[i], WATTS_MAX);
    struct model *model = calloc(1, sizeof *model);
    if (!model)
        return ew_fail(err, EW_ENOMEM, "no memory for a meter");
    model->meter.ops = &ops;
    model->meter.kind = EW_ENERGY_MODELLED;
    snprintf(model->meter.source, sizeof model->meter.source, "%s", source);
    model->watts = *watts;
    *gives = &model->meter;
    return 0;
}
