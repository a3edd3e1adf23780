/* bench_print.c - a benchmark as a table with spread and shares of the limit, and as JSON. */
#include "cmd/bench_print.h"

#include <stdio.h>

#include "base/jsonw.h"
#include "base/table.h"
#include "flow/usage.h"

enum { JSON_MAX = 1 << 20 };

static void put_stats(struct ew_jsonw *json, const char *key, const struct ew_stats *s)
{
    ew_jsonw_key(json, key);
    ew_jsonw_object(json);
    ew_jsonw_put_digits(json, "median", s->median, 6);
    ew_jsonw_put_digits(json, "min", s->min, 6);
    ew_jsonw_put_digits(json, "max", s->max, 6);
    ew_jsonw_put_u64(json, "n", s->n);
    ew_jsonw_end(json);
}

static void put_point(struct ew_jsonw *json, const struct ew_bench_point *p)
{
    ew_jsonw_put_u64(json, "prompt_tokens", p->prompt);
    ew_jsonw_put_u64(json, "gen_tokens", p->gen);
    put_stats(json, "prefill_tokens_per_s", &p->prefill);
    put_stats(json, "decode_tokens_per_s", &p->decode);
    put_stats(json, "ttft_ms", &p->ttft_ms);
    put_stats(json, "energy_j_per_query", &p->energy_j);
    put_stats(json, "energy_j_per_token", &p->energy_j_per_token);
    ew_jsonw_put_text(json, "energy_kind", ew_energy_kind_name(p->energy.kind));
    ew_jsonw_put_text(json, "energy_source", p->energy.source);
    ew_jsonw_put_digits(json, "prefill_of_int8_peak", p->prefill_of_limit, 4);
    ew_jsonw_put_digits(json, "decode_of_read_bandwidth", p->decode_of_limit, 4);
    ew_jsonw_put_bool(json, "noisy", p->noisy);
}

static void put_batch(struct ew_jsonw *json, const struct ew_bench_batch *batch)
{
    if (batch->streams) {
        ew_jsonw_put_u64(json, "batch_streams", batch->streams);
        put_stats(json, "batch_decode_tokens_per_s", &batch->decode);
    } else {
        ew_jsonw_key(json, "batch_streams");
        ew_jsonw_null(json);
        ew_jsonw_key(json, "batch_decode_tokens_per_s");
        ew_jsonw_null(json);
    }
}

int ew_bench_print_json(const struct ew_bench *bench, const struct ew_bench_batch *batch,
                        const struct ew_model_info *info, double tariff_cents_per_kwh,
                        struct ew_err *err)
{
    struct ew_buf out;
    struct ew_jsonw json;
    ew_buf_init(&out, JSON_MAX);
    ew_jsonw_init(&json, &out, EW_JSONW_PRETTY);
    ew_jsonw_object(&json);
    ew_jsonw_put_text(&json, "model", info->name);
    ew_jsonw_put_text(&json, "quantization", info->quantization);
    ew_jsonw_put_text(&json, "isa", info->isa);
    ew_jsonw_put_int(&json, "threads", info->threads);
    put_point(&json, &bench->points[bench->point_count - 1]);
    put_batch(&json, batch);
    ew_jsonw_put_digits(&json, "cost_cents_per_query",
                        ew_usage_energy_cents(bench->points[bench->point_count - 1].energy_j.median,
                                              tariff_cents_per_kwh),
                        6);
    ew_jsonw_put_u64(&json, "peak_rss_bytes", bench->peak_rss_bytes);
    ew_jsonw_put_u64(&json, "kv_bytes_per_position", info->kv_bytes_per_position);
    ew_jsonw_put_digits(&json, "read_bandwidth_bytes_per_s",
                        bench->limit.read_bandwidth_bytes_per_s, 6);
    ew_jsonw_put_digits(&json, "int8_macs_per_s", bench->limit.int8_macs_per_s, 6);
    ew_jsonw_put_digits(&json, "limit_spread", bench->limit_spread, 4);
    ew_jsonw_put_bool(&json, "noisy_overall", bench->noisy);
    ew_jsonw_key(&json, "sweep");
    ew_jsonw_array(&json);
    for (size_t i = 0; i < bench->point_count; i++) {
        ew_jsonw_object(&json);
        put_point(&json, &bench->points[i]);
        ew_jsonw_end(&json);
    }
    ew_jsonw_end(&json);
    ew_jsonw_end(&json);
    int failed = ew_jsonw_finish(&json, err);
    if (!failed && fwrite(out.data, 1, out.bytes, stdout) != out.bytes)
        failed = ew_fail(err, EW_EIO, "stdout can't be written");
    ew_buf_fini(&out);
    return failed;
}

