/* tile.h - what the bytes of a packed tile mean: shared by pack.c, the reference and the kernels.
 *
 * A tile is all inputs of 16 rows. Quantised types, for nb = cols / 32 blocks:
 *
 *     super  [nb / 8]  K types: half d[16] (and half dmin[16]) for 256 inputs
 *     scales [nb]      half d[16] (and half m[16]); Q4_K, Q5_K: u8 scale[16], u8 min[16];
 *                      Q6_K: i8 scale[2][16], one for each 16 inputs
 *     data   [nb]      the levels, as below
 *
 * each area rounded up to 64 bytes. Levels are unsigned: the level of weight w is what the file
 * stores, Q8_0 plus 128, so that u8 x s8 dot products apply; `zero` is the level that means 0.
 *
 * The 32 inputs of a block are 8 groups of 4. A vector of 64 bytes holds, at byte 4 r + j,
 * something of input j of the group, of row r. With v[g] the levels of group g:
 *     4 bits: 4 vectors, b[i] = v[i] | v[i + 4] << 4
 *     5 bits: 5 vectors, b[i] = v[i] | v[i + 4] >> 2 << 5; b[4] = sum of (v[i + 4] & 3) << 2 i
 *     6 bits: 6 vectors, b[3 h + j] = v[4 h + j] | (v[4 h + 3] >> 2 j & 3) << 6
 *     8 bits: 8 vectors, b[g] = v[g]
 * These take no more instructions to unpack than a nibble and a bit plane do, and need no masks.
 *
 * Float types: data is [cols][16 rows] of the file's numbers. */
#ifndef EW_TILE_H
#define EW_TILE_H

#include "kernels/kernels.h"

struct ew_tile_shape {
    int bits;        /* of a level; 16 or 32: a float type; 0: can't be packed */
    int zero;        /* level of weight 0 */
    int super_bytes; /* a 256-block, K types only */
    int scale_bytes; /* a 32-block */
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

/* Where the areas of one tile start. */
struct ew_tile_map {
    size_t scales, data, bytes; /* super is at 0 */
    size_t block_bytes;         /* of data: 32 inputs; of a float type: one input */
};

static inline size_t ew_tile_round(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

static inline struct ew_tile_map ew_tile_map(struct ew_tile_shape shape, int cols)
{
    struct ew_tile_map map = {0, 0, 0, 0};
    size_t blocks = (size_t)cols / EW_BLOCK;

    if (shape.bits >= 16) {
        map.block_bytes = (size_t)shape.bits / 8 * EW_TILE_ROWS;
        map.bytes = ew_tile_round((size_t)cols * map.block_bytes);
        return map;
    }
    map.block_bytes = (size_t)shape.bits * 64;
    map.scales = ew_tile_round(blocks / 8 * (size_t)shape.super_bytes);
    map.data = map.scales + ew_tile_round(blocks * (size_t)shape.scale_bytes);
    map.bytes = map.data + blocks * map.block_bytes;
    return map;
}

#endif
