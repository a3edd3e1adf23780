/* kcheck.c - runs the suites, prints one line a test, counts.
 *
 *     kcheck [--seed N] [--function=PART_OF_NAME] [--isa=NAME] [--bench] [--list]
 *
 * `ok 3 - gemm_q4_1 avx2`; a failed test says why on lines that start with #, and how to replay.
 * Exit status 1 when something failed. */
#include "kcheck.h"

#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"

static const struct kc_suite *const suites[] = {&kc_suite_gemm, &kc_suite_float, &kc_suite_attn};

enum {
    BUFFERS_MAX = 64,    /* alive in one test */
    FAILURES_SHOWN = 4,  /* of one test */
    PATTERN = 0xa5,      /* what outputs hold at first */
    BENCH_NS = 40000000, /* of one figure: long enough to be quiet, short enough for all types */
    CHAIN = 20000,       /* dependent additions that calibrate the clock: about 5 us */
};

static struct options {
    uint64_t seed;
    const char *function, *isa;
    bool bench, list;
} options;

static struct mapping {
    void *base;
    size_t bytes;
} mappings[BUFFERS_MAX];
static int mapping_count;

static sigjmp_buf crashed;

static void on_crash(int number)
{
    siglongjmp(crashed, number);
}

static _Noreturn void die(const char *why)
{
    fprintf(stderr, "kcheck: %s\n", why);
    exit(2);
}

static uint8_t *buffer(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t room = (bytes + page - 1) / page * page;

    if (mapping_count == BUFFERS_MAX)
        die("too many buffers in one test");
    uint8_t *base = mmap(NULL, room + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED || (room && mprotect(base + page, room, PROT_READ | PROT_WRITE)))
        die("no memory");
    mappings[mapping_count++] = (struct mapping){base, room + 2 * page};
    return base + page + room - bytes;
}

void *kc_input(size_t bytes)
{
    return buffer(bytes);
}

void *kc_output(size_t bytes)
{
    return memset(buffer(bytes), PATTERN, bytes);
}

void kc_release(void)
{
    while (mapping_count > 0) {
        struct mapping *last = &mappings[--mapping_count];
        munmap(last->base, last->bytes);
    }
}

int kc_below(struct kc *kc, int bound)
{
    return (int)ew_rng_below(&kc->rng, (uint64_t)bound);
}

float kc_uniform(struct kc *kc, float magnitude)
{
    return (float)(2 * ew_rng_uniform(&kc->rng) - 1) * magnitude;
}

void kc_fail(struct kc *kc, const char *format, ...)
{
    va_list args;

    if (kc->failures++ >= FAILURES_SHOWN)
        return;
    printf("# ");
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
}

bool kc_same(struct kc *kc, const void *expected, const void *got, size_t bytes, const char *what)
{
    const uint8_t *a = expected, *b = got;
    size_t at = 0;
    float x = 0, y = 0;

    if (memcmp(a, b, bytes) == 0)
        return true;
    while (a[at] == b[at])
        at++;
    if (at / 4 * 4 + 4 <= bytes) {
        memcpy(&x, a + at / 4 * 4, sizeof(x));
        memcpy(&y, b + at / 4 * 4, sizeof(y));
    }
    kc_fail(kc, "%s: byte %zu of %zu (float %zu: expected %a, got %a)", what, at, bytes, at / 4,
            (double)x, (double)y);
    return false;
}

/* ---- bench ---- */

/* Nanoseconds of one cycle now: a chain of additions takes one cycle each on every core we know. */
static double cycle_ns(void)
{
    uint64_t best = UINT64_MAX;

    for (int round = 0; round < 5; round++) {
        uint64_t start = ew_clock_now_ns(&ew_clock_real);
        uint64_t x = start;
        for (int i = 0; i < CHAIN / 10; i++) {
            /* An empty asm that claims to change x keeps the compiler from folding the chain. */
#define ADD                                                                                        \
    x += 3;                                                                                        \
    __asm__ volatile("" : "+r"(x))
            ADD;
            ADD;
            ADD;
            ADD;
            ADD;
            ADD;
            ADD;
            ADD;
            ADD;
            ADD;
#undef ADD
        }
        uint64_t took = ew_clock_now_ns(&ew_clock_real) - start;
        best = took < best ? took : best;
    }
    return (double)best / CHAIN;
}

