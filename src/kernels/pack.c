/* pack.c - GGUF rows into row-interleaved tiles, and both back into floats.
 *
 * The layout is tile.h's. Levels travel as 8 words of 4 bytes, one a group of 4 inputs, so that a
 * block is packed by a handful of word operations; words are little-endian, as everything we run
 * on. The packed bytes don't depend on the instruction set. */
#include <string.h>

#include "kernels/tile.h"

/* The unsigned levels of 32 weights: byte j of w[g] is input 4 g + j. */
struct levels {
    uint32_t w[8];
};

/* weight = mul[input / 16] * (level - zero) + add */
struct factors {
    float mul[2], add;
};

/* ---- what the file stores ---- */

static void nibbles(uint32_t *w, const uint8_t *qs)
{
    uint32_t q[4];

    memcpy(q, qs, sizeof(q));
    for (int i = 0; i < 4; i++) {
        w[i] = q[i] & 0x0f0f0f0f;
        w[i + 4] = q[i] >> 4 & 0x0f0f0f0f;
    }
}

static void fifth_bits(uint32_t *w, const uint8_t *qh)
{
    uint32_t h;

    memcpy(&h, qh, sizeof(h));
    /* The product puts bit i of four into bit 0 of byte i. */
    for (int g = 0; g < 8; g++)
        w[g] |= ((h >> 4 * g & 15) * 0x00204081u & 0x01010101) << 4;
}

/* 32 nibbles, all low (shift 0) or all high (4), as the K types have them. */
static void half_bytes(uint32_t *w, const uint8_t *qs, int shift)
{
    memcpy(w, qs, 32);
    for (int g = 0; g < 8; g++)
        w[g] = w[g] >> shift & 0x0f0f0f0f;
}

/* Of each byte of qh, the bits of `ones` above bit `shift`, to bit 4 upwards. */
static void high_bits(uint32_t *w, const uint8_t *qh, int shift, uint32_t ones)
{
    uint32_t h[8];

    memcpy(h, qh, sizeof(h));
    for (int g = 0; g < 8; g++)
        w[g] |= (h[g] >> shift & ones) << 4;
}

static void six_bits(const uint8_t *scales, int j, int *scale, int *min)
{
    if (j < 4) {
        *scale = scales[j] & 63;
        *min = scales[j + 4] & 63;
    } else {
        *scale = (scales[j + 4] & 15) | scales[j - 4] >> 6 << 4;
        *min = scales[j + 4] >> 4 | scales[j] >> 6 << 4;
    }
}

/* The levels of block `b` (32 inputs) of a row of the file. */
static void file_levels(enum ew_type type, const uint8_t *row, size_t b, struct levels *out)
{
    const uint8_t *at = row + b * (size_t)ew_type_describe(type)->bytes;
    const struct ew_block_q4_k *q4k = (const void *)(row + b / 8 * sizeof(*q4k));
    const struct ew_block_q5_k *q5k = (const void *)(row + b / 8 * sizeof(*q5k));
    const struct ew_block_q6_k *q6k = (const void *)(row + b / 8 * sizeof(*q6k));
    size_t j = b % 8, half = j / 4, c = j % 4;

    switch (type) {
    case EW_TYPE_Q4_0:
        nibbles(out->w, at + offsetof(struct ew_block_q4_0, qs));
        break;
    case EW_TYPE_Q4_1:
        nibbles(out->w, at + offsetof(struct ew_block_q4_1, qs));
        break;
    case EW_TYPE_Q5_0:
        nibbles(out->w, at + offsetof(struct ew_block_q5_0, qs));
        fifth_bits(out->w, at + offsetof(struct ew_block_q5_0, qh));
        break;
    case EW_TYPE_Q5_1:
        nibbles(out->w, at + offsetof(struct ew_block_q5_1, qs));
        fifth_bits(out->w, at + offsetof(struct ew_block_q5_1, qh));
        break;
    case EW_TYPE_Q8_0:
        memcpy(out->w, at + offsetof(struct ew_block_q8_0, qs), 32);
        for (int g = 0; g < 8; g++)
            out->w[g] ^= 0x80808080;
        break;
    case EW_TYPE_Q4_K:
        half_bytes(out->w, q4k->qs + 32 * (j / 2), j % 2 ? 4 : 0);
        break;
    case EW_TYPE_Q5_K:
        half_bytes(out->w, q5k->qs + 32 * (j / 2), j % 2 ? 4 : 0);
        high_bits(out->w, q5k->qh, (int)j, 0x01010101);
        break;
    case EW_TYPE_Q6_K:
        half_bytes(out->w, q6k->ql + 64 * half + 32 * (c % 2), c / 2 ? 4 : 0);
        high_bits(out->w, q6k->qh + 32 * half, 2 * (int)c, 0x03030303);
        break;
    default:
        memset(out, 0, sizeof(*out));
    }
}

