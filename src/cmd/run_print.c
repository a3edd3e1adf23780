/* run_print.c - an answer's account as a line and as JSON; unknown is said, never 0. */
#include "cmd/run_print.h"

#include <math.h>
#include <string.h>

#include "base/jsonw.h"
#include "flow/usage.h"

enum { JSON_MAX = EW_ANSWER_TEXT_MAX * 8 }; /* escaped text and a token list */

double ew_run_tokens_per_word(const struct ew_answer *answer)
{
    enum { WORDS_MIN = 10 };
    const char *text = ew_buf_cstr(&answer->text);
    size_t words = 0;
    for (const char *at = text; *at;) {
        at += strspn(at, " \t\n");
        words += *at != '\0';
        at += strcspn(at, " \t\n");
    }
    return words >= WORDS_MIN ? (double)answer->token_count / (double)words
                              : EW_USAGE_TOKENS_PER_WORD;
}

void ew_run_print_line(FILE *out, const struct ew_answer *answer)
{
    const struct ew_usage *u = &answer->usage;
    double speed = ew_usage_decode_tokens_per_s(u);
    fprintf(out, "%u prompt tokens", u->prompt_tokens);
    if (u->cached_tokens)
        fprintf(out, " (%u of them kept)", u->cached_tokens);
    fprintf(out, ", %u answer tokens", u->output_tokens);
    if (u->ttft_ns)
        fprintf(out, ", first after %.0f ms", (double)u->ttft_ns / 1e6);
    if (!isnan(speed))
        fprintf(out, ", %.1f tokens/s (%.0f times reading speed)", speed,
                ew_usage_reading_multiple(speed, ew_run_tokens_per_word(answer)));
    if (isnan(u->energy.joules))
        fprintf(out, ", energy unknown");
    else
        fprintf(out, ", %.3g J (%s: %s), %.2g cents", u->energy.joules,
                ew_energy_kind_name(u->energy.kind), u->energy.source, u->cost_cents);
    fprintf(out, ", ended by %s\n", ew_answer_end_name(answer->end));
}

static double ms_or_nan(uint64_t ns)
{
    return ns ? (double)ns / 1e6 : NAN;
}

static void put_usage(struct ew_jsonw *json, const struct ew_answer *answer)
{
    const struct ew_usage *u = &answer->usage;
    ew_jsonw_key(json, "usage");
    ew_jsonw_object(json);
    ew_jsonw_put_u64(json, "prompt_tokens", u->prompt_tokens);
    ew_jsonw_put_u64(json, "completion_tokens", u->output_tokens);
    ew_jsonw_put_u64(json, "total_tokens", u->prompt_tokens + u->output_tokens);
    ew_jsonw_end(json);
    ew_jsonw_key(json, "timing");
    ew_jsonw_object(json);
    double speed = ew_usage_decode_tokens_per_s(u);
    ew_jsonw_put_digits(json, "ttft_ms", ms_or_nan(u->ttft_ns), 6);
    ew_jsonw_put_digits(json, "prefill_ms", ms_or_nan(u->prefill_ns), 6);
    ew_jsonw_put_digits(json, "decode_ms", ms_or_nan(u->decode_ns), 6);
    ew_jsonw_put_digits(json, "prefill_tokens_per_s", ew_usage_prefill_tokens_per_s(u), 6);
    ew_jsonw_put_digits(json, "decode_tokens_per_s", speed, 6);
    ew_jsonw_put_digits(json, "reading_speed_multiple",
                        ew_usage_reading_multiple(speed, ew_run_tokens_per_word(answer)), 4);
    ew_jsonw_end(json);
    ew_jsonw_key(json, "energy");
    ew_jsonw_object(json);
    ew_jsonw_put_digits(json, "energy_j", u->energy.joules, 6);
    ew_jsonw_put_text(json, "kind", ew_energy_kind_name(u->energy.kind));
    ew_jsonw_put_text(json, "source", u->energy.source);
    ew_jsonw_end(json);
    ew_jsonw_key(json, "cost");
    ew_jsonw_object(json);
    ew_jsonw_put_digits(json, "cost_cents", u->cost_cents, 6);
    ew_jsonw_end(json);
}

int ew_run_print_json(const struct ew_answer *answer, const struct ew_model *model,
                      const struct ew_compare *compare, struct ew_err *err)
{
    struct ew_model_info info;
    struct ew_buf out;
    struct ew_jsonw json;
    ew_model_describe(model, &info);
    ew_buf_init(&out, JSON_MAX);
    ew_jsonw_init(&json, &out, EW_JSONW_PRETTY);
    ew_jsonw_object(&json);
    ew_jsonw_put_text(&json, "model", info.name);
    ew_jsonw_put_text(&json, "quantization", info.quantization);
    ew_jsonw_put_text(&json, "isa", info.isa);
    ew_jsonw_put_int(&json, "threads", info.threads);
    ew_jsonw_key(&json, "text");
    ew_jsonw_str(&json, (struct ew_str){ew_buf_cstr(&answer->text), answer->text.bytes});
    ew_jsonw_key(&json, "tokens");
    ew_jsonw_array(&json);
    for (size_t i = 0; i < answer->token_count; i++)
        ew_jsonw_int(&json, answer->tokens[i]);
    ew_jsonw_end(&json);
    ew_jsonw_put_text(&json, "finish_reason", ew_answer_end_name(answer->end));
    put_usage(&json, answer);
    if (compare) {
        ew_jsonw_key(&json, "comparison");
        ew_compare_put_json(compare, &json);
    }
    ew_jsonw_end(&json);
    int failed = ew_jsonw_finish(&json, err);
    if (!failed && fwrite(out.data, 1, out.bytes, stdout) != out.bytes)
        failed = ew_fail(err, EW_EIO, "stdout can't be written");
    ew_buf_fini(&out);
    return failed;
}
