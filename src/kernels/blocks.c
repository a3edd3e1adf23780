/* blocks.c - the table of weight types that edgewise computes with, by GGUF's type number. */
#include "kernels/blocks.h"

static const struct ew_type_info types[EW_TYPE_COUNT] = {
#define X(name, id, weights, bytes) [id] = {#name, weights, bytes},
    EW_TYPES(X)
#undef X
};

const struct ew_type_info *ew_type_describe(uint32_t type)
{
    return type < EW_TYPE_COUNT && types[type].name ? &types[type] : NULL;
}