/* ---- scales: as the file has them -> 16 rows side by side ---- */

static void copy_half(uint8_t *dst, int r, const void *src)
{
    memcpy(dst + 2 * r, src, 2);
}

/* Scales of block b of a row of the file, as row r of a tile. */
static void pack_scales(uint8_t *super, uint8_t *scales, int r, enum ew_type type,
                        const uint8_t *row, size_t b)
{
    struct ew_tile_shape shape = ew_tile_shape(type);
    const struct ew_type_info *info = ew_type_describe(type);
    const uint8_t *at = row + b * EW_BLOCK / (size_t)info->weights * (size_t)info->bytes;
    int scale, min;

    if (type == EW_TYPE_Q6_K) {
        const struct ew_block_q6_k *q6k = (const void *)at;
        copy_half(super, r, &q6k->d);
        scales[r] = (uint8_t)q6k->scales[2 * (b % 8)];
        scales[16 + r] = (uint8_t)q6k->scales[2 * (b % 8) + 1];
    } else if (shape.super_bytes) { /* Q4_K and Q5_K begin alike */
        const struct ew_block_q4_k *q4k = (const void *)at;
        copy_half(super, r, &q4k->d);
        copy_half(super + 32, r, &q4k->dmin);
        six_bits(q4k->scales, (int)(b % 8), &scale, &min);
        scales[r] = (uint8_t)scale;
        scales[16 + r] = (uint8_t)min;
    } else {
        copy_half(scales, r, at); /* d comes first in every legacy block, then m */
        if (shape.scale_bytes == 64)
            copy_half(scales + 32, r, at + 2);
    }
}

static float half_at(const uint8_t *at, int r)
{
    uint16_t h;

    memcpy(&h, at + 2 * r, sizeof(h));
    return ew_half_to_float(h);
}

/* The factors of row r, from the packed form alone; d * scale and dmin * min are exact in float. */
static struct factors packed_factors(const uint8_t *super, const uint8_t *scales, enum ew_type type,
                                     int r)
{
    struct ew_tile_shape shape = ew_tile_shape(type);
    struct factors f;

    if (type == EW_TYPE_Q6_K) {
        f.mul[0] = half_at(super, r) * (float)(int8_t)scales[r];
        f.mul[1] = half_at(super, r) * (float)(int8_t)scales[16 + r];
        f.add = 0;
    } else if (shape.super_bytes) {
        f.mul[0] = f.mul[1] = half_at(super, r) * (float)scales[r];
        f.add = -(half_at(super + 32, r) * (float)scales[16 + r]);
    } else {
        f.mul[0] = f.mul[1] = half_at(scales, r);
        f.add = shape.scale_bytes == 64 ? half_at(scales + 32, r) : 0;
    }
    return f;
}

/* ---- levels into vectors of 16 rows, and back ---- */

static void put_word(uint8_t *data, int vector, int r, uint32_t word)
{
    memcpy(data + 64 * vector + 4 * r, &word, 4);
}

