/* sampler.c - chooses the next token without sorting the vocabulary.
 *
 * A vocabulary has up to 262,144 logits and an answer thousands of tokens, so each step here is one
 * pass over memory or touches only what it must. One pass finds the greatest logit of each run of
 * 64; greedy then looks into one run only. Top-k: the k-th greatest of those maxima is a floor that
 * at least k logits reach, so only runs that reach it are opened. Without top-k, logits whose
 * weights together are under 2^-24 of the whole are left out before any exp is taken: less than
 * rounding. Top-k and top-p then are one quickselect, by count or by mass; both keep a prefix of
 * "likelier first, lower id on ties", as min-p does, so which of the two cuts first is all the
 * same.
 *
 * Weights come from the softmax kernel, which gives the same bits on every instruction set, and
 * sums run in double in a fixed order: no libm, the same choice on every machine (logprobs, which
 * decide nothing, take one logarithm from it). Logits that are
 * NaN or -infinity are never chosen; where there's nothing else, token 0 is, and a +infinity wins
 * outright. */
#include "engine/sampler.h"

#include "base/rng.h"
#include "kernels/kernels.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    RUN = 64,          /* logits that share one maximum: four cache lines */
    LANES = 16,        /* maxima kept side by side, so that the compiler can use vectors */
    BIASES_MAX = 1024, /* several times what OpenAI's logit_bias is used for; held inline */
};
#define BIAS_MAX        100.0f /* as OpenAI's logit_bias */
#define PENALTY_MAX     100.0f /* far outside of what is of use; keeps sums finite */
#define TEMPERATURE_MAX 100.0f /* nearly uniform already */
#define LN2             0.693147f
/* What is this many temperatures below the greatest weighs nothing in a float: e^-100. */
#define NOTHING_BELOW 100.0f
#define SCALE_MAX     1e30f /* of logits; a temperature below its inverse is as good as that */

struct candidate {
    float value; /* adjusted logit; the key, with the lower id first among equals */
    float weight;
    int32_t id;
};

struct ew_sampler {
    uint32_t vocab;
    struct ew_sampling how; /* how.bias points to bias below */
    struct ew_bias bias[BIASES_MAX];
    struct ew_rng draws, pivots; /* pivots: any input takes linear time, expected */
};

struct ew_sampler_desk {
    uint32_t vocab;
    int runs;
    float *adjusted;        /* [vocab, padded] logits after bias and penalties; then weights */
    uint32_t *seen;         /* [vocab] occurrences; all 0 between calls */
    float *maxima;          /* [runs] */
    struct candidate *pool; /* [vocab] */
    void (*softmax)(float *s, int lo, int hi, int end, float scale, float softcap);
};

/* The softmax kernel works on whole pages of positions. */
static int padded(int n)
{
    return (n + EW_PAGE - 1) / EW_PAGE * EW_PAGE;
}

static int check_vocab(uint32_t vocab, struct ew_err *err)
{
    if (vocab == 0 || vocab > INT32_MAX - RUN)
        return ew_fail(err, EW_EINVAL, "vocabulary of %u tokens can't be sampled", vocab);
    return 0;
}

int ew_sampler_open(struct ew_sampler **gives, uint32_t vocab, struct ew_err *err)
{
    *gives = NULL;
    int failed = check_vocab(vocab, err);
    if (failed)
        return failed;
    struct ew_sampler *s = calloc(1, sizeof *s);
    if (!s)
        return ew_fail(err, EW_ENOMEM, "no memory for a sampler");
    s->vocab = vocab;
    s->how = (struct ew_sampling){.top_p = 1, .repeat_penalty = 1};
    ew_rng_init(&s->draws, 0);
    ew_rng_init(&s->pivots, 0);
    *gives = s;
    return 0;
}

void ew_sampler_close(struct ew_sampler **sampler)
{
    free(*sampler);
    *sampler = NULL;
}

uint64_t ew_sampler_desk_bytes(uint32_t vocab)
{
    uint64_t each = sizeof(float) + sizeof(uint32_t) + sizeof(struct candidate);
    return sizeof(struct ew_sampler_desk) + vocab * each + vocab / RUN * sizeof(float);
}

