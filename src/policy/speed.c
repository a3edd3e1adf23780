/* speed.c - two lines, fitted as answers come.
 *
 * Each answer's weight shrinks by KEPT with each that follows, so together they weigh at most
 * 1 / (1 - KEPT) = 6.7 answers, and after twenty the old ones weigh 4 %.
 *
 * The slope is drawn towards an assumed one with the strength that RIDGE answers would have whose
 * prompts differ as much as they are long: where prompts do differ, that is nothing. */
#include "policy/speed.h"

#include <math.h>

#define KEPT      0.85
#define SEED_N    3.0 /* a profile is worth three answers: gone after a dozen */
#define RIDGE     0.1
#define RIDGE_MIN 1e-9 /* of x squared: nothing to tell a slope from */

/* An answer counts as at most so many times what was expected. A device that slows down is still
 * followed, by 30 % an answer at least. */
#define OUTLIER   3.0
#define OUTLIER_N 2.0 /* answers before one can be told */

/* Of its time an answer is assumed to lose to each other one, until two were seen together. Not
 * measured: a batch that is bound by memory loses next to nothing, one bound by arithmetic all. */
#define SHARE 0.25

static void forget_all(struct ew_speed_fit *fit)
{
    *fit = (struct ew_speed_fit){.at_zero = NAN, .slope = NAN};
}

void ew_speed_init(struct ew_speed *speed)
{
    forget_all(&speed->first);
    forget_all(&speed->decode);
}

/* The line of least squares, neither falling nor below 0 at x = 0. */
static void solve(struct ew_speed_fit *fit, double assumed_slope)
{
    double x = fit->x / fit->n, y = fit->y / fit->n;
    double ridge = RIDGE * x * x;
    double spread = fit->xx - fit->n * x * x, covered = fit->xy - fit->n * x * y;
    double slope = spread + ridge > RIDGE_MIN
                       ? (fmax(covered, 0) + ridge * assumed_slope) / (spread + ridge)
                       : 0;
    fit->slope = x > 0 ? fmin(slope, y / x) : 0;
    fit->at_zero = fmax(y - fit->slope * x, 0);
}

static void add(struct ew_speed_fit *fit, double weight, double x, double y)
{
    fit->n += weight;
    fit->x += weight * x;
    fit->y += weight * y;
    fit->xx += weight * x * x;
    fit->xy += weight * x * y;
}

static void solve_first(struct ew_speed_fit *fit)
{
    solve(fit, fit->x > 0 ? fit->y / fit->x : 0);
}

static void solve_decode(struct ew_speed_fit *fit)
{
    double x = fit->x / fit->n, y = fit->y / fit->n;
    solve(fit, SHARE * y / (1 - SHARE + SHARE * x));
}

static void note(struct ew_speed_fit *fit, double x, double y)
{
    if (fit->n >= OUTLIER_N)
        y = fmin(y, OUTLIER * fmax(ew_speed_line(fit, x), fit->y / fit->n));
    fit->n *= KEPT;
    fit->x *= KEPT;
    fit->y *= KEPT;
    fit->xx *= KEPT;
    fit->xy *= KEPT;
    add(fit, 1, x, y);
}

void ew_speed_seed(struct ew_speed *speed, double prefill_tokens_per_s, double decode_tokens_per_s)
{
    if (prefill_tokens_per_s > 0) { /* two lengths, so that it is a line */
        add(&speed->first, SEED_N / 2, 128, 128 / prefill_tokens_per_s);
        add(&speed->first, SEED_N / 2, 1024, 1024 / prefill_tokens_per_s);
        solve_first(&speed->first);
    }
    if (decode_tokens_per_s > 0) {
        add(&speed->decode, SEED_N, 1, 1 / decode_tokens_per_s);
        solve_decode(&speed->decode);
    }
}

void ew_speed_note(struct ew_speed *speed, double prompt_tokens, double ttft_s,
                   double decode_s_per_token, double together)
{
    /* Comparisons that NAN fails; infinite is nonsense of a broken clock. */
    if (prompt_tokens >= 0 && prompt_tokens < INFINITY && ttft_s >= 0 && ttft_s < INFINITY) {
        note(&speed->first, prompt_tokens, ttft_s);
        solve_first(&speed->first);
    }
    if (decode_s_per_token > 0 && decode_s_per_token < INFINITY && together < INFINITY) {
        note(&speed->decode, fmax(together, 1), decode_s_per_token);
        solve_decode(&speed->decode);
    }
}
