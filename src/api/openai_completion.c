/* openai_completion.c - POST /v1/completions, the legacy endpoint: text in, its continuation out.
 *
 * With "echo" the server puts the prompt in front of the text; log probabilities of the prompt are
 * not computed, so the two together are refused. Limits: prompts times n, EW_REQUEST_CHOICES_MAX;
 * ids are checked against the vocabulary where the model is known. */
#include "api/openai_int.h"

#include <stdio.h>
#include <string.h>

static const char object[] = "text_completion";

enum {
    LOGPROBS_MAX = 5,
    MAX_TOKENS_DEFAULT = 16,     /* as OpenAI documents it for this endpoint */
    PROMPT_TOKENS_MAX = 1 << 20, /* above every model's context */
};

/* ---- the request ---- */

static void read_ids(struct ew_read *in, const json_t *array, const char *path,
                     struct ew_request_prompt *out)
{
    size_t count = json_array_size(array);
    if (count == 0)
        ew_read_fail(in, "empty_array", path,
                     "Invalid '%s': empty array. Expected an array with minimum length 1, but got "
                     "an empty array instead.",
                     path);
    if (count > PROMPT_TOKENS_MAX)
        ew_read_fail(in, "array_above_max_length", path,
                     "Invalid '%s': array too long. Expected an array with maximum length %d, but "
                     "got an array with length %zu instead.",
                     path, PROMPT_TOKENS_MAX, count);
    int32_t *ids = ew_read_failed(in) ? NULL : ew_read_alloc(in, count, sizeof *ids);
    for (size_t i = 0; ids && i < count; i++) {
        const json_t *value = json_array_get(array, i);
        json_int_t id = json_integer_value(value);
        if (!json_is_integer(value))
            ew_read_wrong_type(in, path, "an array of token ids", value);
        else if (id < 0 || id > INT32_MAX)
            ew_read_fail(in, "invalid_value", path,
                         "Invalid '%s': %" JSON_INTEGER_FORMAT " is no token id.", path, id);
        ids[i] = (int32_t)id;
    }
    *out = (struct ew_request_prompt){.tokens = ids, .count = count};
}

static void read_one(struct ew_read *in, const json_t *value, const char *path,
                     struct ew_request_prompt *out)
{
    if (json_is_array(value)) {
        read_ids(in, value, path, out);
    } else if (json_is_string(value)) {
        const char *text = ew_read_string(in, value, path);
        if (text)
            out->text = (struct ew_str){text, json_string_length(value)};
    } else {
        ew_read_wrong_type(in, path, "a string or an array of token ids", value);
    }
}

static void read_prompts(struct ew_read *in, const json_t *root)
{
    struct ew_request *request = in->request;
    const json_t *prompt = ew_read_need(in, root, "", "prompt");
    if (!prompt)
        return;
    /* An array of numbers is one prompt; of anything else, several. */
    bool many = json_is_array(prompt) && json_array_size(prompt) &&
                !json_is_number(json_array_get(prompt, 0));
    size_t count = many ? json_array_size(prompt) : 1;
    if (count * request->n > EW_REQUEST_CHOICES_MAX)
        ew_read_fail(in, "array_above_max_length", "prompt",
                     "Invalid 'prompt': %zu prompts with 'n' %u make %zu answers, at most %d.",
                     count, request->n, count * request->n, EW_REQUEST_CHOICES_MAX);
    if (ew_read_failed(in))
        return;
    request->prompts = ew_read_alloc(in, count, sizeof *request->prompts);
    if (!request->prompts)
        return;
    request->prompt_count = count;
    if (!many)
        read_one(in, prompt, "prompt", &request->prompts[0]);
    for (size_t i = 0; many && i < count; i++) {
        char path[EW_READ_PATH_BYTES];
        snprintf(path, sizeof path, "prompt[%zu]", i);
        read_one(in, json_array_get(prompt, i), path, &request->prompts[i]);
    }
}

static void read_rest(struct ew_read *in, const json_t *root)
{
    struct ew_request *request = in->request;
    int64_t logprobs = 0, best_of = request->n;
    ew_read_flag(in, root, "", "echo", &request->echo);
    request->logprobs = ew_read_get(in, root, "logprobs") != NULL;
    ew_read_int(in, root, "", "logprobs", (struct ew_read_range){0, LOGPROBS_MAX}, &logprobs);
    request->top_logprobs = (int)logprobs;
    if (request->echo && request->logprobs)
        ew_read_fail(in, "unsupported_parameter", "echo",
                     "Unsupported parameter: 'echo' together with 'logprobs' is not supported: the "
                     "log probabilities of a prompt are not computed.");
    ew_read_int(in, root, "", "best_of", (struct ew_read_range){1, INT32_MAX}, &best_of);
    if (best_of > request->n)
        ew_read_fail(in, "unsupported_value", "best_of",
                     "Unsupported value: 'best_of' above 'n' is not supported.");
    const char *suffix = ew_read_text(in, root, "", "suffix");
    if (suffix && *suffix)
        ew_read_fail(in, "unsupported_parameter", "suffix",
                     "Unsupported parameter: 'suffix' is not supported.");
}

