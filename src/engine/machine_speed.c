/* machine_speed.c - the two limits that a token runs into: bytes read from memory a second, and
 * 8-bit multiply-accumulates a second. Measured, because a data sheet knows neither the neighbours
 * on a shared machine nor its clock.
 *
 * All threads work at once, in passes of about a millisecond, and the figure is that of the best
 * pass: a limit is what the hardware can do when nobody disturbs it, and on a busy machine only a
 * short pass goes undisturbed. Reading goes round a buffer eight times the last cache, each thread
 * in a slice of its own and each pass where the one before it ended, so that caches hold little of
 * what comes. Its pages are huge where they can be had, like those of the weights. Filling it comes
 * on top of `ms`: about 0.1 s. */
#include "engine/machine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "engine/pool.h"
#include "kernels/probe.h"

#define BUFFER_MIN     ((size_t)32 << 20)  /* where memory is short; still above most caches */
#define BUFFER_DEFAULT ((size_t)256 << 20) /* where the size of the last cache isn't told */
#define BUFFER_MAX     ((size_t)512 << 20)
#define SLICE_ALIGN    ((size_t)2 << 20) /* a huge page */

enum {
    CACHES = 8,               /* times the last cache */
    MEMORY_SHARE = 4,         /* at most this part of what is available */
    WINDOWS = 8,              /* passes that make one round of the buffer */
    PASSES_MIN = 2 * WINDOWS, /* however short the time is */
    INT8_ROUNDS = 300000,     /* a pass of about 1 ms: waking the threads is small beside it */
    TRIES = 1 << 20,          /* keeps a broken clock from looping for ever */
};

struct work {
    struct ew_probe probe;
    uint8_t *data;
    size_t slice; /* bytes of each thread */
    size_t at;    /* in every slice: where the pass begins */
    struct {
        _Alignas(128) uint64_t result; /* what keeps the compiler from skipping the work */
    } of[EW_THREADS_MAX];
};

static size_t buffer_bytes(void)
{
    struct ew_machine machine;
    long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
    size_t bytes = cache > 0 ? (size_t)cache * CACHES : BUFFER_DEFAULT;

    ew_machine_describe(&machine);
    bytes = bytes < BUFFER_DEFAULT / 2 ? BUFFER_DEFAULT / 2 : bytes;
    bytes = bytes > BUFFER_MAX ? BUFFER_MAX : bytes;
    if (bytes > machine.available_bytes / MEMORY_SHARE)
        bytes = (size_t)machine.available_bytes / MEMORY_SHARE;
    return bytes < BUFFER_MIN ? BUFFER_MIN : bytes;
}

static void fill(void *arg, int thread, int threads)
{
    struct work *work = arg;

    (void)threads;
    memset(work->data + (size_t)thread * work->slice, 1 + thread % 100, work->slice);
}

static void read_slice(void *arg, int thread, int threads)
{
    struct work *work = arg;

    (void)threads;
    work->of[thread].result = work->probe.read(work->data + (size_t)thread * work->slice + work->at,
                                               work->slice / WINDOWS);
}

static void multiply(void *arg, int thread, int threads)
{
    struct work *work = arg;

    (void)threads;
    work->of[thread].result = work->probe.int8(INT8_ROUNDS);
}

/* Nanoseconds of the fastest pass within about `ns`. */
static uint64_t best_pass(struct ew_pool *pool, struct work *work,
                          void (*pass)(void *arg, int thread, int threads), uint64_t ns)
{
    uint64_t start = ew_clock_now_ns(&ew_clock_real), now = start, best = UINT64_MAX;

    for (int i = 0; i < TRIES && (i < PASSES_MIN || now - start < ns); i++) {
        uint64_t before = ew_clock_now_ns(&ew_clock_real);
        ew_pool_run(pool, pass, work);
        now = ew_clock_now_ns(&ew_clock_real);
        best = now - before < best ? now - before : best;
        work->at = (work->at + work->slice / WINDOWS) % (work->slice ? work->slice : 1);
    }
    return best ? best : 1;
}

static int measure_reading(struct ew_pool *pool, struct work *work, uint64_t ns, double *out,
                           struct ew_err *err)
{
    size_t threads = (size_t)ew_pool_threads(pool);
    size_t slice = buffer_bytes() / threads / SLICE_ALIGN * SLICE_ALIGN;

    work->slice = slice ? slice : SLICE_ALIGN;
    size_t bytes = work->slice * threads;
    void *map =
        mmap(NULL, bytes + SLICE_ALIGN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return ew_fail(err, EW_ENOMEM, "no %zu MB to measure the memory with", bytes >> 20);
    madvise(map, bytes + SLICE_ALIGN, MADV_HUGEPAGE); /* a wish; fails where there are none */
    work->data = (uint8_t *)(((uintptr_t)map + SLICE_ALIGN - 1) / SLICE_ALIGN * SLICE_ALIGN);
    ew_pool_run(pool, fill, work);
    work->at = 0;
    *out = (double)(bytes / WINDOWS) * 1e9 / (double)best_pass(pool, work, read_slice, ns);
    munmap(map, bytes + SLICE_ALIGN);
    return 0;
}

static double measure_int8(struct ew_pool *pool, struct work *work, uint64_t ns)
{
    uint64_t best = best_pass(pool, work, multiply, ns), macs = 0;

    for (int i = 0; i < ew_pool_threads(pool); i++)
        macs += work->of[i].result;
    return (double)macs * 1e9 / (double)best;
}

int ew_machine_measure(int threads, int ms, struct ew_machine_speed *out, struct ew_err *err)
{
    struct ew_machine machine;
    struct ew_pool *pool = NULL;
    struct work *work = NULL;
    uint64_t half_ns = (uint64_t)(ms > 0 ? ms : 0) * EW_NS_PER_MS / 2;

    ew_machine_describe(&machine);
    threads = threads > 0 ? threads : machine.cores;
    threads = threads < EW_THREADS_MAX ? threads : EW_THREADS_MAX;
    int rc = ew_pool_open(&pool, threads, err);
    if (rc == 0 && !(work = aligned_alloc(_Alignof(struct work), sizeof(*work))))
        rc = ew_fail(err, EW_ENOMEM, "no memory to measure the machine");
    if (rc)
        goto out;
    memset(work, 0, sizeof(*work));
    ew_probe_select(&work->probe, EW_ISA_AVX512VNNI);
    out->int8_macs_per_s = measure_int8(pool, work, half_ns);
    rc = measure_reading(pool, work, half_ns, &out->read_bandwidth_bytes_per_s, err);
out:
    free(work);
    ew_pool_close(&pool);
    return rc;
}
