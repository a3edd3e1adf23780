/* gguf_make.c - builds GGUF files in memory. */
#include "support/gguf_make.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernels/blocks.h"

static void add(struct ew_buf *buf, const void *data, size_t bytes)
{
    struct ew_err err = {0};
    if (ew_buf_add(buf, data, bytes, &err)) {
        fprintf(stderr, "gguf_make: %s\n", err.text);
        abort();
    }
}

static void add_u32(struct ew_buf *buf, uint32_t value)
{
    add(buf, &value, sizeof value);
}

static void add_u64(struct ew_buf *buf, uint64_t value)
{
    add(buf, &value, sizeof value);
}

static void add_string(struct ew_buf *buf, const void *data, size_t bytes)
{
    add_u64(buf, bytes);
    add(buf, data, bytes);
}

/* Room for one more: the capacity is the power of two from count on. */
static void *grow(void *array, size_t count, size_t size)
{
    if (count & (count - 1))
        return array;
    array = realloc(array, (count ? 2 * count : 1) * size);
    if (!array)
        abort();
    return array;
}

void gguf_make_init(struct gguf_make *m)
{
    *m = (struct gguf_make){.magic = {'G', 'G', 'U', 'F'},
                            .version = 3,
                            .pairs_said = GGUF_MAKE_AUTO,
                            .tensors_said = GGUF_MAKE_AUTO,
                            .alignment = 32,
                            .bytes_max = GGUF_MAKE_BYTES_MAX};
    ew_buf_init(&m->raw, GGUF_MAKE_BYTES_MAX);
    ew_rng_init(&m->rng, 1);
}

void gguf_make_fini(struct gguf_make *m)
{
    for (size_t i = 0; i < m->pair_count; i++) {
        ew_buf_fini(&m->pairs[i].key);
        ew_buf_fini(&m->pairs[i].value);
    }
    for (size_t i = 0; i < m->tensor_count; i++) {
        ew_buf_fini(&m->tensors[i].name);
        ew_buf_fini(&m->tensors[i].data);
    }
    free(m->pairs);
    free(m->tensors);
    ew_buf_fini(&m->raw);
    *m = (struct gguf_make){0};
}

/* ---- keys ---- */

static struct gguf_make_pair *find_pair(struct gguf_make *m, const char *key)
{
    for (size_t i = 0; i < m->pair_count; i++)
        if (strcmp(ew_buf_cstr(&m->pairs[i].key), key) == 0)
            return &m->pairs[i];
    return NULL;
}

struct gguf_make_pair *gguf_make_twin(struct gguf_make *m, const void *key, size_t bytes,
                                      uint32_t kind, const void *value, size_t value_bytes)
{
    m->pairs = grow(m->pairs, m->pair_count, sizeof *m->pairs);
    struct gguf_make_pair *pair = &m->pairs[m->pair_count++];
    *pair = (struct gguf_make_pair){.kind = kind};
    ew_buf_init(&pair->key, GGUF_MAKE_BYTES_MAX);
    ew_buf_init(&pair->value, GGUF_MAKE_BYTES_MAX);
    add(&pair->key, key, bytes);
    add(&pair->value, value, value_bytes);
    return pair;
}

struct gguf_make_pair *gguf_make_value(struct gguf_make *m, const char *key, uint32_t kind,
                                       const void *value, size_t bytes)
{
    struct gguf_make_pair *pair = find_pair(m, key);
    if (!pair)
        return gguf_make_twin(m, key, strlen(key), kind, value, bytes);
    pair->kind = kind;
    ew_buf_clear(&pair->value);
    add(&pair->value, value, bytes);
    return pair;
}

void gguf_make_u32(struct gguf_make *m, const char *key, uint32_t value)
{
    gguf_make_value(m, key, EW_GGUF_U32, &value, sizeof value);
}

void gguf_make_i32(struct gguf_make *m, const char *key, int32_t value)
{
    gguf_make_value(m, key, EW_GGUF_I32, &value, sizeof value);
}

void gguf_make_u64(struct gguf_make *m, const char *key, uint64_t value)
{
    gguf_make_value(m, key, EW_GGUF_U64, &value, sizeof value);
}

