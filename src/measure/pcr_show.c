/* pcr_show.c - PCR as tables and JSON: platforms, the sweep of alpha, where two break even.
 *
 * Costs and ratios span five orders of magnitude between edge and cloud, so tables show
 * significant digits, not decimals. */
#include "measure/pcr_show.h"

#include "base/jsonw.h"
#include "base/table.h"

#include <math.h>

enum { SWEEP_STEPS = 10 };

static void cell(struct ew_table *table, double value)
{
    if (isnan(value))
        ew_table_cell(table, "unknown");
    else if (fabs(value) < 1)
        ew_table_cell(table, "%.4g", value);
    else
        ew_table_cell(table, "%.2f", value);
}

static int print_platforms(const struct ew_pcr_show *show, FILE *out, struct ew_err *err)
{
    static const struct ew_table_column columns[] = {
        {"platform", EW_TABLE_LEFT},        {"quality", EW_TABLE_RIGHT},
        {"responsiveness", EW_TABLE_RIGHT}, {"cents", EW_TABLE_RIGHT},
        {"utility", EW_TABLE_RIGHT},        {"PCR", EW_TABLE_RIGHT}};
    struct ew_table table;
    ew_table_init(&table, columns, EW_COUNT(columns));
    for (size_t i = 0; i < show->count; i++) {
        const struct ew_pcr_platform *p = &show->platforms[i];
        ew_table_cell(&table, "%s", p->name);
        cell(&table, p->quality);
        cell(&table, p->responsiveness);
        cell(&table, p->cost_cents);
        cell(&table, ew_pcr_utility(p, show->alpha));
        cell(&table, ew_pcr_ratio(p, show->alpha));
    }
    int rc = ew_table_print(&table, out, err);
    ew_table_fini(&table);
    return rc;
}

static int print_sweep(const struct ew_pcr_show *show, FILE *out, struct ew_err *err)
{
    struct ew_table_column columns[EW_TABLE_COLUMNS_MAX] = {{"alpha", EW_TABLE_RIGHT}};
    size_t shown = show->count < EW_TABLE_COLUMNS_MAX - 1 ? show->count : EW_TABLE_COLUMNS_MAX - 1;
    struct ew_table table;
    for (size_t i = 0; i < shown; i++)
        columns[i + 1] = (struct ew_table_column){show->platforms[i].name, EW_TABLE_RIGHT};
    ew_table_init(&table, columns, shown + 1);
    for (int step = 0; step <= SWEEP_STEPS; step++) {
        ew_table_cell(&table, "%.1f", (double)step / SWEEP_STEPS);
        for (size_t i = 0; i < shown; i++)
            cell(&table, ew_pcr_ratio(&show->platforms[i], (double)step / SWEEP_STEPS));
    }
    fprintf(out, "\nPCR by alpha (0: responsiveness alone, 1: quality alone)\n");
    int rc = ew_table_print(&table, out, err);
    ew_table_fini(&table);
    return rc;
}

static int print_even(const struct ew_pcr_show *show, FILE *out, struct ew_err *err)
{
    static const struct ew_table_column columns[] = {{"platform", EW_TABLE_LEFT},
                                                     {"against", EW_TABLE_LEFT},
                                                     {"same PCR at alpha", EW_TABLE_RIGHT},
                                                     {"or if it cost, cents", EW_TABLE_RIGHT}};
    struct ew_table table;
    ew_table_init(&table, columns, EW_COUNT(columns));
    for (size_t i = 0; i < show->count; i++)
        for (size_t j = i + 1; j < show->count; j++) {
            double alpha = ew_pcr_even_alpha(&show->platforms[i], &show->platforms[j]);
            ew_table_cell(&table, "%s", show->platforms[i].name);
            ew_table_cell(&table, "%s", show->platforms[j].name);
            double known =
                ew_pcr_ratio(&show->platforms[i], 0) + ew_pcr_ratio(&show->platforms[i], 1) +
                ew_pcr_ratio(&show->platforms[j], 0) + ew_pcr_ratio(&show->platforms[j], 1);
            if (isnan(alpha))
                ew_table_cell(&table, isnan(known) ? "unknown" : "none");
            else
                ew_table_cell(&table, "%.3f", alpha);
            cell(&table, ew_pcr_even_cost(&show->platforms[i], &show->platforms[j], show->alpha));
        }
    fprintf(out, "\nbreak-even\n");
    int rc = ew_table_print(&table, out, err);
    ew_table_fini(&table);
    return rc;
}

