/* gguf_parse.c - reads and checks a whole GGUF file, once; nothing later trusts a byte of it.
 *
 * The file is hostile until proven otherwise: every number is read through one cursor that can't
 * leave the mapping, every sum and product is checked for overflow in 64 bits, nothing recurses,
 * and the only allocations are two tables and their indices, whose counts are checked against what
 * the rest of the file could hold and against the limits below. So at most
 * PAIRS_MAX * 64 + TENSORS_MAX * 88 bytes (10 MiB) are taken whatever the file says, beyond
 * what sorting needs for an instant (half as much again at most).
 *
 * The classes of attack come from the published weaknesses of other GGUF readers: counts and string
 * lengths that wrap (CVE-2024-21825, -21836, -23496, -23605), dims out of bounds (CVE-2024-21802),
 * sizes that wrap only in bytes or only in the sum (CVE-2025-53630, CVE-2026-27940, -33298), and
 * alignments that make padding wrap. docs/BAD_FILES.md lists what is refused, with the words. */
#include "model/gguf_int.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/sniff.h"

enum {
    /* Files in the wild have some 50 keys and, of the models we run, under 1000 tensors. */
    PAIRS_MAX = 65536,
    TENSORS_MAX = 65536,
    KEY_BYTES_MAX = 65535, /* GGUF specification: 2^16 - 1 */
    NAME_BYTES_MAX = 64,   /* GGUF specification */
    DIMS_MAX = 4,          /* GGUF specification "currently at most 4" */
    ALIGNMENT_DEFAULT = 32,
    ALIGNMENT_MIN = 8,              /* GGUF specification: a multiple of 8 */
    ALIGNMENT_MAX = 65536,          /* the largest page size in use; more only wraps padding */
    PAIR_BYTES_MIN = 8 + 1 + 4 + 1, /* length, one letter, kind, one byte */
    TENSOR_BYTES_MIN = 8 + 1 + 4 + 8 + 4 + 8,
    HEADER_BYTES = 24,
    SNIFFED = 512
};

_Static_assert(sizeof(struct ew_gguf_pair) + sizeof(void *) <= 64, "the bound in the plate");
_Static_assert(sizeof(struct ew_tensor) + sizeof(void *) <= 88, "the bound in the plate");

/* Where we are in the file. `what` and `name` tell errors which key or tensor is being read. */
struct cursor {
    const uint8_t *data;
    uint64_t bytes, at;
    const char *what;   /* "header", "key", "tensor" */
    uint64_t index;     /* which one, from 0 */
    struct ew_str name; /* empty until it was read */
    struct ew_err *err;
};

static const struct {
    const char *name;
    size_t bytes;
} kinds[EW_GGUF_KINDS] = {
    [EW_GGUF_U8] = {"u8", 1},   [EW_GGUF_I8] = {"i8", 1},       [EW_GGUF_U16] = {"u16", 2},
    [EW_GGUF_I16] = {"i16", 2}, [EW_GGUF_U32] = {"u32", 4},     [EW_GGUF_I32] = {"i32", 4},
    [EW_GGUF_F32] = {"f32", 4}, [EW_GGUF_BOOL] = {"bool", 1},   [EW_GGUF_STRING] = {"string", 0},
    [EW_GGUF_U64] = {"u64", 8}, [EW_GGUF_ARRAY] = {"array", 0}, [EW_GGUF_I64] = {"i64", 8},
    [EW_GGUF_F64] = {"f64", 8},
};

const char *ew_gguf_kind_name(enum ew_gguf_kind kind)
{
    return kinds[kind].name;
}

size_t ew_gguf_kind_bytes(enum ew_gguf_kind kind)
{
    return kinds[kind].bytes;
}

struct ew_gguf_shown ew_gguf_show(struct ew_str text)
{
    struct ew_gguf_shown shown;
    size_t most = sizeof shown.text - 6; /* quotes, "…" and NUL */
    size_t n = text.bytes < most ? text.bytes : most, at = 0;
    shown.text[at++] = '\'';
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text.data[i];
        shown.text[at++] = c >= ' ' && c < 127 ? (char)c : '?';
    }
    if (n < text.bytes) {
        memcpy(shown.text + at, "…", 3);
        at += 3;
    }
    shown.text[at++] = '\'';
    shown.text[at] = '\0';
    return shown;
}

