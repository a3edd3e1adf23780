/* run_compare.c - from the names of a model and a cloud to a comparison. */
#include "cmd/run_compare.h"

#include <string.h>

#include "cmd/run_print.h"
#include "measure/pcr.h"

int ew_run_compare_price(struct ew_price *price, const char *cloud, struct ew_err *err)
{
    struct ew_price_table *table = NULL;
    const struct ew_price *found = NULL;
    int failed = ew_price_open(&table, NULL, err);
    if (!failed)
        failed = ew_price_find(table, cloud, NULL, &found, err);
    if (!failed)
        *price = *found;
    ew_price_close(&table);
    return failed;
}

int ew_run_compare(struct ew_compare *out, const struct ew_answer *answer,
                   const struct ew_price *price, const char *model, const char *quantization,
                   double tariff_cents_per_kwh, struct ew_err *err)
{
    char name[128];
    struct ew_quality_table *table = NULL;
    int failed = ew_quality_open(&table, err);
    if (failed)
        return failed;
    const char *slash = strrchr(model, '/');
    snprintf(name, sizeof name, "%.80s %.30s", slash ? slash + 1 : model, quantization);
    ew_compare_make(out, &(struct ew_compare_facts){
                             .model = name,
                             .usage = &answer->usage,
                             .tokens_per_word = ew_run_tokens_per_word(answer),
                             .tariff_cents_per_kwh = tariff_cents_per_kwh,
                             .quality = ew_quality_find(table, model, "gsm8k"),
                             .price = price,
                             .alpha = EW_UTILITY_ALPHA,
                         });
    ew_quality_close(&table);
    return 0;
}
