/* blocks.c - the table of weight types that edgewise computes with, by GGUF's type number, and the
 * look at a file's numbers before they are used.
 *
 * A float isn't finite where its exponent is all ones. Adding one to such an exponent carries into
 * the sign bit, so a loop of adds and ors finds any, without a branch for each. */
#include "kernels/blocks.h"

#include <string.h>

static const struct ew_type_info types[EW_TYPE_COUNT] = {
#define X(name, id, weights, bytes) [id] = {#name, weights, bytes},
    EW_TYPES(X)
#undef X
};

const struct ew_type_info *ew_type_describe(uint32_t type)
{
    return type < EW_TYPE_COUNT && types[type].name ? &types[type] : NULL;
}

enum {
    F16_EXPONENT = 0x7c00,
    F16_ONE = 0x0400,
    BF16_EXPONENT = 0x7f80,
    BF16_ONE = 0x0080,
    F32_EXPONENT = 0x7f800000,
    F32_ONE = 0x00800000,
    TWO = 0x00010001 /* times a constant of 16 bits: for both halves of a word */
};

static bool finite_16(const uint8_t *src, size_t n, size_t stride, unsigned exponent, unsigned one)
{
    unsigned carry = 0;
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, src + i * stride, sizeof h);
        carry |= (h & exponent) + one;
    }
    return !(carry & (exponent + one));
}

/* Words of 32 bits: floats, or two half floats side by side. */
static bool finite_32(const uint8_t *src, size_t n, size_t stride, uint32_t exponent, uint32_t one)
{
    uint32_t carry = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t f;
        memcpy(&f, src + i * stride, sizeof f);
        carry |= (f & exponent) + one;
    }
    return !(carry & (exponent + one));
}

bool ew_blocks_finite(enum ew_type type, const void *src, size_t n)
{
    const struct ew_type_info *info = ew_type_describe(type);
    const uint8_t *at = src;
    size_t blocks = n / (size_t)info->weights, bytes = (size_t)info->bytes;
    switch (type) {
    case EW_TYPE_F32:
        return finite_32(at, n, bytes, F32_EXPONENT, F32_ONE);
    case EW_TYPE_BF16:
        return finite_16(at, n, bytes, BF16_EXPONENT, BF16_ONE);
    case EW_TYPE_Q6_K:
        at += offsetof(struct ew_block_q6_k, d);
        return finite_16(at, blocks, bytes, F16_EXPONENT, F16_ONE);
    case EW_TYPE_Q4_1: /* d and m, d and dmin stand side by side */
    case EW_TYPE_Q5_1:
    case EW_TYPE_Q4_K:
    case EW_TYPE_Q5_K:
        return finite_32(at, blocks, bytes, F16_EXPONENT * TWO, F16_ONE * TWO);
    default:
        return finite_16(at, blocks, bytes, F16_EXPONENT, F16_ONE);
    }
}