void gguf_make_f32(struct gguf_make *m, const char *key, float value)
{
    gguf_make_value(m, key, EW_GGUF_F32, &value, sizeof value);
}

void gguf_make_bool(struct gguf_make *m, const char *key, bool value)
{
    uint8_t byte = value;
    gguf_make_value(m, key, EW_GGUF_BOOL, &byte, sizeof byte);
}

void gguf_make_string(struct gguf_make *m, const char *key, const char *value)
{
    struct gguf_make_pair *pair = gguf_make_value(m, key, EW_GGUF_STRING, NULL, 0);
    add_string(&pair->value, value, strlen(value));
}

struct gguf_make_pair *gguf_make_array(struct gguf_make *m, const char *key, uint32_t kind,
                                       uint64_t said, const void *values, size_t bytes)
{
    struct gguf_make_pair *pair = gguf_make_value(m, key, EW_GGUF_ARRAY, NULL, 0);
    add_u32(&pair->value, kind);
    add_u64(&pair->value, said);
    add(&pair->value, values, bytes);
    return pair;
}

void gguf_make_push(struct gguf_make *m, const char *key, const void *string, size_t bytes)
{
    struct gguf_make_pair *pair = find_pair(m, key);
    if (!pair)
        pair = gguf_make_array(m, key, EW_GGUF_STRING, 0, NULL, 0);
    uint64_t count;
    memcpy(&count, pair->value.data + 4, sizeof count);
    count++;
    memcpy(pair->value.data + 4, &count, sizeof count);
    add_string(&pair->value, string, bytes);
}

void gguf_make_strings(struct gguf_make *m, const char *key, const char *const *values,
                       size_t count)
{
    gguf_make_array(m, key, EW_GGUF_STRING, 0, NULL, 0);
    for (size_t i = 0; i < count; i++)
        gguf_make_push(m, key, values[i], strlen(values[i]));
}

void gguf_make_i32s(struct gguf_make *m, const char *key, const int32_t *values, size_t count)
{
    gguf_make_array(m, key, EW_GGUF_I32, count, values, count * sizeof *values);
}

void gguf_make_f32s(struct gguf_make *m, const char *key, const float *values, size_t count)
{
    gguf_make_array(m, key, EW_GGUF_F32, count, values, count * sizeof *values);
}

void gguf_make_drop(struct gguf_make *m, const char *key)
{
    struct gguf_make_pair *pair = find_pair(m, key);
    if (!pair)
        return;
    ew_buf_fini(&pair->key);
    ew_buf_fini(&pair->value);
    size_t at = (size_t)(pair - m->pairs);
    memmove(pair, pair + 1, (m->pair_count - at - 1) * sizeof *pair);
    m->pair_count--;
}

/* ---- tensors ---- */

struct gguf_make_tensor *gguf_make_find(struct gguf_make *m, const char *name)
{
    for (size_t i = 0; i < m->tensor_count; i++)
        if (strcmp(ew_buf_cstr(&m->tensors[i].name), name) == 0)
            return &m->tensors[i];
    return NULL;
}

struct gguf_make_tensor *gguf_make_twin_tensor(struct gguf_make *m, const void *name, size_t bytes)
{
    m->tensors = grow(m->tensors, m->tensor_count, sizeof *m->tensors);
    struct gguf_make_tensor *tensor = &m->tensors[m->tensor_count++];
    *tensor = (struct gguf_make_tensor){.dims = 1, .shape = {1}, .offset = GGUF_MAKE_AUTO};
    ew_buf_init(&tensor->name, GGUF_MAKE_BYTES_MAX);
    ew_buf_init(&tensor->data, GGUF_MAKE_BYTES_MAX);
    add(&tensor->name, name, bytes);
    return tensor;
}

