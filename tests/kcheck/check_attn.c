/* check_attn.c - the KV cache and attention: all numbers of rows, dimensions, page ranges, splits.
 *
 * The reference is judged against attention in double precision over the same halves. */
#include "kcheck.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PAGES = 4, POSITIONS = PAGES * EW_PAGE, ROWS = 19, BENCH_PAGES = 16 };

static float *numbers(struct kc *kc, size_t n, float magnitude)
{
    float *x = kc_input(n * sizeof(float));

    for (size_t i = 0; i < n; i++)
        x[i] = kc_uniform(kc, magnitude);
    return x;
}

/* One to dim 512: all multiples of 8 up to 96, then those that models have. */
static int next_dim(int dim)
{
    return dim < 96 ? dim + 8 : dim < 128 ? 128 : dim < 256 ? 256 : 512;
}

/* ---- storing ---- */

static void check_store(struct kc *kc, int v)
{
    for (int dim = 8; dim <= 512; dim = dim == 512 ? 513 : next_dim(dim)) {
        size_t bytes = (size_t)dim * EW_PAGE * sizeof(uint16_t);
        uint16_t *a = kc_output(bytes), *b = kc_output(bytes);
        for (int index = 0; index < EW_PAGE; index++) {
            float *x = numbers(kc, (size_t)dim, index % 3 ? 3.0f : index % 2 ? 1e5f : 1e-6f);
            (v ? kc->ref->store_v : kc->ref->store_k)(a, x, dim, index);
            (v ? kc->got->store_v : kc->got->store_k)(b, x, dim, index);
            kc_same(kc, a, b, bytes, v ? "store_v" : "store_k");
            for (int d = 0; kc->isa == EW_ISA_SCALAR && d < dim; d++) {
                size_t at = v ? (size_t)index * dim + d
                              : (size_t)(index / 16) * dim * 16 + (size_t)d * 16 + index % 16;
                if (a[at] != ew_half_from_float(x[d]))
                    kc_fail(kc, "dim %d of %d, position %d isn't where it belongs", d, dim, index);
            }
        }
        kc_release();
    }
}

/* ---- pages and rows ---- */

struct problem {
    int rows, dim;
    size_t offset; /* where the pages start in their blocks */
    const uint16_t *pages[BENCH_PAGES];
    float *flat[ROWS * 2]; /* rows of numbers, each against its own guard page */
    float *row[ROWS * 2];
};

static void make_pages(struct kc *kc, struct problem *p, int count)
{
    for (int i = 0; i < count; i++) {
        size_t n = p->offset + (size_t)p->dim * EW_PAGE;
        uint16_t *page = kc_input(n * sizeof(uint16_t));
        for (size_t j = 0; j < n; j++) /* any finite half, mostly of ordinary size */
            page[j] = kc_below(kc, 50) ? ew_half_from_float(kc_uniform(kc, 2))
                                       : (uint16_t)(kc_below(kc, 0x7c00) | kc_below(kc, 2) << 15);
        p->pages[i] = page;
    }
}

static void score_truth(struct kc *kc, const struct problem *p, float *const *s,
                        const float *const *q, int page0, int page1)
{
    for (int i = 0; i < p->rows; i++)
        for (int at = page0 * EW_PAGE; at < page1 * EW_PAGE; at++) {
            const uint16_t *tile = p->pages[at / EW_PAGE] + p->offset +
                                   (size_t)(at % EW_PAGE / 16) * 16 * p->dim + at % 16;
            double sum = 0, size = 0;
            for (int d = 0; d < p->dim; d++) {
                double term = (double)q[i][d] * (double)ew_half_to_float(tile[d * 16]);
                sum += term;
                size += fabs(term);
            }
            if (fabs(sum - s[i][at]) > 1e-5 * size + 1e-30)
                kc_fail(kc, "row %d, position %d: %g, in double precision %g", i, at,
                        (double)s[i][at], sum);
        }
}

static void check_scores_once(struct kc *kc, struct problem *p)
{
    const float *q[ROWS];
    float *a[ROWS], *b[ROWS];
    size_t bytes = (size_t)POSITIONS * sizeof(float);
    int page0 = kc_below(kc, PAGES), page1 = page0 + 1 + kc_below(kc, PAGES - page0);
    char what[64];

    snprintf(what, sizeof(what), "%d rows, dim %d, pages %d..%d", p->rows, p->dim, page0, page1);
    make_pages(kc, p, PAGES);
    for (int i = 0; i < p->rows; i++) {
        q[i] = numbers(kc, (size_t)p->dim, 2);
        a[i] = kc_output(bytes);
        b[i] = kc_output(bytes);
    }
    kc->ref->attend_scores(a, q, p->rows, p->dim, p->pages, p->offset, page0, page1);
    kc->got->attend_scores(b, q, p->rows, p->dim, p->pages, p->offset, page0, page1);
    for (int i = 0; i < p->rows; i++)
        kc_same(kc, a[i], b[i], bytes, what);
    if (kc->isa == EW_ISA_SCALAR)
        score_truth(kc, p, a, q, page0, page1);
    kc_release();
}