/* Fails with the key or tensor in front of the sentence. */
__attribute__((format(printf, 3, 4))) static int refuse(struct cursor *c, int code,
                                                        const char *format, ...)
{
    char sentence[160];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    if (c->name.data)
        return ew_fail(c->err, code, "%s %s: %s", c->what, ew_gguf_show(c->name).text, sentence);
    if (*c->what == 'h')
        return ew_fail(c->err, code, "header: %s", sentence);
    return ew_fail(c->err, code, "%s number %" PRIu64 ": %s", c->what, c->index, sentence);
}

/* ---- the cursor: the only code that moves through the file ---- */

static uint64_t left(const struct cursor *c)
{
    return c->bytes - c->at;
}

/* The next n bytes, or NULL with an error that says what they were to be. */
static const uint8_t *take(struct cursor *c, uint64_t n, const char *of)
{
    if (n > left(c)) {
        refuse(c, EW_EFORMAT,
               "%s needs %" PRIu64 " bytes at offset %" PRIu64 ", the file has %" PRIu64 " left",
               of, n, c->at, left(c));
        return NULL;
    }
    const uint8_t *at = c->data + c->at;
    c->at += n;
    return at;
}

static int take_u32(struct cursor *c, uint32_t *out, const char *of)
{
    const uint8_t *at = take(c, sizeof *out, of);
    if (!at)
        return EW_EFORMAT;
    memcpy(out, at, sizeof *out);
    return 0;
}

static int take_u64(struct cursor *c, uint64_t *out, const char *of)
{
    const uint8_t *at = take(c, sizeof *out, of);
    if (!at)
        return EW_EFORMAT;
    memcpy(out, at, sizeof *out);
    return 0;
}

static int take_string(struct cursor *c, struct ew_str *out, const char *of)
{
    uint64_t bytes;
    if (take_u64(c, &bytes, of))
        return EW_EFORMAT;
    const uint8_t *at = take(c, bytes, of);
    if (!at)
        return EW_EFORMAT;
    *out = (struct ew_str){(const char *)at, (size_t)bytes};
    return 0;
}

/* ---- names ---- */

/* Length of the UTF-8 character at s, 0 when malformed (RFC 3629: shortest form, no surrogates,
 * at most U+10FFFF). */
static size_t utf8_length(const uint8_t *s, size_t bytes)
{
    static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t first = s[0];
    if (first < 0x80)
        return 1;
    size_t n = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || n > bytes)
        return 0;
    uint32_t code = first & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (s[i] & 0x3f);
    }
    return code < smallest[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : n;
}

