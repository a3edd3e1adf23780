/* ollama_generate.c - POST /api/generate: a prompt in, its answer out, whole or in lines.
 *
 * The prompt is the only message of a chat, but with "raw" it is a text to continue. What would
 * silently change the answer if it were ignored is refused: template, context, suffix, images. */
#include "api/ollama_int.h"

#include <string.h>

static void refuse_rest(struct ew_read *in, const json_t *root)
{
    static const struct {
        const char *key, *why;
    } no[] = {
        {"suffix", "no model here fills in between two texts"},
        {"images", "the models here read text only"},
        {"template", "the model's own is used; \"raw\": true takes a prompt as it stands"},
        {"context", "send the conversation to /api/chat; its beginning isn't computed again"},
    };
    for (size_t i = 0; i < EW_COUNT(no); i++)
        ew_ollama_refuse(in, root, "", no[i].key, no[i].why);
}

static void read_prompt(struct ew_read *in, const json_t *root)
{
    struct ew_request *request = in->request;
    const char *system = ew_read_text(in, root, "", "system");
    const char *prompt = ew_read_text(in, root, "", "prompt");
    ew_read_flag(in, root, "", "raw", &request->raw);
    if (request->raw && system && *system)
        ew_read_fail(in, "invalid_value", "system",
                     "raw mode does not support template, system, or context");
    if (ew_read_failed(in))
        return;
    request->kind = request->raw ? EW_REQUEST_COMPLETION : EW_REQUEST_CHAT;
    if (!prompt || !*prompt) {
        ew_ollama_load_only(in);
    } else if (!request->raw) {
        ew_ollama_prompt_messages(in, system, prompt);
    } else if ((request->prompts = ew_read_alloc(in, 1, sizeof *request->prompts)) != NULL) {
        request->prompts[0].text = (struct ew_str){prompt, strlen(prompt)};
        request->prompt_count = 1;
    }
}

static int parse(struct ew_request *out, struct ew_str body, struct ew_fault *fault)
{
    struct ew_read in;
    const json_t *root = ew_read_open(&in, out, body, NULL, fault);
    if (root) {
        ew_ollama_fields_read(&in, root);
        refuse_rest(&in, root);
        read_prompt(&in, root);
    }
    return ew_read_close(&in);
}

static void line_begin(struct ew_write *text, const struct ew_reply *reply,
                       const struct ew_delta *delta, struct ew_buf *out)
{
    ew_write_begin(text, out);
    ew_ollama_head(&text->json, reply);
    ew_jsonw_key(&text->json, "response");
    ew_jsonw_str(&text->json, delta->text);
    ew_ollama_logprobs(&text->json, delta);
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
    if (!delta->text.bytes && !delta->token_count)
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

const struct ew_wire ew_ollama_generate = {
    .stream_type = "application/x-ndjson",
    .parse = parse,
    .start = ew_ollama_start,
    .delta = delta,
    .end = end,
    .whole = whole,
    .error = ew_ollama_error,
    .stream_error = ew_ollama_error,
};
