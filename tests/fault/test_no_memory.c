/* test_no_memory.c - each allocation of the engine fails in turn, from opening a model to closing
 * it, and each time there is an error, nothing is left behind, and nothing crashes.
 *
 * malloc and its kin, mmap and pthread_create are replaced in this binary: glibc's own names for
 * them do the work. A failure comes once, or lasts from then on. Steps that make do without what
 * they were refused (a file of /sys that isn't read) may succeed. Sanitizers have their own malloc;
 * under them these tests are skipped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "edgewise.h"
#include "support/gguf_make.h"

enum { PROMPT = 40, STEPS = 3, ALLOCATIONS_MAX = 20000, TOKENS = 50 };

static atomic_long asked;   /* allocations since the count was set to 0 */
static atomic_long fail_at; /* the one that fails; 0: none */
static atomic_bool lasting; /* and all behind it */
static atomic_long live;    /* blocks and mappings that weren't given back */

#ifdef EW_SANITIZED
static const bool malloc_is_ours = false;
#else
static const bool malloc_is_ours = true;

static bool refused(void)
{
    long at = atomic_fetch_add(&asked, 1) + 1, from = atomic_load(&fail_at);
    if (!from || at < from || (at > from && !atomic_load(&lasting)))
        return false;
    errno = ENOMEM;
    return true;
}

static void *counted(void *block)
{
    if (block)
        atomic_fetch_add(&live, 1);
    return block;
}

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *block, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void *block);

void *malloc(size_t bytes)
{
    return refused() ? NULL : counted(__libc_malloc(bytes));
}

void *calloc(size_t count, size_t bytes)
{
    return refused() ? NULL : counted(__libc_calloc(count, bytes));
}

void *realloc(void *block, size_t bytes)
{
    if (refused())
        return NULL;
    void *moved = __libc_realloc(block, bytes);
    return block ? moved : counted(moved);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    return refused() ? NULL : counted(__libc_memalign(alignment, bytes));
}

void free(void *block)
{
    if (block)
        atomic_fetch_sub(&live, 1);
    __libc_free(block);
}

void *mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    if (refused())
        return MAP_FAILED;
    void *memory = (void *)syscall(SYS_mmap, at, bytes, protection, flags, fd, offset);
    if (memory != MAP_FAILED)
        atomic_fetch_add(&live, 1);
    return memory;
}

int munmap(void *memory, size_t bytes)
{
    atomic_fetch_sub(&live, 1);
    return (int)syscall(SYS_munmap, memory, bytes);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *), void *arg)
{
    typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    static create_fn *create;
    if (!create)
        create = (create_fn *)dlsym(RTLD_NEXT, "pthread_create");
    return refused() ? EAGAIN : create(thread, how, run, arg);
}
#endif

static void skip_where_malloc_isnt_ours(void)
{
    if (!malloc_is_ours) {
        print_message("skipped: a sanitizer has its own malloc\n");
        skip();
    }
}

static struct gguf_make_file make_tiny(enum ew_type type)
{
    struct gguf_make m;
    struct gguf_make_shape shape = gguf_make_shape_tiny();
    shape.type = type;
    gguf_make_init(&m);
    gguf_make_llama(&m, &shape);
    gguf_make_string(&m, "tokenizer.chat_template",
                     "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}"
                     "{{ '<|im_start|>' + m['role'] | trim }}\n{{ m.content | upper }}"
                     "{{ [m.role, ns.n] | tojson }}{% endfor %}{{ bos_token }}");
    struct gguf_make_file file = gguf_make_open(&m);
    gguf_make_fini(&m);
    return file;
}

/* What came out of it all. */
struct result {
    char chat[256], text[64];
    int32_t tokens[PROMPT], chosen[STEPS], batched[STEPS];
    int batched_count;
};

static int hear(void *user, const struct ew_stream_event *event)
{
    struct result *r = user;
    if (event->token >= 0)
        r->batched[r->batched_count++] = event->token;
    return 0;
}

