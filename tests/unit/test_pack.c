/* test_pack.c - what the bytes of every weight type mean, and that packing loses nothing.
 *
 * The formulas here are written weight by weight from the format's description, not from pack.c,
 * which works on words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/rng.h"
#include "kernels/kernels.h"

enum { ROWS = 37, COLS_MAX = 768 };

static const enum ew_type types[] = {
    EW_TYPE_F32,  EW_TYPE_F16,  EW_TYPE_BF16, EW_TYPE_Q8_0, EW_TYPE_Q4_0, EW_TYPE_Q4_1,
    EW_TYPE_Q5_0, EW_TYPE_Q5_1, EW_TYPE_Q4_K, EW_TYPE_Q5_K, EW_TYPE_Q6_K,
};

static float half(const uint8_t *at)
{
    uint16_t h;

    memcpy(&h, at, sizeof(h));
    return ew_half_to_float(h);
}

static int nibble(const uint8_t *qs, int i)
{
    return i < 16 ? qs[i] & 15 : qs[i - 16] >> 4;
}

static int bit(const uint8_t *bits, int i)
{
    return bits[i / 8] >> i % 8 & 1;
}

/* The 6-bit scale (min: the 6-bit minimum) of sub-block j. */
static int six(const uint8_t *s, int j, int min)
{
    if (j < 4)
        return s[j + 4 * min] & 63;
    return (min ? s[j + 4] >> 4 : s[j + 4] & 15) + 16 * (s[j - 4 + 4 * min] >> 6);
}

static float q6k_weight(const uint8_t *b, int i)
{
    const uint8_t *ql = b + i / 128 * 64, *qh = b + 128 + i / 128 * 32;
    int l = i % 32, quarter = i % 128 / 32;
    int low = ql[l + 32 * (quarter % 2)] >> 4 * (quarter / 2) & 15;
    int q = low + 16 * (qh[l] >> 2 * quarter & 3) - 32;

    return half(b + 208) * (float)(int8_t)b[192 + i / 16] * (float)q;
}

/* Weight i of a block of one of the K types with minima; their nibbles start at `qs`. */
static float k_weight(const uint8_t *b, const uint8_t *qh, const uint8_t *qs, int i)
{
    int j = i / 32;
    int q = qs[j / 2 * 32 + i % 32] >> 4 * (j % 2) & 15;

    if (qh)
        q += 16 * (qh[i % 32] >> j & 1);
    return half(b) * (float)six(b + 4, j, 0) * (float)q - half(b + 2) * (float)six(b + 4, j, 1);
}

static float formula(enum ew_type type, const uint8_t *b, int i)
{
    uint32_t word = 0;
    float f;

    switch (type) {
    case EW_TYPE_F32:
        memcpy(&f, b, sizeof(f));
        return f;
    case EW_TYPE_F16:
        return half(b);
    case EW_TYPE_BF16:
        memcpy((uint8_t *)&word + 2, b, 2);
        memcpy(&f, &word, sizeof(f));
        return f;
    case EW_TYPE_Q8_0:
        return half(b) * (float)(int8_t)b[2 + i];
    case EW_TYPE_Q4_0:
        return half(b) * (float)(nibble(b + 2, i) - 8);
    case EW_TYPE_Q4_1:
        return half(b) * (float)nibble(b + 4, i) + half(b + 2);
    case EW_TYPE_Q5_0:
        return half(b) * (float)(nibble(b + 6, i) + 16 * bit(b + 2, i) - 16);
    case EW_TYPE_Q5_1:
        return half(b) * (float)(nibble(b + 8, i) + 16 * bit(b + 4, i)) + half(b + 2);
    case EW_TYPE_Q4_K:
        return k_weight(b, NULL, b + 16, i);
    case EW_TYPE_Q5_K:
        return k_weight(b, b + 16, b + 48, i);
    default:
        return q6k_weight(b, i);
    }
}

