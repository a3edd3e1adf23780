/* cmd_pcr.c - `edgewise pcr`: platforms given, of the paper, or made of measurements. */
#include "cmd/cmd.h"

#include "base/args.h"
#include "flow/price.h"
#include "flow/usage.h"
#include "measure/pcr_show.h"

#include <stdio.h>

/* What the options say of the one platform that they describe. */
struct given {
    struct ew_pcr_platform platform;
    int r_function;
    double ttft_ms, target_ms, joules, tariff, prompt, cached, output;
    const char *price, *prices, *day, *name;
    struct ew_arg_list list;
    double alpha;
    bool paper, sweep, json;
};

static const char *const r_functions[] = {"inverse", "target", "value", NULL};

static bool is_given(const struct given *g)
{
    return !isnan(g->platform.quality) || !isnan(g->platform.responsiveness) ||
           !isnan(g->platform.cost_cents) || !isnan(g->ttft_ms) || !isnan(g->joules) || g->price;
}

static int cost_of_price(struct given *g, char *from, size_t size, struct ew_err *err)
{
    struct ew_price_table *table = NULL;
    const struct ew_price *price = NULL;
    if (isnan(g->prompt) || isnan(g->output))
        return ew_fail(err, EW_EINVAL, "--price needs --prompt-tokens and --output-tokens");
    if (g->cached > g->prompt)
        return ew_fail(err, EW_EINVAL, "more tokens cached than in the prompt");
    int rc = ew_price_open(&table, g->prices, err);
    if (rc == 0)
        rc = ew_price_find(table, g->price, g->day, &price, err);
    if (rc == 0) {
        g->platform.cost_cents = ew_price_cents(price, g->prompt, g->cached, g->output);
        snprintf(from, size, "%s/%s, %s of %s", price->provider, price->model, price->source,
                 price->as_of);
    }
    ew_price_close(&table);
    return rc;
}

/* Turns what was measured into R and cents; *from says how the cost came about. */
static int complete(struct given *g, char *from, size_t size, struct ew_err *err)
{
    int costs = !isnan(g->platform.cost_cents) + !isnan(g->joules) + (g->price != NULL);
    if (costs > 1)
        return ew_fail(err, EW_EINVAL, "one of --cost-cents, --joules and --price");
    if (!isnan(g->platform.responsiveness) && !isnan(g->ttft_ms))
        return ew_fail(err, EW_EINVAL, "one of --responsiveness and --ttft-ms");
    if (g->r_function == EW_UTILITY_R_VALUE && !isnan(g->ttft_ms))
        return ew_fail(err, EW_EINVAL, "--r-function value takes --responsiveness, not --ttft-ms");
    if (isnan(g->platform.responsiveness))
        g->platform.responsiveness = ew_utility_responsiveness(
            (enum ew_utility_r)g->r_function, g->ttft_ms / 1e3, g->target_ms / 1e3);
    else
        g->r_function = EW_UTILITY_R_VALUE;
    snprintf(from, size, "given");
    if (!isnan(g->joules)) {
        g->platform.cost_cents = ew_usage_energy_cents(g->joules, g->tariff);
        snprintf(from, size, "%g J at %g cents/kWh", g->joules, g->tariff);
    }
    int rc = g->price ? cost_of_price(g, from, size, err) : 0;
    snprintf(g->platform.name, sizeof g->platform.name, "%.60s", g->name);
    return rc ? rc : ew_pcr_check(&g->platform, err);
}

static int collect(struct given *g, struct ew_pcr_platform *out, size_t *count, char *from,
                   size_t size, struct ew_err *err)
{
    int rc = is_given(g) ? complete(g, from, size, err) : 0;
    *count = 0;
    if (rc == 0 && is_given(g))
        out[(*count)++] = g->platform;
    for (size_t i = 0; rc == 0 && i < g->list.count; i++)
        rc = ew_pcr_parse(g->list.items[i], &out[(*count)++], err);
    for (size_t i = 0; rc == 0 && g->paper && ew_pcr_paper(i); i++)
        out[(*count)++] = *ew_pcr_paper(i);
    return rc;
}

