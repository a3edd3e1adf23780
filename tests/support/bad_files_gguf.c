/* bad_files_gguf.c - files that aren't good GGUF. */
#include <string.h>

#include "support/bad_files.h"

void bad_files_start_gguf(struct gguf_make *m)
{
    gguf_make_init(m);
    gguf_make_string(m, "general.architecture", "llama");
    gguf_make_u32(m, "key", 7);
    gguf_make_random(m, "a", EW_TYPE_F32, 32, 2, 1);
    gguf_make_random(m, "b", EW_TYPE_Q8_0, 64, 2, 1);
}

static void raw(struct gguf_make *m, const char *text, size_t bytes)
{
    struct ew_err err;
    if (ew_buf_add(&m->raw, text, bytes, &err))
        return;
}

/* The whole file, so that bytes within can be changed. */
static char *freeze(struct gguf_make *m)
{
    struct ew_buf bytes;
    gguf_make_bytes(m, &bytes);
    raw(m, bytes.data, bytes.bytes);
    ew_buf_fini(&bytes);
    return m->raw.data;
}

/* ---- other files ---- */

#define RAW(name, text)                                                                            \
    static void name(struct gguf_make *m)                                                          \
    {                                                                                              \
        raw(m, text, sizeof text - 1);                                                             \
    }
