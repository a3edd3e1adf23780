/* ollama_write.c - the pieces of Ollama's answers. Each line is an object; the last one says
 * "done": true and what the answer took, in nanoseconds, and has our extension. */
#include "api/ollama_int.h"

#include <time.h>

void ew_ollama_put_time(struct ew_jsonw *json, const char *key, int64_t unix_s)
{
    char text[40];
    time_t at = (time_t)unix_s;
    struct tm parts;
    bool known = unix_s != 0 && gmtime_r(&at, &parts) &&
                 strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts) > 0;
    ew_jsonw_put_text(json, key, known ? text : NULL);
}

void ew_ollama_head(struct ew_jsonw *json, const struct ew_reply *reply)
{
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "model", reply->model);
    ew_ollama_put_time(json, "created_at", reply->created_s);
}

void ew_ollama_logprobs(struct ew_jsonw *json, const struct ew_delta *delta)
{
    if (!delta->token_count)
        return;
    ew_jsonw_key(json, "logprobs");
    ew_jsonw_array(json);
    for (size_t i = 0; i < delta->token_count; i++) {
        const struct ew_reply_token *token = &delta->tokens[i];
        ew_write_token(json, token);
        if (token->top_count) {
            ew_jsonw_key(json, "top_logprobs");
            ew_jsonw_array(json);
            for (uint32_t k = 0; k < token->top_count; k++) {
                ew_write_token(json, &token->top[k]);
                ew_jsonw_end(json);
            }
            ew_jsonw_end(json);
        }
        ew_jsonw_end(json);
    }
    ew_jsonw_end(json);
}

/* Of times that are never 0 where they are known. */
static void put_ns(struct ew_jsonw *json, const char *key, uint64_t ns)
{
    ew_jsonw_key(json, key);
    if (ns)
        ew_jsonw_u64(json, ns);
    else
        ew_jsonw_null(json);
}

void ew_ollama_done(struct ew_jsonw *json, const struct ew_reply *reply, enum ew_finish finish)
{
    const struct ew_usage *usage = &reply->usage;
    const struct ew_request *request = reply->request;
    const char *reason = finish == EW_FINISH_LENGTH ? "length" : "stop"; /* for calls, too */
    if (request->load_only)
        reason = request->keep_alive_s == 0 ? "unload" : "load";
    ew_jsonw_put_text(json, "done_reason", reason);
    ew_jsonw_put_bool(json, "done", true);
    if (!request->load_only) {
        put_ns(json, "total_duration", reply->total_ns);
        ew_jsonw_put_u64(json, "load_duration", reply->load_ns); /* 0: it was in memory */
        ew_jsonw_put_u64(json, "prompt_eval_count", usage->prompt_tokens);
        put_ns(json, "prompt_eval_duration", usage->prefill_ns);
        ew_jsonw_put_u64(json, "eval_count", usage->output_tokens);
        ew_jsonw_put_u64(json, "eval_duration", usage->decode_ns);
        ew_write_extension(json, reply);
    }
    ew_jsonw_end(json);
}

/* There is nothing to say before the first text. */
int ew_ollama_start(const struct ew_reply *reply, struct ew_buf *out)
{
    (void)reply;
    (void)out;
    return 0;
}

int ew_ollama_error(const struct ew_fault *fault, struct ew_buf *out)
{
    struct ew_write text;
    ew_write_begin(&text, out);
    ew_jsonw_object(&text.json);
    ew_jsonw_put_text(&text.json, "error", fault->message);
    ew_jsonw_end(&text.json);
    return ew_write_end(&text);
}