/* The same answer from a batch. */
static int use_batch(struct ew_model *model, size_t count, struct result *r, struct ew_err *err)
{
    struct ew_batch *batch = NULL;
    struct ew_stream *stream = NULL;
    struct ew_batch_params how = {.streams = 2};
    struct ew_stream_params asked_for = {.tokens = r->tokens,
                                         .count = count,
                                         .sampling = ew_sampling_default(),
                                         .max_tokens = STEPS};
    int code = ew_batch_open(&batch, model, &how, err);
    if (!code)
        code = ew_stream_open(&stream, batch, &asked_for, err);
    if (!code)
        code = ew_stream_add(stream, err);
    for (int i = 0; i < STEPS && !code; i++)
        code = ew_batch_step(batch, hear, r, err);
    ew_stream_close(&stream);
    ew_batch_close(&batch);
    return code;
}

/* All that a user does with a model, each step only after the one before. */
static int use(const char *path, struct result *r, struct ew_err *err)
{
    static const struct ew_message messages[] = {{"system", "be brief"}, {"user", "hello \xe2"}};
    struct ew_model *model = NULL;
    struct ew_session *session = NULL;
    struct ew_model_params params = {.threads = 2};
    size_t count, bytes;
    bool has_bos;
    memset(r, 0, sizeof *r);
    int code = ew_model_open(&model, path, &params, err);
    if (!code)
        code = ew_model_chat(model, messages, EW_COUNT(messages), r->chat, sizeof r->chat, &bytes,
                             &has_bos, err);
    if (!code)
        code = ew_model_tokenize(model, "hello, world", 12, EW_TOKENIZE_SPECIAL, r->tokens, PROMPT,
                                 &count, err);
    if (!code)
        code = ew_model_detokenize(model, r->tokens, count, r->text, sizeof r->text, &bytes, err);
    if (!code)
        code = ew_session_open(&session, model, NULL, err);
    if (!code)
        code = ew_session_prompt(session, r->tokens, count, err);
    for (int i = 0; i < STEPS && !code; i++)
        code = ew_session_next(session, &r->chosen[i], err);
    if (!code)
        code = use_batch(model, count, r, err);
    ew_session_close(&session);
    ew_model_close(&model);
    return code;
}

/* Fails the n-th allocation, for all n, until one run needs fewer. */
static void fail_each(bool from_then_on)
{
    struct gguf_make_file file = make_tiny(EW_TYPE_Q4_1);
    struct ew_err err = {0};
    struct result law, result;
    assert_int_equal(use(file.path, &law, &err), 0); /* what is allocated once for all is now */
    atomic_store(&lasting, from_then_on);
    int failures = 0;
    for (long n = 1;; n++) {
        assert_true(n < ALLOCATIONS_MAX);
        long before = atomic_load(&live);
        err = (struct ew_err){0};
        atomic_store(&asked, 0);
        atomic_store(&fail_at, n);
        int code = use(file.path, &result, &err);
        atomic_store(&fail_at, 0);
        long needed = atomic_load(&asked), left = atomic_load(&live) - before;
        if (left)
            fail_msg("allocation %ld failed: %ld blocks were left behind (%s)", n, left, err.text);
        if (code && (code != EW_ENOMEM || code != err.code || !err.text[0]))
            fail_msg("allocation %ld failed: code %d, told \"%s\"", n, code, err.text);
        if (!code && memcmp(&result, &law, sizeof law) != 0)
            fail_msg("allocation %ld failed: not told, and another answer came", n);
        failures += code != 0;
        if (needed < n)
            break;
    }
    print_message("%d failures were told\n", failures);
    assert_true(failures > 50);
    gguf_make_close(&file);
}

static void test_an_allocation_that_fails_once_is_an_error_and_leaves_nothing(void **state)
{
    (void)state;
    skip_where_malloc_isnt_ours();
    fail_each(false);
}

static void test_allocations_that_fail_from_then_on_are_an_error_and_leave_nothing(void **state)
{
    (void)state;
    skip_where_malloc_isnt_ours();
    fail_each(true);
}

