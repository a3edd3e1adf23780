/* blocks.h - how GGUF stores quantised numbers, byte for byte; checked by static asserts.
 *
 * A block is 32 (legacy types) or 256 (K types) consecutive weights of one row. Integers are
 * little-endian, `d` and `m` are IEEE half floats. */
#ifndef EW_BLOCKS_H
#define EW_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers are those of the GGUF file format. */
#define EW_TYPES(X)                                                                                \
    X(F32, 0, 1, 4)                                                                                \
    X(F16, 1, 1, 2)                                                                                \
    X(Q4_0, 2, 32, 18)                                                                             \
    X(Q4_1, 3, 32, 20)                                                                             \
    X(Q5_0, 6, 32, 22)                                                                             \
    X(Q5_1, 7, 32, 24)                                                                             \
    X(Q8_0, 8, 32, 34)                                                                             \
    X(Q4_K, 12, 256, 144)                                                                          \
    X(Q5_K, 13, 256, 176)                                                                          \
    X(Q6_K, 14, 256, 210)                                                                          \
    X(BF16, 30, 1, 2)

enum ew_type {
#define X(name, id, weights, bytes) EW_TYPE_##name = id,
    EW_TYPES(X)
#undef X
        EW_TYPE_COUNT = 31
};

struct ew_type_info {
    const char *name;
    int weights; /* in a block */
    int bytes;   /* of a block */
};
/* NULL for a type we don't know. */
const struct ew_type_info *ew_type_describe(uint32_t type);
/* Whether all scales and offsets of n weights (whole blocks), or all floats, are finite: then so is
 * each weight. */
bool ew_blocks_finite(enum ew_type type, const void *src, size_t n);

/* w = d * (q - 8); low nibbles are weights 0..15, high ones 16..31: so in all legacy types */
struct ew_block_q4_0 {
    uint16_t d;
    uint8_t qs[16];
};
/* w = d * q + m */
struct ew_block_q4_1 {
    uint16_t d, m;
    uint8_t qs[16];
};
/* w = d * (q - 16); bit i of qh is the fifth bit of weight i */
struct ew_block_q5_0 {
    uint16_t d;
    uint8_t qh[4];
    uint8_t qs[16];
};
/* w = d * q + m */
struct ew_block_q5_1 {
    uint16_t d, m;
    uint8_t qh[4];
    uint8_t qs[16];
};
/* w = d * q */
struct ew_block_q8_0 {
    uint16_t d;
    int8_t qs[32];
};
/* w = d * scale[j] * q - dmin * min[j], j = one of 8 sub-blocks of 32; the eight 6-bit scales and
 * mins are packed in 12 bytes: j < 4: scale = s[j] & 63, min = s[j+4] & 63; j >= 4: scale =
 * (s[j+4] & 15) | (s[j-4] >> 6) << 4, min = (s[j+4] >> 4) | (s[j] >> 6) << 4.
 * qs: 4 runs of 32 bytes; low nibbles are sub-block 2i, high ones 2i+1. */
struct ew_block_q4_k {
    uint16_t d, dmin;
    uint8_t scales[12];
    uint8_t qs[128];
};
/* as Q4_K; bit j of qh[i] is the fifth bit of weight i of sub-block j */
struct ew_block_q5_k {
    uint16_t d, dmin;
    uint8_t scales[12];
    uint8_t qh[32];
    uint8_t qs[128];
};
/* w = d * scales[j] * (q - 32), j = one of 16 sub-blocks of 16. Each half of 128 weights takes 64
 * bytes of ql and 32 of qh: weight l (0..31) of quarter c (0..3): low bits are nibble c / 2 of
 * ql[l + 32 * (c % 2)], high bits (qh[l] >> 2 * c) & 3. */
struct ew_block_q6_k {
    uint8_t ql[128];
    uint8_t qh[64];
    int8_t scales[16];
    uint16_t d;
};

_Static_assert(sizeof(struct ew_block_q4_0) == 18, "Q4_0");
_Static_assert(sizeof(struct ew_block_q4_1) == 20, "Q4_1");
_Static_assert(sizeof(struct ew_block_q5_0) == 22, "Q5_0");
_Static_assert(sizeof(struct ew_block_q5_1) == 24, "Q5_1");
_Static_assert(sizeof(struct ew_block_q8_0) == 34, "Q8_0");
_Static_assert(sizeof(struct ew_block_q4_k) == 144, "Q4_K");
_Static_assert(sizeof(struct ew_block_q5_k) == 176, "Q5_K");
_Static_assert(sizeof(struct ew_block_q6_k) == 210, "Q6_K");

#endif
