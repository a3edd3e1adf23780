/* compare.c - two platforms, figure by figure, each figure with where it comes from.
 *
 * The table is defined once, in `rows`: text and JSON both walk it, so neither can show what the
 * other doesn't. */
#include "measure/compare.h"

#include "base/table.h"
#include "measure/pcr.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

static const struct row {
    const char *title, *key;
    int digits; /* significant ones; 0: a whole number */
    size_t at;
} rows[] = {
#define ROW(title, field, digits)                                                                  \
    {                                                                                              \
        title, #field, digits, offsetof(struct ew_compare_side, field)                             \
    }
    ROW("prompt tokens", prompt_tokens, 0),
    ROW("answer tokens", output_tokens, 0),
    ROW("time to first token, ms", ttft_ms, 3),
    ROW("tokens/s", tokens_per_s, 3),
    ROW("  times reading speed", reading_multiple, 2),
    ROW("energy, J", energy_j, 3),
    ROW("cents per response (CPR)", cost_cents, 3),
    ROW("quality Q", quality, 2),
    ROW("responsiveness R", responsiveness, 2),
    ROW("utility U", utility, 2),
    ROW("PCR = U / CPR", pcr, 3),
#undef ROW
};

static const struct ew_compare_figure *figure(const struct ew_compare_side *side,
                                              const struct row *row)
{
    return (const struct ew_compare_figure *)((const char *)side + row->at);
}

/* Gives the note's number. */
static int __attribute__((format(printf, 2, 3))) note(struct ew_compare *c, const char *format, ...)
{
    va_list args;
    EW_ASSERT(c->note_count < EW_COMPARE_NOTES_MAX);
    va_start(args, format);
    vsnprintf(c->notes[c->note_count], EW_COMPARE_NOTE_BYTES, format, args);
    va_end(args);
    return ++c->note_count;
}

static struct ew_compare_figure known(double value)
{
    return (struct ew_compare_figure){value, 0};
}

static void fill_energy(struct ew_compare *c, const struct ew_compare_facts *facts)
{
    const struct ew_energy *energy = &facts->usage->energy;
    struct ew_compare_side *edge = &c->edge;
    int from = 0;
    if (energy->kind == EW_ENERGY_UNKNOWN)
        from = note(c, "unknown: no sensor is read; --profile or --watts models it");
    else if (energy->kind == EW_ENERGY_MODELLED)
        from =
            note(c, "modelled: time x watts, this device assumed to draw those of %s; %g cents/kWh",
                 energy->source, facts->tariff_cents_per_kwh);
    else
        from = note(c, "%s: %s; %g cents/kWh", ew_energy_kind_name(energy->kind), energy->source,
                    facts->tariff_cents_per_kwh);
    edge->energy_kind = energy->kind;
    edge->energy_j = (struct ew_compare_figure){energy->joules, from};
    edge->cost_cents = (struct ew_compare_figure){facts->usage->cost_cents, from};
}

static void fill_edge(struct ew_compare *c, const struct ew_compare_facts *facts)
{
    const struct ew_usage *u = facts->usage;
    struct ew_compare_side *edge = &c->edge;
    snprintf(edge->platform, sizeof edge->platform, "this device");
    snprintf(edge->model, sizeof edge->model, "%.120s", facts->model);
    edge->prompt_tokens = known(u->prompt_tokens);
    edge->output_tokens = known(u->output_tokens);
    edge->ttft_ms = known(u->ttft_ns ? (double)u->ttft_ns / 1e6 : NAN);
    edge->tokens_per_s = known(ew_usage_decode_tokens_per_s(u));
    edge->reading_multiple =
        known(ew_usage_reading_multiple(edge->tokens_per_s.value, facts->tokens_per_word));
    fill_energy(c, facts);
    const struct ew_quality *q = facts->quality;
    if (q)
        edge->quality = (struct ew_compare_figure){
            q->score, note(c, "published: %s Pass@1 of %s, unquantised, %s; %s, %s", q->benchmark,
                           q->title, q->protocol, q->source, q->as_of)};
    else
        edge->quality =
            (struct ew_compare_figure){NAN, note(c, "unknown: no score of this model is published; "
                                                    "`edgewise eval` measures it")};
    edge->responsiveness = (struct ew_compare_figure){
        ew_utility_responsiveness(EW_UTILITY_R_INVERSE, edge->ttft_ms.value / 1e3, NAN),
        note(c, "R = 1/(1 + time to first token in s)")};
}

static void fill_cloud(struct ew_compare *c, const struct ew_compare_facts *facts)
{
    const struct ew_usage *u = facts->usage;
    const struct ew_price *price = facts->price;
    const struct ew_pcr_platform *paper = ew_pcr_paper(0); /* GPT-4 */
    struct ew_compare_side *cloud = &c->cloud;
    snprintf(cloud->platform, sizeof cloud->platform, "%s", price->provider);
    snprintf(cloud->model, sizeof cloud->model, "%s", price->model);
    int same = note(c, "assumed: as many tokens as here");
    cloud->prompt_tokens = (struct ew_compare_figure){u->prompt_tokens, same};
    cloud->output_tokens = (struct ew_compare_figure){u->output_tokens, same};
    cloud->ttft_ms = cloud->tokens_per_s = cloud->reading_multiple = cloud->energy_j = known(NAN);
    char fee[48] = "";
    if (price->request_fee > 0)
        snprintf(fee, sizeof fee, " and $%g a request", price->request_fee);
    cloud->cost_cents = (struct ew_compare_figure){
        ew_price_cents(price, u->prompt_tokens, u->cached_tokens, u->output_tokens),
        note(c, "price: $%g in, $%g out per million tokens%s; %s, %s", price->input, price->output,
             fee, price->source, price->as_of)};
    int given = note(c,
                     "assumed, not measured: %s of the paper's Table I (arXiv 2505.16508), "
                     "which doesn't tell the formula of its R",
                     paper->name);
    cloud->quality = (struct ew_compare_figure){paper->quality, given};
    cloud->responsiveness = (struct ew_compare_figure){paper->responsiveness, given};
}