int ew_sampler_desk_open(struct ew_sampler_desk **gives, uint32_t vocab,
                         const struct ew_kernels *kernels, struct ew_err *err)
{
    *gives = NULL;
    int failed = check_vocab(vocab, err);
    if (failed)
        return failed;
    struct ew_sampler_desk *d = calloc(1, sizeof *d);
    if (!d)
        return ew_fail(err, EW_ENOMEM, "no memory to sample");
    d->vocab = vocab;
    d->runs = (int)((vocab + RUN - 1) / RUN);
    d->adjusted = malloc((size_t)padded((int)vocab) * sizeof *d->adjusted);
    d->seen = calloc(vocab, sizeof *d->seen);
    d->maxima = malloc((size_t)d->runs * sizeof *d->maxima);
    d->pool = malloc(vocab * sizeof *d->pool);
    d->softmax = kernels->softmax;
    if (!d->adjusted || !d->seen || !d->maxima || !d->pool) {
        ew_sampler_desk_close(&d);
        return ew_fail(err, EW_ENOMEM, "no memory to sample from %u tokens", vocab);
    }
    *gives = d;
    return 0;
}

void ew_sampler_desk_close(struct ew_sampler_desk **desk)
{
    struct ew_sampler_desk *d = *desk;
    if (!d)
        return;
    free(d->adjusted);
    free(d->seen);
    free(d->maxima);
    free(d->pool);
    free(d);
    *desk = NULL;
}

/* ---- settings ---- */

static int check_bias(const struct ew_sampling *how, uint32_t vocab, struct ew_err *err)
{
    if (how->bias_count > BIASES_MAX || (how->bias_count && !how->bias))
        return ew_fail(err, EW_EINVAL, "bias for %zu tokens, at most %d", how->bias_count,
                       BIASES_MAX);
    for (size_t i = 0; i < how->bias_count; i++) {
        const struct ew_bias *b = &how->bias[i];
        if (b->token < 0 || (uint32_t)b->token >= vocab)
            return ew_fail(err, EW_EINVAL, "bias for token %d, the vocabulary has 0 to %u",
                           b->token, vocab - 1);
        if (!(fabsf(b->add) <= BIAS_MAX))
            return ew_fail(err, EW_EINVAL, "bias of %g for token %d, at most %g either way",
                           (double)b->add, b->token, (double)BIAS_MAX);
    }
    return 0;
}

static int check(const struct ew_sampling *how, struct ew_err *err)
{
    const struct {
        const char *name;
        float value, min, max;
    } ranges[] = {
        {"temperature", how->temperature, 0, TEMPERATURE_MAX},
        {"top_p", how->top_p, 0, 1},
        {"min_p", how->min_p, 0, 1},
        {"repeat_penalty", how->repeat_penalty, 1 / PENALTY_MAX, PENALTY_MAX},
        {"frequency_penalty", how->frequency_penalty, -PENALTY_MAX, PENALTY_MAX},
        {"presence_penalty", how->presence_penalty, -PENALTY_MAX, PENALTY_MAX},
    };
    for (size_t i = 0; i < EW_COUNT(ranges); i++)
        if (!(ranges[i].value >= ranges[i].min && ranges[i].value <= ranges[i].max))
            return ew_fail(err, EW_EINVAL, "%s %g, must be from %g to %g", ranges[i].name,
                           (double)ranges[i].value, (double)ranges[i].min, (double)ranges[i].max);
    if (how->top_k < 0)
        return ew_fail(err, EW_EINVAL, "top_k %d, must be 0 (off) or more", how->top_k);
    if (how->penalty_last < -1)
        return ew_fail(err, EW_EINVAL, "penalty_last %d, must be -1 (all) or more",
                       how->penalty_last);
    return 0;
}

int ew_sampler_set(struct ew_sampler *sampler, const struct ew_sampling *how, struct ew_err *err)
{
    int rc = check(how, err);
    if (rc == 0)
        rc = check_bias(how, sampler->vocab, err);
    if (rc)
        return rc;
    if (how->bias_count) /* memmove: settings read back from here may be set again */
        memmove(sampler->bias, how->bias, how->bias_count * sizeof *how->bias);
    sampler->how = *how;
    sampler->how.bias = sampler->bias;
    ew_rng_init(&sampler->draws, how->seed);
    ew_rng_init(&sampler->pivots, 0);
    return 0;
}

/* ---- bias and penalties ---- */