static int show(struct given *g, const struct ew_args *args)
{
    struct ew_pcr_platform platforms[EW_ARGS_LIST_MAX + 8]; /* --platform, --paper and this */
    char from[256] = "given";
    struct ew_err err = {0};
    struct ew_pcr_show what = {.platforms = platforms,
                               .alpha = g->alpha,
                               .sweep = g->sweep,
                               .r_function = "value",
                               .cost_from = from};
    int rc = collect(g, platforms, &what.count, from, sizeof from, &err);
    if (rc == EW_EINVAL)
        return ew_args_wrong(args, "%s", err.text);
    if (rc == 0 && what.count == 0)
        return ew_args_wrong(args, "which platform? give --quality, --platform or --paper");
    if (!isnan(g->ttft_ms))
        what.r_function = r_functions[g->r_function];
    if (rc == 0)
        rc = (g->json ? ew_pcr_show_json : ew_pcr_show_table)(&what, stdout, &err);
    if (rc)
        fprintf(stderr, "edgewise pcr: %s\n", err.text);
    return ew_error_exit(rc);
}

int ew_cmd_pcr(int argc, char **argv)
{
    int status;
    struct given g = {.platform = {"", NAN, NAN, NAN},
                      .ttft_ms = NAN,
                      .target_ms = 1000,
                      .joules = NAN,
                      .tariff = EW_USAGE_TARIFF_CENTS_PER_KWH,
                      .prompt = NAN,
                      .output = NAN,
                      .name = "this",
                      .alpha = EW_UTILITY_ALPHA};
    const struct ew_opt options[] = {
        {"quality", 'q', "Q", "Pass@1, 0..1", .f64 = &g.platform.quality, .max = 1},
        {"responsiveness", 'r', "R", "0..1", .f64 = &g.platform.responsiveness, .max = 1},
        {"ttft-ms", 0, "MS", "or: R from the time to the first token", .f64 = &g.ttft_ms,
         .max = 1e9},
        {"r-function", 0, "F",
         "inverse: 1/(1 + TTFT in s) (default);\ntarget: target/max(target, TTFT); value: as given",
         .choice = &g.r_function, .choices = r_functions},
        {"target-ms", 0, "MS", "for target: fast enough (1000)", .f64 = &g.target_ms, .min = 1e-3,
         .max = 1e9},
        {"cost-cents", 'c', "C", "cents per response", .f64 = &g.platform.cost_cents, .min = 1e-12,
         .max = 1e9},
        {"joules", 0, "J", "or: from energy per response", .f64 = &g.joules, .min = 1e-9,
         .max = 1e12},
        {"tariff-cents-per-kwh", 0, "C", "for --joules (25, as in the paper)", .f64 = &g.tariff,
         .min = 1e-6, .max = 1e6},
        {"price", 0, "NAME", "or: from the price table, like openai/gpt-5.4-mini",
         .text = &g.price},
        {"prompt-tokens", 0, "N", "for --price", .f64 = &g.prompt, .max = 1e9},
        {"cached-tokens", 0, "N", "for --price: of these, cached (0)", .f64 = &g.cached,
         .max = 1e9},
        {"output-tokens", 0, "N", "for --price", .f64 = &g.output, .max = 1e9},
        {"prices", 0, "FILE", "a price table of your own (CSV)", .text = &g.prices},
        {"day", 0, "DAY", "prices of that day, YYYY-MM-DD (the current ones)", .text = &g.day},
        {"name", 0, "NAME", "what to call this platform", .text = &g.name},
        {"platform", 'p', "NAME:Q:R:C", "another platform; may be given many times, ? is unknown",
         .list = &g.list},
        {"paper", 0, NULL, "the rows of the paper's Table I", .flag = &g.paper},
        {"alpha", 'a', "A", "weight of quality, 0..1 (0.5)", .f64 = &g.alpha, .max = 1},
        {"sweep", 0, NULL, "PCR at every tenth of alpha", .flag = &g.sweep},
        {"json", 0, NULL, "print the result as JSON", .flag = &g.json},
        {0},
    };
    struct ew_args args = {
        .command = "pcr",
        .words_usage = "",
        .about =
            "Utility U = alpha Q + (1 - alpha) R and performance-cost ratio PCR = U / CPR, CPR\n"
            "being cents per response (arXiv 2505.16508). What isn't known stays unknown.",
        .options = options,
        .examples = "  edgewise pcr --quality .91 --responsiveness .28 --cost-cents .0041\n"
                    "  edgewise pcr --paper --sweep\n"
                    "  edgewise pcr --quality .8 --ttft-ms 2030 --joules 245 --paper\n"
                    "  edgewise pcr --quality .9 --ttft-ms 600 --price openai/gpt-5.4-mini \\\n"
                    "      --prompt-tokens 150 --output-tokens 200 --json\n"
                    "  edgewise pcr -p pi:.1:.2:.001 -p cloud:.97:.7:.1\n",
    };
    return ew_args_read(&args, argc, argv, &status) ? status : show(&g, &args);
}