static void test_tokens_are_computed_and_chosen_without_allocating(void **state)
{
    (void)state;
    skip_where_malloc_isnt_ours();
    static const struct ew_bias bias = {7, -100};
    const struct ew_sampling hows[] = {
        ew_sampling_default(),
        {.temperature = 0.8f,
         .top_k = 40,
         .top_p = 0.9f,
         .min_p = 0.05f,
         .repeat_penalty = 1.1f,
         .frequency_penalty = 0.1f,
         .penalty_last = 20,
         .seed = 3,
         .bias = &bias,
         .bias_count = 1},
    };
    struct gguf_make_file file = make_tiny(EW_TYPE_Q8_0);
    struct ew_model_params params = {.threads = 2};
    struct ew_model *model;
    struct ew_session *session;
    int32_t prompt[PROMPT], token;
    for (int i = 0; i < PROMPT; i++)
        prompt[i] = (i * 37 + 11) % 250;
    assert_int_equal(ew_model_open(&model, file.path, &params, NULL), 0);
    assert_int_equal(ew_session_open(&session, model, NULL, NULL), 0);
    for (size_t h = 0; h < EW_COUNT(hows); h++) {
        assert_int_equal(ew_session_sampling(session, &hows[h], NULL), 0);
        ew_session_rewind(session, 0);
        atomic_store(&asked, 0);
        assert_int_equal(ew_session_prompt(session, prompt, PROMPT, NULL), 0);
        for (int i = 0; i < TOKENS; i++)
            assert_int_equal(ew_session_next(session, &token, NULL), 0);
        assert_int_equal(atomic_load(&asked), 0);
    }
    ew_session_close(&session);
    ew_model_close(&model);
    gguf_make_close(&file);
}

/* A stream's event: nothing to do with it here but to count. */
static int count_event(void *user, const struct ew_stream_event *event)
{
    *(int *)user += event->end != EW_STREAM_RUNS;
    return 0;
}

static void test_a_batch_steps_without_allocating(void **state)
{
    (void)state;
    skip_where_malloc_isnt_ours();
    struct gguf_make_file file = make_tiny(EW_TYPE_Q8_0);
    struct ew_model_params params = {.threads = 2};
    struct ew_model_info info;
    struct ew_model *model;
    struct ew_batch *batch;
    struct ew_stream *streams[8];
    int32_t prompt[PROMPT];
    int ended = 0, steps = 0;
    assert_int_equal(ew_model_open(&model, file.path, &params, NULL), 0);
    ew_model_describe(model, &info);
    /* Little memory: pages are evicted and streams are put out, too. */
    struct ew_batch_params how = {.streams = 8,
                                  .kv_bytes_max = info.kv_bytes_per_position * 32 * 9};
    assert_int_equal(ew_batch_open(&batch, model, &how, NULL), 0);
    for (int i = 0; i < 8; i++) {
        for (int j = 0; j < PROMPT; j++)
            prompt[j] = (j * 37 + 11 * i) % 250;
        struct ew_stream_params stream = {.tokens = prompt,
                                          .count = (size_t)(5 * i + 1),
                                          .sampling = ew_sampling_default(),
                                          .max_tokens = 90,
                                          .logprobs = i % 2,
                                          .top_logprobs = i % 2 * 5};
        assert_int_equal(ew_stream_open(&streams[i], batch, &stream, NULL), 0);
    }
    atomic_store(&asked, 0);
    for (; steps < 5000; steps++) {
        for (int i = 0; i < 8; i++) /* those that run or have ended are refused */
            (void)ew_stream_add(streams[i], NULL);
        struct ew_batch_info now;
        assert_int_equal(ew_batch_step(batch, count_event, &ended, NULL), 0);
        ew_batch_describe(batch, &now);
        if (!now.running)
            break;
    }
    assert_int_equal(atomic_load(&asked), 0);
    assert_true(ended >= 8);
    for (int i = 0; i < 8; i++)
        ew_stream_close(&streams[i]);
    ew_batch_close(&batch);
    ew_model_close(&model);
    gguf_make_close(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_allocation_that_fails_once_is_an_error_and_leaves_nothing),
        cmocka_unit_test(test_allocations_that_fail_from_then_on_are_an_error_and_leave_nothing),
        cmocka_unit_test(test_tokens_are_computed_and_chosen_without_allocating),
        cmocka_unit_test(test_a_batch_steps_without_allocating),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