struct gguf_make_tensor *gguf_make_tensor(struct gguf_make *m, const char *name, uint32_t type,
                                          uint32_t dims, const uint64_t *shape, const void *data)
{
    struct gguf_make_tensor *tensor = gguf_make_find(m, name);
    if (!tensor)
        tensor = gguf_make_twin_tensor(m, name, strlen(name));
    const struct ew_type_info *info = ew_type_describe(type);
    EW_ASSERT(info && dims <= EW_COUNT(tensor->shape));
    uint64_t weights = 1;
    for (uint32_t i = 0; i < dims; i++)
        weights *= tensor->shape[i] = shape[i];
    tensor->dims = dims;
    tensor->type = type;
    tensor->offset = GGUF_MAKE_AUTO;
    size_t bytes = (size_t)(weights / (uint64_t)info->weights * (uint64_t)info->bytes);
    ew_buf_clear(&tensor->data);
    void *at = ew_buf_extend(&tensor->data, bytes, NULL);
    EW_ASSERT(at);
    if (data)
        memcpy(at, data, bytes);
    else
        memset(at, 0, bytes);
    return tensor;
}

/* Only for small numbers: truncates, and gives 0 for what a half can't hold as a normal number. */
static uint16_t half_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    int exponent = (int)(bits >> 23 & 255) - 127;
    if (exponent < -14 || exponent > 15)
        return 0;
    return (uint16_t)((bits >> 16 & 0x8000) | (uint32_t)(exponent + 15) << 10 |
                      (bits >> 13 & 0x3ff));
}

static void set_half(uint8_t *at, float value)
{
    uint16_t h = half_of(value);
    memcpy(at, &h, sizeof h);
}

/* Gives a block of random bytes sensible scales, so that weights are about +-size. */
static void scale_block(uint8_t *block, uint32_t type, float size)
{
    switch (type) {
    case EW_TYPE_Q4_0:
        set_half(block, size / 8);
        break;
    case EW_TYPE_Q5_0:
        set_half(block, size / 16);
        break;
    case EW_TYPE_Q8_0:
        set_half(block, size / 128);
        break;
    case EW_TYPE_Q4_1:
        set_half(block, size / 8);
        set_half(block + 2, -size);
        break;
    case EW_TYPE_Q5_1:
        set_half(block, size / 16);
        set_half(block + 2, -size);
        break;
    case EW_TYPE_Q4_K:
        set_half(block, size / 256);
        set_half(block + 2, size / 32);
        break;
    case EW_TYPE_Q5_K:
        set_half(block, size / 512);
        set_half(block + 2, size / 32);
        break;
    case EW_TYPE_Q6_K:
        set_half(block + offsetof(struct ew_block_q6_k, d), size / 2048);
        break;
    default:
        break;
    }
}

static void fill_random(struct gguf_make *m, uint8_t *at, size_t bytes, uint32_t type, float size)
{
    size_t each = (size_t)ew_type_describe(type)->bytes;
    for (uint8_t *end = at + bytes; at < end; at += each) {
        float value = size * (float)(2 * ew_rng_uniform(&m->rng) - 1);
        if (type == EW_TYPE_F32) {
            memcpy(at, &value, sizeof value);
        } else if (type == EW_TYPE_F16) {
            set_half(at, value);
        } else if (type == EW_TYPE_BF16) {
            memcpy(at, (uint8_t *)&value + 2, 2);
        } else {
            for (size_t i = 0; i < each; i++)
                at[i] = (uint8_t)ew_rng_next(&m->rng);
            scale_block(at, type, size);
        }
    }
}

struct gguf_make_tensor *gguf_make_random(struct gguf_make *m, const char *name, uint32_t type,
                                          uint64_t cols, uint64_t rows, float size)
{
    uint64_t shape[2] = {cols, rows};
    struct gguf_make_tensor *tensor = gguf_make_tensor(m, name, type, rows ? 2 : 1, shape, NULL);
    fill_random(m, (uint8_t *)tensor->data.data, tensor->data.bytes, type, size);
    return tensor;
}

struct gguf_make_tensor *gguf_make_constant(struct gguf_make *m, const char *name, uint64_t count,
                                            float value)
{
    struct gguf_make_tensor *tensor = gguf_make_tensor(m, name, EW_TYPE_F32, 1, &count, NULL);
    for (size_t i = 0; i < count; i++)
        memcpy(tensor->data.data + i * sizeof value, &value, sizeof value);
    return tensor;
}

