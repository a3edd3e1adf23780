/* openai_chat.c - POST /v1/chat/completions: the request, the answer in whole, the answer in
 * chunks.
 *
 * A stream is, for each choice, a chunk with the role, chunks with what is new, one with the reason
 * why it ended; then the usage, if asked for, and [DONE]. */
#include "api/openai_int.h"

static const char whole_object[] = "chat.completion", chunk_object[] = "chat.completion.chunk";

enum { TOP_LOGPROBS_MAX = EW_LOGPROBS_MAX };

/* ---- the request ---- */

static void read_logprobs(struct ew_read *in, const json_t *root)
{
    struct ew_request *request = in->request;
    int64_t top = 0;
    ew_read_flag(in, root, "", "logprobs", &request->logprobs);
    if (ew_read_get(in, root, "top_logprobs") && !request->logprobs)
        ew_read_fail(in, NULL, "top_logprobs",
                     "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.");
    ew_read_int(in, root, "", "top_logprobs", (struct ew_read_range){0, TOP_LOGPROBS_MAX}, &top);
    request->top_logprobs = (int)top;
}

static int parse(struct ew_request *out, struct ew_str body, struct ew_fault *fault)
{
    struct ew_read in;
    struct ew_openai_messages messages;
    const json_t *root =
        ew_read_open(&in, out, body, ew_openai_messages_init(&messages, body.bytes), fault);
    if (root) {
        out->kind = EW_REQUEST_CHAT;
        ew_openai_fields_read(&in, root);
        int64_t max_tokens = out->max_tokens;
        ew_read_int(&in, root, "", "max_completion_tokens", (struct ew_read_range){1, INT32_MAX},
                    &max_tokens);
        out->max_tokens = (uint32_t)max_tokens;
        read_logprobs(&in, root);
        ew_openai_messages_read(&in, root, &messages);
        ew_openai_tools_read(&in, root);
    }
    ew_openai_messages_fini(&messages);
    return ew_read_close(&in);
}

/* ---- pieces of an answer ---- */

static void write_logprobs(struct ew_jsonw *json, const struct ew_delta *delta)
{
    ew_jsonw_key(json, "logprobs");
    if (!delta->tokens) {
        ew_jsonw_null(json);
        return;
    }
    ew_jsonw_object(json);
    ew_jsonw_key(json, "content");
    ew_jsonw_array(json);
    for (size_t i = 0; i < delta->token_count; i++) {
        const struct ew_reply_token *token = &delta->tokens[i];
        ew_write_token(json, token);
        ew_jsonw_key(json, "top_logprobs");
        ew_jsonw_array(json);
        for (uint32_t k = 0; k < token->top_count; k++) {
            ew_write_token(json, &token->top[k]);
            ew_jsonw_end(json);
        }
        ew_jsonw_end(json);
        ew_jsonw_end(json);
    }
    ew_jsonw_end(json);
    ew_jsonw_put_text(json, "refusal", NULL);
    ew_jsonw_end(json);
}

enum call_form { CALL_WHOLE, CALL_DELTA };

static void write_calls(struct ew_jsonw *json, const struct ew_delta *delta, enum call_form form)
{
    if (!delta->call_count)
        return;
    ew_jsonw_key(json, "tool_calls");
    ew_jsonw_array(json);
    for (size_t i = 0; i < delta->call_count; i++) {
        const struct ew_reply_call *call = &delta->calls[i];
        ew_jsonw_object(json);
        if (form == CALL_DELTA)
            ew_jsonw_put_u64(json, "index", delta->call_first + i);
        ew_jsonw_put_text(json, "id", call->id);
        ew_jsonw_put_text(json, "type", "function");
        ew_jsonw_key(json, "function");
        ew_jsonw_object(json);
        ew_jsonw_key(json, "name");
        ew_jsonw_str(json, call->name);
        ew_jsonw_key(json, "arguments");
        ew_jsonw_str(json, call->arguments);
        ew_jsonw_end(json);
        ew_jsonw_end(json);
    }
    ew_jsonw_end(json);
}

/* ---- the answer in whole ---- */