static void weigh(struct ew_compare_side *side, double alpha)
{
    struct ew_pcr_platform platform = {.quality = side->quality.value,
                                       .responsiveness = side->responsiveness.value,
                                       .cost_cents = side->cost_cents.value};
    side->utility = known(ew_pcr_utility(&platform, alpha));
    side->pcr = known(ew_pcr_ratio(&platform, alpha));
}

void ew_compare_make(struct ew_compare *out, const struct ew_compare_facts *facts)
{
    *out = (struct ew_compare){.alpha = facts->alpha};
    fill_edge(out, facts);
    fill_cloud(out, facts);
    weigh(&out->edge, facts->alpha);
    weigh(&out->cloud, facts->alpha);
}

/* Never 4.9e-05: costs span five orders of magnitude, and zeros show that at a glance. */
static void spell(char *out, size_t size, double value, int digits)
{
    enum { DECIMALS_MAX = 12 };
    int decimals = 0;
    if (digits && value > 0)
        decimals = digits - 1 - (int)floor(log10(value));
    decimals = decimals < 0 ? 0 : decimals > DECIMALS_MAX ? DECIMALS_MAX : decimals;
    if (isnan(value))
        snprintf(out, size, "unknown");
    else
        snprintf(out, size, "%.*f", decimals, value);
}

static void cell(struct ew_table *table, const struct row *row, const struct ew_compare_side *side)
{
    const struct ew_compare_figure *f = figure(side, row);
    char text[64], mark[16] = "    "; /* as wide as " (n)" */
    spell(text, sizeof text, f->value, row->digits);
    if (f->note)
        snprintf(mark, sizeof mark, " (%d)", f->note);
    ew_table_cell(table, "%s%s", text, mark);
}

/* Broken between words, continued behind the number. */
static void print_note(FILE *out, int number, const char *text)
{
    enum { COLUMNS = 98, INDENT = 4 };
    int column = fprintf(out, "(%d)", number);
    while (*text) {
        int bytes = (int)strcspn(text, " ");
        if (column + 1 + bytes > COLUMNS)
            column = fprintf(out, "\n%*s", INDENT - 1, "") - 1;
        column += fprintf(out, " %.*s", bytes, text);
        text += bytes;
        text += *text == ' ';
    }
    fputc('\n', out);
}

int ew_compare_print(const struct ew_compare *compare, FILE *out, struct ew_err *err)
{
    char head[2][200];
    const struct ew_compare_side *sides[2] = {&compare->edge, &compare->cloud};
    for (int i = 0; i < 2; i++)
        snprintf(head[i], sizeof head[i], "%s: %s", sides[i]->platform, sides[i]->model);
    const struct ew_table_column columns[] = {
        {"", EW_TABLE_LEFT}, {head[0], EW_TABLE_RIGHT}, {head[1], EW_TABLE_RIGHT}};
    struct ew_table table;
    ew_table_init(&table, columns, EW_COUNT(columns));
    for (size_t i = 0; i < EW_COUNT(rows); i++) {
        ew_table_cell(&table, "%s", rows[i].title);
        cell(&table, &rows[i], sides[0]);
        cell(&table, &rows[i], sides[1]);
    }
    int rc = ew_table_print(&table, out, err);
    ew_table_fini(&table);
    fprintf(out,
            "\nU = %g Q + %g R. Figures without a number were measured or counted here, now, or "
            "follow\nfrom others. Reading speed: %g words a minute.\n",
            compare->alpha, 1 - compare->alpha, EW_USAGE_READING_WPM);
    for (int i = 0; i < compare->note_count; i++)
        print_note(out, i + 1, compare->notes[i]);
    return rc;
}

static void put_side(struct ew_jsonw *json, const struct ew_compare *c,
                     const struct ew_compare_side *side)
{
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "platform", side->platform);
    ew_jsonw_put_text(json, "model", side->model);
    for (size_t i = 0; i < EW_COUNT(rows); i++)
        ew_jsonw_put_digits(json, rows[i].key, figure(side, &rows[i])->value, 6);
    ew_jsonw_put_text(json, "energy_kind", ew_energy_kind_name(side->energy_kind));
    ew_jsonw_key(json, "from"); /* where figures come from that weren't measured here */
    ew_jsonw_object(json);
    for (size_t i = 0; i < EW_COUNT(rows); i++)
        if (figure(side, &rows[i])->note)
            ew_jsonw_put_text(json, rows[i].key, c->notes[figure(side, &rows[i])->note - 1]);
    ew_jsonw_end(json);
    ew_jsonw_end(json);
}

void ew_compare_put_json(const struct ew_compare *compare, struct ew_jsonw *json)
{
    ew_jsonw_object(json);
    ew_jsonw_put_digits(json, "alpha", compare->alpha, 6);
    ew_jsonw_key(json, "platforms");
    ew_jsonw_array(json);
    put_side(json, compare, &compare->edge);
    put_side(json, compare, &compare->cloud);
    ew_jsonw_end(json);
    ew_jsonw_end(json);
}