static bool penalises(const struct ew_sampling *how)
{
    return how->penalty_last != 0 &&
           (how->repeat_penalty != 1 || how->frequency_penalty != 0 || how->presence_penalty != 0);
}

static float penalised(float value, uint32_t seen, const struct ew_sampling *how)
{
    /* Dividing a negative logit would make the token likelier. */
    value = value > 0 ? value / how->repeat_penalty : value * how->repeat_penalty;
    return value - (float)seen * how->frequency_penalty - how->presence_penalty;
}

static void penalise(const struct ew_sampler *s, struct ew_sampler_desk *d, const int32_t *history,
                     size_t count)
{
    size_t last = s->how.penalty_last < 0 ? count : (size_t)s->how.penalty_last;
    if (last < count) {
        history += count - last;
        count = last;
    }
    for (size_t i = 0; i < count; i++)
        if ((uint32_t)history[i] < d->vocab)
            d->seen[history[i]]++;
    for (size_t i = 0; i < count; i++) {
        if ((uint32_t)history[i] >= d->vocab || d->seen[history[i]] == 0)
            continue;
        float *value = &d->adjusted[history[i]];
        *value = penalised(*value, d->seen[history[i]], &s->how);
        d->seen[history[i]] = 0;
    }
}

static void allow_only(struct ew_sampler_desk *d, const uint32_t *allowed)
{
    for (uint32_t word = 0; word * 32 < d->vocab; word++) {
        uint32_t end = word * 32 + 32 < d->vocab ? word * 32 + 32 : d->vocab;
        for (uint32_t i = word * 32; allowed[word] != UINT32_MAX && i < end; i++)
            if (!(allowed[word] >> i % 32 & 1))
                d->adjusted[i] = -INFINITY;
    }
}

static const float *adjust(const struct ew_sampler *s, struct ew_sampler_desk *d,
                           const float *logits, const uint32_t *allowed, const int32_t *history,
                           size_t count)
{
    bool penalty = count > 0 && penalises(&s->how);
    if (s->how.bias_count == 0 && !penalty && !allowed)
        return logits;
    memcpy(d->adjusted, logits, d->vocab * sizeof *logits);
    if (allowed)
        allow_only(d, allowed);
    for (size_t i = 0; i < s->how.bias_count; i++)
        d->adjusted[s->bias[i].token] += s->bias[i].add;
    if (penalty)
        penalise(s, d, history, count);
    return d->adjusted;
}

/* ---- the greatest ---- */

/* NaN compares false and so never becomes a maximum. */
static float run_max(const float *v)
{
    float max[LANES];
    for (int l = 0; l < LANES; l++)
        max[l] = -INFINITY;
    for (int i = 0; i < RUN; i += LANES)
        for (int l = 0; l < LANES; l++)
            max[l] = v[i + l] > max[l] ? v[i + l] : max[l];
    for (int half = LANES / 2; half; half /= 2)
        for (int l = 0; l < half; l++)
            max[l] = max[l + half] > max[l] ? max[l + half] : max[l];
    return max[0];
}

static float tail_max(const float *v, uint32_t n)
{
    float max = -INFINITY;
    for (uint32_t i = 0; i < n; i++)
        max = v[i] > max ? v[i] : max;
    return max;
}

/* Fills the maxima; returns the first run that holds the greatest. */
static int find_maxima(struct ew_sampler_desk *d, const float *v)
{
    int best = 0, whole = (int)(d->vocab / RUN);
    for (int r = 0; r < whole; r++)
        d->maxima[r] = run_max(v + (size_t)r * RUN);
    if (whole < d->runs)
        d->maxima[whole] = tail_max(v + (size_t)whole * RUN, d->vocab % RUN);
    for (int r = 1; r < d->runs; r++)
        if (d->maxima[r] > d->maxima[best])
            best = r;
    return best;
}

static int32_t first_of(const struct ew_sampler_desk *d, const float *v, int run)
{
    uint32_t end = (uint32_t)(run + 1) * RUN;
    for (uint32_t i = (uint32_t)run * RUN; i < end && i < d->vocab; i++)
        if (v[i] == d->maxima[run])
            return (int32_t)i;
    return 0;
}

/* ---- candidates ---- */

static bool before(const struct candidate *a, const struct candidate *b)
{
    return a->value > b->value || (a->value == b->value && a->id < b->id);
}

