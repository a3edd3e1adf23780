/* price.h - what cloud models cost, from a dated table: data/prices.csv, or a file of that form.
 *
 * Money is US dollars per million tokens; a row holds from its `from` day up to, not including, its
 * `to` day. Every row says where it was read and when. */
#ifndef EW_PRICE_H
#define EW_PRICE_H

#include "base/err.h"

struct ew_price {
    char provider[32], model[64];
    double input, output;  /* USD per million tokens */
    double cached_input;   /* NAN: not known, cached tokens cost as others */
    double request_fee;    /* USD per request; 0 where the provider asks none */
    char from[11], to[11]; /* YYYY-MM-DD; "": not known, not ended */
    char source[96], as_of[11];
};

struct ew_price_table;

/* path NULL: the embedded table. */
int ew_price_open(struct ew_price_table **gives, const char *path, struct ew_err *err);
int ew_price_parse(struct ew_price_table **gives, const char *text, const char *file,
                   struct ew_err *err);
void ew_price_close(struct ew_price_table **table);

size_t ew_price_count(const struct ew_price_table *table);
const struct ew_price *ew_price_at(const struct ew_price_table *table, size_t index);
/* "openai/gpt-5.4-mini" on a day ("2026-08-05"); day NULL: the row that hasn't ended. */
int ew_price_find(const struct ew_price_table *table, const char *name, const char *day,
                  const struct ew_price **out, struct ew_err *err);

/* Cents of one request; `cached` of the prompt's tokens are among `prompt`. */
double ew_price_cents(const struct ew_price *price, double prompt, double cached, double output);

#endif
