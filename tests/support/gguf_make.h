/* gguf_make.h - builds small GGUF files for tests, good ones and, on purpose, bad ones.
 *
 *     struct gguf_make m;
 *     gguf_make_init(&m);
 *     gguf_make_string(&m, "general.architecture", "llama");
 *     gguf_make_u32(&m, "llama.block_count", 2);
 *     gguf_make_random(&m, "output.weight", EW_TYPE_Q8_0, 64, 288, 0.1f);
 *     struct gguf_make_file file = gguf_make_open(&m);   // file.path can be opened
 *     ...
 *     gguf_make_close(&file);
 *     gguf_make_fini(&m);
 *
 * Setting a key or tensor that's there replaces it, so that a test takes a whole model
 * (gguf_make_llama) and changes one thing. All fields are public: what isn't offered as a function
 * is spoilt by hand before gguf_make_bytes. Running out of memory ends the test program. */
#ifndef GGUF_MAKE_H
#define GGUF_MAKE_H

#include "base/buf.h"
#include "base/rng.h"
#include "model/gguf.h"

enum { GGUF_MAKE_BYTES_MAX = 1 << 26 };
#define GGUF_MAKE_AUTO UINT64_MAX

struct gguf_make_pair {
    struct ew_buf key;
    uint32_t kind;
    struct ew_buf value; /* as in the file, behind the kind */
};

struct gguf_make_tensor {
    struct ew_buf name;
    uint32_t dims, type;
    uint64_t shape[8];
    uint64_t offset; /* GGUF_MAKE_AUTO: behind the tensor before */
    struct ew_buf data;
};

struct gguf_make {
    char magic[4];
    uint32_t version;
    uint64_t pairs_said, tensors_said; /* what the header claims; GGUF_MAKE_AUTO: the truth */
    uint32_t alignment;                /* what the file is laid out by */
    uint64_t bytes_max;                /* the file is cut here */
    struct gguf_make_pair *pairs;
    struct gguf_make_tensor *tensors;
    size_t pair_count, tensor_count;
    struct ew_buf raw; /* when not empty: the whole file, all else is ignored */
    struct ew_rng rng; /* of gguf_make_random; seed 1 */
};

void gguf_make_init(struct gguf_make *m);
void gguf_make_fini(struct gguf_make *m);

/* ---- keys ---- */
void gguf_make_u32(struct gguf_make *m, const char *key, uint32_t value);
void gguf_make_i32(struct gguf_make *m, const char *key, int32_t value);
void gguf_make_u64(struct gguf_make *m, const char *key, uint64_t value);
void gguf_make_f32(struct gguf_make *m, const char *key, float value);
void gguf_make_bool(struct gguf_make *m, const char *key, bool value);
void gguf_make_string(struct gguf_make *m, const char *key, const char *value);
void gguf_make_strings(struct gguf_make *m, const char *key, const char *const *values,
                       size_t count);
void gguf_make_i32s(struct gguf_make *m, const char *key, const int32_t *values, size_t count);
void gguf_make_f32s(struct gguf_make *m, const char *key, const float *values, size_t count);
/* Any kind (an unknown number too), value bytes verbatim. Returns the pair to spoil further. */
struct gguf_make_pair *gguf_make_value(struct gguf_make *m, const char *key, uint32_t kind,
                                       const void *value, size_t bytes);
/* An array of any kind; `said` is the count that the file will claim. */
struct gguf_make_pair *gguf_make_array(struct gguf_make *m, const char *key, uint32_t kind,
                                       uint64_t said, const void *values, size_t bytes);
/* One more string for a string array made before or begun here. */
void gguf_make_push(struct gguf_make *m, const char *key, const void *string, size_t bytes);
/* A new pair at the end even if the key is there; with any bytes as the key. */
struct gguf_make_pair *gguf_make_twin(struct gguf_make *m, const void *key, size_t bytes,
                                      uint32_t kind, const void *value, size_t value_bytes);
void gguf_make_drop(struct gguf_make *m, const char *key);

/* ---- tensors ---- */
/* Data NULL: zeros. shape has `dims` numbers, the inner one first. */
struct gguf_make_tensor *gguf_make_tensor(struct gguf_make *m, const char *name, uint32_t type,
                                          uint32_t dims, const uint64_t *shape, const void *data);
/* A matrix of rows x cols (cols inner), or a vector where rows is 0, of random weights of any type
 * we compute with, of about the given size. */
struct gguf_make_tensor *gguf_make_random(struct gguf_make *m, const char *name, uint32_t type,
                                          uint64_t cols, uint64_t rows, float size);
struct gguf_make_tensor *gguf_make_constant(struct gguf_make *m, const char *name, uint64_t count,
                                            float value);
struct gguf_make_tensor *gguf_make_twin_tensor(struct gguf_make *m, const void *name, size_t bytes);
struct gguf_make_tensor *gguf_make_find(struct gguf_make *m, const char *name); /* or NULL */
void gguf_make_drop_tensor(struct gguf_make *m, const char *name);

/* ---- the file ---- */
void gguf_make_bytes(const struct gguf_make *m, struct ew_buf *out); /* initialised here */
/* A file in memory that can be opened by its path until closed. */
struct gguf_make_file {
    int fd;
    char path[32];
};
struct gguf_make_file gguf_make_open(const struct gguf_make *m);
struct gguf_make_file gguf_make_open_bytes(const void *data, size_t bytes);
void gguf_make_close(struct gguf_make_file *file);
/* The same in a file of a name. */
void gguf_make_write(const struct gguf_make *m, const char *path);

/* ---- whole models ---- */
struct gguf_make_shape {
    uint32_t layers, embedding, heads, kv_heads, feed_forward, ctx;
    uint32_t type; /* of the matrices: an EW_TYPE_*; its block size must divide the widths */
};
/* 2 layers of 64, 4 heads on 2, feed-forward 96, 256 positions, F32. */
struct gguf_make_shape gguf_make_shape_tiny(void);
/* Byte-level BPE ("gpt2"): 256 byte tokens, merges "h e", "l l", "he ll", "hell o", and the
 * controls <|endoftext|> (bos, eos), <|im_start|>, <|im_end|>: GGUF_MAKE_BPE_VOCAB tokens. */
enum { GGUF_MAKE_BPE_VOCAB = 256 + 4 + 3 };
void gguf_make_bpe(struct gguf_make *m);
/* SentencePiece ("llama"): <unk> <s> </s>, 256 byte tokens, some pieces with scores. */
enum { GGUF_MAKE_SPM_VOCAB = 3 + 256 + 12 };
void gguf_make_spm(struct gguf_make *m);
/* A llama with random weights and the BPE vocabulary; its head is tied to the embedding. */
void gguf_make_llama(struct gguf_make *m, const struct gguf_make_shape *shape);

#endif
