/* check_float.c - quantiser, norm, activations, rope: every length, awkward values, guard pages.
 *
 * The reference is judged against the same formula in double precision. */
#include "kcheck.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LENGTH_MAX = 150, BENCH_LENGTH = 1536 };

enum fill { FILL_RANDOM, FILL_LARGE, FILL_ZERO, FILL_DENORMAL, FILL_ONE_HOT, FILL_MINUS, FILLS };

static float value(struct kc *kc, enum fill fill, int index)
{
    switch (fill) {
    case FILL_LARGE: /* exp's ends, and both sides of the soft cap */
        return kc_uniform(kc, 200);
    case FILL_ZERO:
        return index % 2 ? -0.0f : 0.0f;
    case FILL_DENORMAL:
        return kc_uniform(kc, 1e-41f);
    case FILL_ONE_HOT:
        return index == 5 ? 3.0f : 0.0f;
    case FILL_MINUS:
        return -127.0f;
    default:
        return kc_uniform(kc, 4);
    }
}

static float *numbers(struct kc *kc, int n, enum fill fill)
{
    float *x = kc_input((size_t)n * sizeof(float));

    for (int i = 0; i < n; i++)
        x[i] = value(kc, fill, i);
    return x;
}

static float *copy(const float *x, int n)
{
    return memcpy(kc_input((size_t)n * sizeof(float)), x, (size_t)n * sizeof(float));
}

/* Is `got` the true value but for relative `part` of it and absolute `floor`? */
static void near(struct kc *kc, const char *what, int i, double truth, double got, double part,
                 double floor)
{
    if (!(fabs(got - truth) <= part * fabs(truth) + floor))
        kc_fail(kc, "%s[%d]: %.9g, in double precision %.9g", what, i, got, truth);
}

/* ---- what maps arrays to arrays ---- */

enum map { MAP_ADD, MAP_SCALE, MAP_SOFTCAP, MAP_SILU, MAP_GELU, MAP_NORM, MAP_NORM_IN_PLACE };

static const char *const map_names[] = {"add", "scale", "softcap", "silu", "gelu", "norm", "norm"};

static void apply(const struct ew_kernels *kernels, enum map map, float *y, const float *a,
                  const float *b, int n)
{
    switch (map) {
    case MAP_ADD:
        kernels->add(y, a, n);
        break;
    case MAP_SCALE:
        kernels->scale(y, 0.3f, n);
        break;
    case MAP_SOFTCAP:
        kernels->softcap(y, 30.0f, n);
        break;
    case MAP_SILU:
        kernels->silu_mul(y, a, b, n);
        break;
    case MAP_GELU:
        kernels->gelu_mul(y, a, b, n);
        break;
    case MAP_NORM:
        kernels->rmsnorm(y, a, b, n, 1e-6f);
        break;
    default:
        kernels->rmsnorm(y, y, b, n, 1e-5f);
    }
}

static void check_map_truth(struct kc *kc, enum map map, const float *y0, const float *a,
                            const float *b, const float *y, int n)
{
    const float *x = map == MAP_NORM_IN_PLACE ? y0 : a;
    double squares = 0;

    for (int i = 0; i < n; i++)
        squares += (double)x[i] * x[i];
    double by = 1 / sqrt(squares / n + (map == MAP_NORM ? 1e-6 : 1e-5));
    for (int i = 0; i < n; i++) {
        double g = (double)a[i], u = sqrt(2 / M_PI) * (g + 0.044715 * g * g * g);
        double truth[] = {(double)y0[i] + g,
                          (double)y0[i] * 0.3,
                          30 * tanh((double)y0[i] / 30),
                          g / (1 + exp(-g)) * b[i],
                          0.5 * g * (1 + tanh(u)) * b[i],
                          (double)x[i] * by * b[i],
                          (double)x[i] * by * b[i]};
        near(kc, map_names[map], i, truth[map], (double)y[i], 2e-6, 1e-9);
    }
}

static void check_map(struct kc *kc, int map)
{
    for (int n = 1; n <= LENGTH_MAX; n++)
        for (int fill = 0; fill < FILLS; fill++) {
            float *a = numbers(kc, n, (enum fill)fill), *b = numbers(kc, n, FILL_RANDOM);
            float *y0 = numbers(kc, n, (enum fill)fill);
            float *y1 = copy(y0, n), *y2 = copy(y0, n);
            char what[64];
            apply(kc->ref, (enum map)map, y1, a, b, n);
            apply(kc->got, (enum map)map, y2, a, b, n);
            snprintf(what, sizeof(what), "%s n=%d fill %d", map_names[map], n, fill);
            kc_same(kc, y1, y2, (size_t)n * sizeof(float), what);
            if (kc->isa == EW_ISA_SCALAR)
                check_map_truth(kc, (enum map)map, y0, a, b, y1, n);
            kc_release();
        }
}

/* ---- the quantiser ---- */

static void check_quants_truth(struct kc *kc, const float *x, const struct ew_xblock *block,
                               int slot)
{
    int sum[2] = {0, 0};

    for (int i = 0; i < EW_BLOCK; i++) {
        int q = block->q[i / 4][slot][i % 4];
        double d = (double)block->d[slot];
        if (q < -127 || fabs(x[i] - q * d) > d * 0.50001)
            kc_fail(kc, "input %d: %g becomes %d x %g", i, (double)x[i], q, d);
        sum[i / 16] += q;
    }
    if (block->neg[0][slot] != -(sum[0] + sum[1]) || block->neg[1][slot] != -sum[0])
        kc_fail(kc, "sums %d %d, expected %d %d", block->neg[0][slot], block->neg[1][slot],
                -(sum[0] + sum[1]), -sum[0]);
    if (block->ds[slot] != block->d[slot] * (float)(sum[0] + sum[1]))
        kc_fail(kc, "ds isn't d times the sum");
}

