/* probe.h - two loops that do nothing but touch a limit of the hardware: reading memory, and
 * multiplying 8-bit integers. The denominators of "percent of the limit". */
#ifndef EW_PROBE_H
#define EW_PROBE_H

#include "kernels/kernels.h"

enum { EW_PROBE_STRIDE = 512 }; /* read: what bytes must be a multiple of */

struct ew_probe {
    /* Reads all of [data, data + bytes) once, 64-byte aligned; the result depends on every byte. */
    uint64_t (*read)(const void *data, size_t bytes);
    /* Multiply-accumulates in registers, in chains that don't wait for each other; returns how
     * many it did, about `rounds` times a dozen vectors. */
    uint64_t (*int8)(int rounds);
};

void ew_probe_select(struct ew_probe *probe, enum ew_isa isa_max);

#endif
