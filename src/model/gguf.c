/* gguf.c - the door to a GGUF file: opens and maps it, and answers lookups.
 *
 * The checks are in gguf_parse.c and run once, at open; here a pointer from the table is always
 * good. The file is mapped private and read-only: others who write to it may change weights under
 * us but not what we checked of the metadata's extents, and a file that *shrinks* while mapped
 * makes the kernel send SIGBUS for pages beyond its new end. Weights are therefore read from the
 * file (ew_gguf_read), where that is an error; what stays mapped is the vocabulary and, in models
 * whose head isn't tied, the embedding. For these we look at the size again after the checks,
 * before the weights are packed and before each computation. */
#include "model/gguf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/gguf_int.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "GGUF values are read in place");

/* Bytes of a path shown in errors, from its end: the file's name must stay readable. */
enum { PATH_SHOWN = 80 };

static int fail_file(const struct ew_gguf *gguf, int code, struct ew_err *err)
{
    return ew_fail_in(err, code, "%s", gguf->label);
}

static void make_label(struct ew_gguf *gguf)
{
    size_t n = strlen(gguf->path);
    bool cut = n > PATH_SHOWN;
    snprintf(gguf->label, sizeof gguf->label, "%s%s", cut ? "…" : "",
             gguf->path + (cut ? n - PATH_SHOWN : 0));
}

static const char *irregular(mode_t mode)
{
    return S_ISDIR(mode)    ? "is a directory; a GGUF file is needed"
           : S_ISFIFO(mode) ? "is a pipe (FIFO); a GGUF file can't be streamed"
           : S_ISSOCK(mode) ? "is a socket; a GGUF file is needed"
                            : "is a device; a GGUF file is needed";
}

static int map_file(struct ew_gguf *gguf, struct ew_err *err)
{
    /* O_NONBLOCK: opening a FIFO that nobody writes to must not hang. */
    gguf->fd = open(gguf->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (gguf->fd < 0)
        return ew_fail(err, errno == ENOENT ? EW_ENOTFOUND : EW_EIO, "%s", strerror(errno));
    struct stat st;
    if (fstat(gguf->fd, &st))
        return ew_fail(err, EW_EIO, "%s", strerror(errno));
    if (!S_ISREG(st.st_mode))
        return ew_fail(err, EW_EIO, "%s", irregular(st.st_mode));
    if (st.st_size == 0)
        return ew_fail(err, EW_EFORMAT, "is empty; a GGUF file has at least 24 bytes");
    if ((uint64_t)st.st_size > SIZE_MAX)
        return ew_fail(err, EW_ELIMIT, "is larger than this machine's address space");
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, gguf->fd, 0);
    if (data == MAP_FAILED)
        return ew_fail(err, errno == ENOMEM ? EW_ENOMEM : EW_EIO, "can't be mapped: %s",
                       strerror(errno));
    gguf->data = data;
    gguf->bytes = (uint64_t)st.st_size;
    return 0;
}

static int still_whole(const struct ew_gguf *gguf, struct ew_err *err)
{
    struct stat st;
    if (fstat(gguf->fd, &st))
        return ew_fail(err, EW_EIO, "%s", strerror(errno));
    if ((uint64_t)st.st_size < gguf->bytes)
        return ew_fail(err, EW_EIO, "shrank from %llu to %llu bytes while it was read",
                       (unsigned long long)gguf->bytes, (unsigned long long)st.st_size);
    return 0;
}

int ew_gguf_open(struct ew_gguf **gives, const char *path, struct ew_err *err)
{
    *gives = NULL;
    struct ew_err own = {0};
    if (!err)
        err = &own;
    struct ew_gguf *gguf = calloc(1, sizeof *gguf);
    if (!gguf)
        return ew_fail(err, EW_ENOMEM, "no memory to open %s", path);
    gguf->fd = -1;
    gguf->path = strdup(path);
    if (!gguf->path) {
        ew_gguf_close(&gguf);
        return ew_fail(err, EW_ENOMEM, "no memory to open %s", path);
    }
    make_label(gguf);
    int code = map_file(gguf, err);
    if (!code)
        code = ew_gguf_parse(gguf, err);
    if (!code)
        code = still_whole(gguf, err);
    if (code) {
        fail_file(gguf, code, err);
        ew_gguf_close(&gguf);
        return code;
    }
    *gives = gguf;
    return 0;
}