static void put_spread(struct ew_table *table, const struct ew_stats *s)
{
    if (s->n)
        ew_table_cell(table, "%.1f (%.1f-%.1f)", s->median, s->min, s->max);
    else
        ew_table_cell(table, "-");
}

/* Joules of a query and of a token differ by orders of magnitude: digits, not decimals. */
static void put_joules(struct ew_table *table, const struct ew_stats *s)
{
    if (s->n)
        ew_table_cell(table, "%.3g", s->median);
    else
        ew_table_cell(table, "unknown");
}

/* Where the joules come from, and what they cost. */
static void print_energy(const struct ew_bench_point *main_point, double tariff)
{
    const struct ew_energy *energy = &main_point->energy;
    if (!main_point->energy_j.n) {
        puts("energy unknown: no sensor is read; --profile or --watts models it");
        return;
    }
    printf("energy %s (%s); a query of the last row costs %.2g cents at %g cents/kWh\n",
           ew_energy_kind_name(energy->kind), energy->source,
           ew_usage_energy_cents(main_point->energy_j.median, tariff), tariff);
}

int ew_bench_print_table(const struct ew_bench *bench, const struct ew_bench_batch *batch,
                         const struct ew_model_info *info, double tariff_cents_per_kwh,
                         struct ew_err *err)
{
    const struct ew_table_column columns[] = {
        {"prompt", EW_TABLE_RIGHT},       {"answer", EW_TABLE_RIGHT},
        {"TTFT ms", EW_TABLE_RIGHT},      {"prefill tokens/s", EW_TABLE_RIGHT},
        {"of int8 peak", EW_TABLE_RIGHT}, {"decode tokens/s", EW_TABLE_RIGHT},
        {"of bandwidth", EW_TABLE_RIGHT}, {"reading speed", EW_TABLE_RIGHT},
        {"J per query", EW_TABLE_RIGHT},  {"J per token", EW_TABLE_RIGHT},
        {"runs", EW_TABLE_RIGHT},         {"", EW_TABLE_LEFT}};
    printf("%s, %s, %u layers, %.1f M parameters, %d threads, %s\n\n", info->name,
           info->quantization, info->layers, (double)info->parameters / 1e6, info->threads,
           info->isa);
    struct ew_table table;
    ew_table_init(&table, columns, EW_COUNT(columns));
    for (size_t i = 0; i < bench->point_count; i++) {
        const struct ew_bench_point *p = &bench->points[i];
        ew_table_cell(&table, "%u", p->prompt);
        ew_table_cell(&table, "%u", p->gen);
        put_spread(&table, &p->ttft_ms);
        put_spread(&table, &p->prefill);
        ew_table_cell(&table, "%.0f %%", 100 * p->prefill_of_limit);
        put_spread(&table, &p->decode);
        ew_table_cell(&table, "%.0f %%", 100 * p->decode_of_limit);
        ew_table_cell(&table, "%.0fx",
                      ew_usage_reading_multiple(p->decode.median, EW_USAGE_TOKENS_PER_WORD));
        put_joules(&table, &p->energy_j);
        put_joules(&table, &p->energy_j_per_token);
        ew_table_cell(&table, "%zu", p->prefill.n);
        ew_table_cell(&table, "%s", p->noisy ? "noisy" : "");
    }
    int failed = ew_table_print(&table, stdout, err);
    ew_table_fini(&table);
    printf("\nmedian (min-max); peak memory %.1f MB; read bandwidth %.1f GB/s, int8 %.0f G MAC/s, "
           "measured here, now\n",
           (double)bench->peak_rss_bytes / 1e6, bench->limit.read_bandwidth_bytes_per_s / 1e9,
           bench->limit.int8_macs_per_s / 1e9);
    if (batch->streams)
        printf("%u streams together: %.1f tokens/s (%.1f-%.1f)\n", batch->streams,
               batch->decode.median, batch->decode.min, batch->decode.max);
    print_energy(&bench->points[bench->point_count - 1], tariff_cents_per_kwh);
    if (bench->noisy)
        printf("NOISY: %s by more than %.0f %%; not a result to quote. Close what else runs, or "
               "use more --runs.\n",
               bench->limit_spread > EW_BENCH_SPREAD_MAX
                   ? "two measurements of the machine's limits differ"
                   : "runs differ",
               100 * EW_BENCH_SPREAD_MAX);
    return failed;
}