static void swap(struct candidate *a, struct candidate *b)
{
    struct candidate t = *a;
    *a = *b;
    *b = t;
}

/* Moves what comes before the pivot in front of it, adds that to *mass, and returns the pivot's
 * place. */
static size_t partition(struct candidate *c, size_t n, size_t pivot, double *mass)
{
    size_t front = 0;
    swap(&c[pivot], &c[n - 1]);
    for (size_t i = 0; i + 1 < n; i++)
        if (before(&c[i], &c[n - 1])) {
            *mass += (double)c[i].weight;
            swap(&c[i], &c[front++]);
        }
    swap(&c[front], &c[n - 1]);
    return front;
}

/* Moves to the front the fewest candidates, likeliest first, whose weights reach `need`; returns
 * how many: at least one, all where rounding or too great a need leaves them short. n > 0. */
static size_t select_front(struct ew_rng *pivots, struct candidate *c, size_t n, double need)
{
    size_t lo = 0, hi = n; /* the first lo are in and weigh `have`; those from hi on are out */
    double have = 0;
    while (lo < hi) {
        double mass = have;
        size_t pivot = (size_t)ew_rng_below(pivots, hi - lo);
        size_t at = lo + partition(c + lo, hi - lo, pivot, &mass);
        if (mass >= need) {
            hi = at;
        } else {
            lo = at + 1;
            have = mass + (double)c[at].weight;
            if (have >= need)
                break;
        }
    }
    return lo > 0 ? lo : 1;
}

/* All logits that reach the floor, in order of id. */
static size_t collect(struct ew_sampler_desk *d, const float *v, float floor)
{
    size_t n = 0;
    for (int r = 0; r < d->runs; r++) {
        if (!(d->maxima[r] >= floor))
            continue;
        uint32_t begin = (uint32_t)r * RUN;
        uint32_t end = begin + RUN < d->vocab ? begin + RUN : d->vocab;
        for (uint32_t i = begin; i < end; i++)
            if (v[i] >= floor)
                d->pool[n++] = (struct candidate){v[i], 1, (int32_t)i};
    }
    return n;
}

/* A value that at least k logits reach, as close to the k-th greatest as the maxima can tell. */
static float floor_of_top(struct ew_sampler_desk *d, struct ew_rng *pivots, size_t k)
{
    if (k >= (size_t)d->runs)
        return -FLT_MAX;
    for (int r = 0; r < d->runs; r++)
        d->pool[r] = (struct candidate){d->maxima[r], 1, r};
    select_front(pivots, d->pool, (size_t)d->runs, (double)k);
    float floor = d->pool[0].value;
    for (size_t i = 1; i < k; i++)
        floor = d->pool[i].value < floor ? d->pool[i].value : floor;
    return floor > -FLT_MAX ? floor : -FLT_MAX; /* an all-banned run has -infinity */
}

/* What is below this can be left out. Without top-p, which needs the weight of all, that is also
 * what min_p would drop: it is at least 2^-halvings of the greatest. */
static float negligible_below(const struct ew_sampler *s, float max)
{
    float halvings = 25;
    for (uint32_t n = s->vocab; n > 1; n /= 2)
        halvings++;
    if (s->how.top_p >= 1 && s->how.min_p > 0) {
        float least = s->how.min_p, needed = 1;
        for (; least < 1; least *= 2)
            needed++;
        halvings = needed < halvings ? needed : halvings;
    }
    float floor = max - halvings * LN2 * s->how.temperature;
    return floor > -FLT_MAX ? floor : -FLT_MAX;
}

/* Turns values into probabilities; returns their sum, which is 1 but for rounding. */
static double weigh(const struct ew_sampler *s, struct ew_sampler_desk *d, size_t n, float max)
{
    float temperature = s->how.temperature, *w = d->adjusted;
    float scale = temperature * SCALE_MAX > 1 ? 1 / temperature : SCALE_MAX;
    float lowest = -NOTHING_BELOW / scale;
    for (size_t i = 0; i < n; i++) {
        float below = d->pool[i].value - max;
        w[i] = below > lowest ? below : lowest;
    }
    d->softmax(w, 0, (int)n, padded((int)n), scale, 0);
    double total = 0;
    for (size_t i = 0; i < n; i++) {
        d->pool[i].weight = w[i];
        total += (double)w[i];
    }
    return total;
}