static void write_choice(struct ew_jsonw *json, const struct ew_delta *choice)
{
    ew_jsonw_object(json);
    ew_jsonw_put_u64(json, "index", choice->choice);
    ew_jsonw_key(json, "message");
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "role", "assistant");
    ew_jsonw_key(json, "content");
    if (choice->text.bytes == 0 && choice->call_count)
        ew_jsonw_null(json);
    else
        ew_jsonw_str(json, choice->text);
    ew_jsonw_put_text(json, "refusal", NULL);
    ew_jsonw_key(json, "annotations"); /* of web searches, which there are none of */
    ew_jsonw_array(json);
    ew_jsonw_end(json);
    write_calls(json, choice, CALL_WHOLE);
    ew_jsonw_end(json);
    write_logprobs(json, choice);
    ew_openai_finish(json, choice->finish);
    ew_jsonw_end(json);
}

static int whole(const struct ew_reply *reply, const struct ew_delta *choices, size_t count,
                 struct ew_buf *out)
{
    struct ew_write text;
    struct ew_jsonw *json = &text.json;
    ew_write_begin(&text, out);
    ew_openai_head(json, reply, whole_object);
    ew_jsonw_key(json, "choices");
    ew_jsonw_array(json);
    for (size_t i = 0; i < count; i++)
        write_choice(json, &choices[i]);
    ew_jsonw_end(json);
    ew_openai_usage(json, reply);
    ew_jsonw_end(json);
    return ew_write_end(&text);
}

/* ---- the answer in chunks ---- */

/* Opens a chunk up to the inside of its "delta". */
static void chunk_begin(struct ew_write *text, const struct ew_reply *reply, uint32_t choice,
                        struct ew_buf *out)
{
    struct ew_jsonw *json = &text->json;
    ew_openai_event_begin(text, out);
    ew_openai_head(json, reply, chunk_object);
    ew_jsonw_key(json, "choices");
    ew_jsonw_array(json);
    ew_jsonw_object(json);
    ew_jsonw_put_u64(json, "index", choice);
    ew_jsonw_key(json, "delta");
    ew_jsonw_object(json);
}

static int chunk_end(struct ew_write *text, const struct ew_reply *reply,
                     const struct ew_delta *logprobs, enum ew_finish finish)
{
    struct ew_jsonw *json = &text->json;
    ew_jsonw_end(json);
    write_logprobs(json, logprobs);
    ew_openai_finish(json, finish);
    ew_jsonw_end(json);
    ew_jsonw_end(json);
    ew_openai_usage_later(json, reply);
    ew_jsonw_end(json);
    return ew_openai_event_end(text);
}

static const struct ew_delta nothing;

static int start(const struct ew_reply *reply, struct ew_buf *out)
{
    int rc = 0;
    for (uint32_t i = 0; i < reply->request->n && !rc; i++) {
        struct ew_write text;
        chunk_begin(&text, reply, i, out);
        ew_jsonw_put_text(&text.json, "role", "assistant");
        ew_jsonw_put_text(&text.json, "content", "");
        ew_jsonw_put_text(&text.json, "refusal", NULL);
        rc = chunk_end(&text, reply, &nothing, EW_FINISH_NONE);
    }
    return rc;
}

static int delta(const struct ew_reply *reply, const struct ew_delta *delta, struct ew_buf *out)
{
    struct ew_write text;
    size_t before = out->bytes;
    int rc = 0;
    /* A token that is half a character has no text yet, but its log probability. */
    if (delta->text.bytes || delta->token_count || delta->call_count) {
        chunk_begin(&text, reply, delta->choice, out);
        if (delta->text.bytes || delta->token_count) {
            ew_jsonw_key(&text.json, "content");
            ew_jsonw_str(&text.json, delta->text);
        }
        write_calls(&text.json, delta, CALL_DELTA);
        rc = chunk_end(&text, reply, delta, EW_FINISH_NONE);
    }
    if (rc || delta->finish == EW_FINISH_NONE)
        return rc;
    chunk_begin(&text, reply, delta->choice, out);
    rc = chunk_end(&text, reply, &nothing, delta->finish);
    if (rc && out->data) { /* both chunks or none */
        out->bytes = before;
        out->data[before] = '\0';
    }
    return rc;
}

static int end(const struct ew_reply *reply, struct ew_buf *out)
{
    return ew_openai_stream_end(reply, chunk_object, out);
}

const struct ew_wire ew_openai_chat = {
    .stream_type = "text/event-stream",
    .parse = parse,
    .start = start,
    .delta = delta,
    .end = end,
    .whole = whole,
    .error = ew_openai_error,
    .stream_error = ew_openai_stream_error,
};