static void check_scores(struct kc *kc, int arg)
{
    (void)arg;
    for (int rows = 1; rows <= ROWS; rows++)
        for (int i = 0; i < 3; i++) {
            struct problem p = {
                .rows = rows, .dim = 8 * (1 + kc_below(kc, 16)), .offset = (size_t)i * 24};
            check_scores_once(kc, &p);
        }
    struct problem wide = {.rows = 5, .dim = 512};
    check_scores_once(kc, &wide);
}

static void mix_truth(struct kc *kc, const struct problem *p, float *const *out,
                      const float *const *s, int d, int page0, int page1)
{
    for (int i = 0; i < p->rows; i++) {
        double sum = 0, size = 0;
        for (int at = page0 * EW_PAGE; at < page1 * EW_PAGE; at++) {
            uint16_t v = p->pages[at / EW_PAGE][p->offset + (size_t)(at % EW_PAGE) * p->dim + d];
            double term = (double)s[i][at] * (double)ew_half_to_float(v);
            sum += term;
            size += fabs(term);
        }
        if (fabs(sum - out[i][d]) > 1e-5 * size + 1e-30)
            kc_fail(kc, "row %d, dim %d: %g, in double precision %g", i, d, (double)out[i][d], sum);
    }
}

static void check_mix_once(struct kc *kc, struct problem *p)
{
    const float *s[ROWS];
    float *a[ROWS], *b[ROWS];
    size_t bytes = (size_t)p->dim * sizeof(float);
    int page0 = kc_below(kc, PAGES), page1 = page0 + 1 + kc_below(kc, PAGES - page0);
    int d0 = 8 * kc_below(kc, p->dim / 8), d1 = d0 + 8 * (1 + kc_below(kc, (p->dim - d0) / 8));
    char what[64];

    if (kc_below(kc, 2))
        d0 = 0, d1 = p->dim;
    snprintf(what, sizeof(what), "%d rows, dim %d (%d..%d), pages %d..%d", p->rows, p->dim, d0, d1,
             page0, page1);
    make_pages(kc, p, PAGES);
    for (int i = 0; i < p->rows; i++) {
        s[i] = numbers(kc, POSITIONS, 1);
        a[i] = kc_output(bytes);
        b[i] = kc_output(bytes);
    }
    kc->ref->attend_mix(a, s, p->rows, p->dim, d0, d1, p->pages, p->offset, page0, page1);
    kc->got->attend_mix(b, s, p->rows, p->dim, d0, d1, p->pages, p->offset, page0, page1);
    for (int i = 0; i < p->rows; i++)
        kc_same(kc, a[i], b[i], bytes, what);
    for (int d = d0; kc->isa == EW_ISA_SCALAR && d < d1; d++)
        mix_truth(kc, p, a, s, d, page0, page1);
    kc_release();
}

static void check_mix(struct kc *kc, int arg)
{
    (void)arg;
    for (int rows = 1; rows <= ROWS; rows++)
        for (int i = 0; i < 8; i++) {
            struct problem p = {
                .rows = rows, .dim = 8 * (1 + kc_below(kc, 24)), .offset = (size_t)i * 8};
            check_mix_once(kc, &p);
        }
    struct problem wide = {.rows = 5, .dim = 512};
    check_mix_once(kc, &wide);
}

/* ---- softmax ---- */

static void softmax_truth(struct kc *kc, const float *before, const float *s, int lo, int hi,
                          int end, float scale, float cap)
{
    double sum = 0, max = -INFINITY, v[POSITIONS];

    for (int p = lo; p < hi; p++) {
        v[p] = (double)scale * (double)before[p];
        if (cap > 0)
            v[p] = (double)cap * tanh(v[p] / (double)cap);
        max = fmax(max, v[p]);
    }
    for (int p = lo; p < hi; p++)
        sum += v[p] = exp(v[p] - max);
    for (int p = 0; p < end; p++) {
        double truth = p < lo || p >= hi ? 0 : v[p] / sum;
        /* The argument of exp is off by half an ulp of a number up to 100. */
        if (fabs(truth - s[p]) > 3e-5 * truth + 1e-36)
            kc_fail(kc, "position %d of [%d, %d): %g, in double precision %g", p, lo, hi,
                    (double)s[p], truth);
    }
}