static int parse(struct ew_request *out, struct ew_str body, struct ew_fault *fault)
{
    struct ew_read in;
    const json_t *root = ew_read_open(&in, out, body, NULL, fault);
    if (root) {
        out->kind = EW_REQUEST_COMPLETION;
        out->raw = true;
        ew_openai_fields_read(&in, root);
        if (!out->max_tokens)
            out->max_tokens = MAX_TOKENS_DEFAULT;
        read_rest(&in, root);
        read_prompts(&in, root);
    }
    return ew_read_close(&in);
}

/* ---- the answer ---- */

static void write_top(struct ew_jsonw *json, const struct ew_reply_token *token)
{
    struct ew_str seen[EW_LOGPROBS_MAX + 1];
    size_t count = 0;
    ew_jsonw_object(json);
    for (uint32_t i = 0; i < token->top_count && count < EW_COUNT(seen); i++) {
        const struct ew_reply_token *top = &token->top[i];
        bool again = false; /* two tokens may be written alike: the likelier one stays */
        for (size_t k = 0; k < count; k++)
            again |= seen[k].bytes == top->text.bytes &&
                     memcmp(seen[k].data, top->text.data, top->text.bytes) == 0;
        if (again)
            continue;
        seen[count++] = top->text;
        ew_jsonw_key_str(json, top->text);
        ew_write_logprob(json, top->logprob);
    }
    ew_jsonw_end(json);
}

static void write_logprobs(struct ew_jsonw *json, const struct ew_delta *delta)
{
    ew_jsonw_key(json, "logprobs");
    if (!delta->tokens) {
        ew_jsonw_null(json);
        return;
    }
    ew_jsonw_object(json);
    ew_jsonw_key(json, "tokens");
    ew_jsonw_array(json);
    for (size_t i = 0; i < delta->token_count; i++)
        ew_jsonw_str(json, delta->tokens[i].text);
    ew_jsonw_end(json);
    ew_jsonw_key(json, "token_logprobs");
    ew_jsonw_array(json);
    for (size_t i = 0; i < delta->token_count; i++)
        ew_write_logprob(json, delta->tokens[i].logprob);
    ew_jsonw_end(json);
    ew_jsonw_key(json, "top_logprobs");
    ew_jsonw_array(json);
    for (size_t i = 0; i < delta->token_count; i++)
        write_top(json, &delta->tokens[i]);
    ew_jsonw_end(json);
    ew_jsonw_key(json, "text_offset");
    ew_jsonw_array(json);
    size_t offset = delta->text_offset;
    for (size_t i = 0; i < delta->token_count; i++) {
        ew_jsonw_u64(json, offset);
        offset += delta->tokens[i].text.bytes;
    }
    ew_jsonw_end(json);
    ew_jsonw_end(json);
}

static void write_choice(struct ew_jsonw *json, const struct ew_delta *choice)
{
    ew_jsonw_object(json);
    ew_jsonw_key(json, "text");
    ew_jsonw_str(json, choice->text);
    ew_jsonw_put_u64(json, "index", choice->choice);
    write_logprobs(json, choice);
    ew_openai_finish(json, choice->finish);
    ew_jsonw_end(json);
}

static void write_choices(struct ew_jsonw *json, const struct ew_delta *choices, size_t count)
{
    ew_jsonw_key(json, "choices");
    ew_jsonw_array(json);
    for (size_t i = 0; i < count; i++)
        write_choice(json, &choices[i]);
    ew_jsonw_end(json);
}

static int whole(const struct ew_reply *reply, const struct ew_delta *choices, size_t count,
                 struct ew_buf *out)
{
    struct ew_write text;
    ew_write_begin(&text, out);
    ew_openai_head(&text.json, reply, object);
    write_choices(&text.json, choices, count);
    ew_openai_usage(&text.json, reply);
    ew_jsonw_end(&text.json);
    return ew_write_end(&text);
}

/* There is nothing to say before the first text. */
static int start(const struct ew_reply *reply, struct ew_buf *out)
{
    (void)reply;
    (void)out;
    return 0;
}

static int delta(const struct ew_reply *reply, const struct ew_delta *delta, struct ew_buf *out)
{
    if (!delta->text.bytes && !delta->token_count && delta->finish == EW_FINISH_NONE)
        return 0;
    struct ew_write text;
    ew_openai_event_begin(&text, out);
    ew_openai_head(&text.json, reply, object);
    write_choices(&text.json, delta, 1);
    ew_openai_usage_later(&text.json, reply);
    ew_jsonw_end(&text.json);
    return ew_openai_event_end(&text);
}

static int end(const struct ew_reply *reply, struct ew_buf *out)
{
    return ew_openai_stream_end(reply, object, out);
}

const struct ew_wire ew_openai_completion = {
    .stream_type = "text/event-stream",
    .parse = parse,
    .start = start,
    .delta = delta,
    .end = end,
    .whole = whole,
    .error = ew_openai_error,
    .stream_error = ew_openai_stream_error,
};
