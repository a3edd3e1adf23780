/* condition.h - how a device is: how hot, how charged, on mains or not; as Linux tells in sysfs.
 *
 * Read when somebody asks (a front's look, every few seconds): a few small files. What a machine
 * doesn't tell is NAN; a virtual machine tells nothing. The hottest zone that names a processor
 * counts, else the hottest of all: throttling starts there. */
#ifndef EW_CONDITION_H
#define EW_CONDITION_H

#include <stdbool.h>

struct ew_condition {
    double temperature_c; /* NAN: not told */
    double battery;       /* 0..1, of all batteries together; NAN: there is none */
    bool on_mains;        /* true also where there is no battery */
};

/* root: "/sys", or a tree made for a test. */
struct ew_condition ew_condition_read(const char *root);

#endif
