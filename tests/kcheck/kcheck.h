/* kcheck.h - the court of the kernels: every variant against the scalar reference, byte by byte.
 *
 * A suite is one file check_<topic>.c that gives a table of tests. A test names the slot of struct
 * ew_kernels that it judges; it is run once for each instruction set that puts something new there,
 * through ew_kernels_select, as the engine gets it. With kc->isa == EW_ISA_SCALAR it judges the
 * reference itself, against something independent.
 *
 * Buffers come from kc_input and kc_output, live until the test returns, and sit against an
 * inaccessible page, so that reading or writing one byte too many is caught. A crash (SIGSEGV,
 * SIGBUS, SIGILL, SIGFPE) is a failed test. All randomness is kc->rng, seeded by --seed and the
 * test's name. */
#ifndef EW_KCHECK_H
#define EW_KCHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "kernels/kernels.h"

struct kc {
    enum ew_isa isa;              /* under test */
    const struct ew_kernels *ref; /* the scalar reference */
    const struct ew_kernels *got; /* what is judged */
    struct ew_rng rng;
    int failures; /* of this test */
};

struct kc_test {
    const char *name;
    size_t slot; /* offset of the function pointer in struct ew_kernels */
    void (*check)(struct kc *kc, int arg);
    void (*bench)(struct kc *kc, int arg); /* may be NULL */
    int arg;
};

struct kc_suite {
    const struct kc_test *tests;
    int count;
};

/* One per check_*.c; listed in kcheck.c. */
extern const struct kc_suite kc_suite_gemm, kc_suite_float, kc_suite_attn;

/* Says what went wrong; the first few of a test are printed. */
void kc_fail(struct kc *kc, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Compares bytes; on a difference, fails with `what` and the first place. */
bool kc_same(struct kc *kc, const void *expected, const void *got, size_t bytes, const char *what);

/* `bytes` bytes that end at an inaccessible page; aligned as `bytes` is: a multiple of 64 is
 * aligned to 64. Contents: zero. */
void *kc_input(size_t bytes);
/* The same, filled with a pattern; two outputs of equal size have equal contents, so comparing
 * whole buffers also finds stray writes. */
void *kc_output(size_t bytes);
/* Gives back all buffers before the test returns. */
void kc_release(void);

/* Random numbers for fills. */
int kc_below(struct kc *kc, int bound);           /* [0, bound) */
float kc_uniform(struct kc *kc, float magnitude); /* [-magnitude, magnitude) */

/* ---- bench ---- */

struct kc_work {
    const char *name;
    double macs;  /* of one call; 0: not told */
    double bytes; /* streamed by one call; 0: not told */
};
/* Runs fn(arg) for a while, and prints the best cycles a call, MAC/cycle, % of 64, and GB/s. Cycles
 * are the core's own, calibrated by a chain of dependent additions beside each run. */
void kc_bench(struct kc *kc, const struct kc_work *work, void (*fn)(void *arg), void *arg);

#endif