/* Keeps what weighs at least min_p of the heaviest; returns how many, and their sum in *total. */
static size_t keep_heavy(struct candidate *c, size_t n, float min_p, double *total)
{
    float heaviest = 0;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        heaviest = c[i].weight > heaviest ? c[i].weight : heaviest;
    *total = 0;
    for (size_t i = 0; i < n; i++)
        if (c[i].weight >= min_p * heaviest) {
            *total += (double)c[i].weight;
            c[kept++] = c[i];
        }
    return kept;
}

/* Fills the pool with what top-k, top-p and min-p leave; returns how many (at least one) and what
 * they weigh together. */
static size_t narrow(struct ew_sampler *s, struct ew_sampler_desk *d, const float *v, float max,
                     double *total)
{
    const struct ew_sampling *how = &s->how;
    size_t n, k = (size_t)how->top_k;
    if (k > 0 && k < d->vocab) {
        n = collect(d, v, floor_of_top(d, &s->pivots, k));
        n = select_front(&s->pivots, d->pool, n, (double)k);
    } else {
        n = collect(d, v, negligible_below(s, max));
    }
    *total = weigh(s, d, n, max);
    if (how->top_p < 1)
        n = select_front(&s->pivots, d->pool, n, (double)how->top_p * *total);
    if (how->top_p < 1 || how->min_p > 0)
        n = keep_heavy(d->pool, n, how->min_p, total);
    return n;
}

static int32_t draw(struct ew_sampler *s, const struct ew_sampler_desk *d, size_t n, double total)
{
    double left = ew_rng_uniform(&s->draws) * total;
    size_t i = 0;
    for (; i + 1 < n; i++) {
        left -= (double)d->pool[i].weight;
        if (left < 0)
            break;
    }
    while (i > 0 && d->pool[i].weight == 0) /* rounding carried us past the last that weighs */
        i--;
    return d->pool[i].id;
}

int32_t ew_sampler_next(struct ew_sampler *sampler, struct ew_sampler_desk *desk,
                        const float *logits, const uint32_t *allowed, const int32_t *history,
                        size_t count)
{
    EW_ASSERT(sampler->vocab == desk->vocab);
    const float *v = adjust(sampler, desk, logits, allowed, history, count);
    int run = find_maxima(desk, v);
    float max = desk->maxima[run];
    if (max == -INFINITY)
        return 0;
    if (sampler->how.temperature <= 0 || max == INFINITY)
        return first_of(desk, v, run);
    double total;
    size_t n = narrow(sampler, desk, v, max, &total);
    EW_ASSERT(n > 0);
    return draw(sampler, desk, n, total);
}

/* ---- what the model itself thinks ---- */

static void sort_front(struct candidate *c, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j && before(&c[j], &c[j - 1]); j--)
            swap(&c[j], &c[j - 1]);
}

void ew_sampler_logprobs(struct ew_sampler_desk *desk, const float *logits, int32_t token,
                         float *logprob, struct ew_token_logprob *top, uint32_t count)
{
    struct ew_rng pivots;
    ew_rng_init(&pivots, 0);
    int run = find_maxima(desk, logits);
    float max = desk->maxima[run];
    size_t n = 0;
    if (count) {
        n = collect(desk, logits, floor_of_top(desk, &pivots, count));
        n = n ? select_front(&pivots, desk->pool, n, (double)count) : 0;
        sort_front(desk->pool, n);
    }
    /* The likeliest token's probability is 1 / sum: its logarithm is what all others lack. */
    for (uint32_t i = 0; i < desk->vocab; i++)
        desk->adjusted[i] = logits[i] > max - NOTHING_BELOW ? logits[i] : max - NOTHING_BELOW;
    desk->softmax(desk->adjusted, 0, (int)desk->vocab, padded((int)desk->vocab), 1, 0);
    int32_t best = first_of(desk, logits, run);
    double base = log((double)desk->adjusted[best]) - (double)max;
    *logprob = (float)((double)logits[token] + base);
    for (uint32_t i = 0; i < count; i++)
        top[i] = i < n ? (struct ew_token_logprob){desk->pool[i].id,
                                                   (float)((double)desk->pool[i].value + base)}
                       : (struct ew_token_logprob){-1, -INFINITY};
}
