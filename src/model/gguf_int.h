/* gguf_int.h - what gguf.c (the door) and gguf_parse.c (the checks) share; nobody else's. */
#ifndef EW_GGUF_INT_H
#define EW_GGUF_INT_H

#include "model/gguf.h"

/* One key and its value. The name comes first here and in struct ew_tensor, so that one index
 * serves both. */
struct ew_gguf_pair {
    struct ew_str key;
    enum ew_gguf_kind kind;
    struct ew_gguf_array value; /* a scalar or a string is an array of one */
};

/* Names in order, for lookup by bisection. Sorted rather than hashed: the file chooses the names,
 * and no choice of names makes this slow. */
struct ew_gguf_index {
    const struct ew_str **sorted; /* owned */
    size_t count;
};

struct ew_gguf {
    char *path;          /* owned */
    char label[96];      /* the path in errors */
    int fd;              /* stays open, so that a shrunken file can be noticed */
    const uint8_t *data; /* the mapping */
    uint64_t bytes;
    struct ew_gguf_pair *pairs; /* owned */
    struct ew_tensor *tensors;  /* owned */
    struct ew_gguf_index pair_index, tensor_index;
};

/* Checks the whole file and fills pairs, tensors and their indices; what it allocated is in *gguf
 * whether or not it failed. The error doesn't name the file yet. */
int ew_gguf_parse(struct ew_gguf *gguf, struct ew_err *err);

const struct ew_gguf_pair *ew_gguf_find(const struct ew_gguf *gguf, const char *key);
/* "u32", "string" …; "kind 77" isn't among them: kind < EW_GGUF_KINDS. */
const char *ew_gguf_kind_name(enum ew_gguf_kind kind);
/* Bytes of one value; 0 for strings and arrays. */
size_t ew_gguf_kind_bytes(enum ew_gguf_kind kind);

#endif
