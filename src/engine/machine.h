/* machine.h - what ew_machine_describe reads, from a tree of files of the caller's choice.
 *
 * For tests: a made tree stands for a container, a Raspberry Pi, an old kernel. */
#ifndef EW_MACHINE_H
#define EW_MACHINE_H

#include "edgewise.h"

/* `root` goes in front of /proc and /sys: "" is this machine. `cores` is what the scheduler allows;
 * the limits of control groups come off it. */
void ew_machine_describe_in(struct ew_machine *out, const char *root, int cores);

#endif
