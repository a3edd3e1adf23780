/* gguf.h - a GGUF file, versions 2 and 3: mapped, checked whole at open, then only read.
 *
 * After ew_gguf_open succeeded every string, array and tensor handed out lies inside the file, so
 * users need no bounds checks of their own; they still check values. All pointers are borrowed
 * until close. Limits are the constants in gguf_parse.c; errors name file, key or tensor, what was
 * found and what is allowed. Readers may share one from many threads. */
#ifndef EW_GGUF_H
#define EW_GGUF_H

#include "base/buf.h"
#include "kernels/blocks.h"

struct ew_gguf;

enum ew_gguf_kind {
    EW_GGUF_U8,
    EW_GGUF_I8,
    EW_GGUF_U16,
    EW_GGUF_I16,
    EW_GGUF_U32,
    EW_GGUF_I32,
    EW_GGUF_F32,
    EW_GGUF_BOOL,
    EW_GGUF_STRING,
    EW_GGUF_ARRAY,
    EW_GGUF_U64,
    EW_GGUF_I64,
    EW_GGUF_F64,
    EW_GGUF_KINDS
};

struct ew_tensor {
    struct ew_str name;
    enum ew_type type;
    int dims;
    uint64_t shape[4]; /* shape[0] is the inner one (inputs), unused ones are 1 */
    const void *data;
    uint64_t bytes;
};

struct ew_gguf_array {
    enum ew_gguf_kind kind; /* of the elements; never EW_GGUF_ARRAY */
    uint64_t count;
    const uint8_t *data; /* unaligned, little-endian; strings: use ew_gguf_array_next */
};

int ew_gguf_open(struct ew_gguf **gives, const char *path, struct ew_err *err);
void ew_gguf_close(struct ew_gguf **gguf);
/* The path as errors show it: of a long one, its end. */
const char *ew_gguf_path(const struct ew_gguf *gguf);
/* Text from the file made fit for an error: cut, in quotes, unprintable bytes as '?'. */
struct ew_gguf_shown {
    char text[72];
};
struct ew_gguf_shown ew_gguf_show(struct ew_str text);
uint64_t ew_gguf_bytes(const struct ew_gguf *gguf);
/* EW_EIO when the file is now shorter than at open: reading beyond its end would raise SIGBUS.
 * Asked before the weights are packed, and before each computation that reads from the file. */
int ew_gguf_intact(const struct ew_gguf *gguf, struct ew_err *err);

/* Values by key: 1 when there, 0 when absent (*out untouched), EW_EFORMAT when there but of another
 * kind or out of range. u32 takes any integer kind that fits, f32 any number. */
int ew_gguf_u32(const struct ew_gguf *gguf, const char *key, uint32_t *out, struct ew_err *err);
int ew_gguf_f32(const struct ew_gguf *gguf, const char *key, float *out, struct ew_err *err);
int ew_gguf_bool(const struct ew_gguf *gguf, const char *key, bool *out, struct ew_err *err);
int ew_gguf_string(const struct ew_gguf *gguf, const char *key, struct ew_str *out,
                   struct ew_err *err);
/* kind: what the elements must be. */
int ew_gguf_array(const struct ew_gguf *gguf, const char *key, enum ew_gguf_kind kind,
                  struct ew_gguf_array *out, struct ew_err *err);
/* Whether the key is there at all and is an array (head_count may be either). */
bool ew_gguf_is_array(const struct ew_gguf *gguf, const char *key);
/* The next string of a string array; *at starts as 0 and is moved on. */
struct ew_str ew_gguf_array_next(const struct ew_gguf_array *array, size_t *at);

size_t ew_gguf_tensors(const struct ew_gguf *gguf);
const struct ew_tensor *ew_gguf_tensor_at(const struct ew_gguf *gguf, size_t index);
const struct ew_tensor *ew_gguf_tensor(const struct ew_gguf *gguf, const char *name); /* or NULL */
/* Reads bytes that lie at `from` in the mapping (part of a tensor) from the file itself: their
 * pages never become ours, and a file that has shrunk is EW_EIO and not SIGBUS. */
int ew_gguf_read(const struct ew_gguf *gguf, const void *from, void *into, size_t bytes,
                 struct ew_err *err);

/* Lets go of all pages of the mapping that are in memory; what is touched later comes back. */
void ew_gguf_rest(const struct ew_gguf *gguf);

#endif
