/* speed.h - how fast a place answers, learned from its answers.
 *
 * Three figures a place and model: seconds a prompt token (prefill), seconds an output token when n
 * are answered together (decode, a line in n), and what comes before the first token whatever the
 * prompt (delay: network, queueing of a cloud). A device's time to first token is linear in the
 * prompt (DiSCo, ACL Findings 2025), so two figures suffice for it; a cloud's isn't, and its delay
 * is all there is: it is noted, and asked for, with 0 prompt tokens.
 *
 * Fitted online: least squares with exponential forgetting, so that a device that is throttled is
 * known to be slow after some twenty answers. What the answers don't tell (all prompts were of one
 * length; never two at once) is assumed: a line through the origin, a share of each other stream.
 * Starts from a profile, where there is one, worth a few answers. Never negative. Pure; fixed size;
 * unknown is NAN. */
#ifndef EW_SPEED_H
#define EW_SPEED_H

#include <stdint.h>

struct ew_speed_fit { /* y = at_zero + slope x, by weighted sums with forgetting */
    double n, x, y, xx, xy;
    double at_zero, slope; /* as the sums have it; NAN: unknown */
};
struct ew_speed {
    struct ew_speed_fit first;  /* TTFT in s over computed prompt tokens */
    struct ew_speed_fit decode; /* s a token over streams answered together */
};

void ew_speed_init(struct ew_speed *speed); /* nothing known */
/* From a profile: tokens/s; NAN: not known. */
void ew_speed_seed(struct ew_speed *speed, double prefill_tokens_per_s, double decode_tokens_per_s);
/* One answer. NAN for what it didn't tell; `prompt_tokens`: what was computed until its first token
 * came, others' too; `together`: streams that the place answered, with it. */
void ew_speed_note(struct ew_speed *speed, double prompt_tokens, double ttft_s,
                   double decode_s_per_token, double together);

/* NAN: unknown. Inline, for decisions among a thousand places. */
static inline double ew_speed_line(const struct ew_speed_fit *fit, double x)
{
    return fit->at_zero + fit->slope * x;
}
static inline double ew_speed_ttft_s(const struct ew_speed *speed, double prompt_tokens)
{
    return ew_speed_line(&speed->first, prompt_tokens);
}
static inline double ew_speed_prefill_s_per_token(const struct ew_speed *speed)
{
    return speed->first.slope;
}
static inline double ew_speed_decode_s_per_token(const struct ew_speed *speed, double together)
{
    return ew_speed_line(&speed->decode, together > 1 ? together : 1);
}

#endif
