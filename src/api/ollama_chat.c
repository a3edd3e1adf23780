/* ollama_chat.c - POST /api/chat: messages in, an answer's message out, whole or in lines.
 *
 * A stream is a line for each piece of text or call, and a last one with an empty message that
 * tells the reason and the figures. */
#include "api/ollama_int.h"
#include "api/openai_int.h"

static int parse(struct ew_request *out, struct ew_str body, struct ew_fault *fault)
{
    struct ew_read in;
    const json_t *root = ew_read_open(&in, out, body, NULL, fault);
    if (root) {
        out->kind = EW_REQUEST_CHAT;
        ew_ollama_fields_read(&in, root);
        (void)ew_openai_tools_list(&in, root);
        ew_ollama_messages_read(&in, root);
    }
    return ew_read_close(&in);
}

static void write_calls(struct ew_jsonw *json, const struct ew_delta *delta)
{
    if (!delta->call_count)
        return;
    ew_jsonw_key(json, "tool_calls");
    ew_jsonw_array(json);
    for (size_t i = 0; i < delta->call_count; i++) {
        const struct ew_reply_call *call = &delta->calls[i];
        ew_jsonw_object(json);
        ew_jsonw_put_text(json, "id", call->id);
        ew_jsonw_key(json, "function");
        ew_jsonw_object(json);
        ew_jsonw_put_u64(json, "index", delta->call_first + i);
        ew_jsonw_key(json, "name");
        ew_jsonw_str(json, call->name);
        ew_jsonw_key(json, "arguments");
        ew_jsonw_raw(json, call->arguments); /* an object: ew_tools makes no others */
        ew_jsonw_end(json);
        ew_jsonw_end(json);
    }
    ew_jsonw_end(json);
}

/* Opens a line up to what follows its message. */
static void line_begin(struct ew_write *text, const struct ew_reply *reply,
                       const struct ew_delta *delta, struct ew_buf *out)
{
    struct ew_jsonw *json = &text->json;
    ew_write_begin(text, out);
    ew_ollama_head(json, reply);
    ew_jsonw_key(json, "message");
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "role", "assistant");
    ew_jsonw_key(json, "content");
    ew_jsonw_str(json, delta->text);
    write_calls(json, delta);
    ew_jsonw_end(json);
    ew_ollama_logprobs(json, delta);
}

static const struct ew_delta nothing = {.text = {"", 0}};

static int last_line(const struct ew_reply *reply, const struct ew_delta *delta,
                     enum ew_finish finish, struct ew_buf *out)
{
    struct ew_write text;
    line_begin(&text, reply, delta, out);
    ew_ollama_done(&text.json, reply, finish);
    return ew_write_end(&text);
}

static int delta(const struct ew_reply *reply, const struct ew_delta *delta, struct ew_buf *out)
{
    if (!delta->text.bytes && !delta->token_count && !delta->call_count)
        return 0;
    struct ew_write text;
    line_begin(&text, reply, delta, out);
    ew_jsonw_put_bool(&text.json, "done", false);
    ew_jsonw_end(&text.json);
    return ew_write_end(&text);
}

static int end(const struct ew_reply *reply, struct ew_buf *out)
{
    return last_line(reply, &nothing, reply->finish, out);
}

static int whole(const struct ew_reply *reply, const struct ew_delta *choices, size_t count,
                 struct ew_buf *out)
{
    return count ? last_line(reply, &choices[0], choices[0].finish, out) : end(reply, out);
}

const struct ew_wire ew_ollama_chat = {
    .stream_type = "application/x-ndjson",
    .parse = parse,
    .start = ew_ollama_start,
    .delta = delta,
    .end = end,
    .whole = whole,
    .error = ew_ollama_error,
    .stream_error = ew_ollama_error,
};