/* Reads what a key or tensor is called into c->name. */
static int take_name(struct cursor *c, uint64_t bytes_max)
{
    struct ew_str name;
    c->name = (struct ew_str){0};
    if (take_string(c, &name, "its name"))
        return EW_EFORMAT;
    if (name.bytes == 0)
        return refuse(c, EW_EFORMAT, "its name is empty");
    if (name.bytes > bytes_max)
        return refuse(c, EW_EFORMAT, "its name has %zu bytes, at most %" PRIu64 " are allowed",
                      name.bytes, bytes_max);
    for (size_t i = 0, n; i < name.bytes; i += n) {
        n = utf8_length((const uint8_t *)name.data + i, name.bytes - i);
        if (n == 0)
            return refuse(c, EW_EFORMAT, "its name %s isn't valid UTF-8 at byte %zu",
                          ew_gguf_show(name).text, i);
        if (name.data[i] == '\0')
            return refuse(c, EW_EFORMAT, "its name %s has a NUL at byte %zu",
                          ew_gguf_show(name).text, i);
    }
    c->name = name;
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    const struct ew_str *x = *(const struct ew_str *const *)a;
    const struct ew_str *y = *(const struct ew_str *const *)b;
    int order = memcmp(x->data, y->data, x->bytes < y->bytes ? x->bytes : y->bytes);
    return order ? order : (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

/* Sorts the names of `count` records of `size` bytes that begin with one; twins are refused. */
static int index_names(struct cursor *c, struct ew_gguf_index *index, const void *records,
                       size_t size, size_t count)
{
    c->name = (struct ew_str){0};
    index->count = count;
    if (count == 0)
        return 0;
    index->sorted = calloc(count, sizeof *index->sorted);
    if (!index->sorted)
        return ew_fail(c->err, EW_ENOMEM, "no memory for the index of %zu names", count);
    for (size_t i = 0; i < count; i++)
        index->sorted[i] = (const struct ew_str *)((const char *)records + i * size);
    qsort(index->sorted, count, sizeof *index->sorted, compare_names);
    for (size_t i = 1; i < count; i++) {
        if (compare_names(&index->sorted[i - 1], &index->sorted[i]) == 0) {
            c->name = *index->sorted[i];
            return refuse(c, EW_EFORMAT, "is there twice; names must be unique");
        }
    }
    return 0;
}

/* ---- header ---- */

static int parse_magic(struct cursor *c)
{
    static const char magic[4] = {'G', 'G', 'U', 'F'};
    size_t have = left(c) < sizeof magic ? (size_t)left(c) : sizeof magic;
    if (memcmp(c->data, magic, have) != 0) {
        const char *like = ew_sniff_describe(c->data, left(c) < SNIFFED ? left(c) : SNIFFED);
        uint8_t m[4] = {0};
        memcpy(m, c->data, have);
        return ew_fail(c->err, EW_EFORMAT,
                       "not a GGUF file: starts with %02x %02x %02x %02x, not \"GGUF\"%s%s", m[0],
                       m[1], m[2], m[3], like ? "; it looks like " : "", like ? like : "");
    }
    if (left(c) < HEADER_BYTES)
        return refuse(c, EW_EFORMAT, "the file has %" PRIu64 " bytes, the header alone needs %d",
                      left(c), HEADER_BYTES);
    c->at += 4;
    uint32_t version;
    if (take_u32(c, &version, "version"))
        return EW_EFORMAT;
    if (version && (version & 0xffff) == 0)
        return refuse(c, EW_EUNSUPPORTED,
                      "version %u byte-swapped: a big-endian GGUF file; only little-endian is "
                      "supported",
                      __builtin_bswap32(version));
    if (version == 1)
        return refuse(c, EW_EUNSUPPORTED,
                      "GGUF version 1; versions 2 and 3 are supported: "
                      "convert the model anew");
    if (version != 2 && version != 3)
        return refuse(c, EW_EUNSUPPORTED, "GGUF version %u; versions 2 and 3 are supported",
                      version);
    return 0;
}

/* A count must be within our limit and be possible in what is left of the file. */
static int check_count(struct cursor *c, uint64_t count, const char *of, uint64_t limit,
                       uint64_t bytes_each)
{
    if (count > left(c) / bytes_each)
        return refuse(c, EW_EFORMAT,
                      "%" PRIu64 " %s can't fit the %" PRIu64 " bytes left in the file", count, of,
                      left(c));
    if (count > limit)
        return refuse(c, EW_ELIMIT, "%" PRIu64 " %s, at most %" PRIu64 " are allowed", count, of,
                      limit);
    return 0;
}

/* ---- keys and values ---- */

static int check_bools(struct cursor *c, const uint8_t *at, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if (at[i] > 1)
            return refuse(c, EW_EFORMAT, "bool is %u, must be 0 or 1", at[i]);
    return 0;
}

static int take_kind(struct cursor *c, enum ew_gguf_kind *out, const char *of)
{
    uint32_t kind;
    if (take_u32(c, &kind, of))
        return EW_EFORMAT;
    if (kind >= EW_GGUF_KINDS)
        return refuse(c, EW_EFORMAT, "%s is %u, must be 0 to %d", of, kind, EW_GGUF_KINDS - 1);
    *out = (enum ew_gguf_kind)kind;
    return 0;
}

/* `count` values of the kind, which isn't an array. */
static int take_values(struct cursor *c, enum ew_gguf_kind kind, uint64_t count,
                       struct ew_gguf_array *out)
{
    *out = (struct ew_gguf_array){kind, count, c->data + c->at};
    if (kind == EW_GGUF_STRING) {
        struct ew_str str;
        for (uint64_t i = 0; i < count; i++)
            if (take_string(c, &str, "its string"))
                return EW_EFORMAT;
        return 0;
    }
    uint64_t bytes;
    if (__builtin_mul_overflow(count, kinds[kind].bytes, &bytes))
        return refuse(c, EW_EFORMAT, "%" PRIu64 " elements of %s are more than 2^64 bytes", count,
                      kinds[kind].name);
    const uint8_t *at = take(c, bytes, "its value");
    if (!at)
        return EW_EFORMAT;
    return kind == EW_GGUF_BOOL ? check_bools(c, at, count) : 0;
}

static int take_array(struct cursor *c, struct ew_gguf_array *out)
{
    enum ew_gguf_kind kind;
    uint64_t count;
    if (take_kind(c, &kind, "the kind of its elements"))
        return EW_EFORMAT;
    if (kind == EW_GGUF_ARRAY)
        return refuse(c, EW_EUNSUPPORTED, "is an array of arrays; elements must be plain values");
    if (take_u64(c, &count, "the number of its elements"))
        return EW_EFORMAT;
    uint64_t each = kind == EW_GGUF_STRING ? sizeof(uint64_t) : kinds[kind].bytes;
    if (count > left(c) / each)
        return refuse(c, EW_EFORMAT,
                      "%" PRIu64 " elements of %s can't fit the %" PRIu64 " bytes left in the file",
                      count, kinds[kind].name, left(c));
    return take_values(c, kind, count, out);
}

static int parse_pair(struct cursor *c, struct ew_gguf_pair *pair)
{
    int code = take_name(c, KEY_BYTES_MAX);
    if (!code)
        code = take_kind(c, &pair->kind, "the kind of its value");
    if (code)
        return code;
    pair->key = c->name;
    if (pair->kind == EW_GGUF_ARRAY)
        return take_array(c, &pair->value);
    return take_values(c, pair->kind, 1, &pair->value);
}

static int parse_pairs(struct cursor *c, struct ew_gguf *gguf, uint64_t count)
{
    c->what = "key";
    gguf->pairs = calloc(count ? (size_t)count : 1, sizeof *gguf->pairs);
    if (!gguf->pairs)
        return ew_fail(c->err, EW_ENOMEM, "no memory for %" PRIu64 " keys", count);
    for (c->index = 0; c->index < count; c->index++) {
        int code = parse_pair(c, &gguf->pairs[c->index]);
        if (code)
            return code;
    }
    return index_names(c, &gguf->pair_index, gguf->pairs, sizeof *gguf->pairs, (size_t)count);
}

static int check_alignment(struct cursor *c, const struct ew_gguf *gguf, uint64_t *alignment)
{
    const struct ew_gguf_pair *pair = ew_gguf_find(gguf, "general.alignment");
    uint32_t value = ALIGNMENT_DEFAULT;
    if (pair) {
        c->name = pair->key;
        if (pair->kind != EW_GGUF_U32)
            return refuse(c, EW_EFORMAT, "is %s, must be u32", kinds[pair->kind].name);
        memcpy(&value, pair->value.data, sizeof value);
        if (value < ALIGNMENT_MIN || value > ALIGNMENT_MAX || (value & (value - 1)))
            return refuse(c, EW_EFORMAT, "is %u, must be a power of two from %d to %d", value,
                          ALIGNMENT_MIN, ALIGNMENT_MAX);
    }
    *alignment = value;
    return 0;
}

/* A model may come in parts, each a GGUF file; only whole ones are read. */
static int check_split(struct cursor *c, const struct ew_gguf *gguf)
{
    const struct ew_gguf_pair *pair = ew_gguf_find(gguf, "split.count");
    if (!pair)
        return 0;
    c->name = pair->key;
    if (pair->kind != EW_GGUF_U16)
        return refuse(c, EW_EFORMAT, "is %s, must be u16", kinds[pair->kind].name);
    uint16_t parts;
    memcpy(&parts, pair->value.data, sizeof parts);
    if (parts > 1)
        return refuse(c, EW_EUNSUPPORTED,
                      "this is one of %u parts of a split model; join them first "
                      "(llama-gguf-split --merge)",
                      parts);
    return 0;
}

/* ---- tensors ---- */

/* Types of the format that edgewise can't compute with; for the error only. */
static const char *foreign_type(uint32_t type)
{
    static const char *const names[] = {
        [4] = "Q4_2",      [5] = "Q4_3",        [9] = "Q8_1",        [10] = "Q2_K",
        [11] = "Q3_K",     [15] = "Q8_K",       [16] = "IQ2_XXS",    [17] = "IQ2_XS",
        [18] = "IQ3_XXS",  [19] = "IQ1_S",      [20] = "IQ4_NL",     [21] = "IQ3_S",
        [22] = "IQ2_S",    [23] = "IQ4_XS",     [24] = "I8",         [25] = "I16",
        [26] = "I32",      [27] = "I64",        [28] = "F64",        [29] = "IQ1_M",
        [31] = "Q4_0_4_4", [32] = "Q4_0_4_8",   [33] = "Q4_0_8_8",   [34] = "TQ1_0",
        [35] = "TQ2_0",    [36] = "IQ4_NL_4_4", [37] = "IQ4_NL_4_8", [38] = "IQ4_NL_8_8",
        [39] = "MXFP4",
    };
    return type < EW_COUNT(names) ? names[type] : NULL;
}

static int take_type(struct cursor *c, struct ew_tensor *tensor)
{
    uint32_t type;
    if (take_u32(c, &type, "its type"))
        return EW_EFORMAT;
    if (!ew_type_describe(type)) {
        const char *name = foreign_type(type);
        return refuse(c, name ? EW_EUNSUPPORTED : EW_EFORMAT,
                      "type %u%s%s%s isn't supported; "
                      "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K and Q6_K are",
                      type, name ? " (" : "", name ? name : "", name ? ")" : "");
    }
    tensor->type = (enum ew_type)type;
    return 0;
}

static int take_shape(struct cursor *c, struct ew_tensor *tensor)
{
    uint32_t dims;
    if (take_u32(c, &dims, "its number of dimensions"))
        return EW_EFORMAT;
    if (dims < 1 || dims > DIMS_MAX)
        return refuse(c, EW_EFORMAT, "%u dimensions, must be 1 to %d", dims, DIMS_MAX);
    tensor->dims = (int)dims;
    for (uint32_t i = 0; i < DIMS_MAX; i++) {
        tensor->shape[i] = 1;
        if (i < dims && take_u64(c, &tensor->shape[i], "its shape"))
            return EW_EFORMAT;
        /* Rows and columns are ints in the kernels. */
        if (tensor->shape[i] < 1 || tensor->shape[i] > INT_MAX)
            return refuse(c, EW_EFORMAT, "dimension %u is %" PRId64 ", must be 1 to %d", i,
                          (int64_t)tensor->shape[i], INT_MAX);
    }
    return 0;
}

/* Bytes from shape and type; each product is checked, in weights and in bytes. */
static int measure(struct cursor *c, struct ew_tensor *tensor)
{
    const struct ew_type_info *type = ew_type_describe(tensor->type);
    if (tensor->shape[0] % (uint64_t)type->weights)
        return refuse(c, EW_EFORMAT, "rows of %" PRIu64 " weights, must be a multiple of %d for %s",
                      tensor->shape[0], type->weights, type->name);
    uint64_t bytes = tensor->shape[0] / (uint64_t)type->weights * (uint64_t)type->bytes;
    for (int i = 1; i < DIMS_MAX; i++)
        if (__builtin_mul_overflow(bytes, tensor->shape[i], &bytes) || bytes > INT64_MAX)
            return refuse(c, EW_EFORMAT,
                          "%" PRIu64 " x %" PRIu64 " x %" PRIu64 " x %" PRIu64
                          " weights of %s are more than 2^63 bytes",
                          tensor->shape[0], tensor->shape[1], tensor->shape[2], tensor->shape[3],
                          type->name);
    tensor->bytes = bytes;
    return 0;
}

/* `data` holds the offset, as a number, until the data's start is known (place_tensors). */
static int parse_tensor(struct cursor *c, struct ew_tensor *tensor, uint64_t alignment)
{
    int code = take_name(c, NAME_BYTES_MAX);
    if (code)
        return code;
    tensor->name = c->name;
    code = take_shape(c, tensor);
    if (!code)
        code = take_type(c, tensor);
    if (!code)
        code = measure(c, tensor);
    if (code)
        return code;
    uint64_t offset;
    if (take_u64(c, &offset, "its offset"))
        return EW_EFORMAT;
    if (offset % alignment)
        return refuse(c, EW_EFORMAT,
                      "offset %" PRIu64 ", must be a multiple of the alignment, %" PRIu64, offset,
                      alignment);
    if (offset > c->bytes || tensor->bytes > c->bytes - offset)
        return refuse(c, EW_EFORMAT,
                      "%" PRIu64 " bytes at offset %" PRIu64
                      " of the data are beyond the end of the file (%" PRIu64 " bytes in all)",
                      tensor->bytes, offset, c->bytes);
    tensor->data = c->data + offset;
    return 0;
}

static int compare_places(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)(*(const struct ew_tensor *const *)a)->data;
    uintptr_t y = (uintptr_t)(*(const struct ew_tensor *const *)b)->data;
    return (x > y) - (x < y);
}

/* Two tensors may not share bytes: no writer makes such files, and a sum of sizes below the file's
 * size is what memory plans rest on. */
static int check_overlap(struct cursor *c, const struct ew_gguf *gguf, size_t count)
{
    if (count < 2)
        return 0;
    const struct ew_tensor **placed = calloc(count, sizeof(struct ew_tensor *));
    if (!placed)
        return ew_fail(c->err, EW_ENOMEM, "no memory to place %zu tensors", count);
    for (size_t i = 0; i < count; i++)
        placed[i] = &gguf->tensors[i];
    qsort(placed, count, sizeof(struct ew_tensor *), compare_places);
    int code = 0;
    for (size_t i = 1; i < count && !code; i++) {
        const struct ew_tensor *before = placed[i - 1], *after = placed[i];
        uint64_t apart = (uint64_t)((uintptr_t)after->data - (uintptr_t)before->data);
        c->name = after->name;
        if (apart < before->bytes)
            code = refuse(c, EW_EFORMAT, "overlaps tensor %s by %" PRIu64 " bytes",
                          ew_gguf_show(before->name).text, before->bytes - apart);
    }
    free(placed);
    return code;
}

/* The data starts at the next multiple of the alignment; from here on `data` are pointers. */
static int place_tensors(struct cursor *c, struct ew_gguf *gguf, size_t count, uint64_t alignment)
{
    /* Can't wrap: at is within the file, whose size is below 2^63, and alignment is small. */
    uint64_t start = (c->at + alignment - 1) / alignment * alignment;
    for (size_t i = 0; i < count; i++) {
        struct ew_tensor *tensor = &gguf->tensors[i];
        uint64_t offset = (uint64_t)((const uint8_t *)tensor->data - c->data);
        c->name = tensor->name;
        if (start > c->bytes || offset > c->bytes - start ||
            tensor->bytes > c->bytes - start - offset)
            return refuse(c, EW_EFORMAT,
                          "%" PRIu64 " bytes at %" PRIu64 " + %" PRIu64
                          " are beyond the end of the file at %" PRIu64
                          "; is it only part of a download?",
                          tensor->bytes, start, offset, c->bytes);
        tensor->data = c->data + start + offset;
    }
    return check_overlap(c, gguf, count);
}

static int parse_tensors(struct cursor *c, struct ew_gguf *gguf, uint64_t count, uint64_t alignment)
{
    c->what = "tensor";
    c->name = (struct ew_str){0};
    gguf->tensors = calloc(count ? (size_t)count : 1, sizeof *gguf->tensors);
    if (!gguf->tensors)
        return ew_fail(c->err, EW_ENOMEM, "no memory for %" PRIu64 " tensors", count);
    for (c->index = 0; c->index < count; c->index++) {
        int code = parse_tensor(c, &gguf->tensors[c->index], alignment);
        if (code)
            return code;
    }
    int code =
        index_names(c, &gguf->tensor_index, gguf->tensors, sizeof *gguf->tensors, (size_t)count);
    return code ? code : place_tensors(c, gguf, (size_t)count, alignment);
}

int ew_gguf_parse(struct ew_gguf *gguf, struct ew_err *err)
{
    struct cursor c = {.data = gguf->data, .bytes = gguf->bytes, .what = "header", .err = err};
    uint64_t tensors = 0, pairs = 0, alignment = ALIGNMENT_DEFAULT;
    int code = parse_magic(&c);
    if (!code)
        code = take_u64(&c, &tensors, "number of tensors");
    if (!code)
        code = take_u64(&c, &pairs, "number of keys");
    if (!code)
        code = check_count(&c, pairs, "keys", PAIRS_MAX, PAIR_BYTES_MIN);
    if (!code)
        code = check_count(&c, tensors, "tensors", TENSORS_MAX, TENSOR_BYTES_MIN);
    if (!code)
        code = parse_pairs(&c, gguf, pairs);
    if (!code)
        code = check_alignment(&c, gguf, &alignment);
    if (!code)
        code = check_split(&c, gguf);
    if (!code)
        code = parse_tensors(&c, gguf, tensors, alignment);
    return code;
}
