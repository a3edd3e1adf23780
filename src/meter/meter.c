/* meter.c - the door to the meters: calls go to the implementation that was opened. */
#include "meter/meter.h"

void ew_meter_mark(struct ew_meter *meter, enum ew_meter_phase phase, uint64_t now_ns)
{
    meter->ops->mark(meter, phase, now_ns);
}

void ew_meter_sample(struct ew_meter *meter, uint64_t now_ns)
{
    meter->ops->sample(meter, now_ns);
}

struct ew_energy ew_meter_between(const struct ew_meter *meter, uint64_t from_ns, uint64_t to_ns)
{
    return meter->ops->between(meter, from_ns, to_ns);
}

void ew_meter_close(struct ew_meter **meter)
{
    if (*meter)
        (*meter)->ops->close(*meter);
    *meter = NULL;
}