static void check_quantize(struct kc *kc, int arg)
{
    (void)arg;
    for (int blocks = 1; blocks <= 20; blocks++)
        for (int fill = 0; fill < FILLS; fill++)
            for (int slot = 0; slot < EW_GROUP; slot++) {
                size_t bytes = (size_t)blocks * sizeof(struct ew_xblock);
                float *x = numbers(kc, blocks * EW_BLOCK, (enum fill)fill);
                struct ew_xblock *a = kc_output(bytes), *b = kc_output(bytes);
                kc->ref->quantize(x, blocks * EW_BLOCK, a, slot);
                kc->got->quantize(x, blocks * EW_BLOCK, b, slot);
                /* Whole blocks: the other slots keep the pattern. */
                kc_same(kc, a, b, bytes, "quantize");
                for (int i = 0; kc->isa == EW_ISA_SCALAR && fill != FILL_DENORMAL && i < blocks;
                     i++)
                    check_quants_truth(kc, x + (size_t)i * EW_BLOCK, &a[i], slot);
                kc_release();
            }
}

/* ---- rope ---- */

static void check_rope(struct kc *kc, int halves)
{
    for (int half = 1; half <= LENGTH_MAX; half++) {
        float *c = numbers(kc, half, FILL_RANDOM), *s = numbers(kc, half, FILL_RANDOM);
        float *x = numbers(kc, 2 * half, FILL_RANDOM);
        float *a = copy(x, 2 * half), *b = copy(x, 2 * half);
        (halves ? kc->ref->rope_halves : kc->ref->rope_pairs)(a, c, s, half);
        (halves ? kc->got->rope_halves : kc->got->rope_pairs)(b, c, s, half);
        kc_same(kc, a, b, (size_t)(2 * half) * sizeof(float), "rope");
        for (int i = 0; kc->isa == EW_ISA_SCALAR && i < half; i++) {
            int j = halves ? i : 2 * i, k = halves ? i + half : 2 * i + 1;
            double x0 = (double)x[j], x1 = (double)x[k], cd = (double)c[i], sd = (double)s[i];
            near(kc, "rope", j, x0 * cd - x1 * sd, (double)a[j], 0, 4e-6);
            near(kc, "rope", k, x0 * sd + x1 * cd, (double)a[k], 0, 4e-6);
        }
        kc_release();
    }
}

/* ---- bench ---- */

struct bench {
    const struct ew_kernels *kernels;
    int what, n;
    float *y, *a, *b;
    struct ew_xblock *blocks;
};

static void run_map(void *arg)
{
    struct bench *b = arg;
    apply(b->kernels, (enum map)b->what, b->y, b->a, b->b, b->n);
}

static void run_quantize(void *arg)
{
    struct bench *b = arg;
    b->kernels->quantize(b->a, b->n, b->blocks, 1);
}

static void run_norm_quantize(void *arg)
{
    struct bench *b = arg;
    b->kernels->rmsnorm(b->y, b->a, b->b, b->n, 1e-6f);
    b->kernels->quantize(b->y, b->n, b->blocks, 1);
}

static void run_rope(void *arg)
{
    struct bench *b = arg;
    (b->what ? b->kernels->rope_halves : b->kernels->rope_pairs)(b->y, b->a, b->b, b->n / 2);
}

static void bench_with(struct kc *kc, const char *name, int what, int n, void (*run)(void *))
{
    struct bench b = {kc->got, what, n, NULL, NULL, NULL, NULL};
    char title[64];

    b.y = numbers(kc, n, FILL_RANDOM);
    b.a = numbers(kc, n, FILL_RANDOM);
    b.b = numbers(kc, n, FILL_RANDOM);
    b.blocks = kc_input((size_t)n / EW_BLOCK * sizeof(*b.blocks));
    snprintf(title, sizeof(title), "%s %d", name, n);
    struct kc_work work = {title, 0, 0};
    kc_bench(kc, &work, run, &b);
    kc_release();
}

static void bench_map(struct kc *kc, int map)
{
    bench_with(kc, map_names[map], map, BENCH_LENGTH, run_map);
}

static void bench_quantize(struct kc *kc, int arg)
{
    bench_with(kc, "quantize", arg, 576, run_quantize);
    bench_with(kc, "norm + quantize", arg, 576, run_norm_quantize);
}

static void bench_rope(struct kc *kc, int halves)
{
    bench_with(kc, halves ? "rope halves" : "rope pairs", halves, 64, run_rope);
}

#define SLOT(name) offsetof(struct ew_kernels, name)

static const struct kc_test tests[] = {
    {"quantize", SLOT(quantize), check_quantize, bench_quantize, 0},
    {"rmsnorm", SLOT(rmsnorm), check_map, bench_map, MAP_NORM},
    {"rmsnorm_in_place", SLOT(rmsnorm), check_map, NULL, MAP_NORM_IN_PLACE},
    {"add", SLOT(add), check_map, bench_map, MAP_ADD},
    {"scale", SLOT(scale), check_map, bench_map, MAP_SCALE},
    {"softcap", SLOT(softcap), check_map, bench_map, MAP_SOFTCAP},
    {"silu_mul", SLOT(silu_mul), check_map, bench_map, MAP_SILU},
    {"gelu_mul", SLOT(gelu_mul), check_map, bench_map, MAP_GELU},
    {"rope_pairs", SLOT(rope_pairs), check_rope, bench_rope, 0},
    {"rope_halves", SLOT(rope_halves), check_rope, bench_rope, 1},
};

const struct kc_suite kc_suite_float = {tests, sizeof(tests) / sizeof(tests[0])};