void ew_gguf_close(struct ew_gguf **gguf)
{
    struct ew_gguf *g = *gguf;
    if (!g)
        return;
    if (g->data)
        munmap((void *)(uintptr_t)g->data, (size_t)g->bytes);
    if (g->fd >= 0)
        close(g->fd);
    free(g->pairs);
    free(g->tensors);
    free(g->pair_index.sorted);
    free(g->tensor_index.sorted);
    free(g->path);
    free(g);
    *gguf = NULL;
}

int ew_gguf_intact(const struct ew_gguf *gguf, struct ew_err *err)
{
    int code = still_whole(gguf, err);
    return code ? fail_file(gguf, code, err) : 0;
}

const char *ew_gguf_path(const struct ew_gguf *gguf)
{
    return gguf->label;
}

uint64_t ew_gguf_bytes(const struct ew_gguf *gguf)
{
    return gguf->bytes;
}

/* ---- lookup ---- */

static const struct ew_str *find(const struct ew_gguf_index *index, const char *name)
{
    size_t bytes = strlen(name), lo = 0, hi = index->count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct ew_str *at = index->sorted[mid];
        size_t n = at->bytes < bytes ? at->bytes : bytes;
        int order = memcmp(at->data, name, n);
        if (order == 0 && at->bytes == bytes)
            return at;
        if (order < 0 || (order == 0 && at->bytes < bytes))
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

const struct ew_gguf_pair *ew_gguf_find(const struct ew_gguf *gguf, const char *key)
{
    /* The key is the pair's first member. */
    return (const struct ew_gguf_pair *)find(&gguf->pair_index, key);
}

const struct ew_tensor *ew_gguf_tensor(const struct ew_gguf *gguf, const char *name)
{
    return (const struct ew_tensor *)find(&gguf->tensor_index, name);
}

size_t ew_gguf_tensors(const struct ew_gguf *gguf)
{
    return gguf->tensor_index.count;
}

const struct ew_tensor *ew_gguf_tensor_at(const struct ew_gguf *gguf, size_t index)
{
    EW_ASSERT(index < gguf->tensor_index.count);
    return &gguf->tensors[index];
}

int ew_gguf_read(const struct ew_gguf *gguf, const void *from, void *into, size_t bytes,
                 struct ew_err *err)
{
    size_t at = (size_t)((const uint8_t *)from - gguf->data), done = 0;
    EW_ASSERT(at <= gguf->bytes && bytes <= gguf->bytes - at);
    while (done < bytes) {
        ssize_t n = pread(gguf->fd, (char *)into + done, bytes - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ew_fail(err, EW_EIO, "%s: can't be read: %s", gguf->label, strerror(errno));
        if (n == 0)
            return ew_fail(err, EW_EIO, "%s: the file became shorter while it was read",
                           gguf->label);
        done += (size_t)n;
    }
    return 0;
}

void ew_gguf_rest(const struct ew_gguf *gguf)
{
    /* Only advice: failing costs memory. */
    madvise((void *)(uintptr_t)gguf->data, (size_t)gguf->bytes, MADV_DONTNEED);
}

/* ---- values ---- */

static int wrong_kind(const struct ew_gguf *gguf, const struct ew_gguf_pair *pair,
                      const char *wanted, struct ew_err *err)
{
    struct ew_err own = {0};
    bool array = pair->kind == EW_GGUF_ARRAY;
    int code = ew_fail(err ? err : &own, EW_EFORMAT, "key %s is %s%s, must be %s",
                       ew_gguf_show(pair->key).text, array ? "an array of " : "",
                       ew_gguf_kind_name(array ? pair->value.kind : pair->kind), wanted);
    return fail_file(gguf, code, err ? err : &own);
}

/* An integer of any kind as sign and magnitude; false: not an integer. */
static bool integer_of(const struct ew_gguf_pair *pair, bool *negative, uint64_t *magnitude)
{
    int64_t i = 0;
    uint64_t u = 0;
    const uint8_t *at = pair->value.data;
    size_t bytes = ew_gguf_kind_bytes(pair->kind);
    switch (pair->kind) {
    case EW_GGUF_U8:
    case EW_GGUF_U16:
    case EW_GGUF_U32:
    case EW_GGUF_U64:
        memcpy(&u, at, bytes);
        break;
    case EW_GGUF_I8:
    case EW_GGUF_I16:
    case EW_GGUF_I32:
    case EW_GGUF_I64:
        memcpy(&i, at, bytes);
        /* Carries the sign up from the value's own width; shifting left as unsigned is defined. */
        i = (int64_t)((uint64_t)i << (64 - 8 * bytes)) >> (64 - 8 * bytes);
        u = i < 0 ? -(uint64_t)i : (uint64_t)i;
        break;
    default:
        return false;
    }
    *negative = i < 0;
    *magnitude = u;
    return true;
}

int ew_gguf_u32(const struct ew_gguf *gguf, const char *key, uint32_t *out, struct ew_err *err)
{
    struct ew_err own = {0};
    err = err ? err : &own;
    const struct ew_gguf_pair *pair = ew_gguf_find(gguf, key);
    if (!pair)
        return 0;
    bool negative;
    uint64_t value;
    if (!integer_of(pair, &negative, &value))
        return wrong_kind(gguf, pair, "an integer", err);
    if (negative || value > UINT32_MAX) {
        int code =
            ew_fail(err, EW_EFORMAT, "key %s is %s%llu, must be 0 to 4294967295",
                    ew_gguf_show(pair->key).text, negative ? "-" : "", (unsigned long long)value);
        return fail_file(gguf, code, err);
    }
    *out = (uint32_t)value;
    return 1;
}

int ew_gguf_f32(const struct ew_gguf *gguf, const char *key, float *out, struct ew_err *err)
{
    struct ew_err own = {0};
    err = err ? err : &own;
    const struct ew_gguf_pair *pair = ew_gguf_find(gguf, key);
    if (!pair)
        return 0;
    bool negative;
    uint64_t magnitude;
    double value;
    if (pair->kind == EW_GGUF_F32) {
        memcpy(out, pair->value.data, sizeof *out);
        return 1;
    }
    if (pair->kind == EW_GGUF_F64)
        memcpy(&value, pair->value.data, sizeof value);
    else if (integer_of(pair, &negative, &magnitude))
        value = negative ? -(double)magnitude : (double)magnitude;
    else
        return wrong_kind(gguf, pair, "a number", err);
    if (isfinite(value) && fabs(value) > (double)0x1.fffffep127f) {
        int code = ew_fail(err, EW_EFORMAT, "key %s is %g, which doesn't fit 32 bits",
                           ew_gguf_show(pair->key).text, value);
        return fail_file(gguf, code, err);
    }
    *out = (float)value;
    return 1;
}

int ew_gguf_bool(const struct ew_gguf *gguf, const char *key, bool *out, struct ew_err *err)
{
    const struct ew_gguf_pair *pair = ew_gguf_find(gguf, key);
    if (!pair)
        return 0;
    if (pair->kind != EW_GGUF_BOOL)
        return wrong_kind(gguf, pair, "a bool", err);
    *out = *pair->value.data != 0;
    return 1;
}

int ew_gguf_string(const struct ew_gguf *gguf, const char *key, struct ew_str *out,
                   struct ew_err *err)
{
    const struct ew_gguf_pair *pair = ew_gguf_find(gguf, key);
    if (!pair)
        return 0;
    if (pair->kind != EW_GGUF_STRING)
        return wrong_kind(gguf, pair, "a string", err);
    size_t at = 0;
    *out = ew_gguf_array_next(&pair->value, &at);
    return 1;
}

int ew_gguf_array(const struct ew_gguf *gguf, const char *key, enum ew_gguf_kind kind,
                  struct ew_gguf_array *out, struct ew_err *err)
{
    const struct ew_gguf_pair *pair = ew_gguf_find(gguf, key);
    if (!pair)
        return 0;
    if (pair->kind != EW_GGUF_ARRAY || pair->value.kind != kind) {
        char wanted[32] = "an array of ";
        strncat(wanted, ew_gguf_kind_name(kind), sizeof wanted - strlen(wanted) - 1);
        return wrong_kind(gguf, pair, wanted, err);
    }
    *out = pair->value;
    return 1;
}

bool ew_gguf_is_array(const struct ew_gguf *gguf, const char *key)
{
    const struct ew_gguf_pair *pair = ew_gguf_find(gguf, key);
    return pair && pair->kind == EW_GGUF_ARRAY;
}

struct ew_str ew_gguf_array_next(const struct ew_gguf_array *array, size_t *at)
{
    uint64_t bytes; /* checked at open: the string lies in the file */
    memcpy(&bytes, array->data + *at, sizeof bytes);
    struct ew_str str = {(const char *)array->data + *at + sizeof bytes, (size_t)bytes};
    *at += sizeof bytes + (size_t)bytes;
    return str;
}
