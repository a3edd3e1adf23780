/* write.c - see write.h.
 *
 * A piece of a stream takes a few microseconds and no memory beyond the buffer's own, so that eight
 * streams of a small model don't notice it (tests/unit/test_openai_chat.c measures it). */
#include "api/write.h"

#include "base/clock.h"
#include "flow/usage.h"

#include <math.h>

/* What is noise in a measurement isn't written. */
enum { MEASURE_DIGITS = 6, LOGPROB_DIGITS = 7 };

/* OpenAI's number for a token that can hardly be; JSON has none for minus infinity. */
#define LOGPROB_HARDLY (-9999.0)

void ew_write_begin(struct ew_write *text, struct ew_buf *out)
{
    text->out = out;
    text->before = out->bytes;
    ew_jsonw_init(&text->json, out, EW_JSONW_COMPACT);
}

int ew_write_undo(struct ew_write *text, int rc)
{
    if (rc && text->out->data) {
        text->out->bytes = text->before;
        text->out->data[text->before] = '\0';
    }
    return rc;
}

int ew_write_end(struct ew_write *text)
{
    return ew_write_undo(text, ew_jsonw_finish(&text->json, NULL));
}

void ew_write_extension(struct ew_jsonw *json, const struct ew_reply *reply)
{
    const struct ew_usage *usage = &reply->usage;
    double ttft_ms = usage->ttft_ns ? (double)usage->ttft_ns / EW_NS_PER_MS : NAN;
    bool known = usage->energy.kind != EW_ENERGY_UNKNOWN;
    ew_jsonw_put_text(json, "device", reply->device);
    ew_jsonw_put_digits(json, "energy_j", known ? usage->energy.joules : NAN, MEASURE_DIGITS);
    ew_jsonw_put_text(json, "energy_kind", ew_energy_kind_name(usage->energy.kind));
    ew_jsonw_put_digits(json, "cost_cents", usage->cost_cents, MEASURE_DIGITS);
    ew_jsonw_put_digits(json, "ttft_ms", ttft_ms, MEASURE_DIGITS);
    ew_jsonw_put_digits(json, "tokens_per_s", ew_usage_decode_tokens_per_s(usage), MEASURE_DIGITS);
    if (usage->estimated)
        ew_jsonw_put_bool(json, "estimated", true);
}

void ew_write_logprob(struct ew_jsonw *json, float logprob)
{
    double value = isinf(logprob) ? LOGPROB_HARDLY : (double)logprob;
    ew_jsonw_digits(json, value, LOGPROB_DIGITS);
}

void ew_write_token(struct ew_jsonw *json, const struct ew_reply_token *token)
{
    ew_jsonw_object(json);
    ew_jsonw_key(json, "token");
    ew_jsonw_str(json, token->text);
    ew_jsonw_key(json, "logprob");
    ew_write_logprob(json, token->logprob);
    ew_jsonw_key(json, "bytes");
    ew_jsonw_array(json);
    for (size_t i = 0; i < token->text.bytes; i++)
        ew_jsonw_int(json, (unsigned char)token->text.data[i]);
    ew_jsonw_end(json);
}
