/* kernels.h - the arithmetic of the engine: one table of function pointers, filled for one CPU.
 *
 * ew_kernels_select writes the scalar reference (ref_*.c) into every slot and lets each instruction
 * set that the CPU has, and that `isa_max` allows, override upwards. The scalar kernel is the law:
 * every variant gives its bits exactly. That works because a SIMD lane always holds one output
 * (a row of weights, a position, a dimension), so each output is summed by itself, in ascending
 * order of its inputs, whatever the width of the vector or the number of columns in flight.
 *
 * Kernels allocate nothing, keep no state, and are called from any thread. Pointers needn't be
 * aligned unless said. Inputs are finite; what NaN or infinity in a file becomes is undefined but
 * harmless (no trap, no out-of-bounds). */
#ifndef EW_KERNELS_H
#define EW_KERNELS_H

#include "kernels/blocks.h"

enum ew_isa { EW_ISA_SCALAR, EW_ISA_AVX2, EW_ISA_AVX512VNNI, EW_ISA_COUNT };

enum {
    EW_TILE_ROWS = 16, /* rows of weights side by side: one 512-bit vector of 32-bit lanes */
    EW_BLOCK = 32,     /* inputs that share one activation scale */
    EW_GROUP = 4,      /* tokens interleaved in one ew_xblock */
    EW_PAGE = 32,      /* positions in one page of the KV cache */
    EW_KV_TILE = 16,   /* positions side by side in a K page */
};

/* A weight matrix in row-interleaved tiles. Row r of tile t is row 16 t + r of the matrix; rows
 * beyond `rows` are zero. The bytes inside a tile are the business of pack.c and the kernels. */
struct ew_packed {
    enum ew_type type;
    int rows, cols;      /* outputs, inputs */
    int tiles;           /* ceil(rows / 16) */
    size_t tile_bytes;   /* all inputs of 16 rows */
    const uint8_t *data; /* 64-byte aligned; borrowed */
};

/* 32 inputs of 4 tokens, quantised: x = d * q. A token's slot is its index modulo 4; a vector of K
 * inputs for n tokens is ew_xblock[ceil(n / 4)][K / 32]. Slots beyond n hold anything. */
struct ew_xblock {
    int8_t q[EW_BLOCK / 4][EW_GROUP][4]; /* -127..127 */
    float d[EW_GROUP];
    float ds[EW_GROUP]; /* d * sum of all q: what a weight's constant term multiplies */
    /* [0]: minus the sum of all q, [1]: minus that of inputs 0..15. Times a zero point (a shift),
     * it is what the integer sums of unsigned weights start from. */
    int32_t neg[2][EW_GROUP];
};
_Static_assert(sizeof(struct ew_xblock) == 192, "three cache lines");

/* The inputs of a matrix product: quantised for the block types, float for F32, F16 and BF16. */
struct ew_input {
    const struct ew_xblock *q; /* 64-byte aligned */
    const float *f;            /* f[token * ldf + k] */
    size_t ldf;
};

/* y[t * ldy + r] = sum over k of W[r][k] * x[t][k], for the rows of tiles [tile0, tile1) and tokens
 * [0, n). y counts rows from row 0 of the matrix; a row of y has room for 16 * tiles floats.
 * Block types, per output, in ascending blocks: acc = fma((float)isum, dw * dx, acc), isum exact;
 * then, where the type has one, the constant term: acc = fma(m, ds, acc). Float types: in ascending
 * k: acc = fma(w, x, acc). */
typedef void ew_gemm_fn(const struct ew_packed *w, int tile0, int tile1, const struct ew_input *x,
                        int n, float *y, size_t ldy);

struct ew_kernels {
    enum ew_isa isa;
    ew_gemm_fn *gemm[EW_TYPE_COUNT]; /* NULL where there is no such type */

    /* Quantises k inputs (k % 32 == 0) of one token into slot `slot` of blocks[k / 32]:
     * d = max|x| / 127, q = round to nearest even (x / d), 0 where d is 0. */
    void (*quantize)(const float *x, int k, struct ew_xblock *blocks, int slot);