static void check_softmax(struct kc *kc, int arg)
{
    (void)arg;
    for (int end = EW_PAGE; end <= POSITIONS; end += EW_PAGE)
        for (int i = 0; i < 150; i++) {
            int hi = 1 + kc_below(kc, end), lo = kc_below(kc, 2) ? 0 : kc_below(kc, hi);
            float cap = i % 3 == 0 ? 20.0f : 0.0f, scale = i % 2 ? 0.125f : 1.0f;
            size_t bytes = (size_t)end * sizeof(float);
            float *x = numbers(kc, (size_t)end, i % 5 ? 8 : 100);
            for (int p = 0; p < end; p++) /* what lies outside must not matter */
                x[p] = p < lo || p >= hi ? NAN : x[p];
            float *a = memcpy(kc_input(bytes), x, bytes), *b = memcpy(kc_input(bytes), x, bytes);
            char what[64];
            snprintf(what, sizeof(what), "[%d, %d) of %d", lo, hi, end);
            kc->ref->softmax(a, lo, hi, end, scale, cap);
            kc->got->softmax(b, lo, hi, end, scale, cap);
            kc_same(kc, a, b, bytes, what);
            if (kc->isa == EW_ISA_SCALAR)
                softmax_truth(kc, x, a, lo, hi, end, scale, cap);
            kc_release();
        }
}

/* ---- bench: 512 positions ---- */

struct bench {
    const struct ew_kernels *kernels;
    struct problem p;
    float *s[ROWS], *x[ROWS];
    float cap;
};

static void run_scores(void *arg)
{
    struct bench *b = arg;
    b->kernels->attend_scores(b->s, (const float *const *)b->x, b->p.rows, b->p.dim, b->p.pages, 0,
                              0, BENCH_PAGES);
}

static void run_mix(void *arg)
{
    struct bench *b = arg;
    b->kernels->attend_mix(b->x, (const float *const *)b->s, b->p.rows, b->p.dim, 0, b->p.dim,
                           b->p.pages, 0, 0, BENCH_PAGES);
}

static void run_softmax(void *arg)
{
    struct bench *b = arg;
    b->kernels->softmax(b->s[0], 0, BENCH_PAGES * EW_PAGE, BENCH_PAGES * EW_PAGE, 0.125f, b->cap);
}

static void run_store(void *arg)
{
    struct bench *b = arg;
    for (int index = 0; index < EW_PAGE; index++)
        if (b->cap > 0)
            b->kernels->store_v((uint16_t *)b->p.pages[0], b->x[0], b->p.dim, index);
        else
            b->kernels->store_k((uint16_t *)b->p.pages[0], b->x[0], b->p.dim, index);
}

static void make_bench(struct kc *kc, struct bench *b, int rows, int dim)
{
    *b = (struct bench){.kernels = kc->got, .p = {.rows = rows, .dim = dim}};
    make_pages(kc, &b->p, BENCH_PAGES);
    for (int i = 0; i < rows; i++) {
        b->s[i] = numbers(kc, (size_t)BENCH_PAGES * EW_PAGE, 1);
        b->x[i] = numbers(kc, (size_t)dim, 1);
    }
}

static void bench_product(struct kc *kc, int mix)
{
    static const struct {
        int rows, dim;
    } shapes[] = {{1, 64},  {3, 64},  {7, 64},  {8, 64},  {12, 64},
                  {4, 128}, {8, 128}, {4, 256}, {16, 256}};

    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        struct bench b;
        char name[48];
        make_bench(kc, &b, shapes[i].rows, shapes[i].dim);
        snprintf(name, sizeof(name), "%s %d x %d", mix ? "mix" : "scores", b.p.rows, b.p.dim);
        double positions = BENCH_PAGES * EW_PAGE;
        struct kc_work work = {name, positions * b.p.dim * b.p.rows, positions * b.p.dim * 2};
        kc_bench(kc, &work, mix ? run_mix : run_scores, &b);
        kc_release();
    }
}

static void bench_softmax(struct kc *kc, int arg)
{
    struct bench b;

    (void)arg;
    make_bench(kc, &b, 1, 64);
    kc_bench(kc, &(struct kc_work){"softmax 512", 0, 0}, run_softmax, &b);
    b.cap = 20;
    kc_bench(kc, &(struct kc_work){"softmax 512, cap", 0, 0}, run_softmax, &b);
    kc_release();
}

static void bench_store(struct kc *kc, int v)
{
    struct bench b;

    make_bench(kc, &b, 1, 64);
    b.cap = (float)v;
    kc_bench(kc, &(struct kc_work){v ? "store_v 32 x 64" : "store_k 32 x 64", 0, 0}, run_store, &b);
    kc_release();
}

#define SLOT(name) offsetof(struct ew_kernels, name)

static const struct kc_test tests[] = {
    {"store_k", SLOT(store_k), check_store, bench_store, 0},
    {"store_v", SLOT(store_v), check_store, bench_store, 1},
    {"attend_scores", SLOT(attend_scores), check_scores, bench_product, 0},
    {"attend_mix", SLOT(attend_mix), check_mix, bench_product, 1},
    {"softmax", SLOT(softmax), check_softmax, bench_softmax, 0},
};

const struct kc_suite kc_suite_attn = {tests, sizeof(tests) / sizeof(tests[0])};
