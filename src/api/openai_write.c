/* openai_write.c - the pieces of OpenAI's answers: events, usage with our extension, errors. */
#include "api/openai_int.h"

void ew_openai_event_begin(struct ew_write *text, struct ew_buf *out)
{
    ew_write_begin(text, out);
    text->json.err.code = ew_buf_text(out, "data: ", &text->json.err);
}

int ew_openai_event_end(struct ew_write *text)
{
    int rc = ew_jsonw_finish(&text->json, NULL);
    return ew_write_undo(text, rc ? rc : ew_buf_text(text->out, "\n", NULL));
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
    ew_jsonw_put_int(json, "audio_tokens", 0);
    ew_jsonw_end(json);
    ew_jsonw_key(json, "completion_tokens_details");
    ew_jsonw_object(json);
    ew_jsonw_put_int(json, "reasoning_tokens", 0);
    ew_jsonw_put_int(json, "audio_tokens", 0);
    ew_jsonw_put_int(json, "accepted_prediction_tokens", 0);
    ew_jsonw_put_int(json, "rejected_prediction_tokens", 0);
    ew_jsonw_end(json);
    ew_write_extension(json, reply);
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

static int write_usage_chunk(const struct ew_reply *reply, const char *object, struct ew_buf *out)
{
    struct ew_write text;
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
    struct ew_write text;
    ew_write_begin(&text, out);
    write_error(&text.json, fault);
    return ew_write_end(&text);
}

int ew_openai_stream_error(const struct ew_fault *fault, struct ew_buf *out)
{
    struct ew_write text;
    ew_openai_event_begin(&text, out);
    write_error(&text.json, fault);
    return ew_openai_event_end(&text);
}