/* Random bytes, made finite where they are halves or floats. */
static uint8_t *random_rows(struct ew_rng *rng, enum ew_type type, int cols, size_t *row_bytes)
{
    const struct ew_type_info *info = ew_type_describe(type);
    size_t block = (size_t)info->bytes;

    *row_bytes = (size_t)(cols / info->weights) * block;
    uint8_t *rows = malloc(ROWS * *row_bytes);
    assert_non_null(rows);
    for (size_t i = 0; i < ROWS * *row_bytes; i++)
        rows[i] = (uint8_t)ew_rng_next(rng);
    for (size_t at = 0; at < ROWS * *row_bytes; at += block) {
        size_t d = type == EW_TYPE_Q6_K ? 208 : type == EW_TYPE_F32 ? 2 : 0;
        rows[at + d + 1] &= 0xbb; /* the exponent's top bits can't all be one */
        if (d == 0 && block >= 4)
            rows[at + 3] &= 0xbb;
    }
    return rows;
}

static int columns(enum ew_type type, int i)
{
    static const int blocks[] = {1, 2, 3, 8, 21};
    int weights = ew_type_describe(type)->weights;

    return weights == 1 ? 1 + 13 * i : weights == 256 ? 256 * (1 + i % 3) : 32 * blocks[i];
}

static void test_every_type_decodes_as_the_format_says(void **state)
{
    struct ew_rng rng;
    float out[COLS_MAX];
    size_t row_bytes;

    (void)state;
    ew_rng_init(&rng, 1);
    for (size_t t = 0; t < EW_COUNT(types); t++) {
        const struct ew_type_info *info = ew_type_describe(types[t]);
        uint8_t *rows = random_rows(&rng, types[t], COLS_MAX, &row_bytes);
        for (int r = 0; r < ROWS; r++) {
            const uint8_t *row = rows + (size_t)r * row_bytes;
            ew_row_decode(types[t], row, out, COLS_MAX);
            for (int k = 0; k < COLS_MAX; k++) {
                const uint8_t *block = row + (size_t)(k / info->weights) * (size_t)info->bytes;
                float want = formula(types[t], block, k % info->weights);
                if (out[k] != want)
                    fail_msg("%s row %d weight %d: %a, not %a", info->name, r, k, (double)out[k],
                             (double)want);
            }
        }
        free(rows);
    }
}

static void check_packed(struct ew_rng *rng, enum ew_type type, int cols)
{
    size_t row_bytes, tile_bytes = ew_pack_tile_bytes(type, cols);
    uint8_t *rows = random_rows(rng, type, cols, &row_bytes);
    int tiles = (ROWS + EW_TILE_ROWS - 1) / EW_TILE_ROWS;
    uint8_t *packed = aligned_alloc(64, tile_bytes * (size_t)tiles);
    float want[COLS_MAX], got[COLS_MAX];

    assert_true(tile_bytes > 0 && tile_bytes % 64 == 0);
    assert_non_null(packed);
    memset(packed, 0xff, tile_bytes * (size_t)tiles);
    /* Two calls, as two threads do it, last tiles first. */
    ew_pack(packed, rows, type, ROWS, cols, 1, tiles);
    ew_pack(packed, rows, type, ROWS, cols, 0, 1);
    struct ew_packed w = {type, ROWS, cols, tiles, tile_bytes, packed};
    for (int r = 0; r < ROWS; r++) {
        ew_row_decode(type, rows + (size_t)r * row_bytes, want, cols);
        ew_packed_row(&w, r, got);
        if (memcmp(want, got, (size_t)cols * sizeof(float)) != 0)
            fail_msg("%s, %d columns, row %d", ew_type_describe(type)->name, cols, r);
    }
    for (int r = ROWS; r < tiles * EW_TILE_ROWS; r++) {
        ew_packed_row(&w, r, got);
        for (int k = 0; k < cols; k++)
            assert_true(got[k] == 0);
    }
    free(packed);
    free(rows);
}

static void test_a_packed_row_is_the_decoded_row_bit_by_bit_and_padding_is_zero(void **state)
{
    struct ew_rng rng;

    (void)state;
    ew_rng_init(&rng, 2);
    for (size_t t = 0; t < EW_COUNT(types); t++)
        for (int i = 0; i < 5; i++)
            check_packed(&rng, types[t], columns(types[t], i));
}