    /* y = x / sqrt(mean(x^2) + eps) * w. Squares are summed in 16 lanes (lane = index % 16), fused,
     * then lanes as a tree 16 -> 8 -> 4 -> 2 -> 1 (i with i + half). y may be x. */
    void (*rmsnorm)(float *y, const float *x, const float *w, int n, float eps);
    void (*add)(float *y, const float *x, int n); /* y += x */
    void (*scale)(float *y, float by, int n);     /* y *= by */
    void (*softcap)(float *y, float cap, int n);  /* y = cap * tanh(y / cap) */
    void (*silu_mul)(float *y, const float *gate, const float *up, int n);
    void (*gelu_mul)(float *y, const float *gate, const float *up, int n); /* tanh form */

    /* Rotates the first 2 * half numbers of one head; cos and sin have `half` numbers each.
     * pairs: (2i, 2i + 1), as llama files want; halves: (i, i + half), all others. */
    void (*rope_pairs)(float *x, const float *cos, const float *sin, int half);
    void (*rope_halves)(float *x, const float *cos, const float *sin, int half);

    /* One position of one head into its pages, as half floats, saturated to +-65504.
     * K page: [EW_PAGE / 16][dim][16 positions]; V page: [EW_PAGE][dim]. index: 0..EW_PAGE-1.
     * One block of memory holds a page of each layer and head: where it starts is `offset`. */
    void (*store_k)(uint16_t *page, const float *k, int dim, int index);
    void (*store_v)(uint16_t *page, const float *v, int dim, int index);

    /* s[i][p] = q[i] . K[p] for p in pages [page0, page1), rows i in [0, rows); fused, ascending
     * in dim. s[i] counts positions from page 0. dim % 8 == 0, dim <= 512. */
    void (*attend_scores)(float *const *s, const float *const *q, int rows, int dim,
                          const uint16_t *const *pages, size_t offset, int page0, int page1);
    /* s[p] = exp(scale * s[p] - max) / sum for p in [lo, hi), 0 elsewhere in [0, end), end a
     * multiple of EW_PAGE. softcap > 0: scale * s goes through cap * tanh(. / cap) first. The sum
     * runs in 16 lanes (p % 16), then as a tree. lo < hi, scale > 0. */
    void (*softmax)(float *s, int lo, int hi, int end, float scale, float softcap);
    /* out[i][d] = sum over positions of s[i][p] * V[p][d], d in [d0, d1) (multiples of 8), pages
     * [page0, page1), fused, in ascending p. */
    void (*attend_mix)(float *const *out, const float *const *s, int rows, int dim, int d0, int d1,
                       const uint16_t *const *pages, size_t offset, int page0, int page1);
};

enum ew_isa ew_isa_detect(void);
const char *ew_isa_name(enum ew_isa isa);
/* Fills the table for min(isa_max, what this CPU has). */
void ew_kernels_select(struct ew_kernels *kernels, enum ew_isa isa_max);

/* ---- packing (pack.c): the same bytes whatever the instruction set ---- */

/* Bytes of one tile of 16 rows by cols inputs; a multiple of 64. 0: the type can't be packed. */
size_t ew_pack_tile_bytes(enum ew_type type, int cols);
/* Packs tiles [tile0, tile1) of a GGUF matrix of rows x cols; dst is tile 0. */
void ew_pack(uint8_t *dst, const void *src, enum ew_type type, int rows, int cols, int tile0,
             int tile1);
/* One row back as floats, exactly what ew_row_decode gives of the source. */
void ew_packed_row(const struct ew_packed *w, int row, float *out);
/* n weights of a GGUF row (whole blocks) as floats. */
void ew_row_decode(enum ew_type type, const void *src, float *out, int n);

/* ---- scalar mathematics, the same bits on every machine (ref_math.c) ---- */

float ew_half_to_float(uint16_t h);
uint16_t ew_half_from_float(float f); /* nearest even, saturated to +-65504 */
float ew_bf16_to_float(uint16_t h);
float ew_expf(float x);  /* < 2 ulp; 0 below -87.3, largest finite above 88.7 */
float ew_tanhf(float x); /* by ew_expf */
void ew_sincos(double x, double *sin, double *cos); /* |x| < 2^31, error < 1e-12 */

#endif
