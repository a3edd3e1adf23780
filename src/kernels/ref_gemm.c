/* ref_gemm.c - the matrix product in plain C: the law that every other kernel follows bit by bit.
 *
 * Each output is one running sum over ascending blocks (floats: inputs), so it doesn't matter in
 * which order outputs are computed: here, y itself holds the sums and the blocks are the outer
 * loop, so that a block's levels are unpacked once for all tokens. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/kernels_int.h"
#include "kernels/tile.h"

/* One block of 16 rows. */
struct block {
    int level[EW_TILE_ROWS][EW_BLOCK]; /* minus the zero point */
    int scale[2][EW_TILE_ROWS];        /* of 16 inputs each, inside the integer sum */
    float d[EW_TILE_ROWS], add[EW_TILE_ROWS];
};

static int level_at(const uint8_t *data, int bits, int r, int k)
{
    int g = k / 4, at = 4 * r + k % 4;
    const uint8_t *b = data + at; /* b[64 * i]: this weight's byte of vector i */

    switch (bits) {
    case 4:
        return g < 4 ? b[64 * g] & 15 : b[64 * (g - 4)] >> 4;
    case 5:
        return g < 4 ? b[64 * (1 + g)] & 31 : b[64 * (g - 3)] >> 5 << 2 | (b[0] >> 2 * (g - 4) & 3);
    case 6:
        b += g < 4 ? 0 : 64 * 3;
        return g % 4 < 3 ? b[64 * (g % 4)] & 63 : b[0] >> 6 | b[64] >> 6 << 2 | b[128] >> 6 << 4;
    default:
        return b[64 * g];
    }
}

static float half_at(const uint8_t *at, int r)
{
    uint16_t h;

    memcpy(&h, at + 2 * r, sizeof(h));
    return ew_half_to_float(h);
}

static void load_scales(struct block *out, enum ew_type type, const uint8_t *super,
                        const uint8_t *scales, int r)
{
    struct ew_tile_shape shape = ew_tile_shape(type);

    out->scale[0][r] = out->scale[1][r] = 1;
    out->add[r] = 0;
    if (type == EW_TYPE_Q6_K) {
        out->scale[0][r] = (int8_t)scales[r];
        out->scale[1][r] = (int8_t)scales[16 + r];
        out->d[r] = half_at(super, r);
    } else if (shape.super_bytes) {
        out->d[r] = half_at(super, r) * (float)scales[r];
        out->add[r] = -(half_at(super + 32, r) * (float)scales[16 + r]);
    } else {
        out->d[r] = half_at(scales, r);
        if (shape.scale_bytes == 64)
            out->add[r] = half_at(scales + 32, r);
    }
}

static void load_block(struct block *out, enum ew_type type, const uint8_t *tile, size_t b)
{
    struct ew_tile_shape shape = ew_tile_shape(type);
    const uint8_t *data = tile + ew_tile_data(shape, b);

    for (int r = 0; r < EW_TILE_ROWS; r++) {
        for (int k = 0; k < EW_BLOCK; k++)
            out->level[r][k] = level_at(data, shape.bits, r, k) - shape.zero;
        load_scales(out, type, tile + ew_tile_super(shape, b), tile + ew_tile_scales(shape, b), r);
    }
}

static float add_block(float acc, const struct block *w, int r, const struct ew_xblock *x, int slot,
                       bool has_add)
{
    int32_t sum[2] = {0, 0};

    for (int k = 0; k < EW_BLOCK; k++)
        sum[k / 16] += w->level[r][k] * x->q[k / 4][slot][k % 4];
    int32_t whole = w->scale[0][r] * sum[0] + w->scale[1][r] * sum[1];
    acc = fmaf((float)whole, w->d[r] * x->d[slot], acc);
    return has_add ? fmaf(w->add[r], x->ds[slot], acc) : acc;
}

static void gemm_blocks(const struct ew_packed *w, int tile0, int tile1, const struct ew_input *x,
                        int n, float *y, size_t ldy)
{
    struct ew_tile_shape shape = ew_tile_shape(w->type);
    bool has_add = shape.zero == 0; /* levels count from the row's own minimum */
    int blocks = w->cols / EW_BLOCK;
    struct block block;

    for (int t = tile0; t < tile1; t++) {
        float *out = y + (size_t)t * EW_TILE_ROWS;
        for (int i = 0; i < n; i++)
            memset(out + (size_t)i * ldy, 0, EW_TILE_ROWS * sizeof(float));
        for (int b = 0; b < blocks; b++) {
            load_block(&block, w->type, w->data + (size_t)t * w->tile_bytes, (size_t)b);
            for (int i = 0; i < n; i++)
                for (int r = 0; r < EW_TILE_ROWS; r++)
                    out[(size_t)i * ldy + (size_t)r] =
                        add_block(out[(size_t)i * ldy + (size_t)r], &block, r,
                                  &x->q[(size_t)(i / EW_GROUP) * (size_t)blocks + (size_t)b],
                                  i % EW_GROUP, has_add);
        }
    }
}

static float weight_at(enum ew_type type, const uint8_t *at, int r)
{
    float f;
    uint16_t h;

    if (type == EW_TYPE_F32) {
        memcpy(&f, at + 4 * r, sizeof(f));
        return f;
    }
    memcpy(&h, at + 2 * r, sizeof(h));
    return type == EW_TYPE_F16 ? ew_half_to_float(h) : ew_bf16_to_float(h);
}

static void gemm_floats(const struct ew_packed *w, int tile0, int tile1, const struct ew_input *x,
                        int n, float *y, size_t ldy)
{
    size_t step = ew_tile_input(ew_tile_shape(w->type));

    for (int t = tile0; t < tile1; t++) {
        const uint8_t *tile = w->data + (size_t)t * w->tile_bytes;
        for (int i = 0; i < n; i++) {
            const float *in = x->f + (size_t)i * x->ldf;
            for (int r = 0; r < EW_TILE_ROWS; r++) {
                float acc = 0;
                for (int k = 0; k < w->cols; k++)
                    acc = fmaf(weight_at(w->type, tile + (size_t)k * step, r), in[k], acc);
                y[(size_t)i * ldy + (size_t)t * EW_TILE_ROWS + (size_t)r] = acc;
            }
        }
    }
}

void ew_gemm_init_c(struct ew_kernels *kernels)
{
    for (int type = 0; type < EW_TYPE_COUNT; type++) {
        struct ew_tile_shape shape = ew_tile_shape((enum ew_type)type);
        if (shape.bits)
            kernels->gemm[type] = shape.bits >= 16 ? gemm_floats : gemm_blocks;
    }
}