int ew_pcr_show_table(const struct ew_pcr_show *show, FILE *out, struct ew_err *err)
{
    fprintf(out, "PCR = U / cents per response, U = %g quality + %g responsiveness", show->alpha,
            1 - show->alpha);
    fprintf(out, "; responsiveness: %s; cost: %s\n\n", show->r_function,
            show->cost_from ? show->cost_from : "given");
    int rc = print_platforms(show, out, err);
    if (rc == 0 && show->sweep)
        rc = print_sweep(show, out, err);
    if (rc == 0 && show->count > 1)
        rc = print_even(show, out, err);
    return rc;
}

static void put_platform(struct ew_jsonw *json, const struct ew_pcr_platform *p, double alpha)
{
    ew_jsonw_put_text(json, "name", p->name);
    ew_jsonw_put_real(json, "quality", p->quality);
    ew_jsonw_put_real(json, "responsiveness", p->responsiveness);
    ew_jsonw_put_digits(json, "cost_cents", p->cost_cents, 12);
    ew_jsonw_put_digits(json, "utility", ew_pcr_utility(p, alpha), 12);
    ew_jsonw_put_digits(json, "pcr", ew_pcr_ratio(p, alpha), 12);
}

static void put_sweep(struct ew_jsonw *json, const struct ew_pcr_show *show)
{
    ew_jsonw_key(json, "sweep");
    ew_jsonw_array(json);
    for (int step = 0; step <= SWEEP_STEPS; step++) {
        ew_jsonw_object(json);
        ew_jsonw_put_digits(json, "alpha", (double)step / SWEEP_STEPS, 3);
        ew_jsonw_key(json, "pcr"); /* in the order of "platforms" */
        ew_jsonw_array(json);
        for (size_t i = 0; i < show->count; i++)
            ew_jsonw_digits(json, ew_pcr_ratio(&show->platforms[i], (double)step / SWEEP_STEPS),
                            12);
        ew_jsonw_end(json);
        ew_jsonw_end(json);
    }
    ew_jsonw_end(json);
}

static void put_even(struct ew_jsonw *json, const struct ew_pcr_show *show)
{
    const struct ew_pcr_platform *p = show->platforms;
    ew_jsonw_key(json, "break_even");
    ew_jsonw_array(json);
    for (size_t i = 0; i < show->count; i++)
        for (size_t j = i + 1; j < show->count; j++) {
            ew_jsonw_object(json);
            ew_jsonw_put_text(json, "platform", p[i].name);
            ew_jsonw_put_text(json, "against", p[j].name);
            ew_jsonw_put_digits(json, "alpha", ew_pcr_even_alpha(&p[i], &p[j]), 12);
            ew_jsonw_put_digits(json, "cost_cents", ew_pcr_even_cost(&p[i], &p[j], show->alpha),
                                12);
            ew_jsonw_end(json);
        }
    ew_jsonw_end(json);
}

int ew_pcr_show_json(const struct ew_pcr_show *show, FILE *out, struct ew_err *err)
{
    struct ew_buf text;
    struct ew_jsonw json;
    ew_buf_init(&text, EW_TABLE_BYTES_MAX);
    ew_jsonw_init(&json, &text, EW_JSONW_PRETTY);
    ew_jsonw_object(&json);
    ew_jsonw_put_real(&json, "alpha", show->alpha);
    ew_jsonw_put_text(&json, "r_function", show->r_function);
    ew_jsonw_put_text(&json, "cost_from", show->cost_from ? show->cost_from : "given");
    if (show->count == 1)
        put_platform(&json, &show->platforms[0], show->alpha);
    ew_jsonw_key(&json, "platforms");
    ew_jsonw_array(&json);
    for (size_t i = 0; i < show->count; i++) {
        ew_jsonw_object(&json);
        put_platform(&json, &show->platforms[i], show->alpha);
        ew_jsonw_end(&json);
    }
    ew_jsonw_end(&json);
    if (show->sweep)
        put_sweep(&json, show);
    if (show->count > 1)
        put_even(&json, show);
    ew_jsonw_end(&json);
    int rc = ew_jsonw_finish(&json, err);
    if (rc == 0)
        fputs(ew_buf_cstr(&text), out);
    ew_buf_fini(&text);
    return rc;
}