void kc_bench(struct kc *kc, const struct kc_work *work, void (*fn)(void *arg), void *arg)
{
    double best = 0;
    uint64_t end = ew_clock_now_ns(&ew_clock_real) + BENCH_NS;
    double cycle = cycle_ns();

    for (int calls = 1; ew_clock_now_ns(&ew_clock_real) < end;) {
        uint64_t start = ew_clock_now_ns(&ew_clock_real);
        for (int i = 0; i < calls; i++)
            fn(arg);
        double took = (double)(ew_clock_now_ns(&ew_clock_real) - start);
        double each = took / calls;
        best = best == 0 || each < best ? each : best;
        if (took < 200000) /* 0.2 ms: the clock's own cost and grain vanish */
            calls *= 2;
    }
    double now = cycle_ns(); /* the quieter of both calibrations is the nearer to the truth */
    cycle = now < cycle ? now : cycle;
    printf("%-10s %-22s %12.0f cycles", ew_isa_name(kc->isa), work->name, best / cycle);
    if (work->macs > 0)
        printf(" %7.2f MAC/cycle %5.1f %%", work->macs * cycle / best,
               work->macs * cycle / best / 64 * 100);
    if (work->bytes > 0)
        printf(" %7.2f GB/s", work->bytes / best);
    printf("  (%.2f GHz)\n", 1 / cycle);
    fflush(stdout);
}

/* ---- running ---- */

static bool same_slot(const struct ew_kernels *a, const struct ew_kernels *b, size_t slot)
{
    return memcmp((const char *)a + slot, (const char *)b + slot, sizeof(void (*)(void))) == 0;
}

static uint64_t name_hash(const char *name)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */

    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 1099511628211u;
    return hash;
}

/* Returns whether the test passed. */
static bool judge(const struct kc_test *test, struct kc *kc)
{
    int number = sigsetjmp(crashed, 1);

    if (number == 0) {
        if (options.bench)
            test->bench(kc, test->arg);
        else
            test->check(kc, test->arg);
    } else {
        kc_fail(kc, "crashed: %s", strsignal(number));
    }
    kc_release();
    return kc->failures == 0;
}

static void run_test(const struct kc_test *test, const struct ew_kernels *tables, int isas,
                     int *count, int *failed)
{
    for (int isa = 0; isa < isas; isa++) {
        if (isa && same_slot(&tables[isa], &tables[isa - 1], test->slot))
            continue;
        if (options.isa && strcmp(options.isa, ew_isa_name((enum ew_isa)isa)) != 0)
            continue;
        if (options.bench && (!test->bench || (isa == 0 && !options.isa && isas > 1)))
            continue; /* the reference is slow and not the point, unless asked for */
        struct kc kc = {(enum ew_isa)isa, &tables[0], &tables[isa], {{0}}, 0};
        ew_rng_init(&kc.rng, options.seed ^ name_hash(test->name));
        bool ok = judge(test, &kc);
        ++*count;
        *failed += !ok;
        if (!options.bench || !ok)
            printf("%s %d - %s %s\n", ok ? "ok" : "not ok", *count, test->name,
                   ew_isa_name((enum ew_isa)isa));
        if (!ok)
            printf("# replay: kcheck --seed %" PRIu64 " --function=%s --isa=%s\n", options.seed,
                   test->name, ew_isa_name((enum ew_isa)isa));
        fflush(stdout);
    }
}

static void usage(void)
{
    printf("usage: kcheck [--seed N] [--function=PART_OF_NAME] [--isa=NAME] [--bench] [--list]\n");
    exit(2);
}

static void parse(int argc, char **argv)
{
    struct ew_rng rng;

    ew_rng_init(&rng, ew_clock_now_ns(&ew_clock_real));
    options.seed = ew_rng_below(&rng, 1000000000);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            options.seed = strtoull(argv[++i], NULL, 10);
        else if (strncmp(argv[i], "--seed=", 7) == 0)
            options.seed = strtoull(argv[i] + 7, NULL, 10);
        else if (strncmp(argv[i], "--function=", 11) == 0)
            options.function = argv[i] + 11;
        else if (strncmp(argv[i], "--isa=", 6) == 0)
            options.isa = argv[i] + 6;
        else if (strcmp(argv[i], "--bench") == 0)
            options.bench = true;
        else if (strcmp(argv[i], "--list") == 0)
            options.list = true;
        else
            usage();
    }
}

static void catch_crashes(void)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_NODEFER};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaction(numbers[i], &action, NULL);
}

int main(int argc, char **argv)
{
    struct ew_kernels tables[EW_ISA_COUNT];
    int isas = (int)ew_isa_detect() + 1, count = 0, failed = 0;

    parse(argc, argv);
    for (int isa = 0; isa < isas; isa++)
        ew_kernels_select(&tables[isa], (enum ew_isa)isa);
    catch_crashes();
    for (size_t s = 0; s < sizeof(suites) / sizeof(suites[0]); s++) {
        for (int t = 0; t < suites[s]->count; t++) {
            const struct kc_test *test = &suites[s]->tests[t];
            if (options.function && !strstr(test->name, options.function))
                continue;
            if (options.list)
                printf("%s\n", test->name);
            else
                run_test(test, tables, isas, &count, &failed);
        }
    }
    if (!options.list)
        printf("# %d tests, %d failed, best instruction set %s, seed %" PRIu64 "\n", count, failed,
               ew_isa_name((enum ew_isa)(isas - 1)), options.seed);
    return failed ? 1 : 0;
}