static uint32_t get_word(const uint8_t *data, int vector, int r)
{
    uint32_t word;

    memcpy(&word, data + 64 * vector + 4 * r, 4);
    return word;
}

static void put_levels(uint8_t *data, int bits, int r, const struct levels *levels)
{
    const uint32_t *v = levels->w;
    uint32_t rest = 0;

    switch (bits) {
    case 4:
        for (int i = 0; i < 4; i++)
            put_word(data, i, r, v[i] | v[i + 4] << 4);
        break;
    case 5:
        for (int i = 0; i < 4; i++) {
            put_word(data, 1 + i, r, v[i] | (v[i + 4] >> 2 & 0x07070707) << 5);
            rest |= (v[i + 4] & 0x03030303) << 2 * i;
        }
        put_word(data, 0, r, rest);
        break;
    case 6:
        for (int i = 0; i < 6; i++)
            put_word(data, i, r,
                     v[4 * (i / 3) + i % 3] | (v[4 * (i / 3) + 3] >> 2 * (i % 3) & 0x03030303)
                                                  << 6);
        break;
    default:
        for (int i = 0; i < 8; i++)
            put_word(data, i, r, v[i]);
    }
}

static void get_levels(const uint8_t *data, int bits, int r, struct levels *levels)
{
    uint32_t *v = levels->w;
    uint32_t b[8];

    for (int i = 0; i < bits; i++)
        b[i] = get_word(data, i, r);
    switch (bits) {
    case 4:
        for (int i = 0; i < 4; i++) {
            v[i] = b[i] & 0x0f0f0f0f;
            v[i + 4] = b[i] >> 4 & 0x0f0f0f0f;
        }
        break;
    case 5:
        for (int i = 0; i < 4; i++) {
            v[i] = b[1 + i] & 0x1f1f1f1f;
            v[i + 4] = (b[1 + i] >> 3 & 0x1c1c1c1c) | (b[0] >> 2 * i & 0x03030303);
        }
        break;
    case 6:
        for (int h = 0; h < 2; h++) {
            const uint32_t *c = b + 3 * h;
            for (int i = 0; i < 3; i++)
                v[4 * h + i] = c[i] & 0x3f3f3f3f;
            v[4 * h + 3] =
                (c[0] >> 6 & 0x03030303) | (c[1] >> 4 & 0x0c0c0c0c) | (c[2] >> 2 & 0x30303030);
        }
        break;
    default:
        memcpy(v, b, 32);
    }
}

static void expand(float *out, const struct levels *levels, const struct factors *f, int zero)
{
    uint8_t u[EW_BLOCK];

    memcpy(u, levels->w, sizeof(u));
    for (int i = 0; i < EW_BLOCK; i++)
        out[i] = f->mul[i / 16] * (float)(u[i] - zero) + f->add;
}

static float float_of(enum ew_type type, const uint8_t *at)
{
    float f;
    uint16_t h;

    if (type == EW_TYPE_F32) {
        memcpy(&f, at, sizeof(f));
        return f;
    }
    memcpy(&h, at, sizeof(h));
    return type == EW_TYPE_F16 ? ew_half_to_float(h) : ew_bf16_to_float(h);
}

/* ---- the door ---- */

size_t ew_pack_tile_bytes(enum ew_type type, int cols)
{
    const struct ew_type_info *info = ew_type_describe(type);
    struct ew_tile_shape shape = ew_tile_shape(type);

    if (!info || !shape.bits || cols <= 0 || cols % info->weights)
        return 0;
    return ew_tile_bytes(shape, cols);
}

static void pack_float_tile(uint8_t *tile, const uint8_t *src, int bytes, int cols, int rows)
{
    size_t size = (size_t)bytes;

    for (int r = 0; r < rows; r++)
        for (int k = 0; k < cols; k++)
            memcpy(tile + ((size_t)k * EW_TILE_ROWS + (size_t)r) * size,
                   src + ((size_t)r * (size_t)cols + (size_t)k) * size, size);
}

