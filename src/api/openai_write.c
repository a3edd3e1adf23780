/* openai_write.c - the pieces of OpenAI's answers: events, usage with our extension, log
 * probabilities, errors.
 *
 * A chunk of a stream takes a few microseconds and no memory beyond the buffer's own, so that
 * eight streams of a small model don't notice it (tests/unit/test_openai_chat.c measures it). */
#include "api/openai_int.h"

#include "base/clock.h"
#include "flow/usage.h"

#include <math.h>

/* What is noise in a measurement isn't written. */
enum { MEASURE_DIGITS = 6, LOGPROB_DIGITS = 7 };

/* OpenAI's number for a token that can hardly be; JSON has none for minus infinity. */
#define LOGPROB_HARDLY (-9999.0)

void ew_openai_text_begin(struct ew_openai_text *text, struct ew_buf *out)
{
    text->out = out;
    text->before = out->bytes;
    ew_jsonw_init(&text->json, out, EW_JSONW_COMPACT);
}

static int undo_on_failure(struct ew_openai_text *text, int rc)
{
    if (rc && text->out->data) {
        text->out->bytes = text->before;
        text->out->data[text->before] = '\0';
    }
    return rc;
}

int ew_openai_text_end(struct ew_openai_text *text)
{
    return undo_on_failure(text, ew_jsonw_finish(&text->json, NULL));
}

void ew_openai_event_begin(struct ew_openai_text *text, struct ew_buf *out)
{
    ew_openai_text_begin(text, out);
    text->json.err.code = ew_buf_text(out, "data: ", &text->json.err);
}

int ew_openai_event_end(struct ew_openai_text *text)
{
    int rc = ew_jsonw_finish(&text->json, NULL);
    return undo_on_failure(text, rc ? rc : ew_buf_text(text->out, "\n", NULL));
}

void ew_openai_head(struct ew_jsonw *json, const struct ew_reply *reply, const char *object)
{
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "id", reply->id);
    ew_jsonw_put_text(json, "object", object);
    ew_jsonw_put_int(json, "created", reply->created_s);
    ew_jsonw_put_text(json, "model", reply->model);
    ew_jsonw_put_text(json, "system_fingerprint", reply->fingerprint);
}

static void write_extension(struct ew_jsonw *json, const struct ew_reply *reply)
{
    const struct ew_usage *usage = &reply->usage;
    double ttft_ms = usage->ttft_ns ? (double)usage->ttft_ns / EW_NS_PER_MS : NAN;
    bool known = usage->energy.kind != EW_ENERGY_UNKNOWN;
    ew_jsonw_key(json, "edgewise");
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "device", reply->device);
    ew_jsonw_put_digits(json, "energy_j", known ? usage->energy.joules : NAN, MEASURE_DIGITS);
    ew_jsonw_put_text(json, "energy_kind", ew_energy_kind_name(usage->energy.kind));
    ew_jsonw_put_digits(json, "cost_cents", usage->cost_cents, MEASURE_DIGITS);
    ew_jsonw_put_digits(json, "ttft_ms", ttft_ms, MEASURE_DIGITS);
    ew_jsonw_put_digits(json, "tokens_per_s", ew_usage_decode_tokens_per_s(usage), MEASURE_DIGITS);
    ew_jsonw_end(json);
}

void ew_openai_usage(struct ew_jsonw *json, const struct ew_reply *reply)
{
    const struct ew_usage *usage = &reply->usage;
    ew_jsonw_key(json, "usage");
    ew_jsonw_object(json);
    ew_jsonw_put_u64(json, "prompt_tokens", usage->prompt_tokens);
    ew_jsonw_put_u64(json, "completion_tokens", usage->output_tokens);
    ew_jsonw_put_u64(json, "total_tokens", (uint64_t)usage->prompt_tokens + usage->output_tokens);
    ew_jsonw_key(json, "prompt_tokens_details");
    ew_jsonw_object(json);
    ew_jsonw_put_u64(json, "cached_tokens", usage->cached_tokens);
    ew_jsonw_end(json);
    ew_jsonw_key(json, "completion_tokens_details");
    ew_jsonw_object(json);
    ew_jsonw_put_int(json, "reasoning_tokens", 0);
    ew_jsonw_end(json);
    write_extension(json, reply);
    ew_jsonw_end(json);
}

void ew_openai_usage_later(struct ew_jsonw *json, const struct ew_reply *reply)
{
    if (!reply->request->include_usage)
        return;
    ew_jsonw_key(json, "usage");
    ew_jsonw_null(json);
}

void ew_openai_finish(struct ew_jsonw *json, enum ew_finish finish)
{
    static const char *const names[] = {
        [EW_FINISH_NONE] = NULL,
        [EW_FINISH_STOP] = "stop",
        [EW_FINISH_LENGTH] = "length",
        [EW_FINISH_TOOL_CALLS] = "tool_calls",
    };
    ew_jsonw_put_text(json, "finish_reason", names[finish]);
}

void ew_openai_logprob(struct ew_jsonw *json, float logprob)
{
    double value = isinf(logprob) ? LOGPROB_HARDLY : (double)logprob;
    ew_jsonw_digits(json, value, LOGPROB_DIGITS);
}

static int write_usage_chunk(const struct ew_reply *reply, const char *object, struct ew_buf *out)
{
    struct ew_openai_text text;
    struct ew_jsonw *json = &text.json;
    ew_openai_event_begin(&text, out);
    ew_openai_head(json, reply, object);
    ew_jsonw_key(json, "choices");
    ew_jsonw_array(json);
    ew_jsonw_end(json);
    ew_openai_usage(json, reply);
    ew_jsonw_end(json);
    return ew_openai_event_end(&text);
}

int ew_openai_stream_end(const struct ew_reply *reply, const char *object, struct ew_buf *out)
{
    int rc = reply->request->include_usage ? write_usage_chunk(reply, object, out) : 0;
    return rc ? rc : ew_buf_text(out, "data: [DONE]\n\n", NULL);
}

static void write_error(struct ew_jsonw *json, const struct ew_fault *fault)
{
    ew_jsonw_object(json);
    ew_jsonw_key(json, "error");
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "message", fault->message);
    ew_jsonw_put_text(json, "type", fault->type);
    ew_jsonw_put_text(json, "param", *fault->param ? fault->param : NULL);
    ew_jsonw_put_text(json, "code", fault->code);
    ew_jsonw_end(json);
    ew_jsonw_end(json);
}

int ew_openai_error(const struct ew_fault *fault, struct ew_buf *out)
{
    struct ew_openai_text text;
    ew_openai_text_begin(&text, out);
    write_error(&text.json, fault);
    return ew_openai_text_end(&text);
}

int ew_openai_stream_error(const struct ew_fault *fault, struct ew_buf *out)
{
    struct ew_openai_text text;
    ew_openai_event_begin(&text, out);
    write_error(&text.json, fault);
    return ew_openai_event_end(&text);
}
