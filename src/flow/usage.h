/* usage.h - the figures that follow from what an answer took; each is defined here and only here.
 *
 * Every function gives NAN where its inputs don't say: the caller prints "unknown" or null. */
#ifndef EW_USAGE_H
#define EW_USAGE_H

#include "flow/flow.h"

/* The tariff of the paper (arXiv 2505.16508): 25 cents per kWh. A parameter everywhere. */
#define EW_USAGE_TARIFF_CENTS_PER_KWH 25.0

/* Silent reading of English non-fiction: 238 words a minute; most adults 175 to 300 (Brysbaert
 * 2019, J. Memory and Language 109:104047). */
#define EW_USAGE_READING_WPM      238.0
#define EW_USAGE_READING_WPM_SLOW 175.0
#define EW_USAGE_READING_WPM_FAST 300.0
/* Used only where the answer's own ratio isn't known: 1 token is about .75 word. */
#define EW_USAGE_TOKENS_PER_WORD (4.0 / 3.0)

struct ew_usage ew_usage_none(void); /* no tokens, no times, energy and cost unknown */

double ew_usage_prefill_tokens_per_s(const struct ew_usage *usage); /* computed ones only */
/* (n - 1) / decode time: the first token belongs to the prefill. NAN below two tokens. */
double ew_usage_decode_tokens_per_s(const struct ew_usage *usage);
double ew_usage_ms_per_token(const struct ew_usage *usage);     /* TPOT, the inverse of the above */
double ew_usage_total_s(const struct ew_usage *usage);          /* TTFT + decode */
double ew_usage_joules_per_token(const struct ew_usage *usage); /* per output token */

/* How many times as fast as a person reads: tokens_per_s over wpm x tokens_per_word / 60. */
double ew_usage_reading_multiple(double tokens_per_s, double tokens_per_word);
/* Cents for that much electricity. */
double ew_usage_energy_cents(double joules, double tariff_cents_per_kwh);
/* Puts energy and its price into the usage. */
void ew_usage_set_energy(struct ew_usage *usage, const struct ew_energy *energy,
                         double tariff_cents_per_kwh);

#endif
