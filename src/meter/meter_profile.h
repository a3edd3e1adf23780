/* meter_profile.h - a meter for one model, from a device profile or a number of watts. */
#ifndef EW_METER_PROFILE_H
#define EW_METER_PROFILE_H

#include "meter/meter.h"

/* `profile`: a name, as "n150", or a YAML file; NULL: none. `watts`: at all times; 0: not given.
 * Without either the meter knows nothing, and says so. `model` is a catalog name or a path:
 * profiles know models by name. The meter's source names what was assumed. */
int ew_meter_open_profile(struct ew_meter **gives, const char *profile, double watts,
                          const char *model, struct ew_err *err);

#endif
