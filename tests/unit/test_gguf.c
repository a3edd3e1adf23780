/* test_gguf.c - good files read right, damaged ones never crash and never cost memory.
 *
 * What each kind of bad file is told is in test_bad_files.c. */
#include "model/gguf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "model/gguf_int.h"
#include "support/gguf_make.h"

#ifdef __SANITIZE_THREAD__ /* twenty times slower, and there is but one thread here */
enum { TRUNCATE_STEP = 64 * 61 };
#else
enum { TRUNCATE_STEP = 64 };
#endif
enum {
    MUTATIONS_BUILT = 8000,
    MUTATIONS_REAL = 400,    /* parsing 1.7 MB each */
    ALLOCATED_MAX = 15 << 20 /* what gguf_parse.c promises, with what sorting takes */
};

/* ---- counting what is allocated (sanitizers have their own malloc: not there) ---- */

#ifdef EW_SANITIZED
#include <sanitizer/asan_interface.h>
static size_t allocated(void)
{
    return 0;
}
static const bool counts_allocations = false;
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes)   ((void)(at), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
static size_t allocated_bytes;
static size_t allocated(void)
{
    return allocated_bytes;
}
static const bool counts_allocations = true;

void *malloc(size_t bytes)
{
    allocated_bytes += bytes;
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    allocated_bytes += count * bytes;
    return __libc_calloc(count, bytes);
}
#endif

static struct ew_gguf *open_good(const struct gguf_make *m)
{
    struct gguf_make_file file = gguf_make_open(m);
    struct ew_err err = {0};
    struct ew_gguf *gguf;
    if (ew_gguf_open(&gguf, file.path, &err))
        fail_msg("%s", err.text);
    gguf_make_close(&file);
    return gguf;
}

static void make_small(struct gguf_make *m)
{
    struct gguf_make_shape shape = gguf_make_shape_tiny();
    gguf_make_init(m);
    gguf_make_llama(m, &shape);
}

static void test_reads_back_every_kind_of_value(void **state)
{
    (void)state;
    struct gguf_make m;
    gguf_make_init(&m);
    gguf_make_value(&m, "u8", EW_GGUF_U8, "\xff", 1);
    gguf_make_value(&m, "i8", EW_GGUF_I8, "\xff", 1);
    gguf_make_value(&m, "u16", EW_GGUF_U16, "\1\2", 2);
    gguf_make_i32(&m, "i32", 7);
    gguf_make_i32(&m, "minus", -7);
    gguf_make_u64(&m, "u64", UINT32_MAX);
    gguf_make_u64(&m, "huge", (uint64_t)UINT32_MAX + 1);
    gguf_make_f32(&m, "f32", 0.5f);
    double d = 0.25, vast = 1e300;
    gguf_make_value(&m, "f64", EW_GGUF_F64, &d, sizeof d);
    gguf_make_value(&m, "vast", EW_GGUF_F64, &vast, sizeof vast);
    gguf_make_bool(&m, "yes", true);
    gguf_make_string(&m, "string", "text");
    gguf_make_strings(&m, "strings", (const char *const[]){"a", "", "ccc"}, 3);
    gguf_make_i32s(&m, "i32s", (const int32_t[]){1, -2}, 2);
    struct ew_gguf *g = open_good(&m);
    uint32_t u;
    assert_int_equal(ew_gguf_u32(g, "u8", &u, NULL), 1);
    assert_int_equal(u, 255);
    assert_int_equal(ew_gguf_u32(g, "u16", &u, NULL), 1);
    assert_int_equal(u, 0x201);
    assert_int_equal(ew_gguf_u32(g, "i32", &u, NULL), 1);
    assert_int_equal(u, 7);
    assert_int_equal(ew_gguf_u32(g, "u64", &u, NULL), 1);
    assert_int_equal(u, UINT32_MAX);
    u = 3;
    assert_int_equal(ew_gguf_u32(g, "absent", &u, NULL), 0);
    assert_int_equal(u, 3);
    static const char *const not_u32[] = {"i8", "minus", "huge", "f32", "yes", "string", "i32s"};
    for (size_t i = 0; i < EW_COUNT(not_u32); i++)
        assert_int_equal(ew_gguf_u32(g, not_u32[i], &u, NULL), EW_EFORMAT);
    float f;
    assert_int_equal(ew_gguf_f32(g, "f32", &f, NULL), 1);
    assert_true(f == 0.5f);
    assert_int_equal(ew_gguf_f32(g, "f64", &f, NULL), 1);
    assert_true(f == 0.25f);
    assert_int_equal(ew_gguf_f32(g, "minus", &f, NULL), 1);
    assert_true(f == -7);
    assert_int_equal(ew_gguf_f32(g, "vast", &f, NULL), EW_EFORMAT);
    assert_int_equal(ew_gguf_f32(g, "string", &f, NULL), EW_EFORMAT);
    bool b = false;
    assert_int_equal(ew_gguf_bool(g, "yes", &b, NULL), 1);
    assert_true(b);
    assert_int_equal(ew_gguf_bool(g, "u8", &b, NULL), EW_EFORMAT);
    struct ew_str s;
    assert_int_equal(ew_gguf_string(g, "string", &s, NULL), 1);
    assert_true(ew_str_is(s, "text"));
    assert_int_equal(ew_gguf_string(g, "strings", &s, NULL), EW_EFORMAT);
    ew_gguf_close(&g);
    gguf_make_fini(&m);
}

static void test_arrays_are_handed_out_only_as_what_they_are(void **state)
{
    (void)state;
    struct gguf_make m;
    gguf_make_init(&m);
    gguf_make_strings(&m, "strings", (const char *const[]){"a", "", "ccc"}, 3);
    gguf_make_i32s(&m, "i32s", (const int32_t[]){1, -2}, 2);
    gguf_make_u32(&m, "plain", 1);
    struct ew_gguf *g = open_good(&m);
    struct ew_err err = {0};
    struct ew_gguf_array a;
    assert_int_equal(ew_gguf_array(g, "strings", EW_GGUF_STRING, &a, NULL), 1);
    size_t at = 0;
    assert_int_equal(a.count, 3);
    assert_true(ew_str_is(ew_gguf_array_next(&a, &at), "a"));
    assert_true(ew_str_is(ew_gguf_array_next(&a, &at), ""));
    assert_true(ew_str_is(ew_gguf_array_next(&a, &at), "ccc"));
    assert_int_equal(ew_gguf_array(g, "i32s", EW_GGUF_I32, &a, NULL), 1);
    assert_int_equal(a.count, 2);
    assert_memory_equal(a.data, ((const int32_t[]){1, -2}), 8);
    assert_int_equal(ew_gguf_array(g, "i32s", EW_GGUF_F32, &a, &err), EW_EFORMAT);
    assert_non_null(strstr(err.text, "key 'i32s' is an array of i32, must be an array of f32"));
    assert_int_equal(ew_gguf_array(g, "plain", EW_GGUF_U32, &a, NULL), EW_EFORMAT);
    assert_int_equal(ew_gguf_array(g, "absent", EW_GGUF_U32, &a, NULL), 0);
    assert_true(ew_gguf_is_array(g, "i32s"));
    assert_false(ew_gguf_is_array(g, "plain"));
    assert_false(ew_gguf_is_array(g, "absent"));
    ew_gguf_close(&g);
    gguf_make_fini(&m);
}

static void test_every_tensor_is_found_with_its_shape_and_bytes(void **state)
{
    (void)state;
    struct gguf_make m;
    make_small(&m);
    for (uint32_t version = 2; version <= 3; version++) {
        m.version = version;
        struct ew_gguf *g = open_good(&m);
        assert_int_equal(ew_gguf_tensors(g), m.tensor_count);
        for (size_t i = 0; i < m.tensor_count; i++) {
            const struct gguf_make_tensor *made = &m.tensors[i];
            const struct ew_tensor *t = ew_gguf_tensor(g, made->name.data);
            assert_ptr_equal(t, ew_gguf_tensor_at(g, i));
            assert_int_equal(t->dims, made->dims);
            assert_int_equal(t->shape[0], made->shape[0]);
            assert_int_equal(t->shape[1], made->dims > 1 ? made->shape[1] : 1);
            assert_int_equal(t->type, made->type);
            assert_int_equal(t->bytes, made->data.bytes);
            assert_int_equal((uintptr_t)t->data % 32, 0);
            assert_memory_equal(t->data, made->data.data, t->bytes);
            void *read = malloc(t->bytes);
            assert_int_equal(ew_gguf_read(g, t->data, read, t->bytes, NULL), 0);
            assert_memory_equal(read, made->data.data, t->bytes);
            free(read);
        }
        assert_null(ew_gguf_tensor(g, "absent"));
        assert_null(ew_gguf_tensor(g, ""));
        ew_gguf_close(&g);
        assert_null(g);
    }
    gguf_make_fini(&m);
}

static void test_alignment_of_the_file_is_obeyed(void **state)
{
    (void)state;
    static const uint32_t alignments[] = {8, 16, 64, 4096, 65536};
    for (size_t i = 0; i < EW_COUNT(alignments); i++) {
        struct gguf_make m;
        gguf_make_init(&m);
        m.alignment = alignments[i];
        gguf_make_u32(&m, "general.alignment", m.alignment);
        gguf_make_constant(&m, "a", 3, 1.5f);
        gguf_make_constant(&m, "b", 3, 2.5f);
        struct ew_gguf *g = open_good(&m);
        assert_true(*(const float *)ew_gguf_tensor(g, "a")->data == 1.5f);
        assert_true(*(const float *)ew_gguf_tensor(g, "b")->data == 2.5f);
        ew_gguf_close(&g);
        gguf_make_fini(&m);
    }
}

static void test_every_weight_type_has_its_size(void **state)
{
    (void)state;
    struct gguf_make m;
    gguf_make_init(&m);
    static const struct {
        const char *name;
        uint32_t type;
        uint64_t bytes; /* of 512 weights */
    } rows[] = {{"F32", 0, 2048},  {"F16", 1, 1024},  {"BF16", 30, 1024}, {"Q4_0", 2, 288},
                {"Q4_1", 3, 320},  {"Q5_0", 6, 352},  {"Q5_1", 7, 384},   {"Q8_0", 8, 544},
                {"Q4_K", 12, 288}, {"Q5_K", 13, 352}, {"Q6_K", 14, 420}};
    for (size_t i = 0; i < EW_COUNT(rows); i++)
        gguf_make_random(&m, rows[i].name, rows[i].type, 256, 2, 1);
    struct ew_gguf *g = open_good(&m);
    for (size_t i = 0; i < EW_COUNT(rows); i++) {
        assert_int_equal(ew_gguf_tensor(g, rows[i].name)->bytes, rows[i].bytes);
        assert_string_equal(ew_type_describe(rows[i].type)->name, rows[i].name);
    }
    ew_gguf_close(&g);
    gguf_make_fini(&m);
}

static void test_a_file_that_shrinks_while_open_is_noticed(void **state)
{
    (void)state;
    struct gguf_make m;
    make_small(&m);
    struct gguf_make_file file = gguf_make_open(&m);
    struct ew_err err = {0};
    struct ew_gguf *g;
    assert_int_equal(ew_gguf_open(&g, file.path, &err), 0);
    assert_int_equal(ew_gguf_intact(g, &err), 0);
    assert_int_equal(ftruncate(file.fd, 4096), 0);
    assert_int_equal(ew_gguf_intact(g, &err), EW_EIO);
    assert_non_null(strstr(err.text, "shrank from "));
    const struct ew_tensor *last = ew_gguf_tensor_at(g, ew_gguf_tensors(g) - 1);
    char weights[16];
    assert_int_equal(ew_gguf_read(g, last->data, weights, sizeof weights, &err), EW_EIO);
    assert_non_null(strstr(err.text, "became shorter"));
    ew_gguf_close(&g);
    gguf_make_close(&file);
    gguf_make_fini(&m);
}

/* ---- damage ---- */

/* The path of a real model, or NULL. */
static const char *real_model(const char *name, char *path, size_t bytes)
{
    const char *folder = getenv("EDGEWISE_TEST_MODELS"), *cache = getenv("XDG_CACHE_HOME");
    if (folder)
        snprintf(path, bytes, "%s/%s", folder, name);
    else if (cache)
        snprintf(path, bytes, "%s/edgewise/models/%s", cache, name);
    else
        snprintf(path, bytes, "%s/.cache/edgewise/models/%s", getenv("HOME"), name);
    return access(path, R_OK) ? NULL : path;
}

/* A whole file in memory that may be written to: the real thing, privately mapped. */
struct damage {
    uint8_t *data;
    size_t bytes, metadata; /* metadata: where the first tensor's data begins */
};

static struct damage damage_open(const char *path)
{
    struct ew_err err = {0};
    struct ew_gguf *g;
    if (ew_gguf_open(&g, path, &err))
        fail_msg("%s", err.text);
    struct damage d = {.bytes = (size_t)g->bytes, .metadata = (size_t)g->bytes};
    for (size_t i = 0; i < ew_gguf_tensors(g); i++) {
        size_t at = (size_t)((const uint8_t *)g->tensors[i].data - g->data);
        d.metadata = at < d.metadata ? at : d.metadata;
    }
    d.data = mmap(NULL, d.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, g->fd, 0);
    assert_ptr_not_equal(d.data, MAP_FAILED);
    ew_gguf_close(&g);
    return d;
}

static void damage_close(struct damage *d)
{
    munmap(d->data, d->bytes);
}

/* Parses bytes in memory; when they're accepted, touches all that is handed out. */
static int parse(const uint8_t *data, size_t bytes, struct ew_err *err)
{
    struct ew_gguf *g = calloc(1, sizeof *g);
    assert_non_null(g);
    g->fd = -1;
    g->data = data;
    g->bytes = bytes;
    int code = ew_gguf_parse(g, err);
    volatile uint64_t sum = 0;
    for (size_t i = 0; !code && i < g->pair_index.count; i++) {
        const struct ew_gguf_array *value = &g->pairs[i].value;
        size_t at = 0;
        for (uint64_t k = 0; k < value->count && value->kind == EW_GGUF_STRING; k++) {
            struct ew_str s = ew_gguf_array_next(value, &at);
            sum += s.bytes ? (unsigned char)s.data[s.bytes - 1] : 0;
        }
        size_t each = ew_gguf_kind_bytes(value->kind);
        if (each && value->count)
            sum += value->data[value->count * each - 1];
    }
    for (size_t i = 0; !code && i < ew_gguf_tensors(g); i++) {
        const struct ew_tensor *t = ew_gguf_tensor_at(g, i);
        sum += ((const uint8_t *)t->data)[0] + ((const uint8_t *)t->data)[t->bytes - 1];
    }
    g->data = NULL; /* not a mapping of its own */
    ew_gguf_close(&g);
    return code;
}

static void truncate_everywhere(const char *path)
{
    struct damage d = damage_open(path);
    size_t end = (d.metadata + TRUNCATE_STEP - 1) / TRUNCATE_STEP * TRUNCATE_STEP;
    ASAN_POISON_MEMORY_REGION(d.data + end, d.bytes - end);
    for (size_t n = end; n > 0; n -= TRUNCATE_STEP) {
        struct ew_err err = {0};
        size_t keep = n - TRUNCATE_STEP;
        ASAN_POISON_MEMORY_REGION(d.data + keep, TRUNCATE_STEP);
        int code = parse(d.data, keep, &err);
        if (code == 0 || code != err.code || !*err.text)
            fail_msg("cut at %zu of %zu: %d %s", keep, d.metadata, code, err.text);
    }
    ASAN_UNPOISON_MEMORY_REGION(d.data, d.bytes);
    damage_close(&d);
}

static void mutate(const char *path, int count)
{
    struct damage d = damage_open(path);
    struct ew_rng rng;
    ew_rng_init(&rng, 20505);
    int refused = 0;
    for (int i = 0; i < count; i++) {
        struct ew_err err = {0};
        size_t at = (size_t)ew_rng_below(&rng, d.metadata);
        uint8_t was = d.data[at];
        uint64_t how = ew_rng_below(&rng, 3);
        d.data[at] = how == 0   ? (uint8_t)ew_rng_next(&rng)
                     : how == 1 ? was ^ (uint8_t)(1 << ew_rng_below(&rng, 8))
                                : 0xff;
        int code = parse(d.data, d.bytes, &err);
        assert_true(code == 0 || (code == err.code && *err.text));
        refused += code != 0;
        d.data[at] = was;
    }
    print_message("%s: %d of %d mutations refused, the rest read safely\n", path, refused, count);
    assert_true(refused > 0);
    damage_close(&d);
}

static void test_a_built_file_cut_at_every_byte_is_refused(void **state)
{
    (void)state;
    struct gguf_make m;
    make_small(&m);
    struct gguf_make_file file = gguf_make_open(&m);
    struct damage d = damage_open(file.path);
    for (size_t n = 0; n <= d.metadata; n++) {
        struct ew_err err = {0};
        uint8_t *exact = malloc(n + 1); /* the sanitizer sees the first byte beyond */
        memcpy(exact, d.data, n);
        ASAN_POISON_MEMORY_REGION(exact + n, 1);
        int code = parse(exact, n, &err);
        ASAN_UNPOISON_MEMORY_REGION(exact + n, 1);
        free(exact);
        if (code == 0 || !*err.text)
            fail_msg("cut at %zu of %zu was accepted", n, d.metadata);
    }
    struct ew_err err = {0};
    assert_int_equal(parse(d.data, d.bytes, &err), 0);
    assert_int_not_equal(parse(d.data, d.bytes - 64, &err), 0);
    damage_close(&d);
    gguf_make_close(&file);
    gguf_make_fini(&m);
}

static void test_a_real_header_cut_at_every_64th_byte_is_refused(void **state)
{
    (void)state;
    char path[512];
    if (!real_model("smollm2-135m.gguf", path, sizeof path)) {
        print_message("skipped: %s isn't there\n", path);
        skip();
    }
    truncate_everywhere(path);
}

static void test_mutated_headers_never_crash(void **state)
{
    (void)state;
    struct gguf_make m;
    make_small(&m);
    struct gguf_make_file file = gguf_make_open(&m);
    mutate(file.path, MUTATIONS_BUILT);
    gguf_make_close(&file);
    gguf_make_fini(&m);
}

static void test_mutated_real_headers_never_crash(void **state)
{
    (void)state;
    char path[512];
    if (!real_model("smollm2-135m.gguf", path, sizeof path)) {
        print_message("skipped: %s isn't there\n", path);
        skip();
    }
    mutate(path, MUTATIONS_REAL);
}

/* Takes more than ALLOCATED_MAX, or not. */
static void expect_thrifty(const struct gguf_make *m, int expected)
{
    struct gguf_make_file file = gguf_make_open(m);
    struct ew_err err = {0};
    struct ew_gguf *g;
    size_t before = allocated();
    int code = ew_gguf_open(&g, file.path, &err);
    size_t took = allocated() - before;
    assert_int_equal(code, expected);
    if (took > ALLOCATED_MAX)
        fail_msg("took %zu bytes: %s", took, err.text);
    ew_gguf_close(&g);
    gguf_make_close(&file);
}

static void test_no_claim_of_a_file_makes_us_allocate_more_than_the_bound(void **state)
{
    (void)state;
    if (!counts_allocations) {
        print_message("skipped: a sanitizer counts its own allocations\n");
        skip();
    }
    struct gguf_make m;
    gguf_make_init(&m);
    const uint64_t terabyte = (uint64_t)1 << 40;
    struct gguf_make_pair *pair = gguf_make_value(&m, "k", EW_GGUF_STRING, &terabyte, 8);
    expect_thrifty(&m, EW_EFORMAT);
    gguf_make_array(&m, "k", EW_GGUF_F64, terabyte, NULL, 0);
    expect_thrifty(&m, EW_EFORMAT);
    gguf_make_array(&m, "k", EW_GGUF_STRING, terabyte, NULL, 0);
    expect_thrifty(&m, EW_EFORMAT);
    pair->kind = EW_GGUF_BOOL;
    m.pairs_said = terabyte;
    expect_thrifty(&m, EW_EFORMAT);
    m.pairs_said = GGUF_MAKE_AUTO;
    m.tensors_said = terabyte;
    expect_thrifty(&m, EW_EFORMAT);
    gguf_make_fini(&m);

    /* The most keys and tensors there may be, in a file padded so that they could be in it. */
    gguf_make_init(&m);
    void *padding = calloc(1, 8 << 20);
    gguf_make_array(&m, "padding", EW_GGUF_U8, 8 << 20, padding, 8 << 20);
    m.pairs_said = m.tensors_said = 65536;
    expect_thrifty(&m, EW_EFORMAT);
    m.pairs_said = 65537;
    expect_thrifty(&m, EW_ELIMIT);
    free(padding);
    gguf_make_fini(&m);
}

static void test_as_many_keys_as_allowed_are_found_quickly(void **state)
{
    (void)state;
    struct gguf_make m;
    gguf_make_init(&m);
    for (uint32_t i = 0; i < 65536; i++) {
        char key[16];
        int n = snprintf(key, sizeof key, "k%u", i * 2654435761u);
        gguf_make_twin(&m, key, (size_t)n, EW_GGUF_U32, &i, sizeof i);
    }
    struct ew_gguf *g = open_good(&m);
    for (uint32_t i = 0, value; i < 65536; i++) {
        assert_int_equal(ew_gguf_u32(g, m.pairs[i].key.data, &value, NULL), 1);
        assert_int_equal(value, i);
    }
    ew_gguf_close(&g);
    gguf_make_fini(&m);
}

static void test_opens_the_real_models(void **state)
{
    (void)state;
    static const struct {
        const char *file, *architecture;
        size_t tensors;
        uint64_t vocab;
    } rows[] = {{"smollm2-135m.gguf", "llama", 272, 49152},
                {"gemma3-270m.gguf", "gemma3", 236, 262144},
                {"qwen2.5-coder-0.5b.gguf", "qwen2", 291, 151936}};
    size_t opened = 0;
    for (size_t i = 0; i < EW_COUNT(rows); i++) {
        char path[512];
        if (!real_model(rows[i].file, path, sizeof path)) {
            print_message("skipped: %s isn't there\n", path);
            continue;
        }
        struct ew_err err = {0};
        struct ew_gguf *g;
        if (ew_gguf_open(&g, path, &err))
            fail_msg("%s", err.text);
        struct ew_str s;
        struct ew_gguf_array tokens;
        assert_int_equal(ew_gguf_string(g, "general.architecture", &s, &err), 1);
        assert_true(ew_str_is(s, rows[i].architecture));
        assert_int_equal(ew_gguf_tensors(g), rows[i].tensors);
        assert_int_equal(ew_gguf_array(g, "tokenizer.ggml.tokens", EW_GGUF_STRING, &tokens, &err),
                         1);
        assert_int_equal(tokens.count, rows[i].vocab);
        assert_non_null(ew_gguf_tensor(g, "token_embd.weight"));
        ew_gguf_close(&g);
        opened++;
    }
    if (!opened)
        skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_back_every_kind_of_value),
        cmocka_unit_test(test_arrays_are_handed_out_only_as_what_they_are),
        cmocka_unit_test(test_every_tensor_is_found_with_its_shape_and_bytes),
        cmocka_unit_test(test_alignment_of_the_file_is_obeyed),
        cmocka_unit_test(test_every_weight_type_has_its_size),
        cmocka_unit_test(test_a_file_that_shrinks_while_open_is_noticed),
        cmocka_unit_test(test_a_built_file_cut_at_every_byte_is_refused),
        cmocka_unit_test(test_a_real_header_cut_at_every_64th_byte_is_refused),
        cmocka_unit_test(test_mutated_headers_never_crash),
        cmocka_unit_test(test_mutated_real_headers_never_crash),
        cmocka_unit_test(test_no_claim_of_a_file_makes_us_allocate_more_than_the_bound),
        cmocka_unit_test(test_as_many_keys_as_allowed_are_found_quickly),
        cmocka_unit_test(test_opens_the_real_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