static void pack_block_tile(uint8_t *tile, const uint8_t *src, enum ew_type type, int cols,
                            int rows)
{
    struct ew_tile_shape shape = ew_tile_shape(type);
    const struct ew_type_info *info = ew_type_describe(type);
    size_t row_bytes = (size_t)(cols / info->weights) * (size_t)info->bytes;
    struct levels levels;

    for (int r = 0; r < rows; r++) {
        const uint8_t *row = src + (size_t)r * row_bytes;
        for (size_t b = 0; b < (size_t)cols / EW_BLOCK; b++) {
            file_levels(type, row, b, &levels);
            put_levels(tile + ew_tile_data(shape, b), shape.bits, r, &levels);
            pack_scales(tile + ew_tile_super(shape, b), tile + ew_tile_scales(shape, b), r, type,
                        row, b);
        }
    }
}

void ew_pack(uint8_t *dst, const void *src, enum ew_type type, int rows, int cols, int tile0,
             int tile1)
{
    const struct ew_type_info *info = ew_type_describe(type);
    size_t tile_bytes = ew_pack_tile_bytes(type, cols);
    size_t row_bytes = (size_t)(cols / info->weights) * (size_t)info->bytes;

    for (int t = tile0; t < tile1; t++) {
        uint8_t *tile = dst + (size_t)t * tile_bytes;
        const uint8_t *from = (const uint8_t *)src + (size_t)t * EW_TILE_ROWS * row_bytes;
        int here = rows - t * EW_TILE_ROWS < EW_TILE_ROWS ? rows - t * EW_TILE_ROWS : EW_TILE_ROWS;

        memset(tile, 0, tile_bytes); /* rows that aren't there, and the ends of areas */
        if (info->weights == 1)
            pack_float_tile(tile, from, info->bytes, cols, here);
        else
            pack_block_tile(tile, from, type, cols, here);
    }
}

void ew_packed_row(const struct ew_packed *w, int row, float *out)
{
    struct ew_tile_shape shape = ew_tile_shape(w->type);
    const uint8_t *tile = w->data + (size_t)(row / EW_TILE_ROWS) * w->tile_bytes;
    int r = row % EW_TILE_ROWS;
    struct levels levels;

    if (shape.bits >= 16) {
        const uint8_t *first = tile + r * shape.bits / 8;
        for (size_t k = 0; k < (size_t)w->cols; k++)
            out[k] = float_of(w->type, first + k * ew_tile_input(shape));
        return;
    }
    for (size_t b = 0; b < (size_t)w->cols / EW_BLOCK; b++) {
        struct factors f = packed_factors(tile + ew_tile_super(shape, b),
                                          tile + ew_tile_scales(shape, b), w->type, r);
        get_levels(tile + ew_tile_data(shape, b), shape.bits, r, &levels);
        expand(out + b * EW_BLOCK, &levels, &f, shape.zero);
    }
}

void ew_row_decode(enum ew_type type, const void *src, float *out, int n)
{
    const struct ew_type_info *info = ew_type_describe(type);
    struct ew_tile_shape shape = ew_tile_shape(type);
    uint8_t super[64] = {0}, scales[64] = {0}; /* of a tile, of which row 0 is used */
    struct levels levels;

    if (info->weights == 1) {
        for (int k = 0; k < n; k++)
            out[k] = float_of(type, (const uint8_t *)src + (size_t)k * (size_t)info->bytes);
        return;
    }
    for (size_t b = 0; b < (size_t)n / EW_BLOCK; b++) {
        pack_scales(super, scales, 0, type, src, b);
        struct factors f = packed_factors(super, scales, type, 0);
        file_levels(type, src, b, &levels);
        expand(out + b * EW_BLOCK, &levels, &f, shape.zero);
    }
}