static void test_vectors_made_by_hand(void **state)
{
    static const struct {
        enum ew_type type;
        uint8_t bytes[256];
        int weight;
        float value;
    } cases[] = {
        {EW_TYPE_Q4_0, {0x00, 0x3c, 0x2f}, 0, 7},                 /* d = 1: 15 - 8 */
        {EW_TYPE_Q4_0, {0x00, 0x3c, 0x2f}, 16, -6},               /* 2 - 8 */
        {EW_TYPE_Q4_1, {0x00, 0x40, 0x00, 0xbc, 0x03}, 0, 5},     /* 2 * 3 - 1 */
        {EW_TYPE_Q5_0, {0x00, 0x3c, 0x01, 0, 0, 0, 0x01}, 0, 1},  /* 16 + 1 - 16 */
        {EW_TYPE_Q5_0, {0x00, 0x3c, 0, 0, 0, 0x80}, 31, 0},       /* 16 + 0 - 16 */
        {EW_TYPE_Q5_1, {0x00, 0x38, 0x00, 0x3c, 0, 0, 1}, 16, 9}, /* 16 / 2 + 1 */
        {EW_TYPE_Q8_0, {0x00, 0x38, 0x80}, 0, -64},               /* -128 / 2 */
        {EW_TYPE_Q4_K, {0x00, 0x3c, 0x00, 0x3c, 3, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0x05}, 0, 13},
        {EW_TYPE_Q4_K, {0x00, 0x3c, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0x01, [80] = 0x02}, 128, 34},
        {EW_TYPE_Q5_K, {0x00, 0x3c, 0, 0, 3, [16] = 1, [48] = 1}, 0, 51},        /* 3 * (16 + 1) */
        {EW_TYPE_Q6_K, {[0] = 0x0f, [128] = 3, [192] = 2, [209] = 0x3c}, 0, 62}, /* 2 * (63 - 32) */
        {EW_TYPE_Q6_K, {[192] = 0xff, [209] = 0x3c}, 1, 32},                     /* -1 * (0 - 32) */
        {EW_TYPE_F16, {0x00, 0xc0}, 0, -2},
        {EW_TYPE_BF16, {0x80, 0xbf}, 0, -1},
    };
    float out[256];

    (void)state;
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        ew_row_decode(cases[i].type, cases[i].bytes, out, ew_type_describe(cases[i].type)->weights);
        if (out[cases[i].weight] != cases[i].value)
            fail_msg("case %zu: %g, not %g", i, (double)out[cases[i].weight],
                     (double)cases[i].value);
    }
}

static void test_packing_adds_at_most_three_percent_to_whole_rows(void **state)
{
    (void)state;
    for (size_t t = 0; t < EW_COUNT(types); t++) {
        const struct ew_type_info *info = ew_type_describe(types[t]);
        size_t file = (size_t)(768 / info->weights) * (size_t)info->bytes * EW_TILE_ROWS;
        assert_in_range(ew_pack_tile_bytes(types[t], 768), file, file + file * 3 / 100);
    }
}

static void test_what_cannot_be_packed_has_no_size(void **state)
{
    (void)state;
    assert_int_equal(ew_pack_tile_bytes((enum ew_type)4, 32), 0);   /* Q4_2, long gone */
    assert_int_equal(ew_pack_tile_bytes((enum ew_type)29, 256), 0); /* IQ1_M */
    assert_int_equal(ew_pack_tile_bytes(EW_TYPE_Q4_0, 33), 0);
    assert_int_equal(ew_pack_tile_bytes(EW_TYPE_Q4_K, 128), 0);
    assert_int_equal(ew_pack_tile_bytes(EW_TYPE_Q8_0, 0), 0);
    assert_int_equal(ew_pack_tile_bytes(EW_TYPE_F32, -1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type_decodes_as_the_format_says),
        cmocka_unit_test(test_a_packed_row_is_the_decoded_row_bit_by_bit_and_padding_is_zero),
        cmocka_unit_test(test_vectors_made_by_hand),
        cmocka_unit_test(test_packing_adds_at_most_three_percent_to_whole_rows),
        cmocka_unit_test(test_what_cannot_be_packed_has_no_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
