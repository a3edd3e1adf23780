/* compare.h - one answer of this device beside a cloud platform of the price table.
 *
 * What the cloud would have taken for the same question and an answer of the same length: its
 * tokens are taken to be ours, its price is the table's. Nobody asks the cloud: its quality and
 * responsiveness are those of GPT-4 in the paper (arXiv 2505.16508, Table I), an assumption that
 * is told with the figures. What isn't known is said to be unknown. */
#ifndef EW_COMPARE_H
#define EW_COMPARE_H

#include "base/jsonw.h"
#include "flow/price.h"
#include "flow/quality.h"
#include "flow/usage.h"

#include <stdio.h>

enum { EW_COMPARE_NOTES_MAX = 8, EW_COMPARE_NOTE_BYTES = 320 };

/* A figure, and which note says where it comes from; 0: measured or counted here, or computed. */
struct ew_compare_figure {
    double value; /* NAN: unknown */
    int note;
};

struct ew_compare_side {
    char platform[64], model[128];
    struct ew_compare_figure prompt_tokens, output_tokens, ttft_ms, tokens_per_s, reading_multiple,
        energy_j, cost_cents, quality, responsiveness, utility, pcr;
    enum ew_energy_kind energy_kind;
};

struct ew_compare {
    struct ew_compare_side edge, cloud;
    double alpha;
    char notes[EW_COMPARE_NOTES_MAX][EW_COMPARE_NOTE_BYTES]; /* note n is notes[n - 1] */
    int note_count;
};

/* What is known before; everything is borrowed for the call only. */
struct ew_compare_facts {
    const char *model; /* what to call the local one */
    const struct ew_usage *usage;
    double tokens_per_word;           /* of the answer, for the reading speed */
    double tariff_cents_per_kwh;      /* by which usage->cost_cents came about */
    const struct ew_quality *quality; /* NULL: nobody published a score */
    const struct ew_price *price;
    double alpha;
};
void ew_compare_make(struct ew_compare *out, const struct ew_compare_facts *facts);

int ew_compare_print(const struct ew_compare *compare, FILE *out, struct ew_err *err);
/* One object: "alpha", "platforms" of two, "notes". */
void ew_compare_put_json(const struct ew_compare *compare, struct ew_jsonw *json);

#endif