RAW(safetensors, "\x40\0\0\0\0\0\0\0{\"__metadata__\":{\"format\":\"pt\"}}")
RAW(pytorch, "PK\3\4\0\0\10\10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\20\0\22\0archive/data.pkl")
RAW(wheel, "PK\3\4\24\0\0\0\10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\20\0\0\0model/__init__.py")
RAW(pickle, "\x80\2}q\0(X\5\0\0\0epochq\1K\1u.")
RAW(html, "<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head></html>")
RAW(lfs, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
RAW(json, "{\"error\":\"Repository not found\"}")
RAW(xml, "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>")
RAW(ggjt, "tjgg\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")
RAW(gzip, "\x1f\x8b\10\0\0\0\0\0\0\3")
RAW(text, "Once upon a time there was a model.\n")
RAW(zeros, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")
RAW(three_bytes, "GGU")

static void empty(struct gguf_make *m)
{
    m->bytes_max = 0;
}

/* ---- header ---- */

#define SET(name, statement)                                                                       \
    static void name(struct gguf_make *m)                                                          \
    {                                                                                              \
        statement;                                                                                 \
    }
SET(magic, memcpy(m->magic, "GGUX", 4))
SET(magic_swapped, memcpy(m->magic, "FUGG", 4))
SET(version_0, m->version = 0)
SET(version_1, m->version = 1)
SET(version_9, m->version = 9)
SET(version_swapped, m->version = 0x03000000)
SET(header_only_10, m->bytes_max = 10)
SET(cut_in_data, m->bytes_max = 400)
SET(pairs_too_many, m->pairs_said = UINT64_MAX - 1)
SET(tensors_too_many, m->tensors_said = (uint64_t)1 << 40)
SET(pairs_one_more, m->pairs_said = m->pair_count + 1)

static void cut_in_keys(struct gguf_make *m)
{
    static uint8_t values[200];
    gguf_make_array(m, "key", EW_GGUF_U8, sizeof values, values, sizeof values);
    m->bytes_max = 200;
}

static void pairs_above_limit(struct gguf_make *m)
{
    static uint8_t padding[65537 * 14];
    gguf_make_array(m, "padding", EW_GGUF_U8, sizeof padding, padding, sizeof padding);
    m->pairs_said = 65537;
}

/* ---- names and strings ---- */

static void terabyte_string(struct gguf_make *m)
{
    uint64_t bytes = (uint64_t)1 << 40;
    gguf_make_value(m, "key", EW_GGUF_STRING, &bytes, sizeof bytes);
}

static void wrapping_string(struct gguf_make *m)
{
    uint64_t bytes = UINT64_MAX;
    gguf_make_value(m, "key", EW_GGUF_STRING, &bytes, sizeof bytes);
}

static void wrapping_key(struct gguf_make *m)
{
    gguf_make_drop(m, "key");
    gguf_make_drop(m, "general.architecture");
    memset(freeze(m) + 24, 0xff, 8); /* where the length of the first name stands */
    memset(m->raw.data + 16, 1, 1);
}

static void named(struct gguf_make *m, const void *key, size_t bytes)
{
    gguf_make_twin(m, key, bytes, EW_GGUF_BOOL, "\1", 1);
}
SET(empty_key, named(m, "", 0))
SET(nul_key, named(m, "a\0b", 3))
SET(latin1_key, named(m, "caf\xe9", 4))
SET(overlong_key, named(m, "a\xc0\x80", 3))
SET(surrogate_key, named(m, "\xed\xa0\x80", 3))
SET(twin_key, named(m, "key", 3))
SET(empty_tensor, gguf_make_twin_tensor(m, "", 0))
SET(nul_tensor, gguf_make_twin_tensor(m, "a\0b", 3))
SET(latin1_tensor, gguf_make_twin_tensor(m, "\xff", 1))

static void long_key(struct gguf_make *m)
{
    static char key[65536];
    memset(key, 'k', sizeof key);
    named(m, key, sizeof key);
}

static void long_tensor(struct gguf_make *m)
{
    char name[65];
    memset(name, 't', sizeof name);
    gguf_make_twin_tensor(m, name, sizeof name);
}

static void twin_tensor(struct gguf_make *m)
{
    struct gguf_make_tensor *b = gguf_make_find(m, "b");
    memcpy(b->name.data, "a", 1);
}

/* ---- values ---- */

#define VALUE(name, kind, bytes)                                                                   \
    static void name(struct gguf_make *m)                                                          \
    {                                                                                              \
        gguf_make_value(m, "key", kind, bytes, sizeof bytes - 1);                                  \
    }
#define ARRAY(name, kind, count, bytes)                                                            \
    static void name(struct gguf_make *m)                                                          \
    {                                                                                              \
        gguf_make_array(m, "key", kind, count, bytes, sizeof bytes - 1);                           \
    }
VALUE(kind_13, 13, "\0")
VALUE(kind_negative, (uint32_t)-1, "\0")
VALUE(bool_2, EW_GGUF_BOOL, "\2")
ARRAY(bool_array_255, EW_GGUF_BOOL, 3, "\0\1\xff")
ARRAY(array_kind_77, 77, 1, "\0")
ARRAY(array_nested, EW_GGUF_ARRAY, 1, "\0\0\0\0\1\0\0\0\0\0\0\0\7")
ARRAY(array_overflow, EW_GGUF_F64, (uint64_t)1 << 61, "")
ARRAY(array_long, EW_GGUF_U8, 1 << 20, "")
ARRAY(strings_many, EW_GGUF_STRING, (uint64_t)1 << 60, "")
ARRAY(strings_beyond, EW_GGUF_STRING, 2, "\1\0\0\0\0\0\0\0x\xff\xff\0\0\0\0\0\0")

/* ---- layout ---- */

SET(alignment_0, gguf_make_u32(m, "general.alignment", 0))
SET(alignment_4, gguf_make_u32(m, "general.alignment", 4))
SET(alignment_48, gguf_make_u32(m, "general.alignment", 48))
SET(alignment_huge, gguf_make_u32(m, "general.alignment", 0x80000000))
SET(alignment_u64, gguf_make_u64(m, "general.alignment", 32))
SET(alignment_other, gguf_make_u32(m, "general.alignment", 4096))

static void split(struct gguf_make *m)
{
    gguf_make_value(m, "split.count", EW_GGUF_U16, "\3\0", 2);
}

/* ---- tensors ---- */

#define TENSOR(name, statement)                                                                    \
    static void name(struct gguf_make *m)                                                          \
    {                                                                                              \
        struct gguf_make_tensor *a = gguf_make_find(m, "a"), *b = gguf_make_find(m, "b");          \
        statement;                                                                                 \
        (void)a;                                                                                   \
        (void)b;                                                                                   \
    }
TENSOR(dims_0, a->dims = 0)
TENSOR(dims_5, a->dims = 5; a->shape[2] = a->shape[3] = a->shape[4] = 1)
TENSOR(dims_huge, a->dims = UINT32_MAX)
TENSOR(dim_0, a->shape[1] = 0)
TENSOR(dim_negative, a->shape[1] = (uint64_t)-1)
TENSOR(dim_2_31, a->shape[0] = (uint64_t)1 << 31)
TENSOR(weights_overflow, a->dims = 4;
       a->shape[0] = a->shape[1] = a->shape[2] = a->shape[3] = 1 << 30)
TENSOR(bytes_overflow, a->dims = 3; a->shape[0] = a->shape[1] = 1 << 30; a->shape[2] = 4)
TENSOR(type_q2_k, a->type = 10)
TENSOR(type_iq4_xs, a->type = 23)
TENSOR(type_i32, a->type = 26)
TENSOR(type_removed, a->type = 4)
TENSOR(type_999, a->type = 999)
TENSOR(type_negative, a->type = (uint32_t)-1)
TENSOR(half_block, b->shape[0] = 48)
TENSOR(half_k_block, b->type = EW_TYPE_Q4_K)
TENSOR(offset_odd, b->offset = 260)
TENSOR(offset_beyond, b->offset = 1 << 20)
TENSOR(offset_wraps, b->offset = UINT64_MAX - 31)
TENSOR(size_beyond, b->shape[1] = 1000)
TENSOR(size_by_one_row, b->shape[1] = 4)
TENSOR(overlap, b->offset = 224)
TENSOR(same_place, b->offset = 0)

const struct bad_file bad_files_gguf[] = {
    {"Another format", "safetensors", safetensors, "looks like a safetensors file", 0},
    {"Another format", "PyTorch checkpoint (zip)", pytorch, "looks like a PyTorch checkpoint", 0},
    {"Another format", "Python wheel", wheel, "looks like a Python wheel", 0},
    {"Another format", "Python pickle", pickle, "looks like a Python pickle", 0},
    {"Another format", "GGML's format before GGUF", ggjt, "old GGJT format", 0},
    {"Another format", "HTML page of a failed download", html, "looks like an HTML page", 0},
    {"Another format", "Git LFS pointer", lfs, "looks like a Git LFS pointer", 0},
    {"Another format", "JSON error of a failed download", json, "looks like JSON", 0},
    {"Another format", "XML error of a failed download", xml, "looks like an XML page", 0},
    {"Another format", "compressed", gzip, "gzip-compressed", 0},
    {"Another format", "text", text, "looks like a text file", 0},
    {"Another format", "zeros", zeros, "unfinished download", 0},

    {"Header", "empty file", empty, "is empty", 0},
    {"Header", "3 bytes", three_bytes, "header alone needs 24", 0},
    {"Header", "bad magic", magic, "47 47 55 58", 0},
    {"Header", "magic byte-swapped", magic_swapped, "big-endian", 0},
    {"Header", "version 0", version_0, "GGUF version 0", EW_EUNSUPPORTED},
    {"Header", "version 1", version_1, "GGUF version 1", EW_EUNSUPPORTED},
    {"Header", "version of the future", version_9, "GGUF version 9", EW_EUNSUPPORTED},
    {"Header", "version byte-swapped", version_swapped, "big-endian GGUF", EW_EUNSUPPORTED},
    {"Header", "cut within the header", header_only_10, "header alone needs 24", 0},
    {"Header", "2^64 - 2 keys", pairs_too_many, "keys can't fit", 0},
    {"Header", "2^40 tensors", tensors_too_many, "tensors can't fit", 0},
    {"Header", "one key more than there are", pairs_one_more, "its name needs", 0},
    {"Header", "65537 keys", pairs_above_limit, "at most 65536", EW_ELIMIT},
    {"Header", "cut within the keys", cut_in_keys, "200 elements of u8 can't fit", 0},
    {"Header", "cut within the tensors' data", cut_in_data, "beyond the end of the file", 0},

    {"Strings", "value of 1 TB in a small file", terabyte_string, "key 'key': its string", 0},
    {"Strings", "length that wraps when added to", wrapping_string, "18446744073709551615", 0},
    {"Strings", "key whose length wraps", wrapping_key, "key number 0: its name needs", 0},
    {"Strings", "empty key", empty_key, "key number 2: its name is empty", 0},
    {"Strings", "NUL in a key", nul_key, "NUL at byte 1", 0},
    {"Strings", "key in Latin-1", latin1_key, "UTF-8 at byte 3", 0},
    {"Strings", "key with an overlong NUL", overlong_key, "UTF-8 at byte 1", 0},
    {"Strings", "key with a surrogate", surrogate_key, "UTF-8 at byte 0", 0},
    {"Strings", "key of 65536 bytes", long_key, "at most 65535", 0},
    {"Strings", "key twice", twin_key, "key 'key': is there twice", 0},
    {"Strings", "empty tensor name", empty_tensor, "tensor number 2: its name is empty", 0},
    {"Strings", "NUL in a tensor name", nul_tensor, "NUL at byte 1", 0},
    {"Strings", "tensor name not UTF-8", latin1_tensor, "UTF-8 at byte 0", 0},
    {"Strings", "tensor name of 65 bytes", long_tensor, "at most 64", 0},
    {"Strings", "tensor name twice", twin_tensor, "tensor 'a': is there twice", 0},

    {"Values", "unknown kind", kind_13, "is 13, must be 0 to 12", 0},
    {"Values", "negative kind", kind_negative, "must be 0 to 12", 0},
    {"Values", "bool of 2", bool_2, "bool is 2", 0},
    {"Values", "bool of 255 in an array", bool_array_255, "bool is 255", 0},
    {"Values", "array of an unknown kind", array_kind_77, "is 77", 0},
    {"Values", "array of arrays", array_nested, "array of arrays", EW_EUNSUPPORTED},
    {"Values", "array whose bytes wrap", array_overflow, "can't fit", 0},
    {"Values", "array longer than the file", array_long, "1048576 elements of u8", 0},
    {"Values", "2^60 strings", strings_many, "elements of string can't fit", 0},
    {"Values", "string in an array beyond the end", strings_beyond, "needs 65535 bytes", 0},

    {"Layout", "alignment 0", alignment_0, "'general.alignment': is 0", 0},
    {"Layout", "alignment 4", alignment_4, "is 4, must be a power of two from 8", 0},
    {"Layout", "alignment 48", alignment_48, "is 48, must be a power of two", 0},
    {"Layout", "alignment 2^31", alignment_huge, "to 65536", 0},
    {"Layout", "alignment as u64", alignment_u64, "is u64, must be u32", 0},
    {"Layout", "alignment that the offsets don't have", alignment_other, "tensor 'b': offset", 0},
    {"Layout", "part of a split model", split, "one of 3 parts", EW_EUNSUPPORTED},

    {"Tensors", "no dimension", dims_0, "tensor 'a': 0 dimensions", 0},
    {"Tensors", "5 dimensions", dims_5, "tensor 'a': 5 dimensions", 0},
    {"Tensors", "2^32 - 1 dimensions", dims_huge, "4294967295 dimensions", 0},
    {"Tensors", "dimension 0", dim_0, "dimension 1 is 0", 0},
    {"Tensors", "negative dimension", dim_negative, "dimension 1 is -1", 0},
    {"Tensors", "dimension 2^31", dim_2_31, "dimension 0 is 2147483648", 0},
    {"Tensors", "product overflows in weights", weights_overflow, "more than 2^63 bytes", 0},
    {"Tensors", "product overflows only in bytes", bytes_overflow, "more than 2^63 bytes", 0},
    {"Tensors", "type Q2_K", type_q2_k, "type 10 (Q2_K)", EW_EUNSUPPORTED},
    {"Tensors", "type IQ4_XS", type_iq4_xs, "type 23 (IQ4_XS)", EW_EUNSUPPORTED},
    {"Tensors", "type I32", type_i32, "type 26 (I32)", EW_EUNSUPPORTED},
    {"Tensors", "type removed from GGUF", type_removed, "type 4 (Q4_2)", EW_EUNSUPPORTED},
    {"Tensors", "unknown type", type_999, "type 999 isn't supported", 0},
    {"Tensors", "negative type", type_negative, "type 4294967295", 0},
    {"Tensors", "rows of one and a half blocks", half_block, "must be a multiple of 32", 0},
    {"Tensors", "rows of a quarter K block", half_k_block, "must be a multiple of 256", 0},
    {"Tensors", "offset not aligned", offset_odd, "multiple of the alignment, 32", 0},
    {"Tensors", "offset beyond the end", offset_beyond, "beyond the end of the file", 0},
    {"Tensors", "offset that wraps", offset_wraps, "beyond the end of the file", 0},
    {"Tensors", "size beyond the end", size_beyond, "beyond the end of the file", 0},
    {"Tensors", "size a little beyond the end", size_by_one_row, "only part of a download", 0},
    {"Tensors", "overlaps its neighbour", overlap, "overlaps tensor 'a' by 32 bytes", 0},
    {"Tensors", "in the same place", same_place, "overlaps tensor", 0},
    {0},
};
