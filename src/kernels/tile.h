/* tile.h - what the bytes of a packed tile mean: shared by pack.c, the reference and the kernels.
 *
 * A tile is all inputs of 16 rows, and is read front to back, each byte once: one stream is what
 * the processor's prefetcher follows. (With the scales of a tile in an area of their own, a matrix
 * came from memory at 12 GB/s instead of 29 on Zen 4.) Quantised types, in lines of 64 bytes:
 *
 *     Q4_1, Q5_1              a block is: half d[16], half m[16]; levels
 *     Q4_0, Q5_0, Q8_0        two blocks: half d[16] of each; levels; levels. A last odd block has
 *                             the same line of scales, half of it unused
 *     K types                 8 blocks (256 inputs): half d[16] (Q4_K, Q5_K: half dmin[16]); then
 *                             four pairs: scales of both blocks; levels; levels. Scales are
 *                             u8 scale[16], u8 min[16]; Q6_K: i8 scale[2][16], of 16 inputs each
 *
 * Levels are unsigned: the level of a weight is what the file stores, Q8_0 plus 128, so that
 * u8 x s8 dot products apply; `zero` is the level that means 0.
 *
 * The 32 inputs of a block are 8 groups of 4. A vector of 64 bytes holds, at byte 4 r + j, what
 * belongs to input j of a group, row r. With v[g] the levels of group g:
 *     4 bits: 4 vectors, b[i] = v[i] | v[i + 4] << 4
 *     5 bits: 5 vectors, b[0] = sum of (v[i + 4] & 3) << 2 i; b[1 + i] = v[i] | v[i + 4] >> 2 << 5
 *     6 bits: 6 vectors, b[3 h + j] = v[4 h + j] | (v[4 h + 3] >> 2 j & 3) << 6
 *     8 bits: 8 vectors, b[g] = v[g]
 * These take no more instructions to unpack than a nibble and a bit plane do, and need no masks.
 *
 * Float types: [cols][16 rows] of the file's numbers. */
#ifndef EW_TILE_H
#define EW_TILE_H

#include "kernels/kernels.h"

struct ew_tile_shape {
    int bits;        /* of a level; 16 or 32: a float type; 0: can't be packed */
    int zero;        /* level of weight 0 */
    int super_bytes; /* of scales of 256 inputs: K types only */
    int scale_bytes; /* of scales of a block: 64, or 32 and two blocks share a line */
};

static inline struct ew_tile_shape ew_tile_shape(enum ew_type type)
{
    switch (type) {
    case EW_TYPE_F32:
        return (struct ew_tile_shape){32, 0, 0, 0};
    case EW_TYPE_F16:
    case EW_TYPE_BF16:
        return (struct ew_tile_shape){16, 0, 0, 0};
    case EW_TYPE_Q4_0:
        return (struct ew_tile_shape){4, 8, 0, 32};
    case EW_TYPE_Q4_1:
        return (struct ew_tile_shape){4, 0, 0, 64};
    case EW_TYPE_Q5_0:
        return (struct ew_tile_shape){5, 16, 0, 32};
    case EW_TYPE_Q5_1:
        return (struct ew_tile_shape){5, 0, 0, 64};
    case EW_TYPE_Q8_0:
        return (struct ew_tile_shape){8, 128, 0, 32};
    case EW_TYPE_Q4_K:
        return (struct ew_tile_shape){4, 0, 64, 32};
    case EW_TYPE_Q5_K:
        return (struct ew_tile_shape){5, 0, 64, 32};
    case EW_TYPE_Q6_K:
        return (struct ew_tile_shape){6, 32, 32, 32};
    default:
        return (struct ew_tile_shape){0, 0, 0, 0};
    }
}

enum { EW_TILE_LINE = 64 };

/* Bytes of the levels of a block. */
static inline size_t ew_tile_levels(struct ew_tile_shape shape)
{
    return (size_t)shape.bits * 64;
}

/* Blocks behind one line of scales. */
static inline size_t ew_tile_unit(struct ew_tile_shape shape)
{
    return EW_TILE_LINE / (size_t)shape.scale_bytes;
}

/* Where block b's line of scales starts; b may be the number of blocks: the end of a tile. */
static inline size_t ew_tile_line(struct ew_tile_shape shape, size_t b)
{
    size_t unit = ew_tile_unit(shape);
    size_t lines = b / unit + (shape.super_bytes ? b / 8 + 1 : 0);

    return lines * EW_TILE_LINE + b / unit * unit * ew_tile_levels(shape);
}

static inline size_t ew_tile_super(struct ew_tile_shape shape, size_t b)
{
    return ew_tile_line(shape, b / 8 * 8) - (shape.super_bytes ? EW_TILE_LINE : 0);
}

static inline size_t ew_tile_scales(struct ew_tile_shape shape, size_t b)
{
    return ew_tile_line(shape, b) + b % ew_tile_unit(shape) * (size_t)shape.scale_bytes;
}

static inline size_t ew_tile_data(struct ew_tile_shape shape, size_t b)
{
    return ew_tile_line(shape, b) + EW_TILE_LINE + b % ew_tile_unit(shape) * ew_tile_levels(shape);
}

/* Bytes of one input of 16 rows of a float type. */
static inline size_t ew_tile_input(struct ew_tile_shape shape)
{
    return (size_t)shape.bits / 8 * EW_TILE_ROWS;
}

static inline size_t ew_tile_bytes(struct ew_tile_shape shape, int cols)
{
    size_t blocks = (size_t)cols / EW_BLOCK;

    if (shape.bits >= 16)
        return ((size_t)cols * ew_tile_input(shape) + 63) & ~(size_t)63;
    return ew_tile_data(shape, blocks - 1) + ew_tile_levels(shape);
}

#endif