void gguf_make_drop_tensor(struct gguf_make *m, const char *name)
{
    struct gguf_make_tensor *tensor = gguf_make_find(m, name);
    if (!tensor)
        return;
    ew_buf_fini(&tensor->name);
    ew_buf_fini(&tensor->data);
    size_t at = (size_t)(tensor - m->tensors);
    memmove(tensor, tensor + 1, (m->tensor_count - at - 1) * sizeof *tensor);
    m->tensor_count--;
}

/* ---- the file ---- */

static size_t padded(size_t bytes, uint32_t alignment)
{
    return alignment ? (bytes + alignment - 1) / alignment * alignment : bytes;
}

static void add_padding(struct ew_buf *out, uint32_t alignment)
{
    while (alignment && out->bytes % alignment)
        add(out, "", 1);
}

static void add_tensor_list(const struct gguf_make *m, struct ew_buf *out)
{
    uint64_t offset = 0;
    for (size_t i = 0; i < m->tensor_count; i++) {
        const struct gguf_make_tensor *tensor = &m->tensors[i];
        add_string(out, tensor->name.data, tensor->name.bytes);
        add_u32(out, tensor->dims);
        for (uint32_t d = 0; d < tensor->dims && d < EW_COUNT(tensor->shape); d++)
            add_u64(out, tensor->shape[d]);
        add_u32(out, tensor->type);
        add_u64(out, tensor->offset == GGUF_MAKE_AUTO ? offset : tensor->offset);
        offset += padded(tensor->data.bytes, m->alignment);
    }
}

void gguf_make_bytes(const struct gguf_make *m, struct ew_buf *out)
{
    ew_buf_init(out, GGUF_MAKE_BYTES_MAX);
    if (m->raw.bytes) {
        add(out, m->raw.data, m->raw.bytes);
    } else {
        add(out, m->magic, sizeof m->magic);
        add_u32(out, m->version);
        add_u64(out, m->tensors_said == GGUF_MAKE_AUTO ? m->tensor_count : m->tensors_said);
        add_u64(out, m->pairs_said == GGUF_MAKE_AUTO ? m->pair_count : m->pairs_said);
        for (size_t i = 0; i < m->pair_count; i++) {
            const struct gguf_make_pair *pair = &m->pairs[i];
            add_string(out, pair->key.data, pair->key.bytes);
            add_u32(out, pair->kind);
            add(out, pair->value.data, pair->value.bytes);
        }
        add_tensor_list(m, out);
        add_padding(out, m->alignment);
        for (size_t i = 0; i < m->tensor_count; i++) {
            add(out, m->tensors[i].data.data, m->tensors[i].data.bytes);
            add_padding(out, m->alignment);
        }
    }
    if (out->bytes > m->bytes_max)
        out->bytes = (size_t)m->bytes_max;
}

static void write_all(int fd, const void *data, size_t bytes)
{
    const char *at = data;
    while (bytes) {
        ssize_t n = write(fd, at, bytes);
        if (n <= 0) {
            perror("gguf_make");
            abort();
        }
        at += n;
        bytes -= (size_t)n;
    }
}

struct gguf_make_file gguf_make_open_bytes(const void *data, size_t bytes)
{
    struct gguf_make_file file = {.fd = memfd_create("gguf", MFD_CLOEXEC)};
    if (file.fd < 0) {
        perror("gguf_make");
        abort();
    }
    write_all(file.fd, data, bytes);
    snprintf(file.path, sizeof file.path, "/proc/self/fd/%d", file.fd);
    return file;
}

struct gguf_make_file gguf_make_open(const struct gguf_make *m)
{
    struct ew_buf bytes;
    gguf_make_bytes(m, &bytes);
    struct gguf_make_file file = gguf_make_open_bytes(bytes.data, bytes.bytes);
    ew_buf_fini(&bytes);
    return file;
}

void gguf_make_close(struct gguf_make_file *file)
{
    close(file->fd);
    file->fd = -1;
}

void gguf_make_write(const struct gguf_make *m, const char *path)
{
    struct ew_buf bytes;
    gguf_make_bytes(m, &bytes);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        perror(path);
        abort();
    }
    write_all(fd, bytes.data, bytes.bytes);
    close(fd);
    ew_buf_fini(&bytes);
}
